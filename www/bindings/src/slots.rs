//! Tables whose handles are never good twice.
//!
//! ```text
//! handle   ├ generation: 27 bits │ tag: 2 bits │ slot: 24 bits ┤     a whole number in an f64
//! ```
//!
//! A slot's generation grows each time it is emptied, so a handle of what was in it before fits nothing.
//! A slot whose generations are used up is not used again. The tag is the table's, so that a handle of
//! another table fits nothing either.

use alloc::vec::Vec;

use kmem::Cond;

/// What names a store, a cell or a mark: never 0, and less than 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(u64);

const SLOT_BITS: u32 = 24;
const TAG_BITS: u32 = 2;
/// No slot: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;
/// The generation that a slot has no more when it is reached.
const SPENT: u32 = 1 << 27;

impl Handle {
    /// The handle that a number is, if it can be one.
    #[must_use]
    pub fn from_number(number: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared on the next line")]
        let whole = number as u64;
        #[expect(clippy::cast_precision_loss, reason = "what loses precision differs")]
        let same = whole as f64 == number;
        (same && whole != 0).then_some(Self(whole))
    }

    /// The number that is this handle.
    #[must_use]
    pub fn number(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "less than 2^53")]
        let number = self.0 as f64;
        number
    }
}

/// A table.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// The first empty slot.
    empty: u32,
    tag: u32,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    /// Of an empty slot, the next empty one; of a full one, the next of a chain that its owner makes.
    next: u32,
    value: Option<T>,
}

impl<T: Copy> Slots<T> {
    /// An empty table whose handles carry a tag less than 4.
    pub(crate) const fn new(tag: u32) -> Self {
        Self { slots: Vec::new(), empty: NONE, tag }
    }

    /// Makes sure that the next [`insert`](Self::insert) finds a slot.
    pub(crate) fn reserve(&mut self) -> Result<(), Cond> {
        if self.empty != NONE {
            return Ok(());
        }
        if self.slots.len() >= 1 << SLOT_BITS {
            return Err(Cond::TooMany);
        }
        self.slots.try_reserve(1).map_err(|_| Cond::NoRoom)
    }

    /// Fills a slot; [`reserve`](Self::reserve) has made sure that there is one.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let number = self.empty;
        if let Some(slot) = self.slots.get_mut(number as usize) {
            self.empty = slot.next;
            slot.value = Some(value);
            return number;
        }
        let number = u32::try_from(self.slots.len()).unwrap_or(NONE);
        self.slots.push(Slot { generation: 1, next: NONE, value: Some(value) });
        number
    }

    /// Empties a slot: its handle is stale from now on.
    pub(crate) fn remove(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize) else { return };
        if slot.value.take().is_some() {
            slot.generation += 1;
            if slot.generation < SPENT {
                slot.next = self.empty;
                self.empty = number;
            }
        }
    }

    /// The handle of a slot that is full.
    pub(crate) fn handle(&self, number: u32) -> Option<Handle> {
        let slot = self.slots.get(number as usize)?;
        slot.value.as_ref()?;
        let above = (u64::from(slot.generation) << TAG_BITS) | u64::from(self.tag);
        Some(Handle((above << SLOT_BITS) | u64::from(number)))
    }

    /// The slot and what it holds, unless the handle is stale or another table's.
    pub(crate) fn find(&self, handle: Handle) -> Result<(u32, T), Cond> {
        let number = u32::try_from(handle.0 & ((1 << SLOT_BITS) - 1)).unwrap_or(NONE);
        let value = self.get(number).filter(|_| self.handle(number) == Some(handle));
        Ok((number, value.ok_or(Cond::BadAddress)?))
    }

    /// What a slot holds.
    pub(crate) fn get(&self, number: u32) -> Option<T> {
        self.slots.get(number as usize)?.value
    }

    /// Changes what a full slot holds, under the same handle.
    pub(crate) fn set(&mut self, number: u32, value: T) {
        if let Some(slot) = self.slots.get_mut(number as usize)
            && slot.value.is_some()
        {
            slot.value = Some(value);
        }
    }

    /// The first full slot from a number on.
    pub(crate) fn from(&self, number: u32) -> Option<(u32, T)> {
        let rest = self.slots.get(number as usize..)?;
        (number..).zip(rest).find_map(|(number, slot)| slot.value.map(|value| (number, value)))
    }

    /// Has a full slot followed by another in a chain.
    pub(crate) fn link(&mut self, number: u32, next: u32) {
        if let Some(slot) = self.slots.get_mut(number as usize) {
            slot.next = next;
        }
    }

    /// What follows a slot in its chain.
    pub(crate) fn next(&self, number: u32) -> u32 {
        self.slots.get(number as usize).map_or(NONE, |slot| slot.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_good_until_its_slot_is_emptied() {
        let mut slots = Slots::new(2);
        slots.reserve().expect("room");
        let number = slots.insert('a');
        let first = slots.handle(number).expect("full");
        assert_eq!(slots.find(first), Ok((number, 'a')));
        slots.remove(number);
        assert_eq!(slots.find(first), Err(Cond::BadAddress));
        assert_eq!(slots.insert('b'), number);
        let second = slots.handle(number).expect("full");
        assert_eq!((slots.find(first), slots.find(second)), (Err(Cond::BadAddress), Ok((number, 'b'))));
    }

    #[test]
    fn another_tables_handle_is_none_here() {
        let (mut here, mut there) = (Slots::new(1), Slots::new(2));
        here.insert('h');
        let theirs = there.insert('t');
        let theirs = there.handle(theirs).expect("full");
        assert_eq!(here.find(theirs), Err(Cond::BadAddress));
    }

    #[test]
    fn a_slot_is_retired_when_its_generations_are_used_up() {
        let mut slots = Slots::new(3);
        let number = slots.insert('a');
        slots.slots[0].generation = SPENT - 1;
        let last = slots.handle(number).expect("full");
        assert!(last.number() < 9_007_199_254_740_992.0, "whole numbers of this size are exact");
        assert_eq!(Handle::from_number(last.number()), Some(last));
        slots.remove(number);
        assert_eq!(slots.find(last), Err(Cond::BadAddress));
        assert_eq!(slots.insert('b'), 1, "another slot");
    }

    #[test]
    fn only_whole_numbers_are_handles() {
        for number in [0.0, -1.0, 0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 16_777_216.5] {
            let handle = Handle::from_number(number);
            assert!(handle.is_none_or(|handle| Slots::<char>::new(0).find(handle).is_err()), "{number}");
        }
        assert_eq!(Handle::from_number(0.0), None);
        assert_eq!(Handle::from_number(0.5), None);
        assert_eq!(Handle::from_number(f64::NAN), None);
    }
}

//! The texts that were seen so far, so that one that comes again is found.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::hash::{BuildHasher, RandomState};

use kmem::platform::Platform;
use kmem::{Cond, Heap};

use crate::document::Text;
use crate::stores::Counting;

/// Slots at first; always a power of two.
const FIRST: usize = 64;

#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    text: Option<Text>,
}

/// A hash table in one cell of a heap. A text is looked for from where its hash says, slot by slot.
///
/// It is a reader's: it has no reference to what it names, so it must go before any of that does.
pub(crate) struct Seen<'s, P: Platform> {
    heap: &'s Heap<Counting<'s, P>>,
    slots: NonNull<[Slot]>,
    used: usize,
    hashes: RandomState,
}

impl<'s, P: Platform> Seen<'s, P> {
    pub(crate) fn new(heap: &'s Heap<Counting<'s, P>>) -> Result<Self, Cond> {
        Ok(Self { heap, slots: slots(heap, FIRST)?, used: 0, hashes: RandomState::new() })
    }

    /// The entry of a text, if it was seen; else an empty one to note it in.
    pub(crate) fn find(&mut self, text: &str) -> Result<Entry<'_>, Cond> {
        // At most three in four are used, so that a free one comes soon.
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow()?;
        }
        let hash = self.hashes.hash_one(text);
        let same = |slot: &Slot| {
            // SAFETY: what the table names is live as long as the table is used.
            slot.hash == hash && slot.text.is_some_and(|seen| unsafe { seen.as_str() } == text)
        };
        // SAFETY: the table's own cell, filled when it was made; nobody else refers to it.
        let slots = unsafe { self.slots.as_mut() };
        let at = first(slots, hash, same);
        Ok(Entry { slot: &mut slots[at], hash, used: &mut self.used })
    }

    fn grow(&mut self) -> Result<(), Cond> {
        let mut larger = slots(self.heap, self.slots.len() * 2)?;
        // SAFETY: just made and filled.
        let new = unsafe { larger.as_mut() };
        // SAFETY: the table's own cell; nobody else refers to it.
        let old = unsafe { self.slots.as_ref() };
        for slot in old.iter().filter(|slot| slot.text.is_some()) {
            new[first(new, slot.hash, |_| false)] = *slot;
        }
        self.release();
        self.slots = larger;
        Ok(())
    }

    fn release(&self) {
        // SAFETY: the table's own cell, used no more. What the machine refuses goes with the heap.
        let _ = unsafe { self.heap.free(self.slots.cast()) };
    }
}

impl<P: Platform> Drop for Seen<'_, P> {
    fn drop(&mut self) {
        self.release();
    }
}

/// Where it is said where a text is.
pub(crate) struct Entry<'t> {
    slot: &'t mut Slot,
    hash: u64,
    used: &'t mut usize,
}

impl Entry<'_> {
    pub(crate) fn text(&self) -> Option<Text> {
        self.slot.text
    }

    /// Notes a text, or that it is somewhere else now.
    pub(crate) fn note(self, text: Text) {
        *self.used += usize::from(self.slot.text.is_none());
        *self.slot = Slot { hash: self.hash, text: Some(text) };
    }
}

/// The first slot from where a hash says that is free or the one.
fn first(slots: &[Slot], hash: u64, is_it: impl Fn(&Slot) -> bool) -> usize {
    let mask = slots.len() - 1;
    #[expect(clippy::cast_possible_truncation, reason = "a few bits of it are wanted")]
    let mut at = hash as usize & mask;
    while slots[at].text.is_some() && !is_it(&slots[at]) {
        at = (at + 1) & mask;
    }
    at
}

/// A cell of empty slots.
fn slots<P: Platform>(heap: &Heap<Counting<'_, P>>, len: usize) -> Result<NonNull<[Slot]>, Cond> {
    let layout = Layout::array::<Slot>(len).map_err(|_| Cond::BadSize)?;
    let cell = heap.alloc(layout)?.cast::<Slot>();
    for at in 0..len {
        // SAFETY: the cell has room for so many.
        let slot = unsafe { cell.add(at) };
        // SAFETY: as above.
        unsafe { slot.write(Slot { hash: 0, text: None }) };
    }
    Ok(NonNull::slice_from_raw_parts(cell, len))
}

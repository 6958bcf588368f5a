//! Free blocks by size: 64 lists, four to each power of two, and a word that says which have any.
//!
//! ```text
//! free block   ├ size │ next │ prev │ … │ size ┤      a single unit: ├ size │ size ┤, on no list
//! ```

use core::cell::Cell as Var;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

use crate::Broken;
use crate::cell::{MIN_ALIGN, inside};
use crate::inspect::fields::{Field, Form, Front};
use crate::report::rule;

const LISTS: usize = 64;
const WORD: usize = size_of::<usize>();

/// The front of a free block of two units or more.
#[repr(C)]
struct Free {
    size: Var<usize>,
    next: Var<*const Free>,
    prev: Var<*const Free>,
}

/// Bytes at the front of a free block that hold its size and links.
pub(super) const FRONT: usize = size_of::<Free>();

/// What [`inspect::front`](crate::inspect::front) tells of a free block. One of a single unit has only the size,
/// at both ends.
pub(crate) const FREE: Front = Front {
    size: FRONT,
    fields: &[
        Field::word("size", offset_of!(Free, size), Form::Number),
        Field::word("next", offset_of!(Free, next), Form::Link),
        Field::word("prev", offset_of!(Free, prev), Form::Link),
    ],
};

/// The lists.
pub(super) struct Bins {
    lists: [Var<*const Free>; LISTS],
    any: Var<u64>,
}

/// The list for blocks of a size: four to a power of two, counted in units.
fn bin(size: usize) -> usize {
    let units = size / MIN_ALIGN;
    if units < 4 {
        return units;
    }
    let power = units.ilog2() as usize;
    let quarter = (units >> (power - 2)) & 3;
    ((power - 1) * 4 + quarter).min(LISTS - 1)
}

/// Writes a free block's size at both its ends.
pub(super) fn write_size(block: NonNull<u8>, size: usize) {
    let last = inside(block, size - WORD);
    // SAFETY: a free block is ours, at least a unit long, and aligned to a unit.
    unsafe { block.cast::<usize>().write(size) };
    // SAFETY: as above.
    unsafe { last.cast::<usize>().write(size) };
}

/// The size that a free block's first word says.
pub(super) fn size_of_free(block: NonNull<u8>) -> usize {
    // SAFETY: callers have a free block, which begins with its size.
    unsafe { block.cast::<usize>().read() }
}

/// The size that the last word of a free block says, which ends at an address.
pub(super) fn size_of_free_ending(end: NonNull<u8>) -> usize {
    // SAFETY: callers know that a free block ends there.
    let last = unsafe { end.sub(WORD) };
    size_of_free(last)
}

impl Bins {
    pub(super) const fn new() -> Self {
        Self { lists: [const { Var::new(ptr::null()) }; LISTS], any: Var::new(0) }
    }

    pub(super) fn clear(&self) {
        self.lists.iter().for_each(|list| list.set(ptr::null()));
        self.any.set(0);
    }

    fn free<'a>(at: *const Free) -> Option<&'a Free> {
        // SAFETY: null or a block on a list, which is free, long enough and initialised; it is only
        // changed through shared references while it is on the list.
        unsafe { at.as_ref() }
    }

    pub(super) fn insert(&self, block: NonNull<u8>, size: usize) {
        if size < 2 * MIN_ALIGN {
            return;
        }
        let bin = bin(size);
        let next = self.lists[bin].get();
        let place = block.cast::<Free>();
        // SAFETY: a free block is ours and of two units or more, which a `Free` fits.
        unsafe { place.write(Free { size: Var::new(size), next: Var::new(next), prev: Var::new(ptr::null()) }) };
        if let Some(next) = Self::free(next) {
            next.prev.set(place.as_ptr());
        }
        self.lists[bin].set(place.as_ptr());
        self.any.set(self.any.get() | 1 << bin);
    }

    pub(super) fn remove(&self, block: NonNull<u8>, size: usize) {
        if size < 2 * MIN_ALIGN {
            return;
        }
        let Some(this) = Self::free(block.as_ptr().cast()) else { return };
        let (next, prev) = (this.next.get(), this.prev.get());
        if let Some(next) = Self::free(next) {
            next.prev.set(prev);
        }
        if let Some(prev) = Self::free(prev) {
            prev.next.set(next);
            return;
        }
        let bin = bin(size);
        self.lists[bin].set(next);
        if next.is_null() {
            self.any.set(self.any.get() & !(1 << bin));
        }
    }

    /// A free block of at least `need` bytes: any of the larger bins' will do; of its own bin, one
    /// that is long enough.
    pub(super) fn find(&self, need: usize) -> Option<NonNull<u8>> {
        let own = bin(need.max(2 * MIN_ALIGN));
        let larger = if own + 1 < LISTS { self.any.get() & (u64::MAX << (own + 1)) } else { 0 };
        if larger != 0 {
            let list = self.lists[larger.trailing_zeros() as usize].get();
            // A bin's blocks are longer than every request of a smaller bin.
            if (larger.trailing_zeros() as usize) < LISTS - 1 {
                return NonNull::new(list.cast_mut().cast());
            }
        }
        self.first_fit(own, need).or_else(|| self.first_fit(LISTS - 1, need))
    }

    fn first_fit(&self, bin: usize, need: usize) -> Option<NonNull<u8>> {
        let mut at = self.lists[bin].get();
        while let Some(free) = Self::free(at) {
            if free.size.get() >= need {
                return NonNull::new(at.cast_mut().cast());
            }
            at = free.next.get();
        }
        None
    }

    /// The longest free block.
    pub(super) fn longest(&self) -> usize {
        let Some(bin) = self.any.get().checked_ilog2() else { return 0 };
        let (mut longest, mut at) = (0, self.lists[bin as usize].get());
        while let Some(free) = Self::free(at) {
            longest = longest.max(free.size.get());
            at = free.next.get();
        }
        longest
    }

    /// Proves the lists, and counts the blocks on them.
    pub(super) fn check(&self, most: usize) -> Result<usize, Broken> {
        let mut count = 0;
        for (number, list) in self.lists.iter().enumerate() {
            let mut at = list.get();
            rule(at.is_null() == (self.any.get() & (1 << number) == 0), "the word says which lists have any", at)?;
            let mut before = ptr::null();
            while let Some(free) = Self::free(at) {
                count += 1;
                rule(count <= most, "a list of free blocks has no loop", at)?;
                rule(bin(free.size.get()) == number, "a free block is in the bin of its size", at)?;
                rule(ptr::eq(free.prev.get(), before), "a free block's links agree", at)?;
                (before, at) = (at, free.next.get());
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_bin_holds_longer_blocks_only() {
        for units in 1..100_000 {
            assert!(bin(units * MIN_ALIGN) <= bin((units + 1) * MIN_ALIGN));
            assert!(bin(units * MIN_ALIGN) < LISTS);
        }
        assert_eq!(bin(usize::MAX), LISTS - 1);
    }
}

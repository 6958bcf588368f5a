//! Runs of pages that came back and cannot be given back: kept, merged, used again.
//!
//! The list lives in the free runs themselves, in address order, so that a run that returns finds
//! its neighbours on the way to its place:
//!
//! ```text
//! first ──► ┌next│len│ ····· ┐ ──► ┌next│len│ ··· ┐ ──► null
//!           └ free run ──────┘     └ free run ────┘
//! ```
//!
//! Invariants: addresses ascend; no two runs touch (they would have been merged); every run is a
//! multiple of the page size, so it has room for its own two words.

use core::ptr::{self, NonNull};

/// Free runs of pages.
#[derive(Debug)]
pub struct Recycler {
    first: *mut Free,
}

#[repr(C)]
struct Free {
    next: *mut Free,
    len: usize,
}

// SAFETY: the runs belong to the recycler alone, whichever thread has it.
unsafe impl Send for Recycler {}

impl Default for Recycler {
    fn default() -> Self {
        Self::new()
    }
}

impl Recycler {
    /// Holds nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: ptr::null_mut() }
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        let mut total = 0;
        let mut at = self.first;
        while !at.is_null() {
            let run = Self::read(at);
            total += run.len;
            at = run.next;
        }
        total
    }

    /// How many separate runs are kept.
    #[must_use]
    pub fn runs(&self) -> usize {
        let mut count = 0;
        let mut at = self.first;
        while !at.is_null() {
            count += 1;
            at = Self::read(at).next;
        }
        count
    }

    /// Takes `len` bytes out of the smallest run that has them; their contents are whatever was left there.
    ///
    /// None for 0 and for what is not a multiple of two words, since the rest must have room for its own.
    pub fn take(&mut self, len: usize) -> Option<NonNull<u8>> {
        self.take_aligned(len, size_of::<Free>())
    }

    /// The same, at a multiple of `align`: a power of two, and no less than the alignment of what is given.
    pub fn take_aligned(&mut self, len: usize, align: usize) -> Option<NonNull<u8>> {
        if len == 0 || !len.is_multiple_of(size_of::<Free>()) {
            return None;
        }
        let gap = |run: *mut Free| run.addr().wrapping_neg() & (align - 1);
        let mut best: Option<(*mut Free, *mut Free, usize)> = None;
        let (mut before, mut at) = (ptr::null_mut(), self.first);
        while !at.is_null() {
            let run = Self::read(at);
            if run.len >= len && run.len - len >= gap(at) && best.is_none_or(|(_, _, least)| run.len < least) {
                best = Some((before, at, run.len));
            }
            (before, at) = (at, run.next);
        }
        let (before, found, found_len) = best?;
        let mut after = Self::read(found).next;
        let start = found.wrapping_byte_add(gap(found));
        let left = found_len - gap(found) - len;
        if left > 0 {
            let rest = start.wrapping_byte_add(len);
            Self::write(rest, Free { next: after, len: left });
            after = rest;
        }
        if start == found {
            self.link(before, after);
        } else {
            Self::write(found, Free { next: after, len: gap(found) });
        }
        NonNull::new(start.cast())
    }

    /// Takes `len` bytes that begin at this address, if they are all there.
    pub fn take_at(&mut self, start: NonNull<u8>, len: usize) -> bool {
        let wanted: *mut Free = start.as_ptr().cast();
        let (mut before, mut at) = (ptr::null_mut(), self.first);
        while !at.is_null() && at.addr() < wanted.addr() {
            (before, at) = (at, Self::read(at).next);
        }
        if at != wanted {
            return false;
        }
        let run = Self::read(at);
        if run.len < len {
            return false;
        }
        let mut after = run.next;
        if run.len > len {
            after = wanted.wrapping_byte_add(len);
            Self::write(after, Free { next: run.next, len: run.len - len });
        }
        self.link(before, after);
        true
    }

    /// Takes a run in, and merges it with the runs that it touches.
    ///
    /// # Safety
    ///
    /// The run is whole pages, belongs to the caller, and nothing uses it any more; it and all other
    /// runs given belong to one address space object (so that neighbours may be used as one).
    pub unsafe fn give(&mut self, start: NonNull<u8>, len: usize) {
        let run: *mut Free = start.as_ptr().cast();
        let (mut before, mut after) = (ptr::null_mut::<Free>(), self.first);
        while !after.is_null() && after.addr() < run.addr() {
            (before, after) = (after, Self::read(after).next);
        }
        let (mut next, mut whole) = (after, len);
        if !after.is_null() && run.addr() + len == after.addr() {
            let touching = Self::read(after);
            (next, whole) = (touching.next, len + touching.len);
        }
        if !before.is_null() {
            let touching = Self::read(before);
            if before.addr() + touching.len == run.addr() {
                Self::write(before, Free { next, len: touching.len + whole });
                return;
            }
        }
        Self::write(run, Free { next, len: whole });
        self.link(before, run);
    }

    fn link(&mut self, before: *mut Free, to: *mut Free) {
        if before.is_null() {
            self.first = to;
        } else {
            let len = Self::read(before).len;
            Self::write(before, Free { next: to, len });
        }
    }

    fn read(run: *mut Free) -> Free {
        // SAFETY: only runs that the recycler owns are on its list, each with its words at the front.
        unsafe { run.read() }
    }

    fn write(run: *mut Free, words: Free) {
        // SAFETY: the recycler owns the run, which is a page or longer, so the words fit.
        unsafe { run.write(words) };
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const PAGE: usize = 64;

    /// Against a map of which pages are free: the naive model.
    #[test]
    fn runs_merge_and_are_used_again() {
        let mut memory = vec![0_u64; 256 * PAGE / 8];
        let base: *mut u8 = memory.as_mut_ptr().cast();
        let mut recycler = Recycler::new();
        let mut free = [false; 256];
        let mut held: Vec<(usize, usize)> = (0..64).map(|i| (i * 4, 4)).collect();
        let mut random = 1_u32;
        let mut next = |below: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % below
        };
        for _ in 0..20_000 {
            if !held.is_empty() && next(2) == 0 {
                let (page, pages) = held.swap_remove(next(held.len()));
                let start = NonNull::new(base.wrapping_add(page * PAGE)).expect("inside");
                // SAFETY: the run is whole pages of `memory` that the recycler does not hold.
                unsafe { recycler.give(start, pages * PAGE) };
                free[page..page + pages].fill(true);
            } else {
                let pages = 1 + next(8);
                let longest = free.split(|f| !f).map(<[bool]>::len).max().unwrap_or(0);
                match recycler.take(pages * PAGE) {
                    None => assert!(longest < pages),
                    Some(start) => {
                        let page = (start.as_ptr().addr() - base.addr()) / PAGE;
                        assert!(free[page..page + pages].iter().all(|f| *f));
                        free[page..page + pages].fill(false);
                        held.push((page, pages));
                    }
                }
            }
            assert_eq!(recycler.kept(), free.iter().filter(|f| **f).count() * PAGE);
            assert_eq!(recycler.runs(), free.split(|f| !f).filter(|run| !run.is_empty()).count());
        }
        drop(memory);
    }

    #[test]
    fn a_run_is_taken_where_it_is_aligned_or_where_it_is_asked_for() {
        #[repr(align(1024))]
        struct Aligned([u8; 16 * PAGE]);
        let mut memory = Aligned([0; 16 * PAGE]);
        let base: *mut u8 = memory.0.as_mut_ptr();
        let page = |number: usize| NonNull::new(base.wrapping_add(number * PAGE)).expect("inside");
        let mut recycler = Recycler::new();
        // SAFETY: pages of `memory`, which nothing else uses.
        unsafe { recycler.give(page(1), 9 * PAGE) };
        assert_eq!(recycler.take_aligned(7 * PAGE, 4 * PAGE), None, "there are six from the first such place on");
        assert_eq!(recycler.take_aligned(2 * PAGE, 4 * PAGE), Some(page(4)));
        assert_eq!((recycler.kept(), recycler.runs()), (7 * PAGE, 2));
        assert!(!recycler.take_at(page(4), PAGE), "it is not there");
        assert!(!recycler.take_at(page(7), PAGE), "it is inside a run");
        assert!(!recycler.take_at(page(6), 5 * PAGE), "there are four");
        assert!(recycler.take_at(page(6), PAGE));
        assert!(recycler.take_at(page(1), 3 * PAGE));
        assert_eq!((recycler.kept(), recycler.runs()), (3 * PAGE, 1));
        assert_eq!(recycler.take_aligned(3 * PAGE, PAGE), Some(page(7)));
        assert_eq!(recycler.kept(), 0);
    }
}

//! Which of a store's blocks holds an address: a splay tree in the blocks' own heads.
//!
//! A [`Range`] stands at the front of its block, so its own address is where the block starts. The
//! tree needs no memory beside them, answers without reading what an address points to, and moves
//! what was asked for last to the root, so that asking again is one comparison.
//! (Sleator and Tarjan's top-down splaying.)

use core::cell::Cell as Var;
use core::cmp::Ordering;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

use crate::inspect::fields::{Field, Form};

/// The front of a block: its place in the tree, and where the block ends.
#[repr(C)]
pub(crate) struct Range {
    left: Var<*const Range>,
    right: Var<*const Range>,
    /// The block, by the pointer that its source gave for all of it.
    block: Var<NonNull<u8>>,
    end: Var<usize>,
}

/// What [`inspect::front`](crate::inspect::front) tells of what begins with one.
pub(crate) const FIELDS: [Field; 4] = [
    Field::word("left", offset_of!(Range, left), Form::Link),
    Field::word("right", offset_of!(Range, right), Form::Link),
    Field::word("block", offset_of!(Range, block), Form::Link),
    Field::word("end", offset_of!(Range, end), Form::Link),
];

const _: () = assert!(offset_of!(Range, left) == 0);

impl Range {
    /// The front of a block of `len` bytes.
    pub(crate) fn new(block: NonNull<u8>, len: usize) -> Self {
        let end = block.addr().get() + len;
        Self { left: Var::new(ptr::null()), right: Var::new(ptr::null()), block: Var::new(block), end: Var::new(end) }
    }

    /// The block.
    #[inline]
    pub(crate) fn block(&self) -> NonNull<u8> {
        self.block.get()
    }

    /// Where the block ends.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.end.get()
    }

    fn start(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Where an address lies as seen from this block.
    fn side(&self, address: usize) -> Ordering {
        if address < self.start() {
            Ordering::Less
        } else if address >= self.end.get() {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }
}

/// The blocks of a store, which do not overlap.
pub(crate) struct Ranges {
    root: Var<*const Range>,
}

impl Ranges {
    pub(crate) const fn new() -> Self {
        Self { root: Var::new(ptr::null()) }
    }

    /// The block that holds an address, whatever the address is.
    pub(crate) fn find(&self, address: usize) -> Option<NonNull<u8>> {
        let root = Self::read(self.root.get())?;
        if root.side(address) == Ordering::Equal {
            return Some(root.block());
        }
        let root = Self::splay(root, address);
        self.root.set(root);
        (root.side(address) == Ordering::Equal).then_some(root.block())
    }

    /// Takes a block in.
    ///
    /// # Safety
    ///
    /// The range is initialised, overlaps none that is in, and stays where it is until it is removed.
    pub(crate) unsafe fn insert(&self, range: *const Range) {
        let Some(new) = Self::read(range) else { return };
        new.left.set(ptr::null());
        new.right.set(ptr::null());
        if let Some(root) = Self::read(self.root.get()) {
            let root = Self::splay(root, new.start());
            if root.side(new.start()) == Ordering::Less {
                new.left.set(root.left.replace(ptr::null()));
                new.right.set(root);
            } else {
                new.right.set(root.right.replace(ptr::null()));
                new.left.set(root);
            }
        }
        self.root.set(range);
    }

    /// Takes a block out that is in.
    pub(crate) fn remove(&self, range: *const Range) {
        let Some(root) = Self::read(self.root.get()) else { return };
        let root = Self::splay(root, range.addr());
        debug_assert!(ptr::eq(root, range), "the block is in the tree");
        let rest = match Self::read(root.left.get()) {
            None => root.right.get(),
            Some(left) => {
                // Everything in it is smaller, so its largest comes up and has nothing on its right.
                let left = Self::splay(left, range.addr());
                left.right.set(root.right.get());
                left
            }
        };
        self.root.set(rest);
    }

    /// Brings the block of an address, or a neighbour of where it would be, to the root of a tree.
    fn splay(mut top: &Range, address: usize) -> &Range {
        let ends = Range::new(NonNull::dangling(), 0);
        // What was found to be smaller hangs on the right of `low`, what is larger on the left of `high`.
        let (mut low, mut high): (&Range, &Range) = (&ends, &ends);
        loop {
            match top.side(address) {
                Ordering::Equal => break,
                Ordering::Less => {
                    let Some(mut next) = Self::read(top.left.get()) else { break };
                    if next.side(address) == Ordering::Less {
                        top.left.set(next.right.get());
                        next.right.set(top);
                        top = next;
                        let Some(further) = Self::read(top.left.get()) else { break };
                        next = further;
                    }
                    high.left.set(top);
                    high = top;
                    top = next;
                }
                Ordering::Greater => {
                    let Some(mut next) = Self::read(top.right.get()) else { break };
                    if next.side(address) == Ordering::Greater {
                        top.right.set(next.left.get());
                        next.left.set(top);
                        top = next;
                        let Some(further) = Self::read(top.right.get()) else { break };
                        next = further;
                    }
                    low.right.set(top);
                    low = top;
                    top = next;
                }
            }
        }
        low.right.set(top.left.get());
        high.left.set(top.right.get());
        top.left.set(ends.right.get());
        top.right.set(ends.left.get());
        top
    }

    fn read<'a>(range: *const Range) -> Option<&'a Range> {
        // SAFETY: `insert`'s caller promised that every range that is in stays there, initialised;
        // links are null or of such ranges. Ranges are only changed through shared references.
        unsafe { range.as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::vec::Vec;

    /// Against a map from the standard library, with blocks of one array.
    #[test]
    fn finds_what_a_sorted_map_finds() {
        const UNIT: usize = size_of::<Range>();
        let slots: Vec<Range> = (0..4096).map(|_| Range::new(NonNull::dangling(), 0)).collect();
        let ranges = Ranges::new();
        let mut model: BTreeMap<usize, usize> = BTreeMap::new();
        let base = slots.as_ptr().addr();
        let mut random = 7_u32;
        let mut next = |below: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % below
        };
        for _ in 0..100_000 {
            let slot = next(4096);
            let covering = model.range(..=slot).next_back().filter(|(first, len)| slot < *first + **len);
            let found = ranges.find(base + slot * UNIT + next(UNIT));
            assert_eq!(found.map(|r| (r.addr().get() - base) / UNIT), covering.map(|(first, _)| *first));
            if let Some((&first, _)) = covering {
                model.remove(&first);
                ranges.remove(&raw const slots[first]);
            } else {
                let room = model.range(slot..).next().map_or(4096, |(next, _)| *next) - slot;
                let len = (1 + next(8)).min(room);
                slots[slot].block.set(NonNull::from(&slots[slot]).cast());
                slots[slot].end.set(base + (slot + len) * UNIT);
                // SAFETY: the slots stay where they are, and this one touches no other block.
                unsafe { ranges.insert(&raw const slots[slot]) };
                model.insert(slot, len);
            }
        }
        assert!(model.len() > 100);
    }
}

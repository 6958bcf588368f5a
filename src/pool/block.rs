//! The blocks that a pool takes from its source.
//!
//! ```text
//! start            first payload - header
//! ├ Block ┤├ gap ┤├ cell ┤├ cell ┤├ cell ┤ … ┤ rest less than a cell ┤
//! ```

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

use super::Pool;
use crate::cell::{Layer, MIN_ALIGN, inside, round_up};
use crate::inspect::fields::{Field, Form, Front, after};
use crate::poison::{hide, show};
use crate::ranges::{self, Range};
use crate::seeded::seeded;
use crate::wipe::wipe_if;
use crate::{Cond, Source};

/// The front of a block.
#[repr(C)]
pub(super) struct Block {
    range: Range,
    /// The block before this one, or the next of the spare ones.
    prev: Var<*const Block>,
    /// Bytes, as the source gave them.
    size: Var<usize>,
    /// Offset of the first cell.
    first: Var<usize>,
    /// Whether what was never handed out is zero.
    zeroed: Var<bool>,
    /// Not spare: cells of it have been handed out.
    in_use: Var<bool>,
    /// Bytes of cells that were handed out since they were last wiped.
    dirty: Var<usize>,
}

/// What [`inspect::front`](crate::inspect::front) tells of a block.
pub(crate) const FRONT: Front = Front { size: size_of::<Block>(), fields: &FIELDS };

const FIELDS: [Field; ranges::FIELDS.len() + 6] = after(
    &ranges::FIELDS,
    &[
        Field::word("prev", offset_of!(Block, prev), Form::Link),
        Field::word("size", offset_of!(Block, size), Form::Number),
        Field::word("first", offset_of!(Block, first), Form::Number),
        Field::new("zeroed", offset_of!(Block, zeroed), 1, Form::Flag),
        Field::new("in_use", offset_of!(Block, in_use), 1, Form::Flag),
        Field::word("dirty", offset_of!(Block, dirty), Form::Number),
    ],
);

/// Bytes in front of a block's first cell, at the most.
pub(super) const fn front(align: usize, header: usize) -> usize {
    round_up(size_of::<Block>()) + header + align
}

impl Block {
    pub(super) fn start(&self) -> NonNull<u8> {
        self.range.block()
    }

    pub(super) fn base(&self) -> *mut u8 {
        self.start().as_ptr()
    }

    pub(super) fn range(&self) -> *const Range {
        &raw const self.range
    }

    fn layout(&self) -> Layout {
        // SAFETY: the source granted a block of this size and alignment.
        unsafe { Layout::from_size_align_unchecked(self.size(), MIN_ALIGN) }
    }

    pub(super) fn size(&self) -> usize {
        self.size.get()
    }

    pub(super) fn zeroed(&self) -> bool {
        self.zeroed.get()
    }

    pub(super) fn first(&self) -> *mut u8 {
        self.base().wrapping_add(self.first.get())
    }

    /// Where the last whole cell ends.
    pub(super) fn end(&self, stride: usize) -> *mut u8 {
        self.first().wrapping_add((self.size() - self.first.get()) / stride * stride)
    }

    pub(super) fn prev<'a>(&self) -> Option<&'a Self> {
        // SAFETY: a block's link is null or to a block that the pool holds.
        unsafe { self.prev.get().as_ref() }
    }
}

impl<S: Source, H: Layer> Pool<S, H> {
    /// The block that fresh cells come from.
    pub(super) fn newest<'a>(&self) -> Option<&'a Block> {
        // SAFETY: null or a block that the pool holds.
        unsafe { self.block.get().as_ref() }
    }

    /// The blocks in use, newest first, each with where its handed-out cells end.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (&Block, *mut u8)> {
        let mut next = self.newest().map(|block| (block, self.fresh.get()));
        core::iter::from_fn(move || {
            let this = next?;
            next = this.0.prev().map(|block| (block, block.end(self.stride)));
            Some(this)
        })
    }

    /// The payload at an address, if it is that of a cell that was handed out at least once.
    pub(super) fn handed_out(&self, payload: NonNull<u8>) -> Option<NonNull<u8>> {
        let address = payload.addr().get();
        let block = self.ranges.find(address)?;
        // SAFETY: at the front of a block stands its head.
        let block: &Block = unsafe { block.cast::<Block>().as_ref() };
        let end = if ptr::eq(block, self.block.get()) { self.fresh.get() } else { block.end(self.stride) };
        let first = block.first().addr() + Self::HEADER;
        let is_cell = block.in_use.get()
            && address >= first
            && address < end.addr()
            && (address - first).is_multiple_of(self.stride);
        // The caller's pointer has told an address; what is read is read through the block's own.
        is_cell.then(|| inside(block.start(), address - block.start().addr().get()))
    }

    /// Makes the next block the one that fresh cells come from: a spare one, or one from the source.
    pub(super) fn next_block(&self) -> Result<(), Cond> {
        if self.frozen.get() {
            return Err(Cond::InUse);
        }
        // SAFETY: null or a block that the pool holds.
        let block = match unsafe { self.spare.get().as_ref() } {
            Some(block) => {
                self.spare.set(block.prev.get());
                block
            }
            None => self.grant_block()?,
        };
        block.in_use.set(true);
        block.prev.set(self.block.get());
        self.block.set(block);
        self.fresh.set(block.first());
        self.end.set(block.end(self.stride));
        Ok(())
    }

    fn grant_block<'a>(&self) -> Result<&'a Block, Cond> {
        let need = front(self.align, Self::HEADER).checked_add(self.stride).ok_or(Cond::BadSize)?;
        let wish = self.newest().map_or(self.growth.first, |block| self.growth.after(block.size()));
        // What bounds a pool is a number of cells.
        let grant = self.growth.ask(&self.source, need, wish, usize::MAX)?;
        let (start, size) = (grant.bytes.cast::<u8>(), grant.bytes.len());
        self.held.set(self.held.get() + size);
        let base = start.addr().get();
        let front = base + round_up(size_of::<Block>()) + Self::HEADER;
        let first = (front + self.align - 1) & !(self.align - 1);
        let block = Block {
            range: Range::new(start, size),
            prev: Var::new(ptr::null()),
            size: Var::new(size),
            first: Var::new(first - Self::HEADER - base),
            zeroed: Var::new(grant.zeroed),
            in_use: Var::new(false),
            dirty: Var::new(0),
        };
        let place = start.cast::<Block>();
        // SAFETY: the grant is ours, aligned to `MIN_ALIGN` and at least `need` long.
        unsafe { place.write(block) };
        // SAFETY: just written; from now on only shared references are made.
        let block = unsafe { place.as_ref() };
        hide(inside(start, block.first.get()), size - block.first.get());
        if H::HEADERS {
            // SAFETY: the block overlaps no other and stays until it is given back.
            unsafe { self.ranges.insert(block.range()) };
        }
        Ok(block)
    }

    /// Makes every cell as if it had never been handed out; all blocks become spare.
    pub(super) fn forget_cells(&self) {
        self.peak.set(self.peak.get().max(self.handed.get()));
        while let Some(block) = self.newest() {
            let end = if ptr::eq(block, self.block.get()) { self.fresh.get() } else { block.end(self.stride) };
            let handed_out = end.addr() - block.first().addr();
            let whole = self.is_tainted();
            let first = inside(block.start(), block.first.get());
            show(first, handed_out);
            let mut at = 0;
            while H::HEADERS && !whole && at < handed_out {
                let payload = inside(first, at + Self::HEADER);
                let tainted = self.header(payload).is_tainted();
                // SAFETY: the cell's bytes, used no more.
                unsafe { wipe_if(tainted, payload, self.stride - Self::HEADER) };
                at += self.stride;
            }
            hide(first, handed_out);
            block.dirty.set(block.dirty.get().max(handed_out));
            block.in_use.set(false);
            if handed_out > 0 {
                block.zeroed.set(false);
            }
            self.block.set(block.prev.replace(self.spare.get()));
            self.spare.set(block);
            if let Some(before) = self.newest() {
                self.fresh.set(before.end(self.stride));
            }
        }
        if self.is_tainted() {
            for block in self.spare_blocks() {
                let (first, dirty) = (inside(block.start(), block.first.get()), block.dirty.replace(0));
                show(first, dirty);
                // SAFETY: all of these bytes were handed out and are used no more.
                unsafe { wipe_if(true, first, dirty) };
                hide(first, dirty);
            }
        }
        for link in [&self.top, &self.bottom, &self.recent] {
            if !seeded("reset_keeps_its_free_cells") {
                link.set(ptr::null());
            }
        }
        self.fresh.set(ptr::null_mut());
        self.end.set(ptr::null_mut());
        self.handed.set(0);
    }

    /// Gives all blocks back, which are spare; those that are refused stay.
    pub(super) fn give_back_blocks(&self) -> Result<(), Cond> {
        // Newest first, as a source that takes only its newest block back wants it.
        let mut newest_first: *const Block = ptr::null();
        // SAFETY: null or a block that the pool holds.
        while let Some(block) = unsafe { self.spare.get().as_ref() } {
            self.spare.set(block.prev.replace(newest_first));
            newest_first = block;
        }
        self.spare.set(newest_first);
        let mut answer = Ok(());
        let mut kept: *const Block = ptr::null();
        // SAFETY: null or a block that the pool holds.
        while let Some(block) = unsafe { self.spare.get().as_ref() } {
            self.spare.set(block.prev.get());
            if H::HEADERS {
                self.ranges.remove(block.range());
            }
            show(block.start(), block.size());
            let size = block.size();
            // SAFETY: the block came from the source with this layout, and nothing is in it.
            if let Err(cond) = unsafe { self.source.free(block.start(), block.layout()) } {
                answer = Err(cond);
                if H::HEADERS {
                    // SAFETY: it was in until just now.
                    unsafe { self.ranges.insert(block.range()) };
                }
                block.prev.set(kept);
                kept = block;
            } else {
                self.held.set(self.held.get() - size);
            }
        }
        self.spare.set(kept);
        answer
    }

    /// The blocks that wait to be used again.
    pub(super) fn spare_blocks<'a>(&self) -> impl Iterator<Item = &'a Block> {
        // SAFETY: null or a block that the pool holds.
        let first: Option<&Block> = unsafe { self.spare.get().as_ref() };
        core::iter::successors(first, |block| block.prev())
    }
}

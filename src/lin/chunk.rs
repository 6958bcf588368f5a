//! The chunks that a linear region takes from its source.
//!
//! ```text
//! start                        first                                    end
//! ├ Chunk ┤├ live map (Headers) ┤├ cells …                              ┤
//! ```

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

use super::Lin;
use crate::bits::Bits;
use crate::cell::{Cell, Layer, MIN_ALIGN, inside, round_up};
use crate::inspect::fields::{Field, Form, Front, after};
use crate::poison::{hide, show};
use crate::ranges::{self, Range};
use crate::seeded::seeded;
use crate::wipe::wipe_if;
use crate::{Cond, Source};

/// The front of a chunk.
#[repr(C)]
pub(super) struct Chunk {
    range: Range,
    /// The chunk before this one, or the next of the spare ones.
    prev: Var<*const Chunk>,
    /// Bytes in whole units, as the source gave them.
    size: Var<usize>,
    /// The first cell.
    first: Var<*mut u8>,
    /// Where the cells of the chunk before this one end: where the cursor stood when the region went on to this one.
    end_before: Var<*mut u8>,
    /// Every byte from this address on that is not before the cursor is zero.
    fresh: Var<usize>,
    /// Bytes from this address on were not handed out since they were last wiped.
    #[cfg(feature = "shred")]
    high: Var<usize>,
}

const HEAD: usize = round_up(size_of::<Chunk>());

/// No chunk reaches into so many bytes before the end of all addresses, where no system has memory to give: the
/// next cell's end then cannot be past it, unless the cell is larger.
const LAST: usize = 4096;

/// Whether the end of so many bytes cannot be past the last of all addresses, wherever a cell begins. A module for
/// WebAssembly is to be small, and does without.
pub(super) const fn ends(size: usize) -> bool {
    cfg!(not(target_arch = "wasm32")) && size <= LAST
}

/// What [`inspect::front`](crate::inspect::front) tells of a chunk.
pub(crate) const FRONT: Front = Front { size: size_of::<Chunk>(), fields: &FIELDS };

const FIELDS: [Field; ranges::FIELDS.len() + 5 + cfg!(feature = "shred") as usize] = after(
    &ranges::FIELDS,
    &[
        Field::word("prev", offset_of!(Chunk, prev), Form::Link),
        Field::word("size", offset_of!(Chunk, size), Form::Number),
        Field::word("first", offset_of!(Chunk, first), Form::Link),
        Field::word("end_before", offset_of!(Chunk, end_before), Form::Link),
        Field::word("fresh", offset_of!(Chunk, fresh), Form::Link),
        #[cfg(feature = "shred")]
        Field::word("high", offset_of!(Chunk, high), Form::Link),
    ],
);

impl Chunk {
    #[inline]
    fn base(&self) -> *mut u8 {
        self.start().as_ptr()
    }

    #[inline]
    pub(super) fn start(&self) -> NonNull<u8> {
        self.range.block()
    }

    pub(super) fn range(&self) -> *const Range {
        &raw const self.range
    }

    pub(super) fn layout(&self) -> Layout {
        // SAFETY: the source granted a block of this size and alignment.
        unsafe { Layout::from_size_align_unchecked(self.size(), MIN_ALIGN) }
    }

    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size.get()
    }

    #[inline]
    pub(super) fn first(&self) -> *mut u8 {
        self.first.get()
    }

    #[inline]
    pub(super) fn end(&self) -> *mut u8 {
        self.base().with_addr(self.range.end())
    }

    pub(super) fn prev<'a>(&self) -> Option<&'a Self> {
        // SAFETY: a chunk's link is null or to a chunk that the region holds.
        unsafe { self.prev.get().as_ref() }
    }

    /// The chunk before this one, and where its cells end; only of a chunk in use.
    pub(super) fn before<'a>(&self) -> Option<(&'a Self, *mut u8)> {
        self.prev().map(|chunk| (chunk, self.end_before.get()))
    }

    pub(super) fn set_prev(&self, prev: *const Self) {
        self.prev.set(prev);
    }

    pub(super) fn fresh(&self) -> usize {
        self.fresh.get()
    }

    /// Notes that bytes up to an address have been handed out.
    #[inline]
    pub(super) fn touched(&self, up_to: *mut u8) {
        self.fresh.set(self.fresh.get().max(up_to.addr()));
        #[cfg(feature = "shred")]
        self.high.set(self.high.get().max(up_to.addr()));
    }

    /// Wipes from an address up to all that was handed out since it was last wiped.
    #[cfg(feature = "shred")]
    fn wipe_from(&self, from: *mut u8) {
        let len = self.high.get().saturating_sub(from.addr());
        if len > 0 {
            let start = inside(self.start(), from.addr() - self.base().addr());
            show(start, len);
            // SAFETY: all of it was handed out and is used no more.
            unsafe { wipe_if(true, start, len) };
            hide(start, len);
            self.high.set(from.addr());
        }
    }

    /// The map of live payloads; only in regions with headers.
    pub(super) fn live(&self) -> Bits {
        // SAFETY: between the head and the first cell lies a map for the whole chunk, cleared when
        // the chunk was taken.
        unsafe { Bits::at(inside(self.start(), HEAD)) }
    }

    pub(super) fn index(&self, payload: *mut u8) -> usize {
        (payload.addr() - self.base().addr()) / MIN_ALIGN
    }

    /// Whether a live payload begins at an address of this chunk.
    pub(super) fn is_live(&self, address: *mut u8) -> bool {
        address.addr().is_multiple_of(MIN_ALIGN)
            && address.addr() >= self.first().addr()
            && self.live().get(self.index(address))
    }
}

impl<S: Source, H: Layer> Lin<S, H> {
    /// The chunk that the cursor is in.
    pub(super) fn newest<'a>(&self) -> Option<&'a Chunk> {
        // SAFETY: null or a chunk that the region holds.
        unsafe { self.chunk.get().as_ref() }
    }

    /// The chunk that was the first to be used.
    pub(super) fn oldest<'a>(&self) -> Option<&'a Chunk> {
        core::iter::successors(self.newest(), |chunk| chunk.prev()).last()
    }

    /// The chunk that holds an address; only with headers.
    pub(super) fn chunk_of<'a>(&self, address: NonNull<u8>) -> Option<&'a Chunk> {
        let block = self.ranges.find(address.addr().get())?;
        // SAFETY: at the front of a chunk stands its head.
        Some(unsafe { block.cast::<Chunk>().as_ref() })
    }

    pub(super) fn pop_spare<'a>(&self) -> Option<&'a Chunk> {
        // SAFETY: null or a chunk that the region holds.
        let chunk: &Chunk = unsafe { self.spare.get().as_ref() }?;
        self.spare.set(chunk.prev.get());
        Some(chunk)
    }

    /// Makes a chunk current that has room for a cell of a size in whole units: a spare one, or one from the source.
    #[cold]
    #[inline(never)]
    pub(super) fn next_chunk(&self, size: usize, align: usize) -> Result<(), Cond> {
        if self.frozen.get() {
            return Err(Cond::InUse);
        }
        // A chunk's first payload is aligned to a unit; one that needs more may have to move up. No overflow, here
        // and below: a layout's size and alignment together are at most half of all addresses.
        let need = size + Self::HEADER + (align.max(MIN_ALIGN) - MIN_ALIGN);
        let (before, end_before, below) = (self.chunk.get(), self.cursor.get(), self.used_bytes());
        let chunk = match self.take_spare(need) {
            Some(chunk) => chunk,
            None => self.grant_chunk(need)?,
        };
        chunk.prev.set(before);
        chunk.end_before.set(end_before);
        let first = chunk.first();
        self.chunk.set(chunk);
        self.cursor.set(first);
        self.limit.set(chunk.end());
        self.origin.set(first.addr().wrapping_sub(below));
        Ok(())
    }

    fn take_spare<'a>(&self, need: usize) -> Option<&'a Chunk> {
        let mut link = &self.spare;
        loop {
            // SAFETY: null or a chunk that the region holds.
            let chunk: &Chunk = unsafe { link.get().as_ref() }?;
            if chunk.end().addr() - chunk.first().addr() >= need {
                link.set(chunk.prev.get());
                return Some(chunk);
            }
            link = &chunk.prev;
        }
    }

    fn grant_chunk<'a>(&self, need: usize) -> Result<&'a Chunk, Cond> {
        let need = need + HEAD;
        // The map has a bit for each unit, itself and the head included.
        let need = if H::HEADERS { round_up(need + need / (MIN_ALIGN * 8 - 1) + MIN_ALIGN) } else { need };
        let wish = self.newest().map_or(self.growth.first, |chunk| self.growth.after(chunk.size()));
        let left = self.growth.limit.checked_sub(self.held.get()).ok_or(Cond::NoRoom)?;
        let grant = self.growth.ask(&self.source, need, wish, left)?;
        // Whole units, no fewer than were asked for.
        let (start, size) = (grant.bytes.cast::<u8>(), grant.bytes.len() & !(MIN_ALIGN - 1));
        if ends(0) && start.addr().get() > usize::MAX - LAST - size {
            let layout = Layout::from_size_align(size, MIN_ALIGN).map_err(|_| Cond::BadSize)?;
            // What the source does not take back is no use to anybody.
            // SAFETY: just granted, used by nobody, and by its whole length as a chunk's would be.
            let _ = unsafe { self.source.free(start, layout) };
            return Err(Cond::NoRoom);
        }
        self.held.set(self.held.get() + size);
        let first = if H::HEADERS { round_up(HEAD + Bits::bytes(size)) } else { HEAD };
        let base = start.addr().get();
        let chunk = Chunk {
            range: Range::new(start, size),
            prev: Var::new(ptr::null()),
            size: Var::new(size),
            first: Var::new(start.as_ptr().wrapping_add(first)),
            end_before: Var::new(ptr::null_mut()),
            fresh: Var::new(if grant.zeroed { base } else { base + size }),
            #[cfg(feature = "shred")]
            high: Var::new(base),
        };
        let place = start.cast::<Chunk>();
        // SAFETY: the block is ours, aligned to `MIN_ALIGN` and at least `need` long.
        unsafe { place.write(chunk) };
        // SAFETY: just written; from now on only shared references are made.
        let chunk = unsafe { place.as_ref() };
        hide(inside(start, first), size - first);
        if H::HEADERS {
            chunk.live().clear_all(size);
            // SAFETY: the block overlaps no other and stays until it is given back.
            unsafe { self.ranges.insert(chunk.range()) };
        }
        Ok(chunk)
    }

    /// Takes the cursor back to a place in a chunk (null: out of all chunks); what lies after it is
    /// wiped where it is tainted, and the chunks after it become spare.
    pub(super) fn unwind(&self, to: *const Chunk, cursor: *mut u8) {
        let mut used = self.cursor.get();
        while let Some(chunk) = self.newest() {
            let last = ptr::eq(chunk, to);
            let from = if last { cursor } else { chunk.first() };
            if !seeded("rewound_memory_passes_for_zero") {
                chunk.touched(used);
            }
            self.clear(chunk, from, used);
            if last {
                self.cursor.set(cursor);
                self.limit.set(chunk.end());
                return self.wipe_spare();
            }
            let below = chunk.first().addr().wrapping_sub(self.origin.get());
            used = chunk.end_before.get();
            self.origin.set(used.addr().wrapping_sub(below));
            self.chunk.set(chunk.prev.replace(self.spare.get()));
            self.spare.set(chunk);
        }
        self.cursor.set(ptr::null_mut());
        self.limit.set(ptr::null_mut());
        self.wipe_spare();
    }

    /// Wipes what was handed out in spare chunks before the region was tainted.
    fn wipe_spare(&self) {
        #[cfg(feature = "shred")]
        if self.is_tainted() {
            self.spare_chunks().for_each(|chunk| chunk.wipe_from(chunk.first()));
        }
    }

    /// Forgets the cells in a part of a chunk, and wipes what is tainted.
    fn clear(&self, chunk: &Chunk, from: *mut u8, to: *mut u8) {
        let len = to.addr() - from.addr();
        let start = inside(chunk.start(), from.addr() - chunk.base().addr());
        if H::HEADERS {
            let rest = Self::each_cell(from, to, |header, at, extent| {
                let payload = at.wrapping_add(size_of::<Cell>());
                chunk.live().clear(chunk.index(payload));
                let bytes = inside(start, payload.addr() - from.addr());
                show(bytes, extent - size_of::<Cell>());
                // SAFETY: the cell's own bytes, which are used no more.
                unsafe { wipe_if(header.is_tainted(), bytes, extent - size_of::<Cell>()) };
            });
            if rest != to {
                self.clear_unknown(chunk, rest, to);
            }
        }
        hide(start, len);
        #[cfg(feature = "shred")]
        if self.is_tainted() {
            chunk.wipe_from(from);
        }
    }

    /// The same behind a header that was overwritten, where nobody knows which cells are tainted.
    #[cold]
    fn clear_unknown(&self, chunk: &Chunk, from: *mut u8, to: *mut u8) {
        (chunk.index(from)..chunk.index(to)).for_each(|index| chunk.live().clear(index));
        let (bytes, len) = (inside(chunk.start(), from.addr() - chunk.base().addr()), to.addr() - from.addr());
        show(bytes, len);
        // SAFETY: they are cells' and their headers, and used no more.
        unsafe { wipe_if(true, bytes, len) };
    }

    /// The bytes before the cursor, in all chunks.
    #[inline]
    pub(super) fn used_bytes(&self) -> usize {
        self.cursor.get().addr().wrapping_sub(self.origin.get())
    }

    /// The chunks that wait to be used again.
    pub(super) fn spare_chunks<'a>(&self) -> impl Iterator<Item = &'a Chunk> {
        // SAFETY: null or a chunk that the region holds.
        let first: Option<&Chunk> = unsafe { self.spare.get().as_ref() };
        core::iter::successors(first, |chunk| chunk.prev())
    }

    /// Bytes held from the source.
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// See [`Source::largest`].
    pub(super) fn largest_cell(&self) -> Option<usize> {
        let source = self.source.largest()?;
        let spare = self.spare_chunks().map(|chunk| chunk.end().addr() - chunk.first().addr()).max();
        let here = (self.limit.get().addr() - self.cursor.get().addr()).max(spare.unwrap_or(0));
        let here = here.saturating_sub(Self::HEADER);
        let map = if H::HEADERS { source / (MIN_ALIGN * 8) + 2 * MIN_ALIGN } else { 0 };
        let fresh = source.saturating_sub(HEAD + map + Self::HEADER + 2 * MIN_ALIGN);
        Some(here.max(fresh) & !(MIN_ALIGN - 1))
    }
}

//! The chunks that a heap takes from its source.
//!
//! ```text
//! shared   ├ Chunk ┤├ live map ┤├ edge map ┤├ blocks …                                ┤
//! solo     ├ Chunk ┤├ gap ┤├ Cell ┤├ payload …                                        ┤
//! ```

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

use super::small::Under;
use super::{HEADER, Heap, bins};
use crate::bits::Bits;
use crate::cell::{MIN_ALIGN, inside, round_up};
use crate::inspect::fields::{Field, Form, Front, after};
use crate::poison::show;
use crate::ranges::{self, Range};
use crate::seeded::seeded;
use crate::wipe::wipe_if;
use crate::{Cond, Source};

/// The front of a chunk.
#[repr(C)]
pub(super) struct Chunk {
    range: Range,
    next: Var<*const Chunk>,
    prev: Var<*const Chunk>,
    /// Bytes, as the source gave them.
    size: Var<usize>,
    /// Offset of the first block; solo: of the payload's header.
    first: Var<usize>,
    /// Live cells in it.
    live: Var<usize>,
    solo: Var<bool>,
    /// Whether its cells lie in spans, and whether it came as a segment.
    spans: Var<bool>,
    segment: Var<bool>,
}

const HEAD: usize = round_up(size_of::<Chunk>());

/// What [`inspect::front`](crate::inspect::front) tells of a chunk.
pub(crate) const FRONT: Front = Front { size: size_of::<Chunk>(), fields: &FIELDS };

const FIELDS: [Field; ranges::FIELDS.len() + 6] = after(
    &ranges::FIELDS,
    &[
        Field::word("next", offset_of!(Chunk, next), Form::Link),
        Field::word("prev", offset_of!(Chunk, prev), Form::Link),
        Field::word("size", offset_of!(Chunk, size), Form::Number),
        Field::word("first", offset_of!(Chunk, first), Form::Number),
        Field::word("live", offset_of!(Chunk, live), Form::Number),
        Field::new("solo", offset_of!(Chunk, solo), 1, Form::Flag),
    ],
);

/// Bytes for blocks in a shared chunk of `size` bytes.
pub(super) const fn usable(size: usize) -> usize {
    size.saturating_sub(round_up(HEAD + 2 * Bits::bytes(size))) & !(MIN_ALIGN - 1)
}

impl Chunk {
    pub(super) fn start(&self) -> NonNull<u8> {
        self.range.block()
    }

    pub(super) fn range(&self) -> *const Range {
        &raw const self.range
    }

    pub(super) fn size(&self) -> usize {
        self.size.get()
    }

    pub(super) fn is_solo(&self) -> bool {
        self.solo.get()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.live.get() == 0
    }

    pub(super) fn live_count(&self) -> usize {
        self.live.get()
    }

    pub(super) fn next<'a>(&self) -> Option<&'a Self> {
        // SAFETY: a chunk's link is null or to a chunk that the heap holds.
        unsafe { self.next.get().as_ref() }
    }

    /// Whether its cells lie in spans.
    #[inline]
    pub(super) fn has_spans(&self) -> bool {
        self.spans.get()
    }

    fn layout<S: Source>(&self) -> Layout {
        if self.segment.get() {
            return Under::<S>::layout();
        }
        // SAFETY: the source granted a block of this size and alignment.
        unsafe { Layout::from_size_align_unchecked(self.size(), MIN_ALIGN) }
    }

    /// The first block.
    pub(super) fn first(&self) -> NonNull<u8> {
        inside(self.start(), self.first.get())
    }

    /// Where the last block ends.
    pub(super) fn end(&self) -> NonNull<u8> {
        inside(self.first(), (self.size() - self.first.get()) & !(MIN_ALIGN - 1))
    }

    fn live_map(&self) -> Bits {
        // SAFETY: in a shared chunk a map lies right behind the head, cleared when the chunk was taken.
        unsafe { Bits::at(inside(self.start(), HEAD)) }
    }

    fn edge_map(&self) -> Bits {
        // SAFETY: and another right behind that one.
        unsafe { Bits::at(inside(self.start(), HEAD + Bits::bytes(self.size()))) }
    }

    fn index(&self, at: NonNull<u8>) -> usize {
        (at.addr().get() - self.start().addr().get()) / MIN_ALIGN
    }

    pub(super) fn set_live(&self, payload: NonNull<u8>) {
        self.live.set(self.live.get() + 1);
        if !self.is_solo() {
            self.live_map().set(self.index(payload));
        }
    }

    pub(super) fn clear_live(&self, payload: NonNull<u8>) {
        self.live.set(self.live.get() - 1);
        self.live_map().clear(self.index(payload));
    }

    /// Whether an address in this chunk is a live cell's payload.
    pub(super) fn is_live(&self, address: NonNull<u8>) -> bool {
        let offset = address.addr().get() - self.start().addr().get();
        if self.is_solo() {
            return offset == self.first.get() + HEADER;
        }
        offset.is_multiple_of(MIN_ALIGN)
            && offset >= self.first.get() + HEADER
            && self.live_map().get(offset / MIN_ALIGN)
    }

    /// Bytes from an address to the end of the chunk.
    pub(super) fn room_from(&self, address: NonNull<u8>) -> usize {
        self.end().addr().get() - address.addr().get()
    }

    pub(super) fn set_edge(&self, block: NonNull<u8>, size: usize) {
        self.edge_map().set(self.index(block) + size / MIN_ALIGN - 1);
    }

    pub(super) fn clear_edge(&self, block: NonNull<u8>, size: usize) {
        self.edge_map().clear(self.index(block) + size / MIN_ALIGN - 1);
    }

    /// Whether a free block ends with a unit of this index.
    pub(super) fn is_edge(&self, block: NonNull<u8>, size: usize) -> bool {
        self.edge_map().get(self.index(block) + size / MIN_ALIGN - 1)
    }

    /// The free block right before a block.
    pub(super) fn free_before(&self, block: NonNull<u8>) -> Option<(NonNull<u8>, usize)> {
        if block == self.first() || !self.edge_map().get(self.index(block) - 1) {
            return None;
        }
        let size = bins::size_of_free_ending(block);
        // SAFETY: a free block of this size ends here, in the same chunk.
        Some((unsafe { block.sub(size) }, size))
    }

    /// The size of the block that begins at an address, if it is free.
    pub(super) fn free_at(&self, block: NonNull<u8>) -> Option<usize> {
        if block == self.end() || self.live_map().get(self.index(block) + 1) {
            return None;
        }
        Some(bins::size_of_free(block))
    }
}

impl<S: Source> Heap<S> {
    /// The chunk that holds an address.
    pub(super) fn chunk_of<'a>(&self, address: NonNull<u8>) -> Option<&'a Chunk> {
        let block = self.ranges.find(address.addr().get())?;
        // SAFETY: at the front of a chunk stands its head.
        Some(unsafe { block.cast::<Chunk>().as_ref() })
    }

    pub(super) fn all_chunks<'a>(&self) -> impl Iterator<Item = &'a Chunk> {
        // SAFETY: null or a chunk that the heap holds.
        let mut next: Option<&Chunk> = unsafe { self.chunks.get().as_ref() };
        core::iter::from_fn(move || {
            let this = next?;
            next = this.next();
            Some(this)
        })
    }

    /// Takes a chunk in that the source just gave.
    fn adopt<'a>(&self, start: NonNull<u8>, chunk: Chunk) -> &'a Chunk {
        let place = start.cast::<Chunk>();
        chunk.next.set(self.chunks.get());
        // SAFETY: the block is ours, aligned to a unit at least and longer than a head.
        unsafe { place.write(chunk) };
        // SAFETY: just written; from now on only shared references are made.
        let chunk = unsafe { place.as_ref() };
        if let Some(next) = chunk.next() {
            next.prev.set(chunk);
        }
        self.chunks.set(chunk);
        self.held.set(self.held.get() + chunk.size());
        // SAFETY: the block overlaps no other and stays until it is given back.
        unsafe { self.ranges.insert(chunk.range()) };
        chunk
    }

    /// A new chunk with one free block of at least `need` bytes.
    #[cold]
    pub(super) fn grow(&self, need: usize) -> Result<NonNull<u8>, Cond> {
        // Two maps, a bit for each unit, of themselves and the head too.
        let most = need.checked_add(HEAD).ok_or(Cond::BadSize)?;
        let ask = round_up(most.checked_add(2 * (most / (MIN_ALIGN * 8 - 2) + MIN_ALIGN)).ok_or(Cond::BadSize)?);
        let grant = self.growth.take(&self.source, ask, self.last.get(), self.held.get())?;
        let (start, size) = (grant.bytes.cast::<u8>(), grant.bytes.len());
        self.last.set(size);
        let chunk = self.adopt(
            start,
            Chunk {
                range: Range::new(start, size),
                next: Var::new(ptr::null()),
                prev: Var::new(ptr::null()),
                size: Var::new(size),
                first: Var::new(round_up(HEAD + 2 * Bits::bytes(size))),
                live: Var::new(0),
                solo: Var::new(false),
                spans: Var::new(false),
                segment: Var::new(false),
            },
        );
        self.clear_chunk(chunk);
        Ok(chunk.first())
    }

    /// Makes a chunk that holds nothing any more, whatever it was for, one free block for all.
    pub(super) fn share(&self, chunk: &Chunk) {
        chunk.solo.set(false);
        chunk.spans.set(false);
        chunk.first.set(round_up(HEAD + 2 * Bits::bytes(chunk.size())));
        self.clear_chunk(chunk);
    }

    /// Makes a shared chunk one free block.
    fn clear_chunk(&self, chunk: &Chunk) {
        chunk.live.set(0);
        chunk.live_map().clear_all(chunk.size());
        chunk.edge_map().clear_all(chunk.size());
        self.put_on(chunk, chunk.first(), chunk.room_from(chunk.first()));
    }

    /// A cell with a chunk to itself, and whether its payload is known to be zero.
    pub(super) fn take_solo(&self, layout: Layout, extent: usize, align: usize) -> Result<(NonNull<u8>, bool), Cond> {
        // Where the payload can lie is seen when the block is there; a source that would have to trim
        // its block to the alignment could be refused that.
        let size = HEAD + HEADER + (align - MIN_ALIGN) + (extent - HEADER);
        let left = self.growth.limit.saturating_sub(self.held.get());
        let ask = Layout::from_size_align(size, MIN_ALIGN).map_err(|_| Cond::BadSize)?;
        if size > left {
            return Err(Cond::NoRoom);
        }
        let grant = self.source.grant(ask)?;
        let (start, size) = (grant.bytes.cast::<u8>(), grant.bytes.len());
        // A source that gives more than was asked (whole pages) may take the heap over its limit; refused, the block
        // would be lost: better a few pages over the limit than some each time.
        // SAFETY: just granted, and used by nobody.
        if size > left && unsafe { self.source.free(start, ask) }.is_ok() {
            return Err(Cond::NoRoom);
        }
        let front = start.addr().get() + HEAD + HEADER;
        let payload_at = HEAD + HEADER + (front.wrapping_neg() & (align - 1));
        let chunk = self.adopt(
            start,
            Chunk {
                range: Range::new(start, size),
                next: Var::new(ptr::null()),
                prev: Var::new(ptr::null()),
                size: Var::new(size),
                first: Var::new(payload_at - HEADER),
                live: Var::new(0),
                solo: Var::new(true),
                spans: Var::new(false),
                segment: Var::new(false),
            },
        );
        self.begin_cell(chunk, chunk.first(), layout, extent);
        Ok((inside(chunk.first(), HEADER), grant.zeroed))
    }

    /// A chunk for spans, and whether what is behind its head is zero.
    pub(super) fn take_segment(&self, layout: Layout) -> Result<(NonNull<u8>, bool), Cond> {
        let grant = self.source.grant(layout)?;
        let (start, size) = (grant.bytes.cast::<u8>(), grant.bytes.len());
        self.adopt(
            start,
            Chunk {
                range: Range::new(start, size),
                next: Var::new(ptr::null()),
                prev: Var::new(ptr::null()),
                size: Var::new(size),
                first: Var::new(HEAD),
                live: Var::new(0),
                solo: Var::new(false),
                spans: Var::new(true),
                segment: Var::new(true),
            },
        );
        Ok((start, grant.zeroed))
    }

    /// What becomes of a shared chunk whose last cell has gone: one is kept, another goes back.
    pub(super) fn retire(&self, chunk: &Chunk) {
        if self.growth.first == usize::MAX || self.idle.get().is_null() {
            self.idle.set(chunk);
            return;
        }
        if ptr::eq(self.idle.get(), chunk) {
            return;
        }
        let (block, size) = (chunk.first(), chunk.room_from(chunk.first()));
        self.take_off(chunk, block, size);
        // Refused, it stays with its room, to be used and tried again like any other.
        if self.give_back_chunk(chunk).is_err() {
            self.put_on(chunk, block, size);
        }
    }

    /// Gives a chunk to the source; refused, it is as it was.
    pub(super) fn give_back_chunk(&self, chunk: &Chunk) -> Result<(), Cond> {
        let (size, next, prev) = (chunk.size(), chunk.next.get(), chunk.prev.get());
        if seeded("chunk_is_lost") {
            return Ok(());
        }
        self.ranges.remove(chunk.range());
        show(chunk.start(), chunk.size());
        // SAFETY: the chunk came from the source with this layout, and nothing in it is used.
        if let Err(cond) = unsafe { self.source.free(chunk.start(), chunk.layout::<S>()) } {
            // SAFETY: it was in until just now.
            unsafe { self.ranges.insert(chunk.range()) };
            return Err(cond);
        }
        self.held.set(self.held.get() - size);
        // SAFETY: null or a chunk that the heap holds.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.set(next),
            None => self.chunks.set(next),
        }
        // SAFETY: as above.
        if let Some(next) = unsafe { next.as_ref() } {
            next.prev.set(prev);
        }
        Ok(())
    }

    /// Gives all chunks back; those that are refused stay, empty.
    pub(super) fn give_back_chunks(&self) -> Result<(), Cond> {
        let mut answer = Ok(());
        let mut next = self.all_chunks().next();
        while let Some(chunk) = next {
            next = chunk.next();
            if let Err(cond) = self.give_back_chunk(chunk) {
                answer = Err(cond);
                self.share(chunk);
            }
        }
        answer
    }

    /// Wipes the payloads of all live cells that are tainted.
    pub(super) fn wipe_tainted(&self) {
        if !cfg!(feature = "shred") {
            return;
        }
        for chunk in self.all_chunks() {
            if chunk.has_spans() {
                self.wipe_small(chunk);
                continue;
            }
            self.each_block(chunk, &mut |block, size, live| {
                let payload = inside(block, HEADER);
                if live {
                    show(payload, size - HEADER);
                }
                if live && (self.id.is_tainted() || self.header(payload).is_tainted()) {
                    // SAFETY: a live cell's bytes, used no more.
                    unsafe { wipe_if(true, payload, size - HEADER) };
                }
            });
        }
    }
}

//! Segments: blocks of any size between boundary tags, and those that were freed last at hand.
//!
//! ```text
//! a segment, aligned to its size
//! ┌─────────────────────────┬───────┬───────┬────────────┬─ … ─┬─────┐
//! │ map: a bit for each unit│ block │ block │ block      │     │ end │
//! └─────────────────────────┴───────┴───────┴────────────┴─ … ─┴─────┘
//!
//! live   │ size, flags │ note │ payload …
//! hot    │ size, flags │ next │                         freed, but not yet between its neighbours
//! free   │ size, flags │ next │ prev │ …      │ size │
//! ```
//!
//! The note of a live block is odd and says what it is: what was asked of it, its alignment, its use, its taint. The
//! links of all others are even, so one look tells whether a block is live, and for a block that was asked for as it
//! is given back one compare. The map has a bit for each block of its segment, whichever it is, and changes only where
//! blocks are cut and joined: by it the header of a block is found without reading what an address points to.
//!
//! Invariants: blocks fill their segment; two free ones never touch; a free block is in the bin of its size, and the
//! flag of the one behind says so; a hot or live block of a class is as long as its class at least.

use core::cell::Cell as Var;
use core::ptr::{self, NonNull};

use kmem_platform::{Native, Platform};

use crate::Cond;
use crate::cell::{MIN_ALIGN as UNIT, inside};
use crate::report::{Broken, rule};
use crate::spans::{class_of, class_within, size_of_class};

/// Bytes of a segment.
pub(super) const SEGMENT: usize = 256 << 10;
/// Bytes in front of a payload.
pub(super) const HEADER: usize = UNIT;
/// Bytes of the map.
const MAP: usize = SEGMENT / UNIT / 8;
/// The shortest block: with room for two links and the size at its end.
const LEAST: usize = 2 * UNIT;
/// A segment in one block; behind it there is an end, which looks like a block that is not free.
const WHOLE: usize = SEGMENT - MAP - LEAST;
/// The longest payload.
pub(super) const MOST: usize = SEGMENT / 2;
/// The largest alignment.
pub(super) const MOST_ALIGN: usize = SEGMENT / 8;
const _: () = assert!(MOST + HEADER + MOST_ALIGN + UNIT <= WHOLE);
/// Sorts of blocks that are kept at hand.
const RACKS: usize = class_of(MOST) + 1;
/// Sorts of free blocks.
const BINS: usize = 128;

/// The block is no free one.
const USED: usize = 1;
/// The one in front of it is.
const AFTER_FREE: usize = 2;
const FLAGS: usize = USED | AFTER_FREE;

/// The block is live.
pub(super) const LIVE: usize = 1;
/// It is wiped when it is released.
pub(super) const TAINT: usize = 2;
/// Above: two bits of kind, five of the alignment, and what was asked.
pub(super) const KIND: u32 = 2;
pub(super) const POWER: u32 = 4;
pub(super) const ASKED: u32 = 9;

/// The front of a block.
#[repr(C)]
pub(super) struct Block {
    head: Var<usize>,
    note: Var<*const Self>,
    prev: Var<*const Self>,
}

/// The blocks of a sort that were freed last.
struct Rack {
    first: Var<*const Block>,
    len: Var<usize>,
}

/// All blocks.
pub(super) struct Tags {
    racks: [Rack; RACKS],
    bins: [Var<*const Block>; BINS],
    /// A bit for each bin with something in it.
    bits: [Var<u64>; BINS / 64],
    /// Whether a segment is one free block: others that become so go back to the machine.
    spare: Var<bool>,
    /// What is known of each part of the address space that is as long as a segment.
    parts: [Var<Part>; 1 << (usize::BITS - SEGMENT.trailing_zeros())],
    /// Bytes of segments and long blocks, and of the blocks that are not free; and the most that those were.
    pub(super) held: Var<usize>,
    pub(super) used: Var<usize>,
    pub(super) peak: Var<usize>,
}

/// What a part of the address space is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Part {
    Foreign,
    Segment,
    /// A block with pages of its own begins in it.
    Solo,
}

impl Block {
    /// The block whose payload begins at an address.
    ///
    /// # Safety
    ///
    /// There is one.
    #[inline(always)]
    pub(super) unsafe fn of<'a>(payload: *mut u8) -> &'a Self {
        // SAFETY: the caller's promise; a header is only changed through shared references.
        unsafe { &*payload.wrapping_sub(HEADER).cast() }
    }

    /// The block that begins at a place, or is to begin there.
    ///
    /// # Safety
    ///
    /// It is a place in a segment for one.
    unsafe fn at<'a>(place: *const u8) -> &'a Self {
        // SAFETY: the caller's promise; a header is only changed through shared references.
        unsafe { &*place.cast() }
    }

    #[inline(always)]
    fn place(&self) -> *mut u8 {
        ptr::from_ref(self).cast_mut().cast()
    }

    #[inline(always)]
    pub(super) fn payload(&self) -> NonNull<u8> {
        // SAFETY: no block lies at the end of the address space.
        unsafe { NonNull::new_unchecked(self.place().wrapping_add(HEADER)) }
    }

    fn size(&self) -> usize {
        self.head.get() & !FLAGS
    }

    /// Bytes that its payload can have.
    pub(super) fn room(&self) -> usize {
        self.size() - HEADER
    }

    #[inline(always)]
    pub(super) fn note(&self) -> usize {
        self.note.get().addr()
    }

    #[inline(always)]
    pub(super) fn set_note(&self, note: usize) {
        self.note.set(ptr::without_provenance(note));
    }

    fn is_free(&self) -> bool {
        self.head.get() & USED == 0
    }

    /// The block behind, or the end.
    fn after<'a>(&self) -> &'a Self {
        // SAFETY: blocks fill their segment, and behind the last there is an end.
        unsafe { Self::at(self.place().wrapping_add(self.size())) }
    }

    /// The block in front, which is free.
    fn before<'a>(&self) -> &'a Self {
        // SAFETY: the last word of a free block is its size.
        let size = unsafe { self.place().cast::<usize>().wrapping_sub(1).read() };
        // SAFETY: so far in front it begins.
        unsafe { Self::at(self.place().wrapping_sub(size)) }
    }

    /// Makes it a free block of so many bytes, in no bin.
    fn set_free(&self, size: usize) {
        self.head.set(size);
        let end = self.place().wrapping_add(size);
        // SAFETY: the last word of the block, in which nothing else is.
        unsafe { end.cast::<usize>().wrapping_sub(1).write(size) };
        let after = self.after();
        after.head.set(after.head.get() | AFTER_FREE);
    }

    /// The byte of the map that says whether a block begins here, and its bit.
    fn bit(&self) -> (&Var<u8>, u8) {
        let (byte, bit) = bit(self.place());
        // SAFETY: it lies in the map of the segment, which is only changed through shared references.
        (unsafe { &*byte.cast() }, bit)
    }

    /// Notes that a block begins here, or does not any more.
    fn mark(&self) {
        let (byte, bit) = self.bit();
        byte.set(byte.get() ^ bit);
    }
}

/// The byte of the map for a place in a segment, and its bit.
fn bit(place: *mut u8) -> (*mut u8, u8) {
    let unit = place.addr() % SEGMENT / UNIT;
    (place.map_addr(|at| at / SEGMENT * SEGMENT + unit / 8), 1 << (unit % 8))
}

/// How long a block must be for a payload, at most [`MOST`].
fn needs(size: usize) -> usize {
    size_of_class(class_of(size)) + HEADER
}

/// How many of a class are kept at hand, before half of them are put between their neighbours, and how many bytes.
const MOST_HOT: usize = 16;
const HOT_BYTES: usize = MOST + LEAST;

impl Rack {
    const fn new() -> Self {
        Self { first: Var::new(ptr::null()), len: Var::new(0) }
    }
}

/// The bin for a free block: by what its payload can have, so that one is found for what it was cut for.
fn bin_for(size: usize) -> usize {
    class_within(size - HEADER)
}

impl Tags {
    pub(super) const fn new() -> Self {
        Self {
            racks: [const { Rack::new() }; RACKS],
            bins: [const { Var::new(ptr::null()) }; BINS],
            bits: [const { Var::new(0) }; BINS / 64],
            spare: Var::new(false),
            parts: [const { Var::new(Part::Foreign) }; 1 << (usize::BITS - SEGMENT.trailing_zeros())],
            held: Var::new(0),
            used: Var::new(0),
            peak: Var::new(0),
        }
    }

    /// What is known of the part that holds an address.
    pub(super) fn part(&self, at: usize) -> &Var<Part> {
        // SAFETY: there is one for every address.
        unsafe { self.parts.get_unchecked(at / SEGMENT) }
    }

    /// # Safety
    ///
    /// A payload of the class is no longer than [`MOST`].
    unsafe fn rack(&self, class: usize) -> &Rack {
        // SAFETY: the caller's promise: such a class has a rack.
        unsafe { self.racks.get_unchecked(class) }
    }

    /// A block of a class that is at hand, if one is.
    ///
    /// # Safety
    ///
    /// A payload of the class is no longer than [`MOST`].
    #[inline(always)]
    pub(super) unsafe fn take_hot(&self, class: usize, note: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let rack = unsafe { self.rack(class) };
        // SAFETY: null or a block that is at hand.
        let block = unsafe { rack.first.get().as_ref() }?;
        rack.first.set(block.note.get());
        rack.len.set(rack.len.get().wrapping_sub(1));
        block.set_note(note);
        Some(block.payload())
    }

    /// The same for an alignment: if one of those at hand happens to have it.
    ///
    /// # Safety
    ///
    /// As for [`take_hot`](Self::take_hot).
    unsafe fn take_aligned(&self, class: usize, align: usize, note: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let rack = unsafe { self.rack(class) };
        let mut link = &rack.first;
        loop {
            // SAFETY: null or a block that is at hand.
            let block = unsafe { link.get().as_ref() }?;
            if block.payload().addr().get() & (align - 1) == 0 {
                link.set(block.note.get());
                rack.len.set(rack.len.get().wrapping_sub(1));
                block.set_note(note);
                return Some(block.payload());
            }
            link = &block.note;
        }
    }

    /// Takes a live block of a class back.
    ///
    /// # Safety
    ///
    /// So it is, a payload of the class is no longer than [`MOST`], and nothing uses the block any more.
    #[inline(always)]
    pub(super) unsafe fn give_hot(&self, class: usize, block: &Block) {
        // SAFETY: the caller's promise.
        let rack = unsafe { self.rack(class) };
        block.note.set(rack.first.replace(block));
        let len = rack.len.get() + 1;
        rack.len.set(len);
        if len > MOST_HOT || len * block.size() > HOT_BYTES {
            self.spill(rack, len / 2);
        }
    }

    /// Puts what was freed the longest ago between its neighbours, and leaves the rest at hand.
    #[cold]
    #[inline(never)]
    fn spill(&self, rack: &Rack, keep: usize) {
        rack.len.set(keep);
        let mut link = &rack.first;
        for _ in 0..keep {
            // SAFETY: there are more than that.
            link = unsafe { &(*link.get()).note };
        }
        let mut next = link.replace(ptr::null());
        // SAFETY: null or a block that was at hand.
        while let Some(block) = unsafe { next.as_ref() } {
            next = block.note.get();
            self.join(block);
        }
    }

    /// Puts back all that is at hand, and gives back the segment in which then nothing is.
    pub(super) fn flush(&self) {
        self.racks.iter().for_each(|rack| self.spill(rack, 0));
        let mut next = self.bin(bin_for(WHOLE)).get();
        // SAFETY: null or a free block.
        while let Some(block) = unsafe { next.as_ref() } {
            next = block.note.get();
            if block.size() == WHOLE {
                self.claim(block);
                self.used.set(self.used.get() - WHOLE);
                self.spare.set(false);
                self.release(block);
            }
        }
    }

    /// Takes a live block back.
    ///
    /// # Safety
    ///
    /// It is live, and nothing uses it any more.
    pub(super) unsafe fn give(&self, block: &Block) {
        // SAFETY: the caller's promise; no block is longer than the longest.
        unsafe { self.give_hot(class_of(block.note() >> ASKED), block) };
    }

    /// A block for a payload and an alignment; with this note.
    ///
    /// # Safety
    ///
    /// The payload is no longer than [`MOST`], and the alignment no more than [`MOST_ALIGN`].
    #[inline(never)]
    pub(super) unsafe fn take(&self, size: usize, align: usize, note: usize) -> Result<NonNull<u8>, Cond> {
        // SAFETY: the caller's promise.
        if let Some(block) = unsafe { self.take_aligned(class_of(size), align, note) } {
            return Ok(block);
        }
        let needs = needs(size);
        // What lies before the first place that is so aligned becomes a block too.
        let more = if align > UNIT { align + UNIT } else { 0 };
        let mut block = match self.find(needs + more) {
            Ok(block) => block,
            // What is at hand may be enough, once it is joined.
            Err(_) => {
                self.flush();
                self.find(needs + more)?
            }
        };
        if more > 0 {
            let mut gap = block.payload().addr().get().wrapping_neg() & (align - 1);
            if gap > 0 {
                if gap < LEAST {
                    gap += align;
                }
                let front = block;
                block = self.split(front, gap);
                self.join(front);
            }
        }
        self.trim(block, needs);
        self.peak.set(self.peak.get().max(self.used.get()));
        block.set_note(note);
        Ok(block.payload())
    }

    /// A block at least so long, which is free no more.
    fn find(&self, needs: usize) -> Result<&Block, Cond> {
        let least = class_of(needs - HEADER);
        let [low, high] = [self.bits[0].get(), self.bits[1].get()];
        let low = if least < 64 { low & u64::MAX << least } else { 0 };
        let bin = if low != 0 {
            low.trailing_zeros()
        } else {
            let high = high & u64::MAX << least.saturating_sub(64);
            if high == 0 {
                return self.found();
            }
            high.trailing_zeros() + 64
        };
        // SAFETY: a bin that has a bit has a block.
        let block = unsafe { &*self.bin(bin as usize).get() };
        if block.size() == WHOLE {
            self.spare.set(false);
        }
        self.claim(block);
        block.head.set(block.size() | USED);
        let after = block.after();
        after.head.set(after.head.get() & !AFTER_FREE);
        Ok(block)
    }

    /// A new segment, all of it one block that is not free.
    #[cold]
    fn found(&self) -> Result<&Block, Cond> {
        let run = Native.map_aligned(SEGMENT, SEGMENT)?;
        if !run.zeroed {
            // SAFETY: the segment is ours, and longer than its map.
            unsafe { run.start.write_bytes(0, MAP) };
        }
        self.part(run.start.addr().get()).set(Part::Segment);
        self.held.set(self.held.get() + SEGMENT);
        self.used.set(self.used.get() + WHOLE);
        // SAFETY: behind the map there is room for one.
        let block = unsafe { Block::at(inside(run.start, MAP).as_ptr()) };
        block.head.set(WHOLE | USED);
        block.after().head.set(USED);
        block.mark();
        Ok(block)
    }

    /// Gives a segment back that is one free block.
    #[cold]
    fn release(&self, block: &Block) {
        let base = block.place().wrapping_sub(MAP);
        self.part(base.addr()).set(Part::Foreign);
        self.held.set(self.held.get() - SEGMENT);
        if let Some(base) = NonNull::new(base) {
            // Whole pages that came from there, which are never refused.
            // SAFETY: nothing is in them.
            let _ = unsafe { Native.unmap(base, SEGMENT) };
        }
    }

    fn bin(&self, number: usize) -> &Var<*const Block> {
        // SAFETY: callers name a bin, which every length has.
        unsafe { self.bins.get_unchecked(number) }
    }

    /// Changes the bit of a bin.
    fn flip(&self, bin: usize) {
        // SAFETY: every bin has a bit.
        let bits = unsafe { self.bits.get_unchecked(bin / 64) };
        bits.set(bits.get() ^ (1 << (bin % 64)));
    }

    /// Puts a free block into its bin.
    fn link(&self, block: &Block) {
        let number = bin_for(block.size());
        let next = self.bin(number).replace(block);
        block.note.set(next);
        block.prev.set(ptr::null());
        // SAFETY: null or another free block.
        match unsafe { next.as_ref() } {
            Some(next) => next.prev.set(block),
            None => self.flip(number),
        }
    }

    /// Takes a free block out of its bin; its bytes are used from now on.
    fn claim(&self, block: &Block) {
        self.used.set(self.used.get() + block.size());
        let number = bin_for(block.size());
        let (next, prev) = (block.note.get(), block.prev.get());
        // SAFETY: null or another free block.
        if let Some(next) = unsafe { next.as_ref() } {
            next.prev.set(prev);
        }
        // SAFETY: as above.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.note.set(next),
            None => {
                self.bin(number).set(next);
                if next.is_null() {
                    self.flip(number);
                }
            }
        }
    }

    /// Makes what is not live any more a free block, together with its neighbours.
    #[inline(never)]
    fn join(&self, block: &Block) {
        let (mut start, mut size) = (block, block.size());
        let after = block.after();
        if after.is_free() {
            self.claim(after);
            after.mark();
            size += after.size();
        }
        if block.head.get() & AFTER_FREE != 0 {
            start = block.before();
            self.claim(start);
            block.mark();
            size += start.size();
        }
        self.used.set(self.used.get() - size);
        if size == WHOLE && self.spare.replace(true) {
            return self.release(start);
        }
        start.set_free(size);
        self.link(start);
    }

    /// Cuts a block that is not free in two; the second.
    fn split<'a>(&self, block: &Block, at: usize) -> &'a Block {
        // SAFETY: callers leave room for one, in a block that is theirs.
        let rest = unsafe { Block::at(block.place().wrapping_add(at)) };
        rest.head.set((block.size() - at) | USED);
        rest.set_note(0);
        rest.mark();
        block.head.set(block.head.get() & FLAGS | at);
        rest
    }

    /// Gives back what a block is longer than it needs to be.
    fn trim(&self, block: &Block, needs: usize) {
        if block.size() - needs >= LEAST {
            self.join(self.split(block, needs));
        }
    }

    /// Gives a live block another length where it is, if that can be.
    pub(super) fn resize(&self, block: &Block, size: usize) -> bool {
        let (needs, after) = (needs(size), block.after());
        if needs > block.size() && after.is_free() && needs <= block.size() + after.size() {
            self.claim(after);
            after.mark();
            block.head.set(block.head.get() + after.size());
            let after = block.after();
            after.head.set(after.head.get() & !AFTER_FREE);
        }
        if needs > block.size() {
            return false;
        }
        self.trim(block, needs);
        self.peak.set(self.peak.get().max(self.used.get()));
        true
    }

    /// The live block whose payload begins at an address in a segment: told without reading what it points to.
    pub(super) fn find_live<'a>(&self, payload: *mut u8) -> Option<&'a Block> {
        let place = payload.wrapping_sub(HEADER);
        if !payload.addr().is_multiple_of(UNIT) || place.addr() % SEGMENT < MAP {
            return None;
        }
        let (byte, bit) = bit(place);
        // SAFETY: the map of the segment.
        if unsafe { byte.read() } & bit == 0 {
            return None;
        }
        // SAFETY: the map says that one begins there.
        let block = unsafe { Block::at(place) };
        (block.note() & LIVE != 0).then_some(block)
    }

    /// Visits all blocks of a segment.
    ///
    /// # Safety
    ///
    /// It is one.
    pub(super) unsafe fn each(segment: *const u8, visit: &mut dyn FnMut(&Block)) {
        // SAFETY: the caller's promise: the first block is behind the map.
        let mut block = unsafe { Block::at(segment.wrapping_add(MAP)) };
        while block.size() > 0 {
            visit(block);
            block = block.after();
        }
    }

    /// Visits all parts that are this heap's, by their first bytes.
    pub(super) fn each_part(&self, visit: &mut dyn FnMut(Part, *const u8)) {
        for (number, part) in self.parts.iter().enumerate() {
            if part.get() != Part::Foreign {
                // Linear memory has no owner to derive a pointer from.
                visit(part.get(), ptr::with_exposed_provenance(number * SEGMENT));
            }
        }
    }

    /// Notes that a long block is live.
    pub(super) fn count(&self, len: usize) {
        self.held.set(self.held.get() + len);
        self.used.set(self.used.get() + len);
        self.peak.set(self.peak.get().max(self.used.get()));
    }

    /// Notes that one is not any more.
    pub(super) fn uncount(&self, len: usize) {
        self.held.set(self.held.get() - len);
        self.used.set(self.used.get() - len);
    }

    /// Proves the structure of a segment.
    ///
    /// # Safety
    ///
    /// It is one.
    pub(super) unsafe fn check(&self, segment: *const u8) -> Result<(), Broken> {
        // SAFETY: the caller's promise: the first block is behind the map.
        let (mut block, mut in_front) = (unsafe { Block::at(segment.wrapping_add(MAP)) }, None::<&Block>);
        let end = segment.addr() + MAP + WHOLE;
        while block.place().addr() < end {
            let (byte, bit) = block.bit();
            rule(byte.get() & bit != 0, "a block is in the map", block)?;
            let was_free = in_front.is_some_and(Block::is_free);
            rule((block.head.get() & AFTER_FREE != 0) == was_free, "a block knows who is in front", block)?;
            rule(block.size() >= LEAST && block.place().addr() + block.size() <= end, "a block has a length", block)?;
            if block.is_free() {
                rule(!was_free, "free blocks do not touch", block)?;
                rule(ptr::eq(block.after().before(), block), "a free block ends with its length", block)?;
                let bin = bin_for(block.size());
                let mut next = self.bin(bin).get();
                // SAFETY: null or a free block.
                while let Some(other) = unsafe { next.as_ref() } {
                    if ptr::eq(other, block) {
                        break;
                    }
                    next = other.note.get();
                }
                rule(!next.is_null(), "a free block is in its bin", block)?;
            } else if block.note() & LIVE != 0 {
                rule(block.note() >> ASKED <= block.room(), "a block holds what was asked", block)?;
            }
            (in_front, block) = (Some(block), block.after());
        }
        rule(block.place().addr() == end, "blocks fill their segment", block)
    }
}

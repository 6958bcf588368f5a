//! The process heap of a module with one thread, as WebAssembly has it unless it is told otherwise.
//!
//! ```text
//!   GlobalHeap, Global         the faces: GlobalAlloc; Source and Store
//!        │
//!      tags                    what is short, or fits a segment              solo: the rest, in pages
//!        └──────────────── kmem_platform::Native ───────────────────────────────┘
//! ```
//!
//! There is nobody to share with, no clock, and no system that takes pages back: what is left of the process heap of
//! threads would be mostly code, which a module is to have little of. So a block has a header here and knows its
//! neighbours, with which it is joined when it is freed, and it can grow into them.
//!
//! Invariants: a part of the address space is noted as this heap's from before anything in it is handed out until
//! after its last block has gone.

#[path = "../process/global.rs"]
mod global;
mod solo;
mod tags;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use crate::cell::{MIN_ALIGN as UNIT, inside};
use crate::report::Broken;
use crate::spans::{class_of, kind_of_bits, kind_to_bits};
use crate::wipe::wipe_if;
use crate::{Cond, Found, Kind, Stats};

pub use global::{Decay, Global, GlobalHeap};

use solo::Front;
use tags::{ASKED, Block, KIND, LIVE, MOST, MOST_ALIGN, POWER, Part, TAINT, Tags};

struct Only(Tags);

// SAFETY: there is one thread.
unsafe impl Sync for Only {}

impl core::ops::Deref for Only {
    type Target = Tags;

    fn deref(&self) -> &Tags {
        &self.0
    }
}

static HEAP: Only = Only(Tags::new());

const KINDS: usize = 0b11 << KIND;

/// Whether a layout is met by pages of its own.
const fn is_solo(size: usize, align: usize) -> bool {
    size > MOST || align > MOST_ALIGN
}

/// What is noted of a live block.
#[inline(always)]
const fn note(layout: Layout) -> usize {
    layout.size() << ASKED | (layout.align().trailing_zeros() as usize) << POWER | LIVE
}

/// Memory for a layout, and whether it is known to be zero.
#[inline(never)]
fn take(layout: Layout) -> Result<(NonNull<u8>, bool), Cond> {
    let (size, align) = (layout.size(), layout.align());
    if is_solo(size, align) {
        let most = isize::MAX as usize;
        return if size > most / 2 || align > most / 4 { Err(Cond::BadSize) } else { solo::take(size, align) };
    }
    // SAFETY: what is longer has pages of its own.
    Ok((unsafe { HEAP.take(size, align, note(layout)) }?, false))
}

/// What an address is, if it is that of a live block.
enum At<'a> {
    Block(&'a Block),
    Solo(&'a Front),
}

impl At<'_> {
    fn note(&self) -> usize {
        match self {
            At::Block(block) => block.note(),
            At::Solo(front) => front.note.get(),
        }
    }

    fn set_note(&self, note: usize) {
        match self {
            At::Block(block) => block.set_note(note),
            At::Solo(front) => front.note.set(note),
        }
    }

    fn found(&self) -> Found {
        let note = self.note();
        let (payload, size, align) = match self {
            At::Block(block) => (block.payload(), note >> ASKED, 1 << (note >> POWER & 0b1_1111)),
            At::Solo(front) => (front.payload(), front.asked(), front.align()),
        };
        let (kind, tainted) = (kind_of_bits(note >> KIND & 0b11), note & TAINT != 0);
        Found { payload, kind, size, align: align.max(UNIT), tainted, destructor: false }
    }

    /// Takes it back.
    ///
    /// # Safety
    ///
    /// Nothing uses it any more.
    unsafe fn give(&self, shred: bool) {
        match self {
            At::Block(block) => {
                // SAFETY: the block's own bytes, used no more.
                unsafe { wipe_if(shred || block.note() & TAINT != 0, block.payload(), block.room()) };
                // SAFETY: the caller's promise, passed on: it was found live.
                unsafe { HEAP.give(block) };
            }
            // SAFETY: the caller's promise, passed on.
            At::Solo(front) => unsafe { solo::give(front, shred) },
        }
    }
}

/// Told without reading what the address points to.
fn at<'a>(payload: NonNull<u8>) -> Result<At<'a>, Cond> {
    let payload = payload.as_ptr();
    // What is in front of a payload is its block's, and lies in the part that is noted.
    let block = match HEAP.part(payload.wrapping_sub(1).addr()).get() {
        Part::Segment => HEAP.find_live(payload).map(At::Block),
        _ => Front::find(payload).map(At::Solo),
    };
    block.ok_or(Cond::BadAddress)
}

/// What is known of the live block at an address.
fn locate(payload: NonNull<u8>) -> Result<Found, Cond> {
    at(payload).map(|at| at.found())
}

/// The same note for another use.
fn with_kind(note: usize, kind: Kind) -> usize {
    note & !KINDS | usize::from(kind_to_bits(kind)) << KIND
}

/// Changes the note of the live block at an address.
fn remark(payload: NonNull<u8>, change: impl Fn(usize) -> usize) -> Result<(), Cond> {
    at(payload).map(|at| at.set_note(change(at.note())))
}

/// Releases the live block at an address, of whatever kind.
///
/// # Safety
///
/// Nothing uses it any more.
unsafe fn give(payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
    // SAFETY: the caller's promise, passed on.
    at(payload).map(|at| unsafe { at.give(shred) })
}

/// Gives a live block another size, in place where it can.
///
/// # Safety
///
/// If the address returned is another, the old one is gone.
unsafe fn change(payload: NonNull<u8>, size: usize) -> Result<NonNull<u8>, Cond> {
    let at = at(payload)?;
    let found = at.found();
    let new = Layout::from_size_align(size, found.align).map_err(|_| Cond::BadSize)?;
    let shorter = |size| {
        if size < found.size {
            // SAFETY: what shrinking leaves over is the block's own, used no more.
            unsafe { wipe_if(found.tainted, inside(payload, size), found.size - size) };
        }
    };
    match (&at, is_solo(size, found.align)) {
        (At::Block(block), false) => {
            shorter(size);
            if HEAP.resize(block, size) {
                let note = block.note();
                block.set_note(note & ((1 << ASKED) - 1) | size << ASKED);
                return Ok(payload);
            }
        }
        (At::Solo(front), true) => {
            shorter(size);
            if solo::resize(front, size).is_ok() {
                return Ok(payload);
            }
        }
        _ => {}
    }
    let (moved, _) = take(new)?;
    // SAFETY: both blocks are live and distinct; this many bytes are in each.
    unsafe { payload.copy_to_nonoverlapping(moved, found.size.min(size)) };
    if found.tainted || found.kind != Kind::Heap {
        remark(moved, |note| with_kind(note, found.kind) | if found.tainted { TAINT } else { 0 })?;
    }
    // SAFETY: the caller's promise; the bytes are in the new block.
    unsafe { at.give(false) };
    Ok(moved)
}

/// Sums over the whole module.
fn stats() -> Stats {
    let (mut live, mut bytes) = (0, 0);
    HEAP.each_part(&mut |part, base| match part {
        Part::Segment => {
            let mut see = |block: &Block| {
                if block.note() & LIVE != 0 {
                    live += 1;
                    bytes += block.room() + tags::HEADER;
                }
            };
            // SAFETY: a part of this heap's that is one.
            unsafe { Tags::each(base, &mut see) };
        }
        _ => {
            live += 1;
            // SAFETY: a part in which a block begins.
            bytes += unsafe { Front::at(base) }.len();
        }
    });
    Stats { live, bytes, peak: HEAP.peak.get().max(bytes), held: HEAP.held.get() }
}

fn check() -> Result<(), Broken> {
    let mut answer = Ok(());
    HEAP.each_part(&mut |part, base| {
        if part == Part::Segment && answer.is_ok() {
            // SAFETY: a part of this heap's that is one.
            answer = unsafe { HEAP.check(base) };
        }
    });
    answer
}

/// Gives back all that nobody uses.
fn purge() {
    HEAP.flush();
}

/// A block that is none at hand, or null.
#[inline(never)]
fn other(layout: Layout, zeroed: bool) -> *mut u8 {
    match take(layout) {
        Ok((block, clean)) => {
            if zeroed && !clean {
                // SAFETY: the block was just taken and is this long.
                unsafe { block.write_bytes(0, layout.size()) };
            }
            block.as_ptr()
        }
        Err(_) => ptr::null_mut(),
    }
}

/// A block that does not go to those at hand, or not without a closer look, goes back. One that is not live, or has
/// another size, ends the program.
///
/// # Safety
///
/// It came from this heap with this layout, and nothing uses it any more.
#[inline(never)]
unsafe fn give_other(payload: *mut u8, layout: Layout) {
    let at = if is_solo(layout.size(), layout.align()) {
        Front::find(payload).filter(|front| front.asked() == layout.size()).map(At::Solo)
    } else {
        // SAFETY: the caller's promise.
        let block = unsafe { Block::of(payload) };
        let is_it = block.note() & LIVE != 0 && block.note() >> ASKED == layout.size();
        is_it.then_some(At::Block(block))
    };
    match at {
        // SAFETY: the caller's promise, passed on.
        Some(at) => unsafe { at.give(false) },
        None => core::arch::wasm32::unreachable(),
    }
}

// SAFETY: blocks lie in segments or pages of their own, overlap no other and stay until they are freed; nothing of it
// unwinds.
unsafe impl GlobalAlloc for GlobalHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= UNIT
            && layout.size() <= MOST
            // SAFETY: it is no longer than the longest.
            && let Some(block) = unsafe { HEAP.take_hot(class_of(layout.size()), note(layout)) }
        {
            return block.as_ptr();
        }
        other(layout, false)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        other(layout, true)
    }

    #[inline]
    unsafe fn dealloc(&self, payload: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise: it was handed out. A long block has bytes of its own before its payload too.
        let block = unsafe { Block::of(payload) };
        if !is_solo(layout.size(), layout.align()) && block.note() == note(layout) {
            // SAFETY: its note says that it is live and so long, which is no longer than the longest.
            return unsafe { HEAP.give_hot(class_of(layout.size()), block) };
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { give_other(payload, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, payload: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        unsafe { regrow(payload, layout, size) }
    }
}

/// A block gets another length.
///
/// # Safety
///
/// As for `GlobalAlloc::realloc`.
#[inline(never)]
unsafe fn regrow(payload: *mut u8, old: Layout, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise: it was handed out, which is never null.
    let payload = unsafe { NonNull::new_unchecked(payload) };
    // SAFETY: the caller's promise. A long block has bytes of its own before its payload too.
    let block = unsafe { Block::of(payload.as_ptr()) };
    let Ok(new) = Layout::from_size_align(size, old.align()) else { return ptr::null_mut() };
    if is_solo(old.size(), old.align()) || size > MOST || block.note() != note(old) {
        // SAFETY: the caller's promise, passed on.
        return unsafe { change(payload, size) }.map_or(ptr::null_mut(), NonNull::as_ptr);
    }
    if HEAP.resize(block, size) {
        block.set_note(note(new));
        return payload.as_ptr();
    }
    // SAFETY: it is no longer than the longest, and aligned as before, in a segment too.
    let Ok(moved) = (unsafe { HEAP.take(size, old.align(), note(new)) }) else { return ptr::null_mut() };
    // SAFETY: both blocks are live and distinct; this many bytes are in each.
    unsafe { payload.copy_to_nonoverlapping(moved, old.size().min(size)) };
    // SAFETY: it is live, and by the caller's promise its old address is used no more.
    unsafe { HEAP.give(block) };
    moved.as_ptr()
}

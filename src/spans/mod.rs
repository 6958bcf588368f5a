//! Spans: memory for small cells with nothing in front of them, and all that is known of them elsewhere.
//!
//! ```text
//! a segment, aligned to its size                                                  SLICE
//! ┌───────┬─────────┬────────────────┬───────────────┬─ … ─┬──────────┬──────────┬─────────┬──────────┐
//! │ front │ Segment │ Span Span Span │ marks of each │     │ cells …  │ cells …  │ free    │ cells …  │
//! └───────┴─────────┴────────────────┴───────────────┴─ … ─┴──────────┴──────────┴─────────┴──────────┘
//! ├─────────────────── slice 0 ──────────────────────┤├── span 1 ─────────────────┤├─ 3 ───┤├─ 4 ─────┤
//!
//! a span of one size class            free: unit of the first
//! ├ cell 0 ┤├ cell 1 ┤├ cell 2 ┤├ cell 3 ┤ …
//!   live      free ──►  live      free ──► none        the marks: a half-word a cell
//! ```
//!
//! A cell's [mark](Mark) says whether it is live, and then what it is used as, whether it is tainted and how much
//! shorter than its class it was asked for; of a free cell it holds the next free one. So what is free is never
//! written to nor read, a cell that is freed twice is told from one that is live, and pages of free cells can be given
//! back to the system at any time. An address leads to its segment by masking, to its span by a word a slice.
//!
//! A [`Local`] owns segments and everything in them; one thread at a time uses it. Only a cell's own mark, the list
//! of cells that others freed ([`Span::remote`](segment::Span)) and the local's [mail](mail) are touched by others.
//!
//! Invariants: a segment's free slices are in no span. Each cell of a span is live, hot, on the span's list, freed from
//! elsewhere and not yet taken in, or was never used: those are the last ones. The span counts the ones that are none of
//! the third and last sort. A span with cells of those two sorts is the current one of its class or on the list of its
//! class. A few cells of each class are *hot*: freed last, handed out next, on no list, and not live.

#![cfg_attr(
    all(target_arch = "wasm32", not(target_feature = "atomics")),
    allow(dead_code, unused_imports, reason = "the process heap of one thread does without")
)]

mod bin;
mod check;
mod class;
mod local;
mod mail;
#[cfg_attr(not(feature = "platform"), allow(dead_code, reason = "only the process heap has others' cells"))]
mod parcel;
mod segment;
#[cfg(feature = "hardened")]
mod shuffle;

use core::ptr::NonNull;
use core::sync::atomic;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering};

use crate::{Cond, Kind};

#[cfg(feature = "platform")]
pub(crate) use class::LONGEST;
pub(crate) use class::{CLASSES, Class};
#[cfg(all(feature = "platform", target_arch = "wasm32", not(target_feature = "atomics")))]
pub(crate) use class::{class_of, class_within, size_of_class};
pub(crate) use local::Local;
pub(crate) use segment::{Segment, Span, Spans};
#[cfg(feature = "hardened")]
pub(crate) use shuffle::shuffle;

/// What is kept of a cell.
pub(crate) type Mark = AtomicU16;

/// The cell is live.
pub(crate) const LIVE: u16 = 1 << 15;
/// It is wiped when it is released.
pub(crate) const TAINT: u16 = 1 << 14;
/// Its alignment is more than a unit, and stands in its last byte.
#[cfg(feature = "platform")]
pub(crate) const ALIGNED: u16 = 1 << 11;
/// By how many bytes it is longer than was asked.
pub(crate) const SLACK: u16 = ALIGNED_BIT - 1;
const ALIGNED_BIT: u16 = 1 << 11;
/// The global allocator's face has given it a smaller size where it is: its layout tells a smaller class.
#[cfg(feature = "platform")]
pub(crate) const LOOSE: u16 = SLACK;
const KINDS: u16 = 0b11 << 12;
/// The mark of a free cell that is the last on its list; and of one on none.
pub(crate) const NONE: u16 = 0x7fff;

/// The mark of a cell that is not live, but that nobody may touch yet.
#[cfg(feature = "platform")]
pub(crate) const WAITS: u16 = 0x7ffe;

/// Whether what a cell holds is needed by nobody, told by its mark.
#[cfg(feature = "platform")]
const fn is_idle(mark: u16) -> bool {
    mark & LIVE == 0 && !(cfg!(feature = "hardened") && mark == WAITS)
}

/// Two bits for what a cell is used as: one of the four kinds that a heap's cell is ever marked with.
pub(crate) const fn kind_to_bits(kind: Kind) -> u16 {
    match kind {
        Kind::Ref => 1,
        Kind::Tree => 2,
        Kind::Lin => 3,
        _ => 0,
    }
}

/// The same in a mark.
pub(crate) const fn kind_bits(kind: Kind) -> u16 {
    kind_to_bits(kind) << 12
}

/// What a live cell's mark says that it is used as.
pub(crate) const fn kind_of(mark: u16) -> Kind {
    kind_of_bits((mark & KINDS) as usize >> 12)
}

/// What two bits say that a cell is used as.
pub(crate) const fn kind_of_bits(bits: usize) -> Kind {
    match bits {
        1 => Kind::Ref,
        2 => Kind::Tree,
        3 => Kind::Lin,
        _ => Kind::Heap,
    }
}

/// The same mark for another use.
pub(crate) const fn with_kind(mark: u16, kind: Kind) -> u16 {
    (mark & !KINDS) | kind_bits(kind)
}

/// A value that its owner alone changes, and that others may look at: what they see may be old.
pub(crate) struct Seen<A>(pub(crate) A);

macro_rules! seen {
    ($([$($generic:ident)?] $atomic:ty, $value:ty;)*) => {$(
        impl<$($generic)?> Seen<$atomic> {
            #[inline(always)]
            #[cfg_attr(not(feature = "platform"), allow(dead_code, reason = "some are only told by the process heap"))]
            pub(crate) fn get(&self) -> $value {
                self.0.load(Ordering::Relaxed)
            }

            #[inline(always)]
            pub(crate) fn set(&self, value: $value) {
                self.0.store(value, Ordering::Relaxed);
            }
        }
    )*};
}

seen! {
    [] AtomicBool, bool;
    [] AtomicU8, u8;
    [] AtomicU32, u32;
    [] AtomicUsize, usize;
    [T] AtomicPtr<T>, *mut T;
}

/// Where segments come from, and how they are divided.
///
/// # Safety
///
/// A segment is as long and as aligned as is said, was [founded](Spans::found) by this ground, and is whose it was given
/// to alone until it is given back.
pub(crate) unsafe trait Ground {
    /// Bytes of a segment, and what it is aligned to.
    const SEGMENT: usize;
    /// Bytes of a slice; at most 64 make a segment.
    const SLICE: usize;
    /// Bytes at the front of a segment that are the ground's own.
    const FRONT: usize;
    /// Whether other threads free cells of a `Local`.
    const SHARED: bool;
    /// Whether the last slice of a segment stays unused, so that nothing runs into what lies behind.
    const FENCED: bool = false;

    /// A segment with a new head, which was written before anybody else could look at it.
    fn segment<'a>(&self) -> Result<&'a Segment, Cond>;

    /// Takes a segment back in which nothing is used; refused, it stays as it was.
    ///
    /// # Safety
    ///
    /// It came from here, and nothing uses it.
    unsafe fn give_back(&self, segment: NonNull<u8>) -> Result<(), Cond>;

    /// Does something while nobody looks at what a span is who does not own it.
    fn alone<R>(&self, work: impl FnOnce() -> R) -> R {
        work()
    }

    /// Called where a `Local` does more than take a cell from a list: time to think of what is due.
    fn tick(&self, _: &Local) {}

    /// Called with a new span, whose cells are all free and on its list by address: there may be a better order.
    fn arrange(&self, _: &Local, _: &Span) {}
}

//! Blocks too long for a segment, or aligned to more than most of one: each in pages of its own.
//!
//! ```text
//! │ … │ Front │ … │ payload …                 the front begins the part of the address space that holds
//!     ▲ a multiple of a segment's length       the byte before the payload
//! ```

use core::cell::Cell as Var;
use core::ptr::NonNull;

use kmem_platform::{Native, Platform};

use super::HEAP;
use super::tags::{LIVE, Part, SEGMENT, TAINT};
use crate::Cond;
use crate::cell::inside;
use crate::wipe::wipe_if;

/// The front of a block.
#[repr(C)]
pub(super) struct Front {
    start: NonNull<u8>,
    payload: NonNull<u8>,
    len: Var<usize>,
    asked: Var<usize>,
    align: usize,
    /// As a block's in a segment, without what stands here in words of its own.
    pub(super) note: Var<usize>,
}

/// Bytes from the front to the payload, at least.
const LEAD: usize = size_of::<Front>().next_multiple_of(64);

impl Front {
    pub(super) fn payload(&self) -> NonNull<u8> {
        self.payload
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.get()
    }

    pub(super) fn align(&self) -> usize {
        self.align
    }

    /// Bytes of its pages.
    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    /// Bytes from its first to the payload.
    fn lead(&self) -> usize {
        self.payload.addr().get() - self.start.addr().get()
    }

    /// The front in a part that has one.
    ///
    /// # Safety
    ///
    /// In the part a block begins.
    pub(super) unsafe fn at<'a>(part: *const u8) -> &'a Self {
        // SAFETY: the caller's promise; a front is only changed through shared references.
        unsafe { &*part.cast() }
    }

    /// The block whose payload begins at an address: told without reading what it points to.
    pub(super) fn find<'a>(payload: *mut u8) -> Option<&'a Self> {
        let before = payload.wrapping_sub(1);
        if HEAP.part(before.addr()).get() != Part::Solo {
            return None;
        }
        // SAFETY: so the part is noted.
        let front = unsafe { Self::at(before.map_addr(|at| at & !(SEGMENT - 1))) };
        (front.payload.as_ptr() == payload).then_some(front)
    }
}

/// Bytes of the pages for a block. One of no size has an address of its own too.
fn whole(lead: usize, size: usize) -> Option<usize> {
    lead.checked_add(size.max(1))?.checked_next_multiple_of(Native.page_size())
}

/// A block; its payload, and whether it is known to be zero.
#[cold]
#[inline(never)]
pub(super) fn take(size: usize, align: usize) -> Result<(NonNull<u8>, bool), Cond> {
    let lead = align.max(LEAD);
    let len = whole(lead, size).ok_or(Cond::BadSize)?;
    let run = match Native.map_aligned(len, align.max(SEGMENT)) {
        Ok(run) => run,
        // Segments that are all at hand may make room.
        Err(_) => {
            HEAP.flush();
            Native.map_aligned(len, align.max(SEGMENT))?
        }
    };
    let payload = inside(run.start, lead);
    let place = payload.as_ptr().wrapping_sub(1).map_addr(|at| at & !(SEGMENT - 1));
    HEAP.part(place.addr()).set(Part::Solo);
    HEAP.count(run.len);
    let (len, asked, note) = (Var::new(run.len), Var::new(size), Var::new(LIVE));
    let front = Front { start: run.start, payload, len, asked, align, note };
    // SAFETY: in the pages that were just taken, in front of the payload, aligned.
    unsafe { place.cast::<Front>().write(front) };
    Ok((payload, run.zeroed))
}

/// Takes a block back, and wipes it if it is tainted or that is asked.
///
/// # Safety
///
/// Nothing uses it any more.
#[cold]
#[inline(never)]
pub(super) unsafe fn give(front: &Front, shred: bool) {
    let (start, len) = (front.start, front.len());
    // SAFETY: the block's own bytes, used no more.
    unsafe { wipe_if(shred || front.note.get() & TAINT != 0, front.payload, len - front.lead()) };
    HEAP.part(front.payload.addr().get() - 1).set(Part::Foreign);
    HEAP.uncount(len);
    // Whole pages that came from there, which are never refused.
    // SAFETY: nothing uses them.
    let _ = unsafe { Native.unmap(start, len) };
}

/// Gives a block another length where it is; refused, it stays as it was.
pub(super) fn resize(front: &Front, size: usize) -> Result<(), Cond> {
    let (old, new) = (front.len(), whole(front.lead(), size).ok_or(Cond::BadSize)?);
    if new != old {
        // SAFETY: the block's pages; what is cut off is used no more.
        unsafe { Native.remap(front.start, old, new)? };
        HEAP.uncount(old);
        HEAP.count(new);
        front.len.set(new);
    }
    front.asked.set(size);
    Ok(())
}

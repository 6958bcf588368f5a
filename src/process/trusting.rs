//! Without the feature `hardened`: what it would do comes to nothing, so that nobody else needs to ask whether it is on.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Place;
use super::ground::Process;
use crate::Cond;
use crate::spans::{Class, Local, Span};

/// Bytes behind what was asked that are the heap's own.
pub(super) const CANARY: usize = 0;
/// Whether there are pages that nobody may touch.
pub(super) const FENCED: bool = false;

/// A cell of a class.
#[inline(always)]
pub(super) fn take(local: &Local, class: Class, mark: u16) -> Result<NonNull<u8>, Cond> {
    match local.take(class, mark) {
        Some(cell) => Ok(cell),
        None => local.take_more(&Process, class, mark),
    }
}

/// Notes where a block ends.
#[inline(always)]
pub(super) const fn seal(_: NonNull<u8>, _: usize) {}

/// Whether nobody wrote past the end of a block.
#[inline(always)]
pub(super) const fn is_sealed(_: NonNull<u8>, _: usize) -> bool {
    true
}

/// Takes back a live cell of a span.
///
/// # Safety
///
/// Nothing uses it any more.
pub(super) unsafe fn release(place: &Place<'_>, shred: bool) -> Result<(), Cond> {
    // SAFETY: the caller's promise.
    unsafe { place.give(shred) };
    Ok(())
}

/// Whether a block was taken back, of which nothing is taken for granted.
///
/// # Safety
///
/// If it is one, nothing uses it any more.
#[inline(always)]
pub(super) const unsafe fn dealloc(_: NonNull<u8>, _: Layout) -> bool {
    false
}

/// Where a block is that got another length, if nothing of it is taken for granted.
///
/// # Safety
///
/// As for `GlobalAlloc::realloc`.
#[inline(always)]
pub(super) const unsafe fn realloc(_: NonNull<u8>, _: Layout, _: usize) -> Option<*mut u8> {
    None
}

/// Gives the cells of a new span another order.
#[inline(always)]
pub(super) const fn arrange(_: &Local, _: &Span) {}

/// Lets all go that waits.
#[inline(always)]
pub(super) const fn drain(_: &Local) {}

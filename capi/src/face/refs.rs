//! Counted cells: the last reference releases.

use core::ffi::c_void;
use core::ptr::NonNull;

use kmem::{Cond, Global, Kind, refs};

use super::{layout, put, put_ptr, source};
use crate::entry::{Entry, with_store};
use crate::find::{Hit, counted};
use crate::types::{Answer, answer, kmcell, kmptr};

fn alloc(len: usize, zeroed: bool) -> Result<NonNull<[u8]>, Cond> {
    let layout = layout(len)?;
    if zeroed { refs::alloc_zeroed(&Global, layout) } else { refs::alloc(&Global, layout) }
}

fn alloc_in(store: &Entry, len: usize) -> Result<NonNull<[u8]>, Cond> {
    let layout = layout(len)?;
    with_store!(store, store => refs::alloc(store, layout))
}

/// Drops a reference to a counted cell, which `shred` marks.
///
/// # Safety
///
/// The caller gives up a reference, and drops the last where the cell's store may be used.
pub unsafe fn drop_one(hit: &Hit<'_>, shred: bool) -> Result<(), Cond> {
    let cell = hit.found.payload;
    // SAFETY: a live counted cell.
    if unsafe { refs::header(cell) }.refs() == 1 {
        hit.lets_go()?;
    }
    #[cfg(not(feature = "shred"))]
    let _ = shred;
    #[cfg(feature = "shred")]
    if shred {
        // SAFETY: a live counted cell.
        unsafe { refs::taint(cell) };
    }
    // SAFETY: a live counted cell, whose count is changed by these functions only; the caller's promise.
    unsafe { refs::downref_shared(cell) }.map(drop)
}

/// A counted cell of the process heap, with one reference, its contents undefined.
///
/// Its count may be changed by any thread.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmrefa(r#where: *mut *mut c_void, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc(len, false).map(NonNull::cast)) }
}

/// The same, zeroed.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmrefz(r#where: *mut *mut c_void, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc(len, true).map(NonNull::cast)) }
}

/// The same as `kmrefa`, as a managed pointer.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmrefo(r#where: *mut kmptr, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Ref, || Ok((alloc(len, false)?, None))) }
}

/// The same, zeroed.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmrefzo(r#where: *mut kmptr, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Ref, || Ok((alloc(len, true)?, None))) }
}

/// A counted cell of a store, which must not be destroyed while the cell is used.
///
/// Its count is changed by the thread that has the store: the store is asked for the cell first.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmrefa_in(r#where: *mut *mut c_void, source: *mut kmcell, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc_in(self::source(source)?, len).map(NonNull::cast)) }
}

/// One more reference.
///
/// `too_many` at the largest count, `in_use` while the last one is being dropped. By any thread, if the cell is one of the
/// process heap.
///
/// # Safety
///
/// If it is a live counted cell, the caller has a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmrefu(cell: *mut c_void) -> Answer {
    // SAFETY: a live counted cell, whose count is changed by these functions only.
    answer(counted(cell).and_then(|hit| unsafe { refs::upref_shared(hit.found.payload) }).map(drop))
}

/// One reference fewer: the last one releases the cell. Of two that drop it at once, one is told `in_use` or `bad_address`.
///
/// # Safety
///
/// If it is a live counted cell, the caller gives up a reference. The last is dropped where the cell's store may be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmrefd(cell: *mut c_void) -> Answer {
    // SAFETY: a live counted cell, of which the caller gives up a reference.
    answer(counted(cell).and_then(|hit| unsafe { drop_one(&hit, false) }))
}

/// The same as `kmrefd`, under the name that the other kinds have for it.
///
/// # Safety
///
/// If it is a live counted cell, the caller gives up a reference. The last is dropped where the cell's store may be used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmreff(cell: *mut c_void) -> Answer {
    // SAFETY: a live counted cell, of which the caller gives up a reference.
    answer(counted(cell).and_then(|hit| unsafe { drop_one(&hit, false) }))
}

/// Marks the cell, so that its bytes are destroyed with the last reference, and drops one.
///
/// # Safety
///
/// As for `kmrefd`.
#[cfg(feature = "shred")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmrefs(cell: *mut c_void) -> Answer {
    // SAFETY: a live counted cell, of which the caller gives up a reference.
    answer(counted(cell).and_then(|hit| unsafe { drop_one(&hit, true) }))
}

//! The functions of `kmem.h`, one file a kind.
//!
//! Each checks what it was given, does it by the store's own function, and tells the condition. `where` comes first and
//! is only written to when all went well.

pub mod any;
pub mod heap;
pub mod lin;
pub mod pool;
pub mod refs;
pub mod tree;
pub mod walk;

use core::alloc::Layout;
use core::ffi::c_void;
use core::ptr::{self, NonNull};

use kmem::{Cond, Kind, MIN_ALIGN};

use crate::entry::Entry;
use crate::registry;
use crate::seeded::seeded;
use crate::types::{Answer, answer, kmcell, kmptr};

/// Where a pointer is to go.
type Where = *mut *mut c_void;

/// What C asks for by a length.
fn layout(len: usize) -> Result<Layout, Cond> {
    Layout::from_size_align(len, MIN_ALIGN).map_err(|_| Cond::BadSize)
}

/// Writes what was made to where it is to go, which is looked at before anything is made.
///
/// # Safety
///
/// `place` is null, or may be written to.
unsafe fn put<T>(place: *mut *mut T, make: impl FnOnce() -> Result<NonNull<T>, Cond>) -> Answer {
    if place.is_null() {
        return answer(Err(Cond::BadAddress));
    }
    answer(make().map(|made| {
        // SAFETY: the caller's promise.
        unsafe { place.write(made.as_ptr()) };
    }))
}

/// The same with a managed pointer, whose kind is `fail` when it could not be made.
///
/// # Safety
///
/// As for [`put`].
unsafe fn put_ptr(
    place: *mut kmptr,
    kind: Kind,
    make: impl FnOnce() -> Result<(NonNull<[u8]>, Option<&'static Entry>), Cond>,
) -> Answer {
    if place.is_null() {
        return answer(Err(Cond::BadAddress));
    }
    answer(match make() {
        Ok((bytes, store)) => {
            // SAFETY: the caller's promise.
            unsafe { place.write(pointer(kind, bytes, store)) };
            Ok(())
        }
        Err(cond) => {
            // SAFETY: the caller's promise.
            let kind = unsafe { &raw mut (*place).kind };
            // SAFETY: the caller's promise.
            unsafe { kind.write(if seeded("a_failed_object_keeps_its_kind") { 0 } else { Kind::Fail as u8 }) };
            Err(cond)
        }
    })
}

/// A managed pointer.
fn pointer(kind: Kind, bytes: NonNull<[u8]>, store: Option<&Entry>) -> kmptr {
    kmptr {
        kind: kind as u8,
        #[cfg(feature = "shred")]
        shred: 0,
        r#ref: bytes.as_ptr().cast(),
        cell: handle(store),
        size: bytes.len(),
    }
}

/// A store as C names it; the process heap by null.
fn handle(store: Option<&Entry>) -> *mut kmcell {
    store.map_or(ptr::null_mut(), |store| store.at().as_ptr().cast())
}

/// The payload that comes with a call that names its store.
fn payload(cell: *mut c_void) -> Result<NonNull<u8>, Cond> {
    NonNull::new(cell.cast()).ok_or(Cond::BadAddress)
}

/// What `where` holds, for a call that changes it.
///
/// # Safety
///
/// It is null, or may be read.
unsafe fn held(place: Where) -> Result<*mut c_void, Cond> {
    let place = NonNull::new(place).ok_or(Cond::BadAddress)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { place.read() })
}

/// The store that a `kmcell*` names.
fn source<'e>(store: *mut kmcell) -> Result<&'e Entry, Cond> {
    registry::store(store)
}

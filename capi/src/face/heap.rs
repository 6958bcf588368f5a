//! Memory of any size, released in any order.

use core::ffi::c_void;
use core::ptr::NonNull;

use kmem::{Cond, Found, Global, Heap, Kind, Source, Store};

use super::{held, layout, payload, put, put_ptr};
use crate::entry::{self, AHeap, Entry, Form, Home};
use crate::find::{Hit, find};
use crate::registry;
use crate::source::{From, Src};
use crate::types::{Answer, answer, kmheap, kmptr};

fn alloc(len: usize, zeroed: bool) -> Result<NonNull<[u8]>, Cond> {
    let layout = layout(len)?;
    let bytes = if zeroed { Global.alloc_zeroed(layout) } else { Global.alloc(layout) }?;
    Ok(NonNull::slice_from_raw_parts(bytes.cast(), len))
}

fn named<'e>(heap: *mut kmheap) -> Result<(&'e Entry, &'e AHeap), Cond> {
    let entry = registry::store(heap)?;
    Ok((entry, entry.as_a()?))
}

fn alloc_in(heap: *mut kmheap, len: usize, zeroed: bool) -> Result<(NonNull<[u8]>, Option<&'static Entry>), Cond> {
    let (entry, heap) = named(heap)?;
    let layout = layout(len)?;
    let bytes = if zeroed { heap.alloc_zeroed(layout) } else { heap.alloc(layout) }?;
    Ok((bytes, Some(entry)))
}

/// # Safety
///
/// The cell is used no more.
unsafe fn release(cell: *mut c_void, shred: bool) -> Result<(), Cond> {
    let payload = payload(cell)?;
    if registry::are_elsewhere()
        && let Ok(found @ Found { kind: Kind::Heap, .. }) = Global.locate(payload)
    {
        registry::is_free(found.payload, found.size)?;
    }
    // SAFETY: the caller's promise.
    match unsafe { Global.release(payload, shred) } {
        Err(Cond::BadAddress | Cond::Mismatch) => match find(cell)? {
            hit @ Hit { store: Some(heap), kind: Kind::Heap, found } => {
                hit.lets_go()?;
                // SAFETY: a live cell of this heap; the caller's promise.
                unsafe { heap.as_a::<AHeap>()?.release(found.payload, shred) }
            }
            _ => Err(Cond::Mismatch),
        },
        answer => answer,
    }
}

/// # Safety
///
/// The cell is used no more.
unsafe fn release_in(heap: *mut kmheap, cell: *mut c_void, shred: bool) -> Result<(), Cond> {
    let (entry, heap) = named(heap)?;
    let cell = payload(cell)?;
    entry.lets_go(cell)?;
    // SAFETY: the caller's promise.
    unsafe { heap.release(cell, shred) }
}

/// A cell of the process heap, `len` bytes, its contents undefined.
///
/// `bad_size` for more than an object can have, `no_room` when there is no more memory.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapa(r#where: *mut *mut c_void, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc(len, false).map(NonNull::cast)) }
}

/// The same, zeroed.
///
/// # Safety
///
/// As for `kmheapa`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapz(r#where: *mut *mut c_void, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc(len, true).map(NonNull::cast)) }
}

/// The same as `kmheapa`, as a managed pointer.
///
/// # Safety
///
/// As for `kmheapa`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapo(r#where: *mut kmptr, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Heap, || Ok((alloc(len, false)?, None))) }
}

/// The same, zeroed.
///
/// # Safety
///
/// As for `kmheapa`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapzo(r#where: *mut kmptr, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Heap, || Ok((alloc(len, true)?, None))) }
}

/// Releases a cell of the process heap, or of whichever heap it is of.
///
/// `bad_address` for what is no live cell's payload, `mismatch` for a cell of another kind.
///
/// # Safety
///
/// If it is a live cell, it is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapf(cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(cell, false) })
}

/// Destroys the bytes, then releases the cell, as `kmheapf` does.
///
/// # Safety
///
/// As for `kmheapf`.
#[cfg(feature = "shred")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheaps(cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(cell, true) })
}

/// Gives the cell that `*where` names another size, and writes where it is now.
///
/// # Safety
///
/// `where` is null, or may be read and written to; if the cell moves, its old place is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapr(r#where: *mut *mut c_void, len: usize) -> Answer {
    let resize = || {
        // SAFETY: the caller's promise.
        let hit @ Hit { store, kind: Kind::Heap, found } = find(unsafe { held(r#where) }?)? else {
            return Err(Cond::Mismatch);
        };
        hit.lets_go()?;
        match store {
            // SAFETY: a live cell of this heap; the caller's promise.
            Some(heap) => unsafe { heap.as_a::<AHeap>()?.resize(found.payload, len) },
            None => {
                let layout = |size| core::alloc::Layout::from_size_align(size, found.align).map_err(|_| Cond::BadSize);
                let (old, new) = (layout(found.size)?, layout(len)?);
                // SAFETY: a live cell of the process heap with this layout; the caller's promise.
                unsafe { Source::resize(&Global, found.payload, old, new) }
            }
        }
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || resize().map(NonNull::cast)) }
}

/// Makes a heap of its own.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapi(r#where: *mut *mut kmheap) -> Answer {
    let make = || entry::make(Home::Process, |entry, _| Heap::new_in(Src::new(entry, From::Pages)));
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || make().map(NonNull::cast)) }
}

/// Makes a heap in the caller's bytes, which it has until it is destroyed. Full, it says `no_room`.
///
/// They may be a cell's, which then is neither released nor resized before. `in_use` if another store stands in part
/// of the bytes, `bad_size` for more than an object can have.
///
/// # Safety
///
/// As for `kmheapi`; `buf` is null or `len` bytes that nothing else uses until the heap is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapif(r#where: *mut *mut kmheap, buf: *mut c_void, len: usize) -> Answer {
    let make = || {
        entry::make(Home::Fixed(payload(buf)?, len), |entry, from| {
            Heap::new_in(Src::new(entry, from.unwrap_or(From::Process))).first_block(usize::MAX)
        })
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || make().map(NonNull::cast)) }
}

/// Destroys a heap: everything in it goes, tainted cells are shredded first.
///
/// `in_use` while another store stands in it.
///
/// # Safety
///
/// If it is a live heap, neither it nor what is in it is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapx(heap: *mut kmheap) -> Answer {
    let destroy = || {
        let (entry, _) = named(heap)?;
        debug_assert_eq!(entry.form, Form::Heap);
        // SAFETY: a live heap, which the caller has.
        unsafe { entry::destroy(NonNull::from(entry), AHeap::destroy) }
    };
    answer(destroy())
}

/// A cell of a heap.
///
/// # Safety
///
/// As for `kmheapa`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapa_in(r#where: *mut *mut c_void, heap: *mut kmheap, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc_in(heap, len, false).map(|(bytes, _)| bytes.cast())) }
}

/// The same, zeroed.
///
/// # Safety
///
/// As for `kmheapa`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapz_in(r#where: *mut *mut c_void, heap: *mut kmheap, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc_in(heap, len, true).map(|(bytes, _)| bytes.cast())) }
}

/// The same as `kmheapa_in`, as a managed pointer.
///
/// # Safety
///
/// As for `kmheapa`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapo_in(r#where: *mut kmptr, heap: *mut kmheap, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Heap, || alloc_in(heap, len, false)) }
}

/// The same, zeroed.
///
/// # Safety
///
/// As for `kmheapa`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapzo_in(r#where: *mut kmptr, heap: *mut kmheap, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Heap, || alloc_in(heap, len, true)) }
}

/// Releases a cell of a heap.
///
/// # Safety
///
/// As for `kmheapf`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapf_in(heap: *mut kmheap, cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release_in(heap, cell, false) })
}

/// Destroys the bytes, then releases the cell.
///
/// # Safety
///
/// As for `kmheapf`.
#[cfg(feature = "shred")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheaps_in(heap: *mut kmheap, cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release_in(heap, cell, true) })
}

/// Gives the cell of a heap that `*where` names another size, and writes where it is now.
///
/// # Safety
///
/// As for `kmheapr`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmheapr_in(r#where: *mut *mut c_void, heap: *mut kmheap, len: usize) -> Answer {
    let resize = || {
        let (entry, heap) = named(heap)?;
        // SAFETY: the caller's promise.
        let cell = payload(unsafe { held(r#where) }?)?;
        entry.lets_go(cell)?;
        // SAFETY: the caller's promise.
        unsafe { heap.resize(cell, len) }
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || resize().map(NonNull::cast)) }
}

//! What can be done with any pointer whatever its kind, and with plain bytes.

use core::ffi::{CStr, c_char, c_void};
use core::ptr::{self, NonNull};

#[cfg(feature = "shred")]
use kmem::Found;
use kmem::{Cond, Global, Kind, Source, Store, refs};

#[cfg(feature = "shred")]
use super::pointer;
use super::{layout, put_ptr};
use crate::entry::with_store;
#[cfg(feature = "shred")]
use crate::entry::with_tree;
use crate::find::{Hit, counted, find, in_store, node};
use crate::registry;
use crate::seeded::seeded;
#[cfg(feature = "shred")]
use crate::types::kmcell;
use crate::types::{Answer, UNKNOWN, answer, kmptr};

/// What a managed pointer says of itself, whatever its fields are.
enum Named<'e> {
    Static,
    Cell(Hit<'e>),
}

#[cfg(feature = "shred")]
fn tainted(ptr: &kmptr) -> bool {
    ptr.shred != 0
}

#[cfg(not(feature = "shred"))]
fn tainted(_: &kmptr) -> bool {
    false
}

fn named<'e>(ptr: &kmptr) -> Result<Named<'e>, Cond> {
    let kind = match Kind::from_number(ptr.kind) {
        Some(Kind::None) => return Ok(Named::Static),
        None | Some(Kind::Fail) => return Err(Cond::Mismatch),
        Some(kind) => kind,
    };
    let payload = super::payload(ptr.r#ref)?;
    let store = if ptr.cell.is_null() { None } else { Some(registry::store(ptr.cell)?) };
    let hit = match (kind, store) {
        (Kind::Tree, _) => {
            let (tree, payload) = node(ptr.r#ref)?;
            Hit { store: Some(tree), kind, found: tree.locate(payload)? }
        }
        (Kind::Ref, _) => counted(ptr.r#ref)?,
        (_, Some(store)) if store.kind() != kind => return Err(Cond::Mismatch),
        (_, Some(store)) => in_store(store, payload)?,
        (_, None) => find(ptr.r#ref)?,
    };
    // What is not in the store that it names is a stranger there.
    if store.is_some_and(|store| !hit.store.is_some_and(|of| ptr::eq(of, store))) {
        return Err(Cond::BadAddress);
    }
    if hit.kind == kind { Ok(Named::Cell(hit)) } else { Err(Cond::Mismatch) }
}

/// The bytes of a static pointer.
fn static_bytes(ptr: &kmptr) -> Result<(NonNull<u8>, usize), Cond> {
    if ptr.size == UNKNOWN {
        return Err(Cond::BadSize);
    }
    Ok((super::payload(ptr.r#ref)?, ptr.size))
}

/// # Safety
///
/// What the pointer names is used no more; static bytes may be written to.
unsafe fn release(ptr: &kmptr, shred: bool) -> Result<(), Cond> {
    let hit = match named(ptr)? {
        Named::Cell(hit) => hit,
        Named::Static if shred => {
            let (bytes, size) = static_bytes(ptr)?;
            // SAFETY: the caller's promise.
            unsafe { kmem::zero(bytes, size) };
            return Ok(());
        }
        Named::Static => return Ok(()),
    };
    let payload = hit.found.payload;
    match (hit.kind, hit.store) {
        // SAFETY: a live counted cell, of which the caller gives up a reference.
        (Kind::Ref, _) => return unsafe { super::refs::drop_one(&hit, shred) },
        // SAFETY: a live node; the caller's promise.
        (Kind::Tree, _) => return unsafe { super::tree::release(ptr.r#ref, shred) },
        _ => hit.lets_go()?,
    }
    match hit.store {
        // SAFETY: a live cell of it; the caller's promise.
        None => unsafe { Global.release(payload, shred) },
        // SAFETY: a live cell of it; the caller's promise.
        Some(store) => with_store!(store, store => unsafe { store.release(payload, shred) }),
    }
}

/// A cell beside another, of the same size.
fn beside(ptr: &kmptr) -> Result<(NonNull<[u8]>, Hit<'static>), Cond> {
    let hit = match named(ptr)? {
        Named::Cell(hit) => hit,
        Named::Static if ptr.size == UNKNOWN => return Err(Cond::BadSize),
        Named::Static => return Err(Cond::Mismatch),
    };
    let Hit { store, kind, found } = hit;
    if found.destructor {
        return Err(Cond::Mismatch);
    }
    let layout = layout(found.size)?;
    let bytes = match (kind, store) {
        (Kind::Ref, None) => refs::alloc(&Global, layout),
        (Kind::Ref, Some(store)) => with_store!(store, store => refs::alloc(store, layout)),
        (_, None) => Global.alloc(layout),
        (_, Some(store)) => with_store!(store, store => store.sibling(found.payload, layout)),
    }?;
    Ok((NonNull::slice_from_raw_parts(bytes.cast(), found.size), hit))
}

/// Marks a live cell.
#[cfg(feature = "shred")]
fn taint(hit: &Hit<'_>) -> Result<(), Cond> {
    let payload = hit.found.payload;
    match (hit.kind, hit.store) {
        (Kind::Ref, _) => {
            // SAFETY: a live counted cell.
            unsafe { refs::taint(payload) };
            Ok(())
        }
        // SAFETY: a live node of the tree.
        (Kind::Tree, Some(tree)) => with_tree!(tree, tree => unsafe { tree.taint_node(payload) }),
        (_, None) => Global.taint_cell(payload),
        (_, Some(store)) => with_store!(store, store => store.taint_cell(payload)),
    }
}

/// Releases, drops a reference to, or leaves alone: what is right for the pointer's kind. A tainted one is shredded.
///
/// `mismatch` for a pointer of kind `fail`, or of another kind than what is there.
///
/// # Safety
///
/// What the pointer names is used no more (of a counted cell the caller gives up a reference); static bytes that are to be
/// zeroed may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmfree(ptr: kmptr) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(&ptr, tainted(&ptr)) })
}

/// Destroys the bytes, then releases; of a counted cell that is still shared, the bytes go with the last reference. Static
/// memory is zeroed: `bad_size` if its size is not known.
///
/// # Safety
///
/// What the pointer names is used no more (of a counted cell the caller gives up a reference); static bytes that are to be
/// zeroed may be written to.
#[cfg(feature = "shred")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmshred(ptr: kmptr) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(&ptr, true) })
}

/// Wraps memory that was not allocated, of which the size is not known: it can be released, which does nothing, but not be
/// zeroed, shredded or duplicated.
///
/// # Safety
///
/// None: nothing is done with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmstat(raw: *mut c_void) -> kmptr {
    kmptr { r#ref: raw, size: UNKNOWN, ..NONE }
}

/// The same with its size.
///
/// # Safety
///
/// None: nothing is done with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmstatn(raw: *mut c_void, size: usize) -> kmptr {
    kmptr { r#ref: raw, size, ..NONE }
}

/// A pointer to nothing.
const NONE: kmptr = kmptr {
    kind: Kind::None as u8,
    #[cfg(feature = "shred")]
    shred: 0,
    r#ref: ptr::null_mut(),
    cell: ptr::null_mut(),
    size: 0,
};

/// Marks a pointer and the cell that it names: however the cell is released, its bytes are destroyed.
///
/// # Safety
///
/// `ptr` is null, or may be read and written to.
#[cfg(feature = "shred")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtaint(ptr: *mut kmptr) -> Answer {
    let mark = || {
        let ptr = NonNull::new(ptr).ok_or(Cond::BadAddress)?;
        // SAFETY: the caller's promise.
        let mut now = unsafe { ptr.read() };
        if let Named::Cell(hit) = named(&now)? {
            taint(&hit)?;
        }
        now.shred = 1;
        // SAFETY: the caller's promise.
        unsafe { ptr.write(now) };
        Ok(())
    };
    answer(mark())
}

/// Marks a store, all of whose cells are then destroyed when they go; or a cell, told by its header.
///
/// # Safety
///
/// The caller has the store.
#[cfg(feature = "shred")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtaintc(cell: *mut kmcell) -> Answer {
    let mark = || {
        if let Ok(store) = registry::store(cell) {
            with_store!(store, store => store.taint());
            return Ok(());
        }
        // A header of each kind is so long; the payload comes behind it.
        let kinds: [(usize, &[Kind]); 3] = [
            (size_of::<kmcell>(), &[Kind::Heap, Kind::Lin, Kind::Pool]),
            (size_of::<kmem::RefCell>(), &[Kind::Ref]),
            (size_of::<kmem::Node>(), &[Kind::Tree]),
        ];
        let mut answer = Cond::BadAddress;
        for (header, kinds) in kinds {
            match find(cell.cast::<u8>().wrapping_add(header).cast()) {
                Ok(hit) if kinds.contains(&hit.kind) => return taint(&hit),
                Ok(_) => {}
                Err(Cond::BadAddress) => {}
                Err(cond) => answer = cond,
            }
        }
        Err(answer)
    };
    if cell.is_null() { answer(Err(Cond::BadAddress)) } else { answer(mark()) }
}

/// A copy of a cell, allocated as its sibling: in the same store, for a node under the same parent and without its children.
/// Taint is inherited; a counted cell's copy has one reference.
///
/// `mismatch` for static memory, which has no store to be a sibling in, and for a node that has a destructor.
///
/// # Safety
///
/// `where` is null or may be written to; nobody writes to the payload meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdup(r#where: *mut kmptr, ptr: kmptr) -> Answer {
    let kind = Kind::from_number(ptr.kind).unwrap_or(Kind::Fail);
    let mut secret = false;
    let copy = || {
        let (bytes, hit) = beside(&ptr)?;
        // SAFETY: both are live, distinct, and this long.
        unsafe {
            hit.found.payload.copy_to_nonoverlapping(
                bytes.cast(),
                bytes.len() - usize::from(seeded("a_copy_lacks_a_byte") && !bytes.is_empty()),
            )
        };
        let store = if hit.kind == Kind::Ref && ptr.cell.is_null() { None } else { hit.store };
        secret = hit.found.tainted || tainted(&ptr);
        #[cfg(feature = "shred")]
        if secret && let Err(cond) = taint(&Hit { found: Found { payload: bytes.cast(), ..hit.found }, ..hit }) {
            // SAFETY: just made, and named nowhere.
            unsafe { release(&pointer(kind, bytes, store), true) }?;
            return Err(cond);
        }
        Ok((bytes, store))
    };
    // SAFETY: the caller's promise.
    let told = unsafe { put_ptr(r#where, kind, copy) };
    #[cfg(feature = "shred")]
    if told == 0 && secret {
        // SAFETY: the caller's promise: it was just written to.
        let shred = unsafe { &raw mut (*r#where).shred };
        // SAFETY: as above.
        unsafe { shred.write(1) };
    }
    let _ = secret;
    told
}

/// Zeroes bytes, also where nothing reads them afterwards.
///
/// # Safety
///
/// `bytes` is null, or so many bytes may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmzero(bytes: *mut c_void, len: usize) -> Answer {
    answer(super::payload(bytes).and_then(|bytes| {
        layout(len)?;
        // SAFETY: the caller's promise.
        unsafe { kmem::zero(bytes, len) };
        Ok(())
    }))
}

/// Zeroes the payload that a pointer names; `mismatch` for a node that has a destructor, whose bytes are somebody's value,
/// `in_use` for a cell in which a store was made.
///
/// # Safety
///
/// Nothing reads the payload meanwhile; static bytes may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmozero(ptr: kmptr) -> Answer {
    let zero = || {
        let (bytes, size) = match named(&ptr)? {
            Named::Static => static_bytes(&ptr)?,
            Named::Cell(hit) if hit.found.destructor => return Err(Cond::Mismatch),
            Named::Cell(hit) => {
                hit.lets_go()?;
                (hit.found.payload, hit.found.size)
            }
        };
        // SAFETY: a live cell's payload, or what the caller answers for.
        unsafe { kmem::zero(bytes, size) };
        Ok(())
    };
    answer(zero())
}

/// Copies bytes; the two places may overlap.
///
/// # Safety
///
/// Each is null, or valid for that many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmcopy(dest: *mut c_void, src: *const c_void, len: usize) -> Answer {
    let copy = || {
        layout(len)?;
        let (dest, src) = (super::payload(dest)?, super::payload(src.cast_mut())?);
        // SAFETY: the caller's promise.
        unsafe { kmem::copy(dest, src, len) };
        Ok(())
    };
    answer(copy())
}

/// What a condition means, in a few words; a string for any number.
///
/// # Safety
///
/// None: any number will do.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmstrerror(cond: Answer) -> *const c_char {
    let text: &'static CStr = match cond {
        0 => c"ok: done",
        1 => c"bad_lock: the memory could not be locked, or too much is locked",
        2 => c"bad_size: a size or alignment that cannot be met, or that is needed and not known",
        3 => c"too_many: a limit on the number of mappings, cells or references",
        4 => c"no_room: there is no more memory to be had here, or a quota is reached",
        5 => c"bad_address: not the address of a live cell or store",
        6 => c"mismatch: a live cell, but of another kind",
        7 => c"in_use: something still holds it",
        8 => c"fail_assert: the system gave an unknown answer, or a header was overwritten",
        _ => c"not a condition of kmem",
    };
    text.as_ptr()
}

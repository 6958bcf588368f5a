//! Cells of one size.

use core::alloc::Layout;
use core::ffi::c_void;
use core::ptr::NonNull;

use kmem::{Cond, Kind, Pool, Store};

use super::{held, layout, payload, put, put_ptr, source};
use crate::entry::{self, APool, Entry, Home};
use crate::registry;
use crate::source::{From, Src};
use crate::types::{Answer, answer, kmcell, kmpool, kmptr};

fn named<'e>(pool: *mut kmpool) -> Result<(&'e Entry, &'e APool), Cond> {
    let entry = registry::store(pool)?;
    Ok((entry, entry.as_a()?))
}

fn alloc(pool: *mut kmpool, zeroed: bool) -> Result<(NonNull<[u8]>, Option<&'static Entry>), Cond> {
    let (entry, pool) = named(pool)?;
    Ok((if zeroed { pool.alloc_zeroed() } else { pool.alloc() }?, Some(entry)))
}

/// # Safety
///
/// The cell is used no more.
unsafe fn release(pool: *mut kmpool, cell: *mut c_void, shred: bool) -> Result<(), Cond> {
    let (entry, pool) = named(pool)?;
    let cell = payload(cell)?;
    entry.lets_go(cell)?;
    // SAFETY: the caller's promise.
    unsafe { pool.release(cell, shred) }
}

/// A pool whose first block has so many cells.
fn cells_of(cell: Layout, source: Src, cells: usize) -> APool {
    let pool = Pool::with_headers_in(cell, source);
    if cells == 0 { pool } else { pool.first_cells(cells) }
}

/// Makes a pool of cells of `cellsz` bytes. Its first block has `cells` of them, which is a start and no limit; 0 leaves
/// it to kmem.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpooli(r#where: *mut *mut kmpool, cellsz: usize, cells: usize) -> Answer {
    let make = || {
        let cell = layout(cellsz)?;
        entry::make(Home::Process, |entry, _| cells_of(cell, Src::new(entry, From::Process), cells))
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || make().map(NonNull::cast)) }
}

/// Makes a pool in the caller's bytes, which it has until it is destroyed. Full, it says `no_room`.
///
/// They may be a cell's, which then is neither released nor resized before. `in_use` if another store stands in part
/// of the bytes, `bad_size` for more than an object can have.
///
/// # Safety
///
/// As for `kmpooli`; `buf` is null or `len` bytes that nothing else uses until the pool is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpoolif(r#where: *mut *mut kmpool, cellsz: usize, buf: *mut c_void, len: usize) -> Answer {
    let make = || {
        let cell = layout(cellsz)?;
        entry::make(Home::Fixed(payload(buf)?, len), |entry, from| {
            cells_of(cell, Src::new(entry, from.unwrap_or(From::Process)), usize::MAX)
        })
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || make().map(NonNull::cast)) }
}

/// Makes a pool in another store, which cannot be destroyed before it.
///
/// `too_many` where as many lie in each other as may.
///
/// # Safety
///
/// As for `kmpooli`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpooli_in(
    r#where: *mut *mut kmpool,
    source: *mut kmcell,
    cellsz: usize,
    cells: usize,
) -> Answer {
    let make = || {
        let cell = layout(cellsz)?;
        let host = self::source(source)?;
        entry::make(Home::In(host), |entry, _| cells_of(cell, Src::new(entry, From::In(NonNull::from(host))), cells))
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || make().map(NonNull::cast)) }
}

/// Destroys a pool: everything in it goes, what is tainted is shredded first.
///
/// `in_use` while another store stands in it.
///
/// # Safety
///
/// If it is a live pool, neither it nor what is in it is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpoolx(pool: *mut kmpool) -> Answer {
    let destroy = || {
        let (entry, _) = named(pool)?;
        // SAFETY: a live pool, which the caller has.
        unsafe { entry::destroy(NonNull::from(entry), APool::destroy) }
    };
    answer(destroy())
}

/// A cell of a pool, its contents undefined.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpoola(r#where: *mut *mut c_void, pool: *mut kmpool) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc(pool, false).map(|(bytes, _)| bytes.cast())) }
}

/// The same, zeroed.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpoolz(r#where: *mut *mut c_void, pool: *mut kmpool) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc(pool, true).map(|(bytes, _)| bytes.cast())) }
}

/// The same as `kmpoola`, as a managed pointer.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpoolo(r#where: *mut kmptr, pool: *mut kmpool) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Pool, || alloc(pool, false)) }
}

/// The same, zeroed.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpoolzo(r#where: *mut kmptr, pool: *mut kmpool) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Pool, || alloc(pool, true)) }
}

/// Releases a cell, which is the next to be handed out.
///
/// # Safety
///
/// If it is a live cell, it is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpoolf(pool: *mut kmpool, cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(pool, cell, false) })
}

/// Destroys the bytes, then releases the cell.
///
/// # Safety
///
/// If it is a live cell, it is used no more.
#[cfg(feature = "shred")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpools(pool: *mut kmpool, cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(pool, cell, true) })
}

/// Says whether the cell that `*where` names has room for `len` bytes: it stays where it is, or `bad_size`.
///
/// # Safety
///
/// `where` is null, or may be read and written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmpoolr(r#where: *mut *mut c_void, pool: *mut kmpool, len: usize) -> Answer {
    let resize = || {
        let (_, pool) = named(pool)?;
        // SAFETY: the caller's promise.
        pool.resize(payload(unsafe { held(r#where) }?)?, len)
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || resize().map(NonNull::cast)) }
}

//! One cell after the other.

use core::ffi::c_void;
use core::ptr::NonNull;

use kmem::{Cond, Kind, Lin, Mark, Store};

use super::{held, layout, payload, put, put_ptr, source};
use crate::entry::{self, ALin, Entry, Home};
use crate::registry;
use crate::source::{From, Src};
use crate::types::{Answer, answer, kmcell, kmlin, kmmark, kmptr};

/// Beside the cells, a chunk has its own front and a map.
const BESIDE: usize = 512;

fn named<'e>(lin: *mut kmlin) -> Result<(&'e Entry, &'e ALin), Cond> {
    let entry = registry::store(lin)?;
    Ok((entry, entry.as_a()?))
}

fn alloc(lin: *mut kmlin, len: usize, zeroed: bool) -> Result<(NonNull<[u8]>, Option<&'static Entry>), Cond> {
    let (entry, lin) = named(lin)?;
    let layout = layout(len)?;
    let bytes = if zeroed { lin.alloc_zeroed(layout) } else { lin.alloc(layout) }?;
    Ok((bytes, Some(entry)))
}

/// # Safety
///
/// The cell is used no more.
unsafe fn release(lin: *mut kmlin, cell: *mut c_void, shred: bool) -> Result<(), Cond> {
    let (entry, lin) = named(lin)?;
    let cell = payload(cell)?;
    entry.lets_go(cell)?;
    // SAFETY: the caller's promise.
    unsafe { lin.release(cell, shred) }
}

/// A region whose first chunk has room for so many bytes.
fn region(source: Src, cap: usize) -> ALin {
    let lin = Lin::with_headers_in(source);
    if cap == 0 { lin } else { lin.first_block(cap.saturating_add(cap / 64).saturating_add(BESIDE)) }
}

/// Makes a linear region. Its first chunk has room for `cap` bytes of cells and headers, which is a start and no
/// limit; 0 leaves it to kmem.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlini(r#where: *mut *mut kmlin, cap: usize) -> Answer {
    let make = || {
        layout(cap)?;
        entry::make(Home::Process, |entry, _| region(Src::new(entry, From::Process), cap))
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || make().map(NonNull::cast)) }
}

/// Makes a region in the caller's bytes, which it has until it is destroyed. Full, it says `no_room`.
///
/// They may be a cell's, which then is neither released nor resized before. `in_use` if another store stands in part
/// of the bytes, `bad_size` for more than an object can have.
///
/// # Safety
///
/// As for `kmlini`; `buf` is null or `len` bytes that nothing else uses until the region is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlinif(r#where: *mut *mut kmlin, buf: *mut c_void, len: usize) -> Answer {
    let make = || {
        entry::make(Home::Fixed(payload(buf)?, len), |entry, from| {
            Lin::with_headers_in(Src::new(entry, from.unwrap_or(From::Process))).first_block(usize::MAX)
        })
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || make().map(NonNull::cast)) }
}

/// Makes a region in another store, which cannot be destroyed before it.
///
/// `too_many` where as many lie in each other as may.
///
/// # Safety
///
/// As for `kmlini`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlini_in(r#where: *mut *mut kmlin, source: *mut kmcell, cap: usize) -> Answer {
    let make = || {
        layout(cap)?;
        let host = self::source(source)?;
        entry::make(Home::In(host), |entry, _| region(Src::new(entry, From::In(NonNull::from(host))), cap))
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || make().map(NonNull::cast)) }
}

/// Destroys a region: everything in it goes, what is tainted is shredded first.
///
/// `in_use` while another store stands in it.
///
/// # Safety
///
/// If it is a live region, neither it nor what is in it is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlinx(lin: *mut kmlin) -> Answer {
    let look_and_destroy = |lin: &mut ALin| {
        lin.look_over()?;
        lin.destroy()
    };
    let destroy = || {
        let (entry, _) = named(lin)?;
        // SAFETY: a live region, which the caller has.
        unsafe { entry::destroy(NonNull::from(entry), look_and_destroy) }
    };
    answer(destroy())
}

/// A cell of a region.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlina(r#where: *mut *mut c_void, lin: *mut kmlin, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc(lin, len, false).map(|(bytes, _)| bytes.cast())) }
}

/// The same, zeroed.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlinz(r#where: *mut *mut c_void, lin: *mut kmlin, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc(lin, len, true).map(|(bytes, _)| bytes.cast())) }
}

/// The same as `kmlina`, as a managed pointer.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlino(r#where: *mut kmptr, lin: *mut kmlin, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Lin, || alloc(lin, len, false)) }
}

/// The same, zeroed.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlinzo(r#where: *mut kmptr, lin: *mut kmlin, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Lin, || alloc(lin, len, true)) }
}

/// Releases a cell. The newest gives its room back; that of an older one comes back by a rewind, a reset or the
/// region's end.
///
/// # Safety
///
/// If it is a live cell, it is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlinf(lin: *mut kmlin, cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(lin, cell, false) })
}

/// Destroys the bytes, then releases the cell.
///
/// # Safety
///
/// If it is a live cell, it is used no more.
#[cfg(feature = "shred")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlins(lin: *mut kmlin, cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(lin, cell, true) })
}

/// Gives the cell that `*where` names another size, and writes where it is now. The newest stays where it is, if there
/// is room.
///
/// # Safety
///
/// `where` is null, or may be read and written to; if the cell moves, its old place is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlinr(r#where: *mut *mut c_void, lin: *mut kmlin, len: usize) -> Answer {
    let resize = || {
        let (entry, lin) = named(lin)?;
        // SAFETY: the caller's promise.
        let cell = payload(unsafe { held(r#where) }?)?;
        entry.lets_go(cell)?;
        // SAFETY: the caller's promise.
        unsafe { lin.resize(cell, len) }
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || resize().map(NonNull::cast)) }
}

/// Marks the place up to which a region is used.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlinmark(r#where: *mut kmmark, lin: *mut kmlin) -> Answer {
    let mark = || {
        let place = NonNull::new(r#where).ok_or(Cond::BadAddress)?;
        let (entry, lin) = named(lin)?;
        let (record, serial) = lin.mark()?.to_parts();
        entry.is_marked(serial);
        // SAFETY: the caller's promise.
        unsafe { place.write(kmmark { record: record.cast(), serial }) };
        Ok(())
    };
    answer(mark())
}

/// Goes back to a mark: what was allocated since is gone, what is tainted of it shredded.
///
/// `bad_address` for a mark that the region does not have: of another one, or passed already. `in_use` if another store
/// has taken memory since.
///
/// # Safety
///
/// Nothing that was allocated since is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlinrewind(lin: *mut kmlin, mark: kmmark) -> Answer {
    let rewind = || {
        let (entry, lin) = named(lin)?;
        entry.may_rewind(mark.serial)?;
        // SAFETY: the caller's promise.
        unsafe { lin.rewind(Mark::from_parts(mark.record.cast(), mark.serial)) }
    };
    answer(rewind())
}

/// Empties a region and keeps its chunks, so that once warmed up it asks its source for nothing.
///
/// `in_use` while another store stands in it.
///
/// # Safety
///
/// Nothing in it is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmlinreset(lin: *mut kmlin) -> Answer {
    let reset = || {
        let (entry, lin) = named(lin)?;
        entry.at_rest()?;
        lin.look_over()?;
        // SAFETY: a region; the thread that has it is here.
        unsafe { entry.at().cast::<ALin>().as_mut() }.reset();
        Ok(())
    };
    answer(reset())
}

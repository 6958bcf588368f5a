//! Counting references; the last one releases.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::{GOING, HOOKED, Hook, RefCell, header};
use crate::Cond;
use crate::cell::{Frame, State};
use crate::wipe::wipe_if;

/// One more reference; says how many there are now.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell.
/// assert_eq!(unsafe { refs::upref(cell)? }, 2);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// `too_many` at the largest count that is safe, `in_use` while the cell is being released.
///
/// # Safety
///
/// The address is that of a live counted cell's payload.
#[inline]
pub unsafe fn upref(payload: NonNull<u8>) -> Result<usize, Cond> {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    let refs = front.refs.get();
    if refs == 0 {
        return Err(Cond::InUse);
    }
    // Half the range, as the standard library does: what overflows is a leak in a loop.
    if refs > isize::MAX as usize {
        return Err(if refs == GOING { Cond::InUse } else { Cond::TooMany });
    }
    front.refs.set(refs + 1);
    Ok(refs + 1)
}

/// One reference fewer; says how many there are left. The last runs the destructor, shreds the bytes
/// if the cell or its store is tainted, and gives the block back.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell, with as many references dropped as there are.
/// unsafe {
///     refs::upref(cell)?;
///     assert_eq!(refs::downref(cell)?, 1);
///     assert_eq!(refs::downref(cell)?, 0);
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// `in_use` while the cell is being released. When the store refuses the block of the last reference, what it
/// says: the destructor has run, and the same call tries again.
///
/// # Safety
///
/// The address is that of a live counted cell's payload, the caller has a reference, and the cell's
/// store is where it was.
#[inline]
pub unsafe fn downref(payload: NonNull<u8>) -> Result<usize, Cond> {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    let refs = front.refs.get();
    match refs {
        GOING => Err(Cond::InUse),
        0 | 1 => {
            front.refs.set(GOING);
            // SAFETY: the caller's promise, and this is the last reference.
            unsafe { release(payload, front, refs) }
        }
        more => {
            front.refs.set(more - 1);
            Ok(more - 1)
        }
    }
}

/// The same as [`upref`], of a cell that several threads hold: its count is changed in one step.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Global, refs};
///
/// let cell = refs::alloc(&Global, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell, with as many references dropped as there are.
/// unsafe {
///     assert_eq!(refs::upref_shared(cell)?, 2);
///     refs::downref_shared(cell)?;
///     refs::downref_shared(cell)?;
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`upref`].
///
/// # Safety
///
/// As for [`upref`]; of this cell, no thread calls the functions that are for one thread meanwhile.
pub unsafe fn upref_shared(payload: NonNull<u8>) -> Result<usize, Cond> {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    let more = |refs| if refs == 0 || refs > isize::MAX as usize { None } else { Some(refs + 1) };
    match front.shared_count().fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
        Ok(before) => Ok(before + 1),
        Err(0 | GOING) => Err(Cond::InUse),
        Err(_) => Err(Cond::TooMany),
    }
}

/// The same as [`downref`], of a cell that several threads hold. The last one releases it, by the thread that drops it.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Global, refs};
///
/// let cell = refs::alloc(&Global, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell, whose only reference goes.
/// assert_eq!(unsafe { refs::downref_shared(cell)? }, 0);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`downref`].
///
/// # Safety
///
/// As for [`downref`]; of this cell, no thread calls the functions that are for one thread meanwhile. The last
/// reference is dropped where the cell's store may be used.
pub unsafe fn downref_shared(payload: NonNull<u8>) -> Result<usize, Cond> {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    let less = |refs| match refs {
        GOING => None,
        0 | 1 => Some(GOING),
        more => Some(more - 1),
    };
    match front.shared_count().fetch_update(Ordering::AcqRel, Ordering::Relaxed, less) {
        // What other threads did to the cell before they dropped theirs has happened by now.
        // SAFETY: the caller's promise, and nobody else has a reference, nor can take the count from here.
        Ok(last @ (0 | 1)) => unsafe { release(payload, front, last) },
        Ok(before) => Ok(before - 1),
        Err(_) => Err(Cond::InUse),
    }
}

/// The same as [`downref`], under the verb of the other kinds.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell, whose only reference goes.
/// unsafe { refs::free(cell)? };
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`downref`].
///
/// # Safety
///
/// As for [`downref`].
pub unsafe fn free(payload: NonNull<u8>) -> Result<(), Cond> {
    // SAFETY: the caller's promise.
    unsafe { downref(payload) }.map(drop)
}

/// Drops one reference and marks the cell, so that its bytes are destroyed with the last one.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let key = refs::alloc(&heap, Layout::new::<[u8; 32]>())?.cast();
/// // SAFETY: a live counted cell, with as many references dropped as there are.
/// unsafe {
///     refs::upref(key)?;
///     refs::shred(key)?;                  // one is left
///     refs::downref(key)?;                // and now its bytes are gone
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`downref`].
///
/// # Safety
///
/// As for [`downref`].
#[cfg(feature = "shred")]
pub unsafe fn shred(payload: NonNull<u8>) -> Result<(), Cond> {
    // SAFETY: the caller's promise.
    unsafe { taint(payload) };
    // SAFETY: the caller's promise.
    unsafe { free(payload) }
}

/// Marks the cell, so that its bytes are destroyed when the last reference goes, or its store.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let key = refs::alloc(&heap, Layout::new::<[u8; 32]>())?.cast();
/// // SAFETY: a live counted cell.
/// unsafe { refs::taint(key) };
/// // SAFETY: as above.
/// assert!(unsafe { refs::header(key) }.id().is_tainted());
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Safety
///
/// The address is that of a live counted cell's payload, whose store is where it was.
#[cfg(feature = "shred")]
pub unsafe fn taint(payload: NonNull<u8>) {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    front.id.taint();
    // The store must know too: it may be destroyed before the last reference is dropped.
    // SAFETY: the caller's promise.
    let ops = unsafe { front.src.get().as_ref() }.ops();
    if let (Some(ops), Some(frame)) = (ops, front.frame(front.has_hook())) {
        let block = payload.as_ptr().wrapping_sub(frame.offset);
        // SAFETY: the block that the payload lies in is not at null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller's promise. A store that does not find its own block has been overwritten.
        let _ = unsafe { (ops.taint_cell)(front.src.get(), block) };
    }
}

/// # Safety
///
/// As for [`downref`], with the last reference: the count was `last` until the caller has made it [`GOING`].
#[cold]
unsafe fn release(payload: NonNull<u8>, front: &RefCell, last: usize) -> Result<usize, Cond> {
    let hooked = match (front.id.state(), last) {
        (Some(State::Live), 1) => Some(false),
        (Some(State::Hooked), _) => Some(true),
        // Released but for the block, which its store refused.
        (Some(State::Free), 0) => Some(false),
        _ => None,
    };
    // What was refused before may have had a destructor: its room shows in where the block begins.
    let Some((hooked, frame)) = hooked.and_then(|hooked| Some((hooked, front.frame(hooked)?))) else {
        front.shared_count().store(last, Ordering::Release);
        return Err(Cond::FailAssert);
    };
    let destroy = last == 1 && hooked;
    let going = Going { payload, front, frame, hooked };
    if destroy {
        front.id.set_state(State::Doomed);
        // SAFETY: a hooked cell has its hook before the front.
        let hook = unsafe { payload.sub(HOOKED) };
        // SAFETY: as above.
        let Hook { run, context, .. } = unsafe { hook.cast::<Hook>().read() };
        // SAFETY: whoever gave the destructor promised that it may be called so, once.
        unsafe { run(payload, context) };
    }
    let answer = going.give_back();
    core::mem::forget(going);
    answer.map(|()| 0)
}

/// A cell whose last reference is gone: its block goes even if its destructor panics.
struct Going<'c> {
    payload: NonNull<u8>,
    front: &'c RefCell,
    frame: Frame,
    hooked: bool,
}

impl Going<'_> {
    fn give_back(&self) -> Result<(), Cond> {
        // If the block is refused, the next call finds what is left to do.
        self.try_to().inspect_err(|_| self.front.shared_count().store(0, Ordering::Release))
    }

    fn try_to(&self) -> Result<(), Cond> {
        self.front.id.set_state(if self.hooked { State::Hooked } else { State::Free });
        let src = self.front.src.get();
        // SAFETY: who dropped the last reference promised that the store is where it was.
        let head = unsafe { src.as_ref() };
        let tainted = self.front.id.is_tainted() || head.id().is_tainted();
        let Frame { block: layout, offset } = self.frame;
        // SAFETY: the payload's bytes, used no more.
        unsafe { wipe_if(tainted, self.payload, layout.size() - offset) };
        let ops = head.ops().ok_or(Cond::FailAssert)?;
        // SAFETY: the payload lies this far into the block.
        let block = unsafe { self.payload.sub(offset) };
        // SAFETY: the block came from this store with this layout and is used no more.
        unsafe { (ops.free_block)(src, block, self.frame.asked()) }
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        let _ = self.give_back();
    }
}

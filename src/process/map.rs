//! Which segment holds an address, for the whole process: a table by address, read without a lock.
//!
//! ```text
//! 64 bit   47 ───────── 35 ───────── 22 ──────── 0        32 bit   31 ───────── 18 ──────── 0
//!           root           leaf        in segment                   one table     in segment
//! ```
//!
//! Whoever writes holds the lock of the process heap. An entry is the segment's own pointer, so that who looks up an
//! address needs no pointer of its own that may be used for more.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};

use super::ground::SEGMENT;
use crate::Cond;

const SHIFT: u32 = SEGMENT.trailing_zeros();

#[cfg(target_pointer_width = "64")]
mod table {
    use core::ptr::null_mut;

    use kmem_platform::{Native, Platform};

    use super::*;

    const BITS: u32 = 13;
    const SIZE: usize = 1 << BITS;
    type Leaf = [AtomicPtr<u8>; SIZE];

    static ROOT: [AtomicPtr<Leaf>; SIZE] = [const { AtomicPtr::new(null_mut()) }; SIZE];

    fn root(at: usize) -> Option<&'static AtomicPtr<Leaf>> {
        ROOT.get(at >> (SHIFT + BITS))
    }

    pub(super) fn entry(at: usize) -> Option<&'static AtomicPtr<u8>> {
        let leaf = NonNull::new(root(at)?.load(Ordering::Acquire))?;
        // SAFETY: a leaf stays once it is there.
        let leaf = unsafe { leaf.as_ref() };
        leaf.get((at >> SHIFT) % SIZE)
    }

    /// An entry that can be written.
    pub(super) fn make(at: usize) -> Result<&'static AtomicPtr<u8>, Cond> {
        let root = root(at).ok_or(Cond::FailAssert)?;
        if root.load(Ordering::Relaxed).is_null() {
            // Zeroed pages are a table of null pointers.
            let run = Native.map(size_of::<Leaf>())?;
            root.store(run.start.as_ptr().cast(), Ordering::Release);
        }
        entry(at).ok_or(Cond::FailAssert)
    }
}

#[cfg(not(target_pointer_width = "64"))]
mod table {
    use core::ptr::null_mut;

    use super::*;

    const SIZE: usize = 1 << (usize::BITS - SHIFT);

    static TABLE: [AtomicPtr<u8>; SIZE] = [const { AtomicPtr::new(null_mut()) }; SIZE];

    pub(super) fn entry(at: usize) -> Option<&'static AtomicPtr<u8>> {
        TABLE.get(at >> SHIFT)
    }

    pub(super) fn make(at: usize) -> Result<&'static AtomicPtr<u8>, Cond> {
        entry(at).ok_or(Cond::FailAssert)
    }
}

/// The segment that holds an address, whatever the address is. It stays only as long as something in it is live, or
/// the lock of the process heap is held.
pub(crate) fn find(at: usize) -> Option<NonNull<u8>> {
    NonNull::new(table::entry(at)?.load(Ordering::Acquire))
}

/// Takes a segment in.
pub(super) fn insert(segment: NonNull<u8>) -> Result<(), Cond> {
    table::make(segment.addr().get())?.store(segment.as_ptr(), Ordering::Release);
    Ok(())
}

/// Takes a segment out.
pub(super) fn remove(segment: NonNull<u8>) {
    if let Some(entry) = table::entry(segment.addr().get()) {
        entry.store(core::ptr::null_mut(), Ordering::Release);
    }
}

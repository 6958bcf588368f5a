//! The page contract: what a backend answers, and nothing about what is done with the pages.

use core::ptr::NonNull;

use crate::Cond;

/// A run of pages as the platform handed it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first byte, aligned to the page size.
    pub start: NonNull<u8>,
    /// Bytes: a multiple of the page size, at least as many as were asked for.
    pub len: usize,
    /// Whether every byte is known to be zero.
    pub zeroed: bool,
}

/// What became of a run that was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmapped {
    /// The system has the pages again.
    Returned,
    /// The system cannot take pages back (WebAssembly): they are kept for the next `map`.
    Kept,
}

/// Pages of one platform.
///
/// Only primitives, no policy. Sizes are bytes.
///
/// # Safety
///
/// The pages that `map` returns are valid for reads and writes, belong to nobody else, and stay so
/// until they are unmapped, whatever becomes of the platform value itself.
pub unsafe trait Platform {
    /// The size and alignment of a page, a power of two.
    fn page_size(&self) -> usize;

    /// Maps at least `len` bytes of fresh private pages.
    ///
    /// # Errors
    ///
    /// `bad_size` for 0 and for what no address space holds; `no_room`, `too_many` or `bad_lock` as
    /// the system says.
    fn map(&self, len: usize) -> Result<Run, Cond>;

    /// Maps fresh private pages that begin at a multiple of `align`, a power of two.
    ///
    /// Where that is more than a page, it maps more, and gives back what lies before and after.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map) and [`unmap`](Self::unmap).
    #[inline]
    fn map_aligned(&self, len: usize, align: usize) -> Result<Run, Cond> {
        if align <= self.page_size() { self.map(len) } else { map_trimmed(self, len, align) }
    }

    /// Gives pages back: a run, or a part of one made of whole pages.
    ///
    /// # Errors
    ///
    /// `bad_size` or `bad_address` for what is no run of whole pages; `no_room` when the kernel
    /// would have to split a mapping and may not. The pages then are still the caller's.
    ///
    /// # Safety
    ///
    /// The pages came from `map` of this platform, and nothing uses them any more.
    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond>;

    /// Makes a run longer or shorter, moving it where it must; what bytes hold that are added is not said.
    ///
    /// # Errors
    ///
    /// `no_room` where the platform cannot (the caller then maps, copies and unmaps), and what
    /// `map` says. The run is as it was.
    ///
    /// # Safety
    ///
    /// As for `unmap`; on success the old run is gone, the new one is the caller's.
    unsafe fn remap(&self, start: NonNull<u8>, old: usize, new: usize) -> Result<Run, Cond> {
        let _ = (start, old, new);
        Err(Cond::NoRoom)
    }
}

#[cold]
fn map_trimmed<P: Platform + ?Sized>(platform: &P, len: usize, align: usize) -> Result<Run, Cond> {
    if len == 0 {
        return Err(Cond::BadSize);
    }
    let len = len.checked_next_multiple_of(platform.page_size()).ok_or(Cond::BadSize)?;
    let run = platform.map(len.checked_add(align).ok_or(Cond::BadSize)?)?;
    let before = run.start.addr().get().wrapping_neg() & (align - 1);
    let after = run.len - before - len;
    // SAFETY: `before + len` is at most the run's length, since `before < align`.
    let start = unsafe { run.start.add(before) };
    // SAFETY: as before.
    let end = unsafe { start.add(len) };
    if before > 0 {
        // SAFETY: these pages are ours and unused.
        if let Err(cond) = unsafe { platform.unmap(run.start, before) } {
            // SAFETY: the whole run is ours and unused. A second refusal in a row leaves it mapped.
            let _ = unsafe { platform.unmap(run.start, run.len) };
            return Err(cond);
        }
    }
    if after > 0 {
        // SAFETY: these pages are ours and unused.
        if let Err(cond) = unsafe { platform.unmap(end, after) } {
            // SAFETY: what is left of the run is ours and unused. As before.
            let _ = unsafe { platform.unmap(start, len + after) };
            return Err(cond);
        }
    }
    Ok(Run { start, len, zeroed: run.zeroed })
}

/// What may be done with a run of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: any use ends the program. A guard page.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

/// A wish about pages, with the platform's promise that it holds when the call returns `Ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Not written to core dumps.
    DontDump,
    /// A forked child finds zeroes.
    WipeOnFork,
    /// Backed by huge pages where the system has them.
    HugePage,
    /// Not needed as they are: the system has the memory back, and they are zero when they are used again.
    Discard,
}

/// What only some platforms can do with pages; the others do not have this trait.
///
/// # Safety
///
/// `Ok` means that the system has done what was asked, for all of the pages.
pub unsafe trait Protect: Platform {
    /// Sets what may be done with the pages.
    ///
    /// # Errors
    ///
    /// As the system says: `no_room`, `bad_address`, `bad_size`.
    ///
    /// # Safety
    ///
    /// The pages came from `map`, and nothing uses them in a way that is now forbidden.
    unsafe fn protect(&self, start: NonNull<u8>, len: usize, access: Access) -> Result<(), Cond>;

    /// Keeps the pages in memory: they are never written to swap.
    ///
    /// # Errors
    ///
    /// `bad_lock` when the process may not lock that much.
    ///
    /// # Safety
    ///
    /// The pages came from `map`.
    unsafe fn lock(&self, start: NonNull<u8>, len: usize) -> Result<(), Cond>;

    /// Undoes [`lock`](Self::lock).
    ///
    /// # Errors
    ///
    /// As the system says.
    ///
    /// # Safety
    ///
    /// The pages came from `map`.
    unsafe fn unlock(&self, start: NonNull<u8>, len: usize) -> Result<(), Cond>;

    /// Asks for a property of the pages.
    ///
    /// # Errors
    ///
    /// `bad_size` where this system does not know the advice.
    ///
    /// # Safety
    ///
    /// The pages came from `map`; what is discarded, nobody needs.
    unsafe fn advise(&self, start: NonNull<u8>, len: usize, advice: Advice) -> Result<(), Cond>;
}

/// Rounds up to whole pages; `bad_size` for 0 and for more than an object can have.
#[cfg(feature = "backend")]
pub(crate) const fn whole_pages(len: usize, page: usize) -> Result<usize, Cond> {
    if len == 0 || len > isize::MAX as usize - (page - 1) {
        return Err(Cond::BadSize);
    }
    Ok((len + page - 1) & !(page - 1))
}

// SAFETY: answers as the platform behind the reference does.
unsafe impl<P: Platform + ?Sized> Platform for &P {
    fn page_size(&self) -> usize {
        (**self).page_size()
    }

    fn map(&self, len: usize) -> Result<Run, Cond> {
        (**self).map(len)
    }

    fn map_aligned(&self, len: usize, align: usize) -> Result<Run, Cond> {
        (**self).map_aligned(len, align)
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { (**self).unmap(start, len) }
    }

    unsafe fn remap(&self, start: NonNull<u8>, old: usize, new: usize) -> Result<Run, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { (**self).remap(start, old, new) }
    }
}

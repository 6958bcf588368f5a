//! A platform that counts what is asked of the one inside.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::{Cond, Platform, Run, Unmapped};

/// Counts the calls to a platform and the bytes that are mapped through it.
///
/// ```
/// # #[cfg(feature = "backend")] {
/// use kmem_platform::{Counted, Native, Platform};
///
/// let pages = Counted::new(Native);
/// let run = pages.map(1)?;
/// assert_eq!((pages.calls(), pages.mapped()), (1, run.len));
/// // SAFETY: the run was just mapped here and nothing uses it.
/// unsafe { pages.unmap(run.start, run.len)? };
/// assert_eq!((pages.calls(), pages.mapped(), pages.peak()), (2, 0, run.len));
/// # }
/// # Ok::<(), kmem_platform::Cond>(())
/// ```
#[derive(Debug, Default)]
pub struct Counted<P> {
    inner: P,
    calls: AtomicUsize,
    mapped: AtomicUsize,
    peak: AtomicUsize,
}

impl<P> Counted<P> {
    /// Starts counting at zero.
    pub const fn new(inner: P) -> Self {
        Self { inner, calls: AtomicUsize::new(0), mapped: AtomicUsize::new(0), peak: AtomicUsize::new(0) }
    }

    /// How many calls reached the platform, refused ones too.
    pub fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    /// Bytes that are mapped now.
    pub fn mapped(&self) -> usize {
        self.mapped.load(Relaxed)
    }

    /// The most bytes that were ever mapped at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    fn grew(&self, len: usize) {
        let now = self.mapped.fetch_add(len, Relaxed) + len;
        self.peak.fetch_max(now, Relaxed);
    }
}

// SAFETY: the pages are those of the platform inside.
unsafe impl<P: Platform> Platform for Counted<P> {
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }

    fn map(&self, len: usize) -> Result<Run, Cond> {
        self.calls.fetch_add(1, Relaxed);
        let run = self.inner.map(len)?;
        self.grew(run.len);
        Ok(run)
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
        self.calls.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise, passed on.
        let done = unsafe { self.inner.unmap(start, len) }?;
        self.mapped.fetch_sub(len, Relaxed);
        Ok(done)
    }

    unsafe fn remap(&self, start: NonNull<u8>, old: usize, new: usize) -> Result<Run, Cond> {
        self.calls.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise, passed on.
        let run = unsafe { self.inner.remap(start, old, new) }?;
        self.mapped.fetch_sub(old, Relaxed);
        self.grew(run.len);
        Ok(run)
    }
}

//! The machine's pages as a source.

use core::alloc::Layout;
use core::ptr::NonNull;

use kmem_platform::Platform;

use crate::source::move_block;
#[cfg(feature = "shred")]
use crate::wipe::wipe;
use crate::{Cond, Grant, Kept, Source};

/// The platform's pages.
///
/// Every block is a run of whole pages of its own, so this is a source for stores, not for small
/// things. `P` is [`Kept`], which keeps some of the pages that come back for the next who asks; give it
/// [`Native`](kmem_platform::Native), which keeps none, or your own, to count or test what is asked of it.
///
/// ```
/// use kmem::platform::{Counted, Native};
/// use kmem::{Lin, Pages};
///
/// let pages = Counted::new(Native);
/// let lin = Lin::new_in(Pages::over(&pages));
/// lin.alloc(core::alloc::Layout::new::<[u8; 100]>())?;
/// assert_eq!(pages.calls(), 1);
/// drop(lin);
/// assert_eq!(pages.mapped(), 0);
/// # Ok::<(), kmem::Cond>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Pages<P = Kept> {
    platform: P,
}

impl Pages {
    /// The pages of this machine.
    ///
    /// ```
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// lin.put(7)?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { platform: Kept }
    }
}

impl<P: Platform> Pages<P> {
    /// The pages of another platform.
    ///
    /// ```
    /// use kmem::platform::{Counted, Native};
    /// use kmem::{Lin, Pages};
    ///
    /// let counted = Counted::new(Native);
    /// let lin = Lin::new_in(Pages::over(&counted));
    /// lin.put(7)?;
    /// assert_eq!(counted.calls(), 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn over(platform: P) -> Self {
        Self { platform }
    }

    /// Bytes of the pages that a layout takes.
    fn whole(&self, layout: Layout) -> usize {
        // No overflow: a layout's size is at most half of all addresses.
        layout.size().max(1).next_multiple_of(self.platform.page_size())
    }
}

// SAFETY: runs of pages do not overlap and stay until they are unmapped, wherever this value is.
unsafe impl<P: Platform> Source for Pages<P> {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.grant(layout).map(|grant| grant.bytes)
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        let run = self.platform.map_aligned(layout.size().max(1), layout.align())?;
        Ok(Grant { bytes: NonNull::slice_from_raw_parts(run.start, run.len), zeroed: run.zeroed })
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise; these are the whole pages that were mapped.
        unsafe { self.platform.unmap(block, self.whole(layout)) }.map(drop)
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        let (from, to) = (self.whole(old), self.whole(new));
        if from == to {
            return Ok(NonNull::slice_from_raw_parts(block, to));
        }
        if new.align() <= self.platform.page_size() {
            // SAFETY: the caller's promise.
            match unsafe { self.platform.remap(block, from, to) } {
                Ok(run) => return Ok(NonNull::slice_from_raw_parts(run.start, run.len)),
                Err(Cond::NoRoom) => {}
                Err(cond) => return Err(cond),
            }
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { move_block(self, block, old, new) }
    }

    /// Destroys all bytes of the pages, since they may be kept.
    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the block's pages are live, and nothing else uses them.
        unsafe { wipe(block, self.whole(layout)) };
        // SAFETY: the caller's promise, passed on.
        unsafe { self.free(block, layout) }
    }
}

#[cfg(unix)]
pub use protected::{Protected, Protection};

#[cfg(unix)]
mod protected {
    use core::alloc::Layout;
    use core::ptr::NonNull;

    use kmem_platform::{Access, Advice, Native, Platform, Protect, Run};

    use crate::{Cond, Grant, Source};

    /// What is asked of the machine for memory that holds secrets.
    ///
    /// ```
    /// use kmem::Protection;
    ///
    /// // Of what is asked for, all or nothing is granted: so ask for what is there.
    /// let possible = Protection::available()?;
    /// assert!(possible.guarded, "guard pages are to be had anywhere");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Protection {
        /// A page before and a page after that end the program when they are touched.
        pub guarded: bool,
        /// Never written to swap.
        pub locked: bool,
        /// Left out of core dumps.
        pub undumped: bool,
        /// Zero in a forked child.
        pub unforked: bool,
    }

    impl Protection {
        /// Everything.
        pub const ALL: Self = Self { guarded: true, locked: true, undumped: true, unforked: true };

        /// What this machine grants now, found by trying each on a page.
        ///
        /// ```
        /// use kmem::Protection;
        ///
        /// println!("memory can be locked: {}", Protection::available()?.locked);
        /// # Ok::<(), kmem::Cond>(())
        /// ```
        ///
        /// # Errors
        ///
        /// When not even a page is to be had.
        pub fn available() -> Result<Self, Cond> {
            let none = Self::default();
            let granted = |wish: Self| {
                let run = Native.map(1)?;
                let answer = apply(run, wish);
                // SAFETY: the page is ours and unused.
                unsafe { Native.unmap(run.start, run.len) }?;
                Ok::<bool, Cond>(answer.is_ok())
            };
            let layout = Layout::new::<u8>();
            let fence = Protected::new(Self { guarded: true, ..none });
            let guarded = match fence.alloc(layout) {
                Ok(page) => {
                    // SAFETY: just allocated there, unused.
                    unsafe { fence.free(page.cast(), layout) }?;
                    true
                }
                Err(_) => false,
            };
            Ok(Self {
                guarded,
                locked: granted(Self { locked: true, ..none })?,
                undumped: granted(Self { undumped: true, ..none })?,
                unforked: granted(Self { unforked: true, ..none })?,
            })
        }
    }

    /// Asks for all that is wished on a run that is ours.
    fn apply(run: Run, wish: Protection) -> Result<(), Cond> {
        if wish.undumped {
            // SAFETY: the run is ours.
            unsafe { Native.advise(run.start, run.len, Advice::DontDump) }?;
        }
        if wish.unforked {
            // SAFETY: the run is ours.
            unsafe { Native.advise(run.start, run.len, Advice::WipeOnFork) }?;
        }
        if wish.locked {
            // SAFETY: the run is ours.
            unsafe { Native.lock(run.start, run.len) }?;
        }
        Ok(())
    }

    /// Pages for secrets: every block has all of the [`Protection`] that was asked for, or is refused.
    ///
    /// The system clears what is given back before anybody has it again; a store whose cells are to be
    /// wiped before that is tainted like any other. In a child forked from a process with memory that is
    /// `unforked`, a store in it has lost its structures too, and must not be used.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Headers, Lin, Protected, Protection};
    ///
    /// let possible = Protection::available()?;
    /// let secrets: Lin<Protected, Headers> = Lin::with_headers_in(Protected::new(possible));
    /// let key = secrets.alloc(Layout::new::<[u8; 32]>())?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[derive(Clone, Copy, Debug)]
    pub struct Protected {
        wish: Protection,
    }

    impl Protected {
        /// A source of pages with this protection.
        ///
        /// ```
        /// use core::alloc::Layout;
        /// use kmem::{Protected, Protection, Source};
        ///
        /// let guarded = Protected::new(Protection { guarded: true, ..Protection::default() });
        /// let key = guarded.alloc(Layout::new::<[u8; 32]>())?;
        /// # Ok::<(), kmem::Cond>(())
        /// ```
        #[must_use]
        pub const fn new(wish: Protection) -> Self {
            Self { wish }
        }

        /// What every block from here has.
        ///
        /// ```
        /// use kmem::{Protected, Protection};
        ///
        /// assert!(Protected::new(Protection::ALL).protection().locked);
        /// ```
        #[must_use]
        pub const fn protection(&self) -> Protection {
            self.wish
        }

        fn fence(self) -> usize {
            if self.wish.guarded { Native.page_size() } else { 0 }
        }

        fn data(layout: Layout) -> Result<usize, Cond> {
            let page = Native.page_size();
            if layout.align() > page {
                return Err(Cond::BadSize);
            }
            layout.size().max(1).checked_next_multiple_of(page).ok_or(Cond::BadSize)
        }
    }

    // SAFETY: each block is a run of pages of its own.
    unsafe impl Source for Protected {
        fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
            self.grant(layout).map(|grant| grant.bytes)
        }

        fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
            let (len, fence) = (Self::data(layout)?, self.fence());
            let whole = Native.map(len.checked_add(2 * fence).ok_or(Cond::BadSize)?)?;
            // SAFETY: the run is `fence + len + fence` long.
            let start = unsafe { whole.start.add(fence) };
            let ask = || {
                if fence > 0 {
                    // SAFETY: as before.
                    let end = unsafe { start.add(len) };
                    // SAFETY: the first page is ours and never used.
                    unsafe { Native.protect(whole.start, fence, Access::None) }?;
                    // SAFETY: the last page is ours and never used.
                    unsafe { Native.protect(end, fence, Access::None) }?;
                }
                apply(Run { start, len, zeroed: true }, self.wish)
            };
            if let Err(cond) = ask() {
                // SAFETY: the run is ours and unused.
                let _ = unsafe { Native.unmap(whole.start, whole.len) };
                return Err(cond);
            }
            Ok(Grant { bytes: NonNull::slice_from_raw_parts(start, len), zeroed: true })
        }

        unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
            let (len, fence) = (Self::data(layout)?, self.fence());
            // SAFETY: the fence before the block belongs to the same run.
            let whole = unsafe { block.sub(fence) };
            // SAFETY: the whole run is ours and used no more.
            unsafe { Native.unmap(whole, len + 2 * fence) }.map(drop)
        }
    }
}

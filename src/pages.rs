//! The machine's pages as a source, and the heap that a process has of its own.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use kmem_platform::{Locked, Platform};

use crate::cell::Head;
use crate::source::move_block;
use crate::store::Ops;
#[cfg(feature = "shred")]
use crate::wipe::wipe;
use crate::{Cond, Found, Grant, Heap, Kept, Kind, Ptr, Source, Store};

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

/// The process heap: one [`Heap`] over pages, behind a lock.
///
/// Where a managed pointer or a counted cell names no store, this is the store.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Global, Source};
///
/// let layout = Layout::new::<[u64; 8]>();
/// let cell = Global.alloc(layout)?;
/// // SAFETY: just allocated, used no more.
/// unsafe { Source::free(&Global, cell.cast(), layout)? };
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// It can be the program's global allocator:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: kmem::Global = kmem::Global;
///
/// let numbers: Vec<u32> = (0..1000).collect();
/// assert!(kmem::Global.stats().bytes >= numbers.len() * size_of::<u32>());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

static HEAP: Locked<Heap<Pages>> = Locked::new(Heap::new_in(Pages::new()));

/// What a managed pointer with no store finds.
struct GlobalHead(Head);

// SAFETY: nothing ever writes to it.
unsafe impl Sync for GlobalHead {}

static HEAD: GlobalHead = GlobalHead(Head::new(Kind::Heap, Some(Ops::of::<Global>())));

impl Global {
    /// Bytes that are live and mapped in the process heap.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Global, Source};
    ///
    /// Global.alloc(Layout::new::<u64>())?;
    /// assert!(Global.stats().live >= 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn stats(self) -> crate::Stats {
        HEAP.lock().stats()
    }

    /// Memory for the layout as a managed pointer, its contents undefined.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::Global;
    ///
    /// let ptr = Global.alloc_ptr(Layout::new::<u64>())?;
    /// // SAFETY: the process heap is always there, and nothing uses the cell.
    /// unsafe { kmem::free(ptr)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Heap::alloc`].
    pub fn alloc_ptr(self, layout: Layout) -> Result<Ptr, Cond> {
        Ok(Ptr::of(&self, Source::alloc(&self, layout)?))
    }

    /// The same, zeroed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::Global;
    ///
    /// let ptr = Global.alloc_zeroed_ptr(Layout::new::<u64>())?;
    /// // SAFETY: a live cell, initialised.
    /// assert_eq!(unsafe { ptr.payload().cast::<u64>().read() }, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Heap::alloc`].
    pub fn alloc_zeroed_ptr(self, layout: Layout) -> Result<Ptr, Cond> {
        Ok(Ptr::of(&self, Source::alloc_zeroed(&self, layout)?))
    }

    /// Proves the process heap's structure.
    ///
    /// ```
    /// kmem::Global.check().expect("nobody wrote over it");
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that does not hold, and where.
    pub fn check(self) -> Result<(), crate::Broken> {
        HEAP.lock().check()
    }
}

// SAFETY: the blocks are those of the heap behind the lock, which lives as long as the process.
unsafe impl Source for Global {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        HEAP.lock().alloc(layout)
    }

    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        HEAP.lock().alloc_zeroed(layout)
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Source::free(&*HEAP.lock(), block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Source::resize(&*HEAP.lock(), block, old, new) }
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Source::shred(&*HEAP.lock(), block, layout) }
    }
}

// SAFETY: the blocks are those of a `Source`, which promises what is asked here; nothing of it unwinds.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        or_null(Source::alloc(self, layout))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        or_null(Source::alloc_zeroed(self, layout))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise: a block that was handed out, which is never null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // Nobody can be told of a refusal here; the heap then keeps the block's chunk and uses it again.
        // SAFETY: the caller's promise, passed on.
        let _ = unsafe { Source::free(self, block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise: a block that was handed out, which is never null.
        let block = unsafe { NonNull::new_unchecked(block) };
        match Layout::from_size_align(size, layout.align()) {
            // SAFETY: the caller's promise, passed on; the alignment is the same.
            Ok(new) => or_null(unsafe { Source::resize(self, block, layout, new) }),
            Err(_) => ptr::null_mut(),
        }
    }
}

/// How a global allocator says that it has none.
fn or_null(block: Result<NonNull<[u8]>, Cond>) -> *mut u8 {
    block.map_or(ptr::null_mut(), |block| block.as_ptr().cast())
}

// SAFETY: the answers are those of the heap behind the lock.
unsafe impl Store for Global {
    const KIND: Kind = Kind::Heap;
    const SHARED: bool = true;

    fn head(&self) -> &Head {
        &HEAD.0
    }

    fn head_ptr(&self) -> NonNull<Head> {
        NonNull::from(&HEAD.0)
    }

    fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond> {
        HEAP.lock().locate(payload)
    }

    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { HEAP.lock().release(payload, shred) }
    }

    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        HEAP.lock().sibling(payload, layout)
    }

    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind) {
        // SAFETY: the caller's promise, passed on.
        unsafe { HEAP.lock().set_kind(payload, kind) };
    }

    #[cfg(feature = "shred")]
    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        HEAP.lock().taint_cell(payload)
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

//! The faces of the process heap.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

#[cfg(feature = "shred")]
use super::TAINT;
use super::{change, check, give, locate, purge, remark, stats, take, with_kind};
use crate::cell::Head;
use crate::store::Ops;
use crate::{Broken, Cond, Found, Grant, Kind, Ptr, Source, Stats, Store};

/// When memory that a [`GlobalHeap`] does not need goes back to the system.
///
/// ```
/// use kmem::{Decay, GlobalHeap};
///
/// #[global_allocator]
/// static HEAP: GlobalHeap = GlobalHeap::new().decay(Decay::Millis(50));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// As soon as nothing of a segment is used.
    AtOnce,
    /// When it has not been used for about so long, and something is allocated then.
    Millis(u32),
    /// When [`GlobalHeap::purge`] is called.
    Never,
}

/// The process heap as a program's global allocator.
///
/// All values of this type are the same heap, which is also [`Global`]'s. With the feature `std` each thread has its
/// own part of it, and what another thread frees comes home without a lock; without, each call borrows a part. Blocks
/// that are freed twice, or with another size than they have, end the program with a message. (What was allocated by
/// this face is as long as its size class where it is looked at by another.) A WebAssembly module with one thread has a
/// smaller heap with the same faces, which ends it by a trap.
///
/// A child that is forked while other threads allocate has the heap whole with the feature `std`, but for cells that
/// threads had which are not in it; without the feature it may find the lock held by a thread that is no more, and waits
/// for ever.
///
/// With the feature `hardened` that is so for everything that is freed and is no live block, wherever it came from. So
/// is a block that was written to past its end, where eight bytes stand that are looked at when it is freed or resized,
/// and one that was written to after it was freed: it waits behind some 256 others before it is handed out again, and
/// is looked at then. Which cell comes next is drawn, and long blocks lie between pages that may not be touched. (By
/// [`Global`]'s checked face what is no live block is [`BadAddress`](Cond::BadAddress), and what was written past its
/// end [`FailAssert`](Cond::FailAssert); it is then still the caller's.)
///
/// ```
/// use kmem::GlobalHeap;
///
/// #[global_allocator]
/// static HEAP: GlobalHeap = GlobalHeap::new();
///
/// let numbers: Vec<u32> = (0..1000).collect();
/// assert!(HEAP.stats().bytes >= numbers.len() * size_of::<u32>());
/// ```
#[derive(Debug)]
pub struct GlobalHeap {
    pub(super) decay: Option<Decay>,
}

impl Default for GlobalHeap {
    fn default() -> Self {
        Self::new()
    }
}

impl GlobalHeap {
    /// The process heap.
    ///
    /// ```
    /// use kmem::GlobalHeap;
    ///
    /// #[global_allocator]
    /// static HEAP: GlobalHeap = GlobalHeap::new();
    /// # drop(Box::new(1));
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { decay: None }
    }

    /// The same, with another rule for when memory goes back; otherwise it is a quarter of a second.
    ///
    /// A WebAssembly module with one thread has no such rule: no memory goes back to the system there, and long
    /// blocks and whole segments that nobody uses, all stores of the module can have at once.
    ///
    /// ```
    /// use kmem::{Decay, GlobalHeap};
    ///
    /// #[global_allocator]
    /// static HEAP: GlobalHeap = GlobalHeap::new().decay(Decay::AtOnce);
    /// # drop(Box::new(1));
    /// ```
    #[must_use]
    pub const fn decay(mut self, decay: Decay) -> Self {
        self.decay = Some(decay);
        self
    }

    /// What is live and mapped in the whole process. What other threads do meanwhile may be counted or not, and a
    /// few cells that threads have at hand are counted as live.
    ///
    /// ```
    /// use kmem::GlobalHeap;
    ///
    /// let stats = GlobalHeap::new().stats();
    /// assert!(stats.held >= stats.bytes);
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        stats()
    }

    /// Gives back to the system all that this thread, and threads that have ended, do not need.
    ///
    /// ```
    /// use kmem::GlobalHeap;
    ///
    /// static HEAP: GlobalHeap = GlobalHeap::new();
    /// let before = HEAP.stats().held;
    /// HEAP.purge();
    /// assert!(HEAP.stats().held <= before);
    /// ```
    pub fn purge(&self) {
        purge();
    }
}

/// The process heap as a store, and where a managed pointer or a counted cell names no store.
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
/// It can be the program's global allocator too; [`GlobalHeap`] is the same with a rule for when memory goes back.
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

/// What a managed pointer with no store finds.
struct GlobalHead(Head);

// SAFETY: nothing ever writes to it.
unsafe impl Sync for GlobalHead {}

static HEAD: GlobalHead = GlobalHead(Head::new(Kind::Heap, Some(Ops::of::<Global>())));

impl Global {
    /// What is live and mapped in the process heap.
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
    pub fn stats(self) -> Stats {
        stats()
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
    /// As for [`Heap::alloc`](crate::Heap::alloc).
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
    /// As for [`Heap::alloc`](crate::Heap::alloc).
    pub fn alloc_zeroed_ptr(self, layout: Layout) -> Result<Ptr, Cond> {
        Ok(Ptr::of(&self, Source::alloc_zeroed(&self, layout)?))
    }

    /// Proves the structure of what the calling thread has of the process heap, and of what all share.
    ///
    /// ```
    /// kmem::Global.check().expect("nobody wrote over it");
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that does not hold, and where.
    pub fn check(self) -> Result<(), Broken> {
        check()
    }
}

// SAFETY: blocks are cells of spans, runs of slices or pages, which overlap no other and stay until they are freed.
unsafe impl Source for Global {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        take(layout).map(|(cell, _)| NonNull::slice_from_raw_parts(cell, layout.size()))
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        take(layout).map(|(cell, zeroed)| Grant { bytes: NonNull::slice_from_raw_parts(cell, layout.size()), zeroed })
    }

    unsafe fn free(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { give(block, false) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, _: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { change(block, new.size()) }.map(|cell| NonNull::slice_from_raw_parts(cell, new.size()))
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { give(block, true) }
    }
}

// SAFETY: the blocks are those of the process heap.
unsafe impl GlobalAlloc for Global {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        unsafe { GlobalHeap::new().alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        unsafe { GlobalHeap::new().alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { GlobalHeap::new().dealloc(block, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        unsafe { GlobalHeap::new().realloc(block, layout, size) }
    }
}

// SAFETY: addresses are looked up in the map of segments and in the marks of a segment; any thread may ask for any.
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
        locate(payload)
    }

    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        if locate(payload)?.kind != Kind::Heap {
            return Err(Cond::Mismatch);
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { give(payload, shred) }
    }

    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        locate(payload)?;
        Source::alloc(self, layout)
    }

    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind) {
        // The caller's promise: it is live, so it is found.
        let _ = remark(payload, |mark| with_kind(mark, kind));
    }

    #[cfg(feature = "shred")]
    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        remark(payload, |mark| mark | TAINT)
    }
}

//! The seam between all layers: something that memory can be taken from.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::Cond;
#[cfg(feature = "shred")]
use crate::wipe::wipe;

/// Memory that a store got for itself.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Pages, Source};
///
/// let grant = Pages::new().grant(Layout::new::<[u8; 100]>())?;
/// assert!(grant.bytes.len() >= 100);
/// # Ok::<(), kmem::Cond>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// The bytes, at least as many as were asked for; all of them may be used.
    pub bytes: NonNull<[u8]>,
    /// Whether every byte is known to be zero.
    pub zeroed: bool,
}

/// What a store takes its memory from: pages, bytes that the caller owns, or another store.
///
/// Every store is one too, so they stack: `Pool<Lin<Fixed>>` is a pool whose blocks lie in a linear
/// region in a stack array. `&S` is a source where `S` is, so that several stores can share one.
///
/// A block *fits* a layout that has the alignment it was allocated with and a size between the one
/// asked for and the length returned. Size 0 is granted an address of its own, which is released like
/// any other. Nothing here panics.
///
/// ```
/// use core::alloc::Layout;
/// use core::mem::MaybeUninit;
/// use kmem::{Cond, Fixed, Source};
///
/// let mut bytes = [MaybeUninit::uninit(); 256];
/// let source = Fixed::new(&mut bytes);
/// let layout = Layout::new::<[u64; 4]>();
/// let block = source.alloc(layout)?;
/// assert_eq!(source.alloc(Layout::new::<[u64; 100]>()), Err(Cond::NoRoom));
/// // SAFETY: the block came from this source with this layout and is used no more.
/// unsafe { source.free(block.cast(), layout)? };
/// # Ok::<(), Cond>(())
/// ```
///
/// # Safety
///
/// Blocks that are handed out do not overlap, have at least the size and the alignment asked for, are
/// valid for reads and writes, and stay where they are until they are freed or the source is dropped;
/// moving the source does not move them. `zeroed` is only said of zeroes. What `resize` answers holds the
/// old block's bytes, as many as both have. A block that is not taken back or not resized is as it was. No call
/// unwinds, and none calls a store that took memory from this source. (The idea is that of the standard library's
/// `Allocator`.)
pub unsafe trait Source {
    /// Memory for the layout, its contents undefined.
    ///
    /// # Errors
    ///
    /// `no_room` when there is none, `bad_size` when a block of that size or alignment is not to be
    /// had from this source at all, or what the source's own source says.
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond>;

    /// The same, zeroed.
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let grant = self.grant(layout)?;
        if !grant.zeroed {
            // SAFETY: a block of at least this size was just handed out to us.
            unsafe { grant.bytes.cast::<u8>().write_bytes(0, layout.size()) };
        }
        Ok(grant.bytes)
    }

    /// Memory for a store's own use, with word of whether it is zero already.
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        Ok(Grant { bytes: self.alloc(layout)?, zeroed: false })
    }

    /// Takes a block back.
    ///
    /// # Errors
    ///
    /// When the system refuses to take pages back: the block is then still the caller's.
    ///
    /// # Safety
    ///
    /// The block is live, came from this source, fits the layout, and nothing uses it any more.
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond>;

    /// Makes a block longer or shorter, in place where it can, else by moving it.
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc); the block is then as it was.
    ///
    /// # Safety
    ///
    /// The block is live, came from this source and fits `old`. On success the old block is gone. The
    /// alignment of `new` is that of `old`.
    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { move_block(self, block, old, new) }
    }

    /// Destroys the bytes, then takes the block back.
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free); the bytes are destroyed all the same.
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the block is live and nothing else uses it.
        unsafe { wipe(block, layout.size()) };
        // SAFETY: the caller's promise, passed on.
        unsafe { self.free(block, layout) }
    }

    /// What every block is aligned to at least whose layout asks for a store's unit (two words) or more.
    ///
    /// A cell that is built in a block, behind a header, is found by it again.
    fn least_align(&self) -> usize {
        crate::MIN_ALIGN
    }

    /// Longer blocks than this are never at hand.
    #[doc(hidden)]
    #[inline(always)]
    fn at_hand(&self) -> usize {
        0
    }

    /// Memory for the layout, where that takes no more than a few instructions: a block that came back. Code in which
    /// this is all calls nothing, and so keeps no registers for it. It is as [`alloc`](Self::alloc)'s, or there is none.
    #[doc(hidden)]
    #[inline(always)]
    fn alloc_if_at_hand(&self, layout: Layout) -> Option<NonNull<u8>> {
        let _ = layout;
        None
    }

    /// Takes a block back, where that takes no more than a few instructions; says whether it did. No other block is touched.
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    #[doc(hidden)]
    #[inline(always)]
    unsafe fn free_if_at_hand(&self, block: NonNull<u8>, layout: Layout) -> bool {
        let _ = (block, layout);
        false
    }

    /// Takes back all blocks at once, or all but one, if it can and these are as many as are handed out.
    ///
    /// # Safety
    ///
    /// If there are no more, all of them are the caller's, and nothing uses those any more that are not `but`.
    #[doc(hidden)]
    unsafe fn free_all(&self, blocks: usize, but: Option<NonNull<u8>>) -> bool {
        let _ = (blocks, but);
        false
    }

    /// Hears that a block of its memory is handed out for the first time, or for the first time since it was forgotten.
    #[doc(hidden)]
    #[inline]
    fn begun(&self, block: NonNull<u8>) {
        let _ = block;
    }

    /// Hears that no block of its memory is handed out any more but those that are its own, and one.
    #[doc(hidden)]
    fn forgotten(&self, but: Option<NonNull<u8>>) {
        let _ = but;
    }

    /// The largest block that can be had now at the most; `None` where nothing is known to bound it.
    ///
    /// Stores ask before they take a first or next block, so that they can live in small sources.
    fn largest(&self) -> Option<usize> {
        None
    }
}

/// Makes a block longer or shorter by moving it.
///
/// # Safety
///
/// As for [`Source::resize`].
pub(crate) unsafe fn move_block<S: Source + ?Sized>(
    source: &S,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, Cond> {
    let moved = source.alloc(new)?;
    // SAFETY: both blocks are live, distinct, and at least this long.
    unsafe { block.copy_to_nonoverlapping(moved.cast(), old.size().min(new.size())) };
    // SAFETY: the caller's promise; the bytes are in the new block.
    match unsafe { source.free(block, old) } {
        Ok(()) => Ok(moved),
        Err(cond) => {
            // SAFETY: `moved` is ours and unused. If it is refused too, it is held until the source goes.
            let _ = unsafe { source.free(moved.cast(), new) };
            Err(cond)
        }
    }
}

// SAFETY: the blocks are those of the source behind the reference.
unsafe impl<S: Source + ?Sized> Source for &S {
    #[inline]
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        (**self).alloc(layout)
    }

    #[inline]
    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        (**self).alloc_zeroed(layout)
    }

    #[inline]
    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        (**self).grant(layout)
    }

    #[inline]
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { (**self).free(block, layout) }
    }

    #[inline]
    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { (**self).resize(block, old, new) }
    }

    #[inline]
    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { (**self).shred(block, layout) }
    }

    #[inline]
    fn least_align(&self) -> usize {
        (**self).least_align()
    }

    #[inline]
    fn largest(&self) -> Option<usize> {
        (**self).largest()
    }
}

//! The safe face of the managed pointer.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::NonNull;
use core::slice;

use crate::cell::Head;
use crate::{Cond, Heap, Kind, Lin, Pool, Ptr, Source, Store, dup, refs};

/// Bytes in some store, owned, whatever the store's kind.
///
/// Code that takes a `Managed` need not know which kind it got: it reads and writes the bytes,
/// duplicates, taints, and releases by dropping. The bytes start as zeroes. A counted one can be
/// shared; it can be written to while there is one reference.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Cond, Heap, Lin, Managed, Pages, Pool};
///
/// fn fill(cell: &mut Managed<'_>) -> Result<(), Cond> {
///     cell.bytes_mut()?.fill(7);
///     Ok(())
/// }
///
/// let heap = Heap::new_in(Pages::new());
/// let lin = Lin::with_headers_in(Pages::new());
/// let pool = Pool::with_headers_in(Layout::new::<[u8; 32]>(), Pages::new());
/// for mut cell in [
///     Managed::heap(&heap, Layout::new::<[u8; 32]>())?,
///     Managed::lin(&lin, Layout::new::<[u8; 32]>())?,
///     Managed::pool(&pool)?,
///     Managed::counted(&heap, Layout::new::<[u8; 32]>())?,
/// ] {
///     fill(&mut cell)?;
///     assert_eq!(cell.dup()?.bytes(), [7; 32]);
/// }
/// assert_eq!(heap.stats().live, 0);
/// # Ok::<(), Cond>(())
/// ```
///
/// There is none for a tree's nodes: those belong to their parents. See [`KeyTree`](crate::KeyTree).
pub struct Managed<'s> {
    ptr: Ptr,
    store: PhantomData<&'s Head>,
}

impl<'s> Managed<'s> {
    fn of(ptr: Ptr) -> Self {
        Self { ptr, store: PhantomData }
    }

    /// A cell of a heap, zeroed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Kind, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// assert_eq!(Managed::heap(&heap, Layout::new::<u64>())?.kind(), Kind::Heap);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for the heap's `alloc`.
    pub fn heap<S: Source>(heap: &'s Heap<S>, layout: Layout) -> Result<Self, Cond> {
        heap.alloc_zeroed_ptr(layout).map(Self::of)
    }

    /// A cell of a linear region, zeroed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Kind, Lin, Managed, Pages};
    ///
    /// let lin = Lin::with_headers_in(Pages::new());
    /// assert_eq!(Managed::lin(&lin, Layout::new::<u64>())?.kind(), Kind::Lin);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for the region's `alloc`.
    pub fn lin<S: Source>(lin: &'s Lin<S, crate::Headers>, layout: Layout) -> Result<Self, Cond> {
        lin.alloc_zeroed_ptr(layout).map(Self::of)
    }

    /// A cell of a pool, zeroed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Kind, Managed, Pages, Pool};
    ///
    /// let pool = Pool::with_headers_in(Layout::new::<u64>(), Pages::new());
    /// assert_eq!(Managed::pool(&pool)?.kind(), Kind::Pool);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for the pool's `alloc`.
    pub fn pool<S: Source>(pool: &'s Pool<S, crate::Headers>) -> Result<Self, Cond> {
        pool.alloc_zeroed_ptr().map(Self::of)
    }

    /// A counted cell in any store, zeroed, with one reference.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Kind, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// assert_eq!(Managed::counted(&heap, Layout::new::<u64>())?.kind(), Kind::Ref);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for the store's `alloc`.
    pub fn counted<S: Store>(store: &'s S, layout: Layout) -> Result<Self, Cond> {
        refs::alloc_zeroed_ptr(store, layout).map(Self::of)
    }

    /// How the memory was allocated.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Kind, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// assert_eq!(Managed::counted(&heap, Layout::new::<u64>())?.kind(), Kind::Ref);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.ptr.kind()
    }

    /// The payload's address.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = Managed::heap(&heap, Layout::new::<u64>())?;
    /// assert_eq!(cell.address(), cell.bytes().as_ptr());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> *const u8 {
        self.ptr.payload()
    }

    fn place(&self) -> NonNull<u8> {
        // SAFETY: a live cell is not at null.
        unsafe { NonNull::new_unchecked(self.ptr.payload()) }
    }

    /// The bytes.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// assert_eq!(Managed::heap(&heap, Layout::new::<[u8; 4]>())?.bytes(), [0; 4]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a live cell of this size, all initialised, and written to only through `bytes_mut`.
        unsafe { slice::from_raw_parts(self.place().as_ptr(), self.ptr.size().unwrap_or(0)) }
    }

    /// The bytes, to be written.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Heap, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let mut cell = Managed::counted(&heap, Layout::new::<[u8; 4]>())?;
    /// cell.bytes_mut()?.fill(7);
    /// let other = cell.share()?;
    /// assert_eq!(cell.bytes_mut(), Err(Cond::InUse));
    /// assert_eq!(other.bytes(), [7; 4]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `in_use` for a counted cell that is shared.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8], Cond> {
        if self.references() > 1 {
            return Err(Cond::InUse);
        }
        // SAFETY: as for `bytes`, and this is the only handle, which is borrowed mutably.
        Ok(unsafe { slice::from_raw_parts_mut(self.place().as_ptr(), self.ptr.size().unwrap_or(0)) })
    }

    /// How many handles share the cell: 1 unless it is counted.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = Managed::counted(&heap, Layout::new::<u64>())?;
    /// let other = cell.share()?;
    /// assert_eq!(cell.references(), 2);
    /// drop(other);
    /// assert_eq!(cell.references(), 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn references(&self) -> usize {
        if self.kind() != Kind::Ref {
            return 1;
        }
        // SAFETY: this handle keeps the counted cell.
        unsafe { refs::header(self.place()) }.refs()
    }

    /// One more handle on a counted cell.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Heap, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = Managed::counted(&heap, Layout::new::<u64>())?;
    /// assert_eq!(cell.share()?.address(), cell.address());
    /// assert_eq!(Managed::heap(&heap, Layout::new::<u64>())?.share().err(), Some(Cond::Mismatch));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `mismatch` for another kind, `too_many` at the largest count.
    pub fn share(&self) -> Result<Self, Cond> {
        if self.kind() != Kind::Ref {
            return Err(Cond::Mismatch);
        }
        // SAFETY: this handle keeps the counted cell.
        unsafe { refs::upref(self.place()) }?;
        Ok(Self::of(self.ptr))
    }

    /// A copy, as a sibling in the same store. Taint is inherited.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = Managed::heap(&heap, Layout::new::<u64>())?;
    /// let copy = cell.dup()?;
    /// assert!(copy.address() != cell.address() && copy.bytes() == cell.bytes());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for the store's `alloc`.
    pub fn dup(&self) -> Result<Self, Cond> {
        // SAFETY: the store is borrowed, so it is where it was; nobody writes while `self` is borrowed.
        unsafe { dup(&self.ptr) }.map(Self::of)
    }

    /// Has the bytes destroyed however the cell is released.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let mut key = Managed::heap(&heap, Layout::new::<[u8; 32]>())?;
    /// key.taint()?;
    /// key.bytes_mut()?.fill(7);
    /// drop(key);                              // and its bytes are gone
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `fail_assert` if the cell's header was overwritten.
    #[cfg(feature = "shred")]
    pub fn taint(&mut self) -> Result<(), Cond> {
        // SAFETY: the store is borrowed, so it is where it was.
        unsafe { crate::taint(&mut self.ptr) }
    }

    /// Releases, and says whether that went well; dropping does the same in silence.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// Managed::heap(&heap, Layout::new::<u64>())?.free()?;
    /// assert_eq!(heap.stats().live, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the store says; the cell then stays until the store goes.
    pub fn free(self) -> Result<(), Cond> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the handle owned the cell, or a reference to it, and the store is where it was.
        unsafe { crate::free(this.ptr) }
    }

    /// Destroys the bytes, then releases; of a counted cell they go with the last reference.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Managed, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// Managed::heap(&heap, Layout::new::<[u8; 32]>())?.shred()?;
    /// assert_eq!(heap.stats().live, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free).
    #[cfg(feature = "shred")]
    pub fn shred(self) -> Result<(), Cond> {
        let this = ManuallyDrop::new(self);
        // SAFETY: as for `free`.
        unsafe { crate::shred(this.ptr) }
    }
}

impl Drop for Managed<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle owned the cell, or a reference to it, and the store is where it was.
        let _ = unsafe { crate::free(self.ptr) };
    }
}

impl fmt::Debug for Managed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ptr.fmt(f)
    }
}

//! What a region with headers has more: managed pointers, and releases that look up what they were given.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::Lin;
use crate::cell::Headers;
use crate::{Cond, Kind, Ptr, Source, Store};

impl<S: Source> Lin<S, Headers> {
    /// Memory for the layout as a managed pointer, its contents undefined.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::with_headers_in(Pages::new());
    /// let ptr = lin.alloc_ptr(Layout::new::<u64>())?;
    /// // SAFETY: the region is where it was, and nothing uses the cell.
    /// unsafe { kmem::free(ptr)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_ptr(&self, layout: Layout) -> Result<Ptr, Cond> {
        Ok(Ptr::of(self, self.alloc(layout)?))
    }

    /// The same, zeroed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::with_headers_in(Pages::new());
    /// let ptr = lin.alloc_zeroed_ptr(Layout::new::<u64>())?;
    /// // SAFETY: a live cell, initialised.
    /// assert_eq!(unsafe { ptr.payload().cast::<u64>().read() }, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_zeroed_ptr(&self, layout: Layout) -> Result<Ptr, Cond> {
        Ok(Ptr::of(self, self.alloc_zeroed(layout)?))
    }

    /// Takes a cell back: the newest rewinds, an older one leaves its room until the next rewind.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Lin, Pages};
    ///
    /// let lin = Lin::with_headers_in(Pages::new());
    /// let cell = lin.alloc(Layout::new::<u64>())?.cast();
    /// // SAFETY: the cell is used no more.
    /// unsafe { lin.free(cell)? };
    /// // SAFETY: the same; it is refused, since it was given back.
    /// assert_eq!(unsafe { lin.free(cell) }, Err(Cond::BadAddress));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_address` for what is not a live cell of this region, `mismatch` for one that holds a `ref` or a node.
    ///
    /// # Safety
    ///
    /// Nothing uses the cell any more.
    pub unsafe fn free(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.release(payload, false) }
    }

    /// Destroys the bytes, then takes the cell back.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::with_headers_in(Pages::new());
    /// let key = lin.alloc(Layout::new::<[u8; 32]>())?.cast();
    /// // SAFETY: the cell is used no more.
    /// unsafe { lin.shred(key)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free).
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    #[cfg(feature = "shred")]
    pub unsafe fn shred(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.release(payload, true) }
    }

    /// Grows or shrinks a cell: the newest, and a smaller one, in place. The alignment stays.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::with_headers_in(Pages::new());
    /// let cell = lin.alloc(Layout::new::<[u8; 10]>())?.cast();
    /// // SAFETY: what was there is used by its new address only.
    /// let grown = unsafe { lin.resize(cell, 1000)? };
    /// assert_eq!((grown.cast(), grown.len()), (cell, 1000));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc) and [`free`](Self::free); the cell is then as it was.
    ///
    /// # Safety
    ///
    /// If the address returned is another, the old one is gone.
    pub unsafe fn resize(&self, payload: NonNull<u8>, size: usize) -> Result<NonNull<[u8]>, Cond> {
        let found = self.locate(payload)?;
        if found.kind != Kind::Lin {
            return Err(Cond::Mismatch);
        }
        let new = Layout::from_size_align(size, found.align).map_err(|_| Cond::BadSize)?;
        // SAFETY: a live cell of this region, of the size that its header says.
        unsafe { self.change(found.payload, found.size, new) }
    }

    /// Whether no header was overwritten, as far as it shows. What releases many cells at once goes from one header to the
    /// next: so who does not trust whoever writes to them looks first.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let mut lin = Lin::with_headers_in(Pages::new());
    /// lin.alloc(Layout::new::<u64>())?;
    /// lin.look_over()?;
    /// lin.reset();
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `fail_assert` if one was.
    pub fn look_over(&self) -> Result<(), Cond> {
        self.look_over_since(ptr::null(), ptr::null_mut())
    }
}

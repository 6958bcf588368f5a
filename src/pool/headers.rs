//! What a pool with headers has more: managed pointers, and releases that look up what they were given.

use core::ptr::NonNull;

use super::Pool;
use crate::cell::Headers;
use crate::{Cond, Kind, Ptr, Source, Store};

impl<S: Source> Pool<S, Headers> {
    /// A cell as a managed pointer, its contents undefined.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::with_headers_in(Layout::new::<u64>(), Pages::new());
    /// let ptr = pool.alloc_ptr()?;
    /// // SAFETY: the pool is where it was, and nothing uses the cell.
    /// unsafe { kmem::free(ptr)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_ptr(&self) -> Result<Ptr, Cond> {
        Ok(Ptr::of(self, self.alloc()?))
    }

    /// A cell as a managed pointer, zeroed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::with_headers_in(Layout::new::<u64>(), Pages::new());
    /// let ptr = pool.alloc_zeroed_ptr()?;
    /// // SAFETY: a live cell, initialised.
    /// assert_eq!(unsafe { ptr.payload().cast::<u64>().read() }, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_zeroed_ptr(&self) -> Result<Ptr, Cond> {
        Ok(Ptr::of(self, self.alloc_zeroed()?))
    }

    /// Takes a cell back; it is the next to be handed out.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Pages, Pool};
    ///
    /// let pool = Pool::with_headers_in(Layout::new::<u64>(), Pages::new());
    /// let cell = pool.alloc()?.cast();
    /// // SAFETY: the cell is used no more.
    /// unsafe { pool.free(cell)? };
    /// // SAFETY: the same; it is refused, since it was given back.
    /// assert_eq!(unsafe { pool.free(cell) }, Err(Cond::BadAddress));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_address` for what is not a live cell of this pool, `mismatch` for one that holds a `ref` or a node.
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
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::with_headers_in(Layout::new::<[u8; 32]>(), Pages::new());
    /// let key = pool.alloc()?.cast();
    /// // SAFETY: the cell is used no more.
    /// unsafe { pool.shred(key)? };
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

    /// Grows or shrinks within the cell.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Pages, Pool};
    ///
    /// let pool = Pool::with_headers_in(Layout::new::<[u8; 32]>(), Pages::new());
    /// let cell = pool.alloc()?.cast();
    /// assert_eq!(pool.resize(cell, 20)?.len(), 20);
    /// assert_eq!(pool.resize(cell, 33), Err(Cond::BadSize));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_size` beyond the cell, and as for [`free`](Self::free).
    pub fn resize(&self, payload: NonNull<u8>, size: usize) -> Result<NonNull<[u8]>, Cond> {
        let found = self.locate(payload)?;
        if found.kind != Kind::Pool {
            Err(Cond::Mismatch)
        } else if size > self.cellsz {
            Err(Cond::BadSize)
        } else {
            Ok(NonNull::slice_from_raw_parts(payload, size))
        }
    }
}

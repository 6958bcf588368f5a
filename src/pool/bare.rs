//! What takes the cells of a bare pool: an address is taken for what the caller says.

use core::ptr::NonNull;

use super::Pool;
use crate::cell::Bare;
use crate::{Cond, Source};

impl<S: Source> Pool<S, Bare> {
    /// Takes a cell back; it is the next to be handed out.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    /// let cell = pool.alloc()?;
    /// // SAFETY: a live cell, used no more.
    /// unsafe { pool.free(cell.cast())? };
    /// assert_eq!(pool.alloc()?, cell);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// None; the result is that of every store.
    ///
    /// # Safety
    ///
    /// The address is that of a live cell of this pool, and nothing uses it any more.
    #[inline]
    pub unsafe fn free(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.give_back(payload, false) };
        Ok(())
    }

    /// Destroys the bytes, then takes the cell back.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<[u8; 32]>(), Pages::new());
    /// let key = pool.alloc()?.cast();
    /// // SAFETY: a live cell, used no more.
    /// unsafe { pool.shred(key)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// None; the result is that of every store.
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    #[cfg(feature = "shred")]
    pub unsafe fn shred(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.give_back(payload, true) };
        Ok(())
    }

    /// Grows or shrinks within the cell.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<[u8; 32]>(), Pages::new());
    /// let cell = pool.alloc()?.cast();
    /// // SAFETY: a live cell.
    /// assert_eq!(unsafe { pool.resize(cell, 20)? }.len(), 20);
    /// // SAFETY: a live cell.
    /// assert_eq!(unsafe { pool.resize(cell, 33) }, Err(Cond::BadSize));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_size` beyond the cell.
    ///
    /// # Safety
    ///
    /// The address is that of a live cell of this pool.
    pub unsafe fn resize(&self, payload: NonNull<u8>, size: usize) -> Result<NonNull<[u8]>, Cond> {
        if size > self.cellsz { Err(Cond::BadSize) } else { Ok(NonNull::slice_from_raw_parts(payload, size)) }
    }
}

//! What takes the cells of a bare region: who releases one says what it was.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Lin;
use crate::cell::Bare;
use crate::{Cond, Source};

impl<S: Source> Lin<S, Bare> {
    /// Takes a cell back: the newest rewinds, an older one leaves its room until the next rewind.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let layout = Layout::new::<[u64; 4]>();
    /// let cell = lin.alloc(layout)?;
    /// // SAFETY: a live cell, used no more.
    /// unsafe { lin.free(cell.cast(), layout)? };
    /// assert_eq!(lin.alloc(layout)?, cell);   // it was the newest
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// None; the result is that of every store.
    ///
    /// # Safety
    ///
    /// The cell is live, fits the layout, and nothing uses it any more.
    #[inline]
    pub unsafe fn free(&self, payload: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.give_back(payload, layout.size(), false) };
        Ok(())
    }

    /// Destroys the bytes, then takes the cell back.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let layout = Layout::new::<[u8; 32]>();
    /// let key = lin.alloc(layout)?.cast();
    /// // SAFETY: a live cell, used no more.
    /// unsafe { lin.shred(key, layout)? };
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
    pub unsafe fn shred(&self, payload: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.give_back(payload, layout.size(), true) };
        Ok(())
    }

    /// Grows or shrinks a cell: the newest, and a smaller one, in place.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let (small, large) = (Layout::new::<[u64; 4]>(), Layout::new::<[u64; 100]>());
    /// let cell = lin.alloc(small)?.cast();
    /// // SAFETY: a live cell of this layout.
    /// let grown = unsafe { lin.resize(cell, small, large)? };
    /// assert_eq!(grown.cast(), cell);         // it was the newest
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc); the cell is then as it was.
    ///
    /// # Safety
    ///
    /// The cell is live and fits `old`, whose alignment is that of `new`; if the address returned is
    /// another, the old one is gone.
    pub unsafe fn resize(&self, payload: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.change(payload, old.size(), new) }
    }
}

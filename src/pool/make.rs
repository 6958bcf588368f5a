//! How pools are made: over a source or in the caller's bytes, bare or with headers.

use core::alloc::Layout;
use core::mem::MaybeUninit;

use super::{FIRST, MOST, Pool};
use crate::cell::Headers;
use crate::fixed::StaticBytes;
use crate::growth::Growth;
use crate::store::Ops;
use crate::{Fixed, Source};

impl<S: Source> Pool<S> {
    /// A pool of cells for a layout, its blocks from a source; the first is taken with the first cell.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<[u64; 4]>(), Pages::new());
    /// assert_eq!(pool.alloc()?.len(), 32);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn new_in(cell: Layout, source: S) -> Self {
        Self::build(cell, source, None, Growth::new(FIRST, MOST))
    }
}

impl<'a> Pool<Fixed<'a>> {
    /// A pool in the caller's bytes; full, it says `no_room`.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::mem::MaybeUninit;
    /// use kmem::{Cond, Pool};
    ///
    /// let mut bytes = [MaybeUninit::uninit(); 512];
    /// let pool = Pool::fixed(Layout::new::<[u8; 64]>(), &mut bytes);
    /// while pool.alloc().is_ok() {}
    /// assert_eq!(pool.alloc(), Err(Cond::NoRoom));
    /// ```
    pub const fn fixed(cell: Layout, bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        Self::build(cell, Fixed::new(bytes), None, Growth::whole())
    }
}

impl<const N: usize> Pool<&'static StaticBytes<N>> {
    /// A pool in all the bytes of a `static`, itself fit for one.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Locked, Pool, StaticBytes};
    ///
    /// static BYTES: StaticBytes<4096> = StaticBytes::new();
    /// static POOL: Locked<Pool<&StaticBytes<4096>>> = Locked::new(Pool::fixed_in(Layout::new::<u64>(), &BYTES));
    ///
    /// POOL.lock().alloc()?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn fixed_in(cell: Layout, bytes: &'static StaticBytes<N>) -> Self {
        Self::build(cell, bytes, None, Growth::whole())
    }
}

impl<'a> Pool<Fixed<'a>, Headers> {
    /// A pool with headers in the caller's bytes; full, it says `no_room`.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::mem::MaybeUninit;
    /// use kmem::Pool;
    ///
    /// let mut bytes = [MaybeUninit::uninit(); 1024];
    /// let pool = Pool::fixed_with_headers(Layout::new::<u64>(), &mut bytes);
    /// let ptr = pool.alloc_ptr()?;
    /// // SAFETY: the pool is where it was, and nothing uses the cell.
    /// unsafe { kmem::free(ptr)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn fixed_with_headers(cell: Layout, bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        Self::build(cell, Fixed::new(bytes), Some(Ops::of::<Self>()), Growth::whole())
    }
}

impl<S: Source> Pool<S, Headers> {
    /// A pool whose cells have headers.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Kind, Pages, Pool};
    ///
    /// let pool = Pool::with_headers_in(Layout::new::<u64>(), Pages::new());
    /// assert_eq!(pool.alloc_ptr()?.kind(), Kind::Pool);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn with_headers_in(cell: Layout, source: S) -> Self {
        Self::build(cell, source, Some(Ops::of::<Self>()), Growth::new(FIRST, MOST))
    }
}

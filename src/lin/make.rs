//! How regions are made: over a source or in the caller's bytes, bare or with headers.

use core::mem::MaybeUninit;

use super::{FIRST, Lin, MOST};
use crate::cell::Headers;
use crate::growth::Growth;
use crate::store::Ops;
use crate::{Fixed, Source};

impl<S: Source> Lin<S> {
    /// A region whose chunks come from a source; the first is taken with the first cell.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// assert_eq!(lin.stats().held, 0);
    /// lin.alloc(Layout::new::<u64>())?;
    /// assert!(lin.stats().held > 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn new_in(source: S) -> Self {
        Self::build(source, None, Growth::new(FIRST, MOST))
    }
}

impl<'a> Lin<Fixed<'a>> {
    /// A region in the caller's bytes; full, it says `no_room`.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::mem::MaybeUninit;
    /// use kmem::{Cond, Lin};
    ///
    /// let mut bytes = [MaybeUninit::uninit(); 1024];
    /// let lin = Lin::fixed(&mut bytes);
    /// lin.alloc(Layout::new::<[u8; 100]>())?;
    /// assert_eq!(lin.alloc(Layout::new::<[u8; 1024]>()), Err(Cond::NoRoom));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn fixed(bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        Self::build(Fixed::new(bytes), None, Growth::whole())
    }
}

impl<'a> Lin<Fixed<'a>, Headers> {
    /// A region with headers in the caller's bytes; full, it says `no_room`.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::mem::MaybeUninit;
    /// use kmem::{Cond, Lin};
    ///
    /// let mut bytes = [MaybeUninit::uninit(); 1024];
    /// let lin = Lin::fixed_with_headers(&mut bytes);
    /// let ptr = lin.alloc_ptr(Layout::new::<u64>())?;
    /// // SAFETY: the region is where it was, and nothing uses the cell.
    /// unsafe { kmem::free(ptr)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn fixed_with_headers(bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        Self::build(Fixed::new(bytes), Some(Ops::of::<Self>()), Growth::whole())
    }
}

impl<S: Source> Lin<S, Headers> {
    /// A region whose cells have headers.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Kind, Lin, Pages};
    ///
    /// let lin = Lin::with_headers_in(Pages::new());
    /// assert_eq!(lin.alloc_ptr(Layout::new::<u64>())?.kind(), Kind::Lin);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn with_headers_in(source: S) -> Self {
        Self::build(source, Some(Ops::of::<Self>()), Growth::new(FIRST, MOST))
    }
}

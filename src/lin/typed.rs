//! Values in a region, and scopes.

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::needs_drop;
use core::ptr::NonNull;

use super::{Lin, Position};
use crate::cell::{Bare, Layer};
use crate::typed::Refused;
use crate::{Cond, Source};

/// Refuses, when the program is compiled, a value whose destructor would never run.
const fn plain<T>() {
    const {
        assert!(
            !needs_drop::<T>(),
            "a linear region runs no destructors: place a value that has one with Owned::new_in"
        );
    }
}

impl<S: Source, H: Layer> Lin<S, H> {
    fn place<T>(&self, value: T) -> Result<NonNull<T>, Refused<T>> {
        plain::<T>();
        match self.bump_for::<T>() {
            Ok(place) => {
                let place = place.cast::<T>();
                // SAFETY: the cell was just handed out for a `T`.
                unsafe { place.write(value) };
                Ok(place)
            }
            Err(cond) => Err(Refused { value, cond }),
        }
    }

    fn place_slice<T>(&self, len: usize, mut make: impl FnMut(usize) -> T) -> Result<NonNull<[T]>, Cond> {
        plain::<T>();
        let place = self.bump(Layout::array::<T>(len).map_err(|_| Cond::BadSize)?)?.cast::<T>();
        for index in 0..len {
            let value = make(index);
            // SAFETY: the cell was just handed out for `len` of them.
            let next = unsafe { place.add(index) };
            // SAFETY: as above.
            unsafe { next.write(value) };
        }
        Ok(NonNull::slice_from_raw_parts(place, len))
    }

    fn place_str(&self, text: &str) -> Result<NonNull<str>, Cond> {
        let bytes = text.as_bytes();
        let place = self.bump(Layout::for_value(bytes))?;
        // SAFETY: the cell was just handed out for as many bytes.
        unsafe { place.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        let wide = core::ptr::slice_from_raw_parts_mut(place.as_ptr(), bytes.len()) as *mut str;
        // SAFETY: made of a pointer that is not null.
        Ok(unsafe { NonNull::new_unchecked(wide) })
    }

    /// Places a value that has no destructor; it stays until the region is reset or destroyed.
    ///
    /// A type that has one does not compile here. [`Owned::new_in`](crate::Owned::new_in) takes it.
    ///
    /// ```
    /// use kmem::{Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// let x = lin.put(7)?;
    /// let y = lin.put([1.0, 2.0])?;
    /// *x += 1;
    /// assert_eq!((*x, y[1]), (8, 2.0));
    /// lin.reset();                        // does not compile while x or y is used after it
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc); the value comes back with it.
    #[expect(clippy::mut_from_ref, reason = "each call gives other memory")]
    pub fn put<T>(&self, value: T) -> Result<&mut T, Refused<T>> {
        let mut place = self.place(value)?;
        // SAFETY: the value was just placed, and nobody else knows of it while the region is borrowed.
        Ok(unsafe { place.as_mut() })
    }

    /// Places `len` values without destructors, each made from its index.
    ///
    /// ```
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let squares = lin.put_slice(4, |i| i * i)?;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    ///
    /// # Panics
    ///
    /// When `make` does.
    #[expect(clippy::mut_from_ref, reason = "each call gives other memory")]
    pub fn put_slice<T>(&self, len: usize, make: impl FnMut(usize) -> T) -> Result<&mut [T], Cond> {
        let mut place = self.place_slice(len, make)?;
        // SAFETY: as for `put`.
        Ok(unsafe { place.as_mut() })
    }

    /// Places a copy of a string.
    ///
    /// ```
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let name = lin.put_str("name")?;
    /// name.make_ascii_uppercase();
    /// assert_eq!(name, "NAME");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    #[expect(clippy::mut_from_ref, reason = "each call gives other memory")]
    pub fn put_str(&self, text: &str) -> Result<&mut str, Cond> {
        let mut place = self.place_str(text)?;
        // SAFETY: as for `put`.
        Ok(unsafe { place.as_mut() })
    }

    /// Runs a closure with a scope of the region: what is placed in the scope goes when it ends,
    /// also by a panic.
    ///
    /// ```
    /// use kmem::{Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// let total = lin.scope(|mut outer| {
    ///     let numbers = outer.put([1, 2, 3])?;
    ///     let sum = outer.scope(|inner| {
    ///         let doubled = inner.put_slice(3, |i| numbers[i] * 2)?;
    ///         Ok::<i32, kmem::Cond>(doubled.iter().sum())
    ///     })?;                            // `doubled` has gone, `numbers` is still there
    ///     Ok::<i32, kmem::Cond>(sum + numbers[0])
    /// })?;
    /// assert_eq!(total, 13);
    /// assert_eq!(lin.stats().bytes, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn scope<R>(&mut self, run: impl FnOnce(Scope<'_, S, H>) -> R) -> R {
        scoped(self, run)
    }
}

/// Takes a region back to where it was when it was made.
struct Rewind<'l, S: Source, H: Layer> {
    lin: &'l Lin<S, H>,
    position: Position,
}

impl<S: Source, H: Layer> Drop for Rewind<'_, S, H> {
    fn drop(&mut self) {
        self.lin.go_back(self.position);
    }
}

fn scoped<S: Source, H: Layer, R>(lin: &Lin<S, H>, run: impl FnOnce(Scope<'_, S, H>) -> R) -> R {
    let rewind = Rewind { lin, position: lin.position() };
    run(Scope { lin: rewind.lin, region: PhantomData })
}

/// A part of a [`Lin`]'s life: what is placed through it lives as long, and no longer.
///
/// While a scope within it runs, nothing can be placed in this one, so that the inner one can be
/// rewound. What was placed before stays usable there.
///
/// ```
/// use kmem::{Lin, Pages};
///
/// let mut lin = Lin::new_in(Pages::new());
/// let longest = lin.scope(|scope| {
///     let words = scope.put_slice(3, |i| ["a", "bc", "d"][i])?;
///     Ok::<_, kmem::Cond>(words.iter().map(|word| word.len()).max())
/// })?;                                    // the words have gone
/// assert_eq!(longest, Some(2));
/// # Ok::<(), kmem::Cond>(())
/// ```
pub struct Scope<'a, S: Source, H: Layer = Bare> {
    lin: &'a Lin<S, H>,
    /// Invariant, so that scopes cannot be exchanged.
    region: PhantomData<fn(&'a ()) -> &'a ()>,
}

impl<'a, S: Source, H: Layer> Scope<'a, S, H> {
    /// Places a value that has no destructor; it stays until the scope ends.
    ///
    /// ```
    /// use kmem::{Cond, Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// let seven = lin.scope(|scope| Ok::<i32, Cond>(*scope.put(7)?))?;
    /// assert_eq!((seven, lin.stats().bytes), (7, 0));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Lin::put`].
    pub fn put<T>(&self, value: T) -> Result<&'a mut T, Refused<T>> {
        let mut place = self.lin.place(value)?;
        // SAFETY: the value was just placed, and stays until the scope ends, after `'a`.
        Ok(unsafe { place.as_mut() })
    }

    /// Places `len` values without destructors, each made from its index.
    ///
    /// ```
    /// use kmem::{Cond, Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// let sum = lin.scope(|scope| Ok::<usize, Cond>(scope.put_slice(4, |i| i)?.iter().sum()))?;
    /// assert_eq!(sum, 6);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Lin::put_slice`].
    ///
    /// # Panics
    ///
    /// When `make` does.
    pub fn put_slice<T>(&self, len: usize, make: impl FnMut(usize) -> T) -> Result<&'a mut [T], Cond> {
        let mut place = self.lin.place_slice(len, make)?;
        // SAFETY: as for `put`.
        Ok(unsafe { place.as_mut() })
    }

    /// Places a copy of a string.
    ///
    /// ```
    /// use kmem::{Cond, Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// let len = lin.scope(|scope| Ok::<usize, Cond>(scope.put_str("name")?.len()))?;
    /// assert_eq!(len, 4);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Lin::put_str`].
    pub fn put_str(&self, text: &str) -> Result<&'a mut str, Cond> {
        let mut place = self.lin.place_str(text)?;
        // SAFETY: as for `put`.
        Ok(unsafe { place.as_mut() })
    }

    /// A scope within this one.
    ///
    /// ```
    /// use kmem::{Cond, Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// lin.scope(|mut outer| {
    ///     let kept = outer.put(1)?;
    ///     outer.scope(|inner| inner.put(2).map(|two| *kept += *two))?;
    ///     assert_eq!(*kept, 3);
    ///     Ok::<(), Cond>(())
    /// })?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn scope<R>(&mut self, run: impl FnOnce(Scope<'_, S, H>) -> R) -> R {
        scoped(self.lin, run)
    }
}

impl<S: Source, H: Layer> fmt::Debug for Scope<'_, S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("lin", self.lin).finish()
    }
}

// SAFETY: the blocks are the region's; who uses the scope as a source borrows it, so no scope within
// it can rewind the region meanwhile.
unsafe impl<S: Source, H: Layer> Source for Scope<'_, S, H> {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.lin.alloc(layout)
    }

    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.lin.alloc_zeroed(layout)
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Source::free(self.lin, block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Source::resize(self.lin, block, old, new) }
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Source::shred(self.lin, block, layout) }
    }

    fn largest(&self) -> Option<usize> {
        Source::largest(self.lin)
    }
}

//! A value in a store, with one owner.

use core::alloc::Layout;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::{self, NonNull};

use super::{Refused, Unsize};
use crate::{Cond, Source};

/// A value in a source's memory: dropped and given back when its owner is (`Box`, over any source).
///
/// ```
/// use kmem::{Owned, Pages, Pool};
/// use core::alloc::Layout;
///
/// let pool = Pool::new_in(Layout::new::<[u32; 8]>(), Pages::new());
/// let mut cell = Owned::new_in([0_u32; 8], &pool)?;
/// cell[3] = 7;
/// drop(cell);                         // back in the pool
/// assert_eq!(pool.stats().live, 0);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// It can be sent to another thread where the value can and the source can be shared.
pub struct Owned<'s, T: ?Sized, S: Source> {
    value: NonNull<T>,
    source: &'s S,
}

// SAFETY: it owns the value, and gives its block back through a shared reference to the source.
unsafe impl<T: ?Sized + Send, S: Source + Sync> Send for Owned<'_, T, S> {}
// SAFETY: sharing it shares the value and the reference to the source, no more.
unsafe impl<T: ?Sized + Sync, S: Source + Sync> Sync for Owned<'_, T, S> {}

impl<'s, T, S: Source> Owned<'s, T, S> {
    /// Places a value.
    ///
    /// ```
    /// use kmem::{Heap, Owned, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let words = Owned::new_in(vec!["a", "b"], &heap)?;
    /// assert_eq!(words.len(), 2);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says; the value comes back with it.
    pub fn new_in(value: T, source: &'s S) -> Result<Self, Refused<T>> {
        match source.alloc(Layout::new::<T>()) {
            Ok(block) => {
                let place = block.cast::<T>();
                // SAFETY: the block was just handed out for a `T`.
                unsafe { place.write(value) };
                Ok(Self { value: place, source })
            }
            Err(cond) => Err(Refused { value, cond }),
        }
    }

    /// Takes the value out and gives its block back.
    ///
    /// ```
    /// use kmem::{Heap, Owned, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let words = Owned::new_in(vec!["a", "b"], &heap)?.into_inner();
    /// assert_eq!((words.len(), heap.stats().live), (2, 0));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        let this = ManuallyDrop::new(self);
        // SAFETY: the value is there, and after this read nobody takes it for one any more.
        let value = unsafe { this.value.read() };
        // SAFETY: the block came from the source with this layout; what it held was moved out.
        let _ = unsafe { this.source.free(this.value.cast(), Layout::new::<T>()) };
        value
    }
}

impl<'s, T, S: Source> Owned<'s, [T], S> {
    /// Places `len` values, each made from its index.
    ///
    /// ```
    /// use kmem::{Heap, Owned, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let names = Owned::slice_in(2, |i| format!("name {i}"), &heap)?;
    /// assert_eq!(names[1], "name 1");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says.
    ///
    /// # Panics
    ///
    /// When `make` does; what was made is dropped and the block given back.
    pub fn slice_in(len: usize, mut make: impl FnMut(usize) -> T, source: &'s S) -> Result<Self, Cond> {
        struct Made<'a, 's, T, S: Source> {
            place: NonNull<T>,
            len: usize,
            layout: Layout,
            source: &'a &'s S,
        }
        impl<T, S: Source> Drop for Made<'_, '_, T, S> {
            fn drop(&mut self) {
                // SAFETY: so many values have been made there.
                unsafe { NonNull::slice_from_raw_parts(self.place, self.len).drop_in_place() };
                // SAFETY: the block came from the source with this layout and holds nothing any more.
                let _ = unsafe { self.source.free(self.place.cast(), self.layout) };
            }
        }
        let layout = Layout::array::<T>(len).map_err(|_| Cond::BadSize)?;
        let place = source.alloc(layout)?.cast::<T>();
        let mut made = Made { place, len: 0, layout, source: &source };
        while made.len < len {
            let value = make(made.len);
            // SAFETY: the block has room for `len` values.
            let next = unsafe { place.add(made.len) };
            // SAFETY: as above.
            unsafe { next.write(value) };
            made.len += 1;
        }
        core::mem::forget(made);
        Ok(Self { value: NonNull::slice_from_raw_parts(place, len), source })
    }
}

impl<'s, S: Source> Owned<'s, str, S> {
    /// Places a copy of a string.
    ///
    /// ```
    /// use kmem::{Heap, Owned, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let mut name = Owned::str_in("name", &heap)?;
    /// name.make_ascii_uppercase();
    /// assert_eq!(&*name, "NAME");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says.
    pub fn str_in(text: &str, source: &'s S) -> Result<Self, Cond> {
        let bytes = text.as_bytes();
        let block = source.alloc(Layout::for_value(bytes))?.cast::<u8>();
        // SAFETY: the block was just handed out, at least as long.
        unsafe { block.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        let value = ptr::slice_from_raw_parts_mut(block.as_ptr(), bytes.len()) as *mut str;
        // SAFETY: made of a pointer that is not null.
        let value = unsafe { NonNull::new_unchecked(value) };
        Ok(Self { value, source })
    }
}

impl<'s, T: ?Sized, S: Source> Owned<'s, T, S> {
    /// The source that the value lies in.
    ///
    /// ```
    /// use kmem::{Heap, Owned, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let seven = Owned::new_in(7, &heap)?;
    /// let eight = Owned::new_in(8, Owned::source(&seven))?;
    /// assert_eq!((*seven + *eight, heap.stats().live), (15, 2));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn source(this: &Self) -> &'s S {
        this.source
    }

    /// Gives up ownership: the value stays until the source goes.
    ///
    /// ```
    /// use kmem::{Heap, Owned, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let seven: &mut i32 = Owned::leak(Owned::new_in(7, &heap)?);
    /// *seven += 1;
    /// assert_eq!((*seven, heap.stats().live), (8, 1));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn leak(this: Self) -> &'s mut T {
        let mut this = ManuallyDrop::new(this);
        // SAFETY: the value is there, its owner is gone, and the source is borrowed for as long.
        unsafe { this.value.as_mut() }
    }

    /// Takes the handle apart; [`from_raw`](Self::from_raw) puts it together again.
    ///
    /// ```
    /// use kmem::{Heap, Owned, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let (value, source) = Owned::into_raw(Owned::new_in(7, &heap)?);
    /// // SAFETY: just taken apart.
    /// let seven = unsafe { Owned::from_raw(value, source) };
    /// assert_eq!(*seven, 7);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn into_raw(this: Self) -> (NonNull<T>, &'s S) {
        let this = ManuallyDrop::new(this);
        (this.value, this.source)
    }

    /// Puts a handle together.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Owned, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let block = heap.alloc(Layout::new::<u64>())?.cast::<u64>();
    /// // SAFETY: a block of this size and alignment, which nobody else has.
    /// let seven = unsafe {
    ///     block.write(7);
    ///     Owned::from_raw(block, &heap)
    /// };
    /// assert_eq!(*seven, 7);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Safety
    ///
    /// The value lies in a live block of the source that was allocated with the value's layout, and
    /// nobody else owns it.
    pub const unsafe fn from_raw(value: NonNull<T>, source: &'s S) -> Self {
        Self { value, source }
    }

    /// Drops the value, then destroys its bytes, then gives the block back.
    ///
    /// ```
    /// use kmem::{Heap, Owned, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// Owned::shred(Owned::new_in([7_u8; 32], &heap)?)?;
    /// assert_eq!(heap.stats().live, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says when it refuses the block: the bytes are gone all the same.
    #[cfg(feature = "shred")]
    pub fn shred(this: Self) -> Result<(), Cond> {
        /// Shreds the block even when the value's destructor panics.
        struct Block<'s, S: Source>(NonNull<u8>, Layout, &'s S);
        impl<S: Source> Drop for Block<'_, S> {
            fn drop(&mut self) {
                // SAFETY: the block came from the source with this layout, and its value is gone.
                let _ = unsafe { self.2.shred(self.0, self.1) };
            }
        }
        let (value, source) = Self::into_raw(this);
        // SAFETY: the value is there and its owner is gone.
        let layout = Layout::for_value(unsafe { value.as_ref() });
        let block = Block(value.cast(), layout, source);
        // SAFETY: as above; nobody takes it for a value any more.
        unsafe { value.drop_in_place() };
        core::mem::forget(block);
        // SAFETY: the block came from the source with this layout.
        unsafe { source.shred(value.cast(), layout) }
    }
}

// SAFETY: the value's pointer goes through the coercion.
unsafe impl<'s, T, S: Source> Unsize for Owned<'s, T, S> {
    type Value = T;
    type Of<U: ?Sized> = Owned<'s, U, S>;

    unsafe fn unsize_by<U: ?Sized>(self, by: fn(*mut T) -> *mut U) -> Owned<'s, U, S> {
        let (value, source) = Self::into_raw(self);
        // SAFETY: a coercion keeps the address, which is not null.
        let value = unsafe { NonNull::new_unchecked(by(value.as_ptr())) };
        Owned { value, source }
    }
}

impl<T: ?Sized, S: Source> Drop for Owned<'_, T, S> {
    fn drop(&mut self) {
        /// Gives the block back even when the value's destructor panics.
        struct Block<'s, S: Source>(NonNull<u8>, Layout, &'s S);
        impl<S: Source> Drop for Block<'_, S> {
            fn drop(&mut self) {
                // Nobody is left to be told of a refusal; the block stays with the source.
                // SAFETY: the block came from the source with this layout, and its value is gone.
                let _ = unsafe { self.2.free(self.0, self.1) };
            }
        }
        let _block = Block(self.value.cast(), Layout::for_value(&**self), self.source);
        // SAFETY: the value is there, and nobody takes it for one any more.
        unsafe { self.value.drop_in_place() };
    }
}

impl<T: ?Sized, S: Source> Deref for Owned<'_, T, S> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value is there as long as its owner, and only reached through it.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, S: Source> DerefMut for Owned<'_, T, S> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and the owner is borrowed mutably.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized, S: Source> AsRef<T> for Owned<'_, T, S> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T: ?Sized + fmt::Debug, S: Source> fmt::Debug for Owned<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display, S: Source> fmt::Display for Owned<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

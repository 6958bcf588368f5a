//! A value in a store, with several owners: the last one drops it.
//!
//! ```text
//! ├ gap ┤├ strong │ weak ┤├ value …     ┤        the handle holds the value's address
//!         two words        ▲
//! ```
//!
//! The value goes with the last strong reference, the block with the last of either sort; all strong
//! references together hold one weak one. (The protocol is that of the standard library's `Rc` and `Arc`.)

use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::{self, NonNull};

use super::count::{Atomic, Count, Plain};
use super::{Refused, Unsize};
use crate::cell::{Frame, MIN_ALIGN, inside};
use crate::{Cond, Source};

/// What stands in front of the value.
struct Counts<C> {
    strong: C,
    weak: C,
}

const HEADER: usize = MIN_ALIGN;
const _: () = assert!(size_of::<Counts<Plain>>() == HEADER && size_of::<Counts<Atomic>>() == HEADER);

/// A shared value in a source's memory; `C` says how its references are counted.
///
/// Two names are in use: [`Ref`] for one thread, [`AtomicRef`] for several.
///
/// ```
/// use kmem::{Count, Global, Shared};
///
/// /// However they are counted.
/// fn sum<C: Count>(one: &Shared<'_, i32, Global, C>, other: &Shared<'_, i32, Global, C>) -> i32 {
///     **one + **other
/// }
///
/// let seven = kmem::Ref::new_in(7, &Global)?;
/// assert_eq!(sum(&seven, &seven.clone()), 14);
/// # Ok::<(), kmem::Cond>(())
/// ```
pub struct Shared<'s, T: ?Sized, S: Source, C: Count> {
    value: NonNull<T>,
    source: &'s S,
    counts: PhantomData<(C, *const T)>,
}

/// A shared value in a source's memory (`Rc`, over any source).
///
/// ```
/// use kmem::{Heap, Pages, Ref};
///
/// let heap = Heap::new_in(Pages::new());
/// let name = Ref::str_in("shared", &heap)?;
/// let also = name.clone();
/// assert_eq!((Ref::count(&name), &*also), (2, "shared"));
/// # Ok::<(), kmem::Cond>(())
/// ```
pub type Ref<'s, T, S> = Shared<'s, T, S, Plain>;

/// A shared value that threads can share (`Arc`, over any source that threads can share).
///
/// ```
/// use kmem::{AtomicRef, Global};
///
/// let sum = AtomicRef::new_in(7, &Global)?;
/// let also = sum.clone();
/// let there = std::thread::spawn(move || *also + 1).join().expect("no panic");
/// assert_eq!((*sum, there), (7, 8));
/// # Ok::<(), kmem::Cond>(())
/// ```
pub type AtomicRef<'s, T, S> = Shared<'s, T, S, Atomic>;

/// A reference that does not keep the value; `C` says how references are counted.
pub struct WeakShared<'s, T: ?Sized, S: Source, C: Count> {
    value: NonNull<T>,
    source: &'s S,
    counts: PhantomData<(C, *const T)>,
}

/// A reference that does not keep the value.
///
/// ```
/// use kmem::{Heap, Pages, Ref};
///
/// let heap = Heap::new_in(Pages::new());
/// let strong = Ref::new_in(7, &heap)?;
/// let weak = Ref::downgrade(&strong)?;
/// assert_eq!(weak.upgrade().as_deref(), Some(&7));
/// drop(strong);
/// assert!(weak.upgrade().is_none());
/// # Ok::<(), kmem::Cond>(())
/// ```
pub type Weak<'s, T, S> = WeakShared<'s, T, S, Plain>;

/// A reference that does not keep the value and that threads can share.
///
/// ```
/// use kmem::{AtomicRef, Global};
///
/// let one = AtomicRef::new_in(7, &Global)?;
/// let weak = AtomicRef::downgrade(&one)?;
/// let there = std::thread::spawn(move || weak.upgrade().map(|seven| *seven));
/// assert_eq!(there.join().expect("no panic"), Some(7));
/// # Ok::<(), kmem::Cond>(())
/// ```
pub type AtomicWeak<'s, T, S> = WeakShared<'s, T, S, Atomic>;

// SAFETY: atomic counts; the value may be reached from several threads and dropped by any of them.
unsafe impl<T: ?Sized + Send + Sync, S: Source + Sync> Send for Shared<'_, T, S, Atomic> {}
// SAFETY: as above: who has a shared reference can make an owner.
unsafe impl<T: ?Sized + Send + Sync, S: Source + Sync> Sync for Shared<'_, T, S, Atomic> {}
// SAFETY: as for a strong one, which it can become.
unsafe impl<T: ?Sized + Send + Sync, S: Source + Sync> Send for WeakShared<'_, T, S, Atomic> {}
// SAFETY: as for a strong one, which it can become.
unsafe impl<T: ?Sized + Send + Sync, S: Source + Sync> Sync for WeakShared<'_, T, S, Atomic> {}

/// The block for a value, with the counts in front: a constant where the type has a size.
#[inline]
fn frame(value: Layout) -> Result<Frame, Cond> {
    Frame::new(HEADER, value, MIN_ALIGN)
}

/// A block with both counts at 1 and room for a value.
#[inline]
fn place<C: Count, S: Source>(value: Layout, source: &S) -> Result<NonNull<u8>, Cond> {
    let frame = frame(value)?;
    let block = source.alloc(frame.asked())?.cast::<u8>();
    let counts = inside(block, frame.offset - HEADER).cast::<Counts<C>>();
    // SAFETY: the frame has room for the counts right before the value, aligned.
    unsafe { counts.write(Counts { strong: C::new(1), weak: C::new(1) }) };
    Ok(inside(block, frame.offset))
}

/// The counts of a value.
///
/// # Safety
///
/// The value's block is live, and stays so while they are used.
#[inline]
unsafe fn counts<'a, T: ?Sized, C: Count>(value: NonNull<T>) -> &'a Counts<C> {
    // SAFETY: the caller's promise: the counts stand right before the value.
    let counts = unsafe { value.cast::<u8>().sub(HEADER) };
    // SAFETY: as above; they are only changed through shared references.
    unsafe { counts.cast::<Counts<C>>().as_ref() }
}

/// Drops a weak reference.
///
/// # Safety
///
/// The caller has one and gives it up; the block came from the source.
#[inline]
unsafe fn drop_weak<T: ?Sized, S: Source, C: Count>(value: NonNull<T>, source: &S) {
    // SAFETY: the caller's reference keeps the block.
    let counts = unsafe { counts::<T, C>(value) };
    // Weak references are made of strong ones too, but whose are the last has no strong one beside it.
    if !counts.weak.down_alone() {
        return;
    }
    // A value that was dropped still has the bytes of one, so its size can be asked.
    let kept = value.as_ptr() as *const ManuallyDrop<T>;
    // SAFETY: the block is live until it is given back below.
    let layout = Layout::for_value(unsafe { &*kept });
    if let Ok(frame) = frame(layout) {
        // SAFETY: the value lies this far into its block.
        let block = unsafe { value.cast::<u8>().sub(frame.offset) };
        // SAFETY: the block came from the source with this layout, and nobody refers to it any more.
        let _ = unsafe { source.free(block, frame.asked()) };
    }
}

impl<'s, T: ?Sized, S: Source, C: Count> Shared<'s, T, S, C> {
    const fn of(value: NonNull<T>, source: &'s S) -> Self {
        Self { value, source, counts: PhantomData }
    }

    #[inline]
    fn counts(&self) -> &Counts<C> {
        // SAFETY: this reference keeps the block.
        unsafe { counts(self.value) }
    }

    /// How many references keep the value.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Ref};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let one = Ref::new_in(7, &heap)?;
    /// let other = one.clone();
    /// assert_eq!(Ref::count(&one), 2);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn count(this: &Self) -> usize {
        this.counts().strong.get()
    }

    /// How many references do not keep it.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Ref};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let one = Ref::new_in(7, &heap)?;
    /// let weak = Ref::downgrade(&one)?;
    /// assert_eq!((Ref::count(&one), Ref::weak_count(&one)), (1, 1));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn weak_count(this: &Self) -> usize {
        this.counts().weak.get().saturating_sub(1)
    }

    /// Whether both are references to the same value.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Ref};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let one = Ref::new_in(7, &heap)?;
    /// assert!(Ref::ptr_eq(&one, &one.clone()));
    /// assert!(!Ref::ptr_eq(&one, &Ref::new_in(7, &heap)?));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        ptr::addr_eq(this.value.as_ptr(), other.value.as_ptr())
    }

    /// One more reference.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Ref};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let one = Ref::new_in(7, &heap)?;
    /// assert_eq!(*Ref::try_clone(&one)?, 7);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `too_many` at the largest count.
    #[inline]
    pub fn try_clone(this: &Self) -> Result<Self, Cond> {
        this.counts().strong.up_held()?;
        Ok(Self::of(this.value, this.source))
    }

    /// A reference that does not keep the value.
    ///
    /// ```
    /// use kmem::{AtomicRef, Global};
    ///
    /// let one = AtomicRef::new_in(7, &Global)?;
    /// let weak = AtomicRef::downgrade(&one)?;
    /// drop(one);
    /// assert!(weak.upgrade().is_none());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `too_many` at the largest count.
    pub fn downgrade(this: &Self) -> Result<WeakShared<'s, T, S, C>, Cond> {
        loop {
            match this.counts().weak.up() {
                Ok(_) => return Ok(WeakShared { value: this.value, source: this.source, counts: PhantomData }),
                // Closed for the moment that `get_mut` looks in another thread.
                Err(Cond::BadAddress) => core::hint::spin_loop(),
                Err(cond) => return Err(cond),
            }
        }
    }

    /// The value, if this is the only reference of either sort.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Ref};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let mut one = Ref::new_in(7, &heap)?;
    /// *Ref::get_mut(&mut one).expect("the only one") += 1;
    /// let other = one.clone();
    /// assert_eq!((*other, Ref::get_mut(&mut one)), (8, None));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        let counts = this.counts();
        // With the weak count closed nobody can make a strong reference out of a weak one meanwhile.
        if !counts.weak.close() {
            return None;
        }
        let alone = counts.strong.is_one();
        counts.weak.open();
        // SAFETY: if alone, no other reference is there, and none can be made while this one is borrowed.
        if alone { Some(unsafe { this.value.as_mut() }) } else { None }
    }
}

// SAFETY: the value's pointer goes through the coercion.
unsafe impl<'s, T, S: Source, C: Count> Unsize for Shared<'s, T, S, C> {
    type Value = T;
    type Of<U: ?Sized> = Shared<'s, U, S, C>;

    unsafe fn unsize_by<U: ?Sized>(self, by: fn(*mut T) -> *mut U) -> Shared<'s, U, S, C> {
        let this = ManuallyDrop::new(self);
        // SAFETY: a coercion keeps the address, which is not null.
        let value = unsafe { NonNull::new_unchecked(by(this.value.as_ptr())) };
        Shared::of(value, this.source)
    }
}

impl<'s, T, S: Source, C: Count> Shared<'s, T, S, C> {
    /// Places a value.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Ref};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let words = Ref::new_in(vec!["a", "b"], &heap)?;
    /// assert_eq!(words.len(), 2);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says; the value comes back with it.
    #[inline]
    pub fn new_in(value: T, source: &'s S) -> Result<Self, Refused<T>> {
        match place::<C, S>(Layout::new::<T>(), source) {
            Ok(block) => {
                let place = block.cast::<T>();
                // SAFETY: the block was just handed out for a `T`.
                unsafe { place.write(value) };
                Ok(Self::of(place, source))
            }
            Err(cond) => Err(Refused { value, cond }),
        }
    }
}

impl<'s, T: Copy, S: Source, C: Count> Shared<'s, [T], S, C> {
    /// Places a copy of a slice.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Ref};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let numbers = Ref::slice_in(&[1, 2, 3], &heap)?;
    /// assert_eq!(numbers.iter().sum::<i32>(), 6);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says.
    pub fn slice_in(values: &[T], source: &'s S) -> Result<Self, Cond> {
        let block = place::<C, S>(Layout::for_value(values), source)?.cast::<T>();
        // SAFETY: the block was just handed out, at least as long.
        unsafe { block.copy_from_nonoverlapping(NonNull::from(values).cast(), values.len()) };
        Ok(Self::of(NonNull::slice_from_raw_parts(block, values.len()), source))
    }
}

impl<'s, S: Source, C: Count> Shared<'s, str, S, C> {
    /// Places a copy of a string.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Ref};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// assert_eq!(&*Ref::str_in("name", &heap)?, "name");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says.
    pub fn str_in(text: &str, source: &'s S) -> Result<Self, Cond> {
        let bytes = ManuallyDrop::new(Shared::<[u8], S, C>::slice_in(text.as_bytes(), source)?);
        let value = bytes.value.as_ptr() as *mut str;
        // SAFETY: made of a pointer that is not null.
        Ok(Self::of(unsafe { NonNull::new_unchecked(value) }, source))
    }
}

impl<T: ?Sized, S: Source, C: Count> Clone for Shared<'_, T, S, C> {
    /// One more reference.
    ///
    /// # Panics
    ///
    /// At the largest count, which only a loop that leaks references reaches;
    /// [`try_clone`](Shared::try_clone) says so instead.
    #[inline]
    fn clone(&self) -> Self {
        Self::try_clone(self).expect("fewer references than half the address space")
    }
}

impl<T: ?Sized, S: Source, C: Count> Drop for Shared<'_, T, S, C> {
    #[inline]
    fn drop(&mut self) {
        /// The weak reference that all strong ones hold together, dropped even if the value's destructor panics.
        struct Together<'s, T: ?Sized, S: Source, C: Count>(NonNull<T>, &'s S, PhantomData<C>);
        impl<T: ?Sized, S: Source, C: Count> Drop for Together<'_, T, S, C> {
            #[inline]
            fn drop(&mut self) {
                // SAFETY: the last strong reference gives it up.
                unsafe { drop_weak::<T, S, C>(self.0, self.1) };
            }
        }
        if self.counts().strong.down() {
            let _together = Together::<T, S, C>(self.value, self.source, PhantomData);
            // SAFETY: the last strong reference is gone, so nobody reaches the value any more.
            unsafe { self.value.drop_in_place() };
        }
    }
}

impl<T: ?Sized, S: Source, C: Count> Deref for Shared<'_, T, S, C> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this reference keeps the value, which is only changed by who has the only one.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized + fmt::Debug, S: Source, C: Count> fmt::Debug for Shared<'_, T, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display, S: Source, C: Count> fmt::Display for Shared<'_, T, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<'s, T: ?Sized, S: Source, C: Count> WeakShared<'s, T, S, C> {
    #[inline]
    fn counts(&self) -> &Counts<C> {
        // SAFETY: this reference keeps the block.
        unsafe { counts(self.value) }
    }

    /// A reference that keeps the value, if it is still there and can be counted.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Ref};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let one = Ref::new_in(7, &heap)?;
    /// let weak = Ref::downgrade(&one)?;
    /// assert_eq!(weak.upgrade().as_deref(), Some(&7));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn upgrade(&self) -> Option<Shared<'s, T, S, C>> {
        self.counts().strong.up().ok()?;
        Some(Shared::of(self.value, self.source))
    }
}

impl<T: ?Sized, S: Source, C: Count> Clone for WeakShared<'_, T, S, C> {
    /// One more weak reference.
    ///
    /// # Panics
    ///
    /// At the largest count, which only a loop that leaks references reaches.
    fn clone(&self) -> Self {
        // `get_mut` never closes the count while there is a weak reference.
        self.counts().weak.up_held().expect("fewer references than half the address space");
        Self { value: self.value, source: self.source, counts: PhantomData }
    }
}

impl<T: ?Sized, S: Source, C: Count> Drop for WeakShared<'_, T, S, C> {
    fn drop(&mut self) {
        // SAFETY: this reference is given up.
        unsafe { drop_weak::<T, S, C>(self.value, self.source) };
    }
}

impl<T: ?Sized, S: Source, C: Count> fmt::Debug for WeakShared<'_, T, S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weak")
    }
}

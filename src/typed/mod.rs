//! The typed face: handles that the borrow checker watches over, so that no safe program can misuse memory.
//!
//! A handle borrows its store, so the store can be neither moved, reset nor destroyed while it lives.
//! It frees by being dropped, which needs only `&store`, so handles coexist.

mod count;
mod managed;
mod owned;
mod shared;

pub use count::{Atomic, Count, Plain};
pub use managed::Managed;
pub use owned::Owned;
pub use shared::{AtomicRef, AtomicWeak, Ref, Shared, Weak, WeakShared};

use core::fmt;
use core::sync::atomic;

use crate::Cond;

/// A value that could not be placed, and why.
///
/// With `?` it becomes the condition where a function returns one.
///
/// ```
/// use core::mem::MaybeUninit;
/// use kmem::{Cond, Lin};
///
/// let mut bytes = [MaybeUninit::uninit(); 16];
/// let lin = Lin::fixed(&mut bytes);
/// let refused = lin.put([7_u8; 100]).expect_err("there is no room");
/// assert_eq!((refused.cond, refused.value), (Cond::NoRoom, [7; 100]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<T> {
    /// What was to be placed.
    pub value: T,
    /// Why it could not be.
    pub cond: Cond,
}

impl<T> From<Refused<T>> for Cond {
    fn from(refused: Refused<T>) -> Self {
        refused.cond
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cond.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for Refused<T> {}

/// What [`unsize!`] can change the type of.
///
/// # Safety
///
/// `unsize_by` calls the coercion on the pointer to the value, and keeps what it answers instead.
#[doc(hidden)]
pub unsafe trait Unsize {
    /// What it is a handle of.
    type Value;
    /// The handle of something else.
    type Of<U: ?Sized>;

    /// The same value under another type.
    ///
    /// # Safety
    ///
    /// `by` is an unsizing coercion.
    #[must_use]
    unsafe fn unsize_by<U: ?Sized>(self, by: fn(*mut Self::Value) -> *mut U) -> Self::Of<U>;
}

/// Makes an [`Owned`], [`Ref`] or [`AtomicRef`] of a value into one of something unsized that the value
/// is: a trait object, or a slice of an array. (The language can do so by itself only for `std`'s types.)
///
/// ```
/// use core::fmt::Display;
/// use kmem::{Heap, Owned, Pages, unsize};
///
/// let heap = Heap::new_in(Pages::new());
/// let shown: Owned<'_, dyn Display, _> = unsize!(Owned::new_in(7, &heap)?, dyn Display);
/// assert_eq!(shown.to_string(), "7");
/// # Ok::<(), kmem::Cond>(())
/// ```
#[macro_export]
macro_rules! unsize {
    ($handle:expr, $to:ty) => {
        match $handle {
            // SAFETY: the closure is a coercion, which only adds what an unsized pointer has more.
            handle => unsafe { $crate::Unsize::unsize_by(handle, |pointer: *mut _| -> *mut $to { pointer }) },
        }
    };
}

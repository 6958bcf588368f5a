//! A lock for the few things that a whole process shares.

use core::cell::UnsafeCell;
use core::fmt;
use core::hint::spin_loop;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, Ordering};

/// A value behind a spin lock, so that it can stand in a `static`.
///
/// The sections under it are short (a few list operations, at worst one system call), which is what
/// a spin lock is for; it needs no operating system, so it is the same on every target. Nobody owns the lock: if its
/// holder is no more (a worker that was terminated, the other threads of a process that forked), who waits waits for ever.
///
/// ```
/// use kmem_platform::Locked;
///
/// static COUNT: Locked<u32> = Locked::new(0);
/// *COUNT.lock() += 1;
/// assert_eq!(*COUNT.lock(), 1);
/// ```
pub struct Locked<T: ?Sized> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value to one thread at a time, which is what `Send` allows.
unsafe impl<T: ?Sized + Send> Sync for Locked<T> {}

impl<T> Locked<T> {
    /// Puts a value behind a lock.
    pub const fn new(value: T) -> Self {
        Self { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> Locked<T> {
    /// Waits for the lock and hands out the value until the guard is dropped.
    ///
    /// Locking twice in one thread waits for ever.
    pub fn lock(&self) -> Guard<'_, T> {
        while self.held.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            while self.held.load(Ordering::Relaxed) {
                spin_loop();
            }
        }
        Guard { lock: self }
    }

    /// Opens the lock.
    ///
    /// # Safety
    ///
    /// The calling thread has locked it, and its guard was forgotten.
    pub unsafe fn unlock(&self) {
        self.held.store(false, Ordering::Release);
    }

    /// Hands out the value if nobody else has it just now.
    ///
    /// ```
    /// use kmem_platform::Locked;
    ///
    /// static COUNT: Locked<u32> = Locked::new(0);
    /// let first = COUNT.try_lock().expect("nobody else is here");
    /// assert!(COUNT.try_lock().is_none());
    /// drop(first);
    /// assert!(COUNT.try_lock().is_some());
    /// ```
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        let free = self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        free.is_ok().then(|| Guard { lock: self })
    }
}

impl<T: ?Sized> fmt::Debug for Locked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").field("held", &self.held.load(Ordering::Relaxed)).finish_non_exhaustive()
    }
}

/// The right to use the value of a [`Locked`]; dropping it unlocks.
pub struct Guard<'l, T: ?Sized> {
    lock: &'l Locked<T>,
}

// A guard stays with the thread that locked only as far as the value asks for it.
// SAFETY: sharing a guard shares the value, which `T: Sync` allows.
unsafe impl<T: ?Sized + Sync> Sync for Guard<'_, T> {}

impl<T: ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard holds the lock, so no other reference to the value exists.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard holds the lock and is borrowed mutably, so no other reference exists.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.held.store(false, Ordering::Release);
    }
}

impl<T: ?Sized> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

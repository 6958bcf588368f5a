//! Counting references, in one thread or in several.
//!
//! `super::atomic` is `core::sync::atomic`, but where `xtask/loom` compiles this file to try every
//! order in which threads can meet.

use core::cell::Cell as Var;

use super::atomic::{AtomicUsize, Ordering, fence};
use crate::Cond;
use crate::seeded::seeded;

/// How references are counted: [`Plain`] or [`Atomic`].
///
/// # Safety
///
/// It counts rightly, from every thread that can reach it.
pub unsafe trait Count: sealed::Sealed {
    #[doc(hidden)]
    fn new(count: usize) -> Self;
    #[doc(hidden)]
    fn get(&self) -> usize;
    /// Adds one unless the count is 0 or at its maximum; says what it was.
    #[doc(hidden)]
    fn up(&self) -> Result<usize, Cond>;
    /// Adds one unless the count is at its maximum, where the caller has a reference of this sort: it is not 0.
    #[doc(hidden)]
    fn up_held(&self) -> Result<(), Cond>;
    /// Takes one away; says whether it was the last, in which case all that others did is seen.
    #[doc(hidden)]
    fn down(&self) -> bool;
    /// The same of a reference that only references of its own sort can be made from by others: if the count is 1
    /// nobody else is there to change it, which needs no locked step, and it is left so.
    #[doc(hidden)]
    #[inline]
    fn down_alone(&self) -> bool {
        self.is_one() || self.down()
    }
    /// Whether the count is 1, in which case all that others did is seen.
    #[doc(hidden)]
    fn is_one(&self) -> bool;
    /// Makes 1 into 0 for a moment, so that nobody can count up meanwhile.
    #[doc(hidden)]
    fn close(&self) -> bool;
    #[doc(hidden)]
    fn open(&self);
}

/// Counts for one thread.
#[derive(Debug)]
pub struct Plain(Var<usize>);

/// Counts for several threads.
#[derive(Debug)]
pub struct Atomic(AtomicUsize);

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Plain {}
    impl Sealed for super::Atomic {}
}

/// Half the range, as in the standard library: what comes near it is a leak in a loop.
const MOST: usize = isize::MAX as usize;

// SAFETY: it is not `Sync`, so one thread at a time counts.
unsafe impl Count for Plain {
    #[inline]
    fn new(count: usize) -> Self {
        Self(Var::new(count))
    }

    #[inline]
    fn get(&self) -> usize {
        self.0.get()
    }

    #[inline]
    fn up(&self) -> Result<usize, Cond> {
        match self.0.get() {
            0 => Err(Cond::BadAddress),
            MOST.. => Err(Cond::TooMany),
            count => {
                self.0.set(count + 1);
                Ok(count)
            }
        }
    }

    #[inline]
    fn up_held(&self) -> Result<(), Cond> {
        let count = self.0.get();
        if count >= MOST {
            return Err(Cond::TooMany);
        }
        self.0.set(count + 1);
        Ok(())
    }

    #[inline]
    fn down(&self) -> bool {
        self.0.set(self.0.get() - 1);
        self.0.get() == 0
    }

    #[inline]
    fn is_one(&self) -> bool {
        self.0.get() == 1
    }

    fn close(&self) -> bool {
        self.0.get() == 1
    }

    fn open(&self) {}
}

// SAFETY: every change is one atomic step, and the last `down` sees what came before the others.
unsafe impl Count for Atomic {
    #[inline]
    fn new(count: usize) -> Self {
        Self(AtomicUsize::new(count))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    fn up(&self) -> Result<usize, Cond> {
        let mut count = self.0.load(Ordering::Relaxed);
        loop {
            match count {
                0 if !seeded("dropped_value_comes_back") => return Err(Cond::BadAddress),
                MOST.. => return Err(Cond::TooMany),
                _ => {}
            }
            // Acquire: who goes from weak to strong must see the value as it is.
            match self.0.compare_exchange_weak(count, count + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(count),
                Err(now) => count = now,
            }
        }
    }

    #[inline]
    fn up_held(&self) -> Result<(), Cond> {
        // Relaxed: the caller sees already what a new owner must see. The other half of the range is more than enough
        // for the threads that are between the two steps.
        if self.0.fetch_add(1, Ordering::Relaxed) >= MOST {
            self.0.fetch_sub(1, Ordering::Relaxed);
            return Err(Cond::TooMany);
        }
        Ok(())
    }

    #[inline]
    fn down(&self) -> bool {
        // Release: what this owner did comes before; acquire: for the last, so do the others' doings.
        let order = if seeded("last_owner_does_not_look") { Ordering::Relaxed } else { Ordering::Release };
        if self.0.fetch_sub(1, order) != 1 {
            return false;
        }
        if cfg!(kmem_tsan) {
            // ThreadSanitizer does not know fences.
            self.0.load(Ordering::Acquire);
        } else {
            fence(Ordering::Acquire);
        }
        true
    }

    #[inline]
    fn is_one(&self) -> bool {
        self.0.load(Ordering::Acquire) == 1
    }

    fn close(&self) -> bool {
        self.0.compare_exchange(1, 0, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    fn open(&self) {
        self.0.store(1, Ordering::Release);
    }
}

//! A platform and a source that refuse the call that they are told to refuse.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use kmem::{Cond, Grant, Source};

/// Which calls are refused.
#[derive(Default)]
pub struct Fault {
    calls: Cell<usize>,
    hits: Cell<usize>,
    /// The number of the call that is refused; 0 for none.
    at: Cell<usize>,
    /// Whether all calls after it are refused too.
    lasting: Cell<bool>,
}

impl Fault {
    /// Refuses one call, or it and all later ones.
    pub fn new(at: usize, lasting: bool) -> Self {
        Self { calls: Cell::new(0), hits: Cell::new(0), at: Cell::new(at), lasting: Cell::new(lasting) }
    }

    /// From now on nothing is refused.
    pub fn heal(&self) {
        self.at.set(0);
    }

    /// After some more calls everything is refused.
    pub fn break_after(&self, calls: usize) {
        self.at.set(self.calls.get() + 1 + calls);
        self.lasting.set(true);
    }

    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    /// How many calls were refused.
    pub fn hits(&self) -> usize {
        self.hits.get()
    }

    /// Counts a call; says whether it is one that is refused.
    fn call(&self) -> bool {
        let call = self.calls.get() + 1;
        self.calls.set(call);
        let at = self.at.get();
        let refuse = at != 0 && (call == at || (call > at && self.lasting.get()));
        self.hits.set(self.hits.get() + usize::from(refuse));
        refuse
    }

    /// Room can be refused in more than one way.
    fn refusal(&self) -> Cond {
        if self.at.get().is_multiple_of(2) { Cond::NoRoom } else { Cond::TooMany }
    }
}

/// A source that refuses.
pub struct FaultySource<S> {
    pub below: S,
    pub fault: Fault,
    /// Whether it says how much there is.
    pub bounded: bool,
}

// SAFETY: the blocks are those of the source below.
unsafe impl<S: Source> Source for FaultySource<S> {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        if self.fault.call() { Err(self.fault.refusal()) } else { self.below.alloc(layout) }
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        if self.fault.call() { Err(self.fault.refusal()) } else { self.below.grant(layout) }
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        if self.fault.call() {
            return Err(Cond::NoRoom);
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { self.below.free(block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        if self.fault.call() {
            return Err(self.fault.refusal());
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { self.below.resize(block, old, new) }
    }

    fn largest(&self) -> Option<usize> {
        if self.bounded { self.below.largest() } else { None }
    }
}

#[cfg(feature = "platform")]
pub use platform::Faulty;

#[cfg(feature = "platform")]
mod platform {
    use super::*;
    use kmem::platform::{Platform, Run, Unmapped};

    /// A platform that refuses, and counts the bytes that are mapped, in whole pages.
    pub struct Faulty<P> {
        pub below: P,
        pub fault: Fault,
        mapped: Cell<usize>,
        stranded: Cell<usize>,
    }

    impl<P: Platform> Faulty<P> {
        pub fn new(below: P, fault: Fault) -> Self {
            Self { below, fault, mapped: Cell::new(0), stranded: Cell::new(0) }
        }

        pub fn mapped(&self) -> usize {
            self.mapped.get()
        }

        /// Bytes of runs that were mapped to be cut to an alignment, of which neither a part nor the whole was then
        /// taken back: nobody but the platform knows of them.
        pub fn stranded(&self) -> usize {
            self.stranded.get()
        }

        fn count(&self, more: usize, less: usize) {
            let page = self.below.page_size();
            self.mapped.set(self.mapped.get() + more - less.next_multiple_of(page));
        }
    }

    /// The same platform, which aligns as every platform does that does not know better.
    struct Trimming<'p, P>(&'p Faulty<P>);

    // SAFETY: the pages are those of the platform inside.
    unsafe impl<P: Platform> Platform for Trimming<'_, P> {
        fn page_size(&self) -> usize {
            self.0.page_size()
        }

        fn map(&self, len: usize) -> Result<Run, Cond> {
            self.0.map(len)
        }

        unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
            // SAFETY: the caller's promise, passed on.
            unsafe { self.0.unmap(start, len) }
        }
    }

    // SAFETY: the pages are those of the platform below.
    unsafe impl<P: Platform> Platform for Faulty<P> {
        fn page_size(&self) -> usize {
            self.below.page_size()
        }

        fn map(&self, len: usize) -> Result<Run, Cond> {
            if self.fault.call() {
                return Err(self.fault.refusal());
            }
            self.below.map(len).inspect(|run| self.count(run.len, 0))
        }

        fn map_aligned(&self, len: usize, align: usize) -> Result<Run, Cond> {
            let before = self.mapped();
            Trimming(self).map_aligned(len, align).inspect_err(|_| {
                self.stranded.set(self.stranded.get() + self.mapped() - before);
            })
        }

        unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
            if self.fault.call() {
                return Err(Cond::NoRoom);
            }
            // SAFETY: the caller's promise, passed on.
            unsafe { self.below.unmap(start, len) }.inspect(|_| self.count(0, len))
        }

        unsafe fn remap(&self, start: NonNull<u8>, old: usize, new: usize) -> Result<Run, Cond> {
            if self.fault.call() {
                return Err(self.fault.refusal());
            }
            // SAFETY: the caller's promise, passed on.
            unsafe { self.below.remap(start, old, new) }.inspect(|run| self.count(run.len, old))
        }
    }
}

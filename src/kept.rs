//! Pages that came back and are kept for who asks next.
//!
//! ```text
//!  oldest                          newest
//! ┌───────┬───────┬───────┬───────┐
//! │ 1 MiB │ 4 MiB │ 4 MiB │ 4 KiB │ ◄── comes back
//! └───────┴───────┴───────┴───────┘
//!     │ over the limit                handed out again: the newest of the length asked for,
//!     ▼                               else the shortest that is at most twice as long, cut
//!  the system
//! ```
//!
//! The row is a table of its own, so that what is kept is not touched, and a checker of memory can hide all of it.
//!
//! Invariants: the runs in the table belong to it alone, and do not overlap; `bytes` is their sum, and no more than the
//! limit, but for what the system refused to take.

use core::ptr::NonNull;

use kmem_platform::{Native, Platform, Run, Unmapped};

use crate::Cond;
#[cfg(unix)]
use crate::seeded::seeded;

#[cfg(unix)]
use shelf::SHELF;

/// The machine's pages, of which some that came back are kept for the process: what [`Pages`](crate::Pages) takes by
/// default.
///
/// A mapping costs two system calls, and its pages are cleared when they are first touched, which costs more than most
/// programs do with them. So a store that ends leaves its pages to the next, up to a [`limit`](Self::limit) for the
/// whole process: 64 MiB, unless it is [set](Self::set_limit). Over it, what came back first goes to the system first;
/// all of it goes when it is [asked for](Self::purge), and when the system has no more to give. What is handed out
/// again is not called zero. Nobody waits for the lock in [`map`](Platform::map) and [`unmap`](Platform::unmap): who
/// finds another thread at it, or in a forked child the lock of a thread that is no more, goes to the system. What asks
/// and sets here does wait, so a child that was forked beside other threads had better not.
///
/// What a store wipes, it wipes before its pages come here; what it does not, stays in them until they are used again.
/// `Pages::over(Native)` gives all back at once. [`Protected`](crate::Protected) memory is never kept. In WebAssembly
/// nothing can be given back: all that comes back is kept, without a limit, and neighbours are merged.
///
/// ```
/// use kmem::platform::Platform;
/// use kmem::{Kept, Lin, Pages};
///
/// let page = Kept.page_size();
/// let lin = Lin::new_in(Pages::new());
/// lin.put(7)?;
/// drop(lin);
/// assert!(Kept.bytes() >= page);              // for the next
/// # #[cfg(unix)] {
/// Kept.purge();
/// assert_eq!(Kept.bytes(), 0);
/// # }
/// # Ok::<(), kmem::Cond>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept;

impl Kept {
    /// Bytes that are kept now.
    ///
    /// ```
    /// use kmem::Kept;
    ///
    /// assert!(Kept.bytes() <= Kept.limit());
    /// ```
    #[must_use]
    pub fn bytes(self) -> usize {
        shelf::bytes()
    }

    /// How many runs of pages are kept now.
    ///
    /// ```
    /// use kmem::Kept;
    ///
    /// Kept.purge();
    /// assert_eq!(Kept.runs(), 0);
    /// ```
    #[must_use]
    pub fn runs(self) -> usize {
        shelf::runs()
    }

    /// The most bytes that are kept.
    ///
    /// ```
    /// assert_eq!(kmem::Kept.limit(), 64 << 20);
    /// ```
    #[must_use]
    pub fn limit(self) -> usize {
        shelf::limit()
    }

    /// Sets the most bytes that are kept, from now on and in all threads; 0 keeps nothing. What is over it goes to the
    /// system.
    ///
    /// ```
    /// use kmem::{Kept, Lin, Pages};
    ///
    /// Kept.set_limit(0);
    /// let lin = Lin::new_in(Pages::new());
    /// lin.put(7)?;
    /// drop(lin);
    /// assert_eq!(Kept.bytes(), 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn set_limit(self, bytes: usize) {
        shelf::set_limit(bytes);
    }

    /// Gives everything that is kept to the system, and says how many bytes that were.
    ///
    /// ```
    /// use kmem::{Heap, Kept, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// heap.alloc(core::alloc::Layout::new::<[u8; 100_000]>())?;
    /// drop(heap);
    /// assert!(Kept.purge() >= 100_000);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn purge(self) -> usize {
        shelf::purge()
    }
}

// SAFETY: what is handed out is the system's answer, or a run that came back and was in the table until now.
#[cfg(unix)]
unsafe impl Platform for Kept {
    fn page_size(&self) -> usize {
        Native.page_size()
    }

    fn map(&self, len: usize) -> Result<Run, Cond> {
        self.map_aligned(len, 1)
    }

    fn map_aligned(&self, len: usize, align: usize) -> Result<Run, Cond> {
        if let Some(whole) = len.checked_next_multiple_of(self.page_size())
            && let Some(mut shelf) = SHELF.try_lock()
            && let Some(start) = shelf.take(whole, align)
        {
            return Ok(Run { start, len: whole, zeroed: seeded("kept_pages_pass_for_zero") });
        }
        let run = match Native.map_aligned(len, align) {
            Err(Cond::NoRoom | Cond::TooMany | Cond::BadLock) if shelf::make_room() => {
                Native.map_aligned(len, align)?
            }
            answer => answer?,
        };
        shelf::enlarge(run);
        Ok(run)
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
        let whole = len != 0 && (start.addr().get() | len) & (self.page_size() - 1) == 0;
        if whole
            && let Some(mut shelf) = SHELF.try_lock()
            // SAFETY: the caller's promise: whole pages that came from here, used no more.
            && unsafe { shelf.put(start, len, &Native) }
        {
            return Ok(Unmapped::Kept);
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { Native.unmap(start, len) }
    }

    unsafe fn remap(&self, start: NonNull<u8>, old: usize, new: usize) -> Result<Run, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Native.remap(start, old, new) }
    }
}

// SAFETY: the pages are the platform's.
#[cfg(not(unix))]
unsafe impl Platform for Kept {
    #[inline]
    fn page_size(&self) -> usize {
        Native.page_size()
    }

    #[inline]
    fn map(&self, len: usize) -> Result<Run, Cond> {
        Native.map(len)
    }

    #[inline]
    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Native.unmap(start, len) }
    }
}

/// Nothing can be given back here: the platform itself keeps it.
#[cfg(not(unix))]
mod shelf {
    use kmem_platform::Native;

    pub(super) fn bytes() -> usize {
        Native.kept()
    }

    pub(super) fn runs() -> usize {
        Native.runs()
    }

    pub(super) const fn limit() -> usize {
        usize::MAX
    }

    pub(super) const fn set_limit(_: usize) {}

    pub(super) const fn purge() -> usize {
        0
    }
}

#[cfg(unix)]
mod shelf {
    use core::ptr::NonNull;

    use kmem_platform::{Advice, Locked, Native, Platform, Protect, Run};

    use crate::poison::{hide, show};

    /// The most runs that are kept.
    const RUNS: usize = 512;
    /// The most bytes that are kept, unless it is said otherwise.
    const LIMIT: usize = 64 << 20;
    /// A large page of the machines at hand. Where it is another, the advice is of less use, but not wrong.
    const LARGE: usize = 2 << 20;

    pub(super) static SHELF: Locked<Shelf> = Locked::new(Shelf::new(LIMIT));

    pub(super) fn bytes() -> usize {
        SHELF.lock().bytes
    }

    pub(super) fn runs() -> usize {
        SHELF.lock().runs
    }

    pub(super) fn limit() -> usize {
        SHELF.lock().limit
    }

    pub(super) fn set_limit(bytes: usize) {
        SHELF.lock().set_limit(bytes, &Native);
    }

    pub(super) fn purge() -> usize {
        SHELF.lock().shrink(0, &Native)
    }

    /// Gives all that is kept back, if no other thread is at it; whether that was anything.
    #[cold]
    pub(super) fn make_room() -> bool {
        SHELF.try_lock().is_some_and(|mut shelf| shelf.shrink(0, &Native) > 0)
    }

    /// Asks for large pages under a run that is made of whole ones: it is then cleared in fewer steps when it is
    /// first touched, and its addresses are found faster.
    pub(super) fn enlarge(run: Run) {
        if run.len.is_multiple_of(LARGE) {
            // A system that has none serves as well with small ones.
            // SAFETY: the run was just mapped, and is ours.
            let _ = unsafe { Native.advise(run.start, run.len, Advice::HugePage) };
        }
    }

    #[derive(Clone, Copy)]
    struct Slot {
        start: NonNull<u8>,
        len: usize,
    }

    /// The runs that are kept, the oldest first.
    pub(super) struct Shelf {
        slots: [Slot; RUNS],
        runs: usize,
        bytes: usize,
        limit: usize,
    }

    // SAFETY: the runs belong to the table alone, whichever thread has it.
    unsafe impl Send for Shelf {}

    impl Shelf {
        const fn new(limit: usize) -> Self {
            Self { slots: [Slot { start: NonNull::dangling(), len: 0 }; RUNS], runs: 0, bytes: 0, limit }
        }

        pub(super) fn set_limit<P: Platform>(&mut self, limit: usize, platform: &P) {
            self.limit = limit;
            self.shrink(limit, platform);
        }

        /// Takes out `len` bytes of pages that begin at a multiple of `align`, their contents whatever was left there.
        pub(super) fn take(&mut self, len: usize, align: usize) -> Option<NonNull<u8>> {
            let mut best: Option<usize> = None;
            for (at, slot) in self.slots[..self.runs].iter().enumerate().rev() {
                // What is left of a longer one would be kept for nobody.
                let fits = slot.len >= len && slot.len / 2 <= len && slot.start.addr().get() & (align - 1) == 0;
                if fits && best.is_none_or(|best| slot.len < self.slots[best].len) {
                    best = Some(at);
                    if slot.len == len {
                        break;
                    }
                }
            }
            let at = best?;
            let Slot { start, len: whole } = self.slots[at];
            if whole > len {
                // SAFETY: the run is longer than `len`.
                self.slots[at] = Slot { start: unsafe { start.add(len) }, len: whole - len };
            } else {
                self.remove(at);
            }
            self.bytes -= len;
            show(start, len);
            Some(start)
        }

        /// Takes a run in, unless it is over the limit by itself; the oldest make place for it.
        ///
        /// # Safety
        ///
        /// If it is taken, it is whole pages of the platform, belongs to the caller, and nothing uses it any more.
        pub(super) unsafe fn put<P: Platform>(&mut self, start: NonNull<u8>, len: usize, platform: &P) -> bool {
            let Some(left) = self.limit.checked_sub(len) else { return false };
            while self.bytes > left || self.runs == RUNS {
                if !self.drop_oldest(platform) {
                    return false;
                }
            }
            self.slots[self.runs] = Slot { start, len };
            self.runs += 1;
            self.bytes += len;
            hide(start, len);
            true
        }

        /// Gives the oldest back until no more than so many bytes are left, and says how many went.
        pub(super) fn shrink<P: Platform>(&mut self, bytes: usize, platform: &P) -> usize {
            let before = self.bytes;
            let mut at = 0;
            while self.bytes > bytes && at < self.runs {
                if !self.drop_run(at, platform) {
                    at += 1;
                }
            }
            before - self.bytes
        }

        /// Gives the oldest run that the system takes to it.
        fn drop_oldest<P: Platform>(&mut self, platform: &P) -> bool {
            (0..self.runs).any(|at| self.drop_run(at, platform))
        }

        /// Gives a run to the system; one that it refuses stays.
        fn drop_run<P: Platform>(&mut self, at: usize, platform: &P) -> bool {
            let Slot { start, len } = self.slots[at];
            show(start, len);
            // SAFETY: the run is the table's, and nothing uses it.
            if unsafe { platform.unmap(start, len) }.is_err() {
                hide(start, len);
                return false;
            }
            self.remove(at);
            self.bytes -= len;
            true
        }

        fn remove(&mut self, at: usize) {
            self.slots.copy_within(at + 1..self.runs, at);
            self.runs -= 1;
        }
    }

    #[cfg(test)]
    mod tests {
        use std::vec::Vec;

        use kmem_platform::{Counted, Unmapped};

        use super::*;
        use crate::{Cond, Kept};

        fn page() -> usize {
            Native.page_size()
        }

        /// Refuses to take pages back.
        struct Refusing(Native);

        // SAFETY: the pages are those of the platform inside.
        unsafe impl Platform for Refusing {
            fn page_size(&self) -> usize {
                self.0.page_size()
            }

            fn map(&self, len: usize) -> Result<Run, Cond> {
                self.0.map(len)
            }

            unsafe fn unmap(&self, _: NonNull<u8>, _: usize) -> Result<Unmapped, Cond> {
                Err(Cond::NoRoom)
            }
        }

        fn fill(shelf: &mut Shelf, platform: &impl Platform, pages: &[usize]) -> Vec<NonNull<u8>> {
            let put = |pages: &usize| {
                let run = platform.map(pages * page()).expect("pages");
                // SAFETY: the run is ours and unused.
                assert!(unsafe { shelf.put(run.start, run.len, platform) });
                run.start
            };
            pages.iter().map(put).collect()
        }

        #[test]
        fn the_newest_comes_first_and_the_oldest_goes_first() {
            let platform = Counted::new(Native);
            let mut shelf = Shelf::new(10 * page());
            let runs = fill(&mut shelf, &platform, &[4, 2, 2, 2]);
            assert_eq!((shelf.bytes, shelf.runs, platform.mapped()), (10 * page(), 4, 10 * page()));
            assert_eq!(shelf.take(2 * page(), 1), Some(runs[3]));
            // SAFETY: just taken out, and unused.
            assert!(unsafe { shelf.put(runs[3], 2 * page(), &platform) });
            fill(&mut shelf, &platform, &[1]);
            assert_eq!((shelf.bytes, platform.mapped()), (7 * page(), 7 * page()), "the four pages went");
            assert_eq!(shelf.take(4 * page(), 1), None);
            assert_eq!(shelf.shrink(0, &platform), 7 * page());
            assert_eq!((shelf.bytes, shelf.runs, platform.mapped()), (0, 0, 0));
        }

        #[test]
        fn a_run_is_cut_if_half_of_it_is_used() {
            let platform = Counted::new(Native);
            let mut shelf = Shelf::new(100 * page());
            let runs = fill(&mut shelf, &platform, &[8, 5]);
            assert_eq!(shelf.take(2 * page(), 1), None, "less than half of either");
            assert_eq!(shelf.take(4 * page(), 1), Some(runs[1]), "the shorter one");
            assert_eq!((shelf.bytes, shelf.runs), (9 * page(), 2));
            assert_eq!(shelf.take(page(), 1).map(|run| run.addr().get()), Some(runs[1].addr().get() + 4 * page()));
            assert_eq!(shelf.take(8 * page(), 1 << 46), None, "not so aligned");
            assert_eq!(shelf.take(8 * page(), 1), Some(runs[0]));
            assert_eq!((shelf.bytes, shelf.runs), (0, 0));
        }

        /// Refuses to take one run back.
        struct RefusingOne(NonNull<u8>);

        // SAFETY: the pages are the system's.
        unsafe impl Platform for RefusingOne {
            fn page_size(&self) -> usize {
                Native.page_size()
            }

            fn map(&self, len: usize) -> Result<Run, Cond> {
                Native.map(len)
            }

            unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
                // SAFETY: the caller's promise, passed on.
                if start == self.0 { Err(Cond::NoRoom) } else { unsafe { Native.unmap(start, len) } }
            }
        }

        #[test]
        fn a_run_that_the_system_refuses_keeps_no_other() {
            let mut shelf = Shelf::new(10 * page());
            let runs = fill(&mut shelf, &Native, &[4, 2, 2]);
            let platform = RefusingOne(runs[0]);
            fill(&mut shelf, &platform, &[3]);
            assert_eq!((shelf.bytes, shelf.runs), (9 * page(), 3), "the second oldest went");
            assert_eq!((shelf.shrink(0, &platform), shelf.bytes), (5 * page(), 4 * page()));
            assert_eq!(shelf.shrink(0, &Native), 4 * page());
        }

        #[test]
        fn no_more_is_kept_than_was_said() {
            let platform = Counted::new(Native);
            let mut shelf = Shelf::new(10 * page());
            let run = platform.map(11 * page()).expect("pages");
            // SAFETY: the run is ours and unused.
            assert!(!unsafe { shelf.put(run.start, run.len, &platform) }, "it stays the caller's");
            fill(&mut shelf, &platform, &[3, 3, 3]);
            shelf.set_limit(6 * page(), &platform);
            assert_eq!((shelf.bytes, shelf.limit), (6 * page(), 6 * page()));
            shelf.set_limit(usize::MAX, &platform);
            fill(&mut shelf, &platform, &[1; RUNS]);
            assert_eq!((shelf.bytes, shelf.runs), (RUNS * page(), RUNS), "and no more runs than there are places");
        }

        #[test]
        fn what_the_system_refuses_stays() {
            let platform = Refusing(Native);
            let mut shelf = Shelf::new(4 * page());
            let runs = fill(&mut shelf, &platform, &[4]);
            let more = platform.map(page()).expect("a page");
            // SAFETY: the run is ours and unused.
            assert!(!unsafe { shelf.put(more.start, more.len, &platform) }, "there is no place");
            assert_eq!((shelf.shrink(0, &platform), shelf.bytes), (0, 4 * page()));
            assert_eq!(shelf.take(4 * page(), 1), Some(runs[0]));
        }

        /// Against a row of runs in a vector: the naive model.
        #[test]
        fn what_is_kept_is_what_the_model_keeps() {
            let platform = Counted::new(Native);
            let mut shelf = Shelf::new(64 * page());
            let (mut kept, mut held): (Vec<(usize, usize)>, Vec<Run>) = (Vec::new(), Vec::new());
            let mut random = 1_u32;
            let mut next = |below: usize| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 8) as usize % below
            };
            for _ in 0..20_000 {
                let total: usize = kept.iter().map(|run| run.1).sum();
                if held.len() > next(40) {
                    let run = held.swap_remove(next(held.len()));
                    // SAFETY: the run is ours and used no more.
                    assert!(unsafe { shelf.put(run.start, run.len, &platform) });
                    kept.push((run.start.addr().get(), run.len));
                    let mut over = (total + run.len).saturating_sub(64 * page());
                    let mut left = kept.len();
                    kept.retain(|run| {
                        let goes = over > 0 || left > RUNS;
                        if goes {
                            over = over.saturating_sub(run.1);
                            left -= 1;
                        }
                        !goes
                    });
                } else {
                    let len = (1 + next(12)) * page();
                    let fits = |run: &&(usize, usize)| run.1 >= len && run.1 <= 2 * len + 1;
                    let best = kept.iter().rev().filter(fits).map(|run| run.1).min();
                    let start = match shelf.take(len, 1) {
                        None => {
                            assert_eq!(best, None);
                            platform.map(len).expect("pages").start
                        }
                        Some(start) => {
                            let at = kept.iter().rposition(|run| Some(run.1) == best).expect("the model has one");
                            assert_eq!(kept[at].0, start.addr().get());
                            kept[at] = (kept[at].0 + len, kept[at].1 - len);
                            kept.retain(|run| run.1 > 0);
                            start
                        }
                    };
                    held.push(Run { start, len, zeroed: false });
                }
                let total: usize = kept.iter().map(|run| run.1).sum();
                assert_eq!((shelf.bytes, shelf.runs), (total, kept.len()));
                assert_eq!(platform.mapped(), total + held.iter().map(|run| run.len).sum::<usize>());
            }
        }

        /// As in a forked child, whose parent had a thread that was at it.
        #[test]
        fn nobody_waits_for_the_lock() {
            let shelf = SHELF.lock();
            let run = Kept.map(3 * page()).expect("pages");
            assert!(run.zeroed);
            // SAFETY: the run is ours and unused.
            assert_eq!(unsafe { Kept.unmap(run.start, run.len) }, Ok(Unmapped::Returned));
            assert!(!make_room());
            drop(shelf);
        }
    }
}

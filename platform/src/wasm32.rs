//! WebAssembly: pages come from `memory.grow` and cannot be given back.
//!
//! Fresh pages are zero. What comes back goes to the [`Recycler`] and is handed out again before the
//! memory grows; it is then no longer zero. Other code in the module may grow the memory in between,
//! so two grows are never taken to be adjacent: the recycler sees by address whether they are.
//!
//! The same holds in a memory that threads share: `memory.grow` is one step for all of them, so each gets
//! pages of its own, and the recycler is behind a lock that spins, since a page's main thread may not wait.

use core::arch::wasm32::{memory_grow, memory_size};
use core::ptr::{self, NonNull};

use crate::contract::{Platform, Run, Unmapped, whole_pages};
use crate::{Cond, Locked, Recycler};

/// The module's linear memory.
#[derive(Clone, Copy, Debug, Default)]
pub struct Native;

/// Fixed by WebAssembly.
const PAGE: usize = 65536;

/// One for the module, since the memory is one.
static FREE: Locked<Recycler> = Locked::new(Recycler::new());

impl Native {
    /// Bytes that came back and are kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        FREE.lock().kept()
    }

    /// How many separate runs are kept.
    #[must_use]
    pub fn runs(&self) -> usize {
        FREE.lock().runs()
    }
}

fn grow(len: usize) -> Option<NonNull<u8>> {
    let before = memory_grow::<0>(len / PAGE);
    if before == usize::MAX {
        return None;
    }
    let start = before * PAGE;
    // The last page of a full 4 GiB memory ends at address 2^32, which no pointer can say: such a
    // run is left unused. It is at most one run in the life of the memory.
    start.checked_add(len)?;
    // Linear memory has no owner to derive a pointer from; this is where such pointers are made.
    NonNull::new(ptr::with_exposed_provenance_mut(start))
}

// SAFETY: grown pages are new to the module; recycled pages were given back by their owner.
unsafe impl Platform for Native {
    #[inline]
    fn page_size(&self) -> usize {
        PAGE
    }

    fn map(&self, len: usize) -> Result<Run, Cond> {
        self.map_aligned(len, PAGE)
    }

    /// What memory grows by before the first such address is kept for who asks for less.
    fn map_aligned(&self, len: usize, align: usize) -> Result<Run, Cond> {
        let len = whole_pages(len, PAGE)?;
        let align = align.max(PAGE);
        if let Some(start) = FREE.lock().take_aligned(len, align) {
            return Ok(Run { start, len, zeroed: false });
        }
        loop {
            // Of all 4 GiB the end is 0.
            let gap = memory_size::<0>().wrapping_mul(PAGE).wrapping_neg() & (align - 1);
            let start = grow(len.checked_add(gap).ok_or(Cond::BadSize)?).ok_or(Cond::NoRoom)?;
            if (start.addr().get() + gap).is_multiple_of(align) {
                if gap > 0 {
                    // SAFETY: the pages were just grown, and nobody else has them.
                    unsafe { FREE.lock().give(start, gap) };
                }
                // SAFETY: inside what was grown.
                return Ok(Run { start: unsafe { start.add(gap) }, len, zeroed: true });
            }
            // Another thread grew the memory just before.
            // SAFETY: as above.
            unsafe { FREE.lock().give(start, len + gap) };
        }
    }

    /// Where it is: it can become shorter, and longer if the pages behind are kept, or are the next that memory grows by.
    unsafe fn remap(&self, start: NonNull<u8>, old: usize, new: usize) -> Result<Run, Cond> {
        let (old, len) = (whole_pages(old, PAGE)?, whole_pages(new, PAGE)?);
        if len < old {
            // SAFETY: inside the run.
            let rest = unsafe { start.add(len) };
            // SAFETY: whole pages of the run, which are used no more.
            unsafe { FREE.lock().give(rest, old - len) };
        } else if len > old {
            let more = len - old;
            // SAFETY: the end of the run.
            let end = unsafe { start.add(old) };
            if FREE.lock().take_at(end, more) {
                // They hold what was left there.
            } else if memory_size::<0>().wrapping_mul(PAGE) != end.addr().get() {
                return Err(Cond::NoRoom);
            } else {
                let grown = grow(more).ok_or(Cond::NoRoom)?;
                if grown != end {
                    // Another thread grew the memory just before.
                    // SAFETY: the pages were just grown, and nobody else has them.
                    unsafe { FREE.lock().give(grown, more) };
                    return Err(Cond::NoRoom);
                }
            }
        }
        Ok(Run { start, len, zeroed: false })
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
        let len = whole_pages(len, PAGE)?;
        if !start.as_ptr().addr().is_multiple_of(PAGE) {
            return Err(Cond::BadAddress);
        }
        // SAFETY: the caller owns these whole pages and uses them no more; linear memory is one object.
        unsafe { FREE.lock().give(start, len) };
        Ok(Unmapped::Kept)
    }
}

/// `memory.grow` and nothing else, without the recycler: for stores that live as long as their module, where a few
/// hundred bytes of code count.
///
/// What is given back is refused with `in_use`, and so stays with the store that has it, which uses it again.
///
/// ```
/// use kmem_platform::{Cond, Grown, Platform};
///
/// let run = Grown.map(1)?;
/// assert!(run.zeroed);
/// // SAFETY: the run is ours and used no more.
/// assert_eq!(unsafe { Grown.unmap(run.start, run.len) }, Err(Cond::InUse));
/// # Ok::<(), Cond>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Grown;

// SAFETY: grown pages are new to the module, and nothing takes them back.
unsafe impl Platform for Grown {
    #[inline]
    fn page_size(&self) -> usize {
        PAGE
    }

    #[inline]
    fn map(&self, len: usize) -> Result<Run, Cond> {
        let len = whole_pages(len, PAGE)?;
        let start = grow(len).ok_or(Cond::NoRoom)?;
        Ok(Run { start, len, zeroed: true })
    }

    /// What lies before and after is lost, since nothing can be given back.
    fn map_aligned(&self, len: usize, align: usize) -> Result<Run, Cond> {
        if align <= PAGE {
            return self.map(len);
        }
        let len = whole_pages(len, PAGE)?;
        let run = self.map(len.checked_add(align).ok_or(Cond::BadSize)?)?;
        let before = run.start.addr().get().wrapping_neg() & (align - 1);
        // SAFETY: less than `align` before so many bytes that are in the run.
        Ok(Run { start: unsafe { run.start.add(before) }, len, zeroed: true })
    }

    #[inline]
    unsafe fn unmap(&self, _: NonNull<u8>, _: usize) -> Result<Unmapped, Cond> {
        Err(Cond::InUse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test]
    fn returned_pages_are_handed_out_again_and_are_not_called_zero() {
        let first = Native.map(4 * PAGE).expect("room");
        // SAFETY: the run is ours.
        unsafe { first.start.write(7) };
        // SAFETY: the run is ours and used no more.
        assert_eq!(unsafe { Native.unmap(first.start, first.len) }, Ok(Unmapped::Kept));
        assert!(Native.kept() >= 4 * PAGE && Native.runs() >= 1);
        let size = memory_size::<0>();
        let again = Native.map(PAGE).expect("room");
        assert!(!again.zeroed);
        assert_eq!(memory_size::<0>(), size, "memory grew although pages were kept");
        // SAFETY: the run is ours and used no more.
        assert_eq!(unsafe { Native.unmap(again.start, again.len) }, Ok(Unmapped::Kept));
    }

    #[wasm_bindgen_test]
    fn grown_pages_are_new_each_time_and_stay() {
        let first = Grown.map(1).expect("room");
        let second = Grown.map(2 * PAGE).expect("room");
        assert_eq!((first.len, first.zeroed, second.len), (PAGE, true, 2 * PAGE));
        // SAFETY: the run is ours and used no more.
        assert_eq!(unsafe { Grown.unmap(first.start, first.len) }, Err(Cond::InUse));
        assert!(Grown.map(PAGE).expect("room").start > second.start);
        assert_eq!((Grown.map(0), Grown.map(usize::MAX)), (Err(Cond::BadSize), Err(Cond::BadSize)));
        let aligned = Grown.map_aligned(PAGE, 4 * PAGE).expect("room");
        assert_eq!((aligned.start.addr().get() % (4 * PAGE), aligned.len, aligned.zeroed), (0, PAGE, true));
    }

    #[wasm_bindgen_test]
    fn pages_that_others_grew_in_between_are_left_alone() {
        let first = Native.map(PAGE).expect("room");
        let theirs = memory_grow::<0>(1) * PAGE;
        let second = Native.map(PAGE).expect("room");
        assert!(second.start.as_ptr().addr() != theirs);
        // SAFETY: both runs are ours and used no more.
        assert_eq!(unsafe { Native.unmap(first.start, PAGE) }, Ok(Unmapped::Kept));
        // SAFETY: both runs are ours and used no more.
        assert_eq!(unsafe { Native.unmap(second.start, PAGE) }, Ok(Unmapped::Kept));
        let both = Native.map(2 * PAGE).expect("room");
        let start = both.start.as_ptr().addr();
        assert!(theirs < start || theirs >= start + both.len, "a foreign page was handed out");
        // SAFETY: the run is ours and used no more.
        assert_eq!(unsafe { Native.unmap(both.start, both.len) }, Ok(Unmapped::Kept));
    }

    #[wasm_bindgen_test]
    fn a_memory_that_refuses_to_grow_is_as_it_was() {
        let size = memory_size::<0>();
        assert_eq!(grow(65535 * PAGE), None, "all but one of the pages that there can be, beside those that are");
        assert_eq!(memory_size::<0>(), size);
    }

    #[wasm_bindgen_test]
    fn what_is_no_page_is_not_taken_back() {
        let run = Native.map(2 * PAGE).expect("room");
        // SAFETY: inside the run.
        let inside = unsafe { run.start.add(16) };
        // SAFETY: refused before anything is done.
        assert_eq!(unsafe { Native.unmap(inside, PAGE) }, Err(Cond::BadAddress));
        // SAFETY: the run is ours and used no more.
        assert_eq!(unsafe { Native.unmap(run.start, run.len) }, Ok(Unmapped::Kept));
    }
}

//! Bytes that the caller owns, as a source: no platform is needed for what is built on them.

use core::alloc::Layout;
use core::cell::{Cell as Var, UnsafeCell};
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::{Cond, Source};

/// A block in `len` bytes of which `used` are handed out: where it begins and where it ends.
fn place(base: usize, len: usize, used: usize, layout: Layout) -> Result<(usize, usize), Cond> {
    let align = layout.align();
    let pad = (base + used).wrapping_neg() & (align - 1);
    let start = used + pad;
    let end = start.checked_add(layout.size().max(1)).ok_or(Cond::BadSize)?;
    if end > len { Err(Cond::NoRoom) } else { Ok((start, end)) }
}

/// The caller's bytes: a stack array, a field, a piece of something larger.
///
/// Blocks are handed out one after the other. The newest can be given back, grown and shrunk in
/// place; the room of an older one comes back when all have gone, so this is a source for a few large
/// blocks: put a store on it. Stores made by their `fixed` constructors stand on one.
///
/// ```
/// use core::mem::MaybeUninit;
/// use kmem::{Fixed, Pool};
/// use core::alloc::Layout;
///
/// let mut bytes = [MaybeUninit::uninit(); 1024];
/// let pool = Pool::fixed(Layout::new::<[u8; 64]>(), &mut bytes);
/// let cell = pool.alloc()?;
/// # Ok::<(), kmem::Cond>(())
/// ```
pub struct Fixed<'a> {
    base: NonNull<u8>,
    len: usize,
    used: Var<usize>,
    /// Blocks that are handed out.
    live: Var<usize>,
    bytes: PhantomData<&'a mut [MaybeUninit<u8>]>,
}

// SAFETY: the bytes are borrowed for this value alone, whichever thread has it.
unsafe impl Send for Fixed<'_> {}

impl<'a> Fixed<'a> {
    /// Takes the bytes as they are; nothing is written to them yet.
    ///
    /// They must be `MaybeUninit`, since what the stores leave in them may be padding, which is
    /// uninitialised.
    ///
    /// ```
    /// use core::mem::MaybeUninit;
    /// use kmem::{Fixed, Heap};
    ///
    /// let mut bytes = [MaybeUninit::uninit(); 4096];
    /// let heap = Heap::new_in(Fixed::new(&mut bytes));
    /// heap.alloc(core::alloc::Layout::new::<u64>())?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn new(bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        let len = bytes.len();
        // SAFETY: a reference is never null.
        let base = unsafe { NonNull::new_unchecked(bytes.as_mut_ptr().cast::<u8>()) };
        Self { base, len, used: Var::new(0), live: Var::new(0), bytes: PhantomData }
    }

    /// Bytes that are handed out, with the padding between them.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::mem::MaybeUninit;
    /// use kmem::{Fixed, Source};
    ///
    /// let mut bytes = [MaybeUninit::uninit(); 256];
    /// let fixed = Fixed::new(&mut bytes);
    /// assert_eq!(fixed.used(), 0);
    /// fixed.alloc(Layout::new::<[u8; 100]>())?;
    /// assert!(fixed.used() >= 100);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.get()
    }
}

impl fmt::Debug for Fixed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixed").field("len", &self.len).field("used", &self.used).finish_non_exhaustive()
    }
}

// SAFETY: each block is a part of the borrowed bytes that no other block has, and the bytes do not move.
unsafe impl Source for Fixed<'_> {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let (start, end) = place(self.base.addr().get(), self.len, self.used.get(), layout)?;
        self.used.set(end);
        self.live.set(self.live.get() + 1);
        // SAFETY: `place` keeps start and end within the bytes.
        let block = unsafe { self.base.add(start) };
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        let start = block.addr().get() - self.base.addr().get();
        self.live.set(self.live.get() - 1);
        if self.live.get() == 0 {
            self.used.set(0);
        } else if start + layout.size().max(1) == self.used.get() {
            self.used.set(start);
        }
        Ok(())
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        let start = block.addr().get() - self.base.addr().get();
        if start + old.size().max(1) == self.used.get() {
            let end = start.checked_add(new.size().max(1)).ok_or(Cond::BadSize)?;
            if end > self.len {
                return Err(Cond::NoRoom);
            }
            self.used.set(end);
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        if new.size() <= old.size() {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        let moved = self.alloc(new)?;
        // SAFETY: both blocks are live and distinct; the new one is longer.
        unsafe { block.copy_to_nonoverlapping(moved.cast(), old.size()) };
        // SAFETY: the caller's promise; the bytes are in the new block.
        unsafe { self.free(block, old) }?;
        Ok(moved)
    }

    /// What a block of the least alignment that stores ask for could have.
    fn largest(&self) -> Option<usize> {
        let used = self.base.addr().get() + self.used.get();
        let pad = used.wrapping_neg() & (crate::MIN_ALIGN - 1);
        Some(self.len.saturating_sub(self.used.get() + pad))
    }
}

/// Bytes of their own, for a `static`: a source by reference, shared by threads.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Cond, Locked, Pool, StaticBytes};
///
/// static BYTES: StaticBytes<4096> = StaticBytes::new();
/// static POOL: Locked<Pool<&StaticBytes<4096>>> = Locked::new(Pool::fixed_in(Layout::new::<u64>(), &BYTES));
///
/// let cell = POOL.lock().alloc()?;
/// # Ok::<(), Cond>(())
/// ```
///
/// Blocks are handed out one after the other, and only the newest comes back; the room of an older one
/// is lost. It is for the blocks of a few stores that live as long as the program.
#[repr(C, align(16))]
pub struct StaticBytes<const N: usize> {
    bytes: UnsafeCell<[MaybeUninit<u8>; N]>,
    used: AtomicUsize,
}

// SAFETY: the bytes are only reached through blocks, and `used` hands each byte to one block.
unsafe impl<const N: usize> Sync for StaticBytes<N> {}

impl<const N: usize> StaticBytes<N> {
    /// Nothing handed out yet.
    ///
    /// ```
    /// use kmem::{Lin, StaticBytes};
    ///
    /// static BYTES: StaticBytes<1024> = StaticBytes::new();
    ///
    /// let lin = Lin::new_in(&BYTES);
    /// lin.put(7)?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: UnsafeCell::new([MaybeUninit::uninit(); N]), used: AtomicUsize::new(0) }
    }

    fn base(&self) -> NonNull<u8> {
        NonNull::from(&self.bytes).cast()
    }
}

impl<const N: usize> Default for StaticBytes<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for StaticBytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticBytes").field("len", &N).field("used", &self.used).finish_non_exhaustive()
    }
}

// SAFETY: the exchange on `used` hands each byte to one block; behind `&'static self` the bytes stay.
unsafe impl<const N: usize> Source for &'static StaticBytes<N> {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let mut used = self.used.load(Ordering::Acquire);
        loop {
            let (start, end) = place(self.base().addr().get(), N, used, layout)?;
            match self.used.compare_exchange_weak(used, end, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    // SAFETY: `place` keeps start and end within the bytes.
                    let block = unsafe { self.base().add(start) };
                    return Ok(NonNull::slice_from_raw_parts(block, layout.size()));
                }
                Err(now) => used = now,
            }
        }
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        let start = block.addr().get() - self.base().addr().get();
        let end = start + layout.size().max(1);
        // If it is not the newest, nothing happens.
        let _ = self.used.compare_exchange(end, start, Ordering::AcqRel, Ordering::Relaxed);
        Ok(())
    }

    fn largest(&self) -> Option<usize> {
        let used = self.base().addr().get() + self.used.load(Ordering::Acquire);
        let pad = used.wrapping_neg() & (crate::MIN_ALIGN - 1);
        Some(N.saturating_sub(self.used.load(Ordering::Acquire) + pad))
    }
}

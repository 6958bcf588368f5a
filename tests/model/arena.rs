//! Bytes that a test owns as a source, and that it can look at when everything has gone.

use core::alloc::Layout;
use core::cell::Cell;
use core::hint::black_box;
use core::ptr::NonNull;

use kmem::{Cond, Source};

/// Hands out one block after the other and forgets what comes back, whose bytes stay as they were left.
pub struct Arena {
    base: NonNull<u8>,
    layout: Layout,
    used: Cell<usize>,
    live: Cell<usize>,
}

/// What a heap's segments are aligned to.
const SEGMENT: usize = 256 << 10;

/// The secret, complemented, so that it is nowhere but where a test wrote it.
const NOT_SECRET: [u8; 8] = [0x93, 0xb8, 0x9a, 0x86, 0x95, 0x90, 0x97, 0x91];

/// Eight bytes, none of them 0.
pub fn secret() -> [u8; 8] {
    black_box(NOT_SECRET).map(|byte| !byte)
}

/// Writes the secret all over a payload.
pub fn write_secret(at: NonNull<u8>, len: usize) {
    write_secret_only(at, len);
    clear_stack();
}

#[inline(never)]
fn write_secret_only(at: NonNull<u8>, len: usize) {
    let secret = secret();
    for i in 0..len {
        // SAFETY: callers name a live payload that is this long.
        unsafe { at.add(i).write(secret[i % secret.len()]) };
    }
}

/// Leaves nothing of the secret behind on the stack, where whoever is called next finds it in what it does not
/// initialise: a struct that is copied takes the bytes of its gaps with it.
#[inline(never)]
fn clear_stack() {
    black_box([0_u8; 4096]);
}

/// Bytes of memory that are not 0, as the machine has them.
pub fn left(at: NonNull<u8>, len: usize) -> usize {
    // SAFETY: callers name memory of an arena, or their own, live or not.
    (0..len).filter(|i| unsafe { at.as_ptr().add(*i).read_volatile() } != 0).count()
}

impl Arena {
    pub fn new(len: usize) -> Self {
        Self::tagged(len)
    }

    /// A heap has no segments from it, so that all cells lie between boundary tags.
    pub fn tagged(len: usize) -> Self {
        Self::aligned(len, SEGMENT / 4)
    }

    /// A heap has segments from it, and small cells lie in spans.
    pub fn spanned(len: usize) -> Self {
        Self::aligned(len, SEGMENT)
    }

    /// One of each, one after the other: both at once may be more than there is.
    pub fn both(len: usize) -> impl Iterator<Item = Self> {
        [Self::tagged, Self::spanned].into_iter().map(move |make| make(len))
    }

    fn aligned(len: usize, align: usize) -> Self {
        let layout = Layout::from_size_align(len, align).expect("a layout");
        // SAFETY: the size is not 0.
        let base = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }).expect("memory");
        Self { base, layout, used: Cell::new(0), live: Cell::new(0) }
    }

    /// Blocks that are handed out.
    pub fn live(&self) -> usize {
        self.live.get()
    }

    /// How often the secret begins anywhere in all that was handed out.
    pub fn secrets(&self) -> usize {
        let count = self.count_secrets();
        clear_stack();
        count
    }

    #[inline(never)]
    fn count_secrets(&self) -> usize {
        let secret = secret();
        // SAFETY: what was handed out is inside the arena, written or zero.
        let read = |at: usize| unsafe { self.base.as_ptr().add(at).read_volatile() };
        let (mut count, mut at) = (0, 0);
        let mut last = 0_u64;
        let whole = u64::from_be_bytes(secret);
        while at < self.used.get() {
            // Most of it is zero, and no byte of the secret is.
            // SAFETY: a word of what was handed out, which begins aligned.
            if at % 8 == 0 && unsafe { self.base.add(at).cast::<u64>().read_volatile() } == 0 {
                last = 0;
                at += 8;
                continue;
            }
            last = last << 8 | u64::from(read(at));
            // Payloads repeat it, so that any rotation of it is a piece of eight bytes of one.
            count += usize::from((0..8).any(|turn| last == whole.rotate_left(8 * turn)));
            at += 1;
        }
        count
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: allocated so, and nothing is used any more.
        unsafe { std::alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}

// SAFETY: each block is a part of the arena that no other block has, and the arena does not move.
unsafe impl Source for Arena {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let start = self.used.get().next_multiple_of(layout.align().min(self.layout.align()));
        let end = start.checked_add(layout.size().max(1)).ok_or(Cond::BadSize)?;
        if end > self.layout.size() || layout.align() > self.layout.align() {
            return Err(Cond::NoRoom);
        }
        self.used.set(end);
        self.live.set(self.live.get() + 1);
        // SAFETY: inside the arena.
        Ok(NonNull::slice_from_raw_parts(unsafe { self.base.add(start) }, layout.size()))
    }

    unsafe fn free(&self, _: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        self.live.set(self.live.get() - 1);
        Ok(())
    }
}

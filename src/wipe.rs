//! Overwriting bytes so that it really happens: the one place that does.
//!
//! A plain write to memory that is released next is dead to the optimiser and may be left out. Here
//! an empty piece of assembly that might read the bytes comes after the write, so they must be there
//! by then; where the compiler has no stable inline assembly, the writes themselves are volatile.
//! `cargo xtask test --only wipe` looks at the machine code that comes of it.

use core::ptr::NonNull;

use crate::seeded::seeded;

/// Overwrites `len` bytes with zeroes.
///
/// # Safety
///
/// The bytes are valid for writes, and nothing reads them at the same time.
#[inline]
pub(crate) unsafe fn wipe(start: NonNull<u8>, len: usize) {
    #[cfg(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64", target_arch = "arm"))]
    {
        // SAFETY: the caller's promise.
        unsafe { start.write_bytes(0, len) };
        // SAFETY: no instruction; the compiler must take it to read memory, the bytes included.
        unsafe { core::arch::asm!("/* {0} */", in(reg) start.as_ptr(), options(nostack, preserves_flags, readonly)) };
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64", target_arch = "arm")))]
    {
        const WORD: usize = size_of::<u64>();
        let bytes = start.as_ptr();
        let head = bytes.align_offset(WORD).min(len);
        let words = (len - head) / WORD;
        for at in (0..head).chain(head + words * WORD..len) {
            // SAFETY: inside the range, which the caller may write.
            unsafe { bytes.wrapping_add(at).write_volatile(0) };
        }
        let first: *mut u64 = bytes.wrapping_add(head).cast();
        for at in 0..words {
            // SAFETY: aligned by `head`, and inside the range, which the caller may write.
            unsafe { first.wrapping_add(at).write_volatile(0) };
        }
    }
}

/// Wipes what is tainted; without the feature `shred` nothing is, and nothing of this remains.
///
/// # Safety
///
/// As for [`wipe`].
#[inline]
pub(crate) unsafe fn wipe_if(tainted: bool, start: NonNull<u8>, len: usize) {
    if cfg!(feature = "shred") && tainted && !seeded("nothing_is_wiped") {
        // SAFETY: the caller's promise.
        unsafe { wipe(start, len) };
    }
}

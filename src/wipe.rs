//! Overwriting bytes so that it really happens: the one place that does.
//!
//! A plain write to memory that is released next is dead to the optimiser and may be left out. Here
//! an empty piece of assembly that might read the bytes comes after the write, so they must be there
//! by then; where the compiler has no stable inline assembly, the writes themselves are volatile.
//! What is short is overwritten on x86-64 by assembly itself, twice as fast where the processor can.
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
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2", not(any(kmem_asan, kmem_tsan))))]
    if wide::FIT.contains(&len) && wide::is_there() {
        // SAFETY: the caller's promise, and the processor was asked.
        return unsafe { wide::wipe(start, len) };
    }
    // SAFETY: the caller's promise.
    unsafe { wipe_anywhere(start, len) };
}

/// The same, on any processor.
///
/// # Safety
///
/// As for [`wipe`].
#[inline]
unsafe fn wipe_anywhere(start: NonNull<u8>, len: usize) {
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

/// Stores of 32 bytes, which the compiler does not use, as not every x86-64 processor has them (AVX). Not where the
/// target does without such registers (kernels), nor under sanitizers, which do not see what assembly writes.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2", not(any(kmem_asan, kmem_tsan))))]
mod wide {
    use core::arch::asm;
    use core::arch::x86_64::__cpuid;
    use core::ops::RangeInclusive;
    use core::ptr::NonNull;
    use core::sync::atomic::{AtomicU8, Ordering};

    const STORE: usize = 32;
    /// Lengths that this is for. For longer ones a call to the system's `memset` is as fast.
    pub(super) const FIT: RangeInclusive<usize> = STORE..=8 * STORE;

    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;

    static THERE: AtomicU8 = AtomicU8::new(UNKNOWN);

    /// Whether the processor has such stores, and the system lets them be used.
    #[inline]
    pub(super) fn is_there() -> bool {
        match THERE.load(Ordering::Relaxed) {
            YES => true,
            UNKNOWN => ask(),
            _ => false,
        }
    }

    /// Asks the processor. Threads that do so at once get the same answer.
    #[cold]
    fn ask() -> bool {
        /// Of leaf 1: the registers are there, and `xgetbv` tells what the system keeps of them.
        const AVX: u32 = 1 << 28 | 1 << 27;
        /// Of what it keeps: both halves of the registers.
        const HALVES: u32 = 0b110;
        let there = __cpuid(1).ecx & AVX == AVX && {
            let kept: u32;
            // SAFETY: the processor has this instruction, as it just said; it writes these two registers.
            unsafe { asm!("xgetbv", in("ecx") 0, out("eax") kept, out("edx") _, options(nomem, nostack)) };
            kept & HALVES == HALVES
        };
        THERE.store(if there { YES } else { NO }, Ordering::Relaxed);
        there
    }

    /// Overwrites bytes: one store after the other, and the last one over the end, where it may overlap.
    ///
    /// # Safety
    ///
    /// As for [`super::wipe`]; the length is in [`FIT`], and such stores [are there](is_there).
    #[inline]
    pub(super) unsafe fn wipe(start: NonNull<u8>, len: usize) {
        // SAFETY: at least one store long.
        let last = unsafe { start.add(len - STORE) };
        // The upper half of the register is zero by the first instruction and is never written, so nothing has to be
        // cleared for the code around this, which uses the lower half only.
        // SAFETY: writes the caller's bytes and nothing else; not `nomem`, so the compiler must take it to do so.
        unsafe {
            asm!(
                "vpxor xmm0, xmm0, xmm0",
                "2:",
                "vmovdqu ymmword ptr [{at}], ymm0",
                "add {at}, 32",
                "cmp {at}, {last}",
                "jb 2b",
                "vmovdqu ymmword ptr [{last}], ymm0",
                at = inout(reg) start.as_ptr() => _,
                last = in(reg) last.as_ptr(),
                out("xmm0") _,
                options(nostack),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way to wipe.
    type Way = unsafe fn(NonNull<u8>, usize);

    fn overwrites_what_it_is_told_and_no_more(way: Way, lens: impl Iterator<Item = usize>) {
        for len in lens {
            for before in [0, 1, 7, 16, 31] {
                let mut bytes = [7_u8; 1024];
                // SAFETY: inside the array.
                unsafe { way(NonNull::from(&mut bytes[before]).cast(), len) };
                let right =
                    |(at, byte): (usize, &u8)| *byte == if (before..before + len).contains(&at) { 0 } else { 7 };
                assert!(bytes.iter().enumerate().all(right), "{len} bytes at {before}");
            }
        }
    }

    #[test]
    fn every_length_is_overwritten() {
        overwrites_what_it_is_told_and_no_more(wipe, 0..600);
        overwrites_what_it_is_told_and_no_more(wipe_anywhere, 0..600);
    }

    #[test]
    #[cfg(all(target_arch = "x86_64", target_feature = "sse2", not(any(kmem_asan, kmem_tsan))))]
    fn wide_stores_overwrite_what_they_are_for() {
        assert_eq!(wide::is_there(), std::is_x86_feature_detected!("avx"));
        if wide::is_there() {
            overwrites_what_it_is_told_and_no_more(wide::wipe, wide::FIT);
        }
    }
}

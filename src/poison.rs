//! Telling a checker which bytes nobody may touch: what is free, and what lies behind a payload.
//!
//! The checker is AddressSanitizer with `--cfg kmem_asan`, valgrind's memcheck with
//! `--cfg kmem_valgrind`: `cargo xtask test --only asan` and `--only valgrind` set them. Else these are
//! nothing. A store shows what it hands out, hides what comes back (but for the words in which it keeps
//! its lists), and shows a whole block before it gives it to its source.

use core::ptr::NonNull;

/// From now on, touching these bytes is reported.
#[inline]
pub(crate) fn hide(start: NonNull<u8>, len: usize) {
    checker::hide(start.as_ptr(), len);
}

/// From now on, these bytes may be touched.
#[inline]
pub(crate) fn show(start: NonNull<u8>, len: usize) {
    checker::show(start.as_ptr(), len);
}

#[cfg(kmem_asan)]
mod checker {
    unsafe extern "C" {
        fn __asan_poison_memory_region(start: *const u8, len: usize);
        fn __asan_unpoison_memory_region(start: *const u8, len: usize);
    }

    pub(super) fn hide(start: *const u8, len: usize) {
        // SAFETY: it writes to the sanitizer's own memory only.
        unsafe { __asan_poison_memory_region(start, len) };
    }

    pub(super) fn show(start: *const u8, len: usize) {
        // SAFETY: it writes to the sanitizer's own memory only.
        unsafe { __asan_unpoison_memory_region(start, len) };
    }
}

/// Valgrind runs the program itself, and takes certain instructions that come to nothing for a request
/// to it: the number of the request and its arguments are where `rax` points.
#[cfg(all(kmem_valgrind, not(kmem_asan)))]
mod checker {
    /// Numbers of memcheck: its first, and the third, after which it also takes the bytes for written.
    const NO_ACCESS: usize = 0x4d43_0000;
    const DEFINED: usize = 0x4d43_0002;

    pub(super) fn hide(start: *const u8, len: usize) {
        request(NO_ACCESS, start, len);
    }

    pub(super) fn show(start: *const u8, len: usize) {
        request(DEFINED, start, len);
    }

    fn request(number: usize, start: *const u8, len: usize) {
        let words = [number, start.addr(), len, 0, 0, 0];
        // SAFETY: four rotations that make two whole turns, and the exchange of a register with itself: outside
        // valgrind only the flags are others afterwards. Valgrind reads the six words and writes the answer to `rdx`.
        unsafe {
            core::arch::asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                in("rax") words.as_ptr(),
                inout("rdx") 0_usize => _,
                options(nostack),
            );
        }
    }
}

#[cfg(not(any(kmem_asan, kmem_valgrind)))]
mod checker {
    #[inline]
    pub(super) const fn hide(_: *const u8, _: usize) {}

    #[inline]
    pub(super) const fn show(_: *const u8, _: usize) {}
}

//! Telling AddressSanitizer which bytes nobody may touch: what is free, and what lies behind a payload.
//!
//! Only with `--cfg kmem_asan`, which `cargo xtask test --only asan` sets together with the sanitizer;
//! else these are nothing. A store shows what it hands out, hides what comes back (but for the words
//! in which it keeps its lists), and shows a whole block before it gives it to its source.

use core::ptr::NonNull;

#[cfg(kmem_asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(start: *const u8, len: usize);
    fn __asan_unpoison_memory_region(start: *const u8, len: usize);
}

/// From now on, touching these bytes ends the program.
#[inline]
pub(crate) fn hide(start: NonNull<u8>, len: usize) {
    #[cfg(kmem_asan)]
    // SAFETY: it writes to the sanitizer's own memory only.
    unsafe {
        __asan_poison_memory_region(start.as_ptr(), len);
    }
    #[cfg(not(kmem_asan))]
    let _ = (start, len);
}

/// From now on, these bytes may be touched.
#[inline]
pub(crate) fn show(start: NonNull<u8>, len: usize) {
    #[cfg(kmem_asan)]
    // SAFETY: it writes to the sanitizer's own memory only.
    unsafe {
        __asan_unpoison_memory_region(start.as_ptr(), len);
    }
    #[cfg(not(kmem_asan))]
    let _ = (start, len);
}

//! Those who guard their secrets with pages that nobody may touch, and wipe with functions of the C library.

use std::alloc::Layout;
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use kmem::{Protected, Protection, Source};

use super::shred::{Keeper, Wiper, stateless, write};
use crate::row::Contender;

stateless! { Memsec "memsec" {}, Sodium "libsodium" { sodium() } }

impl Wiper for Memsec {
    #[inline(always)]
    fn wipe(bytes: &mut [u8]) {
        // SAFETY: ours, and valid for writes.
        unsafe { memsec::memzero(bytes.as_mut_ptr(), bytes.len()) };
    }
}

impl Keeper for Memsec {
    #[inline(always)]
    fn keep(&self, secret: u64) {
        // SAFETY: an array of bytes may hold anything.
        let cell = unsafe { memsec::malloc::<[u8; 64]>() }.expect("memory");
        write(cell.cast(), secret);
        // SAFETY: just taken, used no more.
        unsafe { memsec::free(cell) };
    }
}

#[link(name = "sodium")]
unsafe extern "C" {
    fn sodium_init() -> c_int;
    fn sodium_memzero(bytes: *mut c_void, len: usize);
    fn sodium_malloc(size: usize) -> *mut c_void;
    fn sodium_free(block: *mut c_void);
}

fn sodium() {
    // SAFETY: it may be called at any time, and again.
    let answer = unsafe { sodium_init() };
    assert!(answer >= 0, "libsodium does not start");
}

impl Wiper for Sodium {
    #[inline(always)]
    fn wipe(bytes: &mut [u8]) {
        // SAFETY: ours, and valid for writes.
        unsafe { sodium_memzero(bytes.as_mut_ptr().cast(), bytes.len()) };
    }
}

impl Keeper for Sodium {
    #[inline(always)]
    fn keep(&self, secret: u64) {
        // SAFETY: it was set up.
        let cell = NonNull::new(unsafe { sodium_malloc(64) }).expect("memory");
        write(cell.cast(), secret);
        // SAFETY: just taken, used no more.
        unsafe { sodium_free(cell.as_ptr()) };
    }
}

impl Contender for Protected {
    fn name() -> String {
        "kmem".into()
    }

    fn new() -> Self {
        Self::new(Protection::ALL)
    }
}

impl Keeper for Protected {
    #[inline(always)]
    fn keep(&self, secret: u64) {
        let layout = Layout::new::<[u8; 64]>();
        let cell = self.alloc(layout).expect("memory that can be locked").cast();
        write(cell, secret);
        // SAFETY: just taken, used no more.
        unsafe { self.shred(cell, layout) }.expect("a live block");
    }
}

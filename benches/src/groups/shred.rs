//! Shredding: overwriting bytes so that it really happens.

use std::alloc::Layout;
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use kmem::{Pages, Pool, Protected, Protection, Source};
use zeroize::Zeroize;

use crate::allocators::{Allocator, Mimalloc, Standard};
use crate::row;
use crate::row::{Contender, Row, Side, over, side};
use crate::watch::{Watch, taken};

/// Overwrites bytes.
trait Wiper: Contender {
    /// Makes the bytes zero.
    fn wipe(bytes: &mut [u8]);
}

/// Lends 64 bytes to a secret.
trait Keeper: Contender {
    /// Takes them, writes the secret, and gives them back, which destroys it.
    fn keep(&self, secret: u64);
}

/// The rows of shredding.
pub fn rows() -> Vec<Row> {
    fn zeroizing<A: Allocator>() -> Side {
        over::<Zeroizer, A>(format!("zeroize over {}", A::NAME), keep)
    }
    vec![
        row!("shred", "shred 64 B", small; Kmem, Zeroizer, Memsec, Sodium),
        row!("shred", "shred 4 KiB", page; Kmem, Zeroizer, Memsec, Sodium),
        row!("shred", "shred 1 MiB", large; Kmem, Zeroizer, Memsec, Sodium),
        Row::new(
            "shred",
            "64 B cell, take + shred + free",
            vec![side::<Pool<Pages>>(keep), zeroizing::<Standard>(), zeroizing::<Mimalloc>()],
        ),
        row!("shred", "64 B between guard pages, take + free", keep; Protected, Memsec, Sodium),
    ]
}

fn small<W: Wiper>(_: &mut W, times: usize, watch: &mut Watch) {
    wipe::<W, 64>(times, watch);
}

fn page<W: Wiper>(_: &mut W, times: usize, watch: &mut Watch) {
    wipe::<W, 4096>(times, watch);
}

fn large<W: Wiper>(_: &mut W, times: usize, watch: &mut Watch) {
    wipe::<W, 1_048_576>(times, watch);
}

/// The same bytes again and again, of a length that the compiler knows.
fn wipe<W: Wiper, const LEN: usize>(times: usize, watch: &mut Watch) {
    #[repr(align(64))]
    struct Bytes<const LEN: usize>([u8; LEN]);
    let mut bytes = Box::new(Bytes([1; LEN]));
    watch.time(times, || {
        for _ in 0..times {
            W::wipe(&mut bytes.0);
            taken(NonNull::from(&mut *bytes));
        }
    });
}

/// A secret comes and goes.
fn keep<K: Keeper>(keeper: &mut K, times: usize, watch: &mut Watch) {
    watch.time(times, || {
        for secret in 0..times as u64 {
            keeper.keep(secret);
        }
    });
}

/// Writes a secret where nobody reads it, which the compiler is not to know.
#[inline(always)]
fn write(place: NonNull<u8>, secret: u64) {
    let place = place.cast();
    // SAFETY: callers have just taken 64 bytes.
    unsafe { place.write(secret) };
    taken(place);
}

/// Contenders that have no state.
macro_rules! stateless {
    ($($contender:ident $name:literal $set_up:block),+) => {$(
        struct $contender;

        impl Contender for $contender {
            fn name() -> String {
                $name.into()
            }

            fn new() -> Self {
                $set_up;
                Self
            }
        }
    )+};
}

stateless! { Kmem "kmem" {}, Zeroizer "zeroize" {}, Memsec "memsec" {}, Sodium "libsodium" { sodium() } }

impl Wiper for Kmem {
    #[inline(always)]
    fn wipe(bytes: &mut [u8]) {
        // SAFETY: ours, and valid for writes.
        unsafe { kmem::zero(NonNull::from(&mut *bytes).cast(), bytes.len()) };
    }
}

impl Wiper for Zeroizer {
    #[inline(always)]
    fn wipe(bytes: &mut [u8]) {
        bytes.zeroize();
    }
}

impl Keeper for Zeroizer {
    #[inline(always)]
    fn keep(&self, secret: u64) {
        let mut cell = Box::new([0_u8; 64]);
        write(NonNull::from(&mut *cell).cast(), secret);
        cell[..].zeroize();
    }
}

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

impl Keeper for Pool<Pages> {
    #[inline(always)]
    fn keep(&self, secret: u64) {
        let cell = self.alloc().expect("memory").cast();
        write(cell, secret);
        // SAFETY: just taken, used no more.
        unsafe { self.shred(cell) }.expect("a live cell");
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

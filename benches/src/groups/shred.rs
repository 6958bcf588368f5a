//! Shredding: overwriting bytes so that it really happens.

use std::ptr::NonNull;

#[cfg(native)]
use kmem::Protected;
use kmem::{Pages, Pool};
use zeroize::Zeroize;

use crate::allocators::{Allocator, Fast, Standard};
use crate::row;
use crate::row::{Contender, Row, Side, over, side};
use crate::watch::{Watch, taken};

#[cfg(native)]
use super::guarded::{Memsec, Sodium};

/// Overwrites bytes.
pub trait Wiper: Contender {
    /// Makes the bytes zero.
    fn wipe(bytes: &mut [u8]);
}

/// Lends 64 bytes to a secret.
pub trait Keeper: Contender {
    /// Takes them, writes the secret, and gives them back, which destroys it.
    fn keep(&self, secret: u64);
}

/// The rows of shredding.
pub fn rows() -> Vec<Row> {
    fn zeroizing<A: Allocator>() -> Side {
        over::<Zeroizer, A>(format!("zeroize over {}", A::NAME), keep)
    }
    vec![
        row!("shred", "shred 64 B", small; Kmem, Zeroizer, #[cfg(native)] Memsec, #[cfg(native)] Sodium),
        row!("shred", "shred 4 KiB", page; Kmem, Zeroizer, #[cfg(native)] Memsec, #[cfg(native)] Sodium),
        row!("shred", "shred 1 MiB", large; Kmem, Zeroizer, #[cfg(native)] Memsec, #[cfg(native)] Sodium),
        Row::new(
            "shred",
            "64 B cell, take + shred + free",
            vec![side::<Pool<Pages>>(keep), zeroizing::<Standard>(), zeroizing::<Fast>()],
        ),
        #[cfg(native)]
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
pub fn write(place: NonNull<u8>, secret: u64) {
    let place = place.cast();
    // SAFETY: callers have just taken 64 bytes.
    unsafe { place.write(secret) };
    taken(place);
}

/// Contenders that have no state, and what is to be done before they work.
macro_rules! stateless {
    ($($contender:ident $name:literal $set_up:block),+) => {$(
        pub struct $contender;

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
#[cfg(native)]
pub(super) use stateless;

stateless! { Kmem "kmem" {}, Zeroizer "zeroize" {} }

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

impl Keeper for Pool<Pages> {
    #[inline(always)]
    fn keep(&self, secret: u64) {
        let cell = self.alloc().expect("memory").cast();
        write(cell, secret);
        // SAFETY: just taken, used no more.
        unsafe { self.shred(cell) }.expect("a live cell");
    }
}

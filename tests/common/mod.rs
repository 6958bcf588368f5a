//! What the test programs share: a source that watches what a store does with it, patterns to know
//! cells by, and numbers that are random but the same each time.
#![allow(dead_code, unused_imports, reason = "each test program uses a part of it")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "tests act on cells that they took themselves a few lines before, and look at memory that their sources still own"
)]

mod watched;

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

pub use watched::{Base, Generous, Watched, figures};

/// A layout; tests only ask for possible ones.
pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a possible layout")
}

/// Bytes for a fixed store or source, known not to be zero.
pub fn room(len: usize) -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::new(0xa7); len]
}

/// What the byte of this number is in a cell that is known by this seed; never zero. No eight in a row
/// are those of another place or seed (Steele, Lea and Flood's mix).
pub fn pattern(seed: u64, number: usize) -> u8 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number as u64);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed.to_le_bytes()[5] | 1
}

/// Writes a cell's pattern, from one byte of it to another.
pub fn write_pattern(at: NonNull<u8>, bytes: std::ops::Range<usize>, seed: u64) {
    for number in bytes {
        unsafe { at.add(number).write(pattern(seed, number)) };
    }
}

/// Says where a cell first differs from its pattern.
pub fn differs(at: NonNull<u8>, len: usize, seed: u64) -> Option<usize> {
    (0..len).find(|number| unsafe { at.add(*number).read() } != pattern(seed, *number))
}

/// The bytes that are there now, whoever owns them; they must be initialised. The checkers, which forbid all that the
/// stores hide, do not see this.
pub fn raw_bytes(at: NonNull<u8>, len: usize) -> Vec<u8> {
    valgrind::report(false);
    let bytes: Vec<u8> = (0..len).map(|number| unsafe { raw_byte(at.add(number)) }).collect();
    valgrind::report(true);
    valgrind::defined(&bytes);
    bytes
}

/// One of them.
unsafe fn raw_byte(at: NonNull<u8>) -> u8 {
    #[cfg(not(kmem_asan))]
    return unsafe { at.read_volatile() };
    #[cfg(kmem_asan)]
    unsafe {
        let byte: u8;
        core::arch::asm!("mov {byte}, byte ptr [{at}]", byte = out(reg_byte) byte, at = in(reg) at.as_ptr());
        byte
    }
}

/// What valgrind is asked for, in the way of `src/poison.rs`; elsewhere nothing.
mod valgrind {
    /// Has it report errors, or look away.
    pub fn report(seen: bool) {
        request([0x1801, if seen { usize::MAX } else { 1 }, 0, 0, 0, 0]);
    }

    /// Has it take bytes for initialised, be they copies of a header's padding.
    pub fn defined(bytes: &[u8]) {
        request([0x4d43_0002, bytes.as_ptr().addr(), bytes.len(), 0, 0, 0]);
    }

    fn request(words: [usize; 6]) {
        #[cfg(kmem_valgrind)]
        unsafe {
            core::arch::asm!(
                "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
                in("rax") words.as_ptr(), inout("rdx") 0_usize => _, options(nostack),
            );
        }
        let _ = words;
    }
}

/// Whether bytes hold other bytes.
pub fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 16) % end as u64).expect("less than a usize")
    }
}

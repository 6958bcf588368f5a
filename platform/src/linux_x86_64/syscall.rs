//! The `syscall` instruction, every arity from 0 to 6.
//!
//! The kernel takes its number in `rax` and arguments in `rdi rsi rdx r10 r8 r9`, answers in `rax`,
//! and overwrites `rcx` and `r11`. An answer in -4095..=-1 is an error number, and nothing else is:
//! an address in the upper half would be negative too.

use core::arch::asm;

use crate::Cond;

/// A register's worth of argument or answer. A pointer travels as a pointer, so that it keeps its provenance.
pub type Word = *mut u8;

/// An argument that is a number.
#[must_use]
pub const fn number(value: usize) -> Word {
    core::ptr::without_provenance_mut(value)
}

/// Tells an answer from an error.
///
/// # Errors
///
/// The condition that the kernel's error number stands for.
pub fn answer(word: Word) -> Result<Word, Cond> {
    match error_number(word) {
        None => Ok(word),
        Some(errno) => Err(Cond::from_errno(errno)),
    }
}

/// The error number in an answer, if it is one.
#[must_use]
pub fn error_number(word: Word) -> Option<i32> {
    const FIRST: usize = -4095_isize as usize;
    let value = word.addr();
    // -4095..=-1 as unsigned numbers are the last 4095 of all.
    (value >= FIRST).then(|| i32::try_from(value.wrapping_neg()).unwrap_or(i32::MAX))
}

macro_rules! arity {
    ($name:ident($($arg:ident in $register:tt),*), $text:literal) => {
        #[doc = concat!("A system call with ", $text, "; the answer is the bare register.")]
        ///
        /// # Safety
        ///
        /// The call, with these arguments, does nothing to memory that Rust code relies on.
        #[inline]
        #[must_use]
        pub unsafe fn $name(number: usize, $($arg: Word),*) -> Word {
            let result: Word;
            // SAFETY: the registers are the kernel's calling convention, rcx and r11 are declared
            // overwritten, and the caller answers for what the call does.
            unsafe {
                asm!(
                    "syscall",
                    inlateout("rax") number => result,
                    $(in($register) $arg,)*
                    lateout("rcx") _,
                    lateout("r11") _,
                    options(nostack, preserves_flags),
                );
            }
            result
        }
    };
}

arity!(syscall0(), "no argument");
arity!(syscall1(a in "rdi"), "one argument");
arity!(syscall2(a in "rdi", b in "rsi"), "two arguments");
arity!(syscall3(a in "rdi", b in "rsi", c in "rdx"), "three arguments");
arity!(syscall4(a in "rdi", b in "rsi", c in "rdx", d in "r10"), "four arguments");
arity!(syscall5(a in "rdi", b in "rsi", c in "rdx", d in "r10", e in "r8"), "five arguments");
arity!(syscall6(a in "rdi", b in "rsi", c in "rdx", d in "r10", e in "r8", f in "r9"), "six arguments");

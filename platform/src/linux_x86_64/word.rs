//! A word that each thread has of its own, in one instruction or two.
//!
//! What the compiler makes of a thread's variable in a library is written as a call, and all registers are saved for
//! it, even where the linker turns it into a single load. This one is at a fixed distance from the thread's pointer
//! (the *initial-exec* model), in the thread-local block that the loader makes for the program.

use core::arch::{asm, global_asm};

global_asm!(
    ".pushsection .tbss.kmem_thread_word,\"awT\",@nobits",
    ".hidden kmem_thread_word",
    ".globl kmem_thread_word",
    ".type kmem_thread_word,@object",
    ".size kmem_thread_word,8",
    ".p2align 3",
    "kmem_thread_word:",
    ".zero 8",
    ".popsection",
);

/// The calling thread's word; null until it is set.
#[inline(always)]
#[must_use]
pub fn thread_word() -> *mut u8 {
    let word;
    // SAFETY: it reads a word of the thread-local block that every thread of this program has.
    unsafe {
        asm!(
            "mov {0}, qword ptr [rip + kmem_thread_word@GOTTPOFF]",
            "mov {0}, qword ptr fs:[{0}]",
            out(reg) word,
            options(nostack, preserves_flags, readonly),
        );
    }
    word
}

/// Sets the calling thread's word.
#[inline]
pub fn set_thread_word(word: *mut u8) {
    // SAFETY: it writes to a word of the thread-local block that only this module uses.
    unsafe {
        asm!(
            "mov {1}, qword ptr [rip + kmem_thread_word@GOTTPOFF]",
            "mov qword ptr fs:[{1}], {0}",
            in(reg) word,
            out(reg) _,
            options(nostack, preserves_flags),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_its_own() {
        let mut mine = 1_u8;
        set_thread_word(&raw mut mine);
        std::thread::spawn(|| {
            assert!(thread_word().is_null());
            let mut other = 2_u8;
            set_thread_word(&raw mut other);
            assert_eq!(thread_word(), &raw mut other);
        })
        .join()
        .expect("it ends");
        assert_eq!(thread_word(), &raw mut mine);
        set_thread_word(core::ptr::null_mut());
    }
}

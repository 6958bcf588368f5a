//! Requests to callgrind: instructions that do nothing elsewhere.

use std::ffi::CStr;

/// Tools number their requests from their two letters.
const BASE: usize = (b'C' as usize) << 24 | (b'T' as usize) << 16;
const TOGGLE_COLLECT: usize = BASE + 2;
const DUMP_STATS_AT: usize = BASE + 3;

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn request(number: usize, argument: usize) {
    let request = [number, argument, 0, 0, 0, 0];
    // SAFETY: the rotations add up to two whole turns; valgrind reads the request where `rax` says.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") request.as_ptr(), inout("rdx") 0_usize => _, options(nostack),
        );
    }
}

/// Other processors have other such instructions; nothing is counted there.
#[cfg(not(target_arch = "x86_64"))]
fn request(_: usize, _: usize) {}

/// Runs something whose instructions count.
#[inline(always)]
pub fn counted<R>(part: impl FnOnce() -> R) -> R {
    request(TOGGLE_COLLECT, 0);
    let result = part();
    request(TOGGLE_COLLECT, 0);
    result
}

/// Writes what was counted to a file of its own, under a title, and begins again.
pub fn dump(title: &CStr) {
    request(DUMP_STATS_AT, title.as_ptr().addr());
}

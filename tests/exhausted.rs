//! The process heap when the system has no more memory: at whichever mapping that is, what was asked for is refused,
//! all else stays as it was, and when there is memory again all goes on.
#![cfg(all(target_os = "linux", feature = "platform"))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "each block is used and freed by the lines that took it"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::fs;

use kmem::{Global, GlobalHeap};

static HEAP: GlobalHeap = GlobalHeap::new();
const BLOCKS: usize = 400;

/// Bytes of address space that this process has.
fn mapped() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: u64 = text.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number");
    pages * 4096
}

fn allow(bytes: u64) -> bool {
    let most = libc::RLIM_INFINITY;
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &libc::rlimit { rlim_cur: bytes, rlim_max: most }) == 0 }
}

/// One of every size there is a way for, from a cell to pages of its own.
fn layout(number: usize) -> Layout {
    let size = [40, 700, 5000, 30_000, 90_000, 400_000, 1 << 20, 5 << 20][number * 7 % 8];
    let align = [8, 8, 8, 64, 8, 4096, 8, 1 << 20][number % 8];
    Layout::from_size_align(size, align).expect("a layout")
}

fn fill(number: usize) -> u8 {
    u8::try_from(1 + number % 250).expect("a byte")
}

/// Asks until nothing is to be had, and gives all back: how many were refused, or none if anything was wrong.
fn play() -> Option<usize> {
    let mut held: [(*mut u8, Layout); BLOCKS] = [(std::ptr::null_mut(), Layout::new::<u8>()); BLOCKS];
    let mut refused = 0;
    for (number, place) in held.iter_mut().enumerate() {
        let layout = layout(number);
        let block = unsafe { HEAP.alloc(layout) };
        if block.is_null() {
            refused += 1;
            continue;
        }
        unsafe { block.write_bytes(fill(number), layout.size().min(5000)) };
        *place = (block, layout);
        if number % 3 == 0 {
            let size = layout.size() * 3;
            let grown = unsafe { HEAP.realloc(block, layout, size) };
            if grown.is_null() {
                refused += 1;
            } else {
                *place = (grown, Layout::from_size_align(size, layout.align()).ok()?);
            }
        }
    }
    let mut whole = Global.check().is_ok();
    for (number, (block, layout)) in held.into_iter().enumerate() {
        if !block.is_null() {
            let filled = fill(number);
            whole &= (0..layout.size().min(40)).all(|at| unsafe { block.add(at).read() } == filled);
            unsafe { HEAP.dealloc(block, layout) };
        }
    }
    (whole && Global.check().is_ok()).then_some(refused)
}

#[test]
fn whichever_mapping_fails_nothing_is_lost() {
    let mut some = 0;
    for step in 0..48_u64 {
        let child = unsafe { libc::fork() };
        if child == 0 {
            unsafe { libc::alarm(60) };
            let before = HEAP.stats();
            let refused = allow(mapped() + step * (3 << 19)).then(play).flatten();
            // The next has it as it would be at first.
            HEAP.purge();
            let again = allow(libc::RLIM_INFINITY).then(play).flatten();
            let code = match (refused, again) {
                (None, _) => 1,
                (_, None | Some(1..)) => 2,
                _ if HEAP.stats().bytes > before.bytes + (1 << 20) => 3,
                (Some(0), _) => 10,
                (Some(_), _) => 11,
            };
            unsafe { libc::_exit(code) };
        }
        let mut status = 0;
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFEXITED(status), "step {step}: the child died of {status}");
        let code = libc::WEXITSTATUS(status);
        assert!(code >= 10, "step {step}: {code}");
        some += i32::from(code == 11);
    }
    assert!(some > 20, "too much memory for anything to be refused");
}

//! Pages that are kept: who asks next has them, they are not called zero, and no secret is in them.
#![cfg(all(unix, feature = "platform"))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "each block is freed once by the lines that took it"
)]

use core::alloc::Layout;
use core::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kmem::platform::{Native, Platform};
use kmem::{Heap, Kept, Lin, Pages, Pool, Reuse, Source};

const CELL: Layout = Layout::new::<[u64; 8]>();

/// What is kept is the process's: one test at a time, each from nothing.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Kept.set_limit(64 << 20);
    Kept.purge();
    guard
}

fn pages(count: usize) -> Layout {
    Layout::from_size_align(count * Kept.page_size(), 8).expect("a layout")
}

#[test]
fn a_store_that_begins_has_the_pages_of_one_that_ended() {
    let _alone = alone();
    let region = || {
        let lin = Lin::new_in(Pages::new());
        let cells: Vec<_> = (0..10_000).map(|_| lin.alloc(CELL).expect("room").cast::<u8>()).collect();
        (cells, lin.stats().held)
    };
    let (first, held) = region();
    assert_eq!(Kept.bytes(), held);
    let (second, _) = region();
    assert_eq!(first, second);
    let pool = Pool::new_in(CELL, Pages::new());
    pool.alloc().expect("room");
    assert_eq!(Kept.bytes(), held - pool.stats().held, "and not only one of its own kind");
    drop(pool);
    assert_eq!((Kept.purge(), Kept.bytes(), Kept.runs()), (held, 0, 0));
}

#[test]
fn what_was_kept_is_zeroed_where_zeroes_are_asked_for() {
    let _alone = alone();
    let source = Pages::new();
    let dirty = source.alloc(pages(3)).expect("room");
    unsafe { dirty.cast::<u8>().write_bytes(7, dirty.len()) };
    unsafe { source.free(dirty.cast(), pages(3)) }.expect("kept");
    let grant = source.grant(pages(3)).expect("room");
    assert_eq!((grant.bytes, grant.zeroed), (dirty, false));
    unsafe { source.free(grant.bytes.cast(), pages(3)) }.expect("kept");
    let clean = source.alloc_zeroed(pages(3)).expect("room");
    assert_eq!(clean, dirty);
    assert!(unsafe { clean.as_ref() }.iter().all(|byte| *byte == 0));
    unsafe { source.free(clean.cast(), pages(3)) }.expect("kept");

    let lin = Lin::new_in(Pages::new()).first_block(pages(3).size());
    for _ in 0..100 {
        let cell = lin.alloc_zeroed(CELL).expect("room");
        assert!(unsafe { cell.as_ref() }.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn aligned_pages_are_kept_for_who_wants_them_aligned() {
    let _alone = alone();
    let source = Pages::new();
    let layout = Layout::from_size_align(1 << 20, 1 << 20).expect("a layout");
    let block = source.alloc(layout).expect("room");
    unsafe { source.free(block.cast(), layout) }.expect("kept");
    assert_eq!(source.alloc(layout), Ok(block));
    unsafe { source.free(block.cast(), layout) }.expect("kept");
}

#[test]
fn nothing_is_kept_where_that_was_said() {
    let _alone = alone();
    let give_back = |count| {
        let block = Pages::new().alloc(pages(count)).expect("room");
        unsafe { Pages::new().free(block.cast(), pages(count)) }.expect("taken back");
    };
    give_back(20_000);
    assert_eq!(Kept.bytes(), 0, "more than is kept at all");
    give_back(20);
    assert_eq!((Kept.bytes(), Kept.runs()), (pages(20).size(), 1));
    Kept.set_limit(0);
    assert_eq!((Kept.bytes(), Kept.limit()), (0, 0));
    give_back(20);
    assert_eq!(Kept.bytes(), 0);
    Kept.set_limit(64 << 20);
    let native = Pages::over(Native);
    let block = native.alloc(pages(20)).expect("room");
    unsafe { native.free(block.cast(), pages(20)) }.expect("taken back");
    assert_eq!(Kept.bytes(), 0);
}

/// Takes everything that is kept, and looks for eight of a byte in a row: one alone may be a part of an address.
#[cfg(feature = "shred")]
fn leaves(byte: u8) -> bool {
    let mut found = false;
    // The longest first: of a longer run that is kept only a part would be taken.
    for len in (1..=256).rev().map(|count| pages(count).size()) {
        while let Ok(run) = Kept.map(len)
            && !run.zeroed
        {
            let mut row = 0;
            for at in 0..len {
                row = if unsafe { run.start.add(at).read() } == byte { row + 1 } else { 0 };
                found |= row == 8;
            }
            unsafe { Native.unmap(run.start, run.len) }.expect("taken back");
        }
    }
    assert_eq!(Kept.bytes(), 0, "all was looked at");
    found
}

#[cfg(feature = "shred")]
#[test]
fn no_secret_is_kept() {
    const SECRET: u8 = 0xa7;
    let _alone = alone();
    let write = |cell: NonNull<[u8]>| unsafe { cell.cast::<u8>().write_bytes(SECRET, cell.len()) };
    for tainted in [false, true] {
        let lin = Lin::new_in(Pages::new());
        let marked = Lin::with_headers_in(Pages::new());
        let pool = Pool::new_in(CELL, Pages::new());
        let heap = Heap::new_in(Pages::new());
        if tainted {
            lin.taint();
            marked.taint();
            pool.taint();
            heap.taint();
        }
        for _ in 0..1000 {
            write(lin.alloc(CELL).expect("room"));
            write(marked.alloc(CELL).expect("room"));
            write(pool.alloc().expect("room"));
            write(heap.alloc(CELL).expect("room"));
        }
        drop((lin, marked, pool, heap));
        assert_eq!(leaves(SECRET), !tainted, "what is not tainted stays until the pages are used again");
    }
    let source = Pages::new();
    let block = source.alloc(Layout::new::<u8>()).expect("room");
    write(block);
    unsafe { source.shred(block.cast(), Layout::new::<u8>()) }.expect("kept");
    assert_eq!(Kept.bytes(), block.len());
    assert!(!leaves(SECRET), "all that was granted is destroyed, not only what was asked for");
}

/// A child with no more addresses than it has now gets what is kept in other lengths.
#[cfg(target_os = "linux")]
#[test]
fn what_is_kept_goes_before_the_system_says_no_room() {
    let _alone = alone();
    let source = Pages::new();
    let blocks: Vec<_> = (0..16).map(|_| source.alloc(pages(16)).expect("room").cast::<u8>()).collect();
    for block in blocks {
        unsafe { source.free(block, pages(16)) }.expect("kept");
    }
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let none = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        let well = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const none) } == 0
            && Native.map(1).is_err()
            && source.alloc(pages(16)).is_ok()
            && source.alloc(pages(200)).is_err()
            && Kept.bytes() == 0;
        unsafe { libc::_exit(libc::c_int::from(!well)) };
    }
    assert!(pid > 0, "no fork");
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
}

#[test]
fn what_is_no_run_of_whole_pages_is_refused() {
    let _alone = alone();
    let page = Kept.page_size();
    let run = Kept.map(2 * page).expect("pages");
    for (skip, len) in [(16, page), (0, 0)] {
        let start = unsafe { run.start.add(skip) };
        assert!(unsafe { Kept.unmap(start, len) }.is_err(), "{len} bytes from {skip} on");
    }
    assert_eq!(Kept.runs(), 0);
    unsafe { Kept.unmap(run.start, run.len) }.expect("whole pages");
}

#[test]
#[cfg(feature = "shred")]
fn a_large_block_of_a_tree_s_region_is_destroyed_to_its_last_byte() {
    let _alone = alone();
    let region = Reuse::new_in(Pages::new());
    let layout = Layout::from_size_align(40_000, 8).expect("a layout");
    let block = region.alloc(layout).expect("room");
    unsafe { block.cast::<u8>().write_bytes(7, block.len()) };
    unsafe { region.shred(block.cast(), layout) }.expect("taken back");
    let again = Kept.map(block.len()).expect("pages");
    assert_eq!(again.start, block.cast(), "the same pages");
    let left = (0..again.len).filter(|at| unsafe { again.start.add(*at).read() } != 0).count();
    assert_eq!(left, 0);
}

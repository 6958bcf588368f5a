//! The feature `hardened`: each misuse is done by this program run again, which must end at it and say why; and what is
//! handed out next is not what was just freed, nor the same in two runs.
#![cfg(all(feature = "hardened", feature = "std", target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block, reason = "most of it is wrong")]

use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashSet;
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::ptr::{self, NonNull};

use kmem::{Cond, Global, GlobalHeap, Source, Store};

#[global_allocator]
static HEAP: GlobalHeap = GlobalHeap::new();

/// Lengths of a cell, of a run of slices that waits when it is freed, of one that does not, and of pages of their own.
const CELL: usize = 100;
const RUN: usize = 100_000;
const LONG_RUN: usize = 300_000;
const PAGES: usize = 9 << 20;
const ALL: [usize; 4] = [CELL, RUN, LONG_RUN, PAGES];

const TWICE: &str = "a block is freed twice";
const FOREIGN: &str = "what is freed is no live block of this heap";
const INSIDE: &str = "what is freed is inside a block";
const SIZE: &str = "a block is freed with another size than it has";
const PAST: &str = "a block was written to past its end";
const AFTER: &str = "a block was written to after it was freed";

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 1).expect("a layout")
}

fn take(size: usize) -> *mut u8 {
    let block = unsafe { HEAP.alloc(bytes(size)) };
    assert!(!block.is_null());
    block
}

fn free(block: *mut u8, size: usize) {
    unsafe { HEAP.dealloc(block, bytes(size)) };
}

/// The address is what counts, and nobody is to know where it came from.
fn write(block: *mut u8, offset: usize) {
    let at = black_box(block.wrapping_add(offset));
    unsafe { at.write_volatile(at.read_volatile() ^ 0x55) };
}

fn free_twice(size: usize) {
    let block = take(size);
    free(block, size);
    free(block, size);
}

fn write_past(size: usize, offset: usize) {
    let block = take(size);
    write(block, size + offset);
    free(block, size);
}

/// Frees others until what was freed first need wait no more.
fn wear() {
    for _ in 0..1000 {
        free(take(40), 40);
    }
}

fn write_freed(size: usize, offset: usize) {
    let block = take(size);
    free(block, size);
    write(block, offset);
    wear();
}

/// A name, what is done, and what is said of it.
const MISUSES: &[(&str, fn(), &str)] = &[
    ("a cell is freed twice", || free_twice(CELL), TWICE),
    ("a run is freed twice", || free_twice(RUN), TWICE),
    ("a long run is freed twice", || free_twice(LONG_RUN), FOREIGN),
    ("pages are freed twice", || free_twice(PAGES), FOREIGN),
    ("an aligned cell is freed twice", twice_aligned, TWICE),
    ("a cell is freed twice, with many between", twice_late, "a block is freed twice"),
    ("a cell is freed by two threads", twice_elsewhere, TWICE),
    ("a cell is freed at its second unit", || free(take(CELL).wrapping_add(16), CELL), INSIDE),
    ("a cell is freed at its second byte", || free(take(CELL).wrapping_add(1), CELL), INSIDE),
    ("a run is freed at its second page", || free(take(RUN).wrapping_add(4096), RUN), INSIDE),
    ("pages are freed at their second", || free(take(PAGES).wrapping_add(4096), PAGES), INSIDE),
    ("a variable is freed", || free((&raw mut *black_box(&mut [0_u8; CELL])).cast(), CELL), FOREIGN),
    ("a constant is freed", || free(black_box(b"constant").as_ptr().cast_mut(), 8), FOREIGN),
    ("an address that is nowhere is freed", || free(ptr::without_provenance_mut(0x1234_5678_9ab0), CELL), FOREIGN),
    ("a head is freed", || free(head_of(take(CELL)), CELL), FOREIGN),
    ("a cell is freed one byte shorter", || free(take(CELL), CELL - 1), SIZE),
    ("a cell is freed as pages", || free(take(CELL), PAGES), SIZE),
    ("a run is freed as a cell", || free(take(RUN), CELL), SIZE),
    ("pages are freed as a run", || free(take(PAGES), RUN), SIZE),
    ("a cell is resized as another", resize_as_another, SIZE),
    ("a byte behind a cell is written", || write_past(CELL, 0), PAST),
    ("a byte behind a cell of a whole class is written", || write_past(112, 0), PAST),
    ("the eighth byte behind a cell is written", || write_past(CELL, 7), PAST),
    ("a byte behind nothing is written", || write_past(0, 0), PAST),
    ("a byte behind a run is written", || write_past(RUN, 0), PAST),
    ("a byte behind pages is written", || write_past(PAGES, 0), PAST),
    ("a byte behind a block is written before it grows", past_then_grow, PAST),
    ("the first byte of a freed cell is written", || write_freed(CELL, 0), AFTER),
    ("the last byte of a freed cell is written", || write_freed(CELL, CELL - 1), AFTER),
    ("a freed run is written", || write_freed(RUN, RUN / 2), AFTER),
    ("a freed cell is written, and its thread ends", after_thread, AFTER),
    ("a freed cell is written, and all is given back", after_purge, AFTER),
];

/// What ends with a fault, as nobody may touch it.
const FAULTS: &[(&str, fn())] = &[
    ("behind pages", || write(take(PAGES), PAGES.next_multiple_of(4096) + 4096)),
    ("in front of pages", || write(take(PAGES).wrapping_sub(1), 0)),
    ("freed pages", || {
        let block = take(PAGES);
        free(block, PAGES);
        write(block, 0);
    }),
    ("behind what pages grew to", || {
        let block = unsafe { HEAP.realloc(take(PAGES), bytes(PAGES), 2 * PAGES) };
        (0..2 * PAGES).step_by(4096).for_each(|at| write(block, at));
        write(block, 2 * PAGES + 4096);
    }),
    ("behind what pages shrank to", || {
        let block = unsafe { HEAP.realloc(take(2 * PAGES), bytes(2 * PAGES), PAGES) };
        (0..PAGES).step_by(4096).for_each(|at| write(block, at));
        write(block, PAGES + 4096);
    }),
    ("behind pages that another had", || {
        free(take(2 * PAGES), 2 * PAGES);
        let size = PAGES + PAGES / 2;
        let block = take(size);
        (0..size).step_by(4096).for_each(|at| write(block, at));
        write(block, size + 4096);
    }),
    ("in front of the first cells of a segment", || write(head_of(take(CELL)), (64 << 10) - 1)),
    ("at the end of a segment", || write(head_of(take(CELL)), (4 << 20) - 1)),
];

/// Where the segment begins that an address is in.
fn head_of(block: *mut u8) -> *mut u8 {
    block.map_addr(|at| at & !((4 << 20) - 1))
}

fn twice_aligned() {
    let layout = Layout::from_size_align(CELL, 256).expect("a layout");
    let block = unsafe { HEAP.alloc(layout) };
    unsafe { HEAP.dealloc(block, layout) };
    unsafe { HEAP.dealloc(block, layout) };
}

/// By then the cell waits no more, but it is not live again.
fn twice_late() {
    let block = take(CELL);
    free(block, CELL);
    wear();
    free(block, CELL);
}

fn twice_elsewhere() {
    let block = take(CELL).expose_provenance();
    let free = move || free(ptr::with_exposed_provenance_mut(block), CELL);
    std::thread::spawn(free).join().expect("the first may");
    free();
}

fn resize_as_another() {
    let _ = unsafe { HEAP.realloc(take(CELL), bytes(CELL + 1), 200) };
}

fn past_then_grow() {
    let block = take(CELL);
    write(block, CELL);
    let _ = unsafe { HEAP.realloc(block, bytes(CELL), 10 * CELL) };
}

fn after_thread() {
    let work = || {
        let block = take(CELL);
        free(block, CELL);
        write(block, 0);
    };
    drop(std::thread::spawn(work).join());
}

fn after_purge() {
    let block = take(CELL);
    free(block, CELL);
    write(block, 0);
    HEAP.purge();
}

const NAMED: &str = "KMEM_MISUSE";

/// This program, told what to do.
fn again(name: &str) -> Output {
    let program = std::env::current_exe().expect("the program has a place");
    let test = ["--exact", "every_misuse_ends_the_program", "--nocapture", "--test-threads=1"];
    Command::new(program).args(test).env(NAMED, name).output().expect("it can be run again")
}

#[test]
fn every_misuse_ends_the_program() {
    if let Ok(name) = std::env::var(NAMED) {
        if name == ORDER {
            return print_order();
        }
        let misuses = MISUSES.iter().map(|(known, work, _)| (known, work));
        let mut all = misuses.chain(FAULTS.iter().map(|(known, work)| (known, work)));
        let (_, work) = all.find(|(known, _)| **known == name).expect("a misuse of this name");
        return work();
    }
    let mut unseen = Vec::new();
    for (name, _, message) in MISUSES {
        let output = again(name);
        let words = String::from_utf8_lossy(&output.stderr);
        if output.status.signal() != Some(libc::SIGABRT) || !words.contains(&format!("kmem: {message}\n")) {
            unseen.push((name, output.status, words.into_owned()));
        }
    }
    for (name, _) in FAULTS {
        let output = again(name);
        if output.status.signal() != Some(libc::SIGSEGV) {
            unseen.push((name, output.status, String::from_utf8_lossy(&output.stderr).into_owned()));
        }
    }
    assert!(unseen.is_empty(), "not seen: {unseen:#?}");
}

#[test]
fn the_checked_face_refuses_and_goes_on() {
    for size in ALL {
        let layout = bytes(size);
        let block: NonNull<u8> = Source::alloc(&Global, layout).expect("room").cast();
        assert_eq!(Global.locate(block).map(|found| found.size), Ok(size));
        let inside = unsafe { block.add(16) };
        assert_eq!(unsafe { Source::free(&Global, inside, layout) }, Err(Cond::BadAddress));
        // What is written over is the caller's to know of; once it is as it was, so is the block.
        write(block.as_ptr(), size);
        assert_eq!(unsafe { Source::free(&Global, block, layout) }, Err(Cond::FailAssert), "{size}");
        assert_eq!(unsafe { Source::resize(&Global, block, layout, bytes(2 * size)) }, Err(Cond::FailAssert));
        write(block.as_ptr(), size);
        assert_eq!(unsafe { Source::free(&Global, block, layout) }, Ok(()));
        assert_eq!(unsafe { Source::free(&Global, block, layout) }, Err(Cond::BadAddress));
        assert_eq!(unsafe { Global.release(block, false) }, Err(Cond::BadAddress));
    }
    let mut foreign = [0_u8; 64];
    let foreign = NonNull::from(&mut foreign).cast();
    assert_eq!(unsafe { Source::free(&Global, foreign, bytes(64)) }, Err(Cond::BadAddress));
    assert_eq!(Global.check(), Ok(()));
}

#[test]
fn a_block_has_the_length_that_was_asked_for() {
    for align in [1, 16, 32, 512, 4096] {
        for size in (0..3000).step_by(7).chain([30_000, 32_760, 32_761, 32_768, RUN, LONG_RUN, 65_536, PAGES]) {
            let layout = Layout::from_size_align(size, align).expect("a layout");
            let block = NonNull::new(unsafe { HEAP.alloc_zeroed(layout) }).expect("room");
            let found = Global.locate(block).expect("it is live");
            assert_eq!((found.size, block.addr().get() % align), (size, 0));
            let whole = unsafe { NonNull::slice_from_raw_parts(block, size).as_mut() };
            assert!(whole.iter().all(|byte| *byte == 0), "{layout:?}");
            whole.fill(0xff);
            let more = size + size / 4 + 1;
            let moved = unsafe { HEAP.realloc(block.as_ptr(), layout, more) };
            let kept = unsafe { std::slice::from_raw_parts(moved, size) };
            assert!(kept.iter().all(|byte| *byte == 0xff), "{layout:?}");
            unsafe { HEAP.dealloc(moved, Layout::from_size_align(more, align).expect("a layout")) };
        }
    }
    assert_eq!(Global.check(), Ok(()));
}

#[test]
fn what_is_freed_is_not_handed_out_next() {
    let mut latest = HashSet::with_capacity(1000);
    for _ in 0..100 {
        let block = take(CELL);
        assert!(latest.insert(block.addr()), "it came back while it should wait");
        free(block, CELL);
    }
}

const ORDER: &str = "order";

/// How far from the first cell each is that comes after it.
fn print_order() {
    let first = take(CELL).addr();
    let order: Vec<isize> = (0..64).map(|_| take(CELL).addr().wrapping_sub(first).cast_signed()).collect();
    println!("{order:?}");
}

#[test]
fn two_runs_hand_out_cells_in_different_orders() {
    let order = || {
        let output = String::from_utf8(again(ORDER).stdout).expect("text");
        let (_, rest) = output.split_once('[').expect("an order");
        let (order, _) = rest.split_once(']').expect("an end");
        order.split(", ").map(|far| far.parse().expect("a number")).collect::<Vec<isize>>()
    };
    let orders = [order(), order()];
    // Of 64 cells out of some hundred; by chance they would not be the same once in the age of the universe.
    assert_ne!(orders[0], orders[1]);
    assert!(orders.iter().all(|order| !order.is_sorted() && !order.is_sorted_by(|one, other| one > other)));
}

/// Those that came back last would be the first on the list of their span.
#[test]
fn what_came_back_is_not_handed_out_in_the_opposite_order() {
    const COUNT: usize = 500;
    const SIZE: usize = 100;
    let blocks: Vec<_> = (0..COUNT).map(|_| take(SIZE)).collect();
    blocks.iter().for_each(|block| free(*block, SIZE));
    let again: Vec<_> = (0..COUNT).map(|_| take(SIZE)).collect();
    let place = |block| blocks.iter().position(|other| *other == block);
    let steps = again.iter().map(|block| place(*block)).collect::<Vec<_>>();
    let foretold = steps.windows(2).filter(|pair| matches!(pair, [Some(one), Some(next)] if *one == next + 1)).count();
    assert!(foretold < COUNT / 4, "{foretold} of {COUNT}");
    again.into_iter().for_each(|block| free(block, SIZE));
}

#[test]
fn blocks_that_wait_are_given_back_with_the_rest() {
    std::thread::spawn(|| {
        for size in ALL {
            let blocks: Vec<*mut u8> = (0..20).map(|_| take(size)).collect();
            blocks.into_iter().for_each(|block| free(block, size));
        }
        assert_eq!(Global.check(), Ok(()));
        HEAP.purge();
        assert_eq!(Global.check(), Ok(()));
    })
    .join()
    .expect("it ends well");
}

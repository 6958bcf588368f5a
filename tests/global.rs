//! The process heap as the program's global allocator: of this one.
#![cfg(feature = "platform")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "each block is used and freed by the lines that took it"
)]

use std::alloc::{GlobalAlloc, Layout, alloc_zeroed, dealloc};
use std::collections::{BTreeMap, HashMap};
use std::ptr::NonNull;

use kmem::{Global, Kind, Source, Store};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[global_allocator]
static ALLOCATOR: Global = Global;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a possible layout")
}

#[test]
fn what_a_program_allocates_is_in_the_process_heap() {
    // Other tests allocate at the same time, but nothing of this size.
    const SIZE: usize = (3 << 20) + 12_345;
    let large = vec![7_u8; SIZE];
    let place = NonNull::from(large.as_slice()).cast();
    let found = || Global.locate(place).is_ok_and(|found| (found.kind, found.size) == (Kind::Heap, SIZE));
    assert!(found());
    assert!(large.iter().all(|byte| *byte == 7));
    drop(large);
    assert!(!found());
    assert_eq!(Global.check(), Ok(()));
}

#[test]
fn collections_keep_what_is_put_in_them() {
    let mut map = BTreeMap::new();
    let mut table = HashMap::new();
    for number in 0..5000_usize {
        let text = "x".repeat(number % 97);
        map.insert(number, text.clone());
        table.insert(text, number);
        if number % 3 == 0 {
            map.remove(&(number / 2));
        }
    }
    assert!(map.iter().all(|(number, text)| text.len() == number % 97));
    assert!(table.iter().all(|(text, number)| text.len() == number % 97));
    assert_eq!(Global.check(), Ok(()));
}

#[test]
fn every_size_and_alignment_is_met() {
    for align in (0..=16).map(|power| 1 << power) {
        for size in [1, 7, 8, 63, 64, 1000, 70_000, 200_000] {
            let layout = layout(size, align);
            let block = unsafe { GlobalAlloc::alloc(&Global, layout) };
            assert!(!block.is_null() && block.addr().is_multiple_of(align), "{layout:?}");
            unsafe { block.write_bytes(0xa5, size) };
            unsafe { GlobalAlloc::dealloc(&Global, block, layout) };
        }
    }
    assert_eq!(Global.check(), Ok(()));
}

#[test]
fn zeroed_means_zero_where_other_bytes_were_before() {
    for size in [5, 100, 5000, 300_000] {
        let dirty = vec![0xff_u8; size];
        drop(dirty);
        let layout = layout(size, 8);
        let block = unsafe { alloc_zeroed(layout) };
        let bytes = unsafe { core::slice::from_raw_parts(block, size) };
        assert!(bytes.iter().all(|byte| *byte == 0), "{size}");
        unsafe { dealloc(block, layout) };
    }
}

#[test]
fn a_block_that_grows_and_shrinks_keeps_its_bytes_and_alignment() {
    for align in [1, 16, 64, 4096] {
        let mut size = 10;
        let mut block = unsafe { GlobalAlloc::alloc(&Global, layout(size, align)) };
        for (number, next) in [200, 31, 9000, 8999, 400_000, 500_000, 10, 1].into_iter().enumerate() {
            let mark = u8::try_from(number + 1).expect("few");
            unsafe { block.write_bytes(mark, size) };
            block = unsafe { GlobalAlloc::realloc(&Global, block, layout(size, align), next) };
            assert!(!block.is_null() && block.addr().is_multiple_of(align));
            let kept = unsafe { core::slice::from_raw_parts(block, size.min(next)) };
            assert!(kept.iter().all(|byte| *byte == mark), "from {size} to {next} at {align}");
            size = next;
        }
        unsafe { GlobalAlloc::dealloc(&Global, block, layout(size, align)) };
    }
    assert_eq!(Global.check(), Ok(()));
}

#[test]
fn what_cannot_be_had_is_null_and_the_block_stays() {
    let most = isize::MAX as usize;
    assert!(unsafe { GlobalAlloc::alloc(&Global, layout(most, 1)) }.is_null());
    assert!(unsafe { GlobalAlloc::alloc_zeroed(&Global, layout(most, 1)) }.is_null());
    let small = layout(40, 8);
    let block = unsafe { GlobalAlloc::alloc(&Global, small) };
    unsafe { block.write_bytes(0x3c, 40) };
    for size in [most - 7, most, usize::MAX] {
        // With the last two no layout can be made at all, which a caller must not ask for; it is refused.
        assert!(unsafe { GlobalAlloc::realloc(&Global, block, small, size) }.is_null());
    }
    let bytes = unsafe { core::slice::from_raw_parts(block, 40) };
    assert!(bytes.iter().all(|byte| *byte == 0x3c));
    unsafe { GlobalAlloc::dealloc(&Global, block, small) };
    let mut text = String::from("still here");
    assert!(text.try_reserve(most).is_err());
    assert_eq!(text, "still here");
}

#[test]
#[cfg(not(target_arch = "wasm32"))]
fn threads_allocate_and_free_what_others_allocated() {
    let (send, receive) = std::sync::mpsc::channel::<Vec<u64>>();
    let makers: Vec<_> = (0..4_u64)
        .map(|maker| {
            let send = send.clone();
            std::thread::spawn(move || {
                for number in 0..2000 {
                    let len = usize::try_from(number % 300).expect("few") + 1;
                    send.send(vec![maker * 10_000 + number; len]).expect("somebody listens");
                }
            })
        })
        .collect();
    drop(send);
    let mut count = 0;
    for numbers in receive {
        assert!(numbers.iter().all(|number| *number == numbers[0]));
        count += 1;
    }
    makers.into_iter().for_each(|maker| maker.join().expect("it ends"));
    assert_eq!(count, 8000);
    assert_eq!(Global.check(), Ok(()));
}

/// What the global allocator's face makes shorter by less than half stays where it is, and still goes back.
#[cfg(not(any(feature = "hardened", target_arch = "wasm32")))]
#[test]
fn a_cell_that_shrinks_a_little_stays_where_it_is() {
    let layout = |size| layout(size, 8);
    for (first, sizes) in
        [(1000, [700, 560, 1000, 512]), (7000, [5000, 3600, 7100, 4000]), (32768, [30700, 17000, 32760, 20000])]
    {
        let block = unsafe { GlobalAlloc::alloc(&Global, layout(first)) };
        unsafe { block.write_bytes(7, first) };
        let mut size = first;
        for new in sizes {
            assert_eq!(unsafe { Global.realloc(block, layout(size), new) }, block, "from {size} to {new}");
            size = new;
            let found = Global.locate(NonNull::new(block).expect("an address")).expect("it is live");
            assert!((size..size * 9 / 4).contains(&found.size), "{size} seen as {}", found.size);
        }
        let moved = unsafe { Global.realloc(block, layout(size), 100) };
        assert_ne!(moved, block, "more than half of it is not needed");
        assert!((0..100).all(|at| unsafe { moved.add(at).read() } == 7));
        assert!(Global.locate(NonNull::new(block).expect("an address")).is_err(), "the old place is free");
        unsafe { Global.dealloc(moved, layout(100)) };
        let short = unsafe { GlobalAlloc::alloc(&Global, layout(first)) };
        let short = unsafe { Global.realloc(short, layout(first), first / 2 + 100) };
        unsafe { Global.dealloc(short, layout(first / 2 + 100)) };
        Global.check().expect("sound");
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn what_is_held_is_told_by_class() {
    let classes = || Global.classes();
    // No other test has cells of this class by the hundred.
    let of = |classes: &kmem::Classes| classes.iter().find(|class| class.size >= 6000).expect("a class");
    let before = of(&classes());
    let cells: Vec<Vec<u8>> = (0..200).map(|_| vec![1; 6000]).collect();
    let long = vec![1_u8; 9 << 20];
    let all = classes();
    let with = of(&all);
    assert!(with.live >= before.live + 200 && with.bytes == with.live * with.size, "{with:?}");
    assert!(with.held >= with.bytes + with.free * with.size && with.resident >= 200 * 6000, "{with:?}");
    assert!(with.peak >= with.live && with.resident <= with.held, "{with:?}");
    assert!(all.long().bytes >= long.len() && all.total().bytes >= long.len() + with.bytes);
    assert!(all.resident() >= with.resident + long.len() && all.resident() <= all.total().held, "{all:?}");
    drop((cells, long));
    kmem::GlobalHeap::new().purge();
    let after = of(&classes());
    assert!(after.live < before.live + 100 && after.peak >= with.peak, "{after:?}");
    assert!(after.held < with.held && after.resident <= after.held, "{after:?}");
}

/// What tests of the checked face found once: each of these lost bytes, a secret or the whole program.
#[cfg(not(feature = "hardened"))]
#[test]
fn a_cell_that_shrank_where_it_is_can_be_tainted_and_grow() {
    let block = unsafe { GlobalAlloc::alloc(&Global, layout(48, 8)) };
    let short = unsafe { Global.realloc(block, layout(48, 8), 30) };
    assert_eq!(block, short);
    let place = NonNull::new(short).expect("an address");
    assert!(Global.locate(place).expect("live").size <= 48);
    Global.taint_cell(place).expect("live");
    let grown = unsafe { Global.realloc(short, layout(30, 8), 40) };
    unsafe { Global.dealloc(grown, layout(40, 8)) };
    assert_eq!(Global.check(), Ok(()));
}

/// By one face it becomes longer where it is, by the other it moves.
#[test]
fn a_block_keeps_its_bytes_from_one_face_to_the_other() {
    let block = Source::alloc(&Global, layout(100, 8)).expect("room").cast::<u8>();
    let longer = NonNull::new(unsafe { GlobalAlloc::realloc(&Global, block.as_ptr(), layout(100, 8), 110) });
    let longer = longer.expect("room");
    unsafe { longer.write_bytes(7, 110) };
    let moved = unsafe { Source::resize(&Global, longer, layout(110, 8), layout(500, 8)) }.expect("room").cast::<u8>();
    assert!((0..110).all(|at| unsafe { moved.add(at).read() } == 7));
    unsafe { Source::free(&Global, moved, layout(500, 8)) }.expect("taken back");
}

/// Even where all that was asked for is written to.
#[test]
fn an_alignment_that_was_asked_for_is_told() {
    for align in (4..=10).map(|power| 1 << power) {
        for size in [0, 1, align - 1, align, 3 * align + 1, 5000] {
            let block = Source::alloc(&Global, layout(size, align)).expect("room").cast::<u8>();
            unsafe { block.write_bytes(0xff, size) };
            let found = Global.locate(block).expect("a live block");
            assert_eq!((found.size, found.align), (size, align));
            unsafe { Source::free(&Global, block, layout(size, align)) }.expect("taken back");
        }
    }
}

#[test]
fn a_tainted_cell_keeps_its_bytes_through_every_length() {
    let block = unsafe { GlobalAlloc::alloc(&Global, layout(100, 8)) };
    Global.taint_cell(NonNull::new(block).expect("an address")).expect("live");
    let block = unsafe { Global.realloc(block, layout(100, 8), 40) };
    let block = unsafe { Global.realloc(block, layout(40, 8), 46) };
    unsafe { block.write_bytes(7, 46) };
    let block = unsafe { Global.realloc(block, layout(46, 8), 300) };
    assert!((0..46).all(|at| unsafe { block.add(at).read() } == 7));
    unsafe { Global.dealloc(block, layout(300, 8)) };
}

#[cfg(feature = "shred")]
#[test]
fn a_tainted_run_that_shrinks_leaves_no_secret() {
    let (long, short) = (layout(240 << 10, 8), layout(100 << 10, 8));
    let block = Source::alloc(&Global, long).expect("room").cast::<u8>();
    Global.taint_cell(block).expect("live");
    unsafe { block.write_bytes(0x5a, long.size()) };
    let kept = unsafe { Global.resize(block, long, short) }.expect("shorter").cast::<u8>();
    let next = Source::alloc(&Global, short).expect("room").cast::<u8>();
    // One alone may be anybody's: the memory may have been another test's before.
    let mut row = 0;
    for at in 0..short.size() {
        row = if unsafe { next.add(at).read_volatile() } == 0x5a { row + 1 } else { 0 };
        assert!(row < 64, "a row that ends at {at}");
    }
    unsafe { Source::free(&Global, kept, short) }.expect("live");
    unsafe { Source::free(&Global, next, short) }.expect("live");
}

/// Long blocks end where segments begin, and what stands in them may look like the front of a block. Where there are
/// threads, other tests may have a block just there.
#[cfg(target_arch = "wasm32")]
#[test]
fn where_a_part_of_the_address_space_begins_there_is_no_block() {
    const PART: usize = 256 << 10;
    let long: Vec<_> = (0..4).map(|_| vec![0x8000_0001_u32; 65_520]).collect();
    let short: Vec<_> = (0..2000).map(|_| vec![0x8000_0001_u32; 100]).collect();
    for part in long.iter().map(|block| block.as_ptr().addr()).chain(short.iter().map(|block| block.as_ptr().addr())) {
        for start in [part & !(PART - 1), part.next_multiple_of(PART)] {
            let known = |blocks: &[Vec<u32>]| blocks.iter().any(|block| block.as_ptr().addr() == start);
            let address = NonNull::new(core::ptr::without_provenance_mut::<u8>(start)).expect("an address");
            assert!(known(&long) || known(&short) || Global.locate(address).is_err(), "{start:x}");
        }
    }
}

//! Addresses that may be live or not, and sums, while other threads allocate and free: by safe functions only, which
//! may be given anything at any time.
#![cfg(all(unix, feature = "std"))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "each block is freed once by the lines that took it"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::thread;

use kmem::{Decay, Global, GlobalHeap, Store};

static HEAP: GlobalHeap = GlobalHeap::new().decay(Decay::AtOnce);
const BLOCKS: usize = 40;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a layout")
}

/// Takes and frees again and again, and shows one of the addresses to a thread that looks at it all the while.
fn beside(size: usize, rounds: usize, purge: usize, look: impl Fn(NonNull<u8>) + Sync) {
    let (over, shown) = (AtomicBool::new(false), AtomicPtr::new(ptr::null_mut()));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let Some(address) = NonNull::new(shown.load(Ordering::Relaxed)) {
                    (0..50).for_each(|_| look(address));
                }
                thread::yield_now();
            }
        });
        for round in 0..rounds {
            let blocks: [*mut u8; BLOCKS] = std::array::from_fn(|_| unsafe { HEAP.alloc(layout(size)) });
            shown.store(blocks[round % BLOCKS], Ordering::Relaxed);
            blocks.iter().for_each(|block| unsafe { block.write_bytes(0xff, size.min(64)) });
            blocks.iter().for_each(|block| unsafe { HEAP.dealloc(*block, layout(size)) });
            if round % purge == 0 {
                HEAP.purge();
                Global.check().expect("sound");
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_is_asked_of_a_freed_address_is_refused_or_of_who_has_it_now() {
    let taint = |address| {
        let _ = Global.taint_cell(address);
    };
    let locate = |address| {
        let _ = Global.locate(address);
    };
    for size in [48, 700, 5000, 90_000, 500_000] {
        let rounds = 20_000_usize.min(30_000_000 / size);
        beside(size, rounds, 100, taint);
        beside(size, rounds, 100, locate);
    }
}

#[test]
fn sums_are_told_while_segments_come_and_go() {
    beside(400_000, 1000, 10, |_| {
        let stats = HEAP.stats();
        assert!(stats.peak >= stats.bytes);
        assert!(HEAP.classes().iter().all(|class| class.peak >= class.live));
    });
}

//! What comes home to a part of the process heap that no thread has.
#![cfg(all(unix, feature = "std"))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "each block is freed once, by who it was given to"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::{Barrier, mpsc};
use std::thread;

use kmem::GlobalHeap;

static HEAP: GlobalHeap = GlobalHeap::new();
const FREERS: usize = 3;
const BLOCKS: usize = 1000;

struct Block(*mut u8);

unsafe impl Send for Block {}

/// Several threads free at once what a thread made that is no more: one of them looks its mail through while others
/// send more.
#[test]
fn what_is_freed_when_its_owner_has_ended_is_taken_in() {
    const LAYOUT: Layout = Layout::new::<[u64; 128]>();
    for _ in 0..200 {
        let begin = Barrier::new(FREERS + 1);
        thread::scope(|scope| {
            let (senders, freers): (Vec<_>, Vec<_>) = (0..FREERS)
                .map(|_| {
                    let (send, receive) = mpsc::channel::<Block>();
                    let freer = scope.spawn(|| {
                        // With a part of its own, before the owner's is vacant.
                        unsafe { HEAP.dealloc(HEAP.alloc(LAYOUT), LAYOUT) };
                        begin.wait();
                        let blocks: Vec<Block> = receive.into_iter().collect();
                        blocks.into_iter().for_each(|block| unsafe { HEAP.dealloc(block.0, LAYOUT) });
                    });
                    (send, freer)
                })
                .unzip();
            let owner = scope.spawn(move || {
                for number in 0..FREERS * BLOCKS {
                    let block = Block(unsafe { HEAP.alloc(LAYOUT) });
                    senders[number % FREERS].send(block).expect("who waits for it");
                }
                senders
            });
            begin.wait();
            drop(owner.join().expect("no panic"));
            // What a scope waits for itself is only that they have returned, and not that they have ended.
            freers.into_iter().for_each(|freer| freer.join().expect("no panic"));
        });
        assert_eq!(HEAP.stats().live, 0, "all came home");
    }
}

//! `GlobalHeap` as the global allocator of this program, whose memory stays flat where that of others grew.
#![cfg(feature = "platform")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use kmem::{Decay, GlobalHeap};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// What is kept for a while would be taken for lost.
#[global_allocator]
static HEAP: GlobalHeap = GlobalHeap::new().decay(Decay::AtOnce);

/// Bytes that the program has from the system for what it allocates.
fn held() -> usize {
    #[cfg(target_arch = "wasm32")]
    {
        core::arch::wasm32::memory_size::<0>() * 65536
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        HEAP.stats().held
    }
}

/// By how much it may differ without anything being lost.
const SLACK: usize = 12 << 20;

/// What is held is the process's: one test at a time, each from what is needed.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    HEAP.purge();
    guard
}

/// What a program keeps that allocates and frees two sizes in turns: wee_alloc lost a block in each.
#[test]
fn two_sizes_in_turns_lose_nothing() {
    let _alone = alone();
    let turn = || {
        for size in [85_196, 80_000] {
            let block = vec![1_u8; size];
            assert_eq!(block[size - 1], 1);
        }
    };
    turn();
    let before = held();
    for _ in 0..2000 {
        turn();
    }
    assert!(held() <= before + SLACK, "from {before} to {}", held());
}

/// A vector that grows while small blocks are made between can never grow where it is: talc left each of its places
/// behind, and took ever more memory.
#[test]
fn a_vector_that_grows_between_small_blocks_leaves_its_places_to_others() {
    let _alone = alone();
    const WORDS: usize = 1 << 20;
    const BYTES: usize = WORDS * size_of::<u64>();
    let start = held();
    let mut first = 0;
    for round in 0..20 {
        let mut small = Vec::new();
        let mut large = Vec::new();
        for number in 0..WORDS {
            large.push(number as u64);
            if number % 64 == 0 {
                small.push(Box::new(number));
            }
        }
        assert!(small.iter().all(|number| large[**number] == **number as u64));
        assert!(held() <= start + 4 * BYTES + SLACK, "{} in round {round}", held());
        drop(large);
        drop(small);
        if round == 0 {
            first = held();
        }
    }
    assert!(held() <= first + SLACK, "from {first} to {}", held());
}

/// The same by small steps, each of which may need another place.
#[test]
fn a_block_that_grows_by_little_leaves_its_places_to_others() {
    let _alone = alone();
    let before = held();
    let mut small = Vec::new();
    let mut text = String::new();
    for number in 0..4000 {
        text.reserve_exact(1000);
        text.extend(core::iter::repeat_n('x', 1000));
        small.push(vec![number; 10]);
    }
    assert_eq!(text.len(), 4_000_000);
    assert!(held() <= before + 4 * text.len() + SLACK, "from {before} to {}", held());
}

/// Holes between blocks that stay are found by blocks of the size that left them.
#[test]
fn holes_are_found_by_what_left_them() {
    let _alone = alone();
    const COUNT: usize = 40_000;
    let block = || Some(vec![7_u8; 1024]);
    let mut blocks: Vec<Option<Vec<u8>>> = (0..COUNT).map(|_| block()).collect();
    let before = held();
    for _ in 0..5 {
        blocks.iter_mut().step_by(2).for_each(|block| drop(block.take()));
        blocks.iter_mut().step_by(2).for_each(|place| *place = block());
    }
    assert!(held() <= before + SLACK, "from {before} to {}", held());
    assert!(blocks.iter().all(|block| block.as_ref().is_some_and(|block| block[1023] == 7)));
}

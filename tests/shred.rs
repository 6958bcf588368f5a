//! Shredding, by looking at the memory afterwards: at the places of cells that have gone, and for a
//! secret anywhere in what stores had.
//!
//! The sanitizer forbids to look there, so these tests are not for it.
#![cfg(not(kmem_asan))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test states one reason for a row of calls"
)]
#![allow(clippy::cast_possible_truncation, reason = "a choice is a small number")]

#[path = "model/arena.rs"]
mod arena;
#[cfg(feature = "shred")]
#[allow(dead_code, reason = "the random models use the rest")]
#[path = "model/dice.rs"]
mod dice;
#[cfg(feature = "shred")]
#[path = "model/secrets.rs"]
mod secrets;

use core::alloc::Layout;
use core::ptr::NonNull;

use kmem::{Heap, Lin, MIN_ALIGN, Pool};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use arena::{Arena, left, write_secret};

/// A payload of some lines.
const SIZE: usize = 200;
const CELL: Layout = match Layout::from_size_align(SIZE, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("a layout"),
};

fn filled(bytes: NonNull<[u8]>) -> NonNull<u8> {
    write_secret(bytes.cast(), bytes.len());
    bytes.cast()
}

/// What is not tainted is left alone, so that looking at the memory does show something.
#[test]
fn what_is_not_tainted_stays() {
    for arena in Arena::both(2 << 20) {
        let mut lin = Lin::new_in(&arena);
        let cells = [(); 3].map(|()| filled(lin.alloc(CELL).expect("room")));
        let pool = Pool::new_in(CELL, &arena);
        let cell = filled(pool.alloc().expect("room"));
        let heap = Heap::new_in(&arena);
        let block = filled(heap.alloc(CELL).expect("room"));
        // SAFETY: live cells of their stores, used no more.
        unsafe {
            lin.free(cells[1], CELL).expect("live");
            pool.free(cell).expect("live");
            heap.free(block).expect("live");
        }
        lin.reset();
        assert_eq!(cells.map(|cell| left(cell, SIZE)), [SIZE; 3]);
        // A free cell has a link in it, a free block its size and links.
        assert!(left(cell, SIZE) >= SIZE - 8 && left(block, SIZE) >= SIZE - 40);
        drop((lin, pool, heap));
        assert!(arena.secrets() > 5 * (SIZE - 60));
        assert_eq!(arena.live(), 0);
    }
}

/// The feature takes no room when it is on, and leaves no mark when it is off.
#[test]
fn headers_are_as_large_with_and_without_the_feature() {
    assert_eq!(size_of::<kmem::Cell>(), MIN_ALIGN);
    assert_eq!(size_of::<kmem::PoolCell>(), MIN_ALIGN);
    assert_eq!(size_of::<kmem::Ptr>(), 2 * MIN_ALIGN);
    assert_eq!(size_of::<kmem::RefCell>(), 2 * MIN_ALIGN);
    assert_eq!(size_of::<kmem::Node>(), 4 * MIN_ALIGN);
}

/// With the feature off a pointer cannot be tainted, and releasing static memory never writes to it.
#[cfg(not(feature = "shred"))]
#[test]
fn without_the_feature_nothing_is_wiped() {
    let mut bytes = [7_u8; 64];
    let ptr = kmem::stat(bytes.as_mut_ptr(), bytes.len());
    assert!(!ptr.is_tainted());
    // SAFETY: the array is there; nothing is written to it.
    unsafe { kmem::free(ptr) }.expect("static memory");
    assert_eq!(bytes, [7; 64]);
    let arena = Arena::new(1 << 20);
    let heap = Heap::new_in(&arena);
    let ptr = heap.alloc_ptr(CELL).expect("room");
    let at = filled(NonNull::slice_from_raw_parts(NonNull::new(ptr.payload()).expect("an address"), SIZE));
    assert!(!kmem::Store::locate(&heap, at).expect("live").tainted);
    // SAFETY: a live cell, used no more.
    unsafe { kmem::free(ptr) }.expect("live");
    assert!(left(at, SIZE) >= SIZE - 40);
}

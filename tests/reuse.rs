//! A region whose cells are handed out again, alone and under a tree.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "tests act on blocks and nodes that they took themselves a few lines before"
)]

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use kmem::{Cond, Fixed, Reuse, Source, Tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

fn room(len: usize) -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::uninit(); len]
}

fn take<S: Source>(reuse: &Reuse<S>, size: usize) -> NonNull<u8> {
    let block = reuse.alloc(layout(size)).unwrap();
    assert_eq!(block.len(), size);
    unsafe { block.cast::<u8>().write_bytes(0xab, size) };
    reuse.check().unwrap();
    block.cast()
}

fn give<S: Source>(reuse: &Reuse<S>, block: NonNull<u8>, size: usize) {
    unsafe { reuse.free(block, layout(size)) }.unwrap();
    reuse.check().unwrap();
}

#[test]
fn what_came_back_is_handed_out_first_and_to_its_size_only() {
    let mut bytes = room(1 << 16);
    let reuse = Reuse::new_in(Fixed::new(&mut bytes));
    // While something is there, nothing is forgotten.
    take(&reuse, 8);
    let (a, b, c) = (take(&reuse, 40), take(&reuse, 41), take(&reuse, 200));
    give(&reuse, a, 40);
    give(&reuse, c, 200);
    give(&reuse, b, 41);
    assert_ne!(take(&reuse, 64), c);
    assert_eq!(take(&reuse, 48), b);
    assert_eq!(take(&reuse, 33), a);
    assert_eq!(take(&reuse, 196), c);
}

/// Only what is on a list goes the short way, and nothing comes back on it that is worth a rewind.
#[test]
fn what_is_at_hand_is_what_came_back() {
    let mut bytes = room(1 << 18);
    let reuse = Reuse::new_in(Fixed::new(&mut bytes));
    let large = Reuse::<Fixed<'_>>::LARGE + 1;
    let first = take(&reuse, large);
    assert!(!unsafe { reuse.free_if_at_hand(first, layout(large)) }, "it is the source's own");
    let (a, b, c, d) = (take(&reuse, 40), take(&reuse, 40), take(&reuse, 41), take(&reuse, 2000));
    assert_eq!(reuse.alloc_if_at_hand(layout(40)), None);
    assert!(unsafe { reuse.free_if_at_hand(c, layout(41)) });
    reuse.check().unwrap();
    assert!(!unsafe { reuse.free_if_at_hand(d, layout(2000)) }, "that size shares its list");
    assert!(!unsafe { reuse.free_if_at_hand(a, layout(40)) }, "the first is noted");
    assert_eq!(reuse.alloc_if_at_hand(Layout::from_size_align(48, 64).unwrap()), None);
    assert_eq!(reuse.alloc_if_at_hand(layout(16)), None);
    assert_eq!(reuse.alloc_if_at_hand(layout(47)), Some(c));
    assert_eq!(reuse.stats().live, 5);
    give(&reuse, c, 47);
    give(&reuse, d, 2000);
    assert!(!unsafe { reuse.free_if_at_hand(b, layout(40)) }, "the region is all but empty then");
    reuse.check().unwrap();
}

#[test]
fn it_begins_anew_when_all_or_all_but_the_first_have_come_back() {
    let mut bytes = room(1 << 18);
    let reuse = Reuse::new_in(Fixed::new(&mut bytes));
    for keep_first in [false, true] {
        let mut blocks: Vec<_> = (0..1000).map(|i| (take(&reuse, 16 + i % 100), 16 + i % 100)).collect();
        let in_order = blocks.clone();
        // Every other one first, so that the lists are scrambled.
        let first = keep_first.then(|| blocks.remove(0));
        for step in [2, 1] {
            for i in (0..blocks.len()).rev().step_by(step) {
                let (block, size) = blocks.swap_remove(i);
                give(&reuse, block, size);
            }
        }
        assert_eq!(reuse.stats().live, usize::from(keep_first));
        for (place, size) in &in_order[usize::from(keep_first)..] {
            assert_eq!(take(&reuse, *size), *place, "in the order of addresses, as the first time");
        }
        for (block, size) in in_order[usize::from(keep_first)..].iter().chain(&first) {
            give(&reuse, *block, *size);
        }
    }
}

#[test]
fn large_blocks_are_the_sources_own() {
    let mut bytes = room(1 << 20);
    let heap = kmem::Heap::fixed(&mut bytes);
    let reuse = Reuse::new_in(&heap);
    let before = heap.stats().live;
    let block = take(&reuse, 100_000);
    assert_eq!((heap.stats().live, reuse.stats().live), (before + 1, 1));
    let longer = unsafe { reuse.resize(block, layout(100_000), layout(150_000)) }.unwrap();
    assert!((0..100_000).all(|i| unsafe { longer.cast::<u8>().add(i).read() } == 0xab));
    let shorter = unsafe { reuse.resize(longer.cast(), layout(150_000), layout(50)) }.unwrap();
    assert!((0..50).all(|i| unsafe { shorter.cast::<u8>().add(i).read() } == 0xab));
    reuse.check().unwrap();
    give(&reuse, shorter.cast(), 50);
    assert_eq!(reuse.alloc(layout(2 << 20)), Err(Cond::NoRoom));
    drop(reuse);
    assert_eq!(heap.stats().live, before);
}

#[test]
fn blocks_are_aligned_as_asked() {
    let mut bytes = room(1 << 18);
    let reuse = Reuse::new_in(Fixed::new(&mut bytes));
    let mut blocks = Vec::new();
    for round in 0..3 {
        for power in [0, 3, 4, 5, 6, 9] {
            let layout = Layout::from_size_align(72, 1 << power).unwrap();
            let block = reuse.alloc_zeroed(layout).unwrap().cast::<u8>();
            assert!(block.addr().get().is_multiple_of(layout.align()), "round {round}");
            assert!((0..72).all(|i| unsafe { block.add(i).read() } == 0));
            unsafe { block.write_bytes(0xff, 72) };
            blocks.push((block, layout));
        }
        for (block, layout) in blocks.drain(..) {
            unsafe { reuse.free(block, layout) }.unwrap();
        }
        reuse.check().unwrap();
    }
}

/// With size 0 an alignment is possible that with any other is not.
#[test]
fn an_alignment_that_only_nothing_can_have_is_refused() {
    let mut bytes = room(1 << 12);
    let reuse = Reuse::new_in(Fixed::new(&mut bytes));
    let nothing = Layout::from_size_align(0, 1 << (usize::BITS - 1)).unwrap();
    assert_eq!(reuse.alloc(nothing), Err(Cond::BadSize));
    assert_eq!(reuse.alloc_zeroed(nothing), Err(Cond::BadSize));
    reuse.check().unwrap();
}

#[test]
fn what_can_be_had_is_told_when_all_but_the_first_has_come_back() {
    let mut bytes = room(1 << 16);
    let reuse = Reuse::new_in(Fixed::new(&mut bytes));
    take(&reuse, 16);
    let blocks: Vec<_> = core::iter::from_fn(|| reuse.alloc(layout(3000)).ok()).collect();
    assert!(blocks.len() > 10);
    for block in blocks {
        give(&reuse, block.cast(), 3000);
    }
    let largest = reuse.largest().unwrap();
    assert!(largest > 10_000, "{largest}");
    take(&reuse, largest);
}

/// A tree that is built, with this many nodes and the root.
fn grow<S: Source>(tree: &Tree<S>, nodes: usize) -> Vec<NonNull<u8>> {
    let mut all = vec![tree.root().unwrap()];
    for i in 0..nodes {
        let parent = all[i * 7 / 11];
        all.push(unsafe { tree.alloc(parent, layout(8 + i % 60)) }.unwrap().cast());
    }
    tree.check().unwrap();
    all
}

#[test]
fn a_whole_tree_goes_at_once() {
    let mut bytes = room(1 << 20);
    let mut tree = Tree::new_in(Reuse::new_in(Fixed::new(&mut bytes)));
    let first = grow(&tree, 1000);
    unsafe { tree.free(first[0]) }.unwrap();
    assert_eq!((tree.stats().live, tree.source().stats().live, tree.stats().bytes), (0, 0, 0));
    assert_eq!(grow(&tree, 1000), first);
    tree.destroy().unwrap();
    assert_eq!((tree.stats().live, tree.source().stats().live), (0, 0));
}

/// Somebody else's block in the same region must stay.
#[test]
fn a_block_that_is_no_node_outlives_the_tree() {
    let mut bytes = room(1 << 20);
    let tree = Tree::new_in(Reuse::new_in(Fixed::new(&mut bytes)));
    let mine = take(tree.source(), 100);
    let nodes = grow(&tree, 500);
    unsafe { tree.free(nodes[0]) }.unwrap();
    assert_eq!((tree.stats().live, tree.source().stats().live), (0, 1));
    assert!((0..100).all(|i| unsafe { mine.add(i).read() } == 0xab));
    grow(&tree, 500);
    assert!((0..100).all(|i| unsafe { mine.add(i).read() } == 0xab));
}

#[test]
fn destructors_and_guards_are_not_passed_over() {
    unsafe fn count(_: NonNull<u8>, context: *mut ()) {
        unsafe { *context.cast::<usize>() += 1 };
    }
    unsafe fn refuse(_: NonNull<u8>, _: *mut ()) -> bool {
        true
    }
    let mut bytes = room(1 << 20);
    let tree = Tree::new_in(Reuse::new_in(Fixed::new(&mut bytes)));
    let nodes = grow(&tree, 300);
    let mut runs = 0_usize;
    unsafe {
        tree.on_release(nodes[100], count, (&raw mut runs).cast()).unwrap();
        tree.set_guard(nodes[200], Some((refuse, core::ptr::null_mut()))).unwrap();
        assert_eq!(tree.free(nodes[0]), Err(Cond::InUse));
        tree.set_guard(nodes[200], None).unwrap();
        tree.free(nodes[0]).unwrap();
    }
    assert_eq!((runs, tree.source().stats().live), (1, 0));
}

#[cfg(feature = "shred")]
#[test]
fn a_tainted_node_is_wiped_though_the_tree_goes_whole() {
    let mut bytes = room(1 << 20);
    for taint_all in [false, true] {
        let tree = Tree::new_in(Reuse::new_in(Fixed::new(&mut bytes)));
        let nodes = grow(&tree, 300);
        let secret = nodes[150];
        unsafe {
            secret.write_bytes(0x5e, 8);
            if taint_all {
                tree.taint()
            } else {
                tree.taint_node(secret).unwrap()
            }
            tree.free(nodes[0]).unwrap();
            // The first word may be the link of a list.
            assert!((0..8).all(|i| secret.add(i).read() != 0x5e));
        }
    }
}

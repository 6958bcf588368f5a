//! The K-th call fails, for every K: a condition each time, nothing lost, everything back in the end.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test states one reason for a row of calls"
)]
#![allow(clippy::cast_possible_truncation, reason = "patterns are bytes of larger numbers")]

#[allow(dead_code, reason = "the random models use the rest")]
#[path = "model/cells.rs"]
mod cells;
#[allow(dead_code, reason = "the random models use the rest")]
#[path = "model/dice.rs"]
mod dice;
#[path = "model/faulty.rs"]
mod faulty;
#[path = "common/say.rs"]
mod say;
#[path = "model/scene.rs"]
mod scene;

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use kmem::{Cond, Fixed, Heap, Ptr, Source, Store, Tree, refs};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use faulty::{Fault, FaultySource};
use say::say;
use scene::Scene;

/// Each call is refused in turn; where coverage is measured, in one thread and slowly, every fifth.
const STRIDE: usize = if cfg!(kmem_seeded) { 5 } else { 1 };

/// What came of playing the scenario once.
struct Played {
    /// Operations that said that they were refused.
    refused: usize,
    calls: usize,
    /// Calls that were refused.
    hits: usize,
    /// What did not come back.
    lost: usize,
}

/// What came of refusing each call.
#[derive(Default)]
struct Sweep {
    calls: usize,
    conditions: usize,
    absorbed: usize,
    /// For which calls, and how much was lost.
    lost: Vec<(usize, usize)>,
    silent: Vec<usize>,
}

impl Sweep {
    /// Refuses each call of the scenario in turn.
    fn over(lasting: bool, play: impl Fn(Fault) -> Played) -> Self {
        let first = play(Fault::default());
        assert_eq!((first.refused, first.hits, first.lost), (0, 0, 0), "without a fault nothing is refused or lost");
        let mut sweep = Self { calls: first.calls, ..Self::default() };
        for at in (1..).step_by(STRIDE) {
            let _watch = Watch(at);
            let played = play(Fault::new(at, lasting));
            // Where pages lie decides how many calls an alignment takes, so where this ends varies a little.
            if played.hits == 0 {
                break;
            }
            if played.refused > 0 {
                sweep.conditions += 1;
            } else {
                sweep.absorbed += 1;
                sweep.silent.push(at);
            }
            if played.lost > 0 {
                sweep.lost.push((at, played.lost));
            }
        }
        let refused = (sweep.conditions + sweep.absorbed) * STRIDE;
        assert!(refused + 20 > sweep.calls, "{refused} of {} calls were refused", sweep.calls);
        sweep
    }

    fn report(&self, name: &str, unit: &str) {
        say(&format!(
            "{name}: K = 1..={} of {} calls: {} conditions, {} absorbed, {} lost {unit}",
            (self.conditions + self.absorbed) * STRIDE,
            self.calls,
            self.conditions,
            self.absorbed,
            self.lost.len()
        ));
        assert!(self.calls >= 200, "only {} calls", self.calls);
        assert!(self.conditions > 0);
        assert_eq!(self.lost, [(0_usize, 0_usize); 0], "(K, {unit}) that did not come back");
    }
}

/// Says for which call a proof failed.
struct Watch(usize);

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with K = {}", self.0);
        }
    }
}

/// Plays the scenario, ends everything while the fault lasts, and again when it is healed.
fn play<S: Source + Copy>(source: S, fault: &Fault, lasting: bool) -> usize {
    // A source of pages that has mapped more, to align it, and may not give any of it back, has lost
    // it: it says so of itself. Of aligned blocks the scene asks for none but a heap's segments.
    let mut scene = Scene::over(source, !lasting);
    scene.play();
    scene.prove_contents();
    let refused = scene.refused + scene.destroy();
    scene.prove();
    fault.heal();
    assert_eq!(scene.destroy(), 0, "healed, everything is taken back");
    scene.prove();
    refused
}

#[cfg(feature = "platform")]
mod pages {
    use super::*;
    use faulty::Faulty;
    use kmem::Pages;
    use kmem::platform::{Counted, Native};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn over_pages(lasting: bool) -> Sweep {
        Sweep::over(lasting, |fault| {
            let platform = Faulty::new(Native, fault);
            let refused = play(Pages::over(&platform), &platform.fault, lasting);
            let (calls, hits) = (platform.fault.calls(), platform.fault.hits());
            // What an aligned block is cut out of stays mapped where a part of it is refused and then the whole.
            let stranded = platform.stranded();
            assert!(lasting || stranded == 0, "one refusal strands nothing");
            let lost = platform.mapped() - stranded;
            Played { refused, calls, hits, lost }
        })
    }

    #[test]
    fn each_platform_call_fails_once() {
        over_pages(false).report("one platform call refused", "bytes mapped");
    }

    #[test]
    fn each_platform_call_fails_and_all_after_it() {
        let sweep = over_pages(true);
        sweep.report("platform calls refused from the K-th on", "bytes mapped");
        assert_eq!(sweep.silent, [0_usize; 0], "these calls were refused for good and nobody was told");
    }

    /// Whoever counts mapped bytes counts them by whole pages, also of blocks that are not whole pages.
    #[test]
    fn counted_pages_come_out_even() {
        let pages = Counted::new(Native);
        let mut tree = Tree::new_in(Pages::over(&pages));
        let root = tree.root().expect("room");
        // SAFETY: live nodes of the tree.
        unsafe {
            let node = tree.alloc(root, layout(5000)).expect("room").cast();
            tree.alloc(node, layout(1)).expect("room");
            tree.resize(node, 50_000).expect("room");
        }
        assert!(pages.mapped() >= 55_000);
        tree.destroy().expect("taken back");
        assert_eq!(pages.mapped(), 0);
    }
}

/// The same one level up, with no platform: each call to a source fails.
fn over_source(lasting: bool, bounded: bool) -> Sweep {
    let mut bytes = Vec::with_capacity(12 << 20);
    // SAFETY: the capacity is this, and `MaybeUninit` needs no initialising.
    unsafe { bytes.set_len(12 << 20) };
    let bytes: core::cell::RefCell<Vec<MaybeUninit<u8>>> = core::cell::RefCell::new(bytes);
    Sweep::over(lasting, |fault| {
        let mut bytes = bytes.borrow_mut();
        let source = FaultySource { below: Heap::fixed(&mut bytes), fault, bounded };
        let refused = play(&source, &source.fault, lasting);
        source.below.check().expect("the heap below holds");
        let (calls, hits) = (source.fault.calls(), source.fault.hits());
        Played { refused, calls, hits, lost: source.below.stats().live }
    })
}

#[test]
fn each_source_call_fails_once() {
    over_source(false, true).report("one call to a bounded source refused", "cells");
    over_source(false, false).report("one call to a source refused", "cells");
}

#[test]
fn each_source_call_fails_and_all_after_it() {
    for bounded in [true, false] {
        let sweep = over_source(true, bounded);
        sweep.report("calls to a source refused from the K-th on", "cells");
        assert_eq!(sweep.silent, [0_usize; 0], "these calls were refused for good and nobody was told");
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("a layout")
}

/// What has a chunk to itself in a heap.
const LARGE: usize = 200_000;

/// A heap over a source that can be broken, which does not say how much it has.
fn with_heap(work: impl FnOnce(&FaultySource<Heap<Fixed<'_>>>, Heap<&FaultySource<Heap<Fixed<'_>>>>)) {
    let mut bytes = vec![MaybeUninit::uninit(); 4 << 20];
    let source = FaultySource { below: Heap::fixed(&mut bytes), fault: Fault::default(), bounded: false };
    work(&source, Heap::new_in(&source));
    assert_eq!(source.below.stats().live, 0, "something was lost");
}

/// A resize that is refused leaves every byte, though the cell is tainted.
#[test]
fn tainted_cells_keep_their_bytes_when_a_resize_is_refused() {
    for (from, to) in [(LARGE, 2 * LARGE), (LARGE, 1000), (LARGE, LARGE - 30_000), (1000, LARGE)] {
        with_heap(|source, heap| {
            let cell = heap.alloc(layout(from)).expect("room").cast();
            cells::fill(cell, 1, 0, from);
            #[cfg(feature = "shred")]
            heap.taint_cell(cell).expect("live");
            for refused_after in 0..2 {
                source.fault.break_after(refused_after);
                // SAFETY: a live cell.
                let answer = unsafe { heap.resize(cell, to) };
                source.fault.heal();
                heap.check().expect("the heap holds");
                let (at, len) = answer.map_or((cell, from), |bytes| (bytes.cast(), from.min(to)));
                assert_eq!(cells::differs(at, 1, len), None, "{from} to {to}, {answer:?}");
                assert_eq!(heap.stats().live, 1, "{from} to {to}, {answer:?}");
                if answer.is_ok() {
                    break;
                }
            }
        });
    }
}

/// The same of nodes, in each of the ways that a tree has a source.
#[test]
fn tainted_nodes_keep_their_bytes_when_a_resize_is_refused() {
    fn prove<S: Source>(source: &FaultySource<Heap<Fixed<'_>>>, mut tree: Tree<S>) {
        let root = tree.root().expect("room");
        for (from, to) in [(LARGE, 2 * LARGE), (LARGE, 1000), (5000, 1000), (1000, LARGE)] {
            for refused_after in 0..2 {
                // SAFETY: live nodes of the tree.
                unsafe {
                    let node = tree.alloc(root, layout(from)).expect("room").cast();
                    cells::fill(node, 2, 0, from);
                    #[cfg(feature = "shred")]
                    tree.taint_node(node).expect("live");
                    source.fault.break_after(refused_after);
                    let answer = tree.resize(node, to);
                    source.fault.heal();
                    tree.check().expect("the tree holds");
                    let (at, len) = answer.map_or((node, from), |bytes| (bytes.cast(), from.min(to)));
                    assert_eq!(cells::differs(at, 2, len), None, "{from} to {to}, {answer:?}");
                    tree.free(at).expect("live");
                }
            }
        }
        tree.destroy().expect("taken back");
    }
    with_heap(|source, heap| prove(source, Tree::managed_in(heap)));
    with_heap(|source, heap| prove(source, Tree::new_in(heap)));
    with_heap(|source, _| prove(source, Tree::new_in(source)));
}

/// Dropping the last reference when the source refuses the pages loses nothing: the reference is gone, or
/// the same call tries again.
#[test]
fn a_refused_last_reference_can_be_dropped_again() {
    for tainted in [false, cfg!(feature = "shred")] {
        with_heap(|source, mut heap| {
            let ptr: Ptr = refs::alloc_ptr(&heap, layout(LARGE)).expect("room");
            let cell = NonNull::new(ptr.payload()).expect("an address");
            #[cfg(feature = "shred")]
            if tainted {
                // SAFETY: a live counted cell.
                unsafe { refs::taint(cell) };
            }
            let _ = (cell, tainted);
            source.fault.break_after(0);
            // SAFETY: a live counted cell, whose only reference is given up.
            unsafe {
                let first = kmem::free(ptr);
                heap.check().expect("the heap holds");
                if first.is_err() {
                    assert!(kmem::free(ptr).is_err(), "still refused");
                    source.fault.heal();
                    kmem::free(ptr).expect("healed, it goes");
                }
                assert_eq!(kmem::free(ptr), Err(Cond::BadAddress), "it is gone");
            }
            source.fault.heal();
            assert_eq!(heap.stats().live, 0);
            heap.destroy().expect("taken back");
        });
    }
}

/// A tree whose tainted nodes are refused after their bytes were wiped still knows what to offer again.
#[test]
fn refused_nodes_are_offered_again() {
    with_heap(|source, heap| {
        let mut tree = Tree::managed_in(heap);
        let root = tree.root().expect("room");
        // SAFETY: live nodes of the tree, used no more when they are freed.
        unsafe {
            let nodes = [(); 3].map(|()| tree.alloc(root, layout(LARGE)).expect("room").cast::<u8>());
            #[cfg(feature = "shred")]
            tree.taint_node(nodes[1]).expect("live");
            source.fault.break_after(0);
            for node in nodes {
                tree.free(node).expect("the tree keeps what is refused");
                tree.check().expect("the tree holds");
                tree.source().check().expect("its heap holds");
                assert_eq!(tree.locate(node), Err(Cond::BadAddress), "it is released all the same");
            }
        }
        assert_eq!(tree.stats().live, 1);
        source.fault.heal();
        tree.destroy().expect("taken back");
        assert_eq!((tree.stats().held, tree.source().stats().live), (0, 0));
    });
}

/// What is refused while everything is destroyed is kept, empty, and goes when it is destroyed again.
#[test]
fn stores_that_are_refused_are_empty_and_can_be_used_on() {
    with_heap(|source, mut heap| {
        let cells = [100, LARGE, 100].map(|size| heap.alloc(layout(size)).expect("room").cast::<u8>());
        source.fault.break_after(0);
        assert!(heap.destroy().is_err(), "the source was broken");
        heap.check().expect("the heap holds");
        assert_eq!((heap.stats().live, heap.stats().bytes), (0, 0), "every cell is gone");
        assert!(heap.stats().held > LARGE, "the chunks are kept");
        for cell in cells {
            assert_eq!(heap.locate(cell), Err(Cond::BadAddress), "a cell that was destroyed is there");
        }
        // In what is kept there is room without the source.
        let cell = heap.alloc(layout(1000)).expect("room").cast();
        // SAFETY: a live cell, used no more.
        unsafe { heap.free(cell) }.expect("live");
        source.fault.heal();
        heap.destroy().expect("taken back");
        assert_eq!(heap.stats().held, 0);
    });
}

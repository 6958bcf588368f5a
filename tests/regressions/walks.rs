//! What a walk's visitor, which is anybody's code, does to the store that it is shown.

use core::alloc::Layout;
use core::fmt;

use kmem::inspect::{self, Inspect, Record, What};
use kmem::{Broken, Cond, Heap, KeyTree, Kind, Lin, Owned, Pool, Source, Stats, Tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::LAYOUT;
use crate::fickle::Fickle;

type Value = [u64; 4];

/// A store's own functions that no trait has.
trait Proven: Source + Inspect {
    fn figures(&self) -> Stats;
    fn prove(&self) -> Result<(), Broken>;
}

macro_rules! proven {
    ($($kind:ty)*) => {$(
        impl Proven for $kind {
            fn figures(&self) -> Stats {
                self.stats()
            }
            fn prove(&self) -> Result<(), Broken> {
                self.check()
            }
        }
    )*};
}

proven! {
    Heap<Fickle>
    Lin<Fickle>
    Lin<Fickle, kmem::Headers>
    Pool<Fickle>
    Pool<Fickle, kmem::Headers>
    Tree<Fickle>
}

fn values<S: Source>(store: &S, count: u64) -> Vec<Owned<'_, Value, S>> {
    (0..count).map(|number| Owned::new_in([number; 4], store).expect("there is room")).collect()
}

/// Uses the store and proves it.
fn works<S: Proven>(store: &S) {
    store.prove().unwrap();
    let before = store.figures().live;
    let mut some = values(store, 100);
    some.drain(20..50);
    store.prove().unwrap();
    some.extend(values(store, 50));
    assert!(some.iter().enumerate().all(|(at, value)| at >= 20 || value[3] == at as u64));
    drop(some);
    store.prove().unwrap();
    assert_eq!(store.figures().live, before);
}

/// Allocates at every step of a walk.
fn refuses_to_allocate<S: Proven>(store: &S) {
    let kept = values(store, 20);
    // Some free cells too.
    drop(values(store, 8));
    let before = store.figures();
    let (mut steps, mut refused) = (0, 0);
    store.inspect(&mut |_| {
        steps += 1;
        assert!(steps < 1000, "the walk has no end");
        // A walk within the walk does not end it.
        store.inspect(&mut |_| ());
        refused += usize::from(store.alloc(Layout::new::<Value>()).err() == Some(Cond::InUse));
        assert_eq!(store.figures(), before, "what is set aside is not live");
    });
    assert!(steps > 0);
    assert_eq!(refused, steps);
    assert_eq!(store.figures(), before);
    assert!(kept.iter().enumerate().all(|(at, value)| **value == [at as u64; 4]));
    drop(kept);
    works(store);
}

/// Drops all handles in the middle of a walk.
fn keeps_what_is_dropped<S: Proven>(store: &S) {
    drops_in_a_walk(store, true);
}

/// A cell of a region or a pool can go without disturbing the walk; of a heap or a tree it stays.
fn drops_in_a_walk<S: Proven>(store: &S, stays: bool) {
    let handles = values(store, 20);
    let addresses: Vec<_> = handles.iter().map(|value| (&raw const **value).addr()).collect();
    drop(values(store, 8));
    let before = store.figures().live;
    let (mut handles, mut taken) = (Some(handles), Vec::new());
    store.inspect(&mut |record| {
        if record.what != What::Used || handles.is_none() {
            return;
        }
        drop(handles.take());
        // What was given back just now may be handed out again, and no more than that.
        let refused = loop {
            match Owned::new_in([0x41; 4], store) {
                Ok(value) => taken.push(value),
                Err(refused) => break refused.cond,
            }
            assert!(taken.len() <= addresses.len() && !stays, "a cell that is being walked");
        };
        assert_eq!(refused, Cond::InUse);
    });
    assert!(handles.is_none());
    assert!(taken.iter().all(|value| **value == [0x41; 4] && addresses.contains(&(&raw const **value).addr())));
    assert!(store.figures().live <= before);
    store.prove().unwrap();
    drop(taken);
    works(store);
    if !stays {
        return;
    }
    assert_eq!(store.figures().live, before, "what was dropped stays");
    // And none of it was handed out again.
    let others = values(store, 100);
    assert!(others.iter().all(|value| !addresses.contains(&(&raw const **value).addr())));
}

fn cells() -> Layout {
    Layout::new::<Value>()
}

/// The cells' chunk was unmapped, or the cell joined with its neighbours, under the walk.
#[test]
fn a_heap_keeps_what_is_dropped_in_a_walk() {
    keeps_what_is_dropped(&Heap::new_in(Fickle::default()));
}

/// A large cell's chunk goes with it: the walk went on from there.
#[test]
fn a_heap_keeps_a_large_cell_that_is_dropped_in_a_walk() {
    let mut heap = Heap::new_in(Fickle::default());
    let small = Owned::new_in([7_u64; 4], &heap).unwrap();
    let mut large = Some([(); 3].map(|()| Owned::slice_in(300_000, |_| 1_u8, &heap).unwrap()));
    let mut steps = 0;
    heap.inspect(&mut |_| {
        drop(large.take());
        steps += 1;
    });
    assert!(steps >= 3 * 3);
    assert_eq!((heap.stats().live, *small), (4, [7; 4]));
    drop((small, large));
    works(&heap);
    heap.destroy().unwrap();
    assert_eq!(heap.source().live(), 0);
}

/// The cursor went back, and what was allocated then had other headers than the walk went by.
#[test]
fn a_region_survives_what_is_dropped_in_a_walk() {
    drops_in_a_walk(&Lin::with_headers_in(Fickle::default()), false);
}

/// The dropped cell's link was written over the walk's place in the list.
#[test]
fn a_bare_pool_survives_what_is_dropped_in_a_walk() {
    drops_in_a_walk(&Pool::new_in(cells(), Fickle::default()), false);
}

/// The same, with headers.
#[test]
fn a_pool_survives_what_is_dropped_in_a_walk() {
    drops_in_a_walk(&Pool::with_headers_in(cells(), Fickle::default()), false);
}

/// The node was gone when the walk went on to the next.
#[test]
fn a_tree_keeps_what_is_dropped_in_a_walk() {
    keeps_what_is_dropped(&Tree::new_in(Fickle::default()));
}

/// A cell was cut out of the free block that the walk had come to.
#[test]
fn a_heap_hands_nothing_out_in_a_walk() {
    refuses_to_allocate(&Heap::new_in(Fickle::default()));
}

/// The region went on under the walk.
#[test]
fn a_region_hands_nothing_out_in_a_walk() {
    refuses_to_allocate(&Lin::new_in(Fickle::default()).first_block(64 << 10));
    refuses_to_allocate(&Lin::with_headers_in(Fickle::default()));
}

/// The walk read the links of free cells, which had become somebody's values.
#[test]
fn a_pool_hands_nothing_out_in_a_walk() {
    refuses_to_allocate(&Pool::new_in(cells(), Fickle::default()));
    refuses_to_allocate(&Pool::with_headers_in(cells(), Fickle::default()));
}

/// Each new node was told too, without end.
#[test]
fn a_tree_hands_nothing_out_in_a_walk() {
    refuses_to_allocate(&Tree::new_in(Fickle::default()));
}

/// Nodes could be moved, and so told twice or never.
#[test]
fn a_trees_nodes_stay_where_they_are_in_a_walk() {
    let tree = Tree::new_in(Fickle::default());
    let root = tree.root().unwrap();
    let [first, second] = [(); 2].map(|()| unsafe { tree.alloc(root, LAYOUT) }.unwrap().cast::<u8>());
    let mut told = Vec::new();
    tree.inspect(&mut |record| {
        told.push(record.at);
        unsafe {
            assert_eq!(tree.move_to(first, second), Err(Cond::InUse));
            assert_eq!(tree.resize(second, 1000), Err(Cond::InUse));
            assert_eq!(tree.free(first), Err(Cond::InUse));
            assert_eq!(tree.free_children(root), Err(Cond::InUse));
        }
    });
    assert_eq!(told.len(), 3);
    works(&tree);
}

/// A keyed tree's values are nodes as well.
#[test]
fn a_keyed_tree_takes_no_value_in_a_walk() {
    let tree = KeyTree::new_in(Fickle::default());
    let first = tree.insert(None, "first").unwrap();
    let mut refused = Vec::new();
    let mut steps = 0;
    tree.inspect(&mut |_| {
        steps += 1;
        assert!(steps <= 2, "the root and the value");
        refused.extend(tree.insert(Some(first), "another").err());
    });
    assert!(refused.len() == 2 && refused.iter().all(|it| (it.value, it.cond) == ("another", Cond::InUse)));
    tree.insert(Some(first), "another").unwrap();
    assert_eq!(tree.subtree(None).map(|key| tree[key]).collect::<Vec<_>>(), ["first", "another"]);
}

/// `text` and `json` are walks too: they call somebody's writer in the middle of it.
#[test]
fn a_writer_that_drops_handles_does_not_disturb_what_is_written() {
    struct Dropper<'h> {
        handles: Option<Vec<Owned<'h, Value, Heap<Fickle>>>>,
        text: String,
    }
    impl fmt::Write for Dropper<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            if self.text.contains("\"used\"") {
                self.handles.take();
            }
            self.text.push_str(text);
            Ok(())
        }
    }
    let heap = Heap::new_in(Fickle::default());
    let mut writer = Dropper { handles: Some(values(&heap, 20)), text: String::new() };
    let mut before = String::new();
    inspect::json(&heap, &mut before).unwrap();
    inspect::json(&heap, &mut writer).unwrap();
    assert!(writer.handles.is_none());
    assert_eq!(writer.text, before);
    works(&heap);
}

/// A store would be frozen for good.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_store_can_be_used_after_its_visitor_panicked() {
    fn prove<S: Proven>(store: &S) {
        drop(values(store, 20));
        let _kept = values(store, 10);
        let walk = || store.inspect(&mut |_| panic!("boom"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(walk)).is_err());
        works(store);
    }
    prove(&Heap::new_in(Fickle::default()));
    prove(&Lin::with_headers_in(Fickle::default()));
    prove(&Pool::new_in(cells(), Fickle::default()));
    prove(&Pool::with_headers_in(cells(), Fickle::default()));
    prove(&Tree::new_in(Fickle::default()));
}

/// A column's place overflowed where a word has 32 bits.
#[test]
fn a_block_of_a_hundred_megabytes_can_be_drawn() {
    struct Huge;
    impl Inspect for Huge {
        fn kind(&self) -> Kind {
            Kind::Heap
        }
        fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
            let half = 100 << 20;
            let block = Record {
                at: 4096,
                len: 2 * half,
                what: What::Block,
                kind: Kind::Heap,
                block: 0,
                header: 0,
                payload: 0,
                tainted: false,
                depth: 0,
                refs: 0,
                links: [0; 5],
            };
            visit(&block);
            visit(&Record { len: half, what: What::Used, ..block });
            visit(&Record { at: block.at + half, len: half, what: What::Fresh, ..block });
        }
    }
    let mut text = String::new();
    inspect::text(&Huge, &mut text).unwrap();
    assert!(text.contains(&format!("[{}{}]", "#".repeat(32), "_".repeat(32))), "{text}");
}

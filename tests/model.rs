//! Random operations on every store over every source, each beside a naive model.
//!
//! The model is a list of what is live and what was written there. After each operation the store's
//! `check()` and figures must agree with it; contents are proved all the time. A failure prints the
//! seed that repeats it (`KMEM_SEED`).
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test states one reason for a row of calls"
)]
#![allow(clippy::cast_possible_truncation, reason = "patterns are bytes of larger numbers")]

#[path = "model/cells.rs"]
mod cells;
#[path = "model/corners.rs"]
mod corners;
#[path = "model/dice.rs"]
mod dice;
#[path = "model/heap.rs"]
mod heap;
#[path = "model/hooks.rs"]
mod hooks;
#[path = "model/lin.rs"]
mod lin;
#[path = "model/nodes.rs"]
mod nodes;
#[path = "model/pool.rs"]
mod pool;
#[cfg(not(target_arch = "wasm32"))]
#[path = "model/properties.rs"]
mod properties;
#[path = "model/ptr.rs"]
mod ptr;
#[path = "model/refs.rs"]
mod refs;
#[path = "common/say.rs"]
mod say;
#[path = "model/tree.rs"]
mod tree;
#[path = "model/world.rs"]
mod world;

use core::alloc::Layout;
use core::mem::MaybeUninit;

use kmem::{Heap, Lin, Pool, Source, Tree};

use cells::Sizes;
use heap::HeapWorld;
use lin::LinWorld;
use pool::PoolWorld;
use ptr::PtrWorld;
use refs::RefWorld;
use tree::{Managed, Raw, TreeWorld};
use world::{GOAL, run};

/// Bytes for a source that is the caller's; what is not touched takes no memory.
pub fn bytes(len: usize) -> Vec<MaybeUninit<u8>> {
    let mut bytes = Vec::with_capacity(len);
    // SAFETY: the capacity is this, and `MaybeUninit` needs no initialising.
    unsafe { bytes.set_len(len) };
    bytes
}

/// Cells of a pool that is a source.
const BIG: Layout = Layout::new::<[u64; 8192]>();

/// A test for a store over pages, a heap, a region and a pool, the last three in the caller's bytes.
macro_rules! over_each_source {
    ($store:ident, $label:literal, $source:ident, $sizes:ident => $world:expr) => {
        mod $store {
            use super::*;
            #[cfg(target_arch = "wasm32")]
            use wasm_bindgen_test::wasm_bindgen_test as test;

            #[cfg(feature = "platform")]
            #[test]
            fn over_pages() {
                let ($source, $sizes) = (kmem::Pages::new(), Sizes::Large);
                let _ = $sizes;
                run(concat!($label, " over Pages"), $world);
            }

            #[test]
            fn over_heap() {
                let mut bytes = bytes(6 << 20);
                let below = Heap::fixed(&mut bytes);
                let ($source, $sizes) = (&below, Sizes::Middle);
                let _ = $sizes;
                run(concat!($label, " over Heap"), $world);
                assert_eq!((below.stats().live, below.stats().bytes), (0, 0), "not everything was given back");
                below.check().expect("the heap below holds");
            }

            #[test]
            fn over_lin() {
                let mut bytes = bytes(24 << 20);
                let below = Lin::fixed_with_headers(&mut bytes);
                let ($source, $sizes) = (&below, Sizes::Middle);
                let _ = $sizes;
                run(concat!($label, " over Lin"), $world);
                assert_eq!(below.stats().live, 0, "not everything was given back");
                below.check().expect("the region below holds");
            }

            #[test]
            fn over_pool() {
                let mut bytes = bytes(4 << 20);
                let below = Pool::fixed(BIG, &mut bytes);
                let ($source, $sizes) = (&below, Sizes::Middle);
                let _ = $sizes;
                run(concat!($label, " over Pool"), $world);
                assert_eq!(below.stats().live, 0, "not everything was given back");
                below.check().expect("the pool below holds");
            }
        }
    };
}

over_each_source!(heaps, "Heap", source, sizes => HeapWorld::new(Heap::new_in(source), sizes, GOAL));
over_each_source!(bare_lins, "Lin Bare", source, sizes => LinWorld::new(Lin::new_in(source), Lin::new_in(source), sizes, GOAL));
over_each_source!(lins, "Lin Headers", source, sizes =>
    LinWorld::new(Lin::with_headers_in(source), Lin::with_headers_in(source), sizes, GOAL));

/// The cells of the pools under test, and how many may live.
const CELL: Layout = Layout::new::<[u64; 9]>();
const LIMIT: usize = GOAL - 10;

over_each_source!(bare_pools, "Pool Bare", source, sizes =>
    PoolWorld::new(Pool::new_in(CELL, source).limit(LIMIT), CELL, LIMIT, GOAL));
over_each_source!(pools, "Pool Headers", source, sizes =>
    PoolWorld::new(Pool::with_headers_in(CELL, source).limit(LIMIT), CELL, LIMIT, GOAL));

over_each_source!(refs_in_heap, "Refs in Heap", source, sizes => RefWorld::new(Heap::new_in(source), GOAL));
over_each_source!(refs_in_lin, "Refs in Lin", source, sizes => RefWorld::new(Lin::with_headers_in(source), GOAL));
over_each_source!(refs_in_pool, "Refs in Pool", source, sizes =>
    RefWorld::new(Pool::with_headers_in(ptr::CELL, source), GOAL));

over_each_source!(pointers, "Ptr", source, sizes => PtrWorld::new(source, GOAL));

/// Stores in the caller's bytes: the constructors that take all of them.
mod fixed {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn heap() {
        let mut bytes = bytes(224 << 10);
        run("Heap over Fixed", HeapWorld::new(Heap::fixed(&mut bytes), Sizes::Middle, GOAL));
    }

    #[test]
    fn bare_lin() {
        let (mut bytes, mut others) = (bytes(800 << 10), bytes(4096));
        let world = LinWorld::new(Lin::fixed(&mut bytes), Lin::fixed(&mut others), Sizes::Middle, GOAL);
        run("Lin Bare over Fixed", world);
    }

    #[test]
    fn lin() {
        let (mut bytes, mut others) = (bytes(800 << 10), bytes(4096));
        let (lin, other) = (Lin::fixed_with_headers(&mut bytes), Lin::fixed_with_headers(&mut others));
        run("Lin Headers over Fixed", LinWorld::new(lin, other, Sizes::Middle, GOAL));
    }

    #[test]
    fn bare_pool() {
        const CELL: Layout = Layout::new::<[u8; 5]>();
        let mut bytes = bytes(400 * kmem::MIN_ALIGN + 300);
        run("Pool Bare over Fixed", PoolWorld::new(Pool::fixed(CELL, &mut bytes), CELL, usize::MAX, GOAL));
    }

    #[test]
    fn pool() {
        let cell = Layout::from_size_align(65, 64).expect("a layout");
        let mut bytes = bytes(400 * 192 + 300);
        let pool = Pool::fixed_with_headers(cell, &mut bytes);
        run("Pool Headers over Fixed", PoolWorld::new(pool, cell, usize::MAX, GOAL));
    }

    #[test]
    fn refs() {
        let mut bytes = bytes(160 << 10);
        run("Refs in Heap over Fixed", RefWorld::new(Heap::fixed(&mut bytes), GOAL));
    }

    #[test]
    fn refs_in_tree() {
        let mut bytes = bytes(200 << 10);
        run("Refs in Tree over Fixed", RefWorld::new(Tree::fixed(&mut bytes), GOAL));
    }

    #[test]
    fn tree() {
        let mut bytes = bytes(150 << 10);
        let heap = Heap::fixed(&mut bytes);
        run("Tree over Fixed", TreeWorld::<Managed<Heap<kmem::Fixed<'_>>>>::new(heap, Sizes::Small, GOAL));
    }
}

fn raw<S: Source>(name: &str, source: S, sizes: Sizes) {
    run(name, TreeWorld::<Raw<S>>::new(source, sizes, GOAL));
}

fn managed<S: kmem::Store>(name: &str, source: S, sizes: Sizes) {
    run(name, TreeWorld::<Managed<S>>::new(source, sizes, GOAL));
}

/// Trees, whose nodes are blocks of the source, one each.
mod trees {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// A node with its header and gap.
    const NODE: Layout = match Layout::from_size_align(320, 16) {
        Ok(layout) => layout,
        Err(_) => panic!("a layout"),
    };

    #[cfg(feature = "platform")]
    #[test]
    fn raw_over_pages() {
        raw("Tree raw over Pages", kmem::Pages::new(), Sizes::Middle);
    }

    #[test]
    fn raw_over_fixed_bytes() {
        // Of these only the newest block comes back.
        let mut bytes = bytes(world::OPERATIONS * 320);
        raw("Tree raw over Fixed", kmem::Fixed::new(&mut bytes), Sizes::Small);
    }

    #[test]
    fn raw_over_heap() {
        let mut bytes = bytes(420 << 10);
        raw("Tree raw over Heap", Heap::fixed(&mut bytes), Sizes::Middle);
    }

    #[test]
    fn raw_over_reuse() {
        let mut bytes = bytes(2 << 20);
        raw("Tree raw over Reuse", kmem::Reuse::new_in(Heap::fixed(&mut bytes)), Sizes::Middle);
    }

    #[test]
    fn raw_over_bare_lin() {
        let mut bytes = bytes(world::OPERATIONS * 320);
        raw("Tree raw over Lin", Lin::fixed(&mut bytes), Sizes::Small);
    }

    #[test]
    fn raw_over_bare_pool() {
        let mut bytes = bytes(600 * NODE.size());
        raw("Tree raw over Pool", Pool::fixed(NODE, &mut bytes), Sizes::Small);
    }

    #[test]
    fn managed_over_lin() {
        let mut bytes = bytes(world::OPERATIONS * 400);
        managed("Tree managed over Lin", Lin::fixed_with_headers(&mut bytes), Sizes::Small);
    }

    #[test]
    fn managed_over_pool() {
        let mut bytes = bytes(600 * (NODE.size() + kmem::MIN_ALIGN));
        managed("Tree managed over Pool", Pool::fixed_with_headers(NODE, &mut bytes), Sizes::Small);
    }

    #[cfg(feature = "platform")]
    #[test]
    fn managed_over_a_heap_of_pages() {
        managed("Tree managed over Heap over Pages", Heap::new_in(kmem::Pages::new()), Sizes::Large);
    }

    #[cfg(feature = "platform")]
    #[test]
    fn managed_over_a_pool_of_pages() {
        let pool = Pool::with_headers_in(NODE, kmem::Pages::new());
        managed("Tree managed over Pool over Pages", pool, Sizes::Small);
    }
}

//! Every store over every source: a test for each pair.

use kmem::{Fixed, Heap, Lin, Pool, Reuse, Source, StaticBytes, Tree};

use crate::case::Case;
use crate::common::{Base, Generous, Watched, layout, room};
use crate::scenarios::{self, Scenario};
use crate::subject::{Given, Make, Shape, Subject};

/// Bytes of a fixed source.
const ROOM: usize = 256 << 10;
/// The same below another store.
const LARGE: usize = 512 << 10;
/// The same below a pool, which gives all of its cells the size of the largest.
const LARGEST: usize = 1 << 20;
/// The cell of a pool that is a source: fit for every block that a store asks for.
const CELL: (usize, usize) = (16 << 10, 4096);

/// Runs a scenario on a fresh store over a source, then proves that the source has everything back.
fn run<M: Make, S: Base>(scenario: Scenario, source: S) {
    let source = Watched::new(source);
    run_over::<M>(scenario, &source, &source, M::shape::<S>());
}

/// The same where the source's type is forgotten, so that each store is compiled once.
fn run_over<M: Make>(scenario: Scenario, source: &dyn Source, watched: &dyn Given, shape: Shape) {
    let mut store = M::make(source);
    scenario(&mut Case::new(&mut store, watched, shape));
    watched.refuse(false);
    store.destroy().expect("the source takes its blocks back");
    if !shape.keeps {
        assert_eq!(watched.out(), Some((0, 0)), "a destroyed store has given everything back");
    }
    let stats = store.stats();
    assert_eq!((stats.live, stats.bytes, stats.held), (0, 0, 0), "and says so");
    if shape.recovers {
        store.alloc(layout(64, 16)).expect("a destroyed store can be used again");
        assert_ne!(watched.out(), Some((0, 0)));
    }
    drop(store);
    assert_eq!(watched.out(), Some((0, 0)), "a dropped store has given everything back");
    watched.prove();
}

fn over_fixed<M: Make>() {
    for scenario in scenarios::ALL {
        run::<M, _>(*scenario, Fixed::new(&mut room(ROOM)));
    }
}

fn over_static_bytes<M: Make>() {
    for scenario in scenarios::ALL {
        let bytes = Box::into_raw(Box::new(StaticBytes::<ROOM>::new()));
        // It outlives the store, which is what a `static` is wanted for.
        run::<M, _>(*scenario, unsafe { &*bytes });
        drop(unsafe { Box::from_raw(bytes) });
    }
}

fn over_generous<M: Make>() {
    for scenario in scenarios::ALL {
        run::<M, _>(*scenario, Generous(Heap::fixed(&mut room(LARGE))));
    }
}

/// Fixed bytes with a store on them, as a source.
macro_rules! over_stores_over_fixed {
    ($($name:ident: $len:expr, |$bytes:ident| $make:expr;)*) => {$(
        fn $name<M: Make>() {
            for scenario in scenarios::ALL {
                let mut bytes = room($len);
                let $bytes = &mut bytes;
                run::<M, _>(*scenario, $make);
            }
        }
    )*};
}

over_stores_over_fixed! {
    over_heap_over_fixed: LARGE, |bytes| Heap::fixed(bytes);
    over_lin_over_fixed: LARGE, |bytes| Lin::fixed(bytes);
    over_lin_with_headers_over_fixed: LARGE, |bytes| Lin::fixed_with_headers(bytes);
    over_pool_over_fixed: LARGEST, |bytes| Pool::fixed(layout(CELL.0, CELL.1), bytes);
    over_pool_with_headers_over_fixed: LARGEST, |bytes| Pool::fixed_with_headers(layout(CELL.0, CELL.1), bytes);
    over_tree_over_fixed: LARGE, |bytes| Tree::new_in(Fixed::new(bytes));
    over_reuse_over_fixed: LARGE, |bytes| Reuse::new_in(Heap::fixed(bytes));
    over_managed_tree_over_fixed: LARGE, |bytes| Tree::fixed(bytes);
    over_lin_over_pool_over_heap_over_fixed: LARGEST, |bytes|
        Lin::new_in(Pool::new_in(layout(CELL.0, CELL.1), Heap::fixed(bytes)));
}

/// Pages with nothing or a store on them, as a source.
#[cfg(feature = "platform")]
macro_rules! over_pages {
    ($($name:ident: |$pages:ident| $make:expr;)*) => {$(
        #[cfg(feature = "platform")]
        fn $name<M: Make>() {
            for scenario in scenarios::ALL {
                let platform = kmem::platform::Counted::new(kmem::platform::Native);
                let $pages = kmem::Pages::over(&platform);
                run::<M, _>(*scenario, $make);
                assert_eq!(platform.mapped(), 0, "the platform has its pages back");
            }
        }
    )*};
}

#[cfg(feature = "platform")]
over_pages! {
    over_pages: |pages| pages;
    over_heap_over_pages: |pages| Heap::new_in(pages);
    over_lin_over_pages: |pages| Lin::new_in(pages);
    over_lin_with_headers_over_pages: |pages| Lin::with_headers_in(pages);
    over_pool_over_pages: |pages| Pool::new_in(layout(CELL.0, CELL.1), pages);
    over_pool_with_headers_over_pages: |pages| Pool::with_headers_in(layout(CELL.0, CELL.1), pages);
    over_tree_over_pages: |pages| Tree::new_in(pages);
    over_reuse_over_pages: |pages| Reuse::new_in(pages);
    over_managed_tree_over_pages: |pages| Tree::managed_in(Heap::new_in(pages));
    over_tree_over_managed_tree_over_pages: |pages| Tree::new_in(Tree::managed_in(Heap::new_in(pages)));
}

/// Each block between two pages that end the program when they are touched.
#[cfg(all(feature = "platform", unix))]
fn over_guarded_pages<M: Make>() {
    for scenario in scenarios::ALL {
        let wish = kmem::Protection { guarded: true, ..kmem::Protection::default() };
        run::<M, _>(*scenario, kmem::Protected::new(wish));
    }
}

#[cfg(feature = "platform")]
fn over_the_process_heap<M: Make>() {
    for scenario in scenarios::ALL {
        run::<M, _>(*scenario, kmem::Global);
    }
}

macro_rules! sources {
    ($maker:ident; $($(#[$attribute:meta])* $source:ident)*) => {$(
        $(#[$attribute])*
        #[test]
        fn $source() {
            super::$source::<crate::subject::$maker>();
        }
    )*};
}

macro_rules! stores {
    ($($store:ident: $maker:ident;)*) => {$(
        mod $store {
            #[cfg(target_arch = "wasm32")]
            use wasm_bindgen_test::wasm_bindgen_test as test;

            sources! {
                $maker;
                over_fixed
                over_static_bytes
                over_generous
                over_heap_over_fixed
                over_lin_over_fixed
                over_lin_with_headers_over_fixed
                over_pool_over_fixed
                over_pool_with_headers_over_fixed
                over_tree_over_fixed
                over_reuse_over_fixed
                over_managed_tree_over_fixed
                over_lin_over_pool_over_heap_over_fixed
                #[cfg(feature = "platform")]
                over_pages
                #[cfg(feature = "platform")]
                over_heap_over_pages
                #[cfg(feature = "platform")]
                over_lin_over_pages
                #[cfg(feature = "platform")]
                over_lin_with_headers_over_pages
                #[cfg(feature = "platform")]
                over_pool_over_pages
                #[cfg(feature = "platform")]
                over_pool_with_headers_over_pages
                #[cfg(feature = "platform")]
                over_tree_over_pages
                #[cfg(feature = "platform")]
                over_reuse_over_pages
                #[cfg(feature = "platform")]
                over_managed_tree_over_pages
                #[cfg(feature = "platform")]
                over_tree_over_managed_tree_over_pages
                #[cfg(feature = "platform")]
                over_the_process_heap
                #[cfg(all(feature = "platform", unix))]
                over_guarded_pages
            }
        }
    )*};
}

stores! {
    heap: AHeap;
    heap_of_small_chunks: SmallHeap;
    heap_by_reference: AHeapByReference;
    lin: ALin;
    lin_with_headers: ALinWithHeaders;
    lin_by_reference: ALinByReference;
    pool: APool;
    pool_with_headers: APoolWithHeaders;
    pool_of_page_aligned_cells: APoolOfPages;
    pool_by_reference: APoolByReference;
    tree: ATree;
    managed_tree_in_heap: AManagedTreeInAHeap;
    managed_tree_in_lin: AManagedTreeInALin;
    managed_tree_in_pool: AManagedTreeInAPool;
}

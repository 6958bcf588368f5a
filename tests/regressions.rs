//! Bugs that were found, each with the program that showed it.

#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "each test makes its cells, uses them while they are live, and releases them once"
)]

mod common;

#[path = "regressions/fickle.rs"]
mod fickle;
#[path = "regressions/headers.rs"]
mod headers;
#[path = "regressions/stores.rs"]
mod stores;
#[path = "regressions/trees.rs"]
mod trees;
#[path = "regressions/typed.rs"]
mod typed;
#[path = "regressions/walks.rs"]
mod walks;

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use kmem::Tree;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const LAYOUT: Layout = Layout::new::<[u8; 32]>();

/// So many bytes, aligned as they may be.
fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 1).expect("a layout")
}

unsafe fn count(_: NonNull<u8>, context: *mut ()) {
    unsafe { *context.cast::<usize>() += 1 };
}

/// The count of nodes with destructors missed the root's, if a child's came first.
#[test]
fn a_destructor_on_the_root_runs_though_a_childs_came_and_went() {
    let mut bytes = [MaybeUninit::uninit(); 4096];
    let mut tree = Tree::fixed(&mut bytes);
    let (mut child_runs, mut root_runs) = (0_usize, 0_usize);
    unsafe {
        let root = tree.root().unwrap();
        let child = tree.alloc(root, LAYOUT).unwrap().cast();
        tree.on_release(child, count, (&raw mut child_runs).cast()).unwrap();
        tree.on_release(root, count, (&raw mut root_runs).cast()).unwrap();
        tree.free(child).unwrap();
    }
    tree.destroy().unwrap();
    assert_eq!((child_runs, root_runs), (1, 1));
}

/// Only the counted cell's own header was marked, which its store does not read when it is destroyed.
#[cfg(feature = "shred")]
#[test]
fn a_tainted_counted_cell_is_wiped_with_its_store() {
    use kmem::{Headers, Heap, Lin, Pool, refs};

    fn secret<S: kmem::Store>(store: &S) -> NonNull<u8> {
        let cell = refs::alloc(store, LAYOUT).unwrap().cast::<u8>();
        unsafe {
            cell.write_bytes(0xaa, LAYOUT.size());
            refs::taint(cell);
        }
        cell
    }
    fn is_wiped(cell: NonNull<u8>) -> bool {
        common::raw_bytes(cell, LAYOUT.size()).iter().all(|byte| *byte == 0)
    }
    let mut bytes = [[MaybeUninit::uninit(); 4096]; 3];
    let [heap, lin, pool] = &mut bytes;
    let mut heap = Heap::fixed(heap);
    let mut lin: Lin<_, Headers> = Lin::fixed_with_headers(lin);
    let mut pool: Pool<_, Headers> = Pool::fixed_with_headers(Layout::new::<[u8; 128]>(), pool);
    let cells = [secret(&heap), secret(&lin), secret(&pool)];
    heap.destroy().unwrap();
    lin.reset();
    pool.reset();
    assert!(cells.into_iter().all(is_wiped));
}

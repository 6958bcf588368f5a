//! The safe face.

#[cfg(all(feature = "shred", not(target_arch = "wasm32")))]
use kmem::Owned;
use kmem::{Cond, Heap, Managed, Tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::LAYOUT;
use crate::fickle::Fickle;

/// It was allocated in a tree that no cell can name, and could never be released again.
#[test]
fn a_counted_cell_in_a_tree_that_is_not_managed_is_refused() {
    let tree = Tree::new_in(Heap::new_in(Fickle::default()));
    tree.root().unwrap();
    assert_eq!(Managed::counted(&tree, LAYOUT).map(drop), Err(Cond::Mismatch));
    assert_eq!(tree.stats().live, 1, "the root");
    let managed = Tree::managed_in(Heap::new_in(Fickle::default()));
    assert_eq!(Managed::counted(&managed, LAYOUT).and_then(Managed::free), Ok(()));
    assert_eq!(managed.stats().live, 1);
}

/// The panic went by what shreds the block and gives it back.
#[cfg(all(feature = "shred", not(target_arch = "wasm32")))]
#[test]
fn an_owned_value_is_shredded_though_its_destructor_panics() {
    struct Bomb {
        _secret: [u8; 64],
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom");
        }
    }
    let mut heap = Heap::new_in(Fickle::default());
    let bomb = Owned::new_in(Bomb { _secret: [0xab; 64] }, &heap).unwrap_or_else(|_| panic!("there is room"));
    let shredded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Owned::shred(bomb)));
    assert!(shredded.is_err());
    assert_eq!(heap.stats().live, 0);
    heap.check().unwrap();
    heap.destroy().unwrap();
    assert!(!heap.source().came_back_with(0xab));
}

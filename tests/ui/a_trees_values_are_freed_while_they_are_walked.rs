// The walk stands on the node that goes.
use kmem::{Heap, KeyTree, Pages};

fn main() {
    let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let key = tree.insert(None, 1).unwrap();
    tree.insert(Some(key), 2).unwrap();
    for key in tree.subtree(None) {
        tree.free(key).unwrap();
    }
}

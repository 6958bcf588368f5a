// Moving changes links; it takes the tree for itself.
use kmem::{Heap, KeyTree, Pages};

fn main() {
    let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let parent = tree.insert(None, 1).unwrap();
    let child = tree.insert(Some(parent), 2).unwrap();
    let seen = &tree[child];
    tree.move_to(child, None).unwrap();
    println!("{seen}");
}

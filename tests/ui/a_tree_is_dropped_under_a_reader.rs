// A value outlives its tree.
use kmem::{Heap, KeyTree, Pages};

fn main() {
    let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let key = tree.insert(None, String::from("gone")).unwrap();
    let seen = &tree[key];
    drop(tree);
    println!("{seen}");
}

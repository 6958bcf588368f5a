// The value changes while it is looked at.
use kmem::{Heap, KeyTree, Pages};

fn main() {
    let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let key = tree.insert(None, 7).unwrap();
    let seen = tree.get(key).unwrap();
    *tree.get_mut(key).unwrap() += 1;
    println!("{seen}");
}

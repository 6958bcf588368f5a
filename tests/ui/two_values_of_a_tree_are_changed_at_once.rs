// The two keys may be the same.
use kmem::{Heap, KeyTree, Pages};

fn main() {
    let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let key = tree.insert(None, 7).unwrap();
    let one = tree.get_mut(key).unwrap();
    let other = tree.get_mut(key).unwrap();
    std::mem::swap(one, other);
}

// The tree drops its values where it goes.
use std::rc::Rc;
use kmem::{Heap, KeyTree, Pages};

fn to_a_thread<T: Send>(_: T) {}

fn main() {
    let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    tree.insert(None, Rc::new(7)).unwrap();
    to_a_thread(tree);
}

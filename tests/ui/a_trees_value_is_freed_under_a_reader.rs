// A child is used after its parent was freed.
use kmem::{Heap, KeyTree, Pages};

fn main() {
    let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let parent = tree.insert(None, String::from("parent")).unwrap();
    let child = tree.insert(Some(parent), String::from("child")).unwrap();
    let seen = tree.get(child).unwrap();
    tree.free(parent).unwrap();
    println!("{seen}");
}

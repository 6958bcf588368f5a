// The nodes lie in the heap.
use kmem::{Heap, KeyTree, Pages};

fn main() {
    let tree = {
        let heap = Heap::new_in(Pages::new());
        KeyTree::<i32, _>::new_in(&heap)
    };
    tree.insert(None, 7).unwrap();
}

// The nodes of the one could not be told from those of the other.
use kmem::{Heap, Pages, Tree};

fn main() {
    let tree = Tree::managed_in(Tree::managed_in(Heap::new_in(Pages::new())));
    tree.root().unwrap();
}

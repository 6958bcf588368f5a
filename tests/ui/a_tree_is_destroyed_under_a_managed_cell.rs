// The cell is a node of the tree.
use core::alloc::Layout;
use kmem::{Heap, Managed, Pages, Tree};

fn main() {
    let mut tree = Tree::managed_in(Heap::new_in(Pages::new()));
    let cell = Managed::counted(&tree, Layout::new::<u64>()).unwrap();
    tree.destroy().unwrap();
    println!("{:?}", cell.bytes());
}

// The bytes are read after the cell was released.
use core::alloc::Layout;
use kmem::{Heap, Managed, Pages};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let cell = Managed::heap(&heap, Layout::new::<[u8; 8]>()).unwrap();
    let seen = cell.bytes();
    cell.free().unwrap();
    println!("{seen:?}");
}

// The bytes change while they are looked at.
use core::alloc::Layout;
use kmem::{Heap, Managed, Pages};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let mut cell = Managed::heap(&heap, Layout::new::<[u8; 8]>()).unwrap();
    let seen = cell.bytes();
    cell.bytes_mut().unwrap().fill(7);
    println!("{seen:?}");
}

// Both would be the only way to the bytes.
use core::alloc::Layout;
use kmem::{Heap, Managed, Pages};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let mut cell = Managed::heap(&heap, Layout::new::<[u8; 8]>()).unwrap();
    let one = cell.bytes_mut().unwrap();
    let other = cell.bytes_mut().unwrap();
    one.swap_with_slice(other);
}

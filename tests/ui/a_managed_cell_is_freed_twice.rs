// A handle is given up once.
use core::alloc::Layout;
use kmem::{Heap, Managed, Pages};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let cell = Managed::heap(&heap, Layout::new::<u64>()).unwrap();
    cell.free().unwrap();
    cell.shred().unwrap();
}

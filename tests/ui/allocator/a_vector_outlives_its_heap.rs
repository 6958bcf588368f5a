// A vector is used after the heap that it lies in.
use allocator_api2::vec::Vec;
use kmem::{Heap, Pages};

fn main() {
    let mut numbers = {
        let heap = Heap::new_in(Pages::new());
        Vec::new_in(&heap)
    };
    numbers.push(7);
}

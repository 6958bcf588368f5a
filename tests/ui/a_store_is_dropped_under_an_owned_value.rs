// A value outlives the heap that it lies in.
use kmem::{Heap, Owned, Pages};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let value = Owned::new_in(7, &heap).unwrap();
    drop(heap);
    println!("{value}");
}

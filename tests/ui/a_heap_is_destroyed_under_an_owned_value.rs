// A value is used after its heap was destroyed.
use kmem::{Heap, Owned, Pages};

fn main() {
    let mut heap = Heap::new_in(Pages::new());
    let value = Owned::new_in(7, &heap).unwrap();
    heap.destroy().unwrap();
    println!("{value}");
}

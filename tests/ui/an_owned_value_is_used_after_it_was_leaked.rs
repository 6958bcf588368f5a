// Both would be the only way to change the value.
use kmem::{Heap, Owned, Pages};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let mut value = Owned::new_in(7, &heap).unwrap();
    let leaked = Owned::leak(value);
    *value += *leaked;
}

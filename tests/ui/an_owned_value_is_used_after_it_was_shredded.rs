// Its bytes are gone.
use kmem::{Heap, Owned, Pages};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let value = Owned::new_in([7; 32], &heap).unwrap();
    Owned::shred(value).unwrap();
    println!("{:?}", *value);
}

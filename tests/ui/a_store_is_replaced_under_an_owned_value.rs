// Exchanging two stores would have each give back the other's cells.
use kmem::{Heap, Owned, Pages};

fn main() {
    let mut one = Heap::new_in(Pages::new());
    let mut other = Heap::new_in(Pages::new());
    let value = Owned::new_in(7, &one).unwrap();
    std::mem::swap(&mut one, &mut other);
    drop(value);
}

// A cell has one owner.
use kmem::{Heap, Owned, Pages};

fn again<T: Clone>(value: &T) -> T {
    value.clone()
}

fn main() {
    let heap = Heap::new_in(Pages::new());
    let value = Owned::new_in(7, &heap).unwrap();
    drop(again(&value));
}

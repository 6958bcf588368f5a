// A cell has one owner.
use kmem::{Heap, Owned, Pages};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let value = Owned::new_in(7, &heap).unwrap();
    let owner = value;
    println!("{owner} {value}");
}

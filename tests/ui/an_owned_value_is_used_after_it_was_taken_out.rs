// The value was taken out and its cell given back.
use kmem::{Heap, Owned, Pages};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let value = Owned::new_in(String::from("out"), &heap).unwrap();
    let text = value.into_inner();
    println!("{text} {value}");
}

// What is leaked stays until the store goes, and no longer.
use kmem::{Heap, Owned, Pages};

fn main() {
    let leaked: &'static mut i32 = {
        let heap = Heap::new_in(Pages::new());
        Owned::leak(Owned::new_in(7, &heap).unwrap())
    };
    println!("{leaked}");
}

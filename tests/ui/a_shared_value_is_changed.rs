// Others may be looking at it.
use kmem::{Heap, Pages, Ref};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let mut value = Ref::new_in(7, &heap).unwrap();
    *value += 1;
}

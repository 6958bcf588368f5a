// The only reference is no longer the only one.
use kmem::{Heap, Pages, Ref};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let mut value = Ref::new_in(7, &heap).unwrap();
    let changed = Ref::get_mut(&mut value).unwrap();
    let other = value.clone();
    *changed += *other;
}

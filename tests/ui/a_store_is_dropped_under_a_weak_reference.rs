// Also a weak reference needs its counts.
use kmem::{Heap, Pages, Ref};

fn main() {
    let heap = Heap::new_in(Pages::new());
    let value = Ref::new_in(7, &heap).unwrap();
    let weak = Ref::downgrade(&value).unwrap();
    drop(value);
    drop(heap);
    println!("{:?}", weak.upgrade());
}

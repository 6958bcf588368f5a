// A counted value outlives the heap that it lies in.
use kmem::{Heap, Pages, Ref};

fn main() {
    let kept;
    {
        let heap = Heap::new_in(Pages::new());
        let value = Ref::new_in(7, &heap).unwrap();
        kept = value.clone();
    }
    println!("{kept}");
}

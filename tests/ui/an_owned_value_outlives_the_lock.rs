// It would be given back to a heap that another thread has locked.
use kmem::{Heap, Locked, Owned, Pages};

static HEAP: Locked<Heap<Pages>> = Locked::new(Heap::new_in(Pages::new()));

fn main() {
    let guard = HEAP.lock();
    let value = Owned::new_in(7, &*guard).unwrap();
    drop(guard);
    println!("{value}");
}

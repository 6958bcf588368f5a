// A counted one is shared by name; others have one owner.
use core::alloc::Layout;
use kmem::{Global, Managed};

fn again<T: Clone>(value: &T) -> T {
    value.clone()
}

fn main() {
    let cell = Managed::counted(&Global, Layout::new::<u64>()).unwrap();
    drop(again(&cell));
}

// The handle names its store by address.
use core::alloc::Layout;
use kmem::{Lin, Managed, Pages};

fn main() {
    let lin = Lin::with_headers_in(Pages::new());
    let cell = Managed::lin(&lin, Layout::new::<u64>()).unwrap();
    let moved = lin.limit(1 << 20);
    drop(cell);
    drop(moved);
}

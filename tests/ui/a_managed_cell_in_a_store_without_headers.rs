// Nothing there would tell what the cell is.
use core::alloc::Layout;
use kmem::{Lin, Managed, Pages};

fn main() {
    let lin = Lin::new_in(Pages::new());
    Managed::lin(&lin, Layout::new::<u64>()).unwrap();
}

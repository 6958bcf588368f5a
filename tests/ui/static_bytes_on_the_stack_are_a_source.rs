// Blocks stay where they are whatever becomes of the source, so the bytes must be there for ever.
use core::alloc::Layout;
use kmem::{Source, StaticBytes};

fn main() {
    let bytes = StaticBytes::<256>::new();
    (&bytes).alloc(Layout::new::<u64>()).unwrap();
}

// Whoever makes a handle of an address answers for it.
use core::ptr::NonNull;
use kmem::{Global, Owned};

fn main() {
    let mut value = 7;
    drop(Owned::from_raw(NonNull::from(&mut value), &Global));
}

// The value is reached from both threads.
use core::cell::Cell;
use kmem::{AtomicRef, Global};

fn to_a_thread<T: Send>(_: T) {}

fn main() {
    let value = AtomicRef::new_in(Cell::new(7), &Global).unwrap();
    to_a_thread(value.clone());
    value.set(9);
}

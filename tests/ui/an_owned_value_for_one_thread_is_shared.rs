// Both threads would change it.
use core::cell::Cell;
use kmem::{Global, Owned};

fn with_a_thread<T: Sync>(_: &T) {}

fn main() {
    with_a_thread(&Owned::new_in(Cell::new(7), &Global).unwrap());
}

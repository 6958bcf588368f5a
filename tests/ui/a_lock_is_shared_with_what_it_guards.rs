// Two threads with the guard would both use what has no lock of its own.
use core::cell::Cell;
use kmem::Locked;

static COUNT: Locked<Cell<i32>> = Locked::new(Cell::new(0));

fn with_a_thread<T: Sync>(_: &T) {}

fn main() {
    with_a_thread(&COUNT.lock());
}

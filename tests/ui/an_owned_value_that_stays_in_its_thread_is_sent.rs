// The other thread would count what this one counts.
use std::rc::Rc;
use kmem::{Global, Owned};

fn to_a_thread<T: Send>(_: T) {}

fn main() {
    to_a_thread(Owned::new_in(Rc::new(7), &Global).unwrap());
}

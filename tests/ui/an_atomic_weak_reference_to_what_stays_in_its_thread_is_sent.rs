// A weak reference can become a strong one.
use std::rc::Rc;
use kmem::{AtomicRef, Global};

fn to_a_thread<T: Send>(_: T) {}

fn main() {
    let value = AtomicRef::new_in(Rc::new(7), &Global).unwrap();
    to_a_thread(AtomicRef::downgrade(&value).unwrap());
}

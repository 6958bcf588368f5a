// Its count is for one thread.
use kmem::{Global, Ref};

fn to_a_thread<T: Send>(_: T) {}

fn main() {
    let value = Ref::new_in(7, &Global).unwrap();
    to_a_thread(value.clone());
}

// It would be given back there, while this thread uses the source.
use core::mem::MaybeUninit;
use kmem::{Fixed, Owned};

fn to_a_thread<T: Send>(_: T) {}

fn main() {
    let mut bytes = [MaybeUninit::uninit(); 256];
    let source = Fixed::new(&mut bytes);
    to_a_thread(Owned::new_in(7, &source).unwrap());
}

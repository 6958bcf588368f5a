// Both threads would be handed the same bytes.
use core::mem::MaybeUninit;
use kmem::Fixed;

fn with_a_thread<T: Sync>(_: &T) {}

fn main() {
    let mut bytes = [MaybeUninit::uninit(); 256];
    with_a_thread(&Fixed::new(&mut bytes));
}

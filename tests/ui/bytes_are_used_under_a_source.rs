// The caller's bytes are the source's as long as it lives.
use core::mem::MaybeUninit;
use kmem::Fixed;

fn main() {
    let mut bytes = [MaybeUninit::new(0_u8); 256];
    let source = Fixed::new(&mut bytes);
    bytes[100] = MaybeUninit::new(1);
    println!("{}", source.used());
}

// The caller's bytes are the store's as long as it lives.
use core::mem::MaybeUninit;
use kmem::Lin;

fn main() {
    let mut bytes = [MaybeUninit::new(0_u8); 256];
    let lin = Lin::fixed(&mut bytes);
    let value = lin.put(7).unwrap();
    bytes[100] = MaybeUninit::new(1);
    println!("{value}");
}

// A store outlives the bytes that it stands on.
use core::mem::MaybeUninit;
use kmem::Heap;

fn main() {
    let heap = {
        let mut bytes = [MaybeUninit::uninit(); 4096];
        Heap::fixed(&mut bytes)
    };
    println!("{heap:?}");
}

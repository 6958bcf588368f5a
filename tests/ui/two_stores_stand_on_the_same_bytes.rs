// Both would hand out the same bytes.
use core::mem::MaybeUninit;
use kmem::Heap;

fn main() {
    let mut bytes = [MaybeUninit::uninit(); 4096];
    let one = Heap::fixed(&mut bytes);
    let other = Heap::fixed(&mut bytes);
    drop((one, other));
}

// A value is used after its pool was reset.
use core::alloc::Layout;
use kmem::{Owned, Pages, Pool};

fn main() {
    let mut pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    let value = Owned::new_in(7_u64, &pool).unwrap();
    pool.reset();
    println!("{value}");
}

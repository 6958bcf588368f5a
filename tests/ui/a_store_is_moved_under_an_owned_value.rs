// The value would be given back to where the pool no longer is.
use core::alloc::Layout;
use kmem::{Owned, Pages, Pool};

fn main() {
    let pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    let value = Owned::new_in(7_u64, &pool).unwrap();
    let moved = Box::new(pool);
    drop(value);
    drop(moved);
}

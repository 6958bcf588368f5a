// A cell that was handed out no longer leads to the next free one.
use core::alloc::Layout;
use kmem::{Owned, Pages, Pool};

fn main() {
    let mut pool = Pool::new_in(Layout::new::<usize>(), Pages::new());
    drop(Owned::new_in(1_usize, &pool).unwrap());
    let mut free = pool.free_cells();
    let value = Owned::new_in(7_usize, &pool).unwrap();
    println!("{:?} {value}", free.next());
}

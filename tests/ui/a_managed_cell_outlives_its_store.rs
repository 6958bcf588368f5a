// The handle names its store by address.
use core::alloc::Layout;
use kmem::{Managed, Pages, Pool};

fn main() {
    let cell = {
        let pool = Pool::with_headers_in(Layout::new::<u64>(), Pages::new());
        Managed::pool(&pool).unwrap()
    };
    println!("{:?}", cell.bytes());
}

// A value in a region is used after the region was reset.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let value = lin.put(7).unwrap();
    lin.reset();
    *value += 1;
}

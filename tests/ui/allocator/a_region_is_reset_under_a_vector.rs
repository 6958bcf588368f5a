// A vector is used after its region was reset.
use allocator_api2::vec::Vec;
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let mut numbers = Vec::new_in(&lin);
    numbers.push(7);
    lin.reset();
    numbers.push(8);
}

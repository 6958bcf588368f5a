// A value outlives its region.
use kmem::{Lin, Pages};

fn main() {
    let value;
    {
        let lin = Lin::new_in(Pages::new());
        value = lin.put([1, 2, 3]).unwrap();
    }
    println!("{value:?}");
}

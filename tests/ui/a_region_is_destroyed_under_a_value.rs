// A value in a region is used after the region was destroyed.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let text = lin.put_str("gone").unwrap();
    lin.destroy().unwrap();
    println!("{text}");
}

// The scope's end would rewind over what was placed in the region itself.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let value = lin.scope(|_| lin.put(7).unwrap());
    println!("{value}");
}

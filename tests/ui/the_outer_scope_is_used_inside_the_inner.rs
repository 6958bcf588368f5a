// The inner scope's end would rewind over what was placed through the outer.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    lin.scope(|mut outer| {
        let value = outer.scope(|_| outer.put(7).unwrap());
        println!("{value}");
    });
}

// A value is used after its scope.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let value = lin.scope(|scope| scope.put(7).unwrap());
    println!("{value}");
}

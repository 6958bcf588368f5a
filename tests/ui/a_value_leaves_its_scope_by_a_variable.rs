// A value is carried out of its scope by a variable.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let mut kept: Option<&mut i32> = None;
    lin.scope(|scope| kept = Some(scope.put(7).unwrap()));
    println!("{kept:?}");
}

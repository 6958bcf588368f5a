// An owned value in a scope is used after the scope.
use kmem::{Lin, Owned, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let text = lin.scope(|scope| Owned::new_in(String::from("gone"), &scope).unwrap());
    println!("{text}");
}

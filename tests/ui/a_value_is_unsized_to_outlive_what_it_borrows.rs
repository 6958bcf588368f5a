// A trait object cannot be said to live longer than the value in it.
use core::fmt::Display;
use kmem::{Global, Owned, unsize};

fn main() {
    let text = String::from("gone");
    let shown: Owned<'static, dyn Display + 'static, Global> =
        unsize!(Owned::new_in(text.as_str(), &Global).unwrap(), dyn Display + 'static);
    drop(text);
    println!("{shown}");
}

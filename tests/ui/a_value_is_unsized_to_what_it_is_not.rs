// Only what the language coerces.
use kmem::{Global, Owned, unsize};

fn main() {
    let text: Owned<'_, str, _> = unsize!(Owned::new_in([0xff_u8; 4], &Global).unwrap(), str);
    println!("{text}");
}

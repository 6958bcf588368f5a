// Its destructor would look at what has gone.
use kmem::{Heap, Owned, Pages};

#[derive(Debug)]
struct Shows<'a>(&'a str);

impl Drop for Shows<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn main() {
    let heap = Heap::new_in(Pages::new());
    let shows;
    let text = String::from("gone");
    shows = Owned::new_in(Shows(&text), &heap).unwrap();
}

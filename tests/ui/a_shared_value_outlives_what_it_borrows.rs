// The last reference's destructor would show what has gone.
use kmem::{Heap, Pages, Ref};

#[derive(Debug)]
struct Shows<'a>(&'a str);

impl Drop for Shows<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn main() {
    let heap = Heap::new_in(Pages::new());
    let shows: Ref<'_, Shows<'_>, _>;
    let text = String::from("gone");
    shows = Ref::new_in(Shows(&text), &heap).unwrap();
    drop(shows.clone());
}

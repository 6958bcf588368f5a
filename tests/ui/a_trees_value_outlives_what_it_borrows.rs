// The tree's destructor would show what has gone.
use kmem::{Heap, KeyTree, Pages};

#[derive(Debug)]
struct Shows<'a>(&'a str);

impl Drop for Shows<'_> {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

fn main() {
    let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let text = String::from("gone");
    tree.insert(None, Shows(&text)).unwrap();
}

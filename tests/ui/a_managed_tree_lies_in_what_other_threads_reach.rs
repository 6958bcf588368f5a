// Another thread could give back what is being looked at.
use kmem::{Global, Tree};

fn main() {
    let tree = Tree::managed_in(Global);
    tree.root().unwrap();
}

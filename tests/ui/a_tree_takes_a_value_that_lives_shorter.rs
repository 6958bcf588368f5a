// Inserting needs only a shared reference to the tree. Were `KeyTree<&'static str>` also a
// `KeyTree<&'short str>`, this would leave in it a reference to what has gone.
use kmem::{Heap, Key, KeyTree, Pages};

fn insert<'short>(tree: &KeyTree<&'short str, Heap<Pages>>, text: &'short str) -> Key {
    tree.insert(None, text).unwrap()
}

fn main() {
    let tree: KeyTree<&'static str, Heap<Pages>> = KeyTree::new_in(Heap::new_in(Pages::new()));
    let key = {
        let text = String::from("gone");
        insert(&tree, &text)
    };
    println!("{}", tree[key]);
}

// Dropped inside the inner scope, it would give back a cell below the place that is rewound to.
use kmem::{Lin, Owned, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    lin.scope(|mut outer| {
        let text = Owned::new_in(String::from("outer"), &outer).unwrap();
        outer.scope(|_| drop(text));
    });
}

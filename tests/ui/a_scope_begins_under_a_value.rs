// While a value placed in the region itself is in use, no scope can begin that would be rewound.
// (It would do no harm; but the same rule keeps the region from being used inside its scope.)
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let value = lin.put(7).unwrap();
    lin.scope(|inner| {
        inner.put(8).unwrap();
    });
    println!("{value}");
}

// Nobody would run the destructors.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    lin.scope(|scope| {
        scope.put_slice(2, |n| n.to_string()).unwrap();
    });
}

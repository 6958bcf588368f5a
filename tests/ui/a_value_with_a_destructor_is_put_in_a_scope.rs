// Nobody would run the destructor.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    lin.scope(|scope| {
        scope.put(vec![1, 2, 3]).unwrap();
    });
}

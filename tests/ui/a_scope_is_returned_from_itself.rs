// A scope's handle is used after the scope.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let scope = lin.scope(|scope| scope);
    scope.put(7).unwrap();
}

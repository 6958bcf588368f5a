// The handle of an inner scope is used in the outer one.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    lin.scope(|mut outer| {
        let mut kept = None;
        outer.scope(|inner| kept = Some(inner));
        kept.unwrap().put(7).unwrap();
    });
}

// A value of an inner scope is kept in a value of the outer one.
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    lin.scope(|mut outer| {
        let kept: &mut Option<&i32> = outer.put(None).unwrap();
        outer.scope(|inner| *kept = Some(inner.put(7).unwrap()));
        println!("{kept:?}");
    });
}

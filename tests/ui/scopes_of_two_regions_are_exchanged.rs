// With the scopes exchanged, the outer one would hand out what the inner one's end rewinds.
use kmem::{Lin, Pages};

fn main() {
    let mut one = Lin::new_in(Pages::new());
    let mut other = Lin::new_in(Pages::new());
    one.scope(|mut outer| {
        other.scope(|mut inner| std::mem::swap(&mut outer, &mut inner));
        outer.put(7).unwrap();
    });
}

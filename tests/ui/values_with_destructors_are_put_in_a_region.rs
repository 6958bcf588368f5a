// Nobody would run the destructors.
use kmem::{Lin, Pages};

fn main() {
    let lin = Lin::new_in(Pages::new());
    lin.put_slice(3, |_| Box::new(7)).unwrap();
}

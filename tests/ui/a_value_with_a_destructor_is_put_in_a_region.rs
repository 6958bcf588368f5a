// Nobody would run the destructor.
use kmem::{Lin, Pages};

fn main() {
    let lin = Lin::new_in(Pages::new());
    lin.put(String::from("never dropped")).unwrap();
}

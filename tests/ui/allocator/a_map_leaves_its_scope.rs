// A map is used after the scope that it lies in.
use hashbrown::{DefaultHashBuilder, HashMap};
use kmem::{Lin, Pages};

fn main() {
    let mut lin = Lin::new_in(Pages::new());
    let map = lin.scope(|scope| {
        let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), &scope);
        map.insert(1, 2);
        map
    });
    println!("{:?}", map.get(&1));
}

// The two layers are all there are: stores trust what they say.
use kmem::Layer;

struct Mine;

impl Layer for Mine {
    const HEADERS: bool = true;
}

fn main() {}

//! A JSON document held by every kind of memory at once.
fn main() {}

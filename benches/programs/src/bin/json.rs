//! Parses a JSON document into `serde_json`'s values, walks them, and prints them to where nobody reads.

use std::error::Error;
use std::{env, fs, io};

use kmem_programs as _;
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args_os().nth(1).ok_or("which document?")?;
    let document: Value = serde_json::from_slice(&fs::read(file)?)?;
    let mut seen = Seen::default();
    seen.walk(&document);
    serde_json::to_writer(io::sink(), &document)?;
    println!("{} values, {} bytes of text", seen.values, seen.bytes);
    Ok(())
}

/// What the walk comes to: the same for every allocator.
#[derive(Default)]
struct Seen {
    values: usize,
    bytes: usize,
}

impl Seen {
    fn walk(&mut self, value: &Value) {
        self.values += 1;
        match value {
            Value::String(text) => self.bytes += text.len(),
            Value::Array(values) => values.iter().for_each(|value| self.walk(value)),
            Value::Object(members) => {
                for (key, value) in members {
                    self.bytes += key.len();
                    self.walk(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

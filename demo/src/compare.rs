//! Comparing: two JSON texts, value by value, neither held.

use std::io::{self, Read};

use struson::reader::{JsonReader, JsonStreamReader, ReaderError, ValueType};

use crate::error::{Error, Place};
use crate::load::parser;
use crate::progress::Progress;

/// What two equal texts have in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equal {
    /// Values of every type.
    pub values: u64,
    /// Keys of objects.
    pub keys: u64,
}

/// Reads two JSON texts side by side: they are equal if every value is, in the same order and with the
/// same key, strings without their escapes and numbers as they are written.
///
/// # Errors
///
/// The first place in the first text where they differ, and what each reader says.
pub fn compare(input: impl Read, written: impl Read, progress: &mut Progress) -> Result<Equal, Error> {
    let (mut a, mut b) = (parser(input), parser(written));
    // What is open: whether it is an object, as the readers do not tell.
    let mut open = Vec::new();
    let mut keys = 0;
    loop {
        if open.last() == Some(&true) {
            keys += 1;
            if a.next_name()? != b.next_name().map_err(unreadable)? {
                return Err(differs(&a, "another key"));
            }
        }
        value(&mut a, &mut b, &mut open)?;
        progress.step();
        while let Some(object) = open.last() {
            let more = a.has_next()?;
            if more != b.has_next().map_err(unreadable)? {
                return Err(differs(&a, "more values, or fewer"));
            }
            if more {
                break;
            }
            if *object {
                a.end_object()?;
                b.end_object().map_err(unreadable)?;
            } else {
                a.end_array()?;
                b.end_array().map_err(unreadable)?;
            }
            open.pop();
        }
        if open.is_empty() {
            break;
        }
    }
    a.consume_trailing_whitespace()?;
    b.consume_trailing_whitespace().map_err(unreadable)?;
    Ok(Equal { values: progress.values(), keys })
}

fn value<A: Read, B: Read>(
    a: &mut JsonStreamReader<A>,
    b: &mut JsonStreamReader<B>,
    open: &mut Vec<bool>,
) -> Result<(), Error> {
    let kind = a.peek()?;
    if kind != b.peek().map_err(unreadable)? {
        return Err(differs(a, "a value of another type"));
    }
    let equal = match kind {
        ValueType::Array => {
            a.begin_array()?;
            b.begin_array().map_err(unreadable)?;
            open.push(false);
            true
        }
        ValueType::Object => {
            a.begin_object()?;
            b.begin_object().map_err(unreadable)?;
            open.push(true);
            true
        }
        ValueType::String => a.next_str()? == b.next_str().map_err(unreadable)?,
        ValueType::Number => a.next_number_as_str()? == b.next_number_as_str().map_err(unreadable)?,
        ValueType::Boolean => a.next_bool()? == b.next_bool().map_err(unreadable)?,
        ValueType::Null => {
            a.next_null()?;
            b.next_null().map_err(unreadable)?;
            true
        }
    };
    if equal { Ok(()) } else { Err(differs(a, "another value")) }
}

/// What is wrong with the second text is no place in the first.
fn unreadable(error: ReaderError) -> Error {
    Error::Io(io::Error::other(format!("what was written cannot be read again: {error}")))
}

fn differs<R: Read>(reader: &JsonStreamReader<R>, what: &'static str) -> Error {
    Error::Differs { place: Place::from(&reader.current_position(false)), what }
}

//! Writing: a document's values become JSON text.

use std::io::{self, Write};

use kmem::platform::Platform;
use struson::writer::{JsonNumberError, JsonStreamWriter, JsonWriter};

use crate::document::{At, Document, Value};

/// Writes a document, each value as it was read; space between them is the writer's.
///
/// # Errors
///
/// The output's.
pub fn write<P: Platform>(document: &Document<'_, P>, out: impl Write) -> io::Result<()> {
    let Some(top) = document.top() else { return Ok(()) };
    let mut out = JsonStreamWriter::new(out);
    let mut at = top;
    loop {
        begin(at, &mut out)?;
        if let Some(child) = at.child() {
            at = child;
            continue;
        }
        // What is complete ends, up to a container that has more in it.
        end(at, &mut out)?;
        while at != top && at.next().is_none() {
            let Some(container) = at.parent() else { break };
            at = container;
            end(at, &mut out)?;
        }
        match at.next() {
            Some(next) if at != top => at = next,
            _ => break,
        }
    }
    out.finish_document()?;
    Ok(())
}

fn begin<P: Platform>(at: At<'_, '_, P>, out: &mut impl JsonWriter) -> io::Result<()> {
    if let Some(key) = at.key() {
        out.name(key)?;
    }
    match at.value() {
        Value::Null => out.null_value(),
        Value::Bool(value) => out.bool_value(value),
        Value::String(value) => out.string_value(value),
        Value::Number(value) => out.number_value_from_string(value).map_err(|error| match error {
            JsonNumberError::IoError(error) => error,
            JsonNumberError::InvalidNumber(what) => io::Error::other(what),
        }),
        Value::Array(_) => out.begin_array(),
        Value::Object(_) => out.begin_object(),
    }
}

fn end<P: Platform>(at: At<'_, '_, P>, out: &mut impl JsonWriter) -> io::Result<()> {
    match at.value() {
        Value::Array(_) => out.end_array(),
        Value::Object(_) => out.end_object(),
        _ => Ok(()),
    }
}

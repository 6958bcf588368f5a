//! Reading: the parser's events become values of a document.

use std::io::Read;

use kmem::platform::Platform;
use struson::reader::{JsonReader, JsonStreamReader, ReaderSettings, ValueType};

use crate::document::{At, Document, Held, Text};
use crate::error::{Error, Place};
use crate::progress::Progress;
use crate::secret::looks_secret;
use crate::seen::Seen;
use crate::stores::Stores;

/// A parser without limits: what a document may be is for the memory to say.
pub fn parser<R: Read>(input: R) -> JsonStreamReader<R> {
    let settings = ReaderSettings {
        max_nesting_depth: None,
        track_path: false,
        restrict_number_values: false,
        ..ReaderSettings::default()
    };
    JsonStreamReader::new_custom(input, settings)
}

/// Reads a document into the stores.
///
/// # Errors
///
/// Malformed JSON, a file that cannot be read, or no memory. What was read is then released with the
/// document that is not handed out, its texts with the stores.
pub fn load<'s, P: Platform>(
    stores: &'s Stores<'s, P>,
    input: impl Read,
    progress: &mut Progress,
) -> Result<Document<'s, P>, Error> {
    let document = Document::new(stores);
    Loader { document: &document, seen: Seen::new(&stores.shared)?, reader: parser(input) }.run(progress)?;
    Ok(document)
}

struct Loader<'d, 's, P: Platform, R: Read> {
    document: &'d Document<'s, P>,
    seen: Seen<'s, P>,
    reader: JsonStreamReader<R>,
}

impl<'d, 's, P: Platform, R: Read> Loader<'d, 's, P, R> {
    fn run(mut self, progress: &mut Progress) -> Result<(), Error> {
        self.reader.peek()?;
        let mut open = None;
        loop {
            open = self.value(open)?;
            progress.step();
            while let Some(container) = open
                && !self.reader.has_next()?
            {
                open = self.end(container)?;
            }
            if open.is_none() {
                break;
            }
        }
        self.reader.consume_trailing_whitespace()?;
        Ok(())
    }

    /// Reads one value, of a container its beginning; gives the container that is open then.
    fn value(&mut self, open: Option<At<'d, 's, P>>) -> Result<Option<At<'d, 's, P>>, Error> {
        let place = Place::from(&self.reader.current_position(false));
        let at = self.document.add(open, place)?;
        if open.is_some_and(At::is_object) {
            let name = self.reader.next_name()?;
            at.set_key(keep(self.document, &mut self.seen, name, at.is_secret())?);
            if looks_secret(name) {
                at.taint()?;
            }
        }
        let secret = at.is_secret();
        let value = match self.reader.peek()? {
            ValueType::Array => {
                at.set_value(Held::Array(self.document.summary()?));
                self.reader.begin_array()?;
                return Ok(Some(at));
            }
            ValueType::Object => {
                at.set_value(Held::Object(self.document.summary()?));
                self.reader.begin_object()?;
                return Ok(Some(at));
            }
            ValueType::String => Held::String(keep(self.document, &mut self.seen, self.reader.next_str()?, secret)?),
            ValueType::Number => {
                Held::Number(keep(self.document, &mut self.seen, self.reader.next_number_as_str()?, secret)?)
            }
            ValueType::Boolean => Held::Bool(self.reader.next_bool()?),
            ValueType::Null => {
                self.reader.next_null()?;
                Held::Null
            }
        };
        at.set_value(value);
        at.complete();
        Ok(open)
    }

    /// Reads a container's end; gives the one that it is in.
    fn end(&mut self, container: At<'d, 's, P>) -> Result<Option<At<'d, 's, P>>, Error> {
        if container.is_object() {
            self.reader.end_object()?;
        } else {
            self.reader.end_array()?;
        }
        container.complete();
        Ok(container.parent())
    }
}

/// Keeps a text: when it is seen first in a cell of its own, from then on in one that is counted. A
/// secret one is never looked for nor noted, and shared with nobody.
fn keep<'s, P: Platform>(
    document: &Document<'s, P>,
    seen: &mut Seen<'s, P>,
    text: &str,
    secret: bool,
) -> Result<Text, Error> {
    if secret {
        return Ok(document.own_text(text, true)?);
    }
    let entry = seen.find(text)?;
    let kept = match entry.text() {
        None => document.own_text(text, false)?,
        Some(before) => match document.share(before)? {
            Some(shared) => return Ok(shared),
            None => document.shared_text(text)?,
        },
    };
    entry.note(kept);
    Ok(kept)
}

//! Why a document could not be held, read or written.

use std::fmt;
use std::io;

use kmem::Cond;
use struson::reader::{JsonReaderPosition, ReaderError, SyntaxErrorKind as Kind};

/// A place in a text, both numbers from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The character in the line.
    pub column: u64,
}

impl From<&JsonReaderPosition> for Place {
    fn from(position: &JsonReaderPosition) -> Self {
        let at = position.line_pos.map_or((0, 0), |at| (at.line, at.column));
        Self { line: at.0 + 1, column: at.1 + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a document could not be held, read or written.
#[derive(Debug)]
pub enum Error {
    /// The text is no JSON.
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong there.
        what: String,
    },
    /// The file, the pipe or the terminal.
    Io(io::Error),
    /// A store refused.
    Memory(Cond),
    /// What was written is not what was read.
    Differs {
        /// Where in the input.
        place: Place,
        /// What differs there.
        what: &'static str,
    },
}

impl Error {
    /// Where in the input it went wrong, if it did there.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Malformed { place, .. } | Self::Differs { place, .. } => Some(*place),
            Self::Io(_) | Self::Memory(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { place, what } => write!(f, "{place}: {what}"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Memory(cond) => write!(f, "there is no memory for the document: {cond}"),
            Self::Differs { place, what } => write!(f, "{place}: the text that was written differs: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Cond> for Error {
    fn from(cond: Cond) -> Self {
        Self::Memory(cond)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ReaderError> for Error {
    fn from(error: ReaderError) -> Self {
        let malformed = |location: &JsonReaderPosition, what: String| Self::Malformed { place: location.into(), what };
        match error {
            ReaderError::SyntaxError(error) => malformed(&error.location, in_words(error.kind)),
            ReaderError::IoError { error, location } if error.kind() == io::ErrorKind::InvalidData => {
                malformed(&location, "this is not UTF-8".to_owned())
            }
            ReaderError::IoError { error, .. } => Self::Io(error),
            ReaderError::UnexpectedValueType { ref location, .. }
            | ReaderError::UnexpectedStructure { ref location, .. }
            | ReaderError::MaxNestingDepthExceeded { ref location, .. }
            | ReaderError::UnsupportedNumberValue { ref location, .. } => malformed(location, error.to_string()),
            _ => Self::Io(io::Error::other(error.to_string())),
        }
    }
}

fn in_words(kind: Kind) -> String {
    let words = match kind {
        Kind::CommentsNotEnabled => "JSON has no comments",
        Kind::InvalidLiteral => "a word that is none of true, false and null",
        Kind::TrailingDataAfterLiteral => "something follows true, false or null",
        Kind::UnexpectedClosingBracket => "a bracket closes what is not open",
        Kind::UnexpectedComma => "a comma where none may be",
        Kind::MissingComma => "a comma is missing",
        Kind::TrailingCommaNotEnabled => "a comma with nothing behind it",
        Kind::UnexpectedColon => "a colon where none may be",
        Kind::MissingColon => "a colon is missing after the key",
        Kind::MalformedNumber => "a malformed number",
        Kind::TrailingDataAfterNumber => "something follows the number",
        Kind::ExpectingMemberNameOrObjectEnd => "a key in quotes or a closing } is missing",
        Kind::MalformedJson => "no JSON value begins so",
        Kind::NotEscapedControlCharacter => "a control character in a string, which must be escaped",
        Kind::UnknownEscapeSequence => "no such escape sequence",
        Kind::MalformedEscapeSequence => "a malformed escape sequence",
        Kind::UnpairedSurrogatePairEscapeSequence => "half of a surrogate pair, which is no character",
        Kind::IncompleteDocument => "the text ends before the value does",
        Kind::TrailingData => "something follows the value",
        other => return other.to_string(),
    };
    words.to_owned()
}

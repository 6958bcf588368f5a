//! Questions to a document, and paths in it.

use std::fmt;

use kmem::RefCell;
use kmem::platform::Platform;

use crate::document::{At, Document, Value};

/// What one walk through a document finds.
#[derive(Debug)]
pub struct Survey<'d, 's, P: Platform> {
    /// How many values there are of each type, with what one is called.
    pub types: [(&'static str, u64); 6],
    /// Values that are shredded when they go.
    pub secrets: u64,
    /// The first of those, a whole subtree of them.
    pub secret: Option<At<'d, 's, P>>,
    /// The first of the values that have the most above them, and how many those are.
    pub deepest: (At<'d, 's, P>, usize),
    /// The longest string.
    pub longest: Option<At<'d, 's, P>>,
    /// The container with the most values right in it.
    pub widest: Option<At<'d, 's, P>>,
    /// Texts in cells of their own.
    pub own: u64,
    /// Uses of counted texts, and the bytes that copies would be.
    pub shared: (u64, usize),
    /// The text with the most references, and the front of its cell.
    pub favourite: Option<(&'d str, &'d RefCell)>,
}

/// Walks through a document; `None` if there is nothing in it.
pub fn survey<'d, 's, P: Platform>(document: &'d Document<'s, P>) -> Option<Survey<'d, 's, P>> {
    let mut found = Survey {
        types: ["object", "array", "string", "number", "boolean", "null"].map(|name| (name, 0)),
        secrets: 0,
        secret: None,
        deepest: (document.top()?, 0),
        longest: None,
        widest: None,
        own: 0,
        shared: (0, 0),
        favourite: None,
    };
    let (mut longest, mut widest) = (0, 0);
    for (at, depth) in document.top()?.walk() {
        let index = match at.value() {
            Value::Object(_) => 0,
            Value::Array(_) => 1,
            Value::String(text) => {
                if text.len() > longest {
                    (longest, found.longest) = (text.len(), Some(at));
                }
                2
            }
            Value::Number(_) => 3,
            Value::Bool(_) => 4,
            Value::Null => 5,
        };
        found.types[index].1 += 1;
        if depth > found.deepest.1 {
            found.deepest = (at, depth);
        }
        if at.size().members > widest {
            (widest, found.widest) = (at.size().members, Some(at));
        }
        if at.is_secret() {
            found.secrets += 1;
            found.secret = found.secret.or(Some(at));
        }
        for (text, counted) in at.texts() {
            let Some(cell) = counted else {
                found.own += 1;
                continue;
            };
            found.shared = (found.shared.0 + 1, found.shared.1 + text.len());
            if found.favourite.is_none_or(|(_, most)| cell.refs() > most.refs()) {
                found.favourite = Some((text, cell));
            }
        }
    }
    Some(found)
}

/// The largest value with no more than half of the document below and with it; if `last`, only of those
/// that are the last in their container, so that one moved away and back is where it was.
pub fn half<'d, 's, P: Platform>(document: &'d Document<'s, P>, last: bool) -> Option<At<'d, 's, P>> {
    let top = document.top()?;
    let all = top.size().values + 1;
    let fits = |at: &At<'d, 's, P>| *at != top && (at.size().values + 1) * 2 <= all && !(last && at.next().is_some());
    let mut best: Option<At<'d, 's, P>> = None;
    for (at, _) in top.walk().filter(|(at, _)| fits(at)) {
        if best.is_none_or(|best| at.size().values > best.size().values) {
            best = Some(at);
        }
    }
    best
}

/// The exact path of a value, as a JSON pointer (RFC 6901).
pub fn pointer<P: Platform>(at: At<'_, '_, P>) -> String {
    steps(at, usize::MAX).iter().flat_map(|at| [String::from("/"), step(*at)]).collect()
}

/// Follows a JSON pointer from the top; of equal keys, to the first.
pub fn find<'d, 's, P: Platform>(document: &'d Document<'s, P>, pointer: &str) -> Option<At<'d, 's, P>> {
    let mut at = document.top()?;
    for wanted in pointer.split('/').skip(1) {
        let mut index = 0;
        at = at.children().find(|child| match child.key() {
            Some(key) => escaped(key).eq(wanted.chars()),
            None => {
                index += 1;
                wanted.parse() == Ok(index - 1)
            }
        })?;
    }
    Some(at)
}

/// The last so many values on the way from the top to a value, the value too.
fn steps<'d, 's, P: Platform>(at: At<'d, 's, P>, most: usize) -> Vec<At<'d, 's, P>> {
    let way = std::iter::successors(Some(at), |at| at.parent()).take_while(|at| at.parent().is_some());
    let mut steps: Vec<_> = way.take(most).collect();
    steps.reverse();
    steps
}

/// The key, or the place in the array.
fn step<P: Platform>(at: At<'_, '_, P>) -> String {
    match at.key() {
        Some(key) => escaped(key).collect(),
        None => std::iter::successors(at.prev(), |at| at.prev()).count().to_string(),
    }
}

fn escaped(key: &str) -> impl Iterator<Item = char> {
    let each = key.chars().flat_map(|char| match char {
        '~' => [Some('~'), Some('0')],
        '/' => [Some('~'), Some('1')],
        _ => [Some(char), None],
    });
    each.flatten()
}

/// A value's path for a person: a long one loses its beginning, a long key its end, a secret key all.
#[derive(Debug)]
pub struct Path<'d, 's, P: Platform>(pub At<'d, 's, P>);

/// Steps of a path that are shown.
const SHOWN: usize = 4;

impl<P: Platform> fmt::Display for Path<'_, '_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = steps(self.0, SHOWN + 1);
        if steps.is_empty() {
            return f.write_str("the top");
        }
        if steps.len() > SHOWN {
            f.write_str("…")?;
        }
        for at in &steps[steps.len().saturating_sub(SHOWN)..] {
            let hidden = at.parent().is_some_and(At::is_secret) && at.key().is_some();
            if hidden { f.write_str("/***")? } else { write!(f, "/{}", Short(&step(*at), 24))? }
        }
        Ok(())
    }
}

/// The beginning of a text, harmless to a terminal.
#[derive(Debug)]
pub struct Short<'a>(pub &'a str, pub usize);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for char in chars.by_ref().take(self.1) {
            write!(f, "{}", char.escape_debug())?;
        }
        if chars.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

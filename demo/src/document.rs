//! A document: every JSON value is a node of a tree, under the array or object that it is in.
//!
//! ```text
//!   node (in a pool)                      cells that the record names
//! ┌────────────────────┬───────────┐
//! │ kmem's header:     │ Record    │      key ───────► "name"    in the linear region, or
//! │ parent, child,     │ key       │                             counted, where it came before
//! │ lastchild, prev,   │ value  ───┼────► text ──────► "kmem"    the same; for numbers too, as written
//! │ next               │ place     │ or   Summary                in a pool: how much is in the array
//! └────────────────────┴───────────┘                             or object
//! ```
//!
//! What is secret is tainted: its node, and its text, which is then a cell of its own in the linear
//! region. Whoever releases it need not know; the bytes are destroyed with it.
//!
//! Invariants: a record's text is a cell that no other record names, or a counted cell that it has a
//! reference to; an array's or object's summary counts what is below it.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::fmt;
use std::iter;

use kmem::platform::{Native, Platform};
use kmem::{Cond, Headers, Node, Pool, RefCell, Stats, Store, Tree, refs};

use crate::error::Place;
use crate::stores::{Counting, Stores};

/// A text in a cell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    at: NonNull<u8>,
    len: u32,
    home: Home,
}

/// Whose cell a text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// One record's, in the linear region.
    Own,
    /// A counted cell in the heap.
    Shared,
}

impl Text {
    fn new(bytes: NonNull<[u8]>, len: u32, home: Home) -> Self {
        Self { at: bytes.cast(), len, home }
    }

    fn size(self) -> u64 {
        u64::from(self.len)
    }

    /// The text itself.
    ///
    /// # Safety
    ///
    /// Its cell is live for so long.
    pub(crate) unsafe fn as_str<'a>(self) -> &'a str {
        // SAFETY: the caller's promise; the cell was filled with this many bytes.
        let bytes = unsafe { NonNull::slice_from_raw_parts(self.at, self.len as usize).as_ref() };
        // SAFETY: they were a `str`'s bytes, and nothing writes to them.
        unsafe { str::from_utf8_unchecked(bytes) }
    }
}

/// What is below an array or object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Values right in it.
    pub members: u64,
    /// Values below it at any depth.
    pub values: u64,
    /// Bytes of the texts of those values.
    pub bytes: u64,
}

/// A value and where its parts lie.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held {
    Null,
    Bool(bool),
    Number(Text),
    String(Text),
    Array(NonNull<Summary>),
    Object(NonNull<Summary>),
}

/// The payload of a node.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    key: Option<Text>,
    value: Held,
    line: u32,
    column: u32,
}

impl Record {
    fn texts(&self) -> impl Iterator<Item = Text> + use<> {
        let value = match self.value {
            Held::Number(text) | Held::String(text) => Some(text),
            _ => None,
        };
        self.key.into_iter().chain(value)
    }

    fn summary(&self) -> Option<NonNull<Summary>> {
        match self.value {
            Held::Array(summary) | Held::Object(summary) => Some(summary),
            _ => None,
        }
    }
}

/// A value, as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'d> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(&'d str),
    /// A string, without its escapes.
    String(&'d str),
    /// An array.
    Array(Summary),
    /// An object.
    Object(Summary),
}

type Nodes<'s, P> = &'s Pool<Counting<'s, P>, Headers>;

/// A JSON document in kmem's memory.
pub struct Document<'s, P: Platform = Native> {
    stores: &'s Stores<'s, P>,
    tree: Tree<Nodes<'s, P>>,
}

impl<'s, P: Platform> Document<'s, P> {
    /// A document with no value yet.
    pub const fn new(stores: &'s Stores<'s, P>) -> Self {
        Self { stores, tree: Tree::new_in(&stores.nodes) }
    }

    /// Where its parts lie.
    pub const fn stores(&self) -> &'s Stores<'s, P> {
        self.stores
    }

    /// The tree of its values, to be inspected.
    pub const fn tree(&self) -> &Tree<impl kmem::Source + 's> {
        &self.tree
    }

    /// Figures of the tree; its root counts.
    pub fn stats(&self) -> Stats {
        self.tree.stats()
    }

    /// The value that all others are in; `None` before there is one, or after it was released.
    pub fn top(&self) -> Option<At<'_, 's, P>> {
        let root = self.tree.root().ok()?;
        // SAFETY: the tree's root is live as long as the tree.
        self.at(unsafe { self.tree.header(root) }.child())
    }

    fn at(&self, node: Option<NonNull<u8>>) -> Option<At<'_, 's, P>> {
        node.map(|node| At { document: self, node })
    }

    /// The node that is the parent of top-level values, or of those in a container.
    fn node_of(&self, container: Option<At<'_, 's, P>>) -> Result<NonNull<u8>, Cond> {
        container.map_or_else(|| self.tree.root(), |container| Ok(container.node))
    }

    /// Begins a value: `null`, the last in a container, or at the top level with none. What is in a
    /// secret container is secret.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub(crate) fn add(&self, container: Option<At<'_, 's, P>>, place: Place) -> Result<At<'_, 's, P>, Cond> {
        let parent = self.node_of(container)?;
        // SAFETY: an `At` is a live node, and so is the root.
        let node = unsafe { self.tree.alloc(parent, Layout::new::<Record>()) }?.cast::<u8>();
        let at = At { document: self, node };
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        at.write(Record { key: None, value: Held::Null, line: number(place.line), column: number(place.column) });
        if container.is_some_and(|container| container.is_secret()) {
            at.taint()?;
        }
        Ok(at)
    }

    /// Puts a text into a cell of its own, tainted if it is secret.
    pub(crate) fn own_text(&self, text: &str, secret: bool) -> Result<Text, Cond> {
        let len = u32::try_from(text.len()).map_err(|_| Cond::BadSize)?;
        let cell = self.stores.texts.alloc(Layout::for_value(text))?;
        if secret {
            self.stores.texts.taint_cell(cell.cast())?;
        }
        fill(cell, text);
        Ok(Text::new(cell, len, Home::Own))
    }

    /// Puts a text into a counted cell, with one reference.
    pub(crate) fn shared_text(&self, text: &str) -> Result<Text, Cond> {
        let len = u32::try_from(text.len()).map_err(|_| Cond::BadSize)?;
        let cell = refs::alloc(&self.stores.shared, Layout::for_value(text))?;
        fill(cell, text);
        Ok(Text::new(cell, len, Home::Shared))
    }

    /// One more use of a text; `None` for one that is a single record's.
    pub(crate) fn share(&self, text: Text) -> Result<Option<Text>, Cond> {
        if text.home == Home::Own {
            return Ok(None);
        }
        // SAFETY: a shared text is a live counted cell as long as a record has a reference.
        unsafe { refs::upref(text.at) }?;
        Ok(Some(text))
    }

    /// A summary of nothing yet.
    pub(crate) fn summary(&self) -> Result<NonNull<Summary>, Cond> {
        let summary = self.stores.summaries.alloc()?.cast::<Summary>();
        // SAFETY: the pool's cells are for summaries.
        unsafe { summary.write(Summary::default()) };
        Ok(summary)
    }

    /// Moves a value and all in it out of where it is and to the end of a container, or of the top level.
    ///
    /// # Errors
    ///
    /// `in_use` where the container is the value or in it; `mismatch` where it is a container of
    /// keys and the value has none, or the other way round. Nothing is moved then.
    pub fn move_to(&self, at: At<'_, 's, P>, container: Option<At<'_, 's, P>>) -> Result<(), Cond> {
        if container.is_some_and(|container| container.is_object() != at.key().is_some()) {
            return Err(Cond::Mismatch);
        }
        let (before, size) = (at.parent(), at.size());
        let parent = self.node_of(container)?;
        // SAFETY: an `At` is a live node, and so is the root; the tree refuses nodes of another.
        unsafe { self.tree.move_to(at.node, parent) }?;
        count_in(before, size, u64::wrapping_sub);
        count_in(container, size, u64::wrapping_add);
        Ok(())
    }

    /// Releases a value and all in it: the nodes by one call, and before it what their records name.
    ///
    /// # Errors
    ///
    /// What the stores say of a cell that is none, which would be a bug here.
    ///
    /// # Safety
    ///
    /// The value is of this document, and nothing uses it, what is in it, or their texts any more.
    pub unsafe fn free(&self, at: At<'_, 's, P>) -> Result<(), Cond> {
        let (parent, size) = (at.parent(), at.size());
        let answers = at.walk().flat_map(|(at, _)| self.give_back(&at.read())).fold(Ok(()), Result::and);
        // SAFETY: the caller's promise.
        let freed = unsafe { self.tree.free(at.node) };
        count_in(parent, size, u64::wrapping_sub);
        answers.and(freed)
    }

    /// Releases what a record names.
    fn give_back(&self, record: &Record) -> impl Iterator<Item = Result<(), Cond>> + use<'_, 's, P> {
        let texts = record.texts().map(|text| match text.home {
            // SAFETY: the record's own, and the record goes.
            Home::Own => unsafe { self.stores.texts.free(text.at) },
            // SAFETY: the record gives up its reference.
            Home::Shared => unsafe { refs::free(text.at) },
        });
        let summary = record.summary().map(|summary| {
            // SAFETY: the record's own, and the record goes.
            unsafe { self.stores.summaries.free(summary.cast()) }
        });
        texts.chain(summary)
    }

    /// Releases the tree by one call; the texts and summaries go with their stores.
    ///
    /// # Errors
    ///
    /// When a block is refused.
    pub fn destroy(mut self) -> Result<(), Cond> {
        self.tree.destroy()
    }
}

impl<P: Platform> fmt::Debug for Document<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("tree", &self.tree).finish_non_exhaustive()
    }
}

/// Copies a text into a cell that was allocated for it.
fn fill(cell: NonNull<[u8]>, text: &str) {
    let from = NonNull::from(text).cast::<u8>();
    // SAFETY: the cell is new, ours and as long as the text.
    unsafe { from.copy_to_nonoverlapping(cell.cast(), text.len()) };
}

/// Whether all bytes of a text that was released are zero, as shredding leaves them.
///
/// # Safety
///
/// The place was given by [`At::text_place`], and the stores have not been destroyed since.
#[must_use]
pub unsafe fn is_wiped(place: NonNull<[u8]>) -> bool {
    (0..place.len()).all(|at| {
        // SAFETY: inside the place, whose chunk the linear region still holds.
        let byte = unsafe { place.cast::<u8>().add(at) };
        // SAFETY: as above; it was written when the text was.
        unsafe { byte.read_volatile() == 0 }
    })
}

/// Counts a value of this size into the container that it is right in and all above, or out of them.
fn count_in<P: Platform>(container: Option<At<'_, '_, P>>, size: Summary, op: fn(u64, u64) -> u64) {
    let mut right_in = 1;
    for at in iter::successors(container, |at| at.parent()) {
        at.count(right_in, size, op);
        right_in = 0;
    }
}

/// A value of a document.
pub struct At<'d, 's, P: Platform = Native> {
    document: &'d Document<'s, P>,
    node: NonNull<u8>,
}

impl<P: Platform> Clone for At<'_, '_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for At<'_, '_, P> {}

impl<P: Platform> PartialEq for At<'_, '_, P> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl<P: Platform> fmt::Debug for At<'_, '_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("At").field("value", &self.value()).field("place", &self.place()).finish_non_exhaustive()
    }
}

impl<'d, 's, P: Platform> At<'d, 's, P> {
    fn read(self) -> Record {
        // SAFETY: an `At` is a live node, whose payload was written when it was made.
        unsafe { self.node.cast().read() }
    }

    fn write(self, record: Record) {
        // SAFETY: an `At` is a live node with room for a record; nobody has a reference to it.
        unsafe { self.node.cast().write(record) };
    }

    fn links(self) -> &'d Node {
        // SAFETY: an `At` is a live node.
        unsafe { self.document.tree.header(self.node) }
    }

    /// Names a value in an object.
    pub(crate) fn set_key(self, key: Text) {
        self.write(Record { key: Some(key), ..self.read() });
    }

    /// Says what a value is.
    pub(crate) fn set_value(self, value: Held) {
        self.write(Record { value, ..self.read() });
    }

    /// Marks a value as secret.
    pub(crate) fn taint(self) -> Result<(), Cond> {
        // SAFETY: an `At` is a live node.
        unsafe { self.document.tree.taint_node(self.node) }
    }

    /// A value is complete: counts it in what it is right in. That one tells the next when it is complete.
    pub(crate) fn complete(self) {
        if let Some(container) = self.parent() {
            container.count(1, self.size(), u64::wrapping_add);
        }
    }

    /// Counts so many members, of this size together, in or out.
    fn count(self, members: u64, size: Summary, op: fn(u64, u64) -> u64) {
        if let Some(mut place) = self.read().summary() {
            // SAFETY: the summary is the record's own cell, and this the only reference to it.
            let sum = unsafe { place.as_mut() };
            sum.members = op(sum.members, members);
            sum.values = op(sum.values, size.values + 1);
            sum.bytes = op(sum.bytes, size.bytes);
        }
    }

    /// The value.
    #[must_use]
    pub fn value(self) -> Value<'d> {
        // SAFETY: a record's texts are live as long as the record.
        let text = |text: Text| unsafe { text.as_str() };
        // SAFETY: and so is its summary.
        let summary = |summary: NonNull<Summary>| unsafe { summary.read() };
        match self.read().value {
            Held::Null => Value::Null,
            Held::Bool(value) => Value::Bool(value),
            Held::Number(number) => Value::Number(text(number)),
            Held::String(string) => Value::String(text(string)),
            Held::Array(sum) => Value::Array(summary(sum)),
            Held::Object(sum) => Value::Object(summary(sum)),
        }
    }

    /// What is below the value, with the bytes of its own texts.
    #[must_use]
    pub fn size(self) -> Summary {
        let below = match self.value() {
            Value::Array(summary) | Value::Object(summary) => summary,
            _ => Summary::default(),
        };
        let own = self.read().texts().map(Text::size).sum::<u64>();
        Summary { bytes: below.bytes + own, ..below }
    }

    /// The key of a value in an object.
    #[must_use]
    pub fn key(self) -> Option<&'d str> {
        // SAFETY: a record's texts are live as long as the record.
        self.read().key.map(|key| unsafe { key.as_str() })
    }

    /// Whether the value is shredded when it goes.
    #[must_use]
    pub fn is_secret(self) -> bool {
        self.links().id().is_tainted()
    }

    /// Whether the value has keys in it.
    #[must_use]
    pub fn is_object(self) -> bool {
        matches!(self.read().value, Held::Object(_))
    }

    /// Whether the value is an array or object.
    #[must_use]
    pub fn is_container(self) -> bool {
        self.read().summary().is_some()
    }

    /// Where the value, or its key, begins in the text that was read.
    #[must_use]
    pub fn place(self) -> Place {
        let Record { line, column, .. } = self.read();
        Place { line: line.into(), column: column.into() }
    }

    /// The texts of the value, its key too, each with the front of its counted cell if it is in one.
    pub fn texts(self) -> impl Iterator<Item = (&'d str, Option<&'d RefCell>)> {
        self.read().texts().map(|text| {
            // SAFETY: a record's texts are live as long as the record.
            let chars = unsafe { text.as_str() };
            let shared = text.home == Home::Shared;
            // SAFETY: a shared text is a live counted cell.
            (chars, shared.then(|| unsafe { refs::header(text.at) }))
        })
    }

    /// Where the text of the value lies, for a string or number that has it in a cell of its own.
    #[must_use]
    pub fn text_place(self) -> Option<NonNull<[u8]>> {
        match self.read().value {
            Held::String(text) | Held::Number(text) if text.home == Home::Own => {
                Some(NonNull::slice_from_raw_parts(text.at, text.len as usize))
            }
            _ => None,
        }
    }

    /// The address of the node's payload, as `inspect` tells it.
    #[must_use]
    pub fn address(self) -> usize {
        self.node.addr().get()
    }

    /// The container that the value is in.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        let parent = self.links().parent()?;
        // The tree's root holds the top level; it is no value.
        // SAFETY: a live node's parent is live.
        let is_root = unsafe { self.document.tree.header(parent) }.parent().is_none();
        self.document.at(Some(parent).filter(|_| !is_root))
    }

    /// The first value in it.
    #[must_use]
    pub fn child(self) -> Option<Self> {
        self.document.at(self.links().child())
    }

    /// The last value in it.
    #[must_use]
    pub fn last_child(self) -> Option<Self> {
        self.document.at(self.links().lastchild())
    }

    /// The value before it in the same container.
    #[must_use]
    pub fn prev(self) -> Option<Self> {
        self.document.at(self.links().prev())
    }

    /// The value after it in the same container.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.document.at(self.links().next())
    }

    /// The values in it.
    pub fn children(self) -> impl Iterator<Item = Self> {
        iter::successors(self.child(), |at| at.next())
    }

    /// It and all in it, each container before what is in it, with how deep below it each is.
    pub fn walk(self) -> impl Iterator<Item = (Self, usize)> {
        iter::successors(Some((self, 0)), move |&(mut at, mut depth)| {
            if let Some(child) = at.child() {
                return Some((child, depth + 1));
            }
            while depth > 0 {
                if let Some(next) = at.next() {
                    return Some((next, depth));
                }
                at = at.parent()?;
                depth -= 1;
            }
            None
        })
    }
}

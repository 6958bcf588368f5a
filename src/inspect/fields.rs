//! What the headers are made of, so that whoever shows bytes can name them without knowing a layout.
//!
//! Each table stands beside the struct that it is of, and takes its offsets from there.

use crate::cell::{self, State};
use crate::{Kind, heap, lin, pool, refs, tree};

/// What a header stands in front of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A payload: the header ends where the payload begins.
    Cell,
    /// A store: the header is the store's first bytes.
    Store,
    /// What lies in a block that a store took from its source: the header is the block's first bytes.
    Block,
    /// Room that a store can hand out again: the header is its first bytes.
    Free,
    /// Nothing: it is all there is of a region's mark, behind the header of the cell that the mark takes.
    Mark,
}

impl Owner {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Cell, Self::Store, Self::Block, Self::Free, Self::Mark];
}

/// What a field's bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A number.
    Number,
    /// The address of something, or null.
    Link,
    /// A [`Kind`], by its number.
    Kind,
    /// Zero or not.
    Flag,
    /// The logarithm of an alignment.
    Align,
    /// What state a cell is in: one of [`STATES`].
    State,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Number, Self::Link, Self::Kind, Self::Flag, Self::Align, Self::State];
}

/// A field of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name that it has in the C header and in the manual, or here.
    pub name: &'static str,
    /// Bytes from the header's start.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// What they mean.
    pub form: Form,
}

/// A header: its length and its fields, by offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Front {
    /// Bytes, with what lies between fields.
    pub size: usize,
    /// Its fields, by offset; nested ones are told by their own names.
    pub fields: &'static [Field],
}

impl Field {
    pub(crate) const fn new(name: &'static str, offset: usize, size: usize, form: Form) -> Self {
        Self { name, offset, size, form }
    }

    /// A field of one word.
    pub(crate) const fn word(name: &'static str, offset: usize, form: Form) -> Self {
        Self::new(name, offset, size_of::<usize>(), form)
    }
}

/// The fields of one header after those of another that it begins with.
pub(crate) const fn after<const N: usize>(first: &[Field], more: &[Field]) -> [Field; N] {
    assert!(first.len() + more.len() == N);
    let mut all = [Field::word("", 0, Form::Number); N];
    let mut at = 0;
    while at < N {
        all[at] = if at < first.len() { first[at] } else { more[at - first.len()] };
        at += 1;
    }
    all
}

/// The numbers of a [`Form::State`] field, with their names.
pub const STATES: [(u8, &str); 5] = [
    (State::Live as u8, "live"),
    (State::Hooked as u8, "hooked"),
    (State::Free as u8, "free"),
    (State::Shredded as u8, "shredded"),
    (State::Doomed as u8, "doomed"),
];

/// The header that stands in front of a cell of a kind, or that a store of it or a block of such a store
/// begins with; `None` where there is none.
///
/// Cells and blocks are those of a store with [`Headers`](crate::Headers). A tree has no blocks: its nodes
/// are cells of its source.
///
/// ```
/// use kmem::Kind;
/// use kmem::inspect::{Owner, front};
///
/// let node = front(Kind::Tree, Owner::Cell).expect("nodes have headers");
/// assert!(node.fields.iter().any(|field| field.name == "lastchild"));
/// ```
#[must_use]
pub const fn front(kind: Kind, owner: Owner) -> Option<Front> {
    match (kind, owner) {
        (Kind::Heap | Kind::Lin, Owner::Cell) => Some(cell::FRONT),
        (Kind::Pool, Owner::Cell) => Some(pool::CELL),
        (Kind::Ref, Owner::Cell) => Some(refs::FRONT),
        (Kind::Tree, Owner::Cell) => Some(tree::FRONT),
        (Kind::Heap, Owner::Store) => Some(heap::STORE),
        (Kind::Lin, Owner::Store) => Some(lin::STORE),
        (Kind::Pool, Owner::Store) => Some(pool::STORE),
        (Kind::Tree, Owner::Store) => Some(tree::STORE),
        (Kind::Heap, Owner::Block) => Some(heap::BLOCK),
        (Kind::Lin, Owner::Block) => Some(lin::BLOCK),
        (Kind::Pool, Owner::Block) => Some(pool::BLOCK),
        (Kind::Heap, Owner::Free) => Some(heap::FREE),
        (Kind::Pool, Owner::Free) => Some(pool::CELL),
        (Kind::Lin, Owner::Mark) => Some(lin::MARK),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::alloc::Layout;
    use core::mem::MaybeUninit;
    use std::vec::Vec;

    /// Every header that there is, with its kind and what it stands in front of.
    fn all() -> Vec<(Kind, Owner, Front)> {
        let each = |kind| Owner::ALL.into_iter().filter_map(move |owner| Some((kind, owner, front(kind, owner)?)));
        Kind::ALL.into_iter().flat_map(each).collect()
    }

    #[test]
    fn fields_lie_in_their_headers_one_after_the_other() {
        for (kind, owner, front) in all() {
            let mut end = 0;
            for field in front.fields {
                assert!(field.offset >= end && field.size > 0, "{} of a {kind} {owner:?}", field.name);
                end = field.offset + field.size;
                let same = front.fields.iter().filter(|other| other.name == field.name).count();
                assert!(same == 1, "{} of a {kind} {owner:?} is there {same} times", field.name);
            }
            assert!(end > 0 && end <= front.size, "a {kind} {owner:?}");
        }
        assert_eq!(all().len(), 15, "five cells, four stores, three blocks, two sorts of free room, and marks");
    }

    #[test]
    fn a_cells_header_ends_where_its_payload_begins() {
        for kind in [Kind::Heap, Kind::Lin, Kind::Pool, Kind::Ref, Kind::Tree] {
            let front = front(kind, Owner::Cell).expect("all have one");
            assert!(front.size.is_multiple_of(crate::MIN_ALIGN), "{kind}");
        }
    }

    #[test]
    fn a_header_has_what_its_fields_say() {
        let mut bytes = [MaybeUninit::uninit(); 1024];
        let heap = crate::Heap::fixed(&mut bytes);
        let cell = heap.alloc(Layout::new::<[u64; 5]>()).expect("room").cast::<u8>();
        let front = front(Kind::Heap, Owner::Cell).expect("it has one");
        let field = |name| front.fields.iter().find(|field| field.name == name).expect("it is there");
        let at = |field: &Field| cell.as_ptr().wrapping_sub(front.size).wrapping_add(field.offset);
        // SAFETY: in front of a live cell's payload is its header, this long and initialised.
        let byte = |name| unsafe { at(field(name)).read() };
        assert_eq!(byte("kind"), Kind::Heap as u8);
        assert_eq!(1_usize << byte("align"), crate::MIN_ALIGN);
        assert!(STATES.contains(&(byte("mark"), "live")));
        // SAFETY: as above; the field is a word, and aligned as one.
        let size = unsafe { at(field("size")).cast::<usize>().read() };
        assert_eq!(size, front.size + size_of::<[u64; 5]>());
    }
}

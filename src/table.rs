//! Every action of every kind, as data: the README's table and a test are made from it.

use crate::Kind;

/// How an action can be had in a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Under this name.
    Ready(&'static str),
    /// The name that it is to have.
    Planned(&'static str),
}

/// What one kind can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// The kind; `none` for what is done with any pointer.
    pub kind: Kind,
    /// The vocabulary's verb.
    pub verb: &'static str,
    /// What libk's function names end in; empty for the functions of the module.
    pub letter: &'static str,
    /// The Rust name.
    pub rust: Face,
    /// The C name.
    pub c: Face,
}

const fn row(kind: Kind, verb: &'static str, letter: &'static str, rust: &'static str, c: &'static str) -> Action {
    Action { kind, verb, letter, rust: Face::Ready(rust), c: Face::Ready(c) }
}

const fn heap(verb: &'static str, letter: &'static str, rust: &'static str, c: &'static str) -> Action {
    row(Kind::Heap, verb, letter, rust, c)
}

const fn lin(verb: &'static str, letter: &'static str, rust: &'static str, c: &'static str) -> Action {
    row(Kind::Lin, verb, letter, rust, c)
}

const fn pool(verb: &'static str, letter: &'static str, rust: &'static str, c: &'static str) -> Action {
    row(Kind::Pool, verb, letter, rust, c)
}

const fn refs(verb: &'static str, letter: &'static str, rust: &'static str, c: &'static str) -> Action {
    row(Kind::Ref, verb, letter, rust, c)
}

const fn tree(verb: &'static str, letter: &'static str, rust: &'static str, c: &'static str) -> Action {
    row(Kind::Tree, verb, letter, rust, c)
}

const fn any(verb: &'static str, rust: &'static str, c: &'static str) -> Action {
    row(Kind::None, verb, "", rust, c)
}

/// All actions: kind by kind, then those of any pointer.
///
/// ```
/// use kmem::{ACTIONS, Kind};
///
/// let verbs: Vec<_> = ACTIONS.iter().filter(|action| action.kind == Kind::Ref).map(|action| action.verb).collect();
/// assert!(verbs.contains(&"up-reference"));
/// ```
pub const ACTIONS: &[Action] = &[
    heap("initialise", "i", "Heap::new_in", "kmheapi"),
    heap("initialise fixed", "if", "Heap::fixed", "kmheapif"),
    heap("allocate", "a", "Heap::alloc", "kmheapa"),
    heap("allocate pointer object", "o", "Heap::alloc_ptr", "kmheapo"),
    heap("zero", "z", "Heap::alloc_zeroed", "kmheapz"),
    heap("zero pointer object", "zo", "Heap::alloc_zeroed_ptr", "kmheapzo"),
    heap("free", "f", "Heap::free", "kmheapf"),
    heap("shred", "s", "Heap::shred", "kmheaps"),
    heap("destroy", "x", "Heap::destroy", "kmheapx"),
    heap("resize", "r", "Heap::resize", "kmheapr"),
    lin("initialise", "i", "Lin::new_in", "kmlini"),
    lin("initialise fixed", "if", "Lin::fixed", "kmlinif"),
    lin("allocate", "a", "Lin::alloc", "kmlina"),
    lin("allocate pointer object", "o", "Lin::alloc_ptr", "kmlino"),
    lin("zero", "z", "Lin::alloc_zeroed", "kmlinz"),
    lin("zero pointer object", "zo", "Lin::alloc_zeroed_ptr", "kmlinzo"),
    lin("free", "f", "Lin::free", "kmlinf"),
    lin("shred", "s", "Lin::shred", "kmlins"),
    lin("destroy", "x", "Lin::destroy", "kmlinx"),
    lin("resize", "r", "Lin::resize", "kmlinr"),
    pool("initialise", "i", "Pool::new_in", "kmpooli"),
    pool("initialise fixed", "if", "Pool::fixed", "kmpoolif"),
    pool("allocate", "a", "Pool::alloc", "kmpoola"),
    pool("allocate pointer object", "o", "Pool::alloc_ptr", "kmpoolo"),
    pool("zero", "z", "Pool::alloc_zeroed", "kmpoolz"),
    pool("zero pointer object", "zo", "Pool::alloc_zeroed_ptr", "kmpoolzo"),
    pool("free", "f", "Pool::free", "kmpoolf"),
    pool("shred", "s", "Pool::shred", "kmpools"),
    pool("destroy", "x", "Pool::destroy", "kmpoolx"),
    pool("resize", "r", "Pool::resize", "kmpoolr"),
    refs("allocate", "a", "refs::alloc", "kmrefa"),
    refs("allocate pointer object", "o", "refs::alloc_ptr", "kmrefo"),
    refs("zero", "z", "refs::alloc_zeroed", "kmrefz"),
    refs("zero pointer object", "zo", "refs::alloc_zeroed_ptr", "kmrefzo"),
    refs("free", "f", "refs::free", "kmreff"),
    refs("shred", "s", "refs::shred", "kmrefs"),
    refs("up-reference", "u", "refs::upref", "kmrefu"),
    refs("down-reference", "d", "refs::downref", "kmrefd"),
    tree("initialise", "i", "Tree::new_in", "kmtreei"),
    tree("initialise fixed", "if", "Tree::fixed", "kmtreeif"),
    tree("allocate", "a", "Tree::alloc", "kmtreea"),
    tree("allocate pointer object", "o", "Tree::alloc_ptr", "kmtreeo"),
    tree("zero", "z", "Tree::alloc_zeroed", "kmtreez"),
    tree("zero pointer object", "zo", "Tree::alloc_zeroed_ptr", "kmtreezo"),
    tree("free", "f", "Tree::free", "kmtreef"),
    tree("shred", "s", "Tree::shred", "kmtrees"),
    tree("destroy", "x", "Tree::destroy", "kmtreex"),
    tree("resize", "r", "Tree::resize", "kmtreer"),
    any("free", "free", "kmfree"),
    any("shred", "shred", "kmshred"),
    any("wrap", "stat", "kmstat"),
    any("taint", "taint", "kmtaint"),
    any("zero", "zero", "kmzero"),
    any("zero object", "zero_object", "kmozero"),
    any("copy", "copy", "kmcopy"),
    any("duplicate", "dup", "kmdup"),
];

//! The groups of rows: one a kind of store.

#[cfg(native)]
mod guarded;
pub mod heap;
mod lin;
mod pool;
mod refs;
mod shred;
mod sizes;
#[cfg(native)]
mod talloc;
mod tree;

use crate::row::Row;

/// A group's name, and its rows.
pub type Group = (&'static str, fn() -> Vec<Row>);

/// All groups, in the order of the table.
pub const GROUPS: &[Group] = &[
    ("lin", lin::rows),
    ("pool", pool::rows),
    ("ref", refs::rows),
    ("tree", tree::rows),
    ("heap", heap::rows),
    ("shred", shred::rows),
    ("sizes", sizes::rows),
];

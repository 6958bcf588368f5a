//! The groups of rows: one a kind of store.

mod lin;
mod pool;
mod refs;
#[cfg(not(target_arch = "wasm32"))]
mod shred;
mod sizes;
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
    #[cfg(not(target_arch = "wasm32"))]
    ("shred", shred::rows),
    ("sizes", sizes::rows),
];

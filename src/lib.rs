//! Memory in six kinds, with one vocabulary.
#![no_std]

#[cfg(test)]
extern crate std;

mod bits;
mod cell;
mod fixed;
mod growth;
mod heap;
pub mod inspect;
mod kind;
mod lin;
#[cfg(feature = "platform")]
mod pages;
mod pool;
mod ptr;
mod ranges;
pub mod refs;
mod report;
mod source;
mod store;
mod table;
pub mod tree;
mod wipe;

#[cfg(feature = "platform")]
pub use kmem_platform as platform;
pub use kmem_platform::{Cond, Guard, Locked};

pub use cell::{Bare, Cell, Head, Headers, Layer, MIN_ALIGN};
pub use fixed::{Fixed, StaticBytes};
pub use heap::Heap;
pub use kind::Kind;
pub use lin::{Lin, Mark};
#[cfg(feature = "platform")]
pub use pages::{Global, Pages};
#[cfg(all(feature = "platform", unix))]
pub use pages::{Protected, Protection};
pub use pool::{Pool, PoolCell};
pub use ptr::{Ptr, copy, dup, free, stat, stat_unsized, zero, zero_object};
#[cfg(feature = "shred")]
pub use ptr::{shred, taint};
pub use refs::RefCell;
pub use report::{Broken, Stats};
pub use source::{Grant, Source};
pub use store::{Found, Store};
pub use table::{ACTIONS, Action, Face};
pub use tree::{Node, Tree};

#[cfg(all(doctest, feature = "platform", feature = "shred"))]
#[doc = include_str!("../README.md")]
struct Readme;

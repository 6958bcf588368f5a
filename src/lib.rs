//! Memory in six kinds, with one vocabulary.
//!
//! ```text
//!  Ptr          free, shred, dup, taint: whatever the kind
//!   │
//!  refs, Tree   counted cells                    cells owned by a parent
//!   │
//!  Heap         any size, any order      Lin  one after the other      Pool  of one size
//!   │
//!  Source       Pages (the machine's)    Fixed (your bytes)            or any store
//! ```
//!
//! Pick the kind that fits the lifetime:
//!
//! | what you have | kind | store |
//! |---|---|---|
//! | things of any size that come and go in any order | `heap` | [`Heap`] |
//! | things that all go at once, at the end of a phase | `lin` | [`Lin`] |
//! | many things of one size that come and go | `pool` | [`Pool`] |
//! | a thing that several share, and nobody knows who is last | `ref` | [`refs`] |
//! | things that belong to other things | `tree` | [`Tree`] |
//! | memory that is nobody's allocation | `none` | [`stat`] |
//!
//! Every store takes its memory from a [`Source`], which may be another store, and every call that can
//! run out returns a [`Cond`]. Code that is handed a [`Ptr`] releases it with [`free`], whatever its kind.
//! With the feature `shred`, bytes can be destroyed before memory is given back: by a call, or by
//! tainting a pointer, a cell or a whole store. [`inspect`] shows what is really there.
//!
//! There are two faces of the same stores. The *typed* one is safe: [`Owned`], [`Ref`], [`AtomicRef`],
//! [`Managed`], [`KeyTree`], [`Lin::put`] and [`Lin::scope`] borrow their store, so what outlives it does
//! not compile. The *raw* one hands out pointers, and what takes one back is `unsafe`: it is what C
//! programs, other stores and containers build on. [`moving`] says what a cell costs, and what is called
//! what for those who come from bumpalo, slab, slotmap or talloc.
#![no_std]
#![cfg_attr(feature = "alloc-api", feature(allocator_api))]

#[cfg(test)]
extern crate std;

#[cfg(any(feature = "allocator-api2", feature = "allocator-api2-04", feature = "alloc-api"))]
mod adapt;
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
mod poison;
mod pool;
mod ptr;
mod ranges;
pub mod refs;
mod report;
mod reuse;
mod seeded;
mod source;
mod store;
mod table;
pub mod tree;
mod typed;
mod wipe;

#[cfg(feature = "platform")]
pub use kmem_platform as platform;
pub use kmem_platform::{Cond, Guard, Locked};

pub use cell::{Bare, Cell, Head, Headers, Layer, MIN_ALIGN};
pub use fixed::{Fixed, StaticBytes};
pub use heap::Heap;
pub use kind::Kind;
pub use lin::{Lin, Mark, Scope};
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
pub use reuse::Reuse;
pub use source::{Grant, Source};
pub use store::{Found, Store};
pub use table::{ACTIONS, Action, Face};
pub use tree::{Key, KeyTree, Node, Tree};
#[doc(hidden)]
pub use typed::Unsize;
pub use typed::{Atomic, AtomicRef, AtomicWeak, Count, Managed, Owned, Plain, Ref, Refused, Shared, Weak, WeakShared};

#[cfg(all(any(doc, doctest), feature = "platform", feature = "shred"))]
#[doc = include_str!("../docs/moving.md")]
pub mod moving {}

#[cfg(all(doctest, feature = "platform", feature = "shred"))]
#[doc = include_str!("../README.md")]
mod readme {}

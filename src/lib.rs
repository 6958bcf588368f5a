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
//! Pick the kind that fits the lifetime. A cell costs so many bytes beside its payload, which is rounded up to 16
//! (on 32 bit half of each):
//!
//! | what you have | kind | store | costs |
//! |---|---|---|---|
//! | things of any size that come and go in any order | `heap` | [`Heap`] | 2 to 4; long or bounded 16 |
//! | things that all go at once, at the end of a phase | `lin` | [`Lin`] | 0; with [`Headers`] 16 |
//! | many things of one size that come and go | `pool` | [`Pool`] | 0; with [`Headers`] 16 |
//! | a thing that several share, and nobody knows who is last | `ref` | [`Ref`], [`AtomicRef`]; raw [`refs`] | 16; 32 |
//! | things that belong to other things | `tree` | [`KeyTree`]; raw [`Tree`] | 64 |
//! | memory that is nobody's allocation | `none` | [`stat`] | 0 |
//!
//! # One of each
//!
//! A heap's values go when their owners do:
//!
//! ```
//! use kmem::{Heap, Owned, Pages};
//!
//! let heap = Heap::new_in(Pages::new());
//! let mut words = Owned::new_in(vec!["any"], &heap)?;
//! words.push("size");
//! drop(words);
//! assert_eq!(heap.stats().live, 0);
//! # Ok::<(), kmem::Cond>(())
//! ```
//!
//! A region's go with it, or with a scope of it:
//!
//! ```
//! use kmem::{Cond, Lin, Pages};
//!
//! let mut lin = Lin::new_in(Pages::new());
//! for request in ["first", "second"] {
//!     lin.scope(|scope| {
//!         let name = scope.put_str(request)?;
//!         name.make_ascii_uppercase();
//!         Ok::<(), Cond>(())
//!     })?;                            // the name has gone
//! }
//! # Ok::<(), kmem::Cond>(())
//! ```
//!
//! A pool hands out again what it took back last, here in an array on the stack:
//!
//! ```
//! use core::alloc::Layout;
//! use core::mem::MaybeUninit;
//! use kmem::{Owned, Pool};
//!
//! let mut bytes = [MaybeUninit::uninit(); 1024];
//! let pool = Pool::fixed(Layout::new::<[u64; 4]>(), &mut bytes);
//! let first = Owned::new_in([1_u64; 4], &pool)?;
//! let place = first.as_ptr();
//! drop(first);
//! assert_eq!(Owned::new_in([2_u64; 4], &pool)?.as_ptr(), place);
//! # Ok::<(), kmem::Cond>(())
//! ```
//!
//! A counted value goes with its last reference:
//!
//! ```
//! use kmem::{Heap, Pages, Ref};
//!
//! let heap = Heap::new_in(Pages::new());
//! let name = Ref::str_in("shared", &heap)?;
//! let also = name.clone();
//! drop(name);
//! assert_eq!((&*also, heap.stats().live), ("shared", 1));
//! # Ok::<(), kmem::Cond>(())
//! ```
//!
//! A tree's go with what they belong to, and a key to what has gone finds nothing:
//!
//! ```
//! use kmem::{Heap, KeyTree, Pages};
//!
//! let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
//! let house = tree.insert(None, "house")?;
//! let room = tree.insert(Some(house), "room")?;
//! tree.free(house)?;
//! assert_eq!(tree.get(room), None);
//! # Ok::<(), kmem::Cond>(())
//! ```
//!
//! And what was never allocated can be passed on and released like the rest:
//!
//! ```
//! let mut secret = *b"password";
//! let mut ptr = kmem::stat(secret.as_mut_ptr(), secret.len());
//! // SAFETY: the array outlives the pointer, and nobody else uses it meanwhile.
//! unsafe {
//!     kmem::taint(&mut ptr)?;
//!     kmem::free(ptr)?;               // nothing to give back; tainted, so it is zeroed
//! }
//! assert_eq!(secret, [0; 8]);
//! # Ok::<(), kmem::Cond>(())
//! ```
//!
//! # Beyond
//!
//! Every store takes its memory from a [`Source`], which may be another store, and every call that can
//! run out returns a [`Cond`]. Code that is handed a [`Ptr`] releases it with [`free`], whatever its kind.
//! With the feature `shred`, bytes can be destroyed before memory is given back: by a call, or by
//! tainting a pointer, a cell or a whole store. [`inspect`] shows what is really there.
//!
//! There are two faces of the same stores. The *typed* one is safe: [`Owned`], [`Ref`], [`AtomicRef`],
//! [`Managed`], [`KeyTree`], [`Lin::put`] and [`Lin::scope`] borrow their store, so what outlives it does
//! not compile. The *raw* one hands out pointers, and what takes one back is `unsafe`: it is what C
//! programs, other stores and containers build on. [`moving`] says what is called
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
#[cfg(feature = "platform")]
mod kept;
mod kind;
mod lin;
#[cfg(feature = "platform")]
mod pages;
mod poison;
mod pool;
#[cfg(all(feature = "platform", not(all(target_arch = "wasm32", not(target_feature = "atomics")))))]
mod process;
#[cfg(all(feature = "platform", target_arch = "wasm32", not(target_feature = "atomics")))]
#[path = "lone/mod.rs"]
mod process;
mod ptr;
mod ranges;
pub mod refs;
mod report;
mod reuse;
mod seeded;
mod source;
mod spans;
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
#[cfg(feature = "platform")]
pub use kept::Kept;
pub use kind::Kind;
pub use lin::{Lin, Mark, Scope};
#[cfg(feature = "platform")]
pub use pages::Pages;
#[cfg(all(feature = "platform", unix))]
pub use pages::{Protected, Protection};
pub use pool::{Pool, PoolCell};
#[cfg(all(feature = "platform", not(all(target_arch = "wasm32", not(target_feature = "atomics")))))]
pub use process::{ClassStats, Classes};
#[cfg(feature = "platform")]
pub use process::{Decay, Global, GlobalHeap};
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

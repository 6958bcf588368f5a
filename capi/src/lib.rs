//! The C face of kmem: `kmem.h`, by libk's function names, over the same stores.
//!
//! ```text
//!  face/       the functions, one file a kind         types    the structs of kmem.h
//!    │
//!  find        what an untyped pointer is, by its address
//!    │    └─► registry   which store's memory an address lies in      granules   in which pages, what starts where
//!  entry       a store and what is known of it        process  the process's own tree
//!    │
//!  source, nodes   what stores take their memory from, so that it is registered
//! ```
//!
//! Pointers come in untyped here, so misuse is refused here: whatever a function is given is looked up, by its address
//! alone, and read only when it was found to be a live cell or a store. (What an address that the caller owns is for —
//! `where`, a buffer, a string — is the caller's to say.)
//!
//! One store is used by one thread at a time. The registry, the process heap and the counts of its counted cells may be
//! used by any thread at any time. Not the counts of those in other stores: no pointer is believed, so whoever changes
//! a count asks the store for the cell, and only one thread at a time may ask a store anything. (To make it any thread's,
//! each call of each store would have to lock it.)

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the C face of kmem is for 64-bit machines: its map of pages is made for their addresses");

mod entry;
pub mod face;
mod find;
mod fork;
mod granules;
mod nodes;
mod process;
mod registry;
mod seeded;
mod source;
pub mod types;

//! The typed face at run time: each value is dropped once, whatever panics meanwhile, and each block
//! comes back.
//!
//! What must not even compile is in `tests/ui`.
#![cfg(feature = "platform")]

#[path = "typed/sources.rs"]
mod sources;
#[path = "typed/tally.rs"]
mod tally;

#[path = "typed/destructors.rs"]
mod destructors;
#[path = "typed/keys.rs"]
mod keys;
#[path = "typed/keys_model.rs"]
mod keys_model;
#[path = "typed/managed.rs"]
mod managed;
#[path = "typed/nodes.rs"]
mod nodes;
#[path = "typed/owned.rs"]
mod owned;
#[path = "typed/region.rs"]
mod region;
#[path = "typed/shared.rs"]
mod shared;
#[path = "typed/threads.rs"]
mod threads;

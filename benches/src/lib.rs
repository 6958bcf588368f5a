//! kmem's stores beside their best peers, on the same work in one process.
//!
//! ```text
//! main ── groups          lin, pool, tree …: a trait a kind of work, the works, a small impl a contender
//!     │     └── row       Contender, Side, Row: a work, and who does it
//!     │           └── watch     the time of what counts; callgrind the instructions
//!     ├── measure         interleaved rounds
//!     ├── count           one run of each side under callgrind
//!     └── report          the tables, and the picture
//! wasm                    what a module has in the place of main
//! ```
//!
//! The first side of a row is kmem's. All others are compared with it, each in rounds of its own.
#![cfg(feature = "peers")]

pub mod allocators;
#[cfg(native)]
mod callgrind;
mod corpus;
mod dice;
pub mod groups;
pub mod measure;
pub mod row;
pub mod watch;

#[cfg(native)]
pub mod count;
#[cfg(native)]
pub mod memory;
#[cfg(native)]
pub mod report;
#[cfg(not(native))]
pub mod wasm;

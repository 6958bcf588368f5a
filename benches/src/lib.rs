//! kmem's stores beside their best peers, on the same work in one process.
//!
//! ```text
//! main ── groups          lin, pool, tree …: a trait a kind of work, the works, a small impl a contender
//!     │     └── row       Contender, Side, Row: a work, and who does it
//!     │           └── watch     the time, or the instructions, of what counts
//!     ├── measure         interleaved rounds
//!     ├── count           one run of each side under callgrind
//!     └── report          the tables, and the picture
//! ```
//!
//! The first side of a row is kmem's. All others are compared with it, each in rounds of its own.
#![cfg(feature = "peers")]

pub mod allocators;
mod corpus;
mod dice;
pub mod groups;
pub mod measure;
pub mod row;
pub mod watch;

#[cfg(not(target_arch = "wasm32"))]
pub mod count;
#[cfg(not(target_arch = "wasm32"))]
pub mod report;

//! kmem for JavaScript: stores and cells behind functions on numbers.
//!
//! ```text
//!  exports    (wasm32) a function for each action: numbers in, a number out
//!     │
//!  world      handles, and what an action does to the handles of others
//!     │
//!  slots      tables whose handles are never good twice       store    a store of any kind, over any source
//! ```
//!
//! Nothing lives outside linear memory: no object of the host is kept, and all state is in [`World`] and in
//! the stores. So a copy of the memory is a copy of everything, and the same actions on a fresh module leave
//! the same bytes. What only looks (`inspect`, figures, addresses) changes no byte.
//!
//! kmem is the module's own allocator too: the handle tables lie in [`kmem::Global`].
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod exports;
mod slots;
mod store;
mod world;

pub use slots::Handle;
pub use world::{Figure, PoolPlan, Request, World};

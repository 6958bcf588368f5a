//! The page contract under kmem.
//!
//! A [`Platform`] answers four questions and knows nothing of what is done with the pages: how large
//! a page is, a run of pages please (and are they zero?), have them back, and make this run longer.
//! What only some systems can do with pages is in [`Protect`]. An error is a [`Cond`].
//!
//! | target | backend | pages given back |
//! |---|---|---|
//! | x86-64 Linux | the `syscall` instruction; no libc function | yes |
//! | wasm32 | `memory.grow`, and a recycler of what came back | no: kept and used again |
//! | other Unix, or `--cfg kmem_backend="libc"` | `libc` | yes |
//! | anything else | a `compile_error!`; without the feature `backend` the contract alone | |
//!
//! [`Native`] is the one that the target has. [`Counted`] counts what is asked of another. In WebAssembly there is also
//! `Grown`, for modules that must be small: without the recycler, and so without taking anything back.
#![no_std]

#[cfg(all(test, not(target_arch = "wasm32")))]
extern crate std;

mod cond;
mod contract;
mod count;
#[cfg(all(unix, feature = "std"))]
mod fork;
mod lock;
mod recycle;

pub use cond::Cond;
pub use contract::{Access, Advice, Platform, Protect, Run, Unmapped};
pub use count::Counted;
#[cfg(all(unix, feature = "std"))]
pub use fork::AtFork;
pub use lock::{Guard, Locked};
pub use recycle::Recycler;

#[cfg(feature = "backend")]
cfg_if::cfg_if! {
    if #[cfg(all(unix, kmem_backend = "libc"))] {
        mod unix;
        pub use unix::Native;
    } else if #[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))] {
        pub mod linux_x86_64;
        pub use linux_x86_64::{Native, set_thread_word, thread_word};
    } else if #[cfg(all(target_arch = "wasm32", target_os = "unknown"))] {
        mod wasm32;
        pub use wasm32::{Grown, Native};
    } else if #[cfg(all(target_arch = "wasm32", target_os = "none"))] {
        mod wasm32;
        pub use wasm32::{Grown, Native};
    } else if #[cfg(unix)] {
        mod unix;
        pub use unix::Native;
    } else {
        compile_error!(
            "kmem has no page backend for this target. It has one for x86-64 Linux (system calls), \
             wasm32-unknown-unknown and wasm32v1-none (memory.grow) and Unix (libc). Without its feature \
             `platform` every store still works over bytes that you provide."
        );
    }
}

#[cfg(all(test, feature = "backend"))]
mod contract_test;

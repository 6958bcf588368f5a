//! General allocators: called directly, or by peers that know only the global one.
//!
//! The global allocator is a switch, so that peers over different ones run in one process. What a thread
//! allocates while the switch stands somewhere must be freed while it stands there again.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// The C library's, which Rust programs have unless they choose another. In wasm: dlmalloc.
pub use std::alloc::System as Standard;

/// A general allocator that a peer can be over.
pub trait Allocator: GlobalAlloc + Sized + 'static {
    /// The allocator itself.
    const IT: Self;
    /// What it is called in the table.
    const NAME: &'static str;
    /// Where the switch of the global allocator stands for it.
    const CHOICE: Choice;
}

impl Allocator for Standard {
    const IT: Self = Self;
    const NAME: &'static str = if cfg!(target_arch = "wasm32") { "dlmalloc" } else { "glibc" };
    const CHOICE: Choice = Choice::Standard;
}

/// Where the switch can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The system's own.
    Standard,
    /// mimalloc.
    Mimalloc,
    /// jemalloc.
    Jemalloc,
    /// snmalloc, which does not start under valgrind.
    Snmalloc,
}

thread_local! {
    static CHOICE: Cell<Choice> = const { Cell::new(Choice::Standard) };
}

/// Runs something with the global allocator set to a choice.
pub fn with<R>(choice: Choice, run: impl FnOnce() -> R) -> R {
    let before = CHOICE.replace(choice);
    let result = run();
    CHOICE.set(before);
    result
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::{Jemalloc, Mimalloc, Snmalloc};

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::{Allocator, CHOICE, Choice, GlobalAlloc, Layout, Standard};

    pub use mimalloc::MiMalloc as Mimalloc;
    pub use snmalloc_rs::SnMalloc as Snmalloc;
    pub use tikv_jemallocator::Jemalloc;

    impl Allocator for Mimalloc {
        const IT: Self = Self;
        const NAME: &'static str = "mimalloc";
        const CHOICE: Choice = Choice::Mimalloc;
    }

    impl Allocator for Jemalloc {
        const IT: Self = Self;
        const NAME: &'static str = "jemalloc";
        const CHOICE: Choice = Choice::Jemalloc;
    }

    impl Allocator for Snmalloc {
        const IT: Self = Self::new();
        const NAME: &'static str = "snmalloc";
        const CHOICE: Choice = Choice::Snmalloc;
    }

    /// Passes on to whatever the switch stands at.
    struct Switch;

    #[global_allocator]
    static SWITCH: Switch = Switch;

    // SAFETY: every choice is a global allocator, and a block goes back to the one it came from, since the switch
    // stands then where it stood.
    unsafe impl GlobalAlloc for Switch {
        #[inline]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            match CHOICE.get() {
                // SAFETY: the caller's promise, passed on.
                Choice::Standard => unsafe { Standard::IT.alloc(layout) },
                // SAFETY: as above.
                Choice::Mimalloc => unsafe { Mimalloc::IT.alloc(layout) },
                // SAFETY: as above.
                Choice::Jemalloc => unsafe { Jemalloc::IT.alloc(layout) },
                // SAFETY: as above.
                Choice::Snmalloc => unsafe { Snmalloc::IT.alloc(layout) },
            }
        }

        #[inline]
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            match CHOICE.get() {
                // SAFETY: the caller's promise, passed on.
                Choice::Standard => unsafe { Standard::IT.dealloc(block, layout) },
                // SAFETY: as above.
                Choice::Mimalloc => unsafe { Mimalloc::IT.dealloc(block, layout) },
                // SAFETY: as above.
                Choice::Jemalloc => unsafe { Jemalloc::IT.dealloc(block, layout) },
                // SAFETY: as above.
                Choice::Snmalloc => unsafe { Snmalloc::IT.dealloc(block, layout) },
            }
        }

        #[inline]
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            match CHOICE.get() {
                // SAFETY: the caller's promise, passed on.
                Choice::Standard => unsafe { Standard::IT.realloc(block, layout, size) },
                // SAFETY: as above.
                Choice::Mimalloc => unsafe { Mimalloc::IT.realloc(block, layout, size) },
                // SAFETY: as above.
                Choice::Jemalloc => unsafe { Jemalloc::IT.realloc(block, layout, size) },
                // SAFETY: as above.
                Choice::Snmalloc => unsafe { Snmalloc::IT.realloc(block, layout, size) },
            }
        }
    }
}

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
    /// Whether it starts under valgrind.
    const COUNTABLE: bool = true;
}

impl Allocator for Standard {
    const IT: Self = Self;
    const NAME: &'static str = if cfg!(not(native)) { "dlmalloc" } else { "glibc" };
    const CHOICE: Choice = Choice::Standard;
}

/// Where the switch can stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The system's own.
    Standard,
    /// mimalloc.
    #[cfg(native)]
    Mimalloc,
    /// jemalloc.
    #[cfg(native)]
    Jemalloc,
    /// snmalloc.
    #[cfg(native)]
    Snmalloc,
    /// talc.
    #[cfg(not(native))]
    Talc,
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

/// What one takes who wants a faster one than the standard.
#[cfg(native)]
pub use native::Mimalloc as Fast;
#[cfg(native)]
pub use native::{Jemalloc, Mimalloc, Snmalloc};

#[cfg(native)]
mod native {
    use super::{Allocator, Choice};

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
        const COUNTABLE: bool = false;
    }
}

/// What one takes who wants another than the standard one.
#[cfg(not(native))]
pub use module::Talc as Fast;
#[cfg(not(native))]
pub use module::Talc;

#[cfg(not(native))]
mod module {
    use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

    use super::{Allocator, Choice, GlobalAlloc, Layout};

    /// The one of the module.
    #[derive(Debug)]
    pub struct Talc;

    static TALC: WasmDynamicTalc = new_wasm_dynamic_allocator();

    impl Allocator for Talc {
        const IT: Self = Self;
        const NAME: &'static str = "talc";
        const CHOICE: Choice = Choice::Talc;
    }

    // SAFETY: the blocks are talc's.
    unsafe impl GlobalAlloc for Talc {
        #[inline(always)]
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's promise, passed on.
            unsafe { TALC.alloc(layout) }
        }

        #[inline(always)]
        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise, passed on.
            unsafe { TALC.dealloc(block, layout) }
        }

        #[inline(always)]
        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // SAFETY: the caller's promise, passed on.
            unsafe { TALC.realloc(block, layout, size) }
        }
    }
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
            #[cfg(native)]
            // SAFETY: as above.
            Choice::Mimalloc => unsafe { Mimalloc::IT.alloc(layout) },
            #[cfg(native)]
            // SAFETY: as above.
            Choice::Jemalloc => unsafe { Jemalloc::IT.alloc(layout) },
            #[cfg(native)]
            // SAFETY: as above.
            Choice::Snmalloc => unsafe { Snmalloc::IT.alloc(layout) },
            #[cfg(not(native))]
            // SAFETY: as above.
            Choice::Talc => unsafe { Talc::IT.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match CHOICE.get() {
            // SAFETY: the caller's promise, passed on.
            Choice::Standard => unsafe { Standard::IT.dealloc(block, layout) },
            #[cfg(native)]
            // SAFETY: as above.
            Choice::Mimalloc => unsafe { Mimalloc::IT.dealloc(block, layout) },
            #[cfg(native)]
            // SAFETY: as above.
            Choice::Jemalloc => unsafe { Jemalloc::IT.dealloc(block, layout) },
            #[cfg(native)]
            // SAFETY: as above.
            Choice::Snmalloc => unsafe { Snmalloc::IT.dealloc(block, layout) },
            #[cfg(not(native))]
            // SAFETY: as above.
            Choice::Talc => unsafe { Talc::IT.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match CHOICE.get() {
            // SAFETY: the caller's promise, passed on.
            Choice::Standard => unsafe { Standard::IT.realloc(block, layout, size) },
            #[cfg(native)]
            // SAFETY: as above.
            Choice::Mimalloc => unsafe { Mimalloc::IT.realloc(block, layout, size) },
            #[cfg(native)]
            // SAFETY: as above.
            Choice::Jemalloc => unsafe { Jemalloc::IT.realloc(block, layout, size) },
            #[cfg(native)]
            // SAFETY: as above.
            Choice::Snmalloc => unsafe { Snmalloc::IT.realloc(block, layout, size) },
            #[cfg(not(native))]
            // SAFETY: as above.
            Choice::Talc => unsafe { Talc::IT.realloc(block, layout, size) },
        }
    }
}

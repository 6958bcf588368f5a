//! What a store says of itself: figures, and what is wrong with it.

use core::fmt;

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Cells that are live. For a bare `Lin`, which does not know its cells: chunks with something in them.
    pub live: usize,
    /// Bytes of the live cells, with their headers and rounding.
    pub bytes: usize,
    /// The most bytes that were live at once; of a store in parts, the sum of what each part had at most. Where cells lie
    /// in spans, those count that are at hand: up to 8 KiB of each size class, or all free ones of a span.
    pub peak: usize,
    /// Bytes that the store holds from its source.
    pub held: usize,
}

/// What `check()` found wrong: a bug in kmem, or memory that somebody wrote over.
///
/// ```
/// use kmem::{Broken, Heap, Pages};
///
/// fn prove(heap: &Heap<Pages>) -> Result<(), Broken> {
///     heap.check()
/// }
///
/// prove(&Heap::new_in(Pages::new())).expect("nobody wrote over it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The rule that does not hold.
    pub what: &'static str,
    /// Where.
    pub at: usize,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:#x}", self.what, self.at)
    }
}

impl core::error::Error for Broken {}

/// A rule that must hold.
pub(crate) fn rule<T>(holds: bool, what: &'static str, at: *const T) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { what, at: at.addr() }) }
}

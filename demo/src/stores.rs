//! One store of each kind, and what each asks of the machine.

use core::alloc::Layout;
use std::fmt;

use kmem::platform::{Counted, Native, Platform};
use kmem::{Cond, Headers, Heap, Lin, Node, Pages, Pool};

use crate::document::{Record, Summary};

/// The machine's pages, counted for each store apart.
#[derive(Debug, Default)]
pub struct Counts<P = Native> {
    /// Those of the tree's nodes.
    pub tree: Counted<P>,
    /// Those of the texts.
    pub lin: Counted<P>,
    /// Those of the summaries.
    pub pool: Counted<P>,
    /// Those of the texts that are shared.
    pub heap: Counted<P>,
}

impl<P> Counts<P> {
    /// Each with its name.
    pub fn each(&self) -> [(&'static str, &Counted<P>); 4] {
        [("tree", &self.tree), ("lin", &self.lin), ("pool", &self.pool), ("heap", &self.heap)]
    }

    /// Bytes that are mapped now, in all stores.
    pub fn mapped(&self) -> usize {
        self.each().iter().map(|(_, count)| count.mapped()).sum()
    }
}

/// What a store takes its memory from.
pub type Counting<'c, P> = Pages<&'c Counted<P>>;

/// Where the parts of a document lie.
///
/// Counted cells name their heap by its address, so a document borrows the stores: they stay in place.
pub struct Stores<'c, P: Platform = Native> {
    /// The tree's nodes; all are of one size, so they come from a pool. With headers, here and below,
    /// so that single cells can be seen and tainted.
    pub nodes: Pool<Counting<'c, P>, Headers>,
    /// The texts, each a cell of one node.
    pub texts: Lin<Counting<'c, P>, Headers>,
    /// A summary of each array and object.
    pub summaries: Pool<Counting<'c, P>, Headers>,
    /// The texts that many nodes share, in counted cells.
    pub shared: Heap<Counting<'c, P>>,
}

impl<'c, P: Platform> Stores<'c, P> {
    /// Empty stores, which have asked for nothing yet.
    pub const fn over(counts: &'c Counts<P>) -> Self {
        // The tree's root comes from there too; what kmem keeps in it is no longer than a record.
        let node = Layout::new::<(Node, Record)>();
        Self {
            nodes: Pool::with_headers_in(node, Pages::over(&counts.tree)),
            texts: Lin::with_headers_in(Pages::over(&counts.lin)),
            summaries: Pool::with_headers_in(Layout::new::<Summary>(), Pages::over(&counts.pool)),
            shared: Heap::new_in(Pages::over(&counts.heap)),
        }
    }

    /// Gives everything back, one call a store, whatever is in it.
    ///
    /// # Errors
    ///
    /// When the machine refuses to take pages back.
    pub fn destroy(&mut self) -> Result<(), Cond> {
        let answers = [self.nodes.destroy(), self.texts.destroy(), self.summaries.destroy(), self.shared.destroy()];
        answers.into_iter().collect()
    }
}

impl<P: Platform> fmt::Debug for Stores<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stores").field("texts", &self.texts).field("shared", &self.shared).finish_non_exhaustive()
    }
}

//! Walking a tree: for `inspect` and `check`.

use core::cell::Cell as Var;
use core::ptr::NonNull;

use super::node::{HEADER, N};
use super::{Tree, care};
use crate::cell::State;
use crate::inspect::{Inspect, Record, What};
use crate::report::rule;
use crate::{Broken, Cond, Kind, Source, Store};

/// Has a tree refuse to change while it is walked.
pub(super) struct Frozen<'t> {
    care: &'t Var<u8>,
    before: u8,
}

impl<'t> Frozen<'t> {
    pub(super) fn new<S: Source>(tree: &'t Tree<S>) -> Self {
        Self::by(&tree.care)
    }

    /// The same, by what the tree takes care of.
    pub(super) fn by(care: &'t Var<u8>) -> Self {
        let before = care.replace(care.get() | care::FROZEN);
        Self { care, before }
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let others = self.care.get() & !care::FROZEN;
        self.care.set(others | (self.before & care::FROZEN));
    }
}

impl<S: Source> Tree<S> {
    /// Visits the nodes parent before children, each with its depth.
    fn each_node(&self, visit: &mut dyn FnMut(N, usize) -> bool) {
        let Some(root) = N::of(self.root.get()) else { return };
        let (mut node, mut depth) = (root, 0);
        loop {
            if !visit(node, depth) {
                return;
            }
            if let Some(child) = node.child() {
                (node, depth) = (child, depth + 1);
                continue;
            }
            while node.next().is_none() {
                match node.parent() {
                    Some(parent) if node != root => (node, depth) = (parent, depth - 1),
                    _ => return,
                }
            }
            match node.next() {
                Some(next) if node != root => node = next,
                _ => return,
            }
        }
    }

    /// Proves the tree's structure: every link from both its ends, every header, and the counts.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// tree.root()?;
    /// tree.check().expect("nobody wrote over it");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that does not hold, and where.
    pub fn check(&self) -> Result<(), Broken> {
        let root = N::of(self.root.get());
        let (mut live, mut bytes, mut hooked, mut quotas) = (0, 0, 0, 0);
        let mut answer = Ok(());
        self.each_node(&mut |node, _| {
            live += 1;
            hooked += usize::from(node.is_hooked());
            quotas += usize::from(node.quota().is_some());
            bytes += node.block().map_or(0, |block| block.layout.size());
            answer = self
                .check_node(node, root)
                .and_then(|()| self.check_quota(node))
                .and_then(|()| rule(live <= self.live.get(), "there is no loop, nor a node too many", node.as_ptr()));
            answer.is_ok()
        });
        answer?;
        rule(live == self.live.get(), "live nodes are counted", self)?;
        rule(hooked == self.hooked.get(), "nodes with what few have are counted", self)?;
        rule(quotas == self.quotas.get(), "nodes with quotas are counted", self)?;
        rule(bytes == self.bytes.get(), "live bytes are counted", self)
    }

    fn check_node(&self, node: N, root: Option<N>) -> Result<(), Broken> {
        let at = node.as_ptr();
        rule(node.kind().is_some() && node.block().is_some(), "a header is whole", at)?;
        rule(matches!(node.state(), Some(State::Live | State::Doomed)), "a node is live", at)?;
        rule(node.root() == root, "a node names its tree", at)?;
        rule(node.child().is_some() == node.lastchild().is_some(), "a first child means a last", at)?;
        rule(
            node.child().is_none_or(|c| c.prev().is_none() && c.parent() == Some(node)),
            "the first child is first",
            at,
        )?;
        rule(
            node.lastchild().is_none_or(|c| c.next().is_none() && c.parent() == Some(node)),
            "the last child is last",
            at,
        )?;
        let linked = node.next().is_none_or(|next| next.prev() == Some(node) && next.parent() == node.parent());
        rule(linked, "siblings link both ways", at)?;
        rule(
            node.next().is_some() || node.parent().is_none_or(|p| p.lastchild() == Some(node)),
            "the last sibling is the last child",
            at,
        )
    }
}

impl<S: Store> Tree<S> {
    /// Whether no header in a subtree was overwritten, as far as it shows: each is looked at before its links are
    /// followed, and the source of a managed tree is asked for each whether it has a node there.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::managed_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node.
    /// unsafe { tree.look_over(root)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `fail_assert` if one was.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree.
    pub unsafe fn look_over(&self, node: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let top = unsafe { N::of_payload(node) };
        let mut at = Some(top);
        while let Some(node) = at {
            at = node.whole_after(top, |next| self.knows(next))?;
        }
        Ok(())
    }

    /// The same of the whole tree.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::managed_in(Heap::new_in(Pages::new()));
    /// tree.root()?;
    /// tree.look_over_all()?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`look_over`](Self::look_over).
    pub fn look_over_all(&self) -> Result<(), Cond> {
        match self.known_root()? {
            // SAFETY: the root is a live node.
            Some(root) => unsafe { self.look_over(root.payload()) },
            None => Ok(()),
        }
    }

    /// The same of a node's children only, which are told when it moves.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::managed_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node.
    /// unsafe { tree.look_at_children(root)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`look_over`](Self::look_over).
    ///
    /// # Safety
    ///
    /// As for [`look_over`](Self::look_over).
    pub unsafe fn look_at_children(&self, node: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let parent = unsafe { N::of_payload(node) };
        let (mut next, mut before) = (parent.child(), None);
        while let Some(child) = next {
            if !self.knows(child) || !child.is_whole_below(parent, before) {
                return Err(Cond::FailAssert);
            }
            (next, before) = (child.next(), next);
        }
        Ok(())
    }

    /// The root, if there is one, and it is whole.
    pub(super) fn known_root(&self) -> Result<Option<N>, Cond> {
        match N::of(self.root.get()) {
            Some(root) if !self.knows(root) || !root.is_whole() => Err(Cond::FailAssert),
            root => Ok(root),
        }
    }

    /// Whether the source has a node there, if it would know: nothing is read that is not known to be the source's.
    fn knows(&self, node: N) -> bool {
        let asked = S::FINDS_NODES || self.tell.is_some();
        !asked || self.source.locate_behind(node.payload(), HEADER, Kind::Tree).is_ok()
    }
}

impl<S: Source> Inspect for Tree<S> {
    fn kind(&self) -> Kind {
        Kind::Tree
    }

    fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
        let _frozen = Frozen::new(self);
        let address = |link: Option<N>| link.map_or(0, |node| node.as_ptr().addr());
        self.each_node(&mut |node, depth| {
            let payload = node.payload_size();
            // The whole block, with the gap that an over-aligned payload has before its header.
            let header = node.as_ptr().addr();
            let (start, len) =
                node.block().map_or((header, HEADER + payload), |b| (b.start.addr().get(), b.layout.size()));
            visit(&Record {
                kind: node.kind().unwrap_or(Kind::Fail),
                header: len - payload,
                payload,
                tainted: node.is_tainted(),
                depth,
                links: [node.parent(), node.child(), node.lastchild(), node.prev(), node.next()].map(address),
                ..Record::new(start, len, What::Used)
            });
            true
        });
    }
}

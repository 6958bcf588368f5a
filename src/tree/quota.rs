//! Quotas: how many bytes a subtree may take.
//!
//! A quota stands in its node's `Extra`, with what the subtree takes now. A tree without one asks nothing: all that
//! is here is behind one comparison of a count with zero.
//!
//! Invariant: a quota's `used` is the sum of the blocks of its node and of all below it.

use core::alloc::Layout;
use core::iter;
use core::ptr::NonNull;

use super::node::{HEADER, N};
use super::{Tree, care};
use crate::cell::Frame;
use crate::report::rule;
use crate::seeded::seeded;
use crate::{Broken, Cond, Source};

/// What a subtree may take, and takes: payloads and headers of the node and of all below it.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Cond, Heap, Pages, Tree};
///
/// let tree = Tree::new_in(Heap::new_in(Pages::new()));
/// let root = tree.root()?;
/// // SAFETY: each parent is a live node.
/// unsafe {
///     let request = tree.alloc(root, Layout::new::<[u8; 36]>())?.cast();
///     tree.set_quota(request, Some(1000))?;
///     tree.alloc(request, Layout::new::<[u8; 136]>())?;
///     let quota = tree.quota(request)?.expect("just set");
///     assert_eq!((quota.bytes, quota.used), (1000, 300));     // two headers of 64 bytes
///     assert_eq!(tree.alloc(request, Layout::new::<[u8; 800]>()), Err(Cond::NoRoom));
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What it may take.
    pub bytes: usize,
    /// What it takes now.
    pub used: usize,
}

impl N {
    fn block_size(self) -> usize {
        self.block().map_or(0, |block| block.layout.size())
    }

    /// Bytes of the node and of all below it.
    fn subtree_size(self) -> Result<usize, Cond> {
        if let Some(quota) = self.quota() {
            return Ok(quota.used);
        }
        let mut size = 0;
        let mut at = Some(self);
        while let Some(node) = at {
            size += node.block_size();
            at = node.whole_after(self, |_| true)?;
        }
        Ok(size)
    }

    /// The node and all above it, up to one that is above it or itself and does not count.
    fn up_to(self, end: Option<Self>) -> impl Iterator<Item = Result<Self, Cond>> {
        self.upward().take_while(move |node| end.is_none() || node.ok() != end)
    }

    /// How many nodes are above it, and itself.
    fn depth(self) -> Result<usize, Cond> {
        self.upward().try_fold(0, |depth, node| node.map(|_| depth + 1))
    }

    /// The nearest node that two are below of, or are.
    fn common(self, other: Self) -> Result<Option<Self>, Cond> {
        let (depth, others) = (self.depth()?, other.depth()?);
        let level = self.upward().skip(depth.saturating_sub(others));
        let mut pairs = level.zip(other.upward().skip(others.saturating_sub(depth)));
        Ok(pairs.find_map(|(node, other)| node.ok().filter(|node| Ok(*node) == other)))
    }

    /// Whether every quota from here up to `end` has room for more; for nothing more, whether they can be reached.
    fn has_quota_for(self, more: usize, end: Option<Self>) -> Result<(), Cond> {
        for node in self.up_to(end) {
            if node?.quota().is_some_and(|quota| more > quota.bytes.saturating_sub(quota.used)) {
                return Err(Cond::NoRoom);
            }
        }
        Ok(())
    }

    /// Notes in every quota from here up to `end` that bytes came and others went; it was asked whether they can be
    /// reached.
    fn charge(self, more: usize, less: usize, end: Option<Self>) {
        for node in self.up_to(end).flatten() {
            if let Some(quota) = node.quota() {
                node.put_quota(Some(Quota { used: quota.used + more - less, ..quota }));
            }
        }
    }
}

impl<S: Source> Tree<S> {
    /// Limits what a node and all below it may take, in bytes with their headers; `None` lifts the limit.
    ///
    /// What would take more is refused with `no_room`: a node that is allocated or duplicated there, one that grows,
    /// a subtree that is moved there. A limit below what is taken already refuses whatever takes more. Destructors,
    /// guards and names do not count.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: each parent is a live node.
    /// unsafe {
    ///     let request = tree.alloc(root, Layout::new::<[u8; 64]>())?.cast();
    ///     tree.set_quota(request, Some(256))?;
    ///     assert_eq!(tree.alloc(request, Layout::new::<[u8; 256]>()), Err(Cond::NoRoom));
    ///     tree.set_quota(request, None)?;
    ///     tree.alloc(request, Layout::new::<[u8; 256]>())?;
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says; `in_use` if the node is being released, or while a guard is asked or the tree is walked;
    /// `fail_assert` if a header below it was found overwritten.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree.
    pub unsafe fn set_quota(&self, node: NonNull<u8>, bytes: Option<usize>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        self.thaw()?;
        match bytes {
            Some(bytes) => {
                let used = node.subtree_size()?;
                self.make_room_for_rare(node)?;
                if node.put_quota(Some(Quota { bytes, used })).is_none() {
                    self.count_quotas(self.quotas.get() + 1);
                }
            }
            None => self.lift_quota(node),
        }
        Ok(())
    }

    /// The limit that [`set_quota`](Self::set_quota) put on a node, and what its subtree takes of it.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node.
    /// assert_eq!(unsafe { tree.quota(root)? }, None);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `in_use` if the node is being released.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree.
    pub unsafe fn quota(&self, node: NonNull<u8>) -> Result<Option<Quota>, Cond> {
        // SAFETY: the caller's promise.
        Ok(unsafe { self.node(node) }?.quota())
    }

    pub(super) fn lift_quota(&self, node: N) {
        if node.put_quota(None).is_some() {
            self.count_quotas(self.quotas.get() - 1);
        }
    }

    fn count_quotas(&self, nodes: usize) {
        self.quotas.set(nodes);
        self.set_care(care::LIMITED, nodes > 0);
    }

    /// Whether a node may have a new child, in a tree that has quotas.
    #[cold]
    pub(super) fn allows(&self, parent: N, layout: Layout) -> Result<(), Cond> {
        parent.has_quota_for(Frame::new(HEADER, layout, self.source.least_align())?.block.size(), None)
    }

    /// Notes that a node has a new child.
    #[cold]
    pub(super) fn has_grown(&self, parent: N, node: N) {
        parent.charge(node.block_size(), 0, None);
    }

    /// Whether a node may have another size, in a tree that has quotas.
    #[cold]
    pub(super) fn may_become(&self, node: N, old: usize, new: usize) -> Result<(), Cond> {
        if seeded("quota_forgets_resize") { Ok(()) } else { node.has_quota_for(new.saturating_sub(old), None) }
    }

    /// Notes that a node has another size now.
    #[cold]
    pub(super) fn has_become(&self, node: N, old: usize, new: usize) {
        node.charge(new, old, None);
    }

    /// Notes that a subtree goes to another parent, if that has room for it.
    #[cold]
    pub(super) fn move_in_quota(&self, node: N, to: N) -> Result<(), Cond> {
        let size = node.subtree_size()?;
        let from = node.parent();
        // What both are under has it already, and may have less room than it takes.
        let both = from.map_or(Ok(None), |from| from.common(to))?;
        to.has_quota_for(size, both)?;
        from.iter().for_each(|from| from.charge(0, size, both));
        to.charge(size, 0, both);
        Ok(())
    }

    /// Notes that a node and all below it go, or only what is below it.
    #[cold]
    pub(super) fn leave_quota(&self, top: N, stays: bool) -> Result<(), Cond> {
        let size = top.subtree_size()?;
        let (above, size) = if stays { (Some(top), size - top.block_size()) } else { (top.parent(), size) };
        if let Some(above) = above {
            above.has_quota_for(0, None)?;
            above.charge(0, size, None);
        }
        Ok(())
    }

    /// Proves a node's quota.
    pub(super) fn check_quota(&self, node: N) -> Result<(), Broken> {
        let Some(quota) = node.quota() else { return Ok(()) };
        let below = iter::successors(Some(node), |below| below.after(node));
        rule(quota.used == below.map(N::block_size).sum(), "a quota knows what its subtree takes", node.as_ptr())
    }
}

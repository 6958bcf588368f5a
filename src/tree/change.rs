//! Changing nodes that are there: their place, their size, that they are secret.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::node::{HEADER, N};
use super::{Tree, care};
use crate::cell::{Frame, inside};
use crate::wipe::wipe_if;
use crate::{Cond, Source};

impl<S: Source> Tree<S> {
    /// Moves a node, with its subtree, to be the last child of another parent (talloc's *steal*).
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: all are live nodes.
    /// unsafe {
    ///     let above = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     let below = tree.alloc(above, Layout::new::<u64>())?.cast();
    ///     assert_eq!(tree.move_to(above, below), Err(Cond::InUse));
    ///     tree.move_to(below, root)?;
    ///     assert_eq!(tree.header(below).parent(), Some(root));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `in_use` if the new parent is the node or below it, or either is being released;
    /// `bad_address` if they are of different trees; `fail_assert` if a header was found overwritten. Nothing is moved
    /// then.
    ///
    /// # Safety
    ///
    /// Both are live nodes of this tree.
    #[inline(always)]
    pub unsafe fn move_to(&self, node: NonNull<u8>, parent: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { N::of_payload(node) };
        // SAFETY: the caller's promise.
        let parent = unsafe { N::of_payload(parent) };
        self.move_node(node, parent)
    }

    #[inline(always)]
    pub(super) fn move_node(&self, node: N, parent: N) -> Result<(), Cond> {
        if self.care.get() & !care::TOLD != 0 {
            self.thaw()?;
            Self::live(node)?;
            Self::live(parent)?;
        }
        // Most have the same, which stands in the root.
        if node.extra_ptr() != parent.extra_ptr() && node.root() != parent.root() {
            return Err(Cond::BadAddress);
        }
        match node.parent() {
            Some(old) if node != parent && (node.child().is_none() || !parent.is_within(node)?) => {
                if self.quotas.get() > 0 {
                    self.move_in_quota(node, parent)?;
                }
                node.gap(old).close();
                node.link_last(parent);
                Ok(())
            }
            _ => Err(Cond::InUse),
        }
    }

    /// Grows or shrinks a node, in place where the source can. The alignment stays.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes; what was there is used by its new address only.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<[u8; 10]>())?.cast();
    ///     assert_eq!(tree.resize(node, 1000)?.len(), 1000);
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc); `in_use` for the root. The node is then as it was.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree. If the address returned is another, the old
    /// one is gone.
    pub unsafe fn resize(&self, node: NonNull<u8>, size: usize) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        if node.parent().is_none() {
            return Err(Cond::InUse);
        }
        self.thaw()?;
        let old = node.block().ok_or(Cond::FailAssert)?;
        let payload = Layout::from_size_align(size, old.layout.align()).map_err(|_| Cond::BadSize)?;
        let new = Frame::new(HEADER, payload, self.source.least_align())?;
        if new.block.size() == old.layout.size() {
            return Ok(NonNull::slice_from_raw_parts(node.payload(), size));
        }
        if self.quotas.get() > 0 {
            self.may_become(node, old.layout.size(), new.block.size())?;
        }
        let tainted = node.is_tainted() || self.id.is_tainted();
        let kept = node.payload_size().min(size);
        // A source does not know that the bytes are secret when it moves them.
        let start = if tainted {
            let moved = self.source.alloc(new.asked())?.cast::<u8>();
            // SAFETY: both blocks are live and distinct; this many bytes are in each.
            unsafe { old.start.copy_to_nonoverlapping(moved, new.offset + kept) };
            // SAFETY: the old payload's bytes; those that are kept are in the new block now.
            unsafe { wipe_if(true, node.payload(), node.payload_size()) };
            // SAFETY: the old block is used no more, and longer than a header.
            unsafe { self.give_to_source(old.start, old.asked()) };
            moved
        } else {
            // SAFETY: the block is live and fits its layout; the alignment is the same.
            unsafe { self.source.resize(old.start, old.asked(), new.asked()) }?.cast()
        };
        if start != old.start
            && let Some(tell) = &self.tell
        {
            // SAFETY: just allocated by us.
            unsafe { (tell.node)(&self.source, start) };
            #[cfg(feature = "shred")]
            if tainted {
                // SAFETY: as above.
                unsafe { (tell.taint)(&self.source, start) };
            }
        }
        self.note_peak();
        self.bytes.set(self.bytes.get() - old.layout.size() + new.block.size());
        // SAFETY: the header was moved with the block.
        let node = unsafe { N::new(inside(start, new.offset - HEADER).cast()) };
        node.set_size(new.block.size());
        if start != old.start {
            node.tell_neighbours(N::of(old.header.as_ptr()));
        }
        if self.quotas.get() > 0 {
            self.has_become(node, old.layout.size(), new.block.size());
        }
        Ok(NonNull::slice_from_raw_parts(node.payload(), size))
    }

    /// Taints the whole tree: whatever is released is wiped first.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let mut tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// tree.taint();
    /// tree.root()?;
    /// tree.destroy()?;                        // and the bytes of all nodes are gone
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[cfg(feature = "shred")]
    pub fn taint(&self) {
        self.id.taint();
        self.set_care(care::TAINTED, true);
    }

    /// Marks one node, so that its bytes are destroyed however it goes.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let key = tree.alloc(root, Layout::new::<[u8; 32]>())?.cast();
    ///     tree.taint_node(key)?;
    ///     assert!(tree.header(key).id().is_tainted());
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `in_use` if it is being released, or while a guard is asked or the tree is walked.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree.
    #[cfg(feature = "shred")]
    pub unsafe fn taint_node(&self, node: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        self.thaw()?;
        self.taint_it(node);
        Ok(())
    }

    #[cfg(feature = "shred")]
    pub(super) fn taint_it(&self, node: N) {
        node.taint();
        self.set_care(care::SECRET, true);
        if let (Some(tell), Some(block)) = (&self.tell, node.block()) {
            // SAFETY: the block is the source's.
            unsafe { (tell.taint)(&self.source, block.start) };
        }
    }
}

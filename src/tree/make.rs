//! Making nodes.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::extra::Extra;
use super::node::{HEADER, N, Node};
use super::{Tree, care};
use crate::cell::{Frame, MIN_ALIGN, inside};
use crate::{Cond, Ptr, Source, Store};

impl<S: Source> Tree<S> {
    #[cold]
    #[inline(never)]
    pub(super) fn make_root(&self) -> Result<N, Cond> {
        let layout = Layout::new::<Extra>();
        let root = self.make_with_care(layout, ptr::null(), None, false)?;
        let base = root.payload().cast::<Extra>();
        // SAFETY: the root's payload was just allocated for it.
        unsafe { base.write(Extra::base(root, self.context.get())) };
        root.set_extra(base.as_ptr());
        self.root.set(root.as_ptr());
        Ok(root)
    }

    /// A node, where the tree may not be changed or the source is told of it.
    #[inline(never)]
    pub(super) fn make_with_care(
        &self,
        layout: Layout,
        extra: *const Extra,
        parent: Option<N>,
        zeroed: bool,
    ) -> Result<N, Cond> {
        self.thaw()?;
        let limited = parent.filter(|_| self.quotas.get() > 0);
        if let Some(parent) = limited {
            self.allows(parent, layout)?;
        }
        let node = self.make(layout, extra, parent, zeroed)?;
        if let Some(parent) = limited {
            self.has_grown(parent, node);
        }
        if let (Some(tell), Some(block)) = (&self.tell, node.block()) {
            // SAFETY: just allocated by us.
            unsafe { (tell.node)(&self.source, block.start) };
        }
        Ok(node)
    }

    /// A node: the last child of a parent, or the root.
    #[inline(always)]
    pub(super) fn make(&self, layout: Layout, extra: *const Extra, parent: Option<N>, zeroed: bool) -> Result<N, Cond> {
        let frame = Frame::new(HEADER, layout, self.source.least_align())?;
        let asked = frame.asked();
        let block = if zeroed { self.source.alloc_zeroed(asked) } else { self.source.alloc(asked) };
        // SAFETY: just allocated for it.
        Ok(unsafe { self.settle(block?.cast(), &frame, extra, parent) })
    }

    /// Makes a block a node.
    ///
    /// # Safety
    ///
    /// It came from the source for this frame, and is nobody's.
    #[inline(always)]
    unsafe fn settle(&self, block: NonNull<u8>, frame: &Frame, extra: *const Extra, parent: Option<N>) -> N {
        let place = inside(block, frame.offset - HEADER).cast::<Node>();
        let last = parent.and_then(N::lastchild);
        // SAFETY: the frame has room for the header right before the payload, aligned.
        unsafe { place.write(Node::new(frame.block, extra, N::link(parent), N::link(last))) };
        self.live.set(self.live.get() + 1);
        self.bytes.set(self.bytes.get() + frame.block.size());
        // SAFETY: just written, and live until it is released.
        let node = unsafe { N::new(place) };
        if let Some(parent) = parent {
            node.announce(parent, last);
        }
        node
    }

    /// What nodes of no extra of their own have: it is the root's payload, and there is a root where there is a parent.
    #[inline(always)]
    pub(super) fn common_extra(&self) -> *const Extra {
        self.root.get().wrapping_byte_add(HEADER).cast()
    }

    /// Whether a node that is made is told of, counted against a quota, or refused.
    #[inline(always)]
    fn makes_with_care(&self) -> bool {
        self.care.get() & (care::FROZEN | care::TOLD | care::LIMITED) != 0
    }

    /// A node: the last child of `parent`, its contents undefined.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: each parent is a live node.
    /// let (above, below) = unsafe {
    ///     let above = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     (above, tree.alloc(above, Layout::new::<u64>())?.cast())
    /// };
    /// // SAFETY: a live node.
    /// assert_eq!(unsafe { tree.header(below) }.parent(), Some(above));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says; `bad_size` for a size over what an object can have; `in_use` under a
    /// parent that is being released.
    ///
    /// # Safety
    ///
    /// `parent` is a live node of this tree, or its root.
    #[inline(always)]
    pub unsafe fn alloc(&self, parent: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        self.alloc_under(unsafe { self.node(parent) }?, layout, false)
    }

    #[inline(always)]
    pub(super) fn alloc_under(&self, parent: N, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, Cond> {
        let base = self.common_extra();
        if self.makes_with_care() {
            let node = self.make_with_care(layout, base, Some(parent), zeroed)?;
            return Ok(NonNull::slice_from_raw_parts(node.payload(), layout.size()));
        }
        let node = self.make(layout, base, Some(parent), zeroed)?;
        Ok(NonNull::slice_from_raw_parts(node.payload(), layout.size()))
    }

    /// The same for a size, at the least alignment, where that takes a few instructions and no call: the source has a
    /// block at hand, and the tree has nothing to look after.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::Tree;
    ///
    /// let tree = Tree::new();
    /// let root = tree.root()?;
    /// // SAFETY: each parent is a live node; what is freed is used no more.
    /// unsafe {
    ///     tree.alloc(root, Layout::new::<u64>())?;
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     assert_eq!(tree.alloc_if_at_hand(root, 8), None);
    ///     tree.free(node)?;
    ///     assert_eq!(tree.alloc_if_at_hand(root, 8), Some(node));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Safety
    ///
    /// As for [`alloc`](Self::alloc).
    #[inline(always)]
    pub unsafe fn alloc_if_at_hand(&self, parent: NonNull<u8>, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let parent = unsafe { N::of_payload(parent) };
        // The first comparison is for all of sizes that follow.
        if size > self.source.at_hand() || !parent.is_plain() || self.makes_with_care() {
            return None;
        }
        let payload = Layout::from_size_align(size, MIN_ALIGN).ok()?;
        let frame = Frame::new(HEADER, payload, self.source.least_align()).ok()?;
        let block = self.source.alloc_if_at_hand(frame.asked())?;
        // SAFETY: just allocated for it.
        Some(unsafe { self.settle(block, &frame, self.common_extra(), Some(parent)) }.payload())
    }

    /// The same as [`alloc`](Self::alloc), zeroed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node; the new one is initialised, and nobody writes to it.
    /// unsafe {
    ///     let node = tree.alloc_zeroed(root, Layout::new::<[u8; 32]>())?;
    ///     assert_eq!(node.as_ref(), [0; 32]);
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    ///
    /// # Safety
    ///
    /// As for [`alloc`](Self::alloc).
    #[inline]
    pub unsafe fn alloc_zeroed(&self, parent: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        self.alloc_under(unsafe { self.node(parent) }?, layout, true)
    }
}

impl<S: Store> Tree<S> {
    /// A node as a managed pointer: the last child of `parent`, its contents undefined.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::managed_in(Heap::new_in(Pages::new()));
    /// let ptr = tree.alloc_ptr(tree.root()?, Layout::new::<u64>())?;
    /// // SAFETY: the tree is where it was, and nothing uses the node.
    /// unsafe { kmem::free(ptr)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc), and `bad_address` where `parent` is no live node of this tree.
    pub fn alloc_ptr(&self, parent: NonNull<u8>, layout: Layout) -> Result<Ptr, Cond> {
        let parent = self.locate(parent)?.payload;
        // SAFETY: a live node of this tree, as was just seen.
        Ok(Ptr::of(self, unsafe { self.alloc(parent, layout) }?))
    }

    /// The same, zeroed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::managed_in(Heap::new_in(Pages::new()));
    /// let ptr = tree.alloc_zeroed_ptr(tree.root()?, Layout::new::<u64>())?;
    /// // SAFETY: a live node's payload, initialised.
    /// assert_eq!(unsafe { ptr.payload().cast::<u64>().read() }, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc_ptr`](Self::alloc_ptr).
    pub fn alloc_zeroed_ptr(&self, parent: NonNull<u8>, layout: Layout) -> Result<Ptr, Cond> {
        let parent = self.locate(parent)?.payload;
        // SAFETY: a live node of this tree, as was just seen.
        Ok(Ptr::of(self, unsafe { self.alloc_zeroed(parent, layout) }?))
    }
}

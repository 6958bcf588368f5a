//! Releasing a subtree, or all children of a node: ask the guards, run the destructors, give the memory back.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::Tree;
use super::care;
use super::node::{Block, N};
use super::walk::Frozen;
use crate::cell::{Cell, State};
use crate::seeded::seeded;
use crate::wipe::wipe_if;
use crate::{Cond, Kind, Source, Store};

/// What stands in front of a block that the source refused to take back: who finds it by a node's address is told that
/// the node has gone.
#[repr(C)]
pub(super) struct Refused {
    block: Cell,
    next: *mut Refused,
}

impl Refused {
    const fn new(block: Layout, next: *mut Self) -> Self {
        Self { block: Cell::new(Kind::None, block, State::Free), next }
    }
}

/// Siblings and all below them that are going. If a destructor panics, the others still run and the
/// memory still goes.
///
/// They are unlinked already, so a destructor may do what it likes to the rest of the tree: even
/// release what they were under, which is only compared with from here on.
struct Doom<'t, S: Source> {
    tree: &'t Tree<S>,
    last: N,
    /// The parent that the siblings still name.
    above: Option<N>,
    /// The node whose destructors are to run next.
    next: Option<N>,
    shred: bool,
    /// The root is among them.
    whole: bool,
}

impl<S: Source> Doom<'_, S> {
    fn run_destructors(&mut self) {
        while let Some(node) = self.next {
            if !self.tree.run_hook(node) {
                self.next = node.following(self.above);
            }
        }
    }
}

impl<S: Source> Drop for Doom<'_, S> {
    fn drop(&mut self) {
        // Only after a destructor has panicked is there one left.
        self.run_destructors();
        self.tree.give_back(self.last, self.above, self.shred, |_| {});
        if self.whole {
            self.tree.root.set(ptr::null());
            #[cfg(feature = "shred")]
            self.tree.set_care(care::SECRET, false);
        }
    }
}

impl<S: Source> Tree<S> {
    /// Releases a node and its whole subtree.
    ///
    /// First all guards of the subtree are asked; if one refuses, nothing is released. Then all
    /// destructors run, each once, parent before children, siblings first to last; all payloads of the
    /// subtree stay readable until the last has run. A destructor may free, move or allocate nodes
    /// outside the subtree. Then the memory goes.
    ///
    /// A block that the source refuses to take back is kept and offered again later.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: each parent is a live node, and what is freed is used no more.
    /// unsafe {
    ///     let above = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     tree.alloc(above, Layout::new::<u64>())?;
    ///     tree.free(above)?;
    /// }
    /// assert_eq!(tree.stats().live, 1);       // the root
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `in_use` if a guard refuses, or the node is being released already.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree, and nothing but its destructors uses the
    /// subtree any more.
    #[inline(always)]
    pub unsafe fn free(&self, node: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        self.release(unsafe { N::of_payload(node) })
    }

    /// Releases a node where that takes a few instructions and no call: nothing is below it, the source has room for it
    /// at hand, and the tree has nothing to look after. Says whether it did.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::Tree;
    ///
    /// let tree = Tree::new();
    /// let root = tree.root()?;
    /// // SAFETY: each parent is a live node; what is freed is used no more.
    /// unsafe {
    ///     let above = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     let below = tree.alloc(above, Layout::new::<u64>())?.cast();
    ///     assert!(!tree.free_if_at_hand(above));
    ///     assert!(tree.free_if_at_hand(below));
    /// }
    /// assert_eq!(tree.stats().live, 2);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    #[inline(always)]
    pub unsafe fn free_if_at_hand(&self, node: NonNull<u8>) -> bool {
        // SAFETY: the caller's promise.
        self.release_if_at_hand(unsafe { N::of_payload(node) })
    }

    /// Destroys all payloads of the subtree, then releases it.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node, and what is shredded is used no more.
    /// unsafe {
    ///     let keys = tree.alloc(root, Layout::new::<[u8; 32]>())?.cast();
    ///     tree.alloc(keys, Layout::new::<[u8; 32]>())?;
    ///     tree.shred(keys)?;
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free).
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    #[cfg(feature = "shred")]
    pub unsafe fn shred(&self, node: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        self.release_subtree(node, true)
    }

    /// Releases a node's children, and keeps the node.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node, and its children are used no more.
    /// unsafe {
    ///     tree.alloc(root, Layout::new::<u64>())?;
    ///     tree.alloc(root, Layout::new::<u64>())?;
    ///     tree.free_children(root)?;
    /// }
    /// assert_eq!(tree.stats().live, 1);       // the root
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `in_use` if a guard of any of them refuses: nothing is released then.
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free), of the children.
    pub unsafe fn free_children(&self, node: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        self.release_children(node)
    }

    /// Whether a guard refuses: of a node, its later siblings, or any below them.
    fn refuses(&self, first: N, above: Option<N>) -> bool {
        let mut at = Some(first).filter(|_| self.hooked.get() > 0);
        while let Some(node) = at {
            if self.guard_refuses(node) {
                return true;
            }
            at = node.following(above);
        }
        false
    }

    /// A guard asks and does nothing: what it would do to the tree is refused.
    fn guard_refuses(&self, node: N) -> bool {
        let _frozen = Frozen::new(self);
        node.refuses()
    }

    pub(super) fn release_subtree(&self, top: N, shred: bool) -> Result<(), Cond> {
        self.thaw()?;
        if self.subtree_refuses(top) {
            return Err(Cond::InUse);
        }
        if self.quotas.get() > 0 {
            self.leave_quota(top, false)?;
        }
        self.release_unasked(top, shred);
        Ok(())
    }

    /// Whether a release is no more than giving blocks back: no node has anything to run or to be wiped, and the
    /// source has refused nothing.
    #[inline]
    fn is_plain(&self) -> bool {
        self.care.get() & !(care::FROZEN | care::TOLD) == 0
    }

    /// The block of a node that has nothing below it nor anything that needs care, and its parent.
    #[inline(always)]
    fn plain_leaf(&self, node: N) -> Option<(Block, N)> {
        match (node.child(), node.parent()) {
            (None, Some(parent)) if self.care.get() & !care::TOLD == 0 => Some((node.plain_block()?, parent)),
            _ => None,
        }
    }

    /// Releases a node. Most have nothing below them and nothing that needs care.
    #[inline(always)]
    pub(super) fn release(&self, top: N) -> Result<(), Cond> {
        if let Some((block, parent)) = self.plain_leaf(top) {
            self.note_peak();
            top.gap(parent).close();
            self.give_back_block(&block);
            return Ok(());
        }
        self.release_live(top)
    }

    /// Releases a node, if that is only to close the gap that it leaves, and its source has its block back at once.
    #[inline(always)]
    pub(super) fn release_if_at_hand(&self, node: N) -> bool {
        // The comparison is for all of sizes that follow.
        if node.size() > self.source.at_hand() {
            return false;
        }
        let Some((block, parent)) = self.plain_leaf(node) else { return false };
        let gap = node.gap(parent);
        // SAFETY: the block came from the source with this layout, and is used no more if it takes it.
        if !unsafe { self.source.free_if_at_hand(block.start, block.asked()) } {
            return false;
        }
        gap.close();
        self.note_peak();
        self.has_gone(&block);
        true
    }

    #[inline(never)]
    fn release_live(&self, top: N) -> Result<(), Cond> {
        self.release_subtree(Self::live(top)?, false)
    }

    /// Releases everything, or everything but the root, without a look at the nodes; says whether the source could.
    ///
    /// The tree is plain, and who releases what goes has promised that nothing uses it any more.
    fn release_at_once(&self, but: Option<N>) -> bool {
        let left = usize::from(but.is_some());
        let block = but.and_then(N::block);
        // SAFETY: in a plain tree every block is a node's; the promise above.
        if !unsafe { self.source.free_all(self.live.get() - left, block.as_ref().map(|block| block.start)) } {
            return false;
        }
        self.note_peak();
        self.live.set(left);
        self.bytes.set(block.map_or(0, |block| block.layout.size()));
        match but {
            Some(root) => root.forget_children(),
            None => self.root.set(ptr::null()),
        }
        true
    }

    /// Whether a node is all that there is but the root, and nothing needs care.
    pub(super) fn is_alone(&self, top: N) -> bool {
        self.is_plain() && self.root_of_only(top, top).is_some()
    }

    /// The root, if siblings `first` to `last` are all that it has.
    fn root_of_only(&self, first: N, last: N) -> Option<N> {
        let only = |root: &N| root.child() == Some(first) && root.lastchild() == Some(last);
        N::of(self.root.get()).filter(only)
    }

    /// The same, of siblings `first` to `last`, if there is nothing else but the root.
    fn release_plain_siblings_at_once(&self, first: N, last: N) -> bool {
        if Some(first) == N::of(self.root.get()) {
            return self.release_at_once(None);
        }
        self.root_of_only(first, last).is_some_and(|root| self.release_at_once(Some(root)))
    }

    fn subtree_refuses(&self, top: N) -> bool {
        if self.hooked.get() == 0 {
            return false;
        }
        if seeded("guards_are_not_asked") {
            return false;
        }
        self.guard_refuses(top) || top.child().is_some_and(|child| self.refuses(child, Some(top)))
    }

    /// Releases a subtree without asking its guards; its quotas were left.
    pub(super) fn release_unasked(&self, top: N, shred: bool) {
        let plain = !shred && self.is_plain();
        if plain && self.release_plain_siblings_at_once(top, top) {
            return;
        }
        top.unlink();
        self.doom(top, top, None, shred);
    }

    /// Releases all children of a node.
    pub(super) fn release_children(&self, parent: N) -> Result<(), Cond> {
        self.thaw()?;
        let Some(first) = parent.child() else { return Ok(()) };
        if self.refuses(first, Some(parent)) {
            return Err(Cond::InUse);
        }
        if self.quotas.get() > 0 {
            self.leave_quota(parent, true)?;
        }
        let last = parent.lastchild().unwrap_or(first);
        if self.is_plain() && self.release_plain_siblings_at_once(first, last) {
            return Ok(());
        }
        parent.forget_children();
        self.doom(first, last, Some(parent), false);
        Ok(())
    }

    /// Releases siblings, `first` to `last`, that are unlinked from their parent.
    fn doom(&self, first: N, last: N, above: Option<N>, shred: bool) {
        let hooked = self.hooked.get() > 0;
        let mut at = Some(first).filter(|_| hooked);
        while let Some(node) = at {
            // What they share stands in the root, which a destructor may release.
            node.forget_root();
            node.set_state(State::Doomed);
            at = node.following(above);
        }
        let whole = Some(first) == N::of(self.root.get());
        let mut doom = Doom { tree: self, last, above, next: Some(first).filter(|_| hooked), shred, whole };
        doom.run_destructors();
        drop(doom);
        if !self.refused.get().is_null() {
            let _ = self.offer_refused();
        }
    }

    /// Gives siblings and all below them back, in the opposite of the order in which nodes are mostly made: a source
    /// that hands the block out first that came back last then hands them out in the order of addresses.
    ///
    /// Each is told of before it goes.
    #[inline]
    fn give_back(&self, last: N, above: Option<N>, shred: bool, tell: impl Fn(N)) {
        self.note_peak();
        if !shred && self.is_plain() {
            Self::each_backwards(last, above, |node| {
                tell(node);
                match node.plain_block() {
                    Some(block) => self.give_back_block(&block),
                    None => self.give_back_plain(node),
                }
            });
        } else {
            Self::each_backwards(last, above, |node| {
                tell(node);
                self.give_back_node(node, shred);
            });
        }
    }

    /// Releases a subtree of a tree that has no hooks and tells of each node, backwards, before its memory goes.
    pub(super) fn release_telling(&self, top: N, shred: bool, tell: impl Fn(N)) {
        top.unlink();
        self.give_back(top, None, shred, tell);
        if !self.refused.get().is_null() {
            let _ = self.offer_refused();
        }
    }

    #[inline]
    fn each_backwards(last: N, above: Option<N>, give_back: impl Fn(N)) {
        let mut node = last.deepest_last();
        loop {
            let next = node.before(above);
            give_back(node);
            if seeded("node_is_read_when_it_has_gone") {
                core::hint::black_box(node.parent());
            }
            match next {
                Some(next) => node = next,
                None => return,
            }
        }
    }

    fn give_back_node(&self, node: N, shred: bool) {
        // Before the bytes are wiped: the root's own extra lies in its payload.
        if self.hooked.get() > 0 {
            self.drop_extra(node);
        }
        let tainted = shred || node.is_tainted() || self.id.is_tainted();
        // SAFETY: the node's own payload, used no more.
        unsafe { wipe_if(tainted, node.payload(), node.payload_size()) };
        self.give_back_plain(node);
    }

    /// Gives a node's block back, of which nothing is to be run or wiped.
    #[cold]
    fn give_back_plain(&self, node: N) {
        if let Some(block) = node.block() {
            self.give_back_block(&block);
        }
    }

    #[inline(always)]
    fn has_gone(&self, block: &Block) {
        self.live.set(self.live.get() - 1);
        self.bytes.set(self.bytes.get() - block.layout.size());
    }

    #[inline(always)]
    fn give_back_block(&self, block: &Block) {
        self.has_gone(block);
        // SAFETY: the block came from the source with this layout and is used no more.
        unsafe { self.give_to_source(block.start, block.asked()) };
    }

    /// Gives a block to the source; what it refuses is kept, and offered again later.
    ///
    /// # Safety
    ///
    /// The block came from the source with this layout, is used no more, and has room for three words.
    #[inline]
    pub(super) unsafe fn give_to_source(&self, start: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        if unsafe { self.source.free(start, layout) }.is_err() {
            // SAFETY: refused, so the block is still ours; the caller promised that there is room.
            unsafe { self.keep_refused(start, layout) };
        }
    }

    /// # Safety
    ///
    /// As for [`give_to_source`](Self::give_to_source), which the source refused.
    #[cold]
    unsafe fn keep_refused(&self, start: NonNull<u8>, layout: Layout) {
        let place = start.cast::<Refused>();
        // SAFETY: the caller's promise.
        unsafe { place.write(Refused::new(layout, self.refused.get())) };
        self.refused.set(place.as_ptr());
        self.set_care(care::REFUSED, true);
    }

    /// Offers the source again what it refused.
    pub(super) fn offer_refused(&self) -> Result<(), Cond> {
        let mut answer = Ok(());
        let mut at = self.refused.replace(ptr::null_mut());
        self.set_care(care::REFUSED, false);
        while let Some(place) = NonNull::new(at) {
            // SAFETY: what is on the list is a refused block with its record in front.
            let Refused { block, next } = unsafe { place.read() };
            at = next;
            let layout = block.layout().ok_or(Cond::FailAssert)?;
            // SAFETY: as when it was refused.
            if let Err(cond) = unsafe { self.source.free(place.cast(), layout) } {
                answer = Err(cond);
                // SAFETY: still ours, and as long as before.
                unsafe { self.keep_refused(place.cast(), layout) };
            }
        }
        answer
    }

    pub(super) fn refused_bytes(&self) -> usize {
        let (mut bytes, mut at) = (0, self.refused.get());
        while let Some(place) = NonNull::new(at) {
            // SAFETY: as in `offer_refused`.
            let record = unsafe { place.as_ref() };
            bytes += record.block.size();
            at = record.next;
        }
        bytes
    }
}

impl<S: Store> Tree<S> {
    /// Releases a node and its whole subtree as [`free`](Self::free) does, or `shred`, if no header in it was found
    /// overwritten. What goes at once goes without a look.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::managed_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: each parent is a live node, and what is freed is used no more.
    /// unsafe {
    ///     let above = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     tree.alloc(above, Layout::new::<u64>())?;
    ///     tree.free_if_whole(above, false)?;
    /// }
    /// assert_eq!(tree.stats().live, 1);       // the root
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free); `fail_assert` if a header was found overwritten.
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    pub unsafe fn free_if_whole(&self, node: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let top = unsafe { self.node(node) }?;
        self.thaw()?;
        if !shred && self.is_plain() && self.release_plain_siblings_at_once(top, top) {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.look_over(node) }?;
        self.release_subtree(top, shred)
    }

    /// Releases everything as [`destroy`](Self::destroy) does, if no header was found overwritten. What goes at once
    /// goes without a look.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let mut tree = Tree::managed_in(Heap::new_in(Pages::new()));
    /// tree.root()?;
    /// tree.destroy_if_whole()?;
    /// assert_eq!(tree.stats().live, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`destroy`](Self::destroy); `fail_assert` if a header was found overwritten.
    pub fn destroy_if_whole(&mut self) -> Result<(), Cond> {
        if let Some(root) = self.known_root()? {
            // SAFETY: the root is a live node, and of a tree that is borrowed for this only destructors use anything.
            unsafe { self.free_if_whole(root.payload(), false) }?;
        }
        self.offer_refused()
    }
}

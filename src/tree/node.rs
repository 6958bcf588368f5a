//! The header of a node, and its links.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::iter;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

use super::extra::Extra;
use crate::cell::{self, Cell, Frame, MIN_ALIGN, State, inside};
use crate::inspect::fields::{Field, Form, Front, after};
use crate::seeded::seeded;
use crate::{Cond, Kind};

/// The front of a node (libk's `kmnode`); behind it lies the payload.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, Tree};
///
/// let tree = Tree::new_in(Heap::new_in(Pages::new()));
/// let root = tree.root()?;
/// // SAFETY: live nodes.
/// unsafe {
///     let (first, last) =
///         (tree.alloc(root, Layout::new::<u64>())?.cast(), tree.alloc(root, Layout::new::<u64>())?.cast());
///     let (node, first_node) = (tree.header(root), tree.header(first));
///     assert_eq!((node.child(), node.lastchild()), (Some(first), Some(last)));
///     assert_eq!((first_node.prev(), first_node.next()), (None, Some(last)));
///     assert_eq!((node.parent(), first_node.parent()), (None, Some(root)));
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
#[repr(C)]
#[derive(Debug)]
pub struct Node {
    id: Cell,
    parent: Var<*const Node>,
    child: Var<*const Node>,
    lastchild: Var<*const Node>,
    prev: Var<*const Node>,
    next: Var<*const Node>,
    extra: Var<*const Extra>,
}

/// In front of each payload.
pub(super) const HEADER: usize = size_of::<Node>();

const _: () = {
    const WORD: usize = size_of::<usize>();
    assert!(HEADER == 4 * MIN_ALIGN);
    assert!(offset_of!(Node, parent) == 2 * WORD);
    assert!(offset_of!(Node, child) == 3 * WORD);
    assert!(offset_of!(Node, lastchild) == 4 * WORD);
    assert!(offset_of!(Node, prev) == 5 * WORD);
    assert!(offset_of!(Node, next) == 6 * WORD);
};

/// What [`inspect::front`](crate::inspect::front) tells of a node.
pub(crate) const FRONT: Front = Front { size: HEADER, fields: &FIELDS };

const FIELDS: [Field; cell::FIELDS.len() + 6] = after(
    &cell::FIELDS,
    &[
        Field::word("parent", offset_of!(Node, parent), Form::Link),
        Field::word("child", offset_of!(Node, child), Form::Link),
        Field::word("lastchild", offset_of!(Node, lastchild), Form::Link),
        Field::word("prev", offset_of!(Node, prev), Form::Link),
        Field::word("next", offset_of!(Node, next), Form::Link),
        Field::word("extra", offset_of!(Node, extra), Form::Link),
    ],
);

impl Node {
    #[inline]
    pub(super) const fn new(block: Layout, extra: *const Extra, parent: *const Node, prev: *const Node) -> Self {
        Self {
            id: Cell::new(Kind::Tree, block, State::Live),
            parent: Var::new(parent),
            child: Var::new(ptr::null()),
            lastchild: Var::new(ptr::null()),
            prev: Var::new(prev),
            next: Var::new(ptr::null()),
            extra: Var::new(extra),
        }
    }

    /// The node's own header.
    ///
    /// ```
    /// use kmem::{Heap, Kind, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: a live node.
    /// assert_eq!(unsafe { tree.header(root) }.id().kind(), Some(Kind::Tree));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> &Cell {
        &self.id
    }

    fn payload_of(link: &Var<*const Self>) -> Option<NonNull<u8>> {
        N::of(link.get()).map(N::payload)
    }

    /// The parent's payload; `None` for the root.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     assert_eq!((tree.header(node).parent(), tree.header(root).parent()), (Some(root), None));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn parent(&self) -> Option<NonNull<u8>> {
        Self::payload_of(&self.parent)
    }

    /// The first child's payload.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let (first, _) = (tree.alloc(root, Layout::new::<u64>())?.cast(), tree.alloc(root, Layout::new::<u64>())?);
    ///     assert_eq!(tree.header(root).child(), Some(first));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn child(&self) -> Option<NonNull<u8>> {
        Self::payload_of(&self.child)
    }

    /// The last child's payload.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let (_, last) = (tree.alloc(root, Layout::new::<u64>())?, tree.alloc(root, Layout::new::<u64>())?.cast());
    ///     assert_eq!(tree.header(root).lastchild(), Some(last));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn lastchild(&self) -> Option<NonNull<u8>> {
        Self::payload_of(&self.lastchild)
    }

    /// The previous sibling's payload.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let first = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     let last = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     assert_eq!((tree.header(first).prev(), tree.header(last).prev()), (None, Some(first)));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn prev(&self) -> Option<NonNull<u8>> {
        Self::payload_of(&self.prev)
    }

    /// The next sibling's payload.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let first = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     let last = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     assert_eq!((tree.header(first).next(), tree.header(last).next()), (Some(last), None));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn next(&self) -> Option<NonNull<u8>> {
        Self::payload_of(&self.next)
    }
}

/// A node that has not been given back.
///
/// All of this module's unsafety is in making one; what follows links yields more of them, since a
/// live node's links lead to live nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct N(NonNull<Node>);

/// The block that a node lies in.
pub(super) struct Block {
    pub(super) start: NonNull<u8>,
    pub(super) layout: Layout,
    pub(super) header: NonNull<Node>,
}

impl Block {
    /// As it came from the source.
    #[inline(always)]
    pub(super) fn asked(&self) -> Layout {
        Frame { block: self.layout, offset: Frame::offset(HEADER, self.layout.align()) }.asked()
    }
}

/// Where a node is among its siblings.
pub(super) struct Gap {
    parent: N,
    prev: Option<N>,
    next: Option<N>,
}

impl Gap {
    /// Has parent and siblings name the node there no more, which still names them, if it is there.
    #[inline(always)]
    pub(super) fn close(self) {
        let Self { parent, prev, next } = self;
        match prev {
            Some(prev) => prev.get().next.set(N::link(next)),
            None => parent.get().child.set(N::link(next)),
        }
        match next {
            Some(_) if seeded("next_sibling_keeps_its_link") => {}
            Some(next) => next.get().prev.set(N::link(prev)),
            None => parent.get().lastchild.set(N::link(prev)),
        }
    }
}

impl N {
    /// # Safety
    ///
    /// A node's header is there, and stays until the node is given back, when no copy of this is used any more.
    pub(super) const unsafe fn new(header: NonNull<Node>) -> Self {
        Self(header)
    }

    /// The node of a payload.
    ///
    /// # Safety
    ///
    /// As for [`new`](Self::new), of the header that stands before the payload.
    #[inline(always)]
    pub(super) const unsafe fn of_payload(payload: NonNull<u8>) -> Self {
        // SAFETY: the caller's promise: a header stands before the payload.
        let header = unsafe { payload.sub(HEADER) };
        // SAFETY: as above.
        unsafe { Self::new(header.cast()) }
    }

    /// What a link leads to.
    #[inline]
    pub(super) fn of(link: *const Node) -> Option<Self> {
        NonNull::new(link.cast_mut()).map(Self)
    }

    /// A link that leads to a node, or nowhere.
    #[inline]
    pub(super) fn link(node: Option<Self>) -> *const Node {
        node.map_or(ptr::null(), Self::as_ptr)
    }

    #[inline]
    fn get<'a>(self) -> &'a Node {
        // SAFETY: an `N` is only made of a node that is there; it is only changed by shared references.
        unsafe { self.0.as_ref() }
    }

    pub(super) const fn as_ptr(self) -> *const Node {
        self.0.as_ptr().cast_const()
    }

    #[inline]
    pub(super) fn payload(self) -> NonNull<u8> {
        inside(self.0.cast(), HEADER)
    }

    #[inline]
    pub(super) fn block(self) -> Option<Block> {
        let layout = self.get().id.layout()?;
        let gap = Frame::offset(HEADER, layout.align()) - HEADER;
        let start = NonNull::new(self.0.as_ptr().cast::<u8>().wrapping_sub(gap))?;
        Some(Block { start, layout, header: self.0 })
    }

    /// The block of a live, untainted node of the least alignment: nearly every one.
    #[inline(always)]
    pub(super) fn plain_block(self) -> Option<Block> {
        let id = &self.get().id;
        let layout = Layout::from_size_align(id.size(), MIN_ALIGN).ok()?;
        if id.is_plain(Kind::Tree) { Some(Block { start: self.0.cast(), layout, header: self.0 }) } else { None }
    }

    /// Bytes of its block.
    #[inline(always)]
    pub(super) fn size(self) -> usize {
        self.get().id.size()
    }

    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        self.get().id.is_plain(Kind::Tree)
    }

    #[inline]
    pub(super) fn payload_size(self) -> usize {
        self.get().id.layout().map_or(0, |block| block.size() - Frame::offset(HEADER, block.align()))
    }

    pub(super) fn set_size(self, size: usize) {
        self.get().id.set_size(size);
    }

    pub(super) fn kind(self) -> Option<Kind> {
        self.get().id.kind()
    }

    pub(super) fn set_kind(self, kind: Kind) {
        self.get().id.set_kind(kind);
    }

    #[inline]
    pub(super) fn state(self) -> Option<State> {
        self.get().id.state()
    }

    pub(super) fn set_state(self, state: State) {
        self.get().id.set_state(state);
    }

    #[inline]
    pub(super) fn is_live(self) -> bool {
        self.get().id.is_live()
    }

    pub(super) fn is_doomed(self) -> bool {
        self.state() == Some(State::Doomed)
    }

    /// Whether this is the header of a node that is there, as far as it shows: what overwrites a header overwrites its
    /// first word, with anything but what that may be. Only then are its links followed, and its extra read.
    pub(super) fn is_whole(self) -> bool {
        let used = !matches!(self.kind(), None | Some(Kind::None | Kind::Fail));
        let there = used && (self.is_live() || self.is_doomed());
        there && self.block().is_some_and(|block| block.layout.size() >= Frame::offset(HEADER, block.layout.align()))
    }

    /// Whether something can be done with a node that its source has as one.
    #[cold]
    #[inline(never)]
    pub(super) fn stands(self) -> Result<(), Cond> {
        match self.state() {
            // A block that the source has not taken back.
            Some(State::Free) if self.kind() == Some(Kind::None) => Err(Cond::BadAddress),
            _ if !self.is_whole() => Err(Cond::FailAssert),
            Some(State::Doomed) => Err(Cond::InUse),
            _ => Ok(()),
        }
    }

    #[inline]
    pub(super) fn is_tainted(self) -> bool {
        self.get().id.is_tainted()
    }

    #[cfg(feature = "shred")]
    pub(super) fn taint(self) {
        self.get().id.taint();
    }

    #[inline]
    pub(super) fn extra<'a>(self) -> Option<&'a Extra> {
        // SAFETY: null; or, since callers have a node that is there and whole, its own extra, which goes with it, or the
        // root's, which is there as long as any node that is not going: those that are going have none of it.
        unsafe { self.get().extra.get().as_ref() }
    }

    #[inline]
    pub(super) fn extra_ptr(self) -> *const Extra {
        self.get().extra.get()
    }

    pub(super) fn set_extra(self, extra: *const Extra) {
        self.get().extra.set(extra);
    }

    #[inline]
    pub(super) fn parent(self) -> Option<Self> {
        Self::of(self.get().parent.get())
    }

    #[inline]
    pub(super) fn child(self) -> Option<Self> {
        Self::of(self.get().child.get())
    }

    #[inline]
    pub(super) fn lastchild(self) -> Option<Self> {
        Self::of(self.get().lastchild.get())
    }

    #[inline]
    pub(super) fn prev(self) -> Option<Self> {
        Self::of(self.get().prev.get())
    }

    #[inline]
    pub(super) fn next(self) -> Option<Self> {
        Self::of(self.get().next.get())
    }

    /// Makes a node that is nobody's child the last of a parent.
    #[inline]
    pub(super) fn link_last(self, parent: Self) {
        let this = self.get();
        this.parent.set(parent.as_ptr());
        this.next.set(ptr::null());
        let last = parent.lastchild();
        this.prev.set(Self::link(last));
        self.announce(parent, last);
    }

    /// Has a node named by its parent and the last child until now, both of which it names.
    #[inline]
    pub(super) fn announce(self, parent: Self, last: Option<Self>) {
        let above = parent.get();
        above.lastchild.set(self.as_ptr());
        match last {
            Some(last) => last.get().next.set(self.as_ptr()),
            None => above.child.set(self.as_ptr()),
        }
    }

    /// Takes a node out from among its siblings.
    #[inline]
    pub(super) fn unlink(self) {
        self.parent().iter().for_each(|parent| self.gap(*parent).close());
        let this = self.get();
        for link in [&this.parent, &this.prev, &this.next] {
            link.set(ptr::null());
        }
    }

    /// What names a node, of which it is the child of this parent.
    #[inline(always)]
    pub(super) fn gap(self, parent: Self) -> Gap {
        Gap { parent, prev: self.prev(), next: self.next() }
    }

    /// Tells all that link to a node where it is, after it has moved from `old`, which is only compared.
    pub(super) fn tell_neighbours(self, old: Option<Self>) {
        let this = self.as_ptr();
        if let Some(parent) = self.parent() {
            let parent = parent.get();
            for link in [&parent.child, &parent.lastchild] {
                if Self::of(link.get()) == old {
                    link.set(this);
                }
            }
        }
        if let Some(prev) = self.prev() {
            prev.get().next.set(this);
        }
        if let Some(next) = self.next() {
            next.get().prev.set(this);
        }
        let mut child = self.child();
        while let Some(this_child) = child {
            this_child.get().parent.set(this);
            child = this_child.next();
        }
        if let Some(extra) = self.extra() {
            extra.moved(old, self);
        }
    }

    /// The next node of the subtree of `top`, parent before children.
    pub(super) fn after(self, top: Self) -> Option<Self> {
        if self == top { self.child() } else { self.following(Some(top)) }
    }

    /// The next node of what is under `above`, which is only compared with: parent before children.
    #[inline]
    pub(super) fn following(self, above: Option<Self>) -> Option<Self> {
        if let Some(child) = self.child() {
            return Some(child);
        }
        let mut at = self;
        loop {
            if let Some(next) = at.next() {
                return Some(next);
            }
            at = at.parent().filter(|parent| Some(*parent) != above)?;
        }
    }

    fn looked_at(self) -> Result<Self, Cond> {
        if self.is_plain() || self.is_whole() { Ok(self) } else { Err(Cond::FailAssert) }
    }

    /// The node and all above it, each looked at before its link is followed: one that was overwritten is the last.
    pub(super) fn upward(self) -> impl Iterator<Item = Result<Self, Cond>> {
        iter::successors(Some(self.looked_at()), |at| at.ok()?.parent().map(Self::looked_at))
    }

    /// Whether this is a node or below it.
    pub(super) fn is_within(self, node: Self) -> Result<bool, Cond> {
        for above in self.upward() {
            if above? == node {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the header is whole, and names a parent and the sibling before: it is where a link led to from there.
    pub(super) fn is_whole_below(self, parent: Self, before: Option<Self>) -> bool {
        self.looked_at().is_ok() && self.parent() == Some(parent) && self.prev() == before
    }

    /// The same as [`after`](Self::after), with a look at each node before its links are followed; `known` is asked
    /// before anything of it is read.
    pub(super) fn whole_after(self, top: Self, known: impl Fn(Self) -> bool) -> Result<Option<Self>, Cond> {
        // Down to the first child, or on to the next sibling of this or of what it is under.
        let (next, parent, before) = if let Some(child) = self.child() {
            (child, self, None)
        } else {
            let mut at = self;
            loop {
                if at == top {
                    return Ok(None);
                }
                let parent = at.parent().ok_or(Cond::FailAssert)?;
                match at.next() {
                    Some(next) => break (next, parent, Some(at)),
                    None => at = parent,
                }
            }
        };
        if known(next) && next.is_whole_below(parent, before) { Ok(Some(next)) } else { Err(Cond::FailAssert) }
    }

    /// Lets go of all children, which still name it as their parent.
    pub(super) fn forget_children(self) {
        self.get().child.set(ptr::null());
        self.get().lastchild.set(ptr::null());
    }

    /// The first of its subtree in the order that [`before`](Self::before) has.
    #[inline]
    pub(super) fn deepest_last(self) -> Self {
        let mut at = self;
        while let Some(child) = at.lastchild() {
            at = child;
        }
        at
    }

    /// What comes next in the opposite of the order in which nodes are mostly made: last siblings first, children
    /// before parents. `None` after the first of the siblings under `above`, which is only compared with.
    #[inline]
    pub(super) fn before(self, above: Option<Self>) -> Option<Self> {
        match self.prev() {
            Some(prev) => Some(prev.deepest_last()),
            None => self.parent().filter(|parent| Some(*parent) != above),
        }
    }
}

//! Trees: every cell is owned by a parent and goes with it.
//!
//! ```text
//!        what you think of                    what is stored
//!
//!              root                root ─child─► a ──────lastchild──► b
//!             ╱    ╲                             │ ◄─prev── next ──►  │
//!            a      b                          child              child = null
//!           ╱ ╲                                  ▼
//!          c   d                                 c ◄─prev── next ──► d     each with a link to its parent
//! ```
//!
//! A node is a block of the tree's source: a [`Node`] and behind it the payload that is handed out.
//! Whatever walks does so by these links, so no depth or width needs more than constant stack.
//!
//! What few nodes have (destructors, a guard, a name, a quota) is in an `Extra` of their own; all others point to the
//! one that stands in the root. Every `Extra` names the root, so a node tells which tree it is of.
//!
//! Invariants: a node's first child has no `prev`, its last no `next`; each child names its parent;
//! only nodes in a subtree that is being released are doomed.

mod extra;
mod keyed;
mod name;
mod node;
mod quota;
mod release;
mod report;
mod store;
mod walk;

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::fmt;
use core::marker::PhantomPinned;
use core::mem::{MaybeUninit, offset_of};
use core::ptr::{self, NonNull};

use crate::cell::{self, Cell, Frame, Head, State, inside};
use crate::inspect::fields::{Field, Form, Front, after};
use crate::store::Ops;
use crate::wipe::wipe_if;
use crate::{Cond, Fixed, Heap, Kind, Ptr, Source, Stats, Store};
#[cfg(feature = "platform")]
use crate::{Pages, Reuse};

use extra::Extra;
pub use extra::{Destructor, DestructorC, Guard, GuardC, context_of};
pub use keyed::{Key, KeyTree};
pub use name::name_of;
pub(crate) use node::FRONT;
pub use node::Node;
use node::{HEADER, N};
pub use quota::Quota;
use release::Refused;
pub use report::{Line, Report};

/// A tree of cells (libk's `kmnode`s; the idea is talloc's): each is released with its parent.
///
/// For what belongs to something: a document's parts, a request's allocations, an object's fields.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, Tree};
///
/// let tree = Tree::new_in(Heap::new_in(Pages::new()));
/// let root = tree.root()?;
/// // SAFETY: each parent is a live node of the tree; what is freed is used no more.
/// unsafe {
///     let request = tree.alloc(root, Layout::new::<[u8; 64]>())?.cast();
///     let name = tree.alloc(request, Layout::new::<[u8; 16]>())?.cast();
///     tree.move_to(name, root)?;
///     tree.free(request)?;
/// }
/// assert_eq!(tree.stats().live, 2);       // the root and the name
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// This is the raw face: nodes are addresses of payloads. A tree made by [`managed_in`](Self::managed_in)
/// also gives managed pointers, whose addresses are verified.
#[repr(C)]
pub struct Tree<S: Source> {
    id: Cell,
    /// Not beside `bytes`: the two would be changed by one instruction in one place and by two in another, and the
    /// processor waits when it is to load at once what was stored in parts.
    live: Var<usize>,
    root: Var<*const Node>,
    bytes: Var<usize>,
    ops: Option<&'static Ops>,
    peak: Var<usize>,
    /// Why more is to be done than the least: bits of [`care`].
    care: Var<u8>,
    /// Nodes that have destructors, a guard, a name or a quota.
    hooked: Var<usize>,
    /// Nodes that have a quota.
    quotas: Var<usize>,
    /// What those that find the tree by a node are told.
    context: Var<*mut ()>,
    /// Blocks that the source refused to take back.
    refused: Var<*mut Refused>,
    /// What a managed tree's source is told of its nodes; another's does not want to know.
    tell: Option<Tell<S>>,
    source: S,
    /// Destructors act on the tree while it is being destroyed, so a mutable reference to it is not the only one.
    shared: PhantomPinned,
}

const _: () = assert!(offset_of!(Tree<Fixed<'_>>, ops) == Head::OPS);

/// What [`inspect::front`](crate::inspect::front) tells of a tree.
pub(crate) const STORE: Front = Front { size: Head::SIZE, fields: &STORE_FIELDS };

const STORE_FIELDS: [Field; cell::FIELDS.len() + 3] = after(
    &cell::FIELDS,
    &[
        Field::word("live", offset_of!(Tree<Fixed<'_>>, live), Form::Number),
        Field::word("root", offset_of!(Tree<Fixed<'_>>, root), Form::Link),
        Field::word("bytes", offset_of!(Tree<Fixed<'_>>, bytes), Form::Number),
    ],
);

/// What a store is told of the blocks in which nodes lie.
struct Tell<S> {
    /// That it is a node.
    node: unsafe fn(&S, NonNull<u8>),
    /// That it is tainted.
    #[cfg(feature = "shred")]
    taint: unsafe fn(&S, NonNull<u8>),
}

impl<S: Store> Tell<S> {
    const fn new() -> Self {
        Self {
            node: |source, block| {
                // SAFETY: who tells has just allocated the block.
                unsafe { source.set_kind(block, Kind::Tree) };
            },
            #[cfg(feature = "shred")]
            taint: |source, block| {
                // A store that does not find its own block has been overwritten; the node knows by itself.
                let _ = source.taint_cell(block);
            },
        }
    }
}

/// Why an allocation is more than taking a block, or a release more than giving blocks back.
mod care {
    /// A walk is under way, whose visitor must change nothing.
    pub(super) const FROZEN: u8 = 16;
    /// The source is told of nodes.
    pub(super) const TOLD: u8 = 32;
    /// A node has destructors, a guard, a name or a quota.
    pub(super) const HOOKED: u8 = 1;
    /// A node has a quota.
    pub(super) const LIMITED: u8 = 64;
    /// The source has refused a block.
    pub(super) const REFUSED: u8 = 2;
    /// A node was tainted since the tree had none.
    #[cfg(feature = "shred")]
    pub(super) const SECRET: u8 = 4;
    /// The whole tree is tainted.
    #[cfg(feature = "shred")]
    pub(super) const TAINTED: u8 = 8;
}

// SAFETY: the nodes belong to this value, and cells borrow it or are raw.
unsafe impl<S: Source + Send> Send for Tree<S> {}

impl<'a> Tree<Heap<Fixed<'a>>> {
    /// A managed tree in the caller's bytes; full, it says `no_room`.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::mem::MaybeUninit;
    /// use kmem::{Cond, Tree};
    ///
    /// let mut bytes = [MaybeUninit::uninit(); 4096];
    /// let tree = Tree::fixed(&mut bytes);
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node.
    /// assert_eq!(unsafe { tree.alloc(root, Layout::new::<[u8; 4096]>()) }, Err(Cond::NoRoom));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn fixed(bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        Self::managed_in(Heap::fixed(bytes))
    }
}

#[cfg(feature = "platform")]
impl Tree<Reuse<Pages>> {
    /// A tree whose nodes lie in a region of its own, where the room of those that went is used again.
    ///
    /// The quickest to build and to release: released as a whole, by its root or by [`destroy`](Self::destroy), it
    /// goes at once where no node has a destructor or is tainted.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::Tree;
    ///
    /// let mut tree = Tree::new();
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node.
    /// unsafe { tree.alloc(root, Layout::new::<u64>())? };
    /// tree.destroy()?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self::new_in(Reuse::new_in(Pages::new()))
    }
}

#[cfg(feature = "platform")]
impl Default for Tree<Reuse<Pages>> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Store> Tree<S> {
    /// A tree whose nodes can be managed pointers; its source must know its cells.
    ///
    /// Nor can it be one that other threads reach, or a tree: their cells cannot be told from this tree's
    /// nodes safely. That is refused when the program is compiled.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Kind, Pages, Tree};
    ///
    /// let tree = Tree::managed_in(Heap::new_in(Pages::new()));
    /// let ptr = tree.alloc_ptr(tree.root()?, Layout::new::<u64>())?;
    /// assert_eq!(ptr.kind(), Kind::Tree);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn managed_in(source: S) -> Self {
        const {
            assert!(!S::SHARED, "a managed tree's source must not be reached by other threads");
            assert!(!matches!(S::KIND, Kind::Tree), "a managed tree cannot lie in another: make it with new_in");
        }
        Self::build(source, Some(Ops::of::<Self>()), if S::FINDS_NODES { None } else { Some(Tell::new()) })
    }

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

impl<S: Source> Tree<S> {
    /// A tree whose nodes come from a source, one block each; the root is taken with the first use.
    ///
    /// ```
    /// use kmem::{Lin, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Lin::new_in(Pages::new()));
    /// assert_eq!(tree.stats().live, 0);
    /// tree.root()?;
    /// assert_eq!(tree.stats().live, 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn new_in(source: S) -> Self {
        Self::build(source, None, None)
    }

    const fn build(source: S, ops: Option<&'static Ops>, tell: Option<Tell<S>>) -> Self {
        Self {
            id: Cell::new(Kind::Tree, Layout::new::<Head>(), State::Live),
            root: Var::new(ptr::null()),
            live: Var::new(0),
            bytes: Var::new(0),
            ops,
            peak: Var::new(0),
            care: Var::new(if tell.is_some() { care::TOLD } else { 0 }),
            hooked: Var::new(0),
            quotas: Var::new(0),
            context: Var::new(ptr::null_mut()),
            refused: Var::new(ptr::null_mut()),
            tell,
            source,
            shared: PhantomPinned,
        }
    }

    /// What the tree takes its nodes from.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// tree.root()?;
    /// assert_eq!(tree.source().stats().live, 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// The root: what all nodes are under. It holds nothing of yours.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// assert_eq!(tree.root()?, tree.root()?);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says, the first time.
    #[inline]
    pub fn root(&self) -> Result<NonNull<u8>, Cond> {
        self.root_node().map(N::payload)
    }

    #[inline]
    fn root_node(&self) -> Result<N, Cond> {
        match N::of(self.root.get()) {
            Some(root) => Ok(root),
            None => self.make_root(),
        }
    }

    #[cold]
    #[inline(never)]
    fn make_root(&self) -> Result<N, Cond> {
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
    fn make_with_care(&self, layout: Layout, extra: *const Extra, parent: Option<N>, zeroed: bool) -> Result<N, Cond> {
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
    fn make(&self, layout: Layout, extra: *const Extra, parent: Option<N>, zeroed: bool) -> Result<N, Cond> {
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
    fn common_extra(&self) -> *const Extra {
        self.root.get().wrapping_byte_add(HEADER).cast()
    }

    /// Whether a node that is made is told of, counted against a quota, or refused.
    #[inline(always)]
    fn makes_with_care(&self) -> bool {
        self.care.get() & (care::FROZEN | care::TOLD | care::LIMITED) != 0
    }

    /// Whether the tree refuses to be changed: it is walked, or a guard is being asked.
    ///
    /// ```
    /// use kmem::inspect::Inspect;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// tree.root()?;
    /// tree.inspect(&mut |_| assert!(tree.is_frozen()));
    /// assert!(!tree.is_frozen());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.care.get() & care::FROZEN != 0
    }

    /// `in_use` while a walk is under way.
    #[inline]
    fn thaw(&self) -> Result<(), Cond> {
        if self.care.get() & care::FROZEN == 0 { Ok(()) } else { Err(Cond::InUse) }
    }

    fn set_care(&self, why: u8, on: bool) {
        let others = self.care.get() & !why;
        self.care.set(if on { others | why } else { others });
    }

    /// Notes the bytes that live now, before some go.
    #[inline]
    fn note_peak(&self) {
        if self.bytes.get() > self.peak.get() {
            self.peak.set(self.bytes.get());
        }
    }

    /// The node of a payload, if it is live and not doomed.
    ///
    /// # Safety
    ///
    /// The address is that of a node of this tree which has not been given back to the source.
    #[inline(always)]
    unsafe fn node(&self, payload: NonNull<u8>) -> Result<N, Cond> {
        // SAFETY: the caller's promise.
        Self::live(unsafe { N::of_payload(payload) })
    }

    #[inline(always)]
    fn live(node: N) -> Result<N, Cond> {
        if !node.is_plain() {
            node.stands()?;
        }
        Ok(node)
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
    fn alloc_under(&self, parent: N, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, Cond> {
        let base = self.common_extra();
        if self.makes_with_care() {
            let node = self.make_with_care(layout, base, Some(parent), zeroed)?;
            return Ok(NonNull::slice_from_raw_parts(node.payload(), layout.size()));
        }
        let node = self.make(layout, base, Some(parent), zeroed)?;
        Ok(NonNull::slice_from_raw_parts(node.payload(), layout.size()))
    }

    /// The same, where that takes a few instructions and no call: the source has a block at hand, and the tree has
    /// nothing to look after.
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
    ///     assert_eq!(tree.alloc_if_at_hand(root, Layout::new::<u64>()), None);
    ///     tree.free(node)?;
    ///     assert_eq!(tree.alloc_if_at_hand(root, Layout::new::<u64>()), Some(node));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Safety
    ///
    /// As for [`alloc`](Self::alloc).
    #[inline(always)]
    pub unsafe fn alloc_if_at_hand(&self, parent: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let parent = unsafe { N::of_payload(parent) };
        if !parent.is_plain() || self.makes_with_care() {
            return None;
        }
        let frame = Frame::new(HEADER, layout, self.source.least_align()).ok()?;
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
    fn move_node(&self, node: N, parent: N) -> Result<(), Cond> {
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
    fn taint_it(&self, node: N) {
        node.taint();
        self.set_care(care::SECRET, true);
        if let (Some(tell), Some(block)) = (&self.tell, node.block()) {
            // SAFETY: the block is the source's.
            unsafe { (tell.taint)(&self.source, block.start) };
        }
    }

    /// The header of a live node: its links are there to be read.
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
    ///     assert_eq!(tree.header(root).child(), Some(node));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Safety
    ///
    /// The address is that of a node of this tree, and stays so while the header is looked at.
    pub unsafe fn header<'a>(&self, node: NonNull<u8>) -> &'a Node {
        // SAFETY: the caller's promise: a header stands before the payload.
        let header = unsafe { node.sub(HEADER) };
        // SAFETY: as above; nodes are only changed through shared references.
        unsafe { header.cast::<Node>().as_ref() }
    }

    /// Releases everything, the root too. The tree can be used again.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let mut tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// tree.root()?;
    /// tree.destroy()?;
    /// assert_eq!(tree.stats().live, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `in_use` if a guard refuses: nothing is released. What the source says when it refuses a
    /// block: that one is kept, and destroying again tries again.
    pub fn destroy(&mut self) -> Result<(), Cond> {
        if let Some(root) = N::of(self.root.get()) {
            self.release_subtree(root, false)?;
        }
        self.offer_refused()
    }

    /// Figures, kept as nodes come and go. The root counts.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// tree.root()?;
    /// assert_eq!(tree.stats().live, 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (live, bytes) = (self.live.get(), self.bytes.get());
        let peak = self.peak.get().max(bytes);
        Stats { live, bytes, peak, held: bytes + self.refused_bytes() }
    }
}

impl<S: Source> Drop for Tree<S> {
    fn drop(&mut self) {
        // A guard cannot hold what is going: destructors run, and memory that is refused stays with
        // the source.
        if let Some(root) = N::of(self.root.get()) {
            self.release_unasked(root, false);
        }
        let _ = self.offer_refused();
    }
}

impl<S: Source> fmt::Debug for Tree<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

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

mod change;
mod extra;
mod keyed;
mod make;
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

use crate::cell::{self, Cell, Head, State};
use crate::inspect::fields::{Field, Form, Front, after};
use crate::store::Ops;
use crate::{Cond, Fixed, Heap, Kind, Source, Stats, Store};
#[cfg(feature = "platform")]
use crate::{Pages, Reuse};

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

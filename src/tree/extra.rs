//! What few nodes have: destructors, a guard, a name, a quota.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::ffi::{c_int, c_void};
use core::iter;
use core::ptr::{self, NonNull};

use super::name::Name;
use super::node::{N, Node};
use super::quota::Quota;
use super::release::Refused;
use super::{Tree, care};
use crate::{Cond, Kind, Source};

/// Runs when a node goes: told the payload, which is still readable, and the context given with it.
pub type Destructor = unsafe fn(payload: NonNull<u8>, context: *mut ());

/// Says whether a node must not go: `true` refuses. It has no effect of its own.
pub type Guard = unsafe fn(payload: NonNull<u8>, context: *mut ()) -> bool;

/// A [`Destructor`] by the calling convention of C.
pub type DestructorC = unsafe extern "C" fn(payload: *mut c_void, context: *mut c_void);

/// A [`Guard`] by the calling convention of C: another number than 0 refuses.
pub type GuardC = unsafe extern "C" fn(payload: *mut c_void, context: *mut c_void) -> c_int;

/// What runs when a node goes.
#[derive(Clone, Copy)]
enum Run {
    Rust(Destructor),
    C(DestructorC),
}

impl Run {
    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Rust(this), Self::Rust(other)) => ptr::fn_addr_eq(this, other),
            (Self::C(this), Self::C(other)) => ptr::fn_addr_eq(this, other),
            _ => false,
        }
    }

    /// # Safety
    ///
    /// Whoever gave it promised that it may be called so.
    unsafe fn run(self, payload: NonNull<u8>, context: *mut ()) {
        match self {
            // SAFETY: the caller's promise.
            Self::Rust(run) => unsafe { run(payload, context) },
            // SAFETY: the caller's promise.
            Self::C(run) => unsafe { run(payload.as_ptr().cast(), context.cast()) },
        }
    }
}

/// What is asked before a node goes.
#[derive(Clone, Copy)]
enum Ask {
    Rust(Guard),
    C(GuardC),
}

impl Ask {
    /// # Safety
    ///
    /// Whoever gave it promised that it may be asked so.
    unsafe fn refuses(self, payload: NonNull<u8>, context: *mut ()) -> bool {
        match self {
            // SAFETY: the caller's promise.
            Self::Rust(guard) => unsafe { guard(payload, context) },
            // SAFETY: the caller's promise.
            Self::C(guard) => unsafe { guard(payload.as_ptr().cast(), context.cast()) != 0 },
        }
    }
}

/// A node's own, or the one that stands in the root for all that have none.
pub(super) struct Extra {
    /// Null in a node that is going: the root may go before it.
    root: Var<*const Node>,
    /// Whose it is; the root for the common one.
    owner: Var<*const Node>,
    hooks: Var<*mut Hook>,
    /// What fewer still have; null if the node has none of it. So a root takes no more room than it has to.
    rare: Var<*mut Rare>,
    /// In the root's: what was told to the tree for those that find it by a node.
    context: Var<*mut ()>,
    /// Whether the tree counts it among those that have something to run or ask.
    counted: Var<bool>,
}

/// A guard, a name, a quota.
#[repr(C)]
struct Rare {
    /// First, for the reason that a hook's link is.
    name: Var<Option<NonNull<Name>>>,
    guard: Var<Option<(Ask, *mut ())>>,
    quota: Var<Option<Quota>>,
}

/// A destructor on a node's list, the newest first.
#[repr(C)]
struct Hook {
    /// First, so that what stands here is never taken for a node's header: no link looks like one.
    next: Var<*mut Hook>,
    run: Run,
    context: *mut (),
}

/// What [`Tree::set_context`] told the tree that a node is of; null if nothing.
///
/// ```
/// use core::alloc::Layout;
/// use core::ptr::null_mut;
/// use kmem::{Heap, Pages, Tree, tree};
///
/// let mut about = "which tree this is";
/// let tree = Tree::new_in(Heap::new_in(Pages::new()));
/// tree.set_context((&raw mut about).cast());
/// let root = tree.root()?;
/// // SAFETY: live nodes.
/// let node = unsafe { tree.alloc(root, Layout::new::<u64>())?.cast() };
/// // SAFETY: as above.
/// assert_eq!(unsafe { tree::context_of(node)? }, (&raw mut about).cast());
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// `in_use` if the node is being released; `bad_address` if it has gone, and the tree's source has not taken its block
/// back; `fail_assert` if its header was found overwritten.
///
/// # Safety
///
/// The address is that of a node of some tree, whose block is that tree's.
pub unsafe fn context_of(node: NonNull<u8>) -> Result<*mut (), Cond> {
    // SAFETY: the caller's promise.
    let node = unsafe { N::of_payload(node) };
    node.stands()?;
    let root = node.root().ok_or(Cond::FailAssert)?;
    // The root's header may have been overwritten, where its payload was not.
    let base = root.payload().cast::<Extra>();
    // SAFETY: the common extra is the root's payload, and the root is there as long as a node that is not going.
    Ok(unsafe { base.as_ref() }.context.get())
}

impl Extra {
    /// The one that stands in the root.
    pub(super) const fn base(root: N, context: *mut ()) -> Self {
        Self {
            root: Var::new(root.as_ptr()),
            owner: Var::new(root.as_ptr()),
            hooks: Var::new(ptr::null_mut()),
            rare: Var::new(ptr::null_mut()),
            context: Var::new(context),
            counted: Var::new(false),
        }
    }

    fn own(root: *const Node, owner: N) -> Self {
        Self { root: Var::new(root), ..Self::base(owner, ptr::null_mut()) }
    }

    /// Notes that the owner is somewhere else now.
    pub(super) fn moved(&self, old: Option<N>, new: N) {
        if N::of(self.owner.get()) == old {
            self.owner.set(new.as_ptr());
        }
    }
}

impl N {
    /// The root of the tree that the node is of.
    #[inline]
    pub(super) fn root(self) -> Option<Self> {
        self.extra().and_then(|extra| Self::of(extra.root.get()))
    }

    fn own_extra<'a>(self) -> Option<&'a Extra> {
        self.extra().filter(|extra| Self::of(extra.owner.get()) == Some(self))
    }

    /// Has a node that is going name the root no more, which may go before it.
    pub(super) fn forget_root(self) {
        match self.own_extra() {
            None => self.set_extra(ptr::null()),
            // The root's own stands in it.
            Some(own) if Self::of(own.root.get()) != Some(self) => own.root.set(ptr::null()),
            Some(_) => {}
        }
    }

    pub(super) fn has_destructor(self) -> bool {
        self.own_extra().is_some_and(|extra| !extra.hooks.get().is_null())
    }

    /// Where the node's own extra is; none for the root's, which stands in it.
    fn extra_to_free(self) -> Option<NonNull<Extra>> {
        let own = self.own_extra()?;
        if Self::of(own.root.get()) == Some(self) { None } else { NonNull::new(self.extra_ptr().cast_mut()) }
    }

    /// Whether the tree counts the node among those that have something to run or ask.
    pub(super) fn is_hooked(self) -> bool {
        self.own_extra().is_some_and(|extra| extra.counted.get())
    }

    /// How many destructors the node has.
    pub(super) fn destructors(self) -> usize {
        let first = self.own_extra().map_or(ptr::null_mut(), |extra| extra.hooks.get());
        // SAFETY: null, or a hook on this node's list.
        let read = |hook: *mut Hook| unsafe { hook.as_ref() };
        iter::successors(read(first), |hook| read(hook.next.get())).count()
    }

    fn rare<'a>(self) -> Option<&'a Rare> {
        // SAFETY: null, or a record that lives as long as the node's extra.
        self.own_extra().and_then(|extra| unsafe { extra.rare.get().as_ref() })
    }

    pub(super) fn is_guarded(self) -> bool {
        self.rare().is_some_and(|rare| rare.guard.get().is_some())
    }

    pub(super) fn quota(self) -> Option<Quota> {
        self.rare().and_then(|rare| rare.quota.get())
    }

    /// Sets the quota of a node that has room for one, and gives the one that it had.
    pub(super) fn put_quota(self, quota: Option<Quota>) -> Option<Quota> {
        self.rare().and_then(|rare| rare.quota.replace(quota))
    }

    pub(super) fn name_ptr(self) -> Option<NonNull<Name>> {
        self.rare().and_then(|rare| rare.name.get())
    }

    /// Sets the name of a node that has room for one, and gives the one that it had.
    pub(super) fn replace_name(self, name: Option<NonNull<Name>>) -> Option<NonNull<Name>> {
        self.rare().and_then(|rare| rare.name.replace(name))
    }

    /// Whether the node's guard refuses.
    pub(super) fn refuses(self) -> bool {
        let guard = self.rare().and_then(|rare| rare.guard.get());
        // SAFETY: whoever set the guard promised that it may be asked so while the node is live.
        guard.is_some_and(|(guard, context)| unsafe { guard.refuses(self.payload(), context) })
    }
}

impl<S: Source> Tree<S> {
    /// Tells the tree what [`context_of`] is to find by any of its nodes.
    ///
    /// ```
    /// use core::ptr::NonNull;
    /// use kmem::{Heap, Pages, Tree, tree};
    ///
    /// let mut number = 7_u32;
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// tree.set_context((&raw mut number).cast());
    /// // SAFETY: the root is a live node.
    /// let found = unsafe { tree::context_of(tree.root()?)? }.cast::<u32>();
    /// // SAFETY: the number is still there.
    /// assert_eq!(unsafe { found.read() }, 7);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn set_context(&self, context: *mut ()) {
        self.context.set(context);
        if let Some(extra) = N::of(self.root.get()).and_then(N::extra) {
            extra.context.set(context);
        }
    }

    /// Whether a release may run code of the caller's: a node has a destructor or a guard, a name or a quota.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// assert!(!tree.has_hooks());
    /// // SAFETY: the root is a live node.
    /// unsafe { tree.set_guard(root, Some((|_, _| true, core::ptr::null_mut())))? };
    /// assert!(tree.has_hooks());
    /// # unsafe { tree.set_guard(root, None)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[inline]
    pub fn has_hooks(&self) -> bool {
        self.care.get() & care::HOOKED != 0
    }

    /// Whether a live, untainted node that is used as such has its payload at an address, before which a block begins.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: a node's block begins before its payload.
    /// assert!(unsafe { tree.is_plain_node(root) });
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Safety
    ///
    /// A block of the tree's source begins right before the address, by as much as a header takes, and its first two
    /// words are initialised.
    #[inline(always)]
    pub unsafe fn is_plain_node(&self, node: NonNull<u8>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { N::of_payload(node) }.is_plain()
    }

    /// What a node is used as: `tree`, or another kind if something else stands in it.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Kind, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     assert_eq!(tree.kind_of(node)?, Kind::Tree);
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `in_use` if the node is being released, `fail_assert` if its header was overwritten.
    ///
    /// # Safety
    ///
    /// The address is that of a node of this tree which has not been given back to the source.
    #[inline]
    pub unsafe fn kind_of(&self, node: NonNull<u8>) -> Result<Kind, Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        match node.kind() {
            Some(Kind::None | Kind::Fail) | None => Err(Cond::FailAssert),
            Some(kind) => Ok(kind),
        }
    }

    /// Has a destructor run when the node goes; of several, the newest runs first.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::ptr::NonNull;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// unsafe fn count(_: NonNull<u8>, context: *mut ()) {
    ///     // SAFETY: the context below.
    ///     unsafe { *context.cast::<u32>() += 1 };
    /// }
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// let mut calls = 0;
    /// // SAFETY: live nodes; `calls` is still there when the node goes, right here.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     tree.on_release(node, count, (&raw mut calls).cast())?;
    ///     tree.free(node)?;
    /// }
    /// assert_eq!(calls, 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says; `in_use` if the node is being released, or while a guard is asked or the tree is walked.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree. The destructor may be called once with it and
    /// the context, on whatever thread has the tree by then; it may act on the tree, but what it does to the
    /// subtree that is being released is refused.
    pub unsafe fn on_release(&self, node: NonNull<u8>, run: Destructor, context: *mut ()) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.put_hook(node, Run::Rust(run), context) }
    }

    /// The same with a function of C.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::ffi::c_void;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// unsafe extern "C" fn count(_: *mut c_void, context: *mut c_void) {
    ///     // SAFETY: the context below.
    ///     unsafe { *context.cast::<u32>() += 1 };
    /// }
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// let mut calls = 0;
    /// // SAFETY: live nodes; `calls` is still there when the node goes, right here.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     tree.on_release_c(node, count, (&raw mut calls).cast())?;
    ///     tree.free(node)?;
    /// }
    /// assert_eq!(calls, 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`on_release`](Self::on_release).
    ///
    /// # Safety
    ///
    /// As for [`on_release`](Self::on_release).
    pub unsafe fn on_release_c(&self, node: NonNull<u8>, run: DestructorC, context: *mut ()) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.put_hook(node, Run::C(run), context) }
    }

    /// # Safety
    ///
    /// As for [`on_release`](Self::on_release).
    unsafe fn put_hook(&self, node: NonNull<u8>, run: Run, context: *mut ()) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        self.thaw()?;
        let hook = self.source.alloc(Layout::new::<Hook>())?.cast::<Hook>();
        let extra = match self.make_extra(node) {
            Ok(extra) => extra,
            Err(cond) => {
                self.free_part(hook);
                return Err(cond);
            }
        };
        // SAFETY: just allocated for it.
        unsafe { hook.write(Hook { next: Var::new(extra.hooks.get()), run, context }) };
        extra.hooks.set(hook.as_ptr());
        Ok(())
    }

    /// Takes a destructor off that [`on_release`](Self::on_release) put on with the same context.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::ptr::{self, NonNull};
    /// use kmem::{Cond, Heap, Pages, Tree};
    ///
    /// unsafe fn never(_: NonNull<u8>, _: *mut ()) {
    ///     unreachable!("taken off before");
    /// }
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     tree.on_release(node, never, ptr::null_mut())?;
    ///     tree.off_release(node, never, ptr::null_mut())?;
    ///     assert_eq!(tree.off_release(node, never, ptr::null_mut()), Err(Cond::BadAddress));
    ///     tree.free(node)?;
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_address` if there is none such; `in_use` if the node is being released.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree.
    pub unsafe fn off_release(&self, node: NonNull<u8>, run: Destructor, context: *mut ()) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.take_hook(node, Run::Rust(run), context) }
    }

    /// Takes a destructor off that [`on_release_c`](Self::on_release_c) put on with the same context.
    ///
    /// ```
    /// use core::ffi::c_void;
    /// use core::ptr;
    /// use kmem::{Cond, Heap, Pages, Tree};
    ///
    /// unsafe extern "C" fn never(_: *mut c_void, _: *mut c_void) {}
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node.
    /// assert_eq!(unsafe { tree.off_release_c(root, never, ptr::null_mut()) }, Err(Cond::BadAddress));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`off_release`](Self::off_release).
    ///
    /// # Safety
    ///
    /// As for [`off_release`](Self::off_release).
    pub unsafe fn off_release_c(&self, node: NonNull<u8>, run: DestructorC, context: *mut ()) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.take_hook(node, Run::C(run), context) }
    }

    /// # Safety
    ///
    /// As for [`off_release`](Self::off_release).
    unsafe fn take_hook(&self, node: NonNull<u8>, run: Run, context: *mut ()) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        self.thaw()?;
        let mut link = &node.own_extra().ok_or(Cond::BadAddress)?.hooks;
        loop {
            let place = NonNull::new(link.get()).ok_or(Cond::BadAddress)?;
            // SAFETY: a hook on this node's list.
            let hook = unsafe { place.as_ref() };
            if hook.run.is(run) && hook.context == context {
                link.set(hook.next.get());
                self.free_part(place);
                return Ok(());
            }
            link = &hook.next;
        }
    }

    /// Sets the node's guard, or takes it off: asked before a release of a subtree that holds the node.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::ptr::{self, NonNull};
    /// use kmem::{Cond, Heap, Pages, Tree};
    ///
    /// unsafe fn refuse(_: NonNull<u8>, _: *mut ()) -> bool {
    ///     true
    /// }
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes; what is freed is used no more.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     tree.set_guard(node, Some((refuse, ptr::null_mut())))?;
    ///     assert_eq!(tree.free(node), Err(Cond::InUse));
    ///     tree.set_guard(node, None)?;
    ///     tree.free(node)?;
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says; `in_use` if the node is being released, or while a guard is asked or the tree is walked.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree. The guard may be called with it and the
    /// context as long as it is set; it must not act on the tree.
    pub unsafe fn set_guard(&self, node: NonNull<u8>, guard: Option<(Guard, *mut ())>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.put_guard(node, guard.map(|(guard, context)| (Ask::Rust(guard), context))) }
    }

    /// The same with a function of C.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::ffi::{c_int, c_void};
    /// use core::ptr;
    /// use kmem::{Cond, Heap, Pages, Tree};
    ///
    /// unsafe extern "C" fn refuse(_: *mut c_void, _: *mut c_void) -> c_int {
    ///     1
    /// }
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes; what is freed is used no more.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     tree.set_guard_c(node, Some((refuse, ptr::null_mut())))?;
    ///     assert_eq!(tree.free(node), Err(Cond::InUse));
    ///     tree.set_guard_c(node, None)?;
    ///     tree.free(node)?;
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`set_guard`](Self::set_guard).
    ///
    /// # Safety
    ///
    /// As for [`set_guard`](Self::set_guard).
    pub unsafe fn set_guard_c(&self, node: NonNull<u8>, guard: Option<(GuardC, *mut ())>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.put_guard(node, guard.map(|(guard, context)| (Ask::C(guard), context))) }
    }

    /// # Safety
    ///
    /// As for [`set_guard`](Self::set_guard).
    unsafe fn put_guard(&self, node: NonNull<u8>, guard: Option<(Ask, *mut ())>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        self.thaw()?;
        match guard {
            None => node.rare().iter().for_each(|rare| rare.guard.set(None)),
            Some(_) => self.make_rare(node)?.guard.set(guard),
        }
        Ok(())
    }

    /// The node's own extra, made if it has none.
    fn make_extra<'a>(&self, node: N) -> Result<&'a Extra, Cond> {
        let common = node.extra().ok_or(Cond::FailAssert)?;
        let own = match node.own_extra() {
            Some(own) => own,
            None => {
                let place = self.source.alloc(Layout::new::<Extra>())?.cast::<Extra>();
                // SAFETY: just allocated for it.
                unsafe { place.write(Extra::own(common.root.get(), node)) };
                node.set_extra(place.as_ptr());
                // SAFETY: just written, and there as long as the node.
                unsafe { place.as_ref() }
            }
        };
        if !own.counted.replace(true) {
            self.count_hooked(self.hooked.get() + 1);
        }
        Ok(own)
    }

    /// The node's room for a guard, a name and a quota, made if it has none.
    fn make_rare<'a>(&self, node: N) -> Result<&'a Rare, Cond> {
        let extra = self.make_extra(node)?;
        if extra.rare.get().is_null() {
            let place = self.source.alloc(Layout::new::<Rare>())?.cast::<Rare>();
            let none = Rare { name: Var::new(None), guard: Var::new(None), quota: Var::new(None) };
            // SAFETY: just allocated for it.
            unsafe { place.write(none) };
            extra.rare.set(place.as_ptr());
        }
        node.rare().ok_or(Cond::FailAssert)
    }

    /// Makes room for a name or a quota.
    pub(super) fn make_room_for_rare(&self, node: N) -> Result<(), Cond> {
        self.make_rare(node).map(drop)
    }

    fn count_hooked(&self, nodes: usize) {
        self.hooked.set(nodes);
        self.set_care(care::HOOKED, nodes > 0);
    }

    /// Runs the next destructor of a node; says whether there was one.
    pub(super) fn run_hook(&self, node: N) -> bool {
        let Some(extra) = node.own_extra() else { return false };
        let Some(place) = NonNull::new(extra.hooks.get()) else { return false };
        // SAFETY: a hook on this node's list, which is taken off it.
        let Hook { next, run, context } = unsafe { place.read() };
        extra.hooks.set(next.get());
        self.free_part(place);
        // SAFETY: whoever gave the destructor promised that it may be called so, once: it is off the list.
        unsafe { run.run(node.payload(), context) };
        true
    }

    /// Gives a node's own extra back.
    pub(super) fn drop_extra(&self, node: N) {
        let Some(extra) = node.own_extra() else { return };
        while let Some(hook) = NonNull::new(extra.hooks.get()) {
            // SAFETY: a hook on this node's list.
            extra.hooks.set(unsafe { hook.as_ref() }.next.get());
            self.free_part(hook);
        }
        if let Some(name) = node.replace_name(None) {
            self.free_name(name);
        }
        self.lift_quota(node);
        if let Some(rare) = NonNull::new(extra.rare.replace(ptr::null_mut())) {
            self.free_part(rare);
        }
        if extra.counted.replace(false) {
            self.count_hooked(self.hooked.get() - 1);
        }
        if let Some(place) = node.extra_to_free() {
            self.free_part(place);
        }
    }

    fn free_part<T>(&self, part: NonNull<T>) {
        const { assert!(size_of::<T>() >= size_of::<Refused>() && align_of::<T>() >= align_of::<Refused>()) };
        // SAFETY: a hook, an extra or its rare part was allocated from the source with the layout of its type, nothing
        // links to it any more, and it is long enough.
        unsafe { self.give_to_source(part.cast(), Layout::new::<T>()) };
    }
}

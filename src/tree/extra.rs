//! What few nodes have: destructors and a guard.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::ptr::{self, NonNull};

use super::node::{N, Node};
use super::release::Refused;
use super::{Tree, care};
use crate::{Cond, Source};

/// Runs when a node goes: told the payload, which is still readable, and the context given with it.
pub type Destructor = unsafe fn(payload: NonNull<u8>, context: *mut ());

/// Says whether a node must not go: `true` refuses. It has no effect of its own.
pub type Guard = unsafe fn(payload: NonNull<u8>, context: *mut ()) -> bool;

/// A node's own, or the one that stands in the root for all that have none.
pub(super) struct Extra {
    root: Var<*const Node>,
    /// Whose it is; the root for the common one.
    owner: Var<*const Node>,
    hooks: Var<*mut Hook>,
    guard: Var<Option<(Guard, *mut ())>>,
    /// Whether the tree counts it among those that have something to run or ask.
    counted: Var<bool>,
}

/// A destructor on a node's list, the newest first.
struct Hook {
    run: Destructor,
    context: *mut (),
    next: Var<*mut Hook>,
}

impl Extra {
    /// The one that stands in the root.
    pub(super) const fn base(root: N) -> Self {
        Self {
            root: Var::new(root.as_ptr()),
            owner: Var::new(root.as_ptr()),
            hooks: Var::new(ptr::null_mut()),
            guard: Var::new(None),
            counted: Var::new(false),
        }
    }

    fn own(root: *const Node, owner: N) -> Self {
        Self { root: Var::new(root), ..Self::base(owner) }
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

    pub(super) fn has_own_extra(self) -> bool {
        self.own_extra().is_some()
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

    /// Whether the node's guard refuses.
    pub(super) fn refuses(self) -> bool {
        let guard = self.own_extra().and_then(|extra| extra.guard.get());
        // SAFETY: whoever set the guard promised that it may be asked so while the node is live.
        guard.is_some_and(|(guard, context)| unsafe { guard(self.payload(), context) })
    }
}

impl<S: Source> Tree<S> {
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
    /// What the source says; `in_use` if the node is being released.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree. The destructor may be called once with it and
    /// the context, on whatever thread has the tree by then; it may act on the tree, but what it does to the
    /// subtree that is being released is refused.
    pub unsafe fn on_release(&self, node: NonNull<u8>, run: Destructor, context: *mut ()) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        let hook = self.source.alloc(Layout::new::<Hook>())?.cast::<Hook>();
        let extra = match self.make_extra(node) {
            Ok(extra) => extra,
            Err(cond) => {
                self.free_part(hook);
                return Err(cond);
            }
        };
        // SAFETY: just allocated for it.
        unsafe { hook.write(Hook { run, context, next: Var::new(extra.hooks.get()) }) };
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
        let node = unsafe { self.node(node) }?;
        let mut link = &node.own_extra().ok_or(Cond::BadAddress)?.hooks;
        loop {
            let place = NonNull::new(link.get()).ok_or(Cond::BadAddress)?;
            // SAFETY: a hook on this node's list.
            let hook = unsafe { place.as_ref() };
            if ptr::fn_addr_eq(hook.run, run) && hook.context == context {
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
    /// What the source says; `in_use` if the node is being released.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree. The guard may be called with it and the
    /// context as long as it is set; it must not act on the tree.
    pub unsafe fn set_guard(&self, node: NonNull<u8>, guard: Option<(Guard, *mut ())>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        match guard {
            None => node.own_extra().iter().for_each(|extra| extra.guard.set(None)),
            Some(_) => self.make_extra(node)?.guard.set(guard),
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

    fn count_hooked(&self, nodes: usize) {
        self.hooked.set(nodes);
        self.set_care(care::HOOKED, nodes > 0);
    }

    /// Runs the next destructor of a node; says whether there was one.
    pub(super) fn run_hook(&self, node: N) -> bool {
        let Some(extra) = node.own_extra() else { return false };
        let Some(place) = NonNull::new(extra.hooks.get()) else { return false };
        // SAFETY: a hook on this node's list, which is taken off it.
        let Hook { run, context, next } = unsafe { place.read() };
        extra.hooks.set(next.get());
        self.free_part(place);
        // SAFETY: whoever gave the destructor promised that it may be called so, once: it is off the list.
        unsafe { run(node.payload(), context) };
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
        if extra.counted.replace(false) {
            self.count_hooked(self.hooked.get() - 1);
        }
        if let Some(place) = node.extra_to_free() {
            self.free_part(place);
        }
    }

    fn free_part<T>(&self, part: NonNull<T>) {
        const { assert!(size_of::<T>() >= size_of::<Refused>() && align_of::<T>() >= align_of::<Refused>()) };
        // SAFETY: a hook or an extra was allocated from the source with the layout of its type, nothing
        // links to it any more, and it is long enough.
        unsafe { self.give_to_source(part.cast(), Layout::new::<T>()) };
    }
}

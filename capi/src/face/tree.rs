//! Cells that are owned by a parent and go with it.

use core::ffi::{CStr, c_char, c_void};
use core::ops::ControlFlow;
use core::ptr::{self, NonNull};

use kmem::{Cond, Heap, Kind, Tree, tree};

use super::{held, layout, payload, put, put_ptr, source};
use crate::entry::{self, Entry, FixedTree, Form, GuestTree, Home, OwnTree, with_tree};
use crate::find::{NODE, node, own_node};
use crate::nodes::{Guest, Own};
use crate::process::process_tree;
use crate::registry;
use crate::seeded::seeded;
use crate::source::{From, Src};
use crate::types::{Answer, answer, kmcell, kmdtor, kmguard, kmnode, kmptr, kmtree};

/// A parent and its tree; null is the root of the process's own tree.
#[inline]
fn parent_of<'e>(parent: *mut c_void) -> Result<(&'e Entry, NonNull<u8>), Cond> {
    if parent.is_null() {
        let tree = process_tree();
        return Ok((tree, root(tree)?));
    }
    node(parent)
}

fn root(tree: &Entry) -> Result<NonNull<u8>, Cond> {
    with_tree!(tree, tree => tree.root())
}

#[cold]
fn alloc(parent: *mut c_void, len: usize, zeroed: bool) -> Result<(NonNull<[u8]>, Option<&'static Entry>), Cond> {
    let layout = layout(len)?;
    let (entry, parent) = parent_of(parent)?;
    let bytes = with_tree!(entry, tree => if zeroed {
        // SAFETY: a live node of the tree.
        unsafe { tree.alloc_zeroed(parent, layout) }
    } else {
        // SAFETY: a live node of the tree.
        unsafe { tree.alloc(parent, layout) }
    })?;
    Ok((bytes, Some(entry)))
}

/// What is left of `kmtreea` where no block of the size has come back, and elsewhere.
///
/// # Safety
///
/// As for `kmtreea`.
#[inline(never)]
unsafe extern "C" fn alloc_anew(place: *mut *mut c_void, parent: *mut c_void, len: usize) -> Answer {
    if let Some((granule, parent)) = own_node(parent)
        && let Ok(layout) = layout(len)
        && let Some(place) = NonNull::new(place)
        // SAFETY: a live node of the tree.
        && let Ok(bytes) = unsafe { granule.tree().alloc(parent, layout) }
    {
        // SAFETY: the caller's promise.
        unsafe { place.write(bytes.as_ptr().cast()) };
        return 0;
    }
    // SAFETY: the caller's promise.
    unsafe { alloc_slowly(place, parent, len) }
}

/// What is left where nothing common is met.
///
/// # Safety
///
/// As for `kmtreea`.
#[cold]
#[inline(never)]
unsafe extern "C" fn alloc_slowly(place: *mut *mut c_void, parent: *mut c_void, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(place, || alloc(parent, len, false).map(|(bytes, _)| bytes.cast())) }
}

/// What is left of `kmtreef` where a leaf's block is long, or all but the last that there is.
///
/// # Safety
///
/// As for `kmtreef`.
#[inline(never)]
unsafe extern "C" fn free_leaf(cell: *mut c_void) -> Answer {
    if let Some((granule, node)) = own_node(cell)
        && !granule.tree().has_hooks()
        && !granule.owner().has_fixed()
        // SAFETY: a live node of the tree.
        && let header = unsafe { granule.tree().header(node) }
        && header.parent().is_some()
        && header.child().is_none()
    {
        // SAFETY: a live node of the tree with none below it, and not its root; the caller's promise.
        return answer(unsafe { granule.tree().free(node) });
    }
    // SAFETY: the caller's promise.
    unsafe { free_slowly(cell) }
}

/// What is left where nothing common is met.
///
/// # Safety
///
/// As for `kmtreef`.
#[cold]
#[inline(never)]
unsafe extern "C" fn free_slowly(cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(cell, false) })
}

/// Whether a node can go: not the root of a tree in which another store stands, nor what cannot be given back.
fn may_go(entry: &Entry, node: NonNull<u8>) -> Result<(), Cond> {
    entry.hosts_take_back()?;
    if !entry.has_guests() || root(entry)? != node { Ok(()) } else { Err(Cond::InUse) }
}

/// Whether no store was made in the bytes of a node or of what is below it.
///
/// # Errors
///
/// `in_use` if one was, and what looking over says.
fn none_made_in(entry: &Entry, top: NonNull<u8>, and_it: bool) -> Result<(), Cond> {
    if !entry.may_hold() {
        return Ok(());
    }
    let mut answer = Ok(());
    with_tree!(entry, tree => {
        // SAFETY: a live node of the tree.
        unsafe { tree.look_over(top) }?;
        // SAFETY: as above, and nothing is released meanwhile.
        unsafe { tree.report(top) }?.each(&mut |line| {
            if and_it || line.node != top {
                answer = registry::is_free(line.node, line.size);
            }
            if answer.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        answer
    })
}

/// # Safety
///
/// The subtree is used no more but by its destructors.
#[cold]
pub unsafe fn release(cell: *mut c_void, shred: bool) -> Result<(), Cond> {
    let (entry, node) = node(cell)?;
    may_go(entry, node)?;
    none_made_in(entry, node, true)?;
    let _busy = entry.enter();
    // SAFETY: a live node of the tree; the caller's promise.
    with_tree!(entry, tree => unsafe { tree.free_if_whole(node, shred) })
}

/// Makes a tree in memory of its own.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreei(r#where: *mut *mut kmtree) -> Answer {
    let make = || {
        let tree = entry::make(Home::Process, |entry, _| {
            let nodes = Own::new();
            nodes.belong_to(entry);
            Tree::managed_in(nodes)
        })?;
        tell(tree)
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, make) }
}

/// Makes a tree in the caller's bytes, which it has until it is destroyed. Full, it says `no_room`.
///
/// They may be a cell's, which then is neither released nor resized before. `in_use` if another store stands in part
/// of the bytes, `bad_size` for more than an object can have.
///
/// # Safety
///
/// As for `kmtreei`; `buf` is null or `len` bytes that nothing else uses until the tree is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreeif(r#where: *mut *mut kmtree, buf: *mut c_void, len: usize) -> Answer {
    let make = || {
        let tree = entry::make(Home::Fixed(payload(buf)?, len), |entry, from| {
            let source = Src::new(entry, from.unwrap_or(From::Process));
            let tree: FixedTree = Tree::managed_in(Heap::new_in(source).first_block(usize::MAX));
            tree
        })?;
        tell(tree)
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, make) }
}

/// Makes a tree whose nodes are cells of another store, which cannot be destroyed before it.
///
/// `too_many` where as many lie in each other as may.
///
/// # Safety
///
/// As for `kmtreei`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreei_in(r#where: *mut *mut kmtree, source: *mut kmcell) -> Answer {
    let make = || {
        let host = self::source(source)?;
        let nodes = Guest::new(host)?;
        tell(entry::make(Home::In(host), |_, _| Tree::managed_in(nodes))?)
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, make) }
}

/// Destroys a tree: all guards are asked, then the destructors run, then everything in it goes.
///
/// `in_use` if a guard refuses, while another store stands in it, and for the process's own tree.
///
/// # Safety
///
/// If it is a live tree, neither it nor what is in it is used any more but by its destructors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreex(tree: *mut kmtree) -> Answer {
    let destroy = || {
        let entry = registry::store(tree)?;
        let place = NonNull::from(entry);
        match entry.form {
            // SAFETY: a live tree of this form, which the caller has.
            Form::OwnTree => unsafe { entry::destroy(place, OwnTree::destroy_if_whole) },
            // SAFETY: as above.
            Form::FixedTree => unsafe { entry::destroy(place, FixedTree::destroy_if_whole) },
            Form::GuestTree => {
                if entry.store::<GuestTree>().stats().live > 0 {
                    none_made_in(entry, root(entry)?, true)?;
                }
                // SAFETY: as above.
                unsafe { entry::destroy(place, GuestTree::destroy_if_whole) }
            }
            _ => Err(Cond::Mismatch),
        }
    };
    answer(destroy())
}

/// The root of a tree, under which all its nodes are; null if there is no such tree, or no memory for its root.
///
/// # Safety
///
/// The caller has the tree.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreeroot(tree: *mut kmtree) -> *mut c_void {
    registry::store(tree).and_then(root).map_or(ptr::null_mut(), |root| root.as_ptr().cast())
}

/// A node: the last child of `parent`, or of the root of the process's own tree if that is null. Its contents are
/// undefined.
///
/// `in_use` under a parent that is being released, `no_room` where a quota is reached.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreea(r#where: *mut *mut c_void, parent: *mut c_void, len: usize) -> Answer {
    // The most common case first, without a call; whatever it is not is seen to below.
    if let Some((granule, parent)) = own_node(parent)
        && let Some(place) = NonNull::new(r#where)
        // SAFETY: a live node of the tree.
        && let Some(node) = unsafe { granule.tree().alloc_if_at_hand(parent, len) }
    {
        // SAFETY: the caller's promise.
        unsafe { place.write(node.as_ptr().cast()) };
        return 0;
    }
    // SAFETY: the caller's promise.
    unsafe { alloc_anew(r#where, parent, len) }
}

/// The same, zeroed.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreez(r#where: *mut *mut c_void, parent: *mut c_void, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || alloc(parent, len, true).map(|(bytes, _)| bytes.cast())) }
}

/// The same as `kmtreea`, as a managed pointer.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreeo(r#where: *mut kmptr, parent: *mut c_void, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Tree, || alloc(parent, len, false)) }
}

/// The same, zeroed.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreezo(r#where: *mut kmptr, parent: *mut c_void, len: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe { put_ptr(r#where, Kind::Tree, || alloc(parent, len, true)) }
}

/// Releases a node and all below it: all guards are asked, then the destructors run, parent before children, then the
/// memory goes.
///
/// `in_use` if a guard refuses, or if the node is being released: nothing is released then.
///
/// # Safety
///
/// If it is a live node, neither it nor what is below it is used any more but by its destructors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreef(cell: *mut c_void) -> Answer {
    // The most common case first, without a call.
    if let Some((granule, node)) = own_node(cell)
        && !granule.owner().has_fixed()
        // SAFETY: a live node of the tree, in which no store was made; the caller's promise.
        && unsafe { granule.tree().free_if_at_hand(node) }
    {
        return 0;
    }
    // SAFETY: the caller's promise.
    unsafe { free_leaf(cell) }
}

/// The same, and all bytes are destroyed.
///
/// # Safety
///
/// If it is a live node, neither it nor what is below it is used any more but by its destructors.
#[cfg(feature = "shred")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtrees(cell: *mut c_void) -> Answer {
    // SAFETY: the caller's promise.
    answer(unsafe { release(cell, true) })
}

/// Releases what is below a node, and keeps the node.
///
/// # Safety
///
/// If it is a live node, what is below it is used no more but by its destructors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreefc(cell: *mut c_void) -> Answer {
    let release = || {
        let (entry, node) = node(cell)?;
        may_go(entry, node)?;
        none_made_in(entry, node, false)?;
        // SAFETY: a live node of the tree.
        with_tree!(entry, tree => unsafe { tree.look_over(node) })?;
        let _busy = entry.enter();
        // SAFETY: a live node of the tree; the caller's promise.
        with_tree!(entry, tree => unsafe { tree.free_children(node) })
    };
    answer(release())
}

/// Gives the node that `*where` names another size, and writes where it is now. All links to it follow.
///
/// # Safety
///
/// `where` is null, or may be read and written to; if the node moves, its old place is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreer(r#where: *mut *mut c_void, len: usize) -> Answer {
    let resize = || {
        // SAFETY: the caller's promise.
        let (entry, node) = node(unsafe { held(r#where) }?)?;
        entry.lets_go(node)?;
        with_tree!(entry, tree => {
            // SAFETY: a live node of the tree.
            unsafe { tree.look_at_children(node) }?;
            // SAFETY: a live node of the tree; the caller's promise.
            unsafe { tree.resize(node, len) }
        })
    };
    // SAFETY: the caller's promise.
    unsafe { put(r#where, || resize().map(NonNull::cast)) }
}

/// Moves a node, with all below it, to be the last child of another parent; null is the root of its own tree.
///
/// `in_use` if the new parent is the node or below it, `mismatch` for a parent in another tree, `no_room` where a quota
/// is reached.
///
/// # Safety
///
/// The caller has the tree of each that is a live node.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreem(cell: *mut c_void, newparent: *mut c_void) -> Answer {
    let go = || {
        let (entry, child) = node(cell)?;
        let newparent = if newparent.is_null() { root(entry)?.as_ptr().cast() } else { newparent };
        let (other, parent) = node(newparent)?;
        if !ptr::eq(entry, other) && !seeded("a_node_changes_its_tree") {
            return Err(Cond::Mismatch);
        }
        // SAFETY: both are live nodes of the tree.
        with_tree!(entry, tree => unsafe { tree.move_to(child, parent) })
    };
    answer(go())
}

/// The header of a node, whose links are there to be read.
///
/// # Safety
///
/// `where` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreen(r#where: *mut *mut kmnode, cell: *mut c_void) -> Answer {
    // SAFETY: a node's header stands before its payload.
    let header = || node(cell).map(|(_, node)| unsafe { node.sub(NODE) }.cast());
    // SAFETY: the caller's promise.
    unsafe { put(r#where, header) }
}

/// The payload of a node, told by its header; null if it is no live node's.
///
/// # Safety
///
/// The caller has the tree.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmnodedata(node: *mut kmnode) -> *mut c_void {
    let payload = node.cast::<u8>().wrapping_add(NODE).cast::<c_void>();
    match self::node(payload) {
        // A destructor may look at what is going with its node.
        Ok(_) | Err(Cond::InUse) if !node.is_null() => payload,
        _ => ptr::null_mut(),
    }
}

/// Has a function run when a node goes, told its payload and `ctx`; of several, the newest runs first.
///
/// It may do what it likes to what is not going; what it does to what is going is refused with `in_use`.
///
/// # Safety
///
/// `fn` may be called so, once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreeon(cell: *mut c_void, r#fn: kmdtor, ctx: *mut c_void) -> Answer {
    let put = || {
        let run = r#fn.ok_or(Cond::BadAddress)?;
        let (entry, node) = node(cell)?;
        // SAFETY: a live node of the tree; the caller's promise.
        with_tree!(entry, tree => unsafe { tree.on_release_c(node, run, ctx.cast()) })
    };
    answer(put())
}

/// Takes off what `kmtreeon` put on with the same function and `ctx`; `bad_address` if there is none such.
///
/// # Safety
///
/// The caller has the tree.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreeoff(cell: *mut c_void, r#fn: kmdtor, ctx: *mut c_void) -> Answer {
    let take = || {
        let run = r#fn.ok_or(Cond::BadAddress)?;
        let (entry, node) = node(cell)?;
        // SAFETY: a live node of the tree.
        with_tree!(entry, tree => unsafe { tree.off_release_c(node, run, ctx.cast()) })
    };
    answer(take())
}

/// Has a function asked before a node goes, by itself or with what it is below: another number than 0 refuses. Null takes
/// it off. It must do nothing else: what it does to the tree is refused.
///
/// # Safety
///
/// `fn` is null or may be called so as long as it is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreeguard(cell: *mut c_void, r#fn: kmguard, ctx: *mut c_void) -> Answer {
    let put = || {
        let (entry, node) = node(cell)?;
        let guard = r#fn.map(|guard| (guard, ctx.cast()));
        // SAFETY: a live node of the tree; the caller's promise.
        with_tree!(entry, tree => unsafe { tree.set_guard_c(node, guard) })
    };
    answer(put())
}

/// Gives a node a name, which is copied; null takes it off.
///
/// # Safety
///
/// `name` is null or a string, and the name that the node had is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreename(cell: *mut c_void, name: *const c_char) -> Answer {
    let put = || {
        let (entry, node) = node(cell)?;
        // SAFETY: the caller's promise.
        let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) });
        // SAFETY: a live node of the tree; the caller's promise.
        with_tree!(entry, tree => unsafe { tree.set_name(node, name) })
    };
    answer(put())
}

/// The name of a node, as long as it has it; null if it has none, or is no live node. In a destructor, what is going still
/// has its name.
///
/// # Safety
///
/// The caller has the tree.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreenameof(cell: *mut c_void) -> *const c_char {
    named(cell).ok().flatten().map_or(ptr::null(), CStr::as_ptr)
}

/// Whether a node has this name: a check of its type, where types are told by names. `mismatch` if it has another or none.
///
/// # Safety
///
/// `name` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreetype(cell: *mut c_void, name: *const c_char) -> Answer {
    let check = || {
        let has = named(cell)?;
        if name.is_null() {
            return Err(Cond::BadAddress);
        }
        // SAFETY: the caller's promise.
        let name = unsafe { CStr::from_ptr(name) };
        if has == Some(name) { Ok(()) } else { Err(Cond::Mismatch) }
    };
    answer(check())
}

/// Limits what a node and all below it may take, in bytes with their headers; 0 lifts the limit.
///
/// What would take more is refused with `no_room`: by allocating, by resizing, by moving there, by duplicating.
///
/// # Safety
///
/// The caller has the tree.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreequota(cell: *mut c_void, bytes: usize) -> Answer {
    let limit = || {
        let (entry, node) = node(cell)?;
        // SAFETY: a live node of the tree.
        with_tree!(entry, tree => unsafe { tree.set_quota(node, (bytes > 0).then_some(bytes)) })
    };
    answer(limit())
}

/// Tells a new tree which one it is.
fn tell<T: entry::Placed>(tree: NonNull<T>) -> Result<NonNull<kmtree>, Cond> {
    let entry = registry::store(tree.as_ptr())?;
    let context = ptr::from_ref(entry).cast_mut().cast();
    with_tree!(entry, tree => {
        tree.set_context(context);
        Ok(())
    })?;
    Ok(tree.cast())
}

/// The name of a node, also of one that is going.
fn named<'n>(cell: *mut c_void) -> Result<Option<&'n CStr>, Cond> {
    let node = match node(cell) {
        Err(Cond::InUse) => crate::find::going(cell)?,
        found => found?.1,
    };
    // SAFETY: a node of some tree.
    unsafe { tree::name_of(node) }
}

//! What an untyped pointer is, by its address alone.
//!
//! ```text
//!  address ─► a range around it? the owner of the innermost ─┐
//!         └─► a granule?         its owner ──────────────────┼─► that store's own answer: is a live cell's
//!         └─► else               the process heap ───────────┘   payload there, or one built in a cell?
//! ```
//!
//! Nothing is read but what the registry and the store found is theirs. For a node of a tree that has pages of its own
//! the granule alone gives the answer.

use core::ffi::c_void;
use core::ptr::NonNull;

use kmem::{Cond, Found, Global, Kind, Node, Store, refs, tree};

use crate::entry::{Entry, FixedTree, with_store};
use crate::{granules, registry};

/// A live cell.
#[derive(Clone, Copy)]
pub struct Hit<'e> {
    /// The store that it is of: of a node its tree, of a counted cell the store in which it lies. None for the process
    /// heap.
    pub store: Option<&'e Entry>,
    /// What it is; `found.kind` is what it is used as, which is the same.
    pub kind: Kind,
    pub found: Found,
}

impl Hit<'_> {
    /// Whether the cell can go or move: no store was made in it.
    ///
    /// # Errors
    ///
    /// `in_use` if one was.
    #[inline]
    pub fn lets_go(&self) -> Result<(), Cond> {
        let may = self.store.map_or_else(registry::are_elsewhere, Entry::may_hold);
        if may { registry::is_free(self.found.payload, self.found.size) } else { Ok(()) }
    }
}

/// In front of a node's payload.
pub const NODE: usize = size_of::<Node>();
/// In front of a counted cell's payload.
const REF: usize = size_of::<kmem::RefCell>();

/// How many trees may lie in each other, the innermost in the nodes of the next.
pub(crate) const NESTED: usize = 8;

/// An answer that settles the matter, though it is a refusal.
fn settles(cond: Cond) -> bool {
    matches!(cond, Cond::InUse | Cond::FailAssert)
}

/// What a store's cell is, if it is used as the store's own kind.
fn own_cell<'e>(store: Option<&'e Entry>, own: Kind, found: Found) -> Result<Hit<'e>, Cond> {
    match found.kind {
        kind if kind == own => Ok(Hit { store, kind, found }),
        Kind::None | Kind::Fail => Err(Cond::FailAssert),
        // The front of what another store or a counted cell has in it is nobody's payload.
        _ => Err(Cond::BadAddress),
    }
}

/// A cell of this store, or one that is built in a cell of it.
#[cold]
pub fn in_store(store: &Entry, payload: NonNull<u8>) -> Result<Hit<'_>, Cond> {
    let mut store = store;
    loop {
        match store.locate(payload) {
            Ok(found) => return own_cell(Some(store), store.kind(), found),
            Err(cond) if settles(cond) => return Err(cond),
            Err(_) => {}
        }
        match with_store!(store, it => refs::locate_in(it, payload)) {
            Ok(found) => return Ok(Hit { store: Some(store), kind: Kind::Ref, found }),
            Err(cond) if settles(cond) => return Err(cond),
            Err(_) => {}
        }
        match guest(store, payload)? {
            Some(tree) => store = tree,
            None => return overwritten(payload, |block| store.locate(block)),
        }
    }
}

/// The tree that has a node in a cell of the store, where the payload is the node's or lies further in.
fn guest<'e>(store: &Entry, payload: NonNull<u8>) -> Result<Option<&'e Entry>, Cond> {
    // A node's own, a counted cell's in it, or one of a tree that lies in that tree, and so on.
    let offsets = (1..=NESTED).flat_map(|nodes| [nodes * NODE, nodes * NODE + REF]);
    for offset in offsets {
        let Ok(block) = with_store!(store, it => it.locate_behind(payload, offset, store.node_mark())) else {
            continue;
        };
        // SAFETY: the block is marked as one for a node, and longer than a header.
        let node = unsafe { block.add(NODE) };
        // SAFETY: a tree has the block: a header was written there, and is looked at before anything is believed of it.
        let tree = unsafe { tree::context_of(node) }?.cast::<Entry>().cast_const();
        // SAFETY: null, or the entry of the tree, which gives all its nodes back before it goes.
        return unsafe { tree.as_ref() }.map(Some).ok_or(Cond::BadAddress);
    }
    Ok(None)
}

/// Where there is nothing: whether that is so because a header in front was overwritten.
fn overwritten<'e>(payload: NonNull<u8>, locate: impl Fn(NonNull<u8>) -> Result<Found, Cond>) -> Result<Hit<'e>, Cond> {
    let fronts = [REF, NODE].into_iter().filter_map(|front| NonNull::new(payload.as_ptr().wrapping_sub(front)));
    for front in fronts {
        if locate(front) == Err(Cond::FailAssert) {
            return Err(Cond::FailAssert);
        }
    }
    Err(Cond::BadAddress)
}

#[cold]
fn in_process<'e>(payload: NonNull<u8>) -> Result<Hit<'e>, Cond> {
    match Global.locate(payload) {
        Ok(found) => return own_cell(None, Kind::Heap, found),
        Err(cond) if settles(cond) => return Err(cond),
        Err(_) => {}
    }
    match refs::locate_in(&Global, payload) {
        Ok(found) => return Ok(Hit { store: None, kind: Kind::Ref, found }),
        Err(cond) if settles(cond) => return Err(cond),
        Err(_) => {}
    }
    overwritten(payload, |block| Global.locate(block))
}

/// What a pointer is, whatever it is.
///
/// # Errors
///
/// `bad_address` if it is no live cell's payload, `fail_assert` if its header was overwritten, `in_use` if it is being
/// released.
pub fn find<'e>(pointer: *mut c_void) -> Result<Hit<'e>, Cond> {
    let payload = NonNull::new(pointer.cast::<u8>()).ok_or(Cond::BadAddress)?;
    let address = payload.addr().get();
    if let Some(owner) = registry::owner_of(address) {
        return in_store(owner, payload);
    }
    match granules::of(address) {
        Some(granule) => in_store(granule.owner(), payload),
        None => in_process(payload),
    }
}

/// The tree and the payload of a node, if it is a plain one of a tree in pages of its own.
///
/// A guest of the tree has its memory inside of a block, where none begins.
#[inline(always)]
pub fn own_node<'e>(pointer: *mut c_void) -> Option<(&'e granules::Granule, NonNull<u8>)> {
    let address = pointer.addr();
    let granule = granules::of_block(address.wrapping_sub(NODE))?;
    let payload = granule.pointer(address);
    // SAFETY: a block begins before it, whose first words tell whether it is a live node.
    if unsafe { granule.tree().is_plain_node(payload) } { Some((granule, payload)) } else { None }
}

/// The tree and the payload of a node.
///
/// # Errors
///
/// As for [`find`]; `mismatch` if it is a live cell of another kind.
#[inline]
pub fn node<'e>(pointer: *mut c_void) -> Result<(&'e Entry, NonNull<u8>), Cond> {
    match own_node(pointer) {
        Some((granule, payload)) => Ok((granule.owner(), payload)),
        None => search_node(pointer),
    }
}

#[cold]
fn search_node<'e>(pointer: *mut c_void) -> Result<(&'e Entry, NonNull<u8>), Cond> {
    match find(pointer)? {
        Hit { store: Some(tree), kind: Kind::Tree, found } => Ok((tree, found.payload)),
        _ => Err(Cond::Mismatch),
    }
}

/// A counted cell.
///
/// # Errors
///
/// As for [`node`].
pub fn counted<'e>(pointer: *mut c_void) -> Result<Hit<'e>, Cond> {
    if let Some(payload) = NonNull::new(pointer.cast())
        && let Ok(found) = refs::locate_in(&Global, payload)
    {
        // Most lie in the process heap. What is built there by another store is not marked as a counted cell.
        return Ok(Hit { store: None, kind: Kind::Ref, found });
    }
    let hit = find(pointer)?;
    if hit.kind == Kind::Ref { Ok(hit) } else { Err(Cond::Mismatch) }
}

/// A node that is being released, for those who only look.
///
/// # Errors
///
/// `in_use` if it cannot be told any more what it is.
#[cold]
pub fn going(pointer: *mut c_void) -> Result<NonNull<u8>, Cond> {
    let payload = NonNull::new(pointer.cast::<u8>()).ok_or(Cond::BadAddress)?;
    let address = payload.addr().get();
    if let Some(granule) = granules::of_block(address.wrapping_sub(NODE)) {
        return Ok(granule.pointer(address));
    }
    let owner = registry::owner_of(address).or_else(|| granules::of(address).map(granules::Granule::owner));
    let owner = owner.ok_or(Cond::InUse)?;
    // SAFETY: the payload lies in the block that was found.
    let within = |block: NonNull<u8>| unsafe { block.add(address - block.addr().get()) };
    if let Ok(tree) = owner.as_a::<FixedTree>()
        && let Ok(block) = tree.source().locate_behind(payload, NODE, Kind::Tree)
    {
        return Ok(within(block));
    }
    for nodes in 1..=NESTED {
        if let Ok(block) = with_store!(owner, it => it.locate_behind(payload, nodes * NODE, owner.node_mark())) {
            // Of several trees that lie in each other, each node but the innermost says that another stands in it.
            let holds = |node: usize| {
                // SAFETY: a node stands in the block, and one in each that says so.
                let header = unsafe { block.add(node * NODE) }.cast::<kmem::Cell>();
                // SAFETY: as above.
                unsafe { header.as_ref() }.kind() == Some(Kind::Heap)
            };
            return if (0..nodes - 1).all(holds) { Ok(within(block)) } else { Err(Cond::InUse) };
        }
    }
    Err(Cond::InUse)
}

//! The structs of `kmem.h`.
//!
//! Each begins as the crate's own struct of that name does, which is checked below: what C reads is the real thing.
//! What comes in from C may have any value in any field, so kinds, flags and conditions are numbers here.

#![allow(non_camel_case_types, reason = "the names are libk's")]

use core::ffi::{c_char, c_int, c_void};
use core::mem::offset_of;

use kmem::Cond;

/// What every cell and every store begins with.
#[repr(C)]
pub struct kmcell {
    /// A `kmkind`: how it was allocated.
    pub kind: u8,
    /// Whether its bytes are destroyed when it goes.
    #[cfg(feature = "shred")]
    pub shred: u8,
    /// The logarithm of its alignment.
    pub align: u8,
    /// What state it is in; kmem's own.
    pub mark: u8,
    /// Bytes of payload and of all fields in front of it.
    pub size: usize,
}

/// A managed pointer: any function can take it and release it rightly without knowing its kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kmptr {
    /// A `kmkind`.
    pub kind: u8,
    /// Whether releasing through this pointer destroys the bytes; if not, the cell and its store are asked.
    #[cfg(feature = "shred")]
    pub shred: u8,
    /// The payload.
    pub r#ref: *mut c_void,
    /// The store; null for the process heap and for memory that was not allocated.
    pub cell: *mut kmcell,
    /// Bytes of payload; `SIZE_MAX` where that is not known.
    pub size: usize,
}

/// The front of a counted cell.
#[repr(C)]
pub struct kmref {
    /// What every cell begins with.
    pub id: kmcell,
    /// How many references there are.
    pub refs: usize,
    /// The store in which the cell lies.
    pub src: *mut kmcell,
}

/// The front of a node of a tree; the payload comes right behind it.
#[repr(C)]
pub struct kmnode {
    /// What every cell begins with.
    pub id: kmcell,
    /// The parent; null for the root of all.
    pub parent: *mut kmnode,
    /// The first child.
    pub child: *mut kmnode,
    /// The last child.
    pub lastchild: *mut kmnode,
    /// The sibling before; null for the first.
    pub prev: *mut kmnode,
    /// The sibling behind; null for the last.
    pub next: *mut kmnode,
    /// kmem's own: destructors, guard, name, quota.
    pub extra: *const c_void,
}

/// The front of a cell of a pool; the payload comes right behind it.
#[repr(C)]
pub struct kmpoolcell {
    /// The cell that was handed out before it; of a free cell the one that was freed before it.
    pub last: *mut kmpoolcell,
    /// What state it is in; kmem's own.
    pub mark: u8,
    /// Whether its bytes are destroyed when it goes.
    #[cfg(feature = "shred")]
    pub shred: u8,
    /// A `kmkind`: what it is used as.
    pub kind: u8,
}

/// A pool, as far as it is shown.
#[repr(C)]
pub struct kmpool {
    /// What every store begins with.
    pub id: kmcell,
    /// Bytes of a cell.
    pub cellsz: usize,
    /// The fresh cell that was handed out last.
    pub top: *mut kmpoolcell,
    /// The cell that was freed last, which is handed out next.
    pub bottom: *mut kmpoolcell,
}

/// A heap, as far as it is shown.
#[repr(C)]
pub struct kmheap {
    /// What every store begins with.
    pub id: kmcell,
}

/// A linear region, as far as it is shown.
#[repr(C)]
pub struct kmlin {
    /// What every store begins with.
    pub id: kmcell,
}

/// A tree, as far as it is shown.
#[repr(C)]
pub struct kmtree {
    /// What every store begins with.
    pub id: kmcell,
}

/// A place in a linear region to which it can be rewound.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct kmmark {
    /// Where it is kept in the region.
    pub record: *const c_void,
    /// Which mark it is: another one at the same place is another mark.
    pub serial: usize,
}

/// What `kmwalk` and `kmtreereport` tell of a stretch of memory.
#[repr(C)]
pub struct kmspan {
    /// Where it is; of a cell its payload.
    pub at: *mut c_void,
    /// How long it is; of a cell its payload.
    pub size: usize,
    /// A `kmkind`: what it is used as.
    pub kind: u32,
    /// A `kmstate`.
    pub state: u32,
    /// Of a node: how far below the first.
    pub depth: u32,
    /// Of a counted cell: its references.
    pub refs: usize,
    /// Of a node: its name, or null.
    pub name: *const c_char,
}

/// Runs when a node goes.
pub type kmdtor = Option<unsafe extern "C" fn(cell: *mut c_void, ctx: *mut c_void)>;
/// Says by another number than 0 that a node must not go; it must not act on the tree.
pub type kmguard = Option<unsafe extern "C" fn(cell: *mut c_void, ctx: *mut c_void) -> c_int>;
/// Sees each span, until it returns another number than 0.
pub type kmvisit = Option<unsafe extern "C" fn(span: *const kmspan, ctx: *mut c_void) -> c_int>;

/// A `kmcond`, as a number.
pub type Answer = u32;

/// The size of a pointer that was made without one.
pub const UNKNOWN: usize = usize::MAX;

/// What C is told.
pub fn answer(result: Result<(), Cond>) -> Answer {
    match result {
        Ok(()) => 0,
        Err(cond) => cond as Answer,
    }
}

const _: () = {
    const WORD: usize = size_of::<usize>();
    assert!(size_of::<kmcell>() == size_of::<kmem::Cell>());
    assert!(offset_of!(kmcell, size) == WORD);
    assert!(size_of::<kmptr>() == 4 * WORD);
    assert!(offset_of!(kmptr, r#ref) == WORD);
    assert!(size_of::<kmref>() == size_of::<kmem::RefCell>());
    assert!(size_of::<kmnode>() == size_of::<kmem::Node>());
    assert!(offset_of!(kmnode, parent) == 2 * WORD);
    assert!(size_of::<kmpoolcell>() == size_of::<kmem::PoolCell>());
    assert!(offset_of!(kmpool, bottom) == 4 * WORD);
};

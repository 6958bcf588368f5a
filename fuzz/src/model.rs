//! What there must be.

use std::ffi::c_void;

pub const OK: u32 = 0;
pub const BAD_SIZE: u32 = 2;
pub const TOO_MANY: u32 = 3;
pub const NO_ROOM: u32 = 4;
pub const BAD_ADDRESS: u32 = 5;
pub const MISMATCH: u32 = 6;
pub const IN_USE: u32 = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Lin = 1,
    Heap = 2,
    Pool = 3,
    Ref = 4,
    Tree = 5,
}

/// A store, by its place in the world; the process heap is none, the process's own tree is store 0.
pub type StoreId = usize;

/// What a store has its memory of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    Process,
    In(StoreId),
    /// The bytes of a room, which nothing else knows of.
    Room(usize),
    /// The bytes of a cell, which cannot go as long as the store is there.
    Cell(usize),
}

impl Home {
    /// Whether it is bytes that were there before the store.
    pub fn is_bytes(self) -> bool {
        matches!(self, Self::Room(_) | Self::Cell(_))
    }
}

#[derive(Clone, Debug)]
pub struct Store {
    pub kind: Kind,
    pub handle: *mut c_void,
    pub live: bool,
    pub home: Home,
    /// When it was made.
    pub born: u64,
    pub cellsz: usize,
    pub tainted: bool,
    /// Marks, oldest first: what was there when they were taken.
    pub marks: Vec<Mark>,
    /// Of a tree: its root.
    pub root: *mut c_void,
}

#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub record: *const c_void,
    pub serial: usize,
    /// Cells that are newer go with a rewind.
    pub age: u64,
    pub live: bool,
}

#[derive(Clone, Debug)]
pub struct Cell {
    pub kind: Kind,
    pub at: *mut c_void,
    pub len: usize,
    pub live: bool,
    /// None is the process heap.
    pub store: Option<StoreId>,
    pub fill: u8,
    pub refs: usize,
    pub age: u64,
    pub tainted: bool,
    /// Of a node; none is the tree's root.
    pub parent: Option<usize>,
    pub children: Vec<usize>,
    pub destructors: Vec<usize>,
    pub guard: Option<bool>,
    pub name: Option<u8>,
    pub quota: usize,
}

/// Bytes that a node counts for.
pub const NODE: usize = 64;

impl Cell {
    pub fn new(kind: Kind, at: *mut c_void, len: usize, store: Option<StoreId>, age: u64) -> Self {
        Self {
            kind,
            at,
            len,
            live: true,
            store,
            fill: 0,
            refs: 1,
            age,
            tainted: false,
            parent: None,
            children: Vec::new(),
            destructors: Vec::new(),
            guard: None,
            name: None,
            quota: 0,
        }
    }

    /// Writes what tells this cell from others.
    pub fn paint(&mut self, fill: u8) {
        self.fill = fill;
        // SAFETY: a live cell of this length.
        unsafe { self.at.cast::<u8>().write_bytes(fill, self.len) };
    }

    /// Whether it is all there, up to a length.
    pub fn is_whole(&self, len: usize) -> bool {
        // SAFETY: a live cell of this length at least, all of it written to.
        let bytes = unsafe { std::slice::from_raw_parts(self.at.cast::<u8>(), len) };
        bytes.iter().all(|byte| *byte == self.fill)
    }
}

#[derive(Default)]
pub struct World {
    pub stores: Vec<Store>,
    pub cells: Vec<Cell>,
    pub age: u64,
}

impl World {
    /// A node and all below it, parent before children, siblings in their order.
    pub fn subtree(&self, top: usize) -> Vec<usize> {
        let (mut nodes, mut rest) = (Vec::new(), vec![top]);
        while let Some(node) = rest.pop() {
            nodes.push(node);
            rest.extend(self.cells[node].children.iter().rev());
        }
        nodes
    }

    pub fn subtree_bytes(&self, top: usize) -> usize {
        self.subtree(top).iter().map(|node| self.cells[*node].len + NODE).sum()
    }

    /// The node and all above it.
    pub fn upward(&self, node: Option<usize>) -> Vec<usize> {
        std::iter::successors(node, |node| self.cells[*node].parent).collect()
    }

    /// Whether the quotas from here upward have room for more; those that have it already, where `but` moves, do not ask.
    pub fn has_quota(&self, node: Option<usize>, more: usize, but: Option<usize>) -> bool {
        self.upward(node).into_iter().all(|above| {
            let quota = self.cells[above].quota;
            let has_it = but.is_some_and(|but| self.subtree(above).contains(&but));
            quota == 0 || more == 0 || has_it || self.subtree_bytes(above).saturating_add(more) <= quota
        })
    }

    /// In which store one stands: of that store's memory, or in a cell of it.
    pub fn host(&self, store: StoreId) -> Option<StoreId> {
        match self.stores[store].home {
            Home::Process | Home::Room(_) => None,
            Home::In(host) => Some(host),
            Home::Cell(cell) => self.cells[cell].store,
        }
    }

    /// How many trees lie in each other where one is made in a store: that one's hosts, up to what is no tree.
    pub fn nested(&self, host: StoreId) -> usize {
        let next = |store: &StoreId| match self.stores[*store] {
            Store { kind: Kind::Tree, home: Home::In(host), .. } => Some(host),
            _ => None,
        };
        std::iter::successors(Some(host), next).count()
    }

    /// The stores that stand in one.
    pub fn guests(&self, host: StoreId) -> impl Iterator<Item = &Store> {
        let stands = move |store: &StoreId| self.stores[*store].live && self.host(*store) == Some(host);
        (0..self.stores.len()).filter(stands).map(|store| &self.stores[store])
    }

    /// Whether a store has others in it.
    pub fn has_guests(&self, store: StoreId) -> bool {
        self.guests(store).next().is_some()
    }

    /// Whether a store was made in the bytes of one of these cells.
    pub fn are_held(&self, cells: &[usize]) -> bool {
        let holds = |store: &Store| matches!(store.home, Home::Cell(cell) if cells.contains(&cell));
        self.stores.iter().any(|store| store.live && holds(store))
    }

    pub fn live_in(&self, store: StoreId) -> Vec<usize> {
        (0..self.cells.len()).filter(|cell| self.cells[*cell].live && self.cells[*cell].store == Some(store)).collect()
    }
}

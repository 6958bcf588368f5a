//! All stores, cells and marks of a module, by handles.
//!
//! Each handle is good from when it was given until what it names has gone, however that went: a cell by
//! its own release, its parent's, a rewind, a reset, or with its store. After that it is refused, always.
//!
//! Invariants: a store in the table stands where it is until it is destroyed, and is not destroyed while
//! another stands in it; a cell in the table is live in its store, and is found by its payload's address;
//! every live cell of a store is in the table, or is a block of a store that stands in this one.

mod cells;
mod look;
mod stores;
mod trees;

use core::alloc::Layout;
use core::ptr::NonNull;

use hashbrown::HashTable;
use kmem::{Cond, Kind, Mark, RefCell};

use crate::slots::{Handle, NONE, Slots};
use crate::store::Any;

pub use cells::Request;
pub use look::Figure;
pub use stores::PoolPlan;

/// Stores, cells and marks, by handles.
#[derive(Debug)]
pub struct World {
    stores: Slots<Standing>,
    cells: Slots<Cell>,
    /// The slots of cells by the address of their payload.
    places: HashTable<u32>,
    marks: Slots<Marked>,
    /// Marks that were made so far.
    marked: u64,
}

/// A store.
#[derive(Clone, Copy, Debug)]
struct Standing {
    place: NonNull<Any>,
    under: Under,
    /// What it stands in is its own: made with it, and to go with it.
    owns: bool,
}

/// What a store stands in.
#[derive(Clone, Copy, Debug)]
enum Under {
    Pages,
    Bytes(NonNull<[u8]>),
    Store(u32),
}

/// A live cell.
#[derive(Clone, Copy, Debug)]
struct Cell {
    payload: NonNull<u8>,
    /// The slot of its store.
    store: u32,
    /// That of the store, or `ref`.
    kind: Kind,
}

/// A mark in a region.
#[derive(Clone, Copy, Debug)]
struct Marked {
    mark: Mark,
    store: u32,
    /// A later mark has a greater one.
    order: u64,
}

/// Cells that are about to go: linked through their slots, so that it takes no memory.
struct Going {
    first: u32,
    /// Whether something goes with them that is no cell here: a block of another store.
    foreign: bool,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { stores: Slots::new(1), cells: Slots::new(2), places: HashTable::new(), marks: Slots::new(3), marked: 0 }
    }

    /// The store in a slot.
    fn any(&self, store: u32) -> Result<&'static Any, Cond> {
        let standing = self.stores.get(store).ok_or(Cond::FailAssert)?;
        // SAFETY: what is in the table was written there when it was entered and stays until `destroy`
        // takes it out, which leaves no store standing in it. Here nothing keeps the reference over a call.
        Ok(unsafe { standing.place.as_ref() })
    }

    /// The slot of a store, and the store.
    fn store(&self, store: Handle) -> Result<(u32, &'static Any), Cond> {
        let (number, _) = self.stores.find(store)?;
        Ok((number, self.any(number)?))
    }

    /// The slot of a cell, the cell, and its store.
    fn cell(&self, cell: Handle) -> Result<(u32, Cell, &'static Any), Cond> {
        let (number, cell) = self.cells.find(cell)?;
        Ok((number, cell, self.any(cell.store)?))
    }

    /// Makes sure that one more cell can be entered.
    fn reserve(&mut self) -> Result<(), Cond> {
        self.cells.reserve()?;
        let hash = rehash(&self.cells);
        self.places.try_reserve(1, hash).map_err(|_| Cond::NoRoom)
    }

    /// Gives a new cell its handle; there is room, by [`reserve`](Self::reserve).
    fn enter(&mut self, store: u32, payload: NonNull<u8>, kind: Kind) -> Result<Handle, Cond> {
        let number = self.cells.insert(Cell { payload, store, kind });
        self.remember(number, payload);
        self.cells.handle(number).ok_or(Cond::FailAssert)
    }

    fn remember(&mut self, number: u32, payload: NonNull<u8>) {
        self.places.insert_unique(hash(payload.addr().get()), number, rehash(&self.cells));
    }

    /// Takes a cell's address off the map.
    fn misplace(&mut self, number: u32, payload: NonNull<u8>) {
        if let Ok(entry) = self.places.find_entry(hash(payload.addr().get()), |other| *other == number) {
            entry.remove();
        }
    }

    /// Makes a cell's handle stale: the cell has gone.
    fn forget(&mut self, number: u32) {
        if let Some(cell) = self.cells.get(number) {
            self.misplace(number, cell.payload);
            self.cells.remove(number);
        }
    }

    /// The slot of the cell of a store whose payload begins at an address.
    fn at(&self, store: u32, address: usize) -> Option<u32> {
        let is_it = |number: &u32| {
            self.cells.get(*number).is_some_and(|cell| cell.payload.addr().get() == address && cell.store == store)
        };
        self.places.find(hash(address), is_it).copied()
    }

    /// The slot of the cell that a live block of a store holds: the block's payload begins at an address and
    /// ends before another. A block that holds a counted cell has that cell's front at its start.
    fn held(&self, store: u32, kind: Kind, block: usize, end: usize) -> Option<u32> {
        if kind != Kind::Ref {
            return self.at(store, block);
        }
        // A larger alignment pushes the payload further from the start: each way that can be.
        let mut front = size_of::<RefCell>();
        while block + front <= end {
            if let Some(number) = self.at(store, block + front) {
                return Some(number);
            }
            front *= 2;
        }
        None
    }

    /// Adds the cell of a block to those that are going.
    fn goes(&mut self, going: &mut Going, cell: Option<u32>) {
        match cell {
            Some(number) => {
                self.cells.link(number, going.first);
                going.first = number;
            }
            None => going.foreign = true,
        }
    }

    /// Makes the handles of all that have gone stale.
    fn gone(&mut self, going: &Going) {
        let mut number = going.first;
        while number != NONE {
            let next = self.cells.next(number);
            self.forget(number);
            number = next;
        }
    }

    /// Makes the handles of all cells and marks of a store stale.
    fn all_gone(&mut self, store: u32) {
        let mut number = 0;
        while let Some((this, cell)) = self.cells.from(number) {
            if cell.store == store {
                self.forget(this);
            }
            number = this + 1;
        }
        self.pass_marks(store, 0);
    }

    /// Makes the handles of a region's marks stale, from one on.
    fn pass_marks(&mut self, store: u32, order: u64) {
        let mut number = 0;
        while let Some((this, mark)) = self.marks.from(number) {
            if mark.store == store && mark.order >= order {
                self.marks.remove(this);
            }
            number = this + 1;
        }
    }
}

impl Going {
    const fn none() -> Self {
        Self { first: NONE, foreign: false }
    }
}

/// The layout of a payload; an alignment of 0 asks for no more than every cell has.
fn layout(size: usize, align: usize) -> Result<Layout, Cond> {
    Layout::from_size_align(size, align.max(1)).map_err(|_| Cond::BadSize)
}

/// How the map of places is hashed again when it grows.
fn rehash(cells: &Slots<Cell>) -> impl Fn(&u32) -> u64 + '_ {
    |number| cells.get(*number).map_or(0, |cell| hash(cell.payload.addr().get()))
}

/// Spreads addresses, which have their low bits in common (Knuth's multiplicative hashing).
fn hash(address: usize) -> u64 {
    let mixed = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree went, and the heap that was to go with it did not.
    #[test]
    fn a_tree_stays_while_a_store_stands_in_its_own_heap() {
        let mut world = World::new();
        let tree = world.tree_new(None, 0).expect("room");
        let heap = world.store_source(tree).expect("a store").expect("a heap of its own");
        let lin = world.lin_new(Some(heap), 0, 0).expect("room");
        let node = world.alloc(tree, Request::default()).expect("room");
        assert_eq!(world.destroy(tree), Err(Cond::InUse));
        assert!(world.address(node).is_ok());
        assert_eq!(world.destroy(lin), Ok(()));
        assert_eq!(world.destroy(tree), Ok(()));
        assert_eq!(world.destroy(heap), Err(Cond::BadAddress));
    }

    #[test]
    fn the_tables_hold_no_more_than_what_lives() {
        let mut world = World::new();
        let heap = world.heap_new(None, 0).expect("room");
        let tree = world.tree_new(Some(heap), 0).expect("room");
        for round in 0..1000 {
            let cell = world.alloc(heap, Request { size: 10, ..Request::default() }).expect("room");
            let counted = world.ref_alloc(heap, Request::default()).expect("room");
            let node = world.alloc(tree, Request::default()).expect("room");
            world.tree_alloc(node, Request::default()).expect("room");
            world.resize(cell, 1000 + round).expect("room");
            assert_eq!(world.places.len(), 5, "with the root");
            for gone in [cell, counted, node] {
                world.free(gone).expect("live");
            }
            assert_eq!(world.places.len(), 1, "the root");
        }
        assert!(world.cells.from(5).is_none(), "slots are used again");
    }
}

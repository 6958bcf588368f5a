//! Looking: changes no byte.

use core::ptr::NonNull;

use kmem::inspect::{Inspect, Record, Run};
use kmem::{Cond, Kind, PoolCell, RefCell, Store, refs};

use super::{Cell, Under, World};
use crate::slots::Handle;
use crate::store::Any;

/// A figure of a store's [`Stats`](kmem::Stats).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Live cells.
    Live,
    /// Bytes of the live cells.
    Bytes,
    /// The most bytes that were live at once.
    Peak,
    /// Bytes that the store holds from its source.
    Held,
}

impl Figure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Live, Self::Bytes, Self::Peak, Self::Held];

    /// This figure of some.
    #[must_use]
    pub const fn of(self, stats: kmem::Stats) -> usize {
        match self {
            Self::Live => stats.live,
            Self::Bytes => stats.bytes,
            Self::Peak => stats.peak,
            Self::Held => stats.held,
        }
    }
}

impl World {
    /// What a store is.
    ///
    /// # Errors
    ///
    /// `bad_address` for what is no store; so with all that asks one.
    pub fn store_kind(&self, store: Handle) -> Result<Kind, Cond> {
        Ok(self.store(store)?.1.kind())
    }

    /// Where a store's own header is.
    ///
    /// # Errors
    ///
    /// As for [`store_kind`](Self::store_kind).
    pub fn store_address(&self, store: Handle) -> Result<usize, Cond> {
        Ok(self.store(store)?.1.head_ptr().addr().get())
    }

    /// The store that a store stands in, if it is one.
    ///
    /// # Errors
    ///
    /// As for [`store_kind`](Self::store_kind).
    pub fn store_source(&self, store: Handle) -> Result<Option<Handle>, Cond> {
        let (_, standing) = self.stores.find(store)?;
        match standing.under {
            Under::Store(source) => Ok(self.stores.handle(source)),
            Under::Pages | Under::Bytes(_) => Ok(None),
        }
    }

    /// Whether all that a store releases is wiped.
    ///
    /// # Errors
    ///
    /// As for [`store_kind`](Self::store_kind).
    pub fn store_tainted(&self, store: Handle) -> Result<bool, Cond> {
        Ok(self.store(store)?.1.head().id().is_tainted())
    }

    /// A figure of a store's.
    ///
    /// # Errors
    ///
    /// As for [`store_kind`](Self::store_kind).
    pub fn stat(&self, store: Handle, which: Figure) -> Result<usize, Cond> {
        Ok(which.of(self.store(store)?.1.stats()))
    }

    /// Proves a store's structure.
    ///
    /// # Errors
    ///
    /// `fail_assert` if a rule does not hold: something wrote over the store's own bytes.
    pub fn check(&self, store: Handle) -> Result<(), Cond> {
        self.store(store)?.1.check().map_err(|_| Cond::FailAssert)
    }

    /// Where a cell's payload begins.
    ///
    /// # Errors
    ///
    /// `bad_address` for what is no live cell; so with all that asks one.
    pub fn address(&self, cell: Handle) -> Result<usize, Cond> {
        Ok(self.cell(cell)?.1.payload.addr().get())
    }

    /// Bytes of a cell's payload.
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address).
    pub fn size(&self, cell: Handle) -> Result<usize, Cond> {
        Ok(self.bytes(cell)?.1)
    }

    /// A cell's payload, from what its header says. A tree's root has none of the caller's.
    pub(super) fn bytes(&self, cell: Handle) -> Result<(NonNull<u8>, usize), Cond> {
        let (_, Cell { payload, kind, .. }, any) = self.cell(cell)?;
        let behind = |front: usize, id: &kmem::Cell| {
            let layout = id.layout()?;
            layout.size().checked_sub(front.next_multiple_of(layout.align()))
        };
        let size = match any {
            // SAFETY: a counted cell of the table is live.
            _ if kind == Kind::Ref => behind(size_of::<RefCell>(), unsafe { refs::header(payload) }.id()),
            Any::Pool(pool) => Some(pool.cell_size()),
            Any::Heap(_) | Any::Lin(_) => header(payload).size().checked_sub(size_of::<kmem::Cell>()),
            Any::Tree(tree) => {
                // SAFETY: a node of the table is live.
                let node = unsafe { tree.header(payload) };
                if node.parent().is_none() { Some(0) } else { behind(size_of_val(node), node.id()) }
            }
        };
        Ok((payload, size.ok_or(Cond::FailAssert)?))
    }

    /// The store's kind, or `ref`.
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address).
    pub fn kind(&self, cell: Handle) -> Result<Kind, Cond> {
        Ok(self.cell(cell)?.1.kind)
    }

    /// Whether releasing a cell wipes it: it or its store is tainted.
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address).
    pub fn tainted(&self, cell: Handle) -> Result<bool, Cond> {
        let (_, Cell { payload, kind, .. }, any) = self.cell(cell)?;
        let own = match any {
            // SAFETY: a counted cell of the table is live.
            _ if kind == Kind::Ref => unsafe { refs::header(payload) }.id().is_tainted(),
            Any::Pool(_) => {
                // SAFETY: in front of a pool's live cell stands its header.
                let front = unsafe { payload.cast::<PoolCell>().sub(1) };
                // SAFETY: as above; it is only changed through shared references.
                unsafe { front.as_ref() }.is_tainted()
            }
            Any::Heap(_) | Any::Lin(_) => header(payload).is_tainted(),
            // SAFETY: a node of the table is live.
            Any::Tree(tree) => unsafe { tree.header(payload) }.id().is_tainted(),
        };
        Ok(own || any.head().id().is_tainted())
    }

    /// The store that a cell is in.
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address).
    pub fn store_of(&self, cell: Handle) -> Result<Handle, Cond> {
        self.stores.handle(self.cell(cell)?.1.store).ok_or(Cond::FailAssert)
    }

    /// How many references to a counted cell there are.
    ///
    /// # Errors
    ///
    /// As for [`address`](Self::address); `mismatch` for another kind.
    pub fn count(&self, cell: Handle) -> Result<usize, Cond> {
        let (_, cell, _) = self.counted(cell)?;
        // SAFETY: a counted cell of the table is live.
        Ok(unsafe { refs::header(cell.payload) }.refs())
    }

    /// The cell of a store whose payload begins at an address.
    ///
    /// # Errors
    ///
    /// As for [`store_kind`](Self::store_kind).
    pub fn cell_at(&self, store: Handle, address: usize) -> Result<Option<Handle>, Cond> {
        let (number, _) = self.stores.find(store)?;
        Ok(self.at(number, address).and_then(|cell| self.cells.handle(cell)))
    }

    /// The header of the most recently handed-out fresh cell of a pool, if there is one.
    ///
    /// # Errors
    ///
    /// As for [`store_kind`](Self::store_kind); `mismatch` for another store.
    pub fn top(&self, store: Handle) -> Result<Option<usize>, Cond> {
        let Any::Pool(pool) = self.store(store)?.1 else { return Err(Cond::Mismatch) };
        Ok(pool.top().map(front_of))
    }

    /// The header of the most recently freed cell of a pool, the next to be handed out, if there is one.
    ///
    /// # Errors
    ///
    /// As for [`top`](Self::top).
    pub fn bottom(&self, store: Handle) -> Result<Option<usize>, Cond> {
        let Any::Pool(pool) = self.store(store)?.1 else { return Err(Cond::Mismatch) };
        Ok(pool.bottom().map(front_of))
    }

    /// Where a pool's handed-out cells are: a run for each block, newest first.
    ///
    /// # Errors
    ///
    /// As for [`top`](Self::top).
    pub fn runs(&self, store: Handle, visit: &mut dyn FnMut(Run)) -> Result<(), Cond> {
        let Any::Pool(pool) = self.store(store)?.1 else { return Err(Cond::Mismatch) };
        pool.runs().for_each(visit);
        Ok(())
    }

    /// Walks a store's pieces, as [`inspect`](kmem::inspect) tells them. Of a block that holds a counted cell
    /// is told what its own front says: where the payload of that cell is, its references and its source.
    ///
    /// # Errors
    ///
    /// As for [`store_kind`](Self::store_kind).
    pub fn inspect(&self, store: Handle, visit: &mut dyn FnMut(&Record)) -> Result<(), Cond> {
        let (number, any) = self.store(store)?;
        any.inspect(&mut |record| {
            let block = record.at + record.header;
            let counted = Some(record.kind)
                .filter(|kind| *kind == Kind::Ref)
                .and_then(|kind| self.held(number, kind, block, record.at + record.len))
                .and_then(|cell| self.cells.get(cell));
            let Some(cell) = counted else { return visit(record) };
            // SAFETY: a counted cell of the table is live.
            unsafe { refs::header(cell.payload) }.inspect(&mut |front| {
                let header = cell.payload.addr().get() - record.at;
                visit(&Record {
                    header,
                    payload: front.payload,
                    refs: front.refs,
                    links: front.links,
                    tainted: front.tainted || record.tainted,
                    ..*record
                });
            });
        });
        Ok(())
    }
}

/// The header in front of a live cell of a heap or region.
fn header<'a>(payload: NonNull<u8>) -> &'a kmem::Cell {
    // SAFETY: callers have the payload of a live cell of a heap or of a region with headers.
    let front = unsafe { payload.cast::<kmem::Cell>().sub(1) };
    // SAFETY: as above; it is only changed through shared references.
    unsafe { front.as_ref() }
}

fn front_of(payload: NonNull<u8>) -> usize {
    payload.addr().get() - size_of::<PoolCell>()
}

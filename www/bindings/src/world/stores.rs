//! Stores: made, emptied, destroyed.

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;

use kmem::inspect::{Inspect, What};
use kmem::{Cond, Fixed, Global, Heap, Lin, MIN_ALIGN, Pages, Pool, Source, Tree};

use super::{Going, Marked, Standing, Under, World};
use crate::slots::Handle;
use crate::store::{Any, Ground};

/// What a pool is to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolPlan {
    /// Bytes of payload in a cell.
    pub cell_size: usize,
    /// Alignment of payloads; 0 for the least.
    pub align: usize,
    /// Cells in the first block; 0 as the pool sees fit.
    pub cells: usize,
    /// The most cells that may be live at once; 0 for as many as there is room for.
    pub limit: usize,
}

/// Bytes of a heap's first chunk: one that is said has all cells between boundary tags, each with its header.
const HEAP: usize = 64 << 10;

impl World {
    /// A heap over pages, in `bytes` of its own (if not 0), or in another store.
    ///
    /// # Errors
    ///
    /// `bad_address` for a source that is no store, `mismatch` for bytes and a source at once, `no_room`.
    pub fn heap_new(&mut self, source: Option<Handle>, bytes: usize) -> Result<Handle, Cond> {
        let (under, ground) = self.ground(source, bytes)?;
        let heap = Heap::new_in(ground);
        self.stand(under, false, Any::Heap(heap.first_block(if bytes > 0 { usize::MAX } else { HEAP })))
    }

    /// A linear region with a first chunk of `capacity` bytes (0 as it sees fit).
    ///
    /// # Errors
    ///
    /// As for [`heap_new`](Self::heap_new).
    pub fn lin_new(&mut self, source: Option<Handle>, bytes: usize, capacity: usize) -> Result<Handle, Cond> {
        let (under, ground) = self.ground(source, bytes)?;
        let lin = Lin::with_headers_in(ground);
        let first = if bytes > 0 { usize::MAX } else { capacity };
        self.stand(under, false, Any::Lin(if first > 0 { lin.first_block(first) } else { lin }))
    }

    /// A pool.
    ///
    /// # Errors
    ///
    /// As for [`heap_new`](Self::heap_new); `bad_size` for cells of an impossible size or alignment.
    pub fn pool_new(&mut self, source: Option<Handle>, bytes: usize, plan: PoolPlan) -> Result<Handle, Cond> {
        let cell = super::layout(plan.cell_size, plan.align)?;
        let (under, ground) = self.ground(source, bytes)?;
        let mut pool = Pool::with_headers_in(cell, ground);
        let first = if bytes > 0 { usize::MAX } else { plan.cells };
        if first > 0 {
            pool = pool.first_cells(first);
        }
        if plan.limit > 0 {
            pool = pool.limit(plan.limit);
        }
        self.stand(under, false, Any::Pool(pool))
    }

    /// A tree. Its nodes are cells of the store that it stands in; where that is none, of a heap that is made
    /// and goes with it.
    ///
    /// # Errors
    ///
    /// As for [`heap_new`](Self::heap_new); `mismatch` for a tree in a tree, whose nodes could not be told apart.
    pub fn tree_new(&mut self, source: Option<Handle>, bytes: usize) -> Result<Handle, Cond> {
        if source.is_some() && bytes > 0 {
            return Err(Cond::Mismatch);
        }
        let owned = if source.is_none() { Some(self.heap_new(None, bytes)?) } else { None };
        let answer = self.tree_in(source.or(owned).ok_or(Cond::FailAssert)?, owned.is_some());
        if let (Err(_), Some(heap)) = (&answer, owned) {
            self.destroy(heap)?;
        }
        answer
    }

    fn tree_in(&mut self, source: Handle, owns: bool) -> Result<Handle, Cond> {
        let (number, any) = self.store(source)?;
        if matches!(any, Any::Tree(_)) {
            return Err(Cond::Mismatch);
        }
        self.stand(Under::Store(number), owns, Any::Tree(Tree::managed_in(any)))
    }

    /// What a new store is to stand in.
    fn ground(&mut self, source: Option<Handle>, bytes: usize) -> Result<(Under, Ground), Cond> {
        match (source, bytes) {
            (None, 0) => Ok((Under::Pages, Ground::Pages(Pages::new()))),
            (Some(source), 0) => {
                let (number, any) = self.store(source)?;
                if matches!(any, Any::Tree(_)) {
                    // The first block would make a root that has no handle.
                    self.root(source)?;
                }
                Ok((Under::Store(number), Ground::Store(any)))
            }
            (Some(_), _) => Err(Cond::Mismatch),
            (None, _) => {
                let block = Source::alloc(&Global, bytes_layout(bytes)?)?;
                // SAFETY: just allocated, this long, and given back by `take_down` alone, when the store has gone.
                let room = unsafe { slice::from_raw_parts_mut(block.cast::<MaybeUninit<u8>>().as_ptr(), bytes) };
                let block = NonNull::slice_from_raw_parts(block.cast(), bytes);
                Ok((Under::Bytes(block), Ground::Bytes(Fixed::new(room))))
            }
        }
    }

    /// Puts a store in its place and gives it a handle.
    fn stand(&mut self, under: Under, owns: bool, any: Any) -> Result<Handle, Cond> {
        let place = self.stores.reserve().and_then(|()| Source::alloc(&Global, Layout::new::<Any>()));
        let place = match place {
            Ok(place) => place.cast::<Any>(),
            Err(cond) => {
                drop(any);
                give_up(under);
                return Err(cond);
            }
        };
        // SAFETY: just allocated for it.
        unsafe { place.write(any) };
        let number = self.stores.insert(Standing { place, under, owns });
        self.stores.handle(number).ok_or(Cond::FailAssert)
    }

    /// The stores that stand in another.
    fn standing_in(&self, source: u32) -> impl Iterator<Item = (u32, Standing)> + '_ {
        let mut number = 0;
        let all = core::iter::from_fn(move || {
            let found = self.stores.from(number)?;
            number = found.0 + 1;
            Some(found)
        });
        all.filter(move |(_, standing)| matches!(standing.under, Under::Store(under) if under == source))
    }

    /// A store for what needs it alone: refused while another stands in it.
    fn sole(&mut self, store: u32) -> Result<&mut Any, Cond> {
        if self.standing_in(store).next().is_some() {
            return Err(Cond::InUse);
        }
        let mut standing = self.stores.get(store).ok_or(Cond::FailAssert)?;
        // SAFETY: it is there as in `any`; no store has a reference to it, and this one borrows the table.
        Ok(unsafe { standing.place.as_mut() })
    }

    /// Tears a store down: all its cells go, wiped where they are tainted.
    ///
    /// # Errors
    ///
    /// `in_use` while another store stands in it, or in the heap that is a tree's own, or if a guard of a tree refuses.
    pub fn destroy(&mut self, store: Handle) -> Result<(), Cond> {
        let (number, standing) = self.stores.find(store)?;
        if let (true, Under::Store(heap)) = (standing.owns, standing.under)
            && self.standing_in(heap).any(|(other, _)| other != number)
        {
            // The heap that goes with it could not go.
            return Err(Cond::InUse);
        }
        let any = self.sole(number)?;
        let answer = any.destroy();
        // A refusal by what it stands in comes after the cells have gone, one by a guard before.
        if any.stats().live == 0 {
            self.all_gone(number);
        }
        answer?;
        self.take_down(number, standing);
        let Under::Store(source) = standing.under else { return Ok(()) };
        match self.stores.handle(source).filter(|_| standing.owns) {
            Some(heap) => self.destroy(heap),
            None => Ok(()),
        }
    }

    /// Frees a store's own memory.
    fn take_down(&mut self, number: u32, standing: Standing) {
        self.stores.remove(number);
        // SAFETY: it is off the table, and no store stands in it.
        unsafe { standing.place.drop_in_place() };
        // SAFETY: allocated with this layout by `stand`. What the heap refused it would keep.
        let _ = unsafe { Source::free(&Global, standing.place.cast(), Layout::new::<Any>()) };
        give_up(standing.under);
    }

    /// Releases every cell of a region or pool and keeps its blocks.
    ///
    /// # Errors
    ///
    /// `mismatch` for a heap or tree, `in_use` while another store stands in it.
    pub fn reset(&mut self, store: Handle) -> Result<(), Cond> {
        let (number, any) = self.store(store)?;
        if !matches!(any, Any::Lin(_) | Any::Pool(_)) {
            return Err(Cond::Mismatch);
        }
        match self.sole(number)? {
            Any::Lin(lin) => lin.reset(),
            Any::Pool(pool) => pool.reset(),
            Any::Heap(_) | Any::Tree(_) => {}
        }
        self.all_gone(number);
        Ok(())
    }

    /// Taints a store: whatever is released in it from now on is wiped.
    ///
    /// # Errors
    ///
    /// `bad_address` for what is no store.
    pub fn taint_store(&self, store: Handle) -> Result<(), Cond> {
        self.store(store)?.1.taint();
        Ok(())
    }

    /// Marks where a region is now.
    ///
    /// # Errors
    ///
    /// `mismatch` for another store, `no_room`.
    pub fn mark(&mut self, store: Handle) -> Result<Handle, Cond> {
        let (number, any) = self.store(store)?;
        let Any::Lin(lin) = any else { return Err(Cond::Mismatch) };
        self.marks.reserve()?;
        let mark = lin.mark()?;
        let slot = self.marks.insert(Marked { mark, store: number, order: self.marked });
        self.marked += 1;
        self.marks.handle(slot).ok_or(Cond::FailAssert)
    }

    /// Where a mark stands in its region.
    ///
    /// # Errors
    ///
    /// `bad_address` for a mark that was passed.
    pub fn mark_address(&self, mark: Handle) -> Result<usize, Cond> {
        Ok(self.marks.find(mark)?.1.mark.address())
    }

    /// Releases all that was allocated in a region since a mark, and the mark; marks after it are passed.
    ///
    /// # Errors
    ///
    /// `bad_address` for a mark of another region or one that was passed, `mismatch` for another store than
    /// a region, `in_use` if a store that stands in the region has taken memory since the mark.
    pub fn rewind(&mut self, store: Handle, mark: Handle) -> Result<(), Cond> {
        let (number, any) = self.store(store)?;
        let Any::Lin(lin) = any else { return Err(Cond::Mismatch) };
        let (_, Marked { mark, store: home, order }) = self.marks.find(mark)?;
        if home != number {
            return Err(Cond::BadAddress);
        }
        let mut going = Going::none();
        // Chunks are told newest first: all that are told before the mark's own go.
        let mut home = None;
        lin.inspect(&mut |record| {
            let end = record.at + record.len;
            match record.what {
                What::Block if (record.at..end).contains(&mark.address()) => home = Some(record.block),
                What::Used if home.is_none_or(|home| home == record.block && record.at > mark.address()) => {
                    let cell = self.held(number, record.kind, record.at + record.header, end);
                    self.goes(&mut going, cell);
                }
                _ => {}
            }
        });
        if going.foreign {
            return Err(Cond::InUse);
        }
        // SAFETY: the cells since the mark are those of the handles that go stale now; no other store has any.
        unsafe { lin.rewind(mark) }?;
        self.gone(&going);
        self.pass_marks(number, order);
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // What stands in another goes before it.
        while let Some((mut number, mut standing)) = self.stores.from(0) {
            while let Some((above, its)) = self.standing_in(number).next() {
                (number, standing) = (above, its);
            }
            self.take_down(number, standing);
        }
    }
}

/// The bytes of a fixed store.
fn bytes_layout(bytes: usize) -> Result<Layout, Cond> {
    Layout::from_size_align(bytes, MIN_ALIGN).map_err(|_| Cond::BadSize)
}

/// Gives back the bytes of a store that has gone, where they were its own.
fn give_up(under: Under) {
    if let Under::Bytes(bytes) = under
        && let Ok(layout) = bytes_layout(bytes.len())
    {
        // SAFETY: allocated with this layout by `ground`, and nothing uses them any more. As in `take_down`.
        let _ = unsafe { Source::free(&Global, bytes.cast(), layout) };
    }
}

//! Walking a pool: for `inspect`, `check` and figures.

use core::ops::Range;
use core::ptr::{self, NonNull};

use super::block::Block;
use super::{Pool, PoolCell};
use crate::cell::{Layer, State};
use crate::inspect::{Freeze, Inspect, Record, Run, What};
use crate::report::rule;
use crate::{Broken, Kind, Source};

impl<S: Source, H: Layer> Pool<S, H> {
    /// The free cells, the next to be handed out first. Meanwhile the pool cannot be used.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let mut pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    /// let (one, other) = (pool.alloc()?.cast(), pool.alloc()?.cast());
    /// // SAFETY: both are live cells, used no more.
    /// unsafe {
    ///     pool.free(one)?;
    ///     pool.free(other)?;
    /// }
    /// assert_eq!(pool.free_cells().collect::<Vec<_>>(), [other, one]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn free_cells(&mut self) -> impl Iterator<Item = NonNull<u8>> + '_ {
        self.free_list()
    }

    /// Where the cells are that were handed out at least once: a run for each block, newest first. Blocks that
    /// wait to be used again come last, with none.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    /// pool.alloc()?;
    /// pool.alloc()?;
    /// assert_eq!(pool.runs().map(|run| run.count).collect::<Vec<_>>(), [2]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let spare = self.spare_blocks().map(|block| (block, block.first()));
        self.blocks().chain(spare).map(|(block, end)| {
            let at = block.first().addr();
            let count = (end.addr() - at) / self.stride;
            Run { block: block.base().addr(), len: block.size(), at, count, stride: self.stride }
        })
    }

    fn free_list(&self) -> impl Iterator<Item = NonNull<u8>> + '_ {
        let mut at = self.bottom.get();
        core::iter::from_fn(move || {
            let payload = self.payload_of(at)?;
            at = Self::next_free(at);
            Some(payload)
        })
    }

    pub(super) fn next_free(cell: *const PoolCell) -> *const PoolCell {
        // SAFETY: a free cell begins with its link.
        unsafe { cell.cast::<*const PoolCell>().read() }
    }

    pub(super) fn count_free(&self) -> usize {
        self.aside.get() + self.free_list().count()
    }

    fn home(&self, address: usize) -> Option<&Block> {
        let holds = |(block, end): &(&Block, *mut u8)| block.first().addr() <= address && address < end.addr();
        self.blocks().find(holds).map(|(block, _)| block)
    }

    /// Proves the pool's structure: blocks, the free list, and every header.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::with_headers_in(Layout::new::<u64>(), Pages::new());
    /// pool.alloc()?;
    /// pool.check().expect("nobody wrote over it");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that does not hold, and where.
    pub fn check(&self) -> Result<(), Broken> {
        let mut handed = 0;
        for (block, end) in self.blocks() {
            let span = end.addr().wrapping_sub(block.first().addr());
            rule(end.addr() <= block.end(self.stride).addr(), "cells lie in their block", end)?;
            rule(span.is_multiple_of(self.stride), "cells are whole", end)?;
            let payload = block.first().addr() + Self::HEADER;
            rule(payload.is_multiple_of(self.align), "payloads are aligned", block.first())?;
            handed += span / self.stride;
        }
        rule(handed == self.handed.get(), "handed-out cells are counted", self.block.get())?;
        let held = self.blocks().map(|(block, _)| block).chain(self.spare_blocks()).map(Block::size).sum();
        rule(self.held.get() == held, "bytes held from the source are counted", self.block.get())?;
        let mut free = 0;
        let mut at = self.bottom.get();
        while !at.is_null() {
            free += 1;
            rule(free <= handed, "the free list has no loop", at)?;
            let block = self.home(at.addr());
            let whole = block.is_some_and(|b| (at.addr() - b.first().addr()).is_multiple_of(self.stride));
            rule(whole, "a free cell is a cell of the pool", at)?;
            if H::HEADERS {
                let state = Self::cell(at).and_then(PoolCell::state);
                rule(matches!(state, Some(State::Free | State::Shredded)), "a free cell says that it is", at)?;
            }
            at = Self::next_free(at);
        }
        if H::HEADERS {
            let mut live = 0;
            self.each_cell(&mut |_, cell| live += usize::from(cell.state() == Some(State::Live)));
            rule(live + free == handed, "a cell is live or free", self.block.get())?;
        }
        Ok(())
    }

    /// Visits the front of every cell that was handed out; only with headers.
    fn each_cell(&self, visit: &mut dyn FnMut(usize, &PoolCell)) {
        for (number, (block, end)) in self.blocks().enumerate() {
            let mut at = block.first();
            while at.addr() < end.addr() {
                if let Some(cell) = Self::cell(at.cast()) {
                    visit(number, cell);
                }
                at = at.wrapping_add(self.stride);
            }
        }
    }
}

/// Free and fresh cells, set aside while a walk shows the pool to somebody's code, so that none of them
/// is handed out. What is freed meanwhile comes in front of them.
struct Aside<'p, S: Source, H: Layer> {
    pool: &'p Pool<S, H>,
    free: *const PoolCell,
    count: usize,
    end: *mut u8,
    _frozen: Freeze<'p>,
}

impl<'p, S: Source, H: Layer> Aside<'p, S, H> {
    fn new(pool: &'p Pool<S, H>) -> Self {
        let count = pool.free_list().count();
        let (free, end) = (pool.bottom.replace(ptr::null()), pool.end.replace(pool.fresh.get()));
        pool.aside.set(pool.aside.get() + count);
        Self { pool, free, count, end, _frozen: Freeze::new(&pool.frozen) }
    }
}

impl<S: Source, H: Layer> Drop for Aside<'_, S, H> {
    fn drop(&mut self) {
        self.pool.end.set(self.end);
        self.pool.aside.set(self.pool.aside.get() - self.count);
        let mut last = self.pool.bottom.get();
        if last.is_null() {
            self.pool.bottom.set(self.free);
            return;
        }
        loop {
            let next = Pool::<S, H>::next_free(last);
            if next.is_null() {
                break;
            }
            last = next;
        }
        // SAFETY: a free cell begins with its link.
        unsafe { last.cast_mut().cast::<*const PoolCell>().write(self.free) };
    }
}

impl<S: Source, H: Layer> Inspect for Pool<S, H> {
    fn kind(&self) -> Kind {
        Kind::Pool
    }

    /// With headers each cell tells what it is. Bare cells do not know: a block's handed-out cells are
    /// one run of `used`, and then those of them that are free are told in the order of their list.
    fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
        let aside = Aside::new(self);
        // Spare blocks come last, with nothing in them.
        let spare = self.spare_blocks().map(|block| (block, block.first()));
        for (number, (block, end)) in self.blocks().chain(spare).enumerate() {
            let piece = |at: *mut u8, to: *mut u8, what| Record {
                block: number,
                ..Record::new(at.addr(), to.addr() - at.addr(), what)
            };
            let (first, last) = (block.first(), block.base().wrapping_add(block.size()));
            visit(&piece(block.base(), last, What::Block));
            visit(&piece(block.base(), first, What::Header));
            if H::HEADERS {
                let mut at = first;
                while at.addr() < end.addr() {
                    if let Some(cell) = Self::cell(at.cast()) {
                        visit(&self.record(number, cell));
                    }
                    at = at.wrapping_add(self.stride);
                }
            } else if end != first {
                visit(&Record { kind: Kind::Pool, payload: self.cellsz, ..piece(first, end, What::Used) });
                Self::each_free_between(aside.free, first.addr()..end.addr(), &mut |at, next| {
                    let links = [next, 0, 0, 0, 0];
                    visit(&Record { block: number, links, ..Record::new(at, self.stride, What::Free) });
                });
            }
            if end != last {
                visit(&piece(end, last, What::Fresh));
            }
        }
    }
}

impl<S: Source, H: Layer> Pool<S, H> {
    /// Visits the free cells of a list that lie in a range of addresses, in its order, each with the next.
    fn each_free_between(first: *const PoolCell, range: Range<usize>, visit: &mut dyn FnMut(usize, usize)) {
        let mut at = first;
        while !at.is_null() {
            let next = Self::next_free(at);
            if range.contains(&at.addr()) {
                visit(at.addr(), next.addr());
            }
            at = next;
        }
    }

    fn record(&self, block: usize, cell: &PoolCell) -> Record {
        let what = match cell.state() {
            Some(State::Live) => What::Used,
            Some(State::Shredded) => What::Shredded,
            _ => What::Free,
        };
        Record {
            block,
            kind: Kind::from_number(cell.kind.get()).unwrap_or(Kind::Fail),
            header: Self::HEADER,
            payload: self.cellsz,
            tainted: what == What::Used && cell.is_tainted(),
            links: [cell.last.get().addr(), 0, 0, 0, 0],
            ..Record::new(ptr::from_ref(cell).addr(), self.stride, what)
        }
    }
}

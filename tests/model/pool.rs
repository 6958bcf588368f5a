//! A pool beside its model, which predicts every answer.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::BTreeMap;

use kmem::inspect::{Inspect, What};
use kmem::{Bare, Cond, Found, Headers, Kind, Layer, MIN_ALIGN, Pool, Source, Store};

use super::cells::Cells;
use super::dice::Dice;
use super::world::{World, impossible, refused, understand};

/// What pools with and without headers do under other signatures.
pub trait Face {
    /// Whether it knows its cells.
    const KNOWS: bool;
    unsafe fn give(&self, at: NonNull<u8>) -> Result<(), Cond>;
    #[cfg(feature = "shred")]
    unsafe fn wipe(&self, at: NonNull<u8>) -> Result<(), Cond>;
    unsafe fn change(&self, at: NonNull<u8>, size: usize) -> Result<NonNull<[u8]>, Cond>;
    fn find(&self, at: NonNull<u8>) -> Result<Found, Cond>;
    #[cfg(feature = "shred")]
    fn mark_tainted(&self, at: NonNull<u8>) -> Result<(), Cond>;
}

impl<S: Source> Face for Pool<S, Bare> {
    const KNOWS: bool = false;

    unsafe fn give(&self, at: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.free(at) }
    }

    #[cfg(feature = "shred")]
    unsafe fn wipe(&self, at: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.shred(at) }
    }

    unsafe fn change(&self, at: NonNull<u8>, size: usize) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.resize(at, size) }
    }

    fn find(&self, _: NonNull<u8>) -> Result<Found, Cond> {
        unreachable!("a bare pool knows no cells")
    }

    #[cfg(feature = "shred")]
    fn mark_tainted(&self, _: NonNull<u8>) -> Result<(), Cond> {
        unreachable!("a bare pool knows no cells")
    }
}

impl<S: Source> Face for Pool<S, Headers> {
    const KNOWS: bool = true;

    unsafe fn give(&self, at: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.free(at) }
    }

    #[cfg(feature = "shred")]
    unsafe fn wipe(&self, at: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.shred(at) }
    }

    unsafe fn change(&self, at: NonNull<u8>, size: usize) -> Result<NonNull<[u8]>, Cond> {
        self.resize(at, size)
    }

    fn find(&self, at: NonNull<u8>) -> Result<Found, Cond> {
        self.locate(at)
    }

    #[cfg(feature = "shred")]
    fn mark_tainted(&self, at: NonNull<u8>) -> Result<(), Cond> {
        self.taint_cell(at)
    }
}

pub struct PoolWorld<S: Source, H: Layer> {
    pool: Pool<S, H>,
    cells: Cells<()>,
    cell: Layout,
    /// Released cells, the newest last: it is the next to be handed out.
    free: Vec<NonNull<u8>>,
    /// The newest cell that was fresh when it was handed out.
    top: Option<NonNull<u8>>,
    limit: usize,
    goal: usize,
}

impl<S: Source, H: Layer> PoolWorld<S, H>
where
    Pool<S, H>: Face,
{
    /// A model of a pool for `cell`, which was made with this limit.
    pub fn new(pool: Pool<S, H>, cell: Layout, limit: usize, goal: usize) -> Self {
        Self { pool, cells: Cells::new(), cell, free: Vec::new(), top: None, limit, goal }
    }

    fn alloc(&mut self, dice: &mut Dice) {
        let zeroed = dice.one_in(3);
        // As a source the pool takes what fits.
        let smaller = Layout::from_size_align(dice.below(self.cell.size() + 1), self.cell.align()).expect("smaller");
        let (answer, layout) = match (dice.below(4), zeroed) {
            (0, true) => (Source::alloc_zeroed(&self.pool, smaller), smaller),
            (0, false) => (Source::alloc(&self.pool, smaller), smaller),
            (_, true) => (self.pool.alloc_zeroed(), self.cell),
            (_, false) => (self.pool.alloc(), self.cell),
        };
        match answer {
            Ok(bytes) => {
                assert!(self.cells.len() < self.limit, "more cells than the limit");
                match self.free.pop() {
                    Some(next) => assert_eq!(bytes.cast(), next, "the cell freed last is handed out next"),
                    None => self.top = Some(bytes.cast()),
                }
                self.cells.adopt(bytes, layout, zeroed, ());
            }
            Err(Cond::TooMany) => assert_eq!(self.cells.len(), self.limit, "too_many before the limit"),
            Err(cond) => {
                assert!(self.free.is_empty(), "{cond} with cells to hand out");
                understand(cond, self.cell, &self.pool, self.pool.source());
            }
        }
    }

    fn free(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = self.cells.remove(index);
        cell.verify();
        self.free.push(cell.at);
        // SAFETY: a live cell of this pool, used no more.
        unsafe {
            #[cfg(feature = "shred")]
            if dice.one_in(4) {
                return self.pool.wipe(cell.at).expect("a live cell is shredded");
            }
            self.pool.give(cell.at).expect("a live cell is freed");
        }
    }

    fn resize(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let (at, size) = (self.cells.list[index].at, dice.below(self.cell.size() * 5 / 4 + 2));
        // SAFETY: a live cell of this pool.
        match unsafe { self.pool.change(at, size) } {
            Ok(bytes) => {
                assert!(size <= self.cell.size() && bytes.cast() == at);
                self.cells.resized(index, bytes, size);
            }
            Err(cond) => assert!(cond == Cond::BadSize && size > self.cell.size(), "{cond} for {size}"),
        }
    }

    fn misuse(&mut self, dice: &mut Dice) {
        let before = self.pool.stats();
        if Pool::<S, H>::KNOWS {
            let wild = self.cells.wild(dice);
            assert_eq!(self.pool.find(wild), Err(Cond::BadAddress), "{wild:?}");
            // SAFETY: all of this is refused before anything is done.
            unsafe {
                assert_eq!(self.pool.give(wild), Err(Cond::BadAddress));
                #[cfg(feature = "shred")]
                assert_eq!(self.pool.wipe(wild), Err(Cond::BadAddress));
                assert_eq!(self.pool.change(wild, 1), Err(Cond::BadAddress));
            }
            #[cfg(feature = "shred")]
            assert_eq!(self.pool.mark_tainted(wild), Err(Cond::BadAddress));
        }
        let large = Layout::from_size_align(self.cell.size() + 64, 1).expect("small enough");
        assert_eq!(Source::alloc(&self.pool, large), Err(Cond::BadSize));
        let aligned = Layout::from_size_align(1, 2 * self.cell.align().max(MIN_ALIGN)).expect("small enough");
        assert_eq!(Source::alloc_zeroed(&self.pool, aligned), Err(Cond::BadSize));
        refused(Source::alloc(&self.pool, impossible(dice)));
        assert_eq!(self.pool.stats(), before, "what was refused changed something");
    }

    fn locate(&mut self, dice: &mut Dice) {
        let Some(cell) = self.cells.any(dice).map(|index| &mut self.cells.list[index]) else { return };
        if !Pool::<S, H>::KNOWS {
            return cell.verify();
        }
        #[cfg(feature = "shred")]
        if dice.one_in(2) {
            self.pool.mark_tainted(cell.at).expect("a live cell");
            cell.tainted = true;
        }
        let found = self.pool.find(cell.at).expect("a live cell is found");
        assert_eq!((found.kind, found.size, found.tainted), (Kind::Pool, self.cell.size(), cell.tainted));
        assert_eq!((found.align, found.destructor), (self.cell.align().max(MIN_ALIGN), false));
    }

    fn everything_went(&mut self) {
        self.cells.clear();
        self.free.clear();
        self.top = None;
    }
}

impl<S: Source, H: Layer> World for PoolWorld<S, H>
where
    Pool<S, H>: Face,
{
    fn step(&mut self, dice: &mut Dice) {
        let (few, many) = (self.cells.len() < self.goal * 4 / 5, self.cells.len() >= self.goal);
        if self.cells.len() < self.goal * 3 / 4 && !dice.one_in(8) {
            self.alloc(dice);
        }
        match dice.below(100) {
            0..=34 if !many => self.alloc(dice),
            0..=70 if !few => self.free(dice),
            0..=70 => self.alloc(dice),
            71..=79 => self.resize(dice),
            80..=88 => self.misuse(dice),
            99 if dice.one_in(40) => {
                self.verify_all();
                let held = self.pool.stats().held;
                self.pool.reset();
                self.everything_went();
                assert_eq!(self.pool.stats().held, held, "reset keeps the blocks");
                if dice.one_in(4) {
                    self.finish();
                }
            }
            _ => self.locate(dice),
        }
        self.cells.verify_some(dice);
    }

    fn check(&mut self) {
        self.pool.check().expect("the pool's structure holds");
        assert_eq!(self.pool.bottom(), self.free.last().copied());
        assert_eq!(self.pool.top(), self.top);
        let stats = self.pool.stats();
        assert_eq!(stats.live, self.cells.len());
        assert!(stats.bytes <= stats.held && stats.bytes <= stats.peak, "{stats:?}");
    }

    fn live(&self) -> usize {
        self.cells.len()
    }

    fn verify_all(&mut self) {
        self.cells.verify_all();
        // The free list, as the cells' own links have it.
        let header = if Pool::<S, H>::KNOWS { size_of::<kmem::PoolCell>() } else { 0 };
        let mut next = BTreeMap::new();
        self.pool.inspect(&mut |record| {
            if matches!(record.what, What::Free | What::Shredded) {
                next.insert(record.at, record.links[0]);
            }
        });
        let mut at = self.pool.bottom().map_or(0, |bottom| bottom.addr().get() - header);
        for free in self.free.iter().rev() {
            assert_eq!(at, free.addr().get() - header, "the free list is not what was freed");
            at = next.remove(&at).expect("a free cell is told");
        }
        assert!(at == 0 && next.is_empty(), "more is free than was freed");
    }

    fn finish(&mut self) {
        self.pool.destroy().expect("the source takes everything back");
        self.everything_went();
        let stats = self.pool.stats();
        assert_eq!((stats.live, stats.bytes, stats.held), (0, 0, 0));
    }
}

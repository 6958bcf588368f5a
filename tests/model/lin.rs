//! A linear region beside its model.

use core::alloc::Layout;
use core::ptr::NonNull;

use kmem::{Bare, Cond, Found, Headers, Kind, Layer, Lin, MIN_ALIGN, Mark, Source, Store};

use super::cells::{Cells, Sizes, layout, size};
use super::dice::Dice;
use super::world::{World, impossible, refused, understand};

/// What regions with and without headers do under other signatures.
pub trait Face {
    /// Whether it knows its cells.
    const KNOWS: bool;
    unsafe fn give(&self, at: NonNull<u8>, layout: Layout) -> Result<(), Cond>;
    #[cfg(feature = "shred")]
    unsafe fn wipe(&self, at: NonNull<u8>, layout: Layout) -> Result<(), Cond>;
    unsafe fn change(&self, at: NonNull<u8>, old: Layout, size: usize) -> Result<NonNull<[u8]>, Cond>;
    fn find(&self, at: NonNull<u8>) -> Result<Found, Cond>;
    #[cfg(feature = "shred")]
    fn mark_tainted(&self, at: NonNull<u8>) -> Result<(), Cond>;
}

impl<S: Source> Face for Lin<S, Bare> {
    const KNOWS: bool = false;

    unsafe fn give(&self, at: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.free(at, layout) }
    }

    #[cfg(feature = "shred")]
    unsafe fn wipe(&self, at: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.shred(at, layout) }
    }

    unsafe fn change(&self, at: NonNull<u8>, old: Layout, size: usize) -> Result<NonNull<[u8]>, Cond> {
        let Ok(new) = Layout::from_size_align(size, old.align()) else { return Err(Cond::BadSize) };
        // SAFETY: the caller's promise.
        unsafe { self.resize(at, old, new) }
    }

    fn find(&self, _: NonNull<u8>) -> Result<Found, Cond> {
        unreachable!("a bare region knows no cells")
    }

    #[cfg(feature = "shred")]
    fn mark_tainted(&self, _: NonNull<u8>) -> Result<(), Cond> {
        unreachable!("a bare region knows no cells")
    }
}

impl<S: Source> Face for Lin<S, Headers> {
    const KNOWS: bool = true;

    unsafe fn give(&self, at: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.free(at) }
    }

    #[cfg(feature = "shred")]
    unsafe fn wipe(&self, at: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.shred(at) }
    }

    unsafe fn change(&self, at: NonNull<u8>, _: Layout, size: usize) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.resize(at, size) }
    }

    fn find(&self, at: NonNull<u8>) -> Result<Found, Cond> {
        self.locate(at)
    }

    #[cfg(feature = "shred")]
    fn mark_tainted(&self, at: NonNull<u8>) -> Result<(), Cond> {
        self.taint_cell(at)
    }
}

pub struct LinWorld<S: Source, H: Layer> {
    lin: Lin<S, H>,
    /// Another region, whose marks are foreign.
    other: Lin<S, H>,
    /// Each with the number of its birth: what was born after a mark goes with it.
    cells: Cells<usize>,
    births: usize,
    marks: Vec<(Mark, usize)>,
    passed: Vec<Mark>,
    sizes: Sizes,
    goal: usize,
    /// Bytes that were asked for since the last reset.
    asked: usize,
}

impl<S: Source, H: Layer> LinWorld<S, H>
where
    Lin<S, H>: Face,
{
    pub fn new(lin: Lin<S, H>, other: Lin<S, H>, sizes: Sizes, goal: usize) -> Self {
        let (cells, marks, passed) = (Cells::new(), Vec::new(), Vec::new());
        Self { lin, other, cells, births: 0, marks, passed, sizes, goal, asked: 0 }
    }

    fn born(&mut self) -> usize {
        self.births += 1;
        self.births
    }

    fn alloc(&mut self, dice: &mut Dice) {
        let (layout, zeroed) = (layout(dice, self.sizes), dice.one_in(3));
        self.alloc_as(layout, zeroed);
    }

    fn alloc_as(&mut self, layout: Layout, zeroed: bool) -> Option<NonNull<u8>> {
        let answer = if zeroed { self.lin.alloc_zeroed(layout) } else { self.lin.alloc(layout) };
        self.asked += layout.size().min(1000);
        match answer {
            Ok(bytes) => {
                let born = self.born();
                self.cells.adopt(bytes, layout, zeroed, born);
                Some(bytes.cast())
            }
            Err(cond) => {
                understand(cond, layout, &self.lin, self.lin.source());
                // Soon time for a reset.
                self.asked += 50_000;
                None
            }
        }
    }

    fn release(&mut self, index: usize, shred: bool) {
        let cell = self.cells.remove(index);
        cell.verify();
        // SAFETY: a live cell of this region, used no more.
        unsafe {
            #[cfg(feature = "shred")]
            if shred {
                return self.lin.wipe(cell.at, cell.layout).expect("a live cell is shredded");
            }
            let _ = shred;
            self.lin.give(cell.at, cell.layout).expect("a live cell is freed");
        }
    }

    fn free(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        self.release(index, dice.one_in(4));
    }

    /// A newest cell that is released leaves its place to the next one like it.
    fn rewind_newest(&mut self, dice: &mut Dice) {
        let layout = layout(dice, Sizes::Small);
        let Some(first) = self.alloc_as(layout, false) else { return };
        self.release(self.cells.len() - 1, dice.one_in(2));
        let zeroed = dice.one_in(2);
        assert_eq!(self.alloc_as(layout, zeroed), Some(first), "the newest cell was not rewound");
        // And it shrinks and grows where it is.
        for size in [layout.size() / 2, layout.size()] {
            let cell = self.cells.list.last().expect("just allocated");
            // SAFETY: a live cell of this region.
            let bytes = unsafe { self.lin.change(cell.at, cell.layout, size) }.expect("there is room");
            assert_eq!(bytes.cast(), first, "the newest cell moved");
            self.cells.resized(self.cells.len() - 1, bytes, size);
        }
    }

    fn resize(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = &self.cells.list[index];
        let near = (cell.layout.size() + dice.below(64)).saturating_sub(32);
        let size = if dice.below(2) == 0 { near } else { size(dice, self.sizes) };
        let (old, new) = (cell.layout, Layout::from_size_align(size, cell.layout.align()).expect("small enough"));
        self.asked += size.min(1000);
        // SAFETY: a live cell of this region.
        match unsafe { self.lin.change(cell.at, old, size) } {
            Ok(bytes) => {
                let moved = bytes.cast() != cell.at;
                assert!(!moved || size > old.size(), "a cell that shrinks stays where it is");
                self.cells.resized(index, bytes, size);
                if moved {
                    self.cells.list[index].more = self.born();
                }
            }
            Err(cond) => {
                cell.verify();
                understand(cond, new, &self.lin, self.lin.source());
            }
        }
    }

    fn mark(&mut self) {
        match self.lin.mark() {
            Ok(mark) => self.marks.push((mark, self.births)),
            Err(cond) => understand(cond, Layout::new::<[usize; 4]>(), &self.lin, self.lin.source()),
        }
    }

    fn rewind(&mut self, dice: &mut Dice) {
        let Some(depth) = self.marks.len().checked_sub(1 + dice.below(2)) else { return };
        let (mark, births) = self.marks[depth];
        self.cells.list.iter().filter(|cell| cell.more > births).for_each(|cell| cell.verify());
        // SAFETY: the model uses nothing that was allocated since.
        unsafe { self.lin.rewind(mark) }.expect("a mark that was not passed");
        self.passed.extend(self.marks.drain(depth..).map(|(mark, _)| mark));
        for index in (0..self.cells.len()).rev() {
            if self.cells.list[index].more > births {
                self.cells.remove(index);
            }
        }
    }

    /// A passed, stale or foreign mark is refused.
    fn rewind_wrongly(&mut self, dice: &mut Dice) {
        let before = self.lin.stats();
        if !self.passed.is_empty() {
            // SAFETY: refused before anything is done.
            assert_eq!(unsafe { self.lin.rewind(dice.pick(&self.passed)) }, Err(Cond::BadAddress));
        }
        if let Ok(foreign) = self.other.mark() {
            // SAFETY: as above.
            assert_eq!(unsafe { self.lin.rewind(foreign) }, Err(Cond::BadAddress));
            self.other.reset();
        }
        assert_eq!(self.lin.stats(), before);
        self.passed.truncate(100);
    }

    fn misuse(&mut self, dice: &mut Dice) {
        let before = self.lin.stats();
        if Lin::<S, H>::KNOWS {
            let wild = self.cells.wild(dice);
            assert_eq!(self.lin.find(wild), Err(Cond::BadAddress), "{wild:?}");
            // SAFETY: all of this is refused before anything is done.
            unsafe {
                let layout = Layout::new::<u8>();
                assert_eq!(self.lin.give(wild, layout), Err(Cond::BadAddress));
                #[cfg(feature = "shred")]
                assert_eq!(self.lin.wipe(wild, layout), Err(Cond::BadAddress));
                assert_eq!(self.lin.change(wild, layout, 8), Err(Cond::BadAddress));
            }
            #[cfg(feature = "shred")]
            assert_eq!(self.lin.mark_tainted(wild), Err(Cond::BadAddress));
        }
        let large = impossible(dice);
        refused(self.lin.alloc(large));
        refused(self.lin.alloc_zeroed(large));
        if let Some(index) = self.cells.any(dice) {
            let cell = &self.cells.list[index];
            // SAFETY: a live cell, and too large a size.
            refused(unsafe { self.lin.change(cell.at, cell.layout, large.size()) });
            cell.verify();
        }
        assert_eq!(self.lin.stats(), before, "what was refused changed something");
    }

    fn locate(&mut self, dice: &mut Dice) {
        let Some(cell) = self.cells.any(dice).map(|index| &mut self.cells.list[index]) else { return };
        if !Lin::<S, H>::KNOWS {
            return cell.verify();
        }
        #[cfg(feature = "shred")]
        if dice.one_in(2) {
            self.lin.mark_tainted(cell.at).expect("a live cell");
            cell.tainted = true;
        }
        let found = self.lin.find(cell.at).expect("a live cell is found");
        assert_eq!((found.kind, found.size, found.tainted), (Kind::Lin, cell.layout.size(), cell.tainted));
        assert_eq!((found.align, found.destructor), (cell.layout.align().max(MIN_ALIGN), false));
    }

    fn reset(&mut self) {
        let held = self.lin.stats().held;
        self.lin.reset();
        assert_eq!(self.lin.stats().held, held, "reset keeps the chunks");
        self.everything_went();
    }

    fn everything_went(&mut self) {
        self.cells.clear();
        self.passed.extend(self.marks.drain(..).map(|(mark, _)| mark));
        self.asked = 0;
        assert_eq!((self.lin.stats().live, self.lin.stats().bytes), (0, 0));
    }
}

impl<S: Source, H: Layer> World for LinWorld<S, H>
where
    Lin<S, H>: Face,
{
    fn step(&mut self, dice: &mut Dice) {
        let (few, many) = (self.cells.len() < self.goal * 4 / 5, self.cells.len() >= self.goal);
        // What was released older comes back only so.
        if self.asked > 300_000 && dice.one_in(10) {
            self.verify_all();
            if dice.one_in(8) { self.finish() } else { self.reset() }
        }
        if self.cells.len() < self.goal * 3 / 4 && !dice.one_in(8) {
            self.alloc(dice);
        }
        match dice.below(100) {
            0..=34 if !many => self.alloc(dice),
            0..=56 if !few => self.free(dice),
            0..=56 => self.alloc(dice),
            57..=74 => self.resize(dice),
            75..=77 => self.mark(),
            78 => self.rewind(dice),
            79..=80 => self.rewind_wrongly(dice),
            81..=88 => self.misuse(dice),
            89..=93 => self.rewind_newest(dice),
            _ => self.locate(dice),
        }
        self.cells.verify_some(dice);
    }

    fn check(&mut self) {
        self.lin.check().expect("the region's structure holds");
        let stats = self.lin.stats();
        if Lin::<S, H>::KNOWS {
            assert_eq!(stats.live, self.cells.len());
        }
        let least: usize = self.cells.list.iter().map(|cell| cell.layout.size()).sum();
        assert!(least <= stats.bytes && stats.bytes <= stats.held && stats.bytes <= stats.peak, "{least} in {stats:?}");
    }

    fn live(&self) -> usize {
        self.cells.len()
    }

    fn verify_all(&mut self) {
        self.cells.verify_all();
    }

    fn finish(&mut self) {
        self.lin.destroy().expect("the source takes everything back");
        self.everything_went();
        assert_eq!(self.lin.stats().held, 0);
        // Nor does anything that the other region held: the newest of two in one source goes first.
        self.other.destroy().expect("the source takes everything back");
    }
}

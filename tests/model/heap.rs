//! A heap beside its model.

use core::alloc::Layout;

use kmem::{Cond, Heap, Kind, MIN_ALIGN, Source, Store};

use super::cells::{Cells, Sizes, layout, size};
use super::dice::Dice;
use super::world::{World, impossible, refused, understand};

pub struct HeapWorld<S: Source> {
    heap: Heap<S>,
    cells: Cells<()>,
    sizes: Sizes,
    goal: usize,
}

impl<S: Source> HeapWorld<S> {
    pub fn new(heap: Heap<S>, sizes: Sizes, goal: usize) -> Self {
        Self { heap, cells: Cells::new(), sizes, goal }
    }

    fn alloc(&mut self, dice: &mut Dice) {
        let (layout, zeroed) = (layout(dice, self.sizes), dice.one_in(3));
        let answer = if zeroed { self.heap.alloc_zeroed(layout) } else { self.heap.alloc(layout) };
        match answer {
            Ok(bytes) => drop(self.cells.adopt(bytes, layout, zeroed, ())),
            Err(cond) => understand(cond, layout, &self.heap, self.heap.source()),
        }
    }

    fn free(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = self.cells.remove(index);
        cell.verify();
        // SAFETY: a live cell of this heap, used no more.
        unsafe {
            #[cfg(feature = "shred")]
            if dice.one_in(4) {
                return self.heap.shred(cell.at).expect("a live cell is shredded");
            }
            match dice.below(2) {
                0 => self.heap.free(cell.at),
                _ => Source::free(&self.heap, cell.at, cell.layout),
            }
            .expect("a live cell is freed");
        }
    }

    fn resize(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = &self.cells.list[index];
        let near = (cell.layout.size() + dice.below(64)).saturating_sub(32);
        let size = if dice.below(2) == 0 { near } else { size(dice, self.sizes) };
        let new = Layout::from_size_align(size, cell.layout.align()).expect("small enough");
        // SAFETY: a live cell of this heap.
        match unsafe { self.heap.resize(cell.at, size) } {
            Ok(bytes) => self.cells.resized(index, bytes, size),
            Err(cond) => {
                cell.verify();
                understand(cond, new, &self.heap, self.heap.source());
            }
        }
    }

    #[cfg(feature = "shred")]
    fn taint(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        self.heap.taint_cell(self.cells.list[index].at).expect("a live cell");
        self.cells.list[index].tainted = true;
    }

    fn misuse(&mut self, dice: &mut Dice) {
        let before = self.heap.stats();
        let wild = self.cells.wild(dice);
        assert_eq!(self.heap.locate(wild), Err(Cond::BadAddress), "{wild:?}");
        // SAFETY: all of this is refused before anything is done.
        unsafe {
            assert_eq!(self.heap.free(wild), Err(Cond::BadAddress), "{wild:?}");
            #[cfg(feature = "shred")]
            assert_eq!(self.heap.shred(wild), Err(Cond::BadAddress));
            assert_eq!(self.heap.resize(wild, 8), Err(Cond::BadAddress));
        }
        #[cfg(feature = "shred")]
        assert_eq!(self.heap.taint_cell(wild), Err(Cond::BadAddress));
        let large = impossible(dice);
        refused(self.heap.alloc(large));
        refused(self.heap.alloc_zeroed(large));
        if let Some(index) = self.cells.any(dice) {
            // SAFETY: a live cell, and too large a size.
            refused(unsafe { self.heap.resize(self.cells.list[index].at, large.size()) });
            self.cells.list[index].verify();
        }
        assert_eq!(self.heap.stats(), before, "what was refused changed something");
    }

    fn locate(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = &self.cells.list[index];
        let found = self.heap.locate(cell.at).expect("a live cell is found");
        assert_eq!((found.kind, found.size), (Kind::Heap, cell.layout.size()));
        assert_eq!((found.align, found.destructor), (cell.layout.align().max(MIN_ALIGN), false));
        assert_eq!(found.tainted, cell.tainted);
    }
}

impl<S: Source> World for HeapWorld<S> {
    fn step(&mut self, dice: &mut Dice) {
        let (few, many) = (self.cells.len() < self.goal * 4 / 5, self.cells.len() >= self.goal);
        if self.cells.len() < self.goal * 3 / 4 && !dice.one_in(8) {
            self.alloc(dice);
        }
        match dice.below(100) {
            0..=31 if !many => self.alloc(dice),
            0..=62 if !few => self.free(dice),
            0..=62 => self.alloc(dice),
            63..=82 => self.resize(dice),
            83..=90 => self.misuse(dice),
            #[cfg(feature = "shred")]
            91..=93 => self.taint(dice),
            99 if dice.one_in(60) => {
                self.verify_all();
                self.finish();
            }
            _ => self.locate(dice),
        }
        self.cells.verify_some(dice);
    }

    fn check(&mut self) {
        self.heap.check().expect("the heap's structure holds");
        let stats = self.heap.stats();
        assert_eq!(stats.live, self.cells.len());
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
        self.heap.destroy().expect("the source takes everything back");
        self.cells.clear();
        let stats = self.heap.stats();
        assert_eq!((stats.live, stats.bytes, stats.held), (0, 0, 0));
    }
}

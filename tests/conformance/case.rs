//! One run of a scenario: a store, the source below it, and the cells that were taken.
//!
//! After every operation everything is proved: the structures of store and source, that every cell
//! still holds its pattern, and that what `inspect` tells covers the memory and agrees with `stats`.

use std::alloc::Layout;
use std::ptr::NonNull;

use kmem::inspect::{Record, What};
use kmem::{Cond, Kind, MIN_ALIGN, Stats};

use crate::common::{differs, layout, write_pattern};
use crate::subject::{Given, Shape, Subject};

/// A cell that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub at: NonNull<u8>,
    pub layout: Layout,
    seed: u64,
}

impl Held {
    fn is_whole(&self) -> bool {
        differs(self.at, self.layout.size(), self.seed).is_none()
    }
}

/// What a failed call must leave as it was.
#[derive(Debug, PartialEq)]
pub struct Snapshot {
    stats: Stats,
    records: Vec<Record>,
    out: Option<(usize, usize)>,
}

pub struct Case<'a> {
    pub store: &'a mut dyn Subject,
    pub source: &'a dyn Given,
    pub shape: Shape,
    pub cells: Vec<Held>,
    seed: u64,
}

impl<'a> Case<'a> {
    pub fn new(store: &'a mut dyn Subject, source: &'a dyn Given, shape: Shape) -> Self {
        Self { store, source, shape, cells: Vec::new(), seed: 0 }
    }

    /// A layout within what the store can do.
    pub fn possible(&self, size: usize, align: usize) -> Layout {
        layout(size.min(self.shape.largest), align.min(self.shape.align))
    }

    /// Takes a cell and writes its pattern to it; gives its number.
    pub fn take(&mut self, layout: Layout) -> usize {
        self.try_take(layout).unwrap_or_else(|cond| panic!("{layout:?}: {cond}"))
    }

    pub fn try_take(&mut self, layout: Layout) -> Result<usize, Cond> {
        let bytes = self.store.alloc(layout)?;
        Ok(self.keep(bytes, layout))
    }

    /// Takes a cell that must be zero.
    pub fn take_zeroed(&mut self, layout: Layout) -> usize {
        let bytes = self.store.alloc_zeroed(layout).unwrap_or_else(|cond| panic!("{layout:?}: {cond}"));
        let at = bytes.cast::<u8>();
        let dirty = (0..layout.size()).find(|number| unsafe { at.add(*number).read() } != 0);
        assert_eq!(dirty, None, "{layout:?} is zero");
        self.keep(bytes, layout)
    }

    /// Takes a cell as a store takes its blocks.
    pub fn take_granted(&mut self, layout: Layout) -> usize {
        let grant = self.store.grant(layout).unwrap_or_else(|cond| panic!("{layout:?}: {cond}"));
        let (at, len) = (grant.bytes.cast::<u8>(), grant.bytes.len());
        if grant.zeroed {
            let dirty = (0..len).find(|number| unsafe { at.add(*number).read() } != 0);
            assert_eq!(dirty, None, "what is known to be zero is zero");
        }
        // All of them may be used.
        unsafe { at.write_bytes(0x5a, len) };
        self.keep(grant.bytes, layout)
    }

    fn keep(&mut self, bytes: NonNull<[u8]>, layout: Layout) -> usize {
        let at = bytes.cast::<u8>();
        assert!(bytes.len() >= layout.size(), "a cell is as long as was asked: {} for {layout:?}", bytes.len());
        let align = layout.align().max(MIN_ALIGN);
        assert!(at.addr().get().is_multiple_of(align), "{at:p} is aligned for {layout:?}");
        for cell in &self.cells {
            let (a, b) = (at.addr().get(), cell.at.addr().get());
            // A cell of size 0 has a byte of its own: its address.
            let apart = a + layout.size().max(1) <= b || b + cell.layout.size().max(1) <= a;
            assert!(apart, "{at:p} of {layout:?} lies apart from {cell:?}");
        }
        self.seed += 1;
        write_pattern(at, 0..layout.size(), self.seed);
        self.cells.push(Held { at, layout, seed: self.seed });
        self.verify();
        self.cells.len() - 1
    }

    /// Keeps a cell that was taken elsewhere, and may leave the look at all the others for later.
    pub fn adopt(&mut self, bytes: NonNull<[u8]>, layout: Layout, thorough: bool) {
        if thorough {
            self.keep(bytes, layout);
            return;
        }
        let at = bytes.cast::<u8>();
        self.seed += 1;
        write_pattern(at, 0..layout.size(), self.seed);
        self.cells.push(Held { at, layout, seed: self.seed });
        self.verify_structure();
    }

    fn take_out(&mut self, number: usize) -> Held {
        let cell = self.cells.swap_remove(number);
        assert!(cell.is_whole(), "{cell:?} holds what was written");
        cell
    }

    /// Gives a cell back; the last one has its number then.
    pub fn give(&mut self, number: usize) {
        let cell = self.take_out(number);
        unsafe { self.store.free(cell.at, cell.layout) }.expect("a live cell is taken back");
        self.verify();
    }

    /// Has a cell's bytes destroyed.
    #[cfg(feature = "shred")]
    pub fn shred(&mut self, number: usize) -> Held {
        let cell = self.take_out(number);
        unsafe { self.store.shred(cell.at, cell.layout) }.expect("a live cell is shredded");
        self.verify();
        cell
    }

    /// Grows or shrinks a cell.
    pub fn resize(&mut self, number: usize, size: usize) -> Result<(), Cond> {
        let cell = self.cells[number];
        let new = layout(size, cell.layout.align());
        let bytes = unsafe { self.store.resize(cell.at, cell.layout, new) }?;
        let at = bytes.cast::<u8>();
        assert!(bytes.len() >= size, "a resized cell is as long as was asked");
        let align = new.align().max(MIN_ALIGN);
        assert!(at.addr().get().is_multiple_of(align), "a resized cell is aligned as before");
        let kept = cell.layout.size().min(size);
        assert_eq!(differs(at, kept, cell.seed), None, "{cell:?} resized to {size} keeps its bytes");
        write_pattern(at, kept..size, cell.seed);
        self.cells[number] = Held { at, layout: new, seed: cell.seed };
        self.verify();
        Ok(())
    }

    /// Gives every cell back, the newest last.
    pub fn give_all(&mut self) {
        while !self.cells.is_empty() {
            self.give(0);
        }
    }

    /// Destroys the store with all its cells.
    pub fn destroy(&mut self) {
        self.store.destroy().expect("the source takes its blocks back");
        self.cells.clear();
        self.verify();
        if !self.shape.keeps {
            assert_eq!(self.source.out().unwrap_or_default(), (0, 0), "a destroyed store holds nothing");
        }
        let stats = self.store.stats();
        assert_eq!((stats.live, stats.bytes, stats.held), (0, 0, 0), "a destroyed store says so");
    }

    /// Takes every cell back at once where the store can, else one by one.
    pub fn reset(&mut self) -> bool {
        let reset = self.store.reset();
        if reset {
            self.cells.clear();
            let stats = self.store.stats();
            assert_eq!((stats.live, stats.bytes), (0, 0), "a store that was reset has no cells");
        } else {
            self.give_all();
        }
        self.verify();
        reset
    }

    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        self.store.inspect(&mut |record| records.push(*record));
        records
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot { stats: self.store.stats(), records: self.records(), out: self.source.out() }
    }

    /// Proves everything.
    pub fn verify(&self) {
        self.verify_structure();
        for cell in &self.cells {
            assert!(cell.is_whole(), "{cell:?} holds what was written");
        }
        self.verify_inspection();
    }

    /// Proves store and source, which is quicker.
    pub fn verify_structure(&self) {
        self.store.check().unwrap_or_else(|broken| panic!("{broken}"));
        self.source.prove();
    }

    fn verify_inspection(&self) {
        let (stats, records) = (self.store.stats(), self.records());
        assert!(stats.held >= stats.bytes && stats.peak >= stats.bytes, "{stats:?}");
        if self.store.kind() == Kind::Tree {
            return self.verify_nodes(&stats, &records);
        }
        self.verify_blocks(&records);
        let sum = |what: What| records.iter().filter(|r| r.what == what).map(|r| r.len).sum::<usize>();
        let count = |what: What| records.iter().filter(|r| r.what == what).count();
        assert_eq!(sum(What::Block), stats.held, "the blocks that are told are those that are held");
        let kinds = records.iter().filter(|r| r.what == What::Used).all(|r| r.kind == self.store.kind());
        assert!(kinds, "a used cell is of the store's kind");
        let live = match (self.store.kind(), self.store.tells_cells()) {
            (Kind::Lin, false) => {
                assert_eq!(sum(What::Used), stats.bytes, "the runs that are told are the bytes that are live");
                assert_eq!(count(What::Used), stats.live, "every block with cells is told");
                return;
            }
            (Kind::Lin, true) => {
                let holes = sum(What::Hole) + sum(What::Shredded) + sum(What::Mark);
                assert_eq!(sum(What::Used) + holes, stats.bytes, "cells and holes are the bytes before the cursor");
                count(What::Used)
            }
            (Kind::Pool, false) => {
                let free = records.iter().find(|r| r.what == What::Free).map_or(1, |r| r.len);
                assert_eq!(sum(What::Used) - sum(What::Free), stats.bytes, "handed out and not free is live");
                assert!(sum(What::Used).is_multiple_of(free), "free cells are as large as all cells");
                assert_eq!(stats.live, self.cells.len(), "live cells are counted");
                return;
            }
            _ => {
                assert_eq!(sum(What::Used), stats.bytes, "the cells that are told are the bytes that are live");
                count(What::Used)
            }
        };
        assert_eq!((live, stats.live), (self.cells.len(), self.cells.len()), "live cells are counted");
        self.verify_payloads(&records, |_| true);
    }

    /// Every used record is a cell that was taken.
    fn verify_payloads(&self, records: &[Record], is_cell: impl Fn(&Record) -> bool) {
        let pool = self.store.kind() == Kind::Pool;
        for record in records.iter().filter(|r| r.what == What::Used && is_cell(r)) {
            let payload = record.at + record.header;
            let cell = self.cells.iter().find(|cell| cell.at.addr().get() == payload);
            let cell = cell.unwrap_or_else(|| panic!("{record:?} is a cell that was taken"));
            let fits = if pool { record.payload >= cell.layout.size() } else { record.payload == cell.layout.size() };
            assert!(fits, "{record:?} has the size of {cell:?}");
            assert!(record.header + record.payload <= record.len, "{record:?} holds its header and payload");
        }
    }

    /// The pieces of each block fill it without gaps; each block is one of the source's.
    fn verify_blocks(&self, records: &[Record]) {
        let overlay = |r: &Record| r.what == What::Free && !self.store.tells_cells();
        let mut at = 0;
        let mut end = 0;
        let mut number = None;
        for record in records.iter().filter(|r| !overlay(r)) {
            if record.what == What::Block {
                assert_eq!(at, end, "pieces fill their block");
                (at, end, number) = (record.at, record.at + record.len, Some(record.block));
                let out = self.source.block_around(record.at, record.len);
                assert!(out.is_some(), "{record:?} lies in a block of the source");
                continue;
            }
            assert_eq!(record.at, at, "{record:?} begins where the piece before it ends");
            assert_eq!(Some(record.block), number, "{record:?} names its block");
            at += record.len;
            assert!(at <= end, "{record:?} lies in its block");
        }
        assert_eq!(at, end, "pieces fill the last block");
        for free in records.iter().filter(|r| overlay(r)) {
            let run = |r: &Record| r.what == What::Used && r.at <= free.at && free.at + free.len <= r.at + r.len;
            assert!(records.iter().any(run), "{free:?} lies among the cells that were handed out");
        }
    }

    /// The nodes of a tree lie apart, each in a block of the source.
    fn verify_nodes(&self, stats: &Stats, records: &[Record]) {
        let mut spans: Vec<_> = records.iter().map(|r| (r.at, r.at + r.len)).collect();
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "nodes lie apart");
        let mut bytes = 0;
        for record in records {
            assert_eq!((record.what, record.kind), (What::Used, Kind::Tree));
            assert!(self.source.block_around(record.at, record.len).is_some(), "{record:?} lies in a block");
            assert_eq!(record.depth > 0, record.links[0] != 0, "all but the root have a parent");
            let taken = self.cells.iter().find(|cell| cell.at.addr().get() == record.at + record.header);
            let align = taken.map_or(1, |cell| cell.layout.align()).max(self.store.least_align());
            // An over-aligned payload has a gap before its header.
            bytes += record.len + record.header.next_multiple_of(align) - record.header;
        }
        assert_eq!(bytes, stats.bytes, "the nodes that are told are the bytes that are live");
        assert_eq!((records.len(), bytes), (stats.live, stats.held), "and all that is held");
        let root = usize::from(!records.is_empty());
        assert_eq!(stats.live, self.cells.len() + root, "live nodes are counted");
        self.verify_payloads(records, |record| record.depth > 0);
    }
}

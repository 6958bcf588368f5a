//! Random actions against a naive model: what each must answer, which handles it leaves, what is in the cells.
#![allow(clippy::undocumented_unsafe_blocks, reason = "cells are read and written as long as the model knows them")]

#[path = "model/act.rs"]
mod act;
#[path = "model/prove.rs"]
mod prove;

use std::collections::BTreeMap;

use kmem::{Cond, Kind};
use kmem_js::{Handle, World};
use proptest::prelude::*;

/// A store, as the model knows it.
struct Store {
    handle: Handle,
    kind: Kind,
    /// The number of the store that it was made in.
    source: Option<usize>,
    tainted: bool,
    /// A pool's.
    cell_size: usize,
    /// Nothing but the machine's memory bounds it.
    boundless: bool,
}

/// A live cell, as the model knows it.
struct Cell {
    handle: Handle,
    store: usize,
    kind: Kind,
    bytes: Vec<u8>,
    tainted: bool,
    /// Of a node: its parent and its place among the children; the root has none.
    parent: Option<u64>,
    place: u64,
    guarded: bool,
    /// Of a counted cell.
    refs: usize,
    /// In a region: a later cell has a greater one.
    order: u64,
}

/// A mark, as the model knows it.
struct Mark {
    handle: Handle,
    store: usize,
    order: u64,
}

#[derive(Default)]
struct Model {
    world: World,
    stores: BTreeMap<usize, Store>,
    cells: BTreeMap<u64, Cell>,
    marks: Vec<Mark>,
    /// What was named by handles once.
    gone: Vec<Handle>,
    /// Counts up.
    clock: u64,
}

/// An action and three numbers that it makes of what it will.
type Roll = (u8, u16, u16, u16);

impl Model {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// A store that is there, by a number.
    fn some_store(&self, roll: u16) -> Option<usize> {
        let count = self.stores.len();
        self.stores.keys().copied().nth(usize::from(roll).checked_rem(count)?)
    }

    /// A cell that is there, by a number.
    fn some_cell(&self, roll: u16) -> Option<u64> {
        let count = self.cells.len();
        self.cells.keys().copied().nth(usize::from(roll).checked_rem(count)?)
    }

    /// Whether a store stands in another.
    fn is_source(&self, store: usize) -> bool {
        self.stores.values().any(|other| other.source == Some(store))
    }

    /// Whether a cell is a tree's root.
    fn is_root(cell: &Cell) -> bool {
        cell.kind == Kind::Tree && cell.parent.is_none()
    }

    /// A node and all below it.
    fn subtree(&self, top: u64) -> Vec<u64> {
        let mut all = vec![top];
        let mut at = 0;
        while let Some(&node) = all.get(at) {
            all.extend(self.cells.iter().filter(|(_, cell)| cell.parent == Some(node)).map(|(id, _)| *id));
            at += 1;
        }
        all
    }

    /// Cells that have gone with what was done.
    fn go(&mut self, cells: &[u64]) {
        for id in cells {
            let cell = self.cells.remove(id).expect("it was there");
            self.gone.push(cell.handle);
        }
    }

    /// All cells and marks of a store have gone.
    fn empty(&mut self, store: usize) {
        let all: Vec<u64> = self.cells.iter().filter(|(_, cell)| cell.store == store).map(|(id, _)| *id).collect();
        self.go(&all);
        self.pass(store, 0);
    }

    /// A region's marks from one on have been passed.
    fn pass(&mut self, store: usize, order: u64) {
        let (passed, left) = self.marks.drain(..).partition(|mark: &Mark| mark.store == store && mark.order >= order);
        self.marks = left;
        self.gone.extend(passed.into_iter().map(|mark: Mark| mark.handle));
    }
}

/// What a refusal for want of room can be.
fn is_want(cond: Cond) -> bool {
    matches!(cond, Cond::NoRoom | Cond::TooMany | Cond::BadSize)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_action_does_what_the_model_says(rolls in proptest::collection::vec(any::<Roll>(), 1..160)) {
        let mut model = Model::default();
        for roll in rolls {
            model.act(roll);
            model.prove();
        }
    }
}

/// A long run: slots and addresses are used again and again.
#[test]
fn a_long_run_does_what_the_model_says() {
    let mut model = Model::default();
    let mut state = 1_u64;
    for step in 0..6_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [_, _, a, b, c, d, e, f] = state.to_be_bytes().map(u16::from);
        let action = u8::try_from((state >> 11) % 256).expect("a byte");
        model.act((action, a << 8 | d, b << 8 | e, c << 8 | f));
        if step % 8 == 0 {
            model.prove();
        }
    }
    assert!(model.gone.len() > 500, "{} handles went", model.gone.len());
}

//! What must hold between the model and the world after each action.

use std::collections::BTreeMap;

use kmem::inspect::{Record, What};
use kmem::{Cond, Kind, Node};
use kmem_js::Figure;

use super::{Cell, Model};

impl Model {
    pub fn prove(&self) {
        for (id, cell) in &self.cells {
            self.prove_cell(cell);
            self.prove_bytes(*id, cell.bytes.len());
        }
        for (number, store) in &self.stores {
            assert_eq!(self.world.check(store.handle), Ok(()), "{} is whole", store.kind);
            assert_eq!(self.world.store_kind(store.handle), Ok(store.kind));
            assert_eq!(self.world.store_tainted(store.handle), Ok(store.tainted));
            if let Some(source) = store.source {
                assert_eq!(self.world.store_source(store.handle), Ok(Some(self.stores[&source].handle)));
            }
            self.prove_pieces(*number);
        }
        for mark in &self.marks {
            assert!(self.world.mark_address(mark.handle).is_ok(), "a mark stands until it is passed");
        }
        for handle in self.gone.iter().rev().take(200) {
            assert_eq!(self.world.address(*handle), Err(Cond::BadAddress), "what has gone is refused");
            assert_eq!(self.world.store_kind(*handle), Err(Cond::BadAddress), "what has gone is refused");
        }
    }

    fn prove_cell(&self, cell: &Cell) {
        let (world, store) = (&self.world, &self.stores[&cell.store]);
        let handle = cell.handle;
        let address = world.address(handle).expect("live");
        assert_eq!(world.size(handle), Ok(cell.bytes.len()), "of a {} in a {}", cell.kind, store.kind);
        assert_eq!(world.kind(handle), Ok(cell.kind));
        assert_eq!(world.tainted(handle), Ok(cell.tainted || store.tainted));
        assert_eq!(world.store_of(handle), Ok(store.handle));
        assert_eq!(world.cell_at(store.handle, address), Ok(Some(handle)));
        let count = if cell.kind == Kind::Ref { Ok(cell.refs) } else { Err(Cond::Mismatch) };
        assert_eq!(world.count(handle), count);
    }

    /// The first bytes of a cell are what was written there.
    pub fn prove_bytes(&self, id: u64, count: usize) {
        let cell = &self.cells[&id];
        let at: *const u8 = std::ptr::with_exposed_provenance(self.world.address(cell.handle).expect("live"));
        let bytes = unsafe { std::slice::from_raw_parts(at, count) };
        assert_eq!(bytes, &cell.bytes[..count], "of a {}", cell.kind);
    }

    /// The pieces that a walk tells are the model's cells, the marks, and blocks of stores that stand there.
    fn prove_pieces(&self, number: usize) {
        let store = &self.stores[&number];
        let mut records = Vec::new();
        self.world.inspect(store.handle, &mut |record| records.push(*record)).expect("a store");
        let used = |record: &&Record| record.what == What::Used;
        assert_eq!(records.iter().filter(used).count(), self.world.stat(store.handle, Figure::Live).expect("a store"));
        let mut foreign = 0;
        let mut seen = 0;
        for record in records.iter().filter(used) {
            let payload = record.at + record.header;
            // A root tells of the tree's own bytes in it.
            let root = record.kind == Kind::Tree && store.kind == Kind::Tree && record.depth == 0;
            match self.world.cell_at(store.handle, payload).expect("a store") {
                None => foreign += 1,
                Some(handle) => {
                    seen += 1;
                    let cell = self.cells.values().find(|cell| cell.handle == handle).expect("the model knows it");
                    assert_eq!(record.kind, cell.kind);
                    assert_eq!(record.tainted, cell.tainted);
                    assert!(root || record.payload == cell.bytes.len(), "{record:?}");
                    assert!(cell.kind != Kind::Ref || record.refs == cell.refs);
                }
            }
        }
        assert_eq!(seen, self.cells.values().filter(|cell| cell.store == number).count(), "all cells are told");
        assert!(foreign == 0 || self.is_source(number), "{foreign} cells without a handle");
        let marks = records.iter().filter(|record| record.what == What::Mark).count();
        assert_eq!(marks, self.marks.iter().filter(|mark| mark.store == number).count(), "all marks are told");
        if store.kind == Kind::Tree {
            self.prove_tree(number, &records);
        }
    }

    /// Each node is told under its parent, siblings in their order.
    fn prove_tree(&self, number: usize, records: &[Record]) {
        let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for record in records.iter().filter(|record| record.kind == Kind::Tree) {
            let payload = record.at + record.header;
            if self.world.cell_at(self.stores[&number].handle, payload).is_ok_and(|cell| cell.is_some()) {
                children.entry(record.links[0]).or_default().push(payload);
            }
        }
        let nodes = || self.cells.iter().filter(|(_, cell)| cell.store == number && cell.kind == Kind::Tree);
        let address = |cell: &Cell| self.world.address(cell.handle).expect("live");
        for (id, cell) in nodes() {
            let mut expected: Vec<&Cell> = nodes().map(|(_, c)| c).filter(|c| c.parent == Some(*id)).collect();
            expected.sort_by_key(|cell| cell.place);
            let expected: Vec<usize> = expected.into_iter().map(address).collect();
            let told = children.remove(&(address(cell) - size_of::<Node>())).unwrap_or_default();
            assert_eq!(told, expected, "children of a node");
        }
    }
}

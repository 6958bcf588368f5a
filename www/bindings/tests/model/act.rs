//! Each action, on the world and on the model.

use kmem::{Cond, Kind};
use kmem_js::{Handle, PoolPlan, Request};

use super::{Cell, Mark, Model, Roll, Store, is_want};

impl Model {
    /// Does what a roll says, if there is something to do it to.
    pub fn act(&mut self, (action, a, b, c): Roll) -> Option<()> {
        match action % 32 {
            0 | 1 if self.stores.len() < 12 => self.make(a, b, c),
            0..9 => self.alloc(self.some_store(a)?, b, c),
            9 => self.ref_alloc(self.some_store(a)?, b),
            10 | 11 => self.tree_alloc(self.some_cell(a)?, b),
            12 | 13 => self.release(self.some_cell(a)?, false),
            14 => self.release(self.some_cell(a)?, true),
            15 => self.taint(self.some_cell(a)?),
            16 => self.zero(self.some_cell(a)?),
            17 => self.dup(self.some_cell(a)?),
            18 | 19 => self.resize(self.some_cell(a)?, b),
            20 => self.move_to(self.some_cell(a)?, self.some_cell(b)?),
            21 => self.guard(self.some_cell(a)?, b.is_multiple_of(4)),
            22 => self.free_children(self.some_cell(a)?),
            23 => self.up(self.some_cell(a)?),
            24 => self.down(self.some_cell(a)?),
            25 | 26 => self.mark(self.some_store(a)?),
            27 => self.rewind(self.some_store(a)?, b),
            28 if b.is_multiple_of(4) => self.reset(self.some_store(a)?),
            29 if b.is_multiple_of(4) => self.destroy(self.some_store(a)?),
            30 if b.is_multiple_of(4) => self.taint_store(self.some_store(a)?),
            _ => self.misuse(*self.gone.get(usize::from(a).checked_rem(self.gone.len())?)?),
        }
        Some(())
    }

    fn make(&mut self, a: u16, b: u16, c: u16) {
        let source = if a.is_multiple_of(3) { self.some_store(b) } else { None };
        let bytes = if source.is_none() && a % 3 == 1 { usize::from(b) } else { 0 };
        let outer = source.map(|number| self.stores[&number].handle);
        let cell_size = usize::from(c % 300);
        let (kind, answer) = match a / 3 % 4 {
            0 => (Kind::Heap, self.world.heap_new(outer, bytes)),
            1 => (Kind::Lin, self.world.lin_new(outer, bytes, usize::from(c % 5000))),
            2 => {
                let (cells, limit) = (usize::from(c % 3) * 7, usize::from(c % 4) * 9);
                let align = if c.is_multiple_of(5) { 64 } else { 0 };
                (Kind::Pool, self.world.pool_new(outer, bytes, PoolPlan { cell_size, align, cells, limit }))
            }
            _ => (Kind::Tree, self.world.tree_new(outer, bytes)),
        };
        if kind == Kind::Tree && source.is_some_and(|source| self.stores[&source].kind == Kind::Tree) {
            assert_eq!(answer, Err(Cond::Mismatch));
            return;
        }
        let handle = match answer {
            Ok(handle) => handle,
            // In a tree that is full, and has no root yet.
            Err(cond) => {
                assert!(is_want(cond) && source.is_some_and(|source| self.stores[&source].kind == Kind::Tree));
                return;
            }
        };
        if let Some(source) = source.filter(|source| self.stores[source].kind == Kind::Tree) {
            self.root(source);
        }
        let limited = kind == Kind::Pool && !c.is_multiple_of(4);
        let boundless = source.is_none() && bytes == 0 && !limited;
        let number = self.tick().try_into().expect("few");
        self.stores.insert(number, Store { handle, kind, source, tainted: false, cell_size, boundless });
    }

    /// Notes a new cell, and fills it.
    fn enter(&mut self, handle: Handle, store: usize, kind: Kind, bytes: Vec<u8>, parent: Option<u64>) -> u64 {
        let id = self.tick();
        let cell =
            Cell { handle, store, kind, bytes, tainted: false, parent, place: id, guarded: false, refs: 1, order: id };
        self.cells.insert(id, cell);
        id
    }

    /// Fills a cell with bytes that no other has.
    fn fill(&mut self, id: u64) {
        let cell = self.cells.get_mut(&id).expect("it is there");
        for (number, byte) in cell.bytes.iter_mut().enumerate() {
            *byte = id.wrapping_mul(0x9e37_79b9).wrapping_add(number as u64).to_le_bytes()[0] | 1;
        }
        let at = self.world.address(cell.handle).expect("live");
        let at: *mut u8 = std::ptr::with_exposed_provenance_mut(at);
        unsafe { at.copy_from_nonoverlapping(cell.bytes.as_ptr(), cell.bytes.len()) };
    }

    /// The model's cell for a tree's root, which the world makes with the first node.
    fn root(&mut self, store: usize) -> Option<u64> {
        let handle = self.world.root(self.stores[&store].handle).ok()?;
        let known = self.cells.iter().find(|(_, cell)| cell.handle == handle).map(|(id, _)| *id);
        Some(known.unwrap_or_else(|| self.enter(handle, store, Kind::Tree, Vec::new(), None)))
    }

    /// What came of an allocation.
    fn allocated(&mut self, answer: Result<Handle, Cond>, store: usize, kind: Kind, size: usize, parent: Option<u64>) {
        let Store { boundless, .. } = self.stores[&store];
        match answer {
            Ok(handle) => {
                let id = self.enter(handle, store, kind, vec![0; size], parent);
                self.fill(id);
            }
            Err(cond) => assert!(is_want(cond) && !boundless, "{cond} in a {kind}"),
        }
    }

    fn alloc(&mut self, store: usize, b: u16, c: u16) {
        let Store { handle, kind, cell_size, .. } = self.stores[&store];
        let parent = if kind == Kind::Tree { self.root(store) } else { None };
        let mut size = usize::from(b % 400);
        let align = if c.is_multiple_of(6) && kind != Kind::Pool { 16 << (c / 6 % 4) } else { 0 };
        let wish = Request { size, align, zeroed: c.is_multiple_of(2) };
        let answer = self.world.alloc(handle, wish);
        if kind == Kind::Pool {
            if size > cell_size {
                assert_eq!(answer, Err(Cond::BadSize));
                return;
            }
            size = cell_size;
        }
        if let (Ok(cell), true) = (answer, wish.zeroed) {
            let at: *const u8 = std::ptr::with_exposed_provenance(self.world.address(cell).expect("live"));
            let bytes = unsafe { std::slice::from_raw_parts(at, size) };
            assert!(bytes.iter().all(|byte| *byte == 0), "zeroed");
        }
        self.allocated(answer, store, kind, size, parent);
    }

    fn ref_alloc(&mut self, store: usize, b: u16) {
        let Store { handle, kind, .. } = self.stores[&store];
        let size = usize::from(b % 200);
        if kind == Kind::Tree {
            self.root(store);
        }
        let answer = self.world.ref_alloc(handle, Request { size, align: 16 << (b % 3), zeroed: false });
        if kind == Kind::Pool && answer.is_err() {
            // Its cells may be too small.
            assert!(answer.is_err_and(is_want));
            return;
        }
        self.allocated(answer, store, Kind::Ref, size, None);
    }

    fn tree_alloc(&mut self, parent: u64, b: u16) {
        let Cell { handle, store, kind, .. } = self.cells[&parent];
        let size = usize::from(b % 100);
        let answer = self.world.tree_alloc(handle, Request { size, align: 0, zeroed: false });
        if kind != Kind::Tree {
            assert_eq!(answer, Err(Cond::Mismatch));
            return;
        }
        self.allocated(answer, store, kind, size, Some(parent));
    }

    fn release(&mut self, id: u64, shred: bool) {
        let cell = &self.cells[&id];
        let (handle, kind, root) = (cell.handle, cell.kind, Self::is_root(cell));
        let answer = if shred { self.world.shred(handle) } else { self.world.free(handle) };
        if kind == Kind::Ref {
            assert_eq!(answer, Ok(()));
            let cell = self.cells.get_mut(&id).expect("it is there");
            cell.refs -= 1;
            cell.tainted |= shred;
            if cell.refs == 0 {
                self.go(&[id]);
            }
            return;
        }
        let all = self.subtree(id);
        if root || all.iter().any(|id| self.cells[id].guarded) {
            assert_eq!(answer, Err(Cond::InUse));
            return;
        }
        assert_eq!(answer, Ok(()));
        self.go(&all);
    }

    fn free_children(&mut self, id: u64) {
        let Cell { handle, store, kind, .. } = self.cells[&id];
        let answer = self.world.free_children(handle);
        if kind != Kind::Tree {
            assert_eq!(answer, Err(Cond::Mismatch));
            return;
        }
        let root = Self::is_root(&self.cells[&id]);
        let mut all = self.subtree(id).split_off(1);
        if root {
            // Counted cells stand right under the root.
            all.extend(self.cells.iter().filter(|(_, c)| c.store == store && c.kind == Kind::Ref).map(|(id, _)| *id));
        }
        let guarded = all.iter().any(|id| self.cells[id].guarded);
        let lent = root && self.is_source(store);
        match answer {
            Err(cond) => assert!(cond == Cond::InUse && (guarded || lent)),
            Ok(()) => {
                assert!(!guarded);
                self.go(&all);
            }
        }
    }

    fn taint(&mut self, id: u64) {
        let cell = self.cells.get_mut(&id).expect("it is there");
        assert_eq!(self.world.taint(cell.handle), Ok(()));
        cell.tainted = true;
    }

    fn zero(&mut self, id: u64) {
        let cell = self.cells.get_mut(&id).expect("it is there");
        assert_eq!(self.world.zero(cell.handle), Ok(()));
        cell.bytes.fill(0);
    }

    fn dup(&mut self, id: u64) {
        let cell = &self.cells[&id];
        let (store, kind, parent, bytes) = (cell.store, cell.kind, cell.parent, cell.bytes.clone());
        let tainted = cell.tainted || self.stores[&store].tainted;
        let root = Self::is_root(cell);
        match self.world.dup(cell.handle) {
            Ok(copy) => {
                assert!(!root);
                let copy = self.enter(copy, store, kind, bytes, parent);
                self.cells.get_mut(&copy).expect("it is there").tainted = tainted;
            }
            Err(cond) if root => assert_eq!(cond, Cond::InUse),
            Err(cond) => assert!(is_want(cond) && !self.stores[&store].boundless, "{cond} in a {kind}"),
        }
    }

    fn resize(&mut self, id: u64, b: u16) {
        let Cell { handle, store, kind, .. } = self.cells[&id];
        let root = Self::is_root(&self.cells[&id]);
        let size = usize::from(b % 500);
        let before = self.world.address(handle);
        let answer = self.world.resize(handle, size);
        let Store { cell_size, boundless, .. } = self.stores[&store];
        match (kind, answer) {
            (Kind::Ref, answer) => assert_eq!(answer, Err(Cond::Mismatch)),
            (_, answer) if root => assert_eq!(answer, Err(Cond::InUse)),
            (Kind::Pool, answer) => assert_eq!(answer, if size > cell_size { Err(Cond::BadSize) } else { Ok(()) }),
            (_, Err(cond)) => assert!(is_want(cond) && !boundless, "{cond} in a {kind}"),
            (_, Ok(())) => {
                let order = self.tick();
                let moved = self.world.address(handle) != before;
                let kept = self.cells[&id].bytes.len().min(size);
                self.prove_bytes(id, kept);
                let cell = self.cells.get_mut(&id).expect("it is there");
                cell.bytes.resize(size, 0);
                if moved {
                    cell.order = order;
                }
                self.fill(id);
            }
        }
    }

    fn move_to(&mut self, id: u64, parent: u64) {
        let (cell, above) = (&self.cells[&id], &self.cells[&parent]);
        let answer = self.world.move_to(cell.handle, above.handle);
        if cell.kind != Kind::Tree || above.kind != Kind::Tree {
            assert_eq!(answer, Err(Cond::Mismatch));
        } else if cell.store != above.store {
            assert_eq!(answer, Err(Cond::BadAddress));
        } else if self.subtree(id).contains(&parent) {
            assert_eq!(answer, Err(Cond::InUse));
        } else {
            assert_eq!(answer, Ok(()));
            let place = self.tick();
            let cell = self.cells.get_mut(&id).expect("it is there");
            (cell.parent, cell.place) = (Some(parent), place);
        }
    }

    fn guard(&mut self, id: u64, on: bool) {
        let Cell { handle, store, kind, .. } = self.cells[&id];
        match self.world.guard(handle, on) {
            Ok(()) => {
                assert_eq!(kind, Kind::Tree);
                self.cells.get_mut(&id).expect("it is there").guarded = on;
            }
            Err(Cond::Mismatch) => assert!(kind != Kind::Tree),
            // A guard takes a little of the source.
            Err(cond) => assert!(is_want(cond) && on && !self.stores[&store].boundless),
        }
    }

    fn up(&mut self, id: u64) {
        let cell = self.cells.get_mut(&id).expect("it is there");
        let answer = self.world.up(cell.handle);
        if cell.kind == Kind::Ref {
            cell.refs += 1;
            assert_eq!(answer, Ok(cell.refs));
        } else {
            assert_eq!(answer, Err(Cond::Mismatch));
        }
    }

    fn down(&mut self, id: u64) {
        let cell = self.cells.get_mut(&id).expect("it is there");
        let answer = self.world.down(cell.handle);
        if cell.kind == Kind::Ref {
            cell.refs -= 1;
            assert_eq!(answer, Ok(cell.refs));
            if cell.refs == 0 {
                self.go(&[id]);
            }
        } else {
            assert_eq!(answer, Err(Cond::Mismatch));
        }
    }

    fn mark(&mut self, store: usize) {
        let Store { handle, kind, boundless, .. } = self.stores[&store];
        match self.world.mark(handle) {
            Ok(handle) => {
                assert_eq!(kind, Kind::Lin);
                let order = self.tick();
                self.marks.push(Mark { handle, store, order });
            }
            Err(Cond::Mismatch) => assert!(kind != Kind::Lin),
            Err(cond) => assert!(is_want(cond) && !boundless),
        }
    }

    fn rewind(&mut self, store: usize, b: u16) {
        let Some(number) = usize::from(b).checked_rem(self.marks.len()) else { return };
        let Mark { handle, store: home, order } = self.marks[number];
        let answer = self.world.rewind(self.stores[&store].handle, handle);
        if self.stores[&store].kind != Kind::Lin {
            assert_eq!(answer, Err(Cond::Mismatch));
        } else if home != store {
            assert_eq!(answer, Err(Cond::BadAddress));
        } else if let Err(cond) = answer {
            assert!(cond == Cond::InUse && self.is_source(store));
        } else {
            let later = |cell: &Cell| cell.store == store && cell.order > order;
            let all: Vec<u64> = self.cells.iter().filter(|(_, cell)| later(cell)).map(|(id, _)| *id).collect();
            self.go(&all);
            self.pass(store, order);
        }
    }

    fn reset(&mut self, store: usize) {
        let Store { handle, kind, .. } = self.stores[&store];
        let answer = self.world.reset(handle);
        if !matches!(kind, Kind::Lin | Kind::Pool) {
            assert_eq!(answer, Err(Cond::Mismatch));
        } else if self.is_source(store) {
            assert_eq!(answer, Err(Cond::InUse));
        } else {
            assert_eq!(answer, Ok(()));
            self.empty(store);
        }
    }

    fn destroy(&mut self, store: usize) {
        let handle = self.stores[&store].handle;
        let guarded = self.cells.values().any(|cell| cell.store == store && cell.guarded);
        let answer = self.world.destroy(handle);
        if self.is_source(store) || guarded {
            assert_eq!(answer, Err(Cond::InUse));
            return;
        }
        assert_eq!(answer, Ok(()));
        self.empty(store);
        self.stores.remove(&store);
        self.gone.push(handle);
    }

    fn taint_store(&mut self, store: usize) {
        let store = self.stores.get_mut(&store).expect("it is there");
        assert_eq!(self.world.taint_store(store.handle), Ok(()));
        store.tainted = true;
    }

    /// A handle of what has gone is refused by every action.
    fn misuse(&mut self, gone: Handle) {
        let world = &mut self.world;
        let live = self.cells.values().next().map_or(gone, |cell| cell.handle);
        let answers = [
            world.free(gone),
            world.shred(gone),
            world.taint(gone),
            world.zero(gone),
            world.resize(gone, 10),
            world.free_children(gone),
            world.guard(gone, true),
            world.move_to(gone, live),
            world.destroy(gone),
            world.reset(gone),
            world.taint_store(gone),
            world.check(gone),
            world.dup(gone).map(drop),
            world.up(gone).map(drop),
            world.down(gone).map(drop),
            world.alloc(gone, Request::default()).map(drop),
            world.ref_alloc(gone, Request::default()).map(drop),
            world.tree_alloc(gone, Request::default()).map(drop),
            world.heap_new(Some(gone), 0).map(drop),
            world.tree_new(Some(gone), 0).map(drop),
            world.mark(gone).map(drop),
            world.rewind(gone, gone),
            world.inspect(gone, &mut |_| {}),
            world.runs(gone, &mut |_| {}),
            world.address(gone).map(drop),
            world.mark_address(gone).map(drop),
        ];
        for (number, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer, Err(Cond::BadAddress), "action {number}");
        }
    }
}

//! Cells: asked for, filled, resized, copied, tainted, wiped, released.

use std::iter::successors;
use std::ptr;

use kmem_capi::face::{any::*, heap::*, lin::*, pool::*, refs::*, tree::*};
use kmem_capi::types::kmptr;

use super::{CELLS, Script, front, nothing};
use crate::model::{BAD_SIZE, Cell, IN_USE, Kind, MISMATCH, NO_ROOM, NODE, OK, Store};

impl Script<'_> {
    fn is_full(&self) -> bool {
        self.world.cells.iter().filter(|cell| cell.live).count() >= CELLS || self.world.cells.len() > 600
    }

    pub(super) fn alloc(&mut self) {
        let how = self.byte();
        let len = self.len();
        let kind = [Kind::Heap, Kind::Lin, Kind::Pool, Kind::Ref, Kind::Tree, Kind::Tree][how / 4 % 6];
        let store = match kind {
            Kind::Heap | Kind::Ref if how & 64 != 0 => None,
            Kind::Ref => self.store(|_| true),
            _ => self.store(|store| store.kind == kind),
        };
        let under =
            if kind == Kind::Tree { self.cell(|cell| cell.kind == Kind::Tree && cell.store == store) } else { None };
        if store.is_some() || matches!(kind, Kind::Heap | Kind::Ref) {
            self.ask(how, kind, store, under, len);
        }
    }

    /// Asks a store for less and less, and for nothing in the end: little or nothing is left of one in few bytes.
    pub(super) fn fill(&mut self) {
        let how = self.byte();
        let Some(store) = self.store(|store| matches!(store.kind, Kind::Lin | Kind::Heap | Kind::Tree)) else { return };
        let kind = self.world.stores[store].kind;
        for len in (5..14).rev().map(|bits| 1 << bits).chain([0; 3]) {
            self.ask(how, kind, Some(store), None, len);
        }
    }

    /// One call that makes a cell. The lowest bits of `how` are whether a pointer with all that is known is to be
    /// made, and whether zeroed; the highest, whether a root is made of no parent.
    fn ask(&mut self, how: usize, kind: Kind, store: Option<usize>, under: Option<usize>, len: usize) {
        if self.is_full() {
            return;
        }
        let (object, zeroed) = (how & 1 != 0, how & 2 != 0);
        let parent = match (kind, under, store) {
            (Kind::Tree, Some(under), _) => self.world.cells[under].at,
            (Kind::Tree, None, Some(0)) if how & 128 != 0 => ptr::null_mut(),
            (Kind::Tree, None, Some(store)) => self.world.stores[store].root,
            _ => ptr::null_mut(),
        };
        let handle = self.handle(store);
        let sentinel = ptr::without_provenance_mut(0x55);
        let (mut at, mut made) = (sentinel, kmptr { r#ref: sentinel, size: 77, ..nothing() });
        let (a, o) = (&raw mut at, &raw mut made);
        let object = object && !(kind == Kind::Ref && store.is_some());
        let zeroed = zeroed && !(kind == Kind::Ref && store.is_some());
        let got = unsafe {
            match (kind, store, object, zeroed) {
                (Kind::Heap, None, false, false) => kmheapa(a, len),
                (Kind::Heap, None, false, true) => kmheapz(a, len),
                (Kind::Heap, None, true, false) => kmheapo(o, len),
                (Kind::Heap, None, true, true) => kmheapzo(o, len),
                (Kind::Heap, _, false, false) => kmheapa_in(a, handle.cast(), len),
                (Kind::Heap, _, false, true) => kmheapz_in(a, handle.cast(), len),
                (Kind::Heap, _, true, false) => kmheapo_in(o, handle.cast(), len),
                (Kind::Heap, _, true, true) => kmheapzo_in(o, handle.cast(), len),
                (Kind::Lin, _, false, false) => kmlina(a, handle.cast(), len),
                (Kind::Lin, _, false, true) => kmlinz(a, handle.cast(), len),
                (Kind::Lin, _, true, false) => kmlino(o, handle.cast(), len),
                (Kind::Lin, _, true, true) => kmlinzo(o, handle.cast(), len),
                (Kind::Pool, _, false, false) => kmpoola(a, handle.cast()),
                (Kind::Pool, _, false, true) => kmpoolz(a, handle.cast()),
                (Kind::Pool, _, true, false) => kmpoolo(o, handle.cast()),
                (Kind::Pool, _, true, true) => kmpoolzo(o, handle.cast()),
                (Kind::Ref, None, false, false) => kmrefa(a, len),
                (Kind::Ref, None, false, true) => kmrefz(a, len),
                (Kind::Ref, None, true, false) => kmrefo(o, len),
                (Kind::Ref, None, true, true) => kmrefzo(o, len),
                (Kind::Ref, Some(_), ..) => kmrefa_in(a, handle.cast(), len),
                (Kind::Tree, _, false, false) => kmtreea(a, parent, len),
                (Kind::Tree, _, false, true) => kmtreez(a, parent, len),
                (Kind::Tree, _, true, false) => kmtreeo(o, parent, len),
                (Kind::Tree, _, true, true) => kmtreezo(o, parent, len),
            }
        };
        let len = if kind == Kind::Pool { self.world.stores[store.expect("a pool")].cellsz } else { len };
        let bounded = |store: usize| {
            successors(Some(store), |store| self.world.host(*store)).any(|store| {
                let Store { kind, home, .. } = self.world.stores[store];
                kind == Kind::Pool || home.is_bytes()
            })
        };
        let can = kind != Kind::Tree || self.world.has_quota(under, len.saturating_add(NODE), None);
        if len > isize::MAX as usize - 64 {
            assert!(matches!(got, BAD_SIZE | NO_ROOM), "a size that cannot be: {got}");
        } else if !can {
            assert_eq!(got, NO_ROOM, "a quota is kept");
        } else if store.is_some_and(bounded) {
            assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "{kind:?} of {len}: {got}");
        } else {
            assert_eq!(got, OK, "{kind:?} of {len}");
        }
        if got != OK {
            assert!(at == sentinel && made.r#ref == sentinel && made.size == 77, "what fails writes nothing");
            assert!(made.kind == if object { 6 } else { 0 });
            return;
        }
        if object {
            assert_eq!((made.kind, made.size), (kind as u8, len));
            at = made.r#ref;
        }
        assert_eq!(at.addr() % 16, 0);
        self.world.age += 1;
        let mut cell = Cell::new(kind, at, len, store, self.world.age);
        if zeroed {
            assert!(cell.is_whole(len), "zeroed is zero");
        }
        let number = self.world.cells.len();
        cell.paint(u8::try_from(number % 255).expect("small") + 1);
        cell.parent = under;
        self.world.cells.push(cell);
        if let Some(under) = under {
            self.world.cells[under].children.push(number);
        }
    }

    pub(super) fn release(&mut self) {
        let how = self.byte() % 6;
        let Some(cell) = self.cell(|_| true) else { return };
        let Cell { kind, at, store, tainted, len, .. } = self.world.cells[cell];
        let handle = self.handle(store);
        let ptr = self.ptr(cell);
        let nodes = if kind == Kind::Tree { self.world.subtree(cell) } else { vec![cell] };
        let is_last = kind != Kind::Ref || self.world.cells[cell].refs == 1;
        let refused = self.guarded(&nodes) || is_last && self.world.are_held(&nodes);
        self.forget_seen();
        let got = unsafe {
            match (kind, how) {
                (_, 4) => kmfree(ptr),
                (_, 5) => kmshred(ptr),
                (Kind::Heap, 0) if store.is_some() => kmheapf_in(handle.cast(), at),
                (Kind::Heap, 1) if store.is_some() => kmheaps_in(handle.cast(), at),
                (Kind::Heap, 0 | 2) => kmheapf(at),
                (Kind::Heap, _) => kmheaps(at),
                (Kind::Lin, 0 | 2) => kmlinf(handle.cast(), at),
                (Kind::Lin, _) => kmlins(handle.cast(), at),
                (Kind::Pool, 0 | 2) => kmpoolf(handle.cast(), at),
                (Kind::Pool, _) => kmpools(handle.cast(), at),
                (Kind::Ref, 0) => kmrefd(at),
                (Kind::Ref, 2) => kmreff(at),
                (Kind::Ref, _) => kmrefs(at),
                (Kind::Tree, 0 | 2) => kmtreef(at),
                (Kind::Tree, _) => kmtrees(at),
            }
        };
        assert_eq!(got, if refused { IN_USE } else { OK }, "release of {kind:?}");
        if refused {
            return;
        }
        let shreds = how == 5 || how == 1 || how == 3;
        if kind == Kind::Ref {
            self.world.cells[cell].tainted |= shreds;
            self.world.cells[cell].refs -= 1;
            if self.world.cells[cell].refs > 0 {
                return;
            }
        }
        self.ran(&nodes);
        self.unlink(cell);
        self.kill(&nodes);
        // Of a region the bytes can still be looked at: they are there, and destroyed if they were to be.
        if kind == Kind::Lin && (shreds || tainted || self.world.stores[store.expect("a region")].tainted) {
            let bytes = unsafe { std::slice::from_raw_parts(at.cast::<u8>(), len) };
            assert!(bytes.iter().all(|byte| *byte == 0), "shredded is zero");
        }
    }

    pub(super) fn resize(&mut self) {
        let len = self.len();
        let named = self.byte().is_multiple_of(2);
        let Some(cell) = self.cell(|cell| cell.kind != Kind::Ref) else { return };
        let Cell { kind, at, store, len: before, .. } = self.world.cells[cell];
        let handle = self.handle(store);
        let mut now = at;
        let place = &raw mut now;
        let got = unsafe {
            match kind {
                Kind::Heap if store.is_some() && named => kmheapr_in(place, handle.cast(), len),
                Kind::Heap => kmheapr(place, len),
                Kind::Lin => kmlinr(place, handle.cast(), len),
                Kind::Pool => kmpoolr(place, handle.cast(), len),
                _ => kmtreer(place, len),
            }
        };
        if kind == Kind::Pool {
            let cellsz = self.world.stores[store.expect("a pool")].cellsz;
            assert_eq!(got, if len > cellsz { BAD_SIZE } else { OK });
            assert_eq!(now, at);
            return;
        }
        let more = len.saturating_sub(before);
        if self.world.are_held(&[cell]) {
            assert_eq!(got, IN_USE, "a cell with a store in it stays");
        } else if len > isize::MAX as usize - 64 {
            assert!(matches!(got, BAD_SIZE | NO_ROOM));
        } else if kind == Kind::Tree && !self.world.has_quota(Some(cell), more, None) {
            assert_eq!(got, NO_ROOM, "a quota is kept");
        } else {
            assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "resize of {kind:?}: {got}");
        }
        if got != OK {
            assert_eq!(now, at, "what fails writes nothing");
            return;
        }
        // What has moved stands behind the marks that there are.
        let moves = kind == Kind::Lin && now != at;
        self.world.age += u64::from(moves);
        let age = self.world.age;
        let cell = &mut self.world.cells[cell];
        cell.age = if moves { age } else { cell.age };
        cell.at = now;
        assert!(cell.is_whole(len.min(before)), "resizing keeps the bytes");
        cell.len = len;
        let fill = cell.fill;
        cell.paint(fill);
    }

    pub(super) fn dup(&mut self) {
        if self.is_full() {
            return;
        }
        let Some(cell) = self.cell(|_| true) else { return };
        let ptr = self.ptr(cell);
        let mut copy = kmptr { size: 77, ..nothing() };
        let got = unsafe { kmdup(&raw mut copy, ptr) };
        let Cell { kind, len, store, fill, parent, tainted, .. } = self.world.cells[cell];
        if !self.world.cells[cell].destructors.is_empty() {
            assert_eq!(got, MISMATCH, "what has a destructor is not copied");
        } else if kind == Kind::Tree && !self.world.has_quota(parent, len + NODE, None) {
            assert_eq!(got, NO_ROOM, "a quota is kept");
        } else {
            assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "dup of {kind:?}: {got}");
        }
        if got != OK {
            assert_eq!((copy.kind, copy.size), (6, 77));
            return;
        }
        self.world.age += 1;
        let mut new = Cell::new(kind, copy.r#ref, len, store, self.world.age);
        new.fill = fill;
        // Those of a store are not known.
        let known = if self.world.are_held(&[cell]) { front(cell) } else { len };
        assert!(new.is_whole(known), "a copy has the bytes");
        let number = self.world.cells.len();
        new.paint(u8::try_from(number % 255).expect("small") + 1);
        new.parent = parent;
        new.tainted = tainted;
        self.world.cells.push(new);
        if let Some(parent) = parent {
            self.world.cells[parent].children.push(number);
        }
    }

    pub(super) fn zero(&mut self) {
        let Some(cell) = self.cell(|_| true) else { return };
        let got = unsafe { kmozero(self.ptr(cell)) };
        if !self.world.cells[cell].destructors.is_empty() {
            assert_eq!(got, MISMATCH);
            return;
        }
        if self.world.are_held(&[cell]) {
            assert_eq!(got, IN_USE, "a store is not wiped with the cell that it was made in");
            return;
        }
        assert_eq!(got, OK);
        self.world.cells[cell].fill = 0;
        let len = self.world.cells[cell].len;
        assert!(self.world.cells[cell].is_whole(len), "zeroed is zero");
    }

    pub(super) fn taint(&mut self) {
        if self.byte().is_multiple_of(4) {
            // All of the process's own tree would be slow from then on.
            let Some(store) = self.store(|store| store.kind != Kind::Tree) else { return };
            assert_eq!(unsafe { kmtaintc(self.world.stores[store].handle.cast()) }, OK);
            self.world.stores[store].tainted = true;
            return;
        }
        let Some(cell) = self.cell(|_| true) else { return };
        let mut ptr = self.ptr(cell);
        let told = unsafe { kmtaint(&raw mut ptr) };
        assert_eq!(told, OK, "taint of {:?}", self.world.cells[cell]);
        assert_eq!(ptr.shred, 1);
        self.world.cells[cell].tainted = true;
    }

    pub(super) fn count(&mut self) {
        let Some(cell) = self.cell(|cell| cell.kind == Kind::Ref) else { return };
        assert_eq!(unsafe { kmrefu(self.world.cells[cell].at) }, OK);
        self.world.cells[cell].refs += 1;
    }
}

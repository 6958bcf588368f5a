//! What must be refused: addresses that are no cell's or no store's, cells of another kind.

use std::ffi::c_void;
use std::ptr;

use kmem_capi::face::{any::*, heap::*, lin::*, pool::*, refs::*, tree::*};
use kmem_capi::types::kmptr;

use super::{NAMES, Script, nothing};
use crate::model::{BAD_ADDRESS, Cell, Kind, MISMATCH, Store};

impl Script<'_> {
    /// An address that is no live cell's, or none.
    fn stray(&mut self) -> Option<*mut c_void> {
        let how = self.byte() % 8;
        let stray = match how {
            0 => {
                let dead = self.cells(|cell| !cell.live);
                let dead = self.pick(&dead)?;
                self.world.cells[dead].at
            }
            1 => {
                let cell = self.cell(|cell| cell.len > 1)?;
                let offset = 1 + self.byte() % (self.world.cells[cell].len - 1);
                self.world.cells[cell].at.wrapping_byte_add(offset)
            }
            2 => {
                let cell = self.cell(|_| true)?;
                let Cell { at, len, .. } = self.world.cells[cell];
                at.wrapping_byte_add(len)
            }
            3 => {
                let cell = self.cell(|_| true)?;
                self.world.cells[cell].at.wrapping_byte_sub([1, 8, 16, 32, 48, 64][self.byte() % 6])
            }
            4 => self.store(|_| true).map(|store| self.world.stores[store].handle)?,
            5 => ptr::null_mut(),
            6 => ptr::without_provenance_mut(self.byte().wrapping_mul(0x0101_0101_0101_0110)),
            _ => (&raw const *self.data).cast::<c_void>().cast_mut(),
        };
        let lives = |cell: &Cell| cell.live && cell.at == stray;
        let roots = self.world.stores.iter().any(|store| store.live && store.root == stray);
        if self.world.cells.iter().any(lives) || roots { None } else { Some(stray) }
    }

    pub(super) fn misuse_cell(&mut self) {
        let how = self.byte() % 20;
        let Some(stray) = self.stray() else { return };
        let mut place = stray;
        let (heap, lin, pool) = (
            self.store(|store| store.kind == Kind::Heap),
            self.store(|store| store.kind == Kind::Lin),
            self.store(|store| store.kind == Kind::Pool),
        );
        let (heap, lin, pool) = (self.handle(heap), self.handle(lin), self.handle(pool));
        let node = self.cell(|cell| cell.kind == Kind::Tree).map(|cell| self.world.cells[cell].at);
        let kind = u8::try_from(1 + self.byte() % 5).expect("small");
        let named = kmptr { kind, r#ref: stray, size: 16, ..nothing() };
        let mut copy = nothing();
        let got = unsafe {
            match how {
                0 => kmheapf(stray),
                1 => kmheaps(stray),
                2 => kmheapr(&raw mut place, 10),
                3 => kmheapf_in(heap.cast(), stray),
                4 => kmlinf(lin.cast(), stray),
                5 => kmlinr(&raw mut place, lin.cast(), 10),
                6 => kmpoolf(pool.cast(), stray),
                7 => kmrefu(stray),
                8 => kmrefd(stray),
                9 => kmrefs(stray),
                10 => kmtreef(stray),
                11 => kmtreefc(stray),
                12 => kmtreer(&raw mut place, 10),
                13 if !stray.is_null() => kmtreea(&raw mut place, stray, 10),
                14 => kmtreem(stray, ptr::null_mut()),
                15 if !stray.is_null() && node.is_some() => kmtreem(node.expect("one"), stray),
                16 => kmfree(named),
                17 => kmozero(named),
                18 => kmdup(&raw mut copy, named),
                19 => kmtreename(stray, NAMES[1].as_ptr()),
                _ => return,
            }
        };
        // What names its store, or a cell of which something else is in, may be told so.
        let named = (3..=6).contains(&how);
        assert!(got == BAD_ADDRESS || named && got == MISMATCH, "{how} of a stray pointer: {got}");
        assert_eq!(place, stray);
    }

    pub(super) fn wrong_kind(&mut self) {
        let Some(cell) = self.cell(|_| true) else { return };
        let Cell { kind, at, .. } = self.world.cells[cell];
        let other = [Kind::Lin, Kind::Heap, Kind::Pool, Kind::Ref, Kind::Tree][self.byte() % 5];
        if other == kind {
            return;
        }
        let mut place = at;
        let how = self.byte() % 3;
        let got = unsafe {
            match (other, how) {
                (Kind::Heap, 0) => kmheapf(at),
                (Kind::Heap, 1) => kmheapr(&raw mut place, 5),
                (Kind::Ref, 0) => kmrefu(at),
                (Kind::Ref, 1) => kmrefd(at),
                (Kind::Tree, 0) => kmtreef(at),
                (Kind::Tree, 1) => kmtreer(&raw mut place, 5),
                _ => kmfree(kmptr { kind: other as u8, r#ref: at, size: 5, ..nothing() }),
            }
        };
        assert_eq!(got, MISMATCH, "{kind:?} as {other:?}");
        assert_eq!(place, at);
    }

    pub(super) fn misuse_store(&mut self) {
        let how = self.byte() % 8;
        let all: Vec<usize> = (0..self.world.stores.len()).collect();
        let (handle, is) = match self.byte() % 3 {
            0 => {
                let Some(store) = self.pick(&all) else { return };
                let Store { handle, .. } = self.world.stores[store];
                let now = self.world.stores.iter().find(|store| store.live && store.handle == handle);
                (handle, now.map(|store| store.kind))
            }
            _ => {
                let Some(stray) = self.stray() else { return };
                let now = self.world.stores.iter().find(|store| store.live && store.handle == stray);
                (stray, now.map(|store| store.kind))
            }
        };
        let mut place = ptr::null_mut();
        let (wants, got) = unsafe {
            match how {
                0 if is != Some(Kind::Heap) => (Kind::Heap, kmheapx(handle.cast())),
                1 if is != Some(Kind::Heap) => (Kind::Heap, kmheapa_in(&raw mut place, handle.cast(), 8)),
                2 if is != Some(Kind::Lin) => (Kind::Lin, kmlinx(handle.cast())),
                3 if is != Some(Kind::Lin) => (Kind::Lin, kmlinreset(handle.cast())),
                4 if is != Some(Kind::Pool) => (Kind::Pool, kmpoolx(handle.cast())),
                5 if is != Some(Kind::Pool) => (Kind::Pool, kmpoola(&raw mut place, handle.cast())),
                6 if is != Some(Kind::Tree) => (Kind::Tree, kmtreex(handle.cast())),
                7 if is.is_none() => (Kind::Ref, kmrefa_in(&raw mut place, handle.cast(), 8)),
                _ => return,
            }
        };
        assert_eq!(got, if is.is_some() { MISMATCH } else { BAD_ADDRESS }, "{is:?} as {wants:?}");
        assert!(place.is_null());
    }
}

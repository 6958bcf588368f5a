//! The calls.

mod cells;
mod look;
mod misuse;
mod nodes;
mod stores;

use std::ffi::{CStr, c_void};
use std::ptr;

use kmem_capi::face::{any::*, tree::*};
use kmem_capi::types::kmptr;

use crate::model::{Cell, Home, Kind, OK, Store, World};

/// Cells and stores that there may be at once: enough to meet each other, few enough to look at after each call.
const CELLS: usize = 48;
const STORES: usize = 10;
const ROOM: usize = 12 << 10;
const ROOMS: usize = 3;
/// How many trees may lie in each other.
const NESTED: usize = 8;

const NAMES: [&CStr; 4] =
    [c"", c"request", c"struct request", c"a name that is a good deal longer than the others are"];

struct Script<'d> {
    data: &'d [u8],
    world: World,
}

pub fn play(data: &[u8]) {
    let mut script = Script { data, world: World::default() };
    // The process's own tree: its handle comes with a node's pointer.
    let mut ptr = nothing();
    assert_eq!(unsafe { kmtreeo(&raw mut ptr, ptr::null_mut(), 1) }, OK);
    let root = unsafe { kmtreeroot(ptr.cell.cast()) };
    assert_eq!(unsafe { kmfree(ptr) }, OK);
    script.world.stores.push(Store {
        kind: Kind::Tree,
        handle: ptr.cell.cast(),
        live: true,
        home: Home::Process,
        born: 0,
        cellsz: 0,
        tainted: false,
        marks: Vec::new(),
        root,
    });
    while script.step() {
        script.check();
    }
    script.finish();
}

/// Where in a cell a store is made: at its very beginning, or not.
fn front(cell: usize) -> usize {
    cell % 2 * 16
}

fn nothing() -> kmptr {
    kmptr { kind: 0, shred: 0, r#ref: ptr::null_mut(), cell: ptr::null_mut(), size: 0 }
}

impl Script<'_> {
    fn byte(&mut self) -> usize {
        let Some((first, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        usize::from(*first)
    }

    fn len(&mut self) -> usize {
        match self.byte() {
            byte @ 0..200 => byte * 2,
            byte @ 200..240 => (byte - 200) * 150,
            byte @ 240..252 => (byte - 239) * 9000,
            252..255 => 0,
            _ => usize::MAX - self.byte(),
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let byte = self.byte();
        from.get(byte.checked_rem(from.len())?).copied()
    }

    fn cells(&self, is: impl Fn(&Cell) -> bool) -> Vec<usize> {
        (0..self.world.cells.len()).filter(|cell| is(&self.world.cells[*cell])).collect()
    }

    fn cell(&mut self, is: impl Fn(&Cell) -> bool) -> Option<usize> {
        let cells = self.cells(|cell| cell.live && is(cell));
        self.pick(&cells)
    }

    fn store(&mut self, is: impl Fn(&Store) -> bool) -> Option<usize> {
        let stores: Vec<usize> =
            (0..self.world.stores.len()).filter(|s| self.world.stores[*s].live && is(&self.world.stores[*s])).collect();
        self.pick(&stores)
    }

    fn handle(&self, store: Option<usize>) -> *mut c_void {
        store.map_or(ptr::null_mut(), |store| self.world.stores[store].handle)
    }

    /// The managed pointer of a cell.
    fn ptr(&self, cell: usize) -> kmptr {
        let Cell { kind, at, len, store, .. } = self.world.cells[cell];
        let named = if kind == Kind::Ref { None } else { store };
        kmptr { kind: kind as u8, shred: 0, r#ref: at, cell: self.handle(named).cast(), size: len }
    }

    fn step(&mut self) -> bool {
        if self.data.is_empty() {
            return false;
        }
        let call = self.byte() % 25;
        if cfg!(feature = "say") {
            let stores: Vec<_> =
                self.world.stores.iter().filter(|store| store.live).map(|s| (s.kind, s.handle, s.home)).collect();
            eprintln!("call {call}; {stores:?}");
        }
        match call {
            0 => self.make_store(),
            1 => self.destroy_store(),
            2..6 => self.alloc(),
            6 | 7 => self.release(),
            8 => self.resize(),
            9 | 10 => self.misuse_cell(),
            11 => self.misuse_store(),
            12 => self.move_node(),
            13 => self.free_children(),
            14 => self.hooks(),
            15 => self.names(),
            16 => self.quota(),
            17 => self.count(),
            18 => self.marks(),
            19 => self.taint(),
            20 => self.dup(),
            21 => self.zero(),
            22 => self.walk(),
            23 => self.fill(),
            _ => self.wrong_kind(),
        }
        true
    }
}

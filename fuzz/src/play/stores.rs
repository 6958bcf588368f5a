//! Stores: made anywhere, destroyed, marked, rewound.

use std::ffi::c_void;
use std::ptr;

use kmem_capi::face::{heap::*, lin::*, pool::*, refs::*, tree::*};
use kmem_capi::types::{kmcell, kmlin, kmmark};

use super::{NESTED, ROOM, ROOMS, STORES, Script, front};
use crate::model::{BAD_ADDRESS, BAD_SIZE, Cell, Home, IN_USE, Kind, Mark, NO_ROOM, OK, Store, TOO_MANY};

#[repr(align(16))]
struct Room(#[expect(dead_code, reason = "it is read and written by its address")] [u8; ROOM]);

static mut BYTES: [Room; ROOMS] = [const { Room([0; ROOM]) }; ROOMS];

impl Script<'_> {
    /// Makes a store: of the process's memory, of another store's, in a room, or in the bytes of a cell.
    pub(super) fn make_store(&mut self) {
        if self.world.stores.iter().filter(|store| store.live).count() >= STORES || self.world.stores.len() > 60 {
            return;
        }
        let kind = [Kind::Heap, Kind::Lin, Kind::Pool, Kind::Tree][self.byte() % 4];
        let Some(home) = self.home() else { return };
        let size = self.byte() * 8;
        let (buf, len) = match home {
            Home::Room(room) => (unsafe { (&raw mut BYTES).cast::<Room>().add(room) }.cast(), ROOM),
            Home::Cell(cell) => {
                let Cell { at, len, .. } = self.world.cells[cell];
                // Over the one that is there already, if there is one.
                let front = if self.world.are_held(&[cell]) { 0 } else { front(cell) };
                (at.wrapping_byte_add(front), len - front)
            }
            _ => (ptr::null_mut::<c_void>(), 0),
        };
        let host = if let Home::In(host) = home { Some(host) } else { None };
        let source = self.handle(host).cast::<kmcell>();
        let mut handle = ptr::null_mut::<c_void>();
        let place = &raw mut handle;
        let got = unsafe {
            match (kind, home.is_bytes(), host) {
                (Kind::Heap, true, _) => kmheapif(place.cast(), buf, len),
                (Kind::Heap, ..) => kmheapi(place.cast()),
                (Kind::Lin, true, _) => kmlinif(place.cast(), buf, len),
                (Kind::Lin, _, Some(_)) => kmlini_in(place.cast(), source, size),
                (Kind::Lin, ..) => kmlini(place.cast(), size),
                (Kind::Pool, true, _) => kmpoolif(place.cast(), size, buf, len),
                (Kind::Pool, _, Some(_)) => kmpooli_in(place.cast(), source, size, 3),
                (Kind::Pool, ..) => kmpooli(place.cast(), size, 3),
                (_, true, _) => kmtreeif(place.cast(), buf, len),
                (_, _, Some(_)) => kmtreei_in(place.cast(), source),
                (..) => kmtreei(place.cast()),
            }
        };
        // A heap of its own has no source but the process.
        let home = if kind == Kind::Heap && host.is_some() { Home::Process } else { home };
        let is_taken = self.world.stores.iter().any(|store| store.live && store.home == home);
        match home {
            Home::Process => assert_eq!(got, OK, "{kind:?}"),
            Home::In(host) if kind == Kind::Tree && self.world.nested(host) > NESTED => assert_eq!(got, TOO_MANY),
            Home::In(_) => assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "{kind:?} in a store: {got}"),
            Home::Room(_) => assert_eq!(got, if is_taken { IN_USE } else { OK }, "{kind:?} in bytes"),
            Home::Cell(_) if is_taken => assert!(matches!(got, IN_USE | NO_ROOM), "{kind:?} in a store's cell: {got}"),
            Home::Cell(_) if len < ROOM => assert!(matches!(got, OK | NO_ROOM), "{kind:?} in a cell: {got}"),
            Home::Cell(_) => assert_eq!(got, OK, "{kind:?} in a cell"),
        }
        if got != OK {
            assert!(handle.is_null(), "what fails writes nothing");
            return;
        }
        self.world.age += 1;
        let root = if kind == Kind::Tree { unsafe { kmtreeroot(handle.cast()) } } else { ptr::null_mut() };
        self.world.stores.push(Store {
            kind,
            handle,
            live: true,
            home,
            born: self.world.age,
            cellsz: size,
            tainted: false,
            marks: Vec::new(),
            root,
        });
        if kind == Kind::Tree && root.is_null() {
            // Too small a place: nothing can be in it.
            let store = self.world.stores.len() - 1;
            assert_eq!(self.call_destroy(store), OK);
            self.bury(store);
        }
    }

    fn home(&mut self) -> Option<Home> {
        let (how, room) = (self.byte() % 4, self.byte() % ROOMS);
        Some(match how {
            0 => Home::Process,
            1 => Home::Room(room),
            2 => self.store(|_| true).map_or(Home::Process, Home::In),
            _ => Home::Cell(self.cell(|cell| cell.len >= 400)?),
        })
    }

    fn call_destroy(&self, store: usize) -> u32 {
        let Store { kind, handle, .. } = self.world.stores[store];
        unsafe {
            match kind {
                Kind::Heap => kmheapx(handle.cast()),
                Kind::Lin => kmlinx(handle.cast()),
                Kind::Pool => kmpoolx(handle.cast()),
                _ => kmtreex(handle.cast()),
            }
        }
    }

    pub(super) fn destroy_store(&mut self) {
        let Some(store) = self.store(|_| true) else { return };
        let nodes: Vec<usize> = self.tops(store).into_iter().flat_map(|top| self.world.subtree(top)).collect();
        let refused = store == 0 || self.world.has_guests(store) || self.guarded(&nodes);
        self.forget_seen();
        let got = self.call_destroy(store);
        assert_eq!(got, if refused { IN_USE } else { OK }, "destroy of {:?}", self.world.stores[store].kind);
        if refused {
            return;
        }
        self.ran(&nodes);
        self.bury(store);
    }

    /// Forgets a store that has gone, and its cells. A cell in which it was is only a cell again.
    fn bury(&mut self, store: usize) {
        let Store { home, tainted, .. } = self.world.stores[store];
        for cell in self.world.live_in(store) {
            let Cell { at, len, kind, fill, tainted: secret, .. } = self.world.cells[cell];
            if home.is_bytes() && (tainted || secret) {
                // The bytes are the caller's again; some have links and sizes of what became free.
                let bytes = unsafe { std::slice::from_raw_parts(at.cast::<u8>(), len) };
                let left = bytes.windows(8).any(|word| word.iter().all(|byte| *byte == fill));
                assert!(fill == 0 || !left, "{kind:?}: what is secret goes with its store");
            }
            self.world.cells[cell].live = false;
        }
        self.world.stores[store].live = false;
        if let Home::Cell(cell) = home {
            assert!(self.world.cells[cell].is_whole(front(cell)), "what is in front of a store is not its own");
            let fill = self.world.cells[cell].fill;
            self.world.cells[cell].paint(fill);
        }
    }

    pub(super) fn marks(&mut self) {
        let how = self.byte();
        // One in which another stands, where there is one.
        let hosts: Vec<_> = (1..self.world.stores.len()).filter(|store| self.world.has_guests(*store)).collect();
        let host = hosts.into_iter().find(|host| how & 64 != 0 && self.world.stores[*host].kind == Kind::Lin);
        let Some(store) = host.or_else(|| self.store(|store| store.kind == Kind::Lin)) else { return };
        let handle = self.world.stores[store].handle.cast::<kmlin>();
        match how % 3 {
            0 => {
                let mut mark = kmmark { record: ptr::null(), serial: 0 };
                let got = unsafe { kmlinmark(&raw mut mark, handle) };
                assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "mark: {got}");
                if got == OK {
                    let age = self.world.age;
                    self.world.stores[store].marks.push(Mark {
                        record: mark.record,
                        serial: mark.serial,
                        age,
                        live: true,
                    });
                }
            }
            1 => {
                let marks: Vec<(usize, usize)> = (0..self.world.stores.len())
                    .flat_map(|store| (0..self.world.stores[store].marks.len()).map(move |mark| (store, mark)))
                    .collect();
                let Some((of, number)) = self.pick(&marks) else { return };
                let mark = self.world.stores[of].marks[number];
                let raw = kmmark { record: mark.record, serial: mark.serial };
                let got = unsafe { kmlinrewind(handle, raw) };
                let right = of == store && mark.live;
                if right && self.world.guests(store).any(|guest| guest.born > mark.age) {
                    assert_eq!(got, IN_USE, "a guest's home is not rewound");
                } else if self.world.has_guests(store) {
                    assert!(matches!(got, OK | IN_USE | BAD_ADDRESS) && (right || got != OK), "rewind: {got}");
                } else {
                    assert_eq!(got, if right { OK } else { BAD_ADDRESS }, "rewind");
                }
                if got == OK {
                    self.world.stores[store].marks[number..].iter_mut().for_each(|mark| mark.live = false);
                    for cell in self.world.live_in(store) {
                        if self.world.cells[cell].age > mark.age {
                            self.world.cells[cell].live = false;
                        }
                    }
                }
            }
            _ => {
                let got = unsafe { kmlinreset(handle) };
                assert_eq!(got, if self.world.has_guests(store) { IN_USE } else { OK }, "reset");
                if got == OK {
                    self.world.stores[store].marks.iter_mut().for_each(|mark| mark.live = false);
                    for cell in self.world.live_in(store) {
                        self.world.cells[cell].live = false;
                    }
                }
            }
        }
    }

    /// Everything goes, in an order in which it can.
    pub(super) fn finish(&mut self) {
        for cell in 0..self.world.cells.len() {
            if self.world.cells[cell].live && self.world.cells[cell].guard == Some(true) {
                assert_eq!(unsafe { kmtreeguard(self.world.cells[cell].at, None, ptr::null_mut()) }, OK);
                self.world.cells[cell].guard = None;
            }
        }
        // A guest was made after its host.
        for store in (1..self.world.stores.len()).rev() {
            if self.world.stores[store].live {
                assert_eq!(self.call_destroy(store), OK);
                self.bury(store);
            }
        }
        for cell in 0..self.world.cells.len() {
            let Cell { kind, at, live, store, .. } = self.world.cells[cell];
            let outside = store.is_none_or(|store| store == 0);
            if live && outside && kind != Kind::Tree {
                for _ in 0..self.world.cells[cell].refs {
                    assert_eq!(unsafe { if kind == Kind::Ref { kmrefd(at) } else { kmheapf(at) } }, OK);
                }
                self.world.cells[cell].live = false;
            }
        }
        for top in self.tops(0) {
            let nodes = self.world.subtree(top);
            assert_eq!(unsafe { kmtreef(self.world.cells[top].at) }, OK);
            self.kill(&nodes);
        }
    }
}

//! The calls.

use std::cell::RefCell;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use kmem_capi::face::{any::*, heap::*, lin::*, pool::*, refs::*, tree::*, walk::*};
use kmem_capi::types::{kmcell, kmheap, kmlin, kmmark, kmnode, kmpool, kmptr, kmspan, kmtree};

use crate::model::{BAD_ADDRESS, BAD_SIZE, Cell, IN_USE, Kind, MISMATCH, Mark, NO_ROOM, NODE, OK, Store, World};

/// Cells and stores that there may be at once: enough to meet each other, few enough to look at after each call.
const CELLS: usize = 48;
const STORES: usize = 10;
const ROOM: usize = 12 << 10;
const ROOMS: usize = 3;

#[repr(align(16))]
struct Room(#[expect(dead_code, reason = "it is read and written by its address")] [u8; ROOM]);

static mut BYTES: [Room; ROOMS] = [const { Room([0; ROOM]) }; ROOMS];

const NAMES: [&CStr; 4] =
    [c"", c"request", c"struct request", c"a name that is a good deal longer than the others are"];

/// What destructors and guards saw.
#[derive(Default)]
struct Seen {
    gone: Vec<(usize, usize)>,
    wrong: Option<&'static str>,
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// A destructor: it is told its cell's number and its own.
unsafe extern "C" fn dtor(cell: *mut c_void, ctx: *mut c_void) {
    SEEN.with_borrow_mut(|seen| {
        seen.gone.push((ctx.addr() >> 8, ctx.addr() & 255));
        // SAFETY: what is refused needs no promise.
        if unsafe { kmtreef(cell) } != IN_USE {
            seen.wrong = Some("a destructor could free its own node");
        }
    });
}

unsafe extern "C" fn guard(_: *mut c_void, ctx: *mut c_void) -> c_int {
    c_int::from(!ctx.is_null())
}

fn context(cell: usize, number: usize) -> *mut c_void {
    ptr::without_provenance_mut(cell << 8 | number)
}

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
        host: None,
        room: None,
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
            252 => 0,
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
        let call = self.byte() % 24;
        if cfg!(feature = "say") {
            let stores: Vec<_> =
                self.world.stores.iter().filter(|store| store.live).map(|s| (s.kind, s.handle, s.host)).collect();
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
            _ => self.wrong_kind(),
        }
        true
    }

    fn make_store(&mut self) {
        if self.world.stores.iter().filter(|store| store.live).count() >= STORES || self.world.stores.len() > 60 {
            return;
        }
        let kind = [Kind::Heap, Kind::Lin, Kind::Pool, Kind::Tree][self.byte() % 4];
        let home = self.byte() % 3;
        let room = (self.byte() % ROOMS, home == 1);
        let (buf, len) = (unsafe { (&raw mut BYTES).cast::<Room>().add(room.0) }.cast::<c_void>(), ROOM);
        let host = if home == 2 { self.store(|_| true) } else { None };
        let source = self.handle(host).cast::<kmcell>();
        let size = self.byte() * 8;
        let mut handle = ptr::null_mut::<c_void>();
        let place = &raw mut handle;
        let got = unsafe {
            match (kind, home, host) {
                (Kind::Heap, 1, _) => kmheapif(place.cast(), buf, len),
                (Kind::Heap, ..) => kmheapi(place.cast()),
                (Kind::Lin, 1, _) => kmlinif(place.cast(), buf, len),
                (Kind::Lin, _, Some(_)) => kmlini_in(place.cast(), source, size),
                (Kind::Lin, ..) => kmlini(place.cast(), size),
                (Kind::Pool, 1, _) => kmpoolif(place.cast(), size, buf, len),
                (Kind::Pool, _, Some(_)) => kmpooli_in(place.cast(), source, size, 3),
                (Kind::Pool, ..) => kmpooli(place.cast(), size, 3),
                (_, 1, _) => kmtreeif(place.cast(), buf, len),
                (_, _, Some(_)) => kmtreei_in(place.cast(), source),
                (..) => kmtreei(place.cast()),
            }
        };
        let host = if kind == Kind::Heap || home != 2 { None } else { host };
        let taken = self.world.stores.iter().any(|store| store.live && store.room == Some(room.0));
        if room.1 {
            assert_eq!(got, if taken { IN_USE } else { OK }, "{kind:?} in bytes");
        } else if host.is_none() {
            assert_eq!(got, OK, "{kind:?}");
        } else {
            assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "{kind:?} in a store: {got}");
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
            host,
            room: room.1.then_some(room.0),
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
            self.world.stores[store].live = false;
        }
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

    fn tops(&self, store: usize) -> Vec<usize> {
        let mut tops = self
            .cells(|cell| cell.live && cell.kind == Kind::Tree && cell.store == Some(store) && cell.parent.is_none());
        tops.sort_by_key(|cell| self.world.cells[*cell].age);
        tops
    }

    fn guarded(&self, nodes: &[usize]) -> bool {
        nodes.iter().any(|node| self.world.cells[*node].guard == Some(true))
    }

    fn destroy_store(&mut self) {
        let Some(store) = self.store(|_| true) else { return };
        let nodes: Vec<usize> = self.tops(store).into_iter().flat_map(|top| self.world.subtree(top)).collect();
        let refused = store == 0 || self.world.has_guests(store) || self.guarded(&nodes);
        self.expect_gone(&[]);
        let got = self.call_destroy(store);
        assert_eq!(got, if refused { IN_USE } else { OK }, "destroy of {:?}", self.world.stores[store].kind);
        if refused {
            return;
        }
        self.ran(&nodes);
        self.bury(store);
    }

    fn bury(&mut self, store: usize) {
        for cell in self.world.live_in(store) {
            self.world.cells[cell].live = false;
        }
        self.world.stores[store].live = false;
    }

    /// Forgets what destructors saw.
    fn expect_gone(&mut self, _: &[usize]) {
        SEEN.with_borrow_mut(|seen| *seen = Seen::default());
    }

    /// That the destructors of these nodes have run, in their order.
    fn ran(&mut self, nodes: &[usize]) {
        let all = nodes.iter().flat_map(|node| {
            self.world.cells[*node].destructors.iter().rev().map(|number| (*node, *number)).collect::<Vec<_>>()
        });
        let all: Vec<_> = all.collect();
        SEEN.with_borrow(|seen| {
            assert_eq!(seen.wrong, None);
            let mut sorted = (all.clone(), seen.gone.clone());
            sorted.0.sort_unstable();
            sorted.1.sort_unstable();
            assert_eq!(sorted.0, sorted.1, "each destructor runs once");
            let parent_first = |pair: &(usize, usize)| seen.gone.iter().position(|gone| gone == pair);
            for (node, number) in &all {
                if let Some(above) = self.world.cells[*node].parent
                    && let Some(first) = self.world.cells[above].destructors.first()
                    && nodes.contains(&above)
                {
                    assert!(parent_first(&(above, *first)) < parent_first(&(*node, *number)), "parents come first");
                }
            }
        });
    }

    fn alloc(&mut self) {
        if self.world.cells.iter().filter(|cell| cell.live).count() >= CELLS || self.world.cells.len() > 600 {
            return;
        }
        let how = self.byte();
        let (object, zeroed) = (how & 1 != 0, how & 2 != 0);
        let len = self.len();
        let kind = [Kind::Heap, Kind::Lin, Kind::Pool, Kind::Ref, Kind::Tree, Kind::Tree][how / 4 % 6];
        let store = match kind {
            Kind::Heap | Kind::Ref if how & 64 != 0 => None,
            Kind::Ref => self.store(|_| true),
            _ => self.store(|store| store.kind == kind),
        };
        if store.is_none() && !matches!(kind, Kind::Heap | Kind::Ref) {
            return;
        }
        let under =
            if kind == Kind::Tree { self.cell(|cell| cell.kind == Kind::Tree && cell.store == store) } else { None };
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
            let chain = std::iter::successors(Some(store), |store| self.world.stores[*store].host);
            chain
                .into_iter()
                .any(|store| self.world.stores[store].room.is_some() || self.world.stores[store].kind == Kind::Pool)
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

    fn unlink(&mut self, node: usize) {
        if let Some(parent) = self.world.cells[node].parent {
            self.world.cells[parent].children.retain(|child| *child != node);
        }
    }

    fn kill(&mut self, nodes: &[usize]) {
        for node in nodes {
            self.world.cells[*node].live = false;
        }
    }

    fn release(&mut self) {
        let how = self.byte() % 6;
        let Some(cell) = self.cell(|_| true) else { return };
        let Cell { kind, at, store, tainted, len, .. } = self.world.cells[cell];
        let handle = self.handle(store);
        let ptr = self.ptr(cell);
        let nodes = if kind == Kind::Tree { self.world.subtree(cell) } else { vec![cell] };
        let refused = kind == Kind::Tree && self.guarded(&nodes);
        self.expect_gone(&nodes);
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

    fn resize(&mut self) {
        let len = self.len();
        let named = self.byte() % 2 == 0;
        let Some(cell) = self.cell(|cell| cell.kind != Kind::Ref) else { return };
        let Cell { kind, at, store, len: before, parent, .. } = self.world.cells[cell];
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
        if len > isize::MAX as usize - 64 {
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
        let _ = parent;
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

    /// An address that is no live cell's, or none.
    fn stray(&mut self) -> Option<*mut c_void> {
        let how = self.byte() % 8;
        let stray = match how {
            0 => {
                let dead = self.cells(|cell| !cell.live);
                let dead = self.pick(&dead)?;
                self.world.cells[dead].at
            }
            1 | 2 => {
                let cell = self.cell(|cell| cell.len > 1)?;
                let offset = 1 + self.byte() % (self.world.cells[cell].len - 1);
                self.world.cells[cell].at.wrapping_byte_add(offset)
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

    fn misuse_cell(&mut self) {
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

    fn wrong_kind(&mut self) {
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

    fn misuse_store(&mut self) {
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

    fn move_node(&mut self) {
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let to = if self.byte() % 4 == 0 { None } else { self.cell(|cell| cell.kind == Kind::Tree) };
        let (from, to_at) = (self.world.cells[node].at, to.map_or(ptr::null_mut(), |to| self.world.cells[to].at));
        let got = unsafe { kmtreem(from, to_at) };
        let elsewhere = to.is_some_and(|to| self.world.cells[to].store != self.world.cells[node].store);
        let expected = if elsewhere {
            MISMATCH
        } else if self.world.upward(to).contains(&node) {
            IN_USE
        } else if !self.world.has_quota(to, self.world.subtree_bytes(node), Some(node)) {
            NO_ROOM
        } else {
            OK
        };
        assert_eq!(got, expected, "move");
        if got == OK {
            self.unlink(node);
            self.world.age += 1;
            self.world.cells[node].age = self.world.age;
            self.world.cells[node].parent = to;
            if let Some(to) = to {
                self.world.cells[to].children.push(node);
            }
        }
    }

    fn free_children(&mut self) {
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let children = self.world.cells[node].children.clone();
        let nodes: Vec<usize> = children.iter().flat_map(|child| self.world.subtree(*child)).collect();
        self.expect_gone(&nodes);
        let got = unsafe { kmtreefc(self.world.cells[node].at) };
        let refused = self.guarded(&nodes);
        assert_eq!(got, if refused { IN_USE } else { OK }, "free children");
        if !refused {
            self.ran(&nodes);
            self.kill(&nodes);
            self.world.cells[node].children.clear();
        }
    }

    fn hooks(&mut self) {
        let how = self.byte();
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let at = self.world.cells[node].at;
        let number = how / 4 % 4;
        match how % 4 {
            0 => {
                let got = unsafe { kmtreeon(at, Some(dtor), context(node, number)) };
                assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "on: {got}");
                if got == OK {
                    self.world.cells[node].destructors.push(number);
                }
            }
            1 => {
                let got = unsafe { kmtreeoff(at, Some(dtor), context(node, number)) };
                // The newest of those that are alike goes.
                match self.world.cells[node].destructors.iter().rposition(|has| *has == number) {
                    Some(place) => {
                        assert_eq!(got, OK, "off");
                        self.world.cells[node].destructors.remove(place);
                    }
                    None => assert_eq!(got, BAD_ADDRESS, "off of none"),
                }
            }
            2 => {
                let refuses = number == 0;
                let ctx = if refuses { context(1, 0) } else { ptr::null_mut() };
                let got = unsafe { kmtreeguard(at, Some(guard), ctx) };
                assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "guard: {got}");
                if got == OK {
                    self.world.cells[node].guard = Some(refuses);
                }
            }
            _ => {
                assert_eq!(unsafe { kmtreeguard(at, None, ptr::null_mut()) }, OK);
                self.world.cells[node].guard = None;
            }
        }
    }

    fn names(&mut self) {
        let how = self.byte();
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let at = self.world.cells[node].at;
        let name = how % 5;
        let text = NAMES.get(name).map_or(ptr::null(), |name| name.as_ptr());
        let got = unsafe { kmtreename(at, text) };
        assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "name: {got}");
        if got == OK {
            self.world.cells[node].name = if text.is_null() { None } else { u8::try_from(name).ok() };
        }
    }

    fn quota(&mut self) {
        let how = self.byte();
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let quota = if how % 3 == 0 { 0 } else { how * 8 };
        let got = unsafe { kmtreequota(self.world.cells[node].at, quota) };
        assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "quota: {got}");
        if got == OK {
            self.world.cells[node].quota = quota;
        }
    }

    fn count(&mut self) {
        let Some(cell) = self.cell(|cell| cell.kind == Kind::Ref) else { return };
        assert_eq!(unsafe { kmrefu(self.world.cells[cell].at) }, OK);
        self.world.cells[cell].refs += 1;
    }

    fn marks(&mut self) {
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
                let newer = |guest: &Store| guest.live && guest.host == Some(store) && guest.born > mark.age;
                if right && self.world.stores.iter().any(newer) {
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

    fn taint(&mut self) {
        if self.byte() % 4 == 0 {
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

    fn dup(&mut self) {
        if self.world.cells.iter().filter(|cell| cell.live).count() >= CELLS {
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
        assert!(new.is_whole(len), "a copy has the bytes");
        let number = self.world.cells.len();
        new.paint(u8::try_from(number % 255).expect("small") + 1);
        new.parent = parent;
        new.tainted = tainted;
        self.world.cells.push(new);
        if let Some(parent) = parent {
            self.world.cells[parent].children.push(number);
        }
    }

    fn zero(&mut self) {
        let Some(cell) = self.cell(|_| true) else { return };
        let got = unsafe { kmozero(self.ptr(cell)) };
        if !self.world.cells[cell].destructors.is_empty() {
            assert_eq!(got, MISMATCH);
            return;
        }
        assert_eq!(got, OK);
        self.world.cells[cell].fill = 0;
        let len = self.world.cells[cell].len;
        assert!(self.world.cells[cell].is_whole(len), "zeroed is zero");
    }

    fn walk(&mut self) {
        let Some(store) = self.store(|_| true) else { return };
        let Store { kind, handle, .. } = self.world.stores[store];
        let mut found: Vec<(usize, usize, usize)> = Vec::new();
        unsafe extern "C" fn see(span: *const kmspan, ctx: *mut c_void) -> c_int {
            let span = unsafe { &*span };
            if span.state == 2 {
                unsafe { &mut *ctx.cast::<Vec<(usize, usize, usize)>>() }.push((span.at.addr(), span.size, span.refs));
            }
            0
        }
        assert_eq!(unsafe { kmwalk(handle.cast(), Some(see), (&raw mut found).cast()) }, OK);
        for cell in self.world.live_in(store) {
            let Cell { kind: of, at, len, refs, .. } = self.world.cells[cell];
            if of == kind {
                assert!(found.iter().any(|(place, size, _)| (*place, *size) == (at.addr(), len)), "a walk sees {of:?}");
            } else {
                let inside =
                    |(place, size, _): &&(usize, usize, usize)| at.addr() > *place && at.addr() <= place + size;
                let seen = found.iter().find(inside).map(|(.., refs)| *refs);
                assert_eq!(seen, Some(refs), "a walk sees a count");
            }
        }
        let Some(top) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        found.clear();
        let at = self.world.cells[top].at;
        assert_eq!(unsafe { kmtreereport(at, Some(see), (&raw mut found).cast()) }, OK);
        let nodes = self.world.subtree(top);
        let nodes: Vec<usize> = nodes.iter().map(|node| self.world.cells[*node].at.addr()).collect();
        assert_eq!(found.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), nodes, "a report has the subtree");
    }

    /// What must be so after each call.
    fn check(&self) {
        for (number, cell) in self.world.cells.iter().enumerate().filter(|(_, cell)| cell.live) {
            assert!(cell.is_whole(cell.len.min(600)), "cell {number}, {:?}, has its bytes", cell.kind);
            if cell.kind == Kind::Tree {
                self.check_node(cell);
            }
        }
    }

    fn check_node(&self, cell: &Cell) {
        let mut header = ptr::null_mut::<kmnode>();
        assert_eq!(unsafe { kmtreen(&raw mut header, cell.at) }, OK);
        let header = unsafe { &*header };
        let place = |node: *mut kmnode| if node.is_null() { ptr::null_mut() } else { node.wrapping_add(1).cast() };
        let parent = match cell.parent {
            Some(parent) => self.world.cells[parent].at,
            None => self.world.stores[cell.store.expect("a tree")].root,
        };
        assert_eq!(place(header.parent), parent, "a node names its parent");
        let (mut at, mut children) = (header.child, cell.children.iter());
        while !at.is_null() {
            let child = children.next().expect("no child too many");
            assert_eq!(place(at), self.world.cells[*child].at, "children stand in their order");
            at = unsafe { &*at }.next;
        }
        assert_eq!(children.next(), None, "no child is missing");
        let name = unsafe { kmtreenameof(cell.at) };
        match cell.name {
            None => assert!(name.is_null()),
            Some(number) => assert_eq!(unsafe { CStr::from_ptr(name) }, NAMES[usize::from(number)]),
        }
    }

    /// Everything goes, in an order in which it can.
    fn finish(&mut self) {
        for cell in 0..self.world.cells.len() {
            if self.world.cells[cell].live && self.world.cells[cell].guard == Some(true) {
                assert_eq!(unsafe { kmtreeguard(self.world.cells[cell].at, None, ptr::null_mut()) }, OK);
                self.world.cells[cell].guard = None;
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
        // A guest was made after its host.
        for store in (1..self.world.stores.len()).rev() {
            if self.world.stores[store].live {
                assert_eq!(self.call_destroy(store), OK);
                self.bury(store);
            }
        }
        let _: (*mut kmheap, *mut kmpool, *mut kmtree) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    }
}

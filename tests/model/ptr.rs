//! Managed pointers of all kinds in one world, released by code that does not know which it has.

use core::alloc::Layout;
use core::ptr::NonNull;

use kmem::{Cond, Head, Headers, Heap, Kind, Lin, Pool, Ptr, Source, Store, Tree, dup, refs, stat, stat_unsized};

use super::cells::{Cells, Sizes, byte, layout};
use super::dice::Dice;
use super::world::World;

/// Bytes of payload in a cell of the pool.
pub const CELL: Layout = match Layout::from_size_align(272, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("a layout"),
};

/// The stores; pointers name them by address, so they are boxed.
pub struct Stores<S: Source> {
    pub heap: Heap<S>,
    pub lin: Lin<S, Headers>,
    pub pool: Pool<S, Headers>,
    pub tree: Tree<Heap<S>>,
}

impl<S: Source + Copy> Stores<S> {
    pub fn over(source: S) -> Self {
        Self {
            heap: Heap::new_in(source),
            lin: Lin::with_headers_in(source),
            pool: Pool::with_headers_in(CELL, source),
            tree: Tree::managed_in(Heap::new_in(source)),
        }
    }
}

/// Which store a pointer's memory is in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Home {
    Heap,
    Lin,
    Pool,
    Tree,
    Static,
}

struct Held {
    ptr: Ptr,
    home: Home,
    /// References; 0 for what is not counted.
    refs: usize,
    /// For a node, its parent: an address.
    parent: Option<NonNull<u8>>,
}

pub struct PtrWorld<S: Source> {
    stores: Box<Stores<S>>,
    cells: Cells<Held>,
    stale: Vec<Ptr>,
    goal: usize,
    asked: usize,
}

/// A pointer with another word in it, as C or an error could make it: its fields are `repr(C)`.
fn forged(ptr: Ptr, word: usize, value: usize) -> Ptr {
    let mut forged = ptr;
    // SAFETY: a pointer object is four words; each of the last three may have any value.
    unsafe { (&raw mut forged).cast::<usize>().add(word).write(value) };
    forged
}

/// A pointer of another kind.
fn of_kind(ptr: Ptr, kind: Kind) -> Ptr {
    let mut forged = ptr;
    // SAFETY: the first byte is the kind.
    unsafe { (&raw mut forged).cast::<u8>().write(kind as u8) };
    forged
}

impl<S: Source + Copy> PtrWorld<S> {
    pub fn new(source: S, goal: usize) -> Self {
        let (stores, cells) = (Box::new(Stores::over(source)), Cells::new());
        Self { stores, cells, stale: Vec::new(), goal, asked: 0 }
    }

    /// A node to be a parent: one of the list, or the root.
    fn parent(&self, dice: &mut Dice) -> NonNull<u8> {
        let root = self.stores.tree.root().expect("there is room for the root");
        let node = self.cells.any(dice).map(|index| &self.cells.list[index]);
        node.filter(|cell| cell.more.ptr.kind() == Kind::Tree).map_or(root, |cell| cell.at)
    }

    fn alloc(&mut self, dice: &mut Dice) {
        let (layout, zeroed, stores) = (layout(dice, Sizes::Small), dice.one_in(3), &*self.stores);
        self.asked += layout.size() + 64;
        let parent = self.parent(dice);
        let counted = |home| match (home, zeroed) {
            (Home::Heap, false) => refs::alloc_ptr(&stores.heap, layout),
            (Home::Heap, true) => refs::alloc_zeroed_ptr(&stores.heap, layout),
            (Home::Lin, false) => refs::alloc_ptr(&stores.lin, layout),
            (Home::Lin, true) => refs::alloc_zeroed_ptr(&stores.lin, layout),
            (Home::Pool, false) => refs::alloc_ptr(&stores.pool, layout),
            (_, true) => refs::alloc_zeroed_ptr(&stores.pool, layout),
            (_, false) => refs::alloc_ptr(&stores.pool, layout),
        };
        let (home, refs, answer) = match (dice.below(16), zeroed) {
            (0..=3, false) => (Home::Heap, 0, stores.heap.alloc_ptr(layout)),
            (0..=3, true) => (Home::Heap, 0, stores.heap.alloc_zeroed_ptr(layout)),
            (4..=6, false) => (Home::Lin, 0, stores.lin.alloc_ptr(layout)),
            (4..=6, true) => (Home::Lin, 0, stores.lin.alloc_zeroed_ptr(layout)),
            (7..=8, false) => (Home::Pool, 0, stores.pool.alloc_ptr()),
            (7..=8, true) => (Home::Pool, 0, stores.pool.alloc_zeroed_ptr()),
            (9..=11, false) => (Home::Tree, 0, stores.tree.alloc_ptr(parent, layout)),
            (9..=11, true) => (Home::Tree, 0, stores.tree.alloc_zeroed_ptr(parent, layout)),
            (12, _) => (Home::Heap, 1, counted(Home::Heap)),
            (13, _) => (Home::Lin, 1, counted(Home::Lin)),
            (14, _) => (Home::Pool, 1, counted(Home::Pool)),
            _ => {
                // Static memory: the model's own, leaked until the pointer is released.
                let bytes = Box::leak(vec![0_u64; 32].into_boxed_slice());
                (Home::Static, 0, Ok(stat(bytes.as_mut_ptr().cast(), layout.size())))
            }
        };
        let ptr = answer.expect("there is room");
        let layout = match home {
            Home::Pool if refs == 0 => CELL,
            Home::Static => Layout::from_size_align(layout.size(), 1).expect("a layout"),
            _ => layout,
        };
        let parent = (home == Home::Tree).then_some(parent);
        self.adopt(ptr, layout, zeroed && home != Home::Static, Held { ptr, home, refs, parent });
    }

    fn adopt(&mut self, ptr: Ptr, layout: Layout, zeroed: bool, held: Held) -> usize {
        assert_eq!((ptr.size(), ptr.is_tainted()), (Some(layout.size()), false));
        let kind = match (held.refs, held.home) {
            (1.., _) => Kind::Ref,
            (_, Home::Heap) => Kind::Heap,
            (_, Home::Lin) => Kind::Lin,
            (_, Home::Pool) => Kind::Pool,
            (_, Home::Tree) => Kind::Tree,
            (_, Home::Static) => Kind::None,
        };
        assert_eq!(ptr.kind(), kind);
        assert_eq!(ptr.cell().is_null(), kind == Kind::None);
        let at = NonNull::new(ptr.payload()).expect("an address");
        self.cells.adopt(NonNull::slice_from_raw_parts(at, layout.size()), layout, zeroed, held)
    }

    /// Nodes under a node, all the way down.
    fn subtree(&self, top: usize) -> Vec<usize> {
        let mut going = vec![top];
        let mut next = 0;
        while next < going.len() {
            let at = self.cells.list[going[next]].at;
            let children = self.cells.list.iter().enumerate().filter(|(_, cell)| cell.more.parent == Some(at));
            going.extend(children.map(|(index, _)| index));
            next += 1;
        }
        going
    }

    fn release(&mut self, dice: &mut Dice) {
        let candidates: Vec<usize> = (0..3).filter_map(|_| self.cells.any(dice)).collect();
        let Some(index) = candidates.into_iter().min_by_key(|index| self.subtree(*index).len()) else { return };
        self.cells.list[index].verify();
        let shred = cfg!(feature = "shred") && dice.one_in(3);
        let cell = &mut self.cells.list[index];
        let (ptr, tainted) = (cell.more.ptr, cell.tainted);
        // SAFETY: a live pointer whose store is where it was; the model uses it no more.
        unsafe {
            #[cfg(feature = "shred")]
            if shred {
                kmem::shred(ptr).expect("a live pointer is shredded");
            } else {
                kmem::free(ptr).expect("a live pointer is released");
            }
            #[cfg(not(feature = "shred"))]
            kmem::free(ptr).expect("a live pointer is released");
        }
        if cell.more.refs > 1 {
            cell.more.refs -= 1;
            cell.tainted |= shred;
            return cell.verify();
        }
        if cell.more.home == Home::Static {
            let (at, size) = (cell.at, cell.layout.size());
            let zero = |at: usize| unsafe { cell.at.add(at).read() } == 0;
            match shred || tainted {
                true => assert!((0..size).all(zero), "tainted static memory is zeroed"),
                false => cell.verify(),
            }
            // SAFETY: what `alloc` leaked, back in its box.
            drop(unsafe { Box::from_raw(core::ptr::slice_from_raw_parts_mut(at.as_ptr().cast::<u64>(), 32)) });
        }
        let mut going = self.subtree(index);
        going.sort_unstable_by(|a, b| b.cmp(a));
        for index in going {
            let cell = self.cells.remove(index);
            if cell.more.home != Home::Static {
                self.stale.push(cell.more.ptr);
            }
        }
        self.stale.drain(..self.stale.len().saturating_sub(32));
    }

    fn dup(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = &self.cells.list[index];
        let (at, layout, tag, ptr, tainted) = (cell.at, cell.layout, cell.tag, cell.more.ptr, cell.tainted);
        let (home, refs, parent) = (cell.more.home, cell.more.refs.min(1), cell.more.parent);
        self.asked += layout.size() + 64;
        // SAFETY: a live pointer whose store is where it was.
        let copy = unsafe { dup(&ptr) };
        if home == Home::Static {
            assert_eq!(copy, Err(Cond::Mismatch), "static memory has no siblings");
            // SAFETY: as above.
            assert_eq!(unsafe { dup(&stat_unsized(at.as_ptr())) }, Err(Cond::BadSize));
            return;
        }
        let copy = copy.expect("there is room");
        assert_eq!(copy.is_tainted(), tainted, "taint is inherited");
        assert!(copy.payload() != at.as_ptr() && copy.cell() == ptr.cell());
        // SAFETY: a live cell that is this long.
        let same = (0..layout.size()).all(|i| unsafe { copy.payload().add(i).read() } == byte(tag, i));
        assert!(same, "the copy differs");
        if refs > 0 {
            let payload = NonNull::new(copy.payload()).expect("an address");
            // SAFETY: a live counted cell.
            assert_eq!(unsafe { refs::header(payload) }.refs(), 1, "a copy has one reference");
        }
        let held = Held { ptr: copy, home, refs, parent };
        // For the checks of a new pointer, as if it were not tainted.
        let untainted = forged(copy, 0, 0);
        let index = self.adopt(of_kind(untainted, copy.kind()), layout, false, held);
        self.cells.list[index].tainted = tainted;
    }

    #[cfg(feature = "shred")]
    fn taint(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = &mut self.cells.list[index];
        // SAFETY: a live pointer whose store is where it was.
        unsafe { kmem::taint(&mut cell.more.ptr) }.expect("a live pointer");
        assert!(cell.more.ptr.is_tainted());
        cell.tainted = true;
    }

    fn zero_and_copy(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = &self.cells.list[index];
        let (at, size) = (cell.at, cell.layout.size());
        let kept: Vec<u8> = (0..size).map(|i| byte(cell.tag, i)).collect();
        // SAFETY: a live pointer whose store is where it was, of this size.
        unsafe {
            kmem::zero_object(&cell.more.ptr).expect("a live pointer");
            assert!((0..size).all(|i| at.add(i).read() == 0), "zero_object left something");
            let source = NonNull::new(kept.as_ptr().cast_mut()).expect("an address");
            kmem::copy(at, source, size);
            // Overlapping, one up and back down.
            if size > 1 {
                kmem::copy(at.add(1), at, size - 1);
                kmem::copy(at, at.add(1), size - 1);
                at.add(size - 1).write(kept[size - 1]);
            }
        }
        cell.verify();
    }

    fn upref(&mut self, dice: &mut Dice) {
        for _ in 0..4 {
            let Some(index) = self.cells.any(dice) else { return };
            let cell = &mut self.cells.list[index];
            if (1..4).contains(&cell.more.refs) {
                cell.more.refs += 1;
                // SAFETY: a live counted cell.
                assert_eq!(unsafe { refs::upref(cell.at) }, Ok(cell.more.refs));
                return;
            }
        }
    }

    /// Everything that a pointer can be wrong in is refused, and nothing changes.
    fn misuse(&mut self, dice: &mut Dice) {
        let root = self.stores.tree.root().expect("there is room for the root").as_ptr();
        let before = self.figures();
        let live = |at: *mut u8| self.cells.list.iter().any(|cell| cell.at.as_ptr() == at);
        let mut wrong: Vec<(Ptr, &[Cond])> = vec![(Ptr::FAIL, &[Cond::BadAddress])];
        let refusals: &[Cond] = &[Cond::BadAddress, Cond::Mismatch];
        if let Some(stale) = self.stale.pop().filter(|ptr| !live(ptr.payload()) && ptr.payload() != root) {
            wrong.push((stale, refusals));
        }
        let allocated = self.cells.any(dice).map(|index| &self.cells.list[index]);
        if let Some(cell) = allocated.filter(|cell| cell.more.home != Home::Static) {
            let ptr = cell.more.ptr;
            let wild = self.cells.wild(dice).as_ptr();
            if wild != root {
                wrong.push((forged(ptr, 1, wild.addr()), refusals));
            }
            wrong.push((forged(ptr, 1, 0), &[Cond::BadAddress]));
            // The same address in another store, and as another kind in its own.
            let heads: [*const Head; 4] =
                [self.stores.heap.head(), self.stores.lin.head(), self.stores.pool.head(), self.stores.tree.head()];
            let other = dice.pick(&heads);
            if other != ptr.cell() {
                wrong.push((forged(ptr, 2, other.addr()), refusals));
            }
            let kind = dice.pick(&[Kind::Heap, Kind::Lin, Kind::Pool, Kind::Ref, Kind::Tree]);
            if kind != ptr.kind() {
                wrong.push((of_kind(ptr, kind), refusals));
            }
        }
        for (mut ptr, conds) in wrong {
            // SAFETY: refused before anything is done.
            let answers = unsafe {
                #[cfg(feature = "shred")]
                let more = [kmem::shred(ptr), kmem::taint(&mut ptr)];
                #[cfg(not(feature = "shred"))]
                let more = [(); 0].map(Ok::<(), Cond>);
                [kmem::free(ptr), dup(&ptr).map(drop), kmem::zero_object(&ptr)].into_iter().chain(more)
            };
            for answer in answers {
                let refused = answer.is_err_and(|cond| conds.contains(&cond));
                assert!(refused, "{ptr:?} gives {answer:?}");
            }
            let _ = &mut ptr;
        }
        assert_eq!(self.figures(), before, "what was refused changed something");
    }

    fn figures(&self) -> [kmem::Stats; 4] {
        let stores = &*self.stores;
        [stores.heap.stats(), stores.lin.stats(), stores.pool.stats(), stores.tree.stats()]
    }

    /// The linear region ends: what is in it is gone.
    fn reset_lin(&mut self) {
        self.asked = 0;
        self.stores.lin.reset();
        self.forget(Home::Lin);
    }

    fn forget(&mut self, home: Home) {
        for index in (0..self.cells.len()).rev() {
            if self.cells.list[index].more.home == home {
                self.stale.push(self.cells.remove(index).more.ptr);
            }
        }
    }
}

impl<S: Source + Copy> World for PtrWorld<S> {
    fn step(&mut self, dice: &mut Dice) {
        let (few, many) = (self.cells.len() < self.goal * 4 / 5, self.cells.len() >= self.goal);
        if self.asked > 300_000 {
            self.verify_all();
            self.reset_lin();
        }
        if self.cells.len() < self.goal * 3 / 4 && !dice.one_in(8) {
            self.alloc(dice);
        }
        match dice.below(100) {
            0..=24 if !many => self.alloc(dice),
            0..=49 if !few => self.release(dice),
            0..=49 => self.alloc(dice),
            50..=57 if !many => self.dup(dice),
            58..=65 => self.zero_and_copy(dice),
            66..=73 => self.upref(dice),
            #[cfg(feature = "shred")]
            74..=80 => self.taint(dice),
            _ => self.misuse(dice),
        }
        self.cells.verify_some(dice);
    }

    fn check(&mut self) {
        let stores = &*self.stores;
        stores.heap.check().expect("the heap holds");
        stores.lin.check().expect("the region holds");
        stores.pool.check().expect("the pool holds");
        stores.tree.check().expect("the tree holds");
        stores.tree.source().check().expect("the tree's heap holds");
        let count = |home| self.cells.list.iter().filter(|cell| cell.more.home == home).count();
        let root = stores.tree.stats().live.min(1);
        let live = [count(Home::Heap), count(Home::Lin), count(Home::Pool), count(Home::Tree) + root];
        assert_eq!(self.figures().map(|stats| stats.live), live);
    }

    fn live(&self) -> usize {
        self.cells.len()
    }

    fn verify_all(&mut self) {
        self.cells.verify_all();
    }

    fn finish(&mut self) {
        let stores = &mut *self.stores;
        stores.heap.destroy().expect("taken back");
        stores.lin.destroy().expect("taken back");
        stores.pool.destroy().expect("taken back");
        stores.tree.destroy().expect("taken back");
        for home in [Home::Heap, Home::Lin, Home::Pool, Home::Tree] {
            self.forget(home);
        }
        assert_eq!(self.figures().map(|stats| stats.live), [0; 4]);
        for cell in &self.cells.list {
            cell.verify();
            // SAFETY: what `alloc` leaked, back in its box; nothing uses it any more.
            drop(unsafe { Box::from_raw(core::ptr::slice_from_raw_parts_mut(cell.at.as_ptr().cast::<u64>(), 32)) });
        }
        self.cells.clear();
    }
}

//! Counted cells in a store, beside plain cells of the same store.

use core::alloc::Layout;
use core::cell::RefCell;
use core::ptr::NonNull;

use kmem::inspect::Inspect;
use kmem::{Broken, Cond, Fixed, Headers, Heap, Kind, Lin, MIN_ALIGN, Pool, Source, Stats, Store, Tree, refs};

use super::cells::{Cells, Sizes, differs, layout};
use super::dice::Dice;
use super::world::{World, refused, understand};

/// What the world asks of any store with counted cells in it.
pub trait Home: Store + Inspect {
    fn prove(&self) -> Result<(), Broken>;
    fn figures(&self) -> Stats;
    /// Everything goes; the store asks for nothing that it has.
    fn clear(&mut self);
    /// Cells that the store has of its own.
    const OWN: usize = 0;
    /// Whether room of released cells comes back only when all go.
    const HOLES: bool = false;
    type Below: Source;
    fn below(&self) -> &Self::Below;
}

impl<S: Source> Home for Heap<S> {
    type Below = S;

    fn prove(&self) -> Result<(), Broken> {
        self.check()
    }

    fn figures(&self) -> Stats {
        self.stats()
    }

    fn clear(&mut self) {
        self.destroy().expect("the source takes everything back");
    }

    fn below(&self) -> &S {
        self.source()
    }
}

impl<S: Source> Home for Lin<S, Headers> {
    type Below = S;
    const HOLES: bool = true;

    fn prove(&self) -> Result<(), Broken> {
        self.check()
    }

    fn figures(&self) -> Stats {
        self.stats()
    }

    fn clear(&mut self) {
        self.reset();
    }

    fn below(&self) -> &S {
        self.source()
    }
}

impl<S: Source> Home for Pool<S, Headers> {
    type Below = S;

    fn prove(&self) -> Result<(), Broken> {
        self.check()
    }

    fn figures(&self) -> Stats {
        self.stats()
    }

    fn clear(&mut self) {
        self.reset();
    }

    fn below(&self) -> &S {
        self.source()
    }
}

impl<'a> Home for Tree<Heap<Fixed<'a>>> {
    type Below = Heap<Fixed<'a>>;
    /// The root.
    const OWN: usize = 1;

    fn prove(&self) -> Result<(), Broken> {
        self.check()?;
        self.source().check()
    }

    fn figures(&self) -> Stats {
        self.stats()
    }

    fn clear(&mut self) {
        self.destroy().expect("the source takes everything back");
        self.root().expect("there is room for a root");
    }

    fn below(&self) -> &Heap<Fixed<'a>> {
        self.source()
    }
}

/// What a destructor was told and found.
type Log = RefCell<Vec<(usize, NonNull<u8>, bool)>>;

struct Context {
    log: *const Log,
    number: usize,
    tag: u32,
    size: usize,
}

/// Notes that it ran, and whether the payload was whole.
unsafe fn note(payload: NonNull<u8>, context: *mut ()) {
    // SAFETY: the context is one that the model boxed for this destructor, which runs once.
    let Context { log, number, tag, size } = *unsafe { Box::from_raw(context.cast::<Context>()) };
    // SAFETY: the payload is readable and the log outlives the world.
    unsafe {
        // While it runs the cell is in use.
        assert_eq!(refs::upref(payload), Err(Cond::InUse));
        assert_eq!(refs::downref(payload), Err(Cond::InUse));
        (*log).borrow_mut().push((number, payload, differs(payload, tag, size).is_none()));
    }
}

enum Use {
    Plain,
    Counted { refs: usize, destructor: Option<(usize, *mut Context)> },
}

pub struct RefWorld<T: Home> {
    // A counted cell names its store by address.
    store: Box<T>,
    cells: Cells<Use>,
    log: Box<Log>,
    numbers: usize,
    goal: usize,
    asked: usize,
}

impl<T: Home> RefWorld<T> {
    pub fn new(store: T, goal: usize) -> Self {
        let mut store = Box::new(store);
        store.clear();
        Self { store, cells: Cells::new(), log: Box::default(), numbers: 0, goal, asked: 0 }
    }

    fn alloc(&mut self, dice: &mut Dice) {
        let layout = layout(dice, Sizes::Small);
        self.asked += layout.size() + 100;
        if dice.one_in(4) {
            return match self.store.alloc(layout) {
                Ok(bytes) => drop(self.cells.adopt(bytes, layout, false, Use::Plain)),
                Err(cond) => understand(cond, layout, &*self.store, self.store.below()),
            };
        }
        let zeroed = dice.one_in(3);
        let mut destructor = None;
        let answer = if zeroed {
            refs::alloc_zeroed(&*self.store, layout)
        } else if dice.one_in(3) {
            self.numbers += 1;
            let context = Context { log: &raw const *self.log, number: self.numbers, tag: 0, size: layout.size() };
            let context = Box::into_raw(Box::new(context));
            destructor = Some((self.numbers, context));
            // SAFETY: the destructor may be called once with this context.
            unsafe { refs::alloc_with(&*self.store, layout, note, context.cast()) }
        } else {
            refs::alloc(&*self.store, layout)
        };
        match answer {
            Ok(bytes) => {
                let index = self.cells.adopt(bytes, layout, zeroed, Use::Counted { refs: 1, destructor });
                if let Some((_, context)) = destructor {
                    // SAFETY: the context is ours until the destructor runs.
                    unsafe { (*context).tag = self.cells.list[index].tag };
                }
            }
            Err(cond) => {
                // SAFETY: nobody was told of the context.
                destructor.iter().for_each(|(_, context)| drop(unsafe { Box::from_raw(*context) }));
                understand(cond, layout, &*self.store, self.store.below());
            }
        }
    }

    /// Drops a reference by each of the ways that there are; the last one releases.
    fn release(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = &mut self.cells.list[index];
        cell.verify();
        let at = cell.at;
        // SAFETY: a live cell, of which the model has the references that it counts.
        unsafe {
            match &mut cell.more {
                Use::Plain => self.store.release(at, false).expect("a live cell is freed"),
                Use::Counted { refs, .. } => {
                    *refs -= 1;
                    match dice.below(4) {
                        #[cfg(feature = "shred")]
                        0 => {
                            cell.tainted = true;
                            refs::shred(at).expect("a reference is dropped");
                        }
                        1 => refs::free(at).expect("a reference is dropped"),
                        _ => assert_eq!(refs::downref(at), Ok(*refs)),
                    }
                    if *refs > 0 {
                        assert_eq!(refs::header(at).refs(), *refs);
                        return cell.verify();
                    }
                }
            }
        }
        let cell = self.cells.remove(index);
        let ran = self.log.take();
        match cell.more {
            Use::Counted { destructor: Some((number, _)), .. } => assert_eq!(ran, [(number, at, true)]),
            _ => assert_eq!(ran, []),
        }
    }

    fn upref(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = &mut self.cells.list[index];
        let Use::Counted { refs, .. } = &mut cell.more else { return };
        if *refs < 4 {
            *refs += 1;
            // SAFETY: a live counted cell.
            assert_eq!(unsafe { refs::upref(cell.at) }, Ok(*refs));
        }
    }

    fn look(&mut self, dice: &mut Dice) {
        let Some(index) = self.cells.any(dice) else { return };
        let cell = &mut self.cells.list[index];
        let Use::Counted { refs, destructor } = &cell.more else {
            let found = self.store.locate(cell.at).expect("a live cell is found");
            assert_eq!((found.kind, found.destructor), (T::KIND, false));
            return;
        };
        // SAFETY: a live counted cell.
        let header = unsafe { refs::header(cell.at) };
        assert_eq!((header.refs(), header.id().kind()), (*refs, Some(Kind::Ref)));
        assert_eq!(header.id().is_tainted(), cell.tainted);
        #[cfg(feature = "shred")]
        if dice.one_in(4) {
            // SAFETY: a live counted cell.
            unsafe { refs::taint(cell.at) };
            cell.tainted = true;
        }
        // The block of a counted cell is none that the store itself releases.
        let front = if destructor.is_some() { 4 * MIN_ALIGN } else { 2 * MIN_ALIGN };
        let offset = front.next_multiple_of(cell.layout.align().max(MIN_ALIGN));
        // SAFETY: a counted cell's block begins so far before its payload; the release is refused.
        unsafe {
            let block = cell.at.sub(offset);
            assert_eq!(self.store.locate(block).map(|found| found.kind), Ok(Kind::Ref));
            assert_eq!(self.store.release(block, false), Err(Cond::Mismatch));
        }
        cell.verify();
    }

    fn misuse(&mut self, dice: &mut Dice) {
        let before = self.store.figures();
        let wild = self.cells.wild(dice);
        let inside_front = |block: NonNull<u8>| self.store.locate(block).is_ok_and(|found| found.kind == Kind::Ref);
        if !inside_front(wild) {
            // SAFETY: refused before anything is done.
            let answer = unsafe { self.store.release(wild, false) };
            // The front of a node's block is a live cell, though not of the tree.
            let front = T::OWN > 0 && answer == Err(Cond::Mismatch);
            assert!(front || answer == Err(Cond::BadAddress), "{answer:?} for {wild:?}");
        }
        let large = Layout::from_size_align(isize::MAX as usize - 63, 1).expect("a size that a layout may have");
        refused(refs::alloc(&*self.store, large));
        refused(refs::alloc_zeroed_ptr(&*self.store, large));
        assert_eq!(self.store.figures(), before, "what was refused changed something");
    }

    fn clear(&mut self) {
        self.store.clear();
        for cell in &self.cells.list {
            // What goes with the whole store has no destructor run; the model's contexts are freed here.
            if let Use::Counted { destructor: Some((_, context)), .. } = cell.more {
                // SAFETY: the destructor did not run and will not.
                drop(unsafe { Box::from_raw(context) });
            }
        }
        self.cells.clear();
        self.asked = 0;
    }
}

impl<T: Home> World for RefWorld<T> {
    fn step(&mut self, dice: &mut Dice) {
        let (few, many) = (self.cells.len() < self.goal * 4 / 5, self.cells.len() >= self.goal);
        if T::HOLES && self.asked > 200_000 {
            self.verify_all();
            self.clear();
        }
        if self.cells.len() < self.goal * 3 / 4 && !dice.one_in(8) {
            self.alloc(dice);
        }
        match dice.below(100) {
            0..=24 if !many => self.alloc(dice),
            0..=60 if !few => self.release(dice),
            0..=60 => self.alloc(dice),
            61..=75 => self.upref(dice),
            76..=83 => self.misuse(dice),
            99 if dice.one_in(60) => {
                self.verify_all();
                self.clear();
            }
            _ => self.look(dice),
        }
        self.cells.verify_some(dice);
    }

    fn check(&mut self) {
        self.store.prove().expect("the store's structure holds");
        assert_eq!(self.store.figures().live, self.cells.len() + T::OWN);
        assert!(self.log.borrow().is_empty(), "a destructor ran that should not");
    }

    fn live(&self) -> usize {
        self.cells.len()
    }

    fn verify_all(&mut self) {
        self.cells.verify_all();
    }

    fn finish(&mut self) {
        self.clear();
        assert_eq!(self.store.figures().live, T::OWN);
    }
}

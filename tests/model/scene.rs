//! A scenario that uses every store over one source, for refusing each call that it makes.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use kmem::{Cond, Headers, Heap, Lin, MIN_ALIGN, Pool, Source, Stats, Store, Tree, refs};

use super::cells::{differs, fill};
use super::dice::Dice;

/// Operations of the scenario.
const OPERATIONS: usize = 1000;

/// Whether a cell is in one of the stores, and how it is reached there.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Home {
    Heap,
    Lin,
    LinHeaders,
    Pool,
    PoolHeaders,
    Tree,
    Managed,
    RefHeap,
    RefLin,
    RefPool,
}

const HOMES: [Home; 10] = [
    Home::Heap,
    Home::Lin,
    Home::LinHeaders,
    Home::Pool,
    Home::PoolHeaders,
    Home::Tree,
    Home::Managed,
    Home::RefHeap,
    Home::RefLin,
    Home::RefPool,
];

struct Live {
    home: Home,
    at: NonNull<u8>,
    layout: Layout,
    tag: u32,
    parent: Option<NonNull<u8>>,
    tainted: bool,
    /// A release was refused: what was tainted may be wiped already, a counted cell waits for the next try.
    tried: bool,
}

/// A cell of the pools.
const CELL: Layout = match Layout::from_size_align(1600, 16) {
    Ok(layout) => layout,
    Err(_) => panic!("a layout"),
};

/// All stores, over one source.
pub struct Scene<S: Source + Copy> {
    heap: Heap<S>,
    lin: Lin<S>,
    lin_headers: Lin<S, Headers>,
    pool: Pool<S>,
    pool_headers: Pool<S, Headers>,
    tree: Tree<S>,
    managed: Tree<Heap<S>>,
    live: Vec<Live>,
    tag: u32,
    /// How many destructors should have run, and how many did.
    hooks: usize,
    ran: Box<Cell<usize>>,
    /// Whether nodes that are blocks of the source itself are aligned to more than a page.
    beyond_pages: bool,
    /// Operations that were refused, and what is left to prove of the contents after them.
    pub refused: usize,
    proofs: usize,
}

unsafe fn count(_: NonNull<u8>, context: *mut ()) {
    // SAFETY: the context is the scene's counter, which outlives its trees.
    let ran = unsafe { context.cast::<Cell<usize>>().as_ref() }.expect("the counter");
    ran.set(ran.get() + 1);
}

impl<S: Source + Copy> Scene<S> {
    /// Boxed, since counted cells name their store by address.
    pub fn over(source: S, beyond_pages: bool) -> Box<Self> {
        Box::new(Self {
            heap: Heap::new_in(source),
            lin: Lin::new_in(source).first_block(1024),
            lin_headers: Lin::with_headers_in(source),
            pool: Pool::new_in(CELL, source),
            pool_headers: Pool::with_headers_in(CELL, source).first_cells(2),
            tree: Tree::new_in(source),
            managed: Tree::managed_in(Heap::new_in(source)),
            live: Vec::new(),
            tag: 0,
            hooks: 0,
            ran: Box::default(),
            beyond_pages,
            refused: 0,
            proofs: 4,
        })
    }

    /// Does everything; what is refused is counted, and proved to have changed nothing.
    pub fn play(&mut self) {
        let mut dice = Dice::Seeded(20);
        for _ in 0..OPERATIONS {
            let answer = self.step(&mut dice);
            if answer.is_err() {
                self.refused += 1;
            }
            if self.refused > 0 {
                self.prove();
            }
        }
    }

    fn step(&mut self, dice: &mut Dice) -> Result<(), Cond> {
        let home = dice.pick(&HOMES);
        let index = Some(dice.below(self.live.len())).filter(|_| !self.live.is_empty());
        match dice.below(20) {
            0..=9 if self.live.len() < 60 => self.alloc(dice, home),
            10..=13 => index.map_or(Ok(()), |index| self.resize(dice, index)),
            14 => index.map_or(Ok(()), |index| self.hang(index)),
            15 => self.clear(dice, home),
            16 => {
                index.into_iter().for_each(|index| self.taint(index));
                Ok(())
            }
            _ => index.map_or(Ok(()), |index| self.free(dice, index)),
        }
    }

    /// Large ones have chunks to themselves; some are aligned to more than a page.
    fn layout(&self, dice: &mut Dice, home: Home) -> Layout {
        let large = matches!(home, Home::Heap | Home::RefHeap | Home::Managed) && dice.one_in(4);
        let (size, align) = match home {
            Home::Pool | Home::PoolHeaders | Home::RefPool => (dice.below(1400), 16),
            _ if large => (130_000 + dice.below(20_000), 1 << dice.below(18)),
            Home::Tree => {
                let beyond = dice.one_in(4) && self.beyond_pages;
                (dice.below(12_000), if beyond { 1 << (13 + dice.below(5)) } else { 16 })
            }
            Home::Lin | Home::LinHeaders | Home::RefLin => (dice.below(6_000), 1 << dice.below(8)),
            _ => (dice.below(3_000), 1 << dice.below(10)),
        };
        Layout::from_size_align(size, align).expect("small enough")
    }

    fn alloc(&mut self, dice: &mut Dice, home: Home) -> Result<(), Cond> {
        let (layout, zeroed) = (self.layout(dice, home), dice.one_in(3));
        let of = |tree: Home, live: &[Live]| live.iter().rev().find(|cell| cell.home == tree).map(|cell| cell.at);
        let below = dice.one_in(2) && matches!(home, Home::Tree | Home::Managed);
        let mut parent = of(home, &self.live).filter(|_| below);
        // SAFETY: parents are live nodes of their tree.
        let bytes = unsafe {
            match home {
                Home::Heap if zeroed => self.heap.alloc_zeroed(layout),
                Home::Heap => self.heap.alloc(layout),
                Home::Lin if zeroed => self.lin.alloc_zeroed(layout),
                Home::Lin => self.lin.alloc(layout),
                Home::LinHeaders if zeroed => self.lin_headers.alloc_zeroed(layout),
                Home::LinHeaders => self.lin_headers.alloc(layout),
                Home::Pool if zeroed => self.pool.alloc_zeroed(),
                Home::Pool => self.pool.alloc(),
                Home::PoolHeaders if zeroed => self.pool_headers.alloc_zeroed(),
                Home::PoolHeaders => self.pool_headers.alloc(),
                Home::Tree => {
                    let parent = *parent.insert(parent.map_or_else(|| self.tree.root(), Ok)?);
                    if zeroed { self.tree.alloc_zeroed(parent, layout) } else { self.tree.alloc(parent, layout) }
                }
                Home::Managed => {
                    let parent = *parent.insert(parent.map_or_else(|| self.managed.root(), Ok)?);
                    if zeroed { self.managed.alloc_zeroed(parent, layout) } else { self.managed.alloc(parent, layout) }
                }
                Home::RefHeap if zeroed => refs::alloc_zeroed(&self.heap, layout),
                Home::RefHeap => refs::alloc(&self.heap, layout),
                Home::RefLin => refs::alloc(&self.lin_headers, layout),
                Home::RefPool => refs::alloc(&self.pool_headers, layout),
            }
        }?;
        let layout = if matches!(home, Home::Pool | Home::PoolHeaders) { CELL } else { layout };
        let at: NonNull<u8> = bytes.cast();
        assert!(at.addr().get().is_multiple_of(layout.align().max(MIN_ALIGN)) && bytes.len() >= layout.size());
        let known = matches!(home, Home::RefLin | Home::RefPool);
        // SAFETY: just allocated, and this long.
        assert!(!zeroed || known || (0..layout.size()).all(|i| unsafe { at.add(i).read() } == 0), "not zeroed");
        self.tag += 1;
        fill(at, self.tag, 0, layout.size());
        self.live.push(Live { home, at, layout, tag: self.tag, parent, tainted: false, tried: false });
        Ok(())
    }

    fn subtree(&self, top: usize) -> Vec<usize> {
        let (mut going, mut next) = (vec![top], 0);
        while next < going.len() {
            let (at, home) = (self.live[going[next]].at, self.live[going[next]].home);
            let children = self.live.iter().enumerate();
            going.extend(children.filter(|(_, cell)| cell.home == home && cell.parent == Some(at)).map(|(i, _)| i));
            next += 1;
        }
        going
    }

    fn free(&mut self, dice: &mut Dice, index: usize) -> Result<(), Cond> {
        let shred = cfg!(feature = "shred") && dice.one_in(4);
        let cell = &mut self.live[index];
        let (at, layout) = (cell.at, cell.layout);
        cell.tried = true;
        cell.tainted |= shred;
        // SAFETY: a live cell of its store, used no more.
        unsafe {
            match cell.home {
                Home::Heap => self.heap.release(at, shred),
                #[cfg(feature = "shred")]
                Home::Lin if shred => self.lin.shred(at, layout),
                Home::Lin => self.lin.free(at, layout),
                Home::LinHeaders => self.lin_headers.release(at, shred),
                #[cfg(feature = "shred")]
                Home::Pool if shred => self.pool.shred(at),
                Home::Pool => self.pool.free(at),
                Home::PoolHeaders => self.pool_headers.release(at, shred),
                #[cfg(feature = "shred")]
                Home::Tree if shred => self.tree.shred(at),
                Home::Tree => self.tree.free(at),
                Home::Managed => self.managed.release(at, shred),
                #[cfg(feature = "shred")]
                Home::RefHeap | Home::RefLin | Home::RefPool if shred => refs::shred(at),
                Home::RefHeap | Home::RefLin | Home::RefPool => refs::free(at),
            }
        }?;
        let mut going = self.subtree(index);
        going.sort_unstable_by(|a, b| b.cmp(a));
        for index in going {
            self.live.swap_remove(index);
        }
        Ok(())
    }

    fn resize(&mut self, dice: &mut Dice, index: usize) -> Result<(), Cond> {
        let cell = &self.live[index];
        let size = match dice.below(3) {
            0 => cell.layout.size() / 2,
            1 => cell.layout.size() + dice.below(5000),
            _ => self.layout(dice, cell.home).size(),
        };
        let (at, old) = (cell.at, cell.layout);
        let new = Layout::from_size_align(size, old.align()).expect("small enough");
        // SAFETY: a live cell of its store.
        let bytes = unsafe {
            match cell.home {
                Home::Heap => self.heap.resize(at, size),
                Home::Lin => self.lin.resize(at, old, new),
                Home::LinHeaders => self.lin_headers.resize(at, size),
                Home::Tree => self.tree.resize(at, size),
                Home::Managed => self.managed.resize(at, size),
                _ => return Ok(()),
            }
        }?;
        let cell = &mut self.live[index];
        (cell.at, cell.layout) = (bytes.cast(), new);
        let kept = old.size().min(size);
        // What a refused release wiped of a tainted cell stays wiped.
        if !(cell.tried && cell.tainted) {
            assert_eq!(differs(cell.at, cell.tag, kept), None, "{:?} lost bytes in a resize", cell.home);
        }
        cell.tried = false;
        fill(cell.at, cell.tag, 0, size);
        let (home, new_at) = (cell.home, cell.at);
        self.live
            .iter_mut()
            .filter(|cell| cell.home == home && cell.parent == Some(at))
            .for_each(|cell| cell.parent = Some(new_at));
        Ok(())
    }

    /// A destructor on a node.
    fn hang(&mut self, index: usize) -> Result<(), Cond> {
        let (cell, ran) = (&self.live[index], (&raw const *self.ran).cast_mut().cast());
        // SAFETY: a live node of its tree; the counter outlives it.
        unsafe {
            match cell.home {
                Home::Tree => self.tree.on_release(cell.at, count, ran),
                Home::Managed => self.managed.on_release(cell.at, count, ran),
                _ => return Ok(()),
            }
        }?;
        self.hooks += 1;
        Ok(())
    }

    fn taint(&mut self, index: usize) {
        let cell = &mut self.live[index];
        #[cfg(feature = "shred")]
        // SAFETY: a live cell of its store.
        unsafe {
            match cell.home {
                Home::Heap => self.heap.taint_cell(cell.at).expect("a live cell"),
                Home::LinHeaders => self.lin_headers.taint_cell(cell.at).expect("a live cell"),
                Home::PoolHeaders => self.pool_headers.taint_cell(cell.at).expect("a live cell"),
                Home::Tree => self.tree.taint_node(cell.at).expect("a live node"),
                Home::Managed => self.managed.taint_node(cell.at).expect("a live node"),
                Home::RefHeap | Home::RefLin | Home::RefPool => refs::taint(cell.at),
                Home::Lin | Home::Pool => return,
            }
            cell.tainted = true;
        }
        #[cfg(not(feature = "shred"))]
        let _ = cell;
    }

    /// Ends one store, or resets it.
    fn clear(&mut self, dice: &mut Dice, home: Home) -> Result<(), Cond> {
        let reset = dice.one_in(2);
        let (homes, answer): (&[Home], _) = match home {
            Home::Heap if dice.one_in(2) => (&[Home::Heap, Home::RefHeap], self.heap.destroy()),
            Home::Lin if reset => {
                self.lin.reset();
                (&[Home::Lin], Ok(()))
            }
            Home::Lin => (&[Home::Lin], self.lin.destroy()),
            Home::LinHeaders if reset => {
                self.lin_headers.reset();
                (&[Home::LinHeaders, Home::RefLin], Ok(()))
            }
            Home::LinHeaders => (&[Home::LinHeaders, Home::RefLin], self.lin_headers.destroy()),
            Home::Pool => (&[Home::Pool], self.pool.destroy()),
            Home::PoolHeaders => (&[Home::PoolHeaders, Home::RefPool], self.pool_headers.destroy()),
            Home::Tree if reset => (&[Home::Tree], self.tree.destroy()),
            Home::Managed if reset => (&[Home::Managed], self.managed.destroy()),
            _ => return Ok(()),
        };
        // A destroy that is refused has released every cell all the same: only blocks are kept.
        self.live.retain(|cell| !homes.contains(&cell.home));
        answer
    }

    /// Proves structures after each operation, and contents after the first refusals.
    pub fn prove(&mut self) {
        self.heap.check().expect("the heap holds");
        self.lin.check().expect("the region holds");
        self.lin_headers.check().expect("the region with headers holds");
        self.pool.check().expect("the pool holds");
        self.pool_headers.check().expect("the pool with headers holds");
        self.tree.check().expect("the tree holds");
        self.managed.check().expect("the managed tree holds");
        self.managed.source().check().expect("the managed tree's heap holds");
        if self.proofs > 0 {
            self.proofs -= 1;
            self.prove_contents();
        }
    }

    pub fn prove_contents(&self) {
        for cell in &self.live {
            let differs = differs(cell.at, cell.tag, cell.layout.size());
            // A release that was refused may have wiped what is tainted.
            assert!(differs.is_none() || (cell.tried && cell.tainted), "{:?} differs at {differs:?}", cell.home);
        }
        let ran = self.ran.get();
        assert!(ran <= self.hooks, "a destructor ran twice");
        let live = |homes: &[Home]| self.live.iter().filter(|cell| homes.contains(&cell.home)).count();
        let root = |stats: Stats| stats.live.min(1);
        assert_eq!(self.lin_headers.stats().live, live(&[Home::LinHeaders, Home::RefLin]));
        assert_eq!(self.pool.stats().live, live(&[Home::Pool]));
        assert_eq!(self.pool_headers.stats().live, live(&[Home::PoolHeaders, Home::RefPool]));
        assert_eq!(self.tree.stats().live, live(&[Home::Tree]) + root(self.tree.stats()));
        assert_eq!(self.managed.stats().live, live(&[Home::Managed]) + root(self.managed.stats()));
    }

    /// Ends everything; says how many stores were refused.
    pub fn destroy(&mut self) -> usize {
        // A managed tree gives its nodes back to its heap, which the tree owns and which goes with the scene:
        // what is refused to that heap is refused to the others after it too, and they say so.
        let answers = [
            self.managed.destroy(),
            self.heap.destroy(),
            self.lin.destroy(),
            self.lin_headers.destroy(),
            self.pool.destroy(),
            self.pool_headers.destroy(),
            self.tree.destroy(),
        ];
        self.live.clear();
        assert_eq!(self.ran.get(), self.hooks, "destructors run once each, refused or not");
        answers.iter().filter(|answer| answer.is_err()).count()
    }
}

//! A tree beside its model.

use core::alloc::Layout;
use core::cell::RefCell;
use core::marker::PhantomData;
use core::ptr::NonNull;

use kmem::{Cond, MIN_ALIGN, Ptr, Source, Store, Tree};

use super::cells::{Sizes, differs, layout, size};
use super::dice::Dice;
use super::hooks::{BORN, Talk, context, drop_context, guard, hook};
use super::nodes::{Nodes, Number};
use super::world::{World, impossible, refused};

/// How nodes are reached: by address, or by managed pointer.
pub trait Face {
    type From: Source;
    fn make(source: Self::From) -> Tree<Self::From>;
    /// # Safety
    ///
    /// As for [`Tree::alloc`].
    unsafe fn alloc(
        tree: &Tree<Self::From>,
        parent: NonNull<u8>,
        layout: Layout,
        zeroed: bool,
    ) -> Result<(NonNull<[u8]>, Option<Ptr>), Cond>;
    /// What only managed pointers can do, and what is refused of them.
    fn managed(world: &mut TreeWorld<Self>, dice: &mut Dice)
    where
        Self: Sized;
}

/// Nodes by address.
pub struct Raw<S>(PhantomData<S>);

/// Nodes by managed pointer.
pub struct Managed<S>(PhantomData<S>);

impl<S: Source> Face for Raw<S> {
    type From = S;

    fn make(source: S) -> Tree<S> {
        Tree::new_in(source)
    }

    unsafe fn alloc(
        tree: &Tree<S>,
        parent: NonNull<u8>,
        layout: Layout,
        zeroed: bool,
    ) -> Result<(NonNull<[u8]>, Option<Ptr>), Cond> {
        // Some by the short way, where it leads there.
        let short = !zeroed && layout.size().is_multiple_of(2) && layout.align() <= MIN_ALIGN;
        // SAFETY: the caller's promise.
        if short && let Some(node) = unsafe { tree.alloc_if_at_hand(parent, layout.size()) } {
            return Ok((NonNull::slice_from_raw_parts(node, layout.size()), None));
        }
        // SAFETY: the caller's promise.
        let bytes = unsafe { if zeroed { tree.alloc_zeroed(parent, layout) } else { tree.alloc(parent, layout) } }?;
        Ok((bytes, None))
    }

    fn managed(_: &mut TreeWorld<Self>, _: &mut Dice) {}
}

impl<S: Store> Face for Managed<S> {
    type From = S;

    fn make(source: S) -> Tree<S> {
        Tree::managed_in(source)
    }

    unsafe fn alloc(
        tree: &Tree<S>,
        parent: NonNull<u8>,
        layout: Layout,
        zeroed: bool,
    ) -> Result<(NonNull<[u8]>, Option<Ptr>), Cond> {
        let ptr = if zeroed { tree.alloc_zeroed_ptr(parent, layout) } else { tree.alloc_ptr(parent, layout) }?;
        let payload = NonNull::new(ptr.payload()).expect("a live node's address");
        Ok((NonNull::slice_from_raw_parts(payload, ptr.size().expect("a node knows its size")), Some(ptr)))
    }

    fn managed(world: &mut TreeWorld<Self>, dice: &mut Dice) {
        if dice.one_in(2) { world.misuse(dice) } else { world.dup(dice) }
    }
}

pub struct TreeWorld<F: Face> {
    pub tree: Tree<F::From>,
    pub nodes: Nodes,
    sizes: Sizes,
    goal: usize,
    talk: Box<RefCell<Talk>>,
    hooks: usize,
    /// Whether few nodes have something hung on them.
    sparse: bool,
    /// What guards read: one that lets go, one that refuses.
    flags: Box<[bool; 2]>,
    stale: Vec<Ptr>,
}

impl<F: Face> TreeWorld<F> {
    pub fn new(source: F::From, sizes: Sizes, goal: usize) -> Self {
        let (tree, nodes, talk) = (F::make(source), Nodes::new(), Talk::new());
        let flags = Box::new([false, true]);
        Self { tree, nodes, sizes, goal, talk, hooks: 0, sparse: false, flags, stale: Vec::new() }
    }

    fn root(&mut self) -> Option<Number> {
        match self.tree.root() {
            Ok(at) => Some(self.nodes.root_at(at)),
            Err(cond) => {
                self.understand(cond, Layout::new::<[usize; 8]>());
                None
            }
        }
    }

    fn alloc(&mut self, dice: &mut Dice) {
        let Some(root) = self.root() else { return };
        let parent = self.nodes.any(dice).filter(|_| !dice.one_in(4)).unwrap_or(root);
        let (layout, zeroed) = (layout(dice, self.sizes), dice.one_in(3));
        // SAFETY: a live node of this tree.
        match unsafe { F::alloc(&self.tree, self.nodes.at(parent), layout, zeroed) } {
            Ok((bytes, ptr)) => {
                let number = self.nodes.adopt(parent, bytes, layout, zeroed);
                self.nodes.node_mut(number).ptr = ptr;
            }
            Err(cond) => self.understand(cond, layout),
        }
    }

    /// A refusal is right where the source itself has no room for such a block.
    fn understand(&self, cond: Cond, layout: Layout) {
        assert!(matches!(cond, Cond::NoRoom | Cond::TooMany), "{cond} for {layout:?}");
        let (size, align) = (layout.size() + 4 * MIN_ALIGN + layout.align(), layout.align().max(MIN_ALIGN));
        let block = Layout::from_size_align(size, align).expect("small enough");
        if let Ok(bytes) = self.tree.source().alloc(block) {
            // SAFETY: just allocated there.
            unsafe { self.tree.source().free(bytes.cast(), block) }.expect("what was just handed out goes back");
            panic!("{cond} for {layout:?}, but the source has room");
        }
    }

    /// What is hung on a node takes two blocks, the first time.
    fn understand_hanging(&self, cond: Cond) {
        assert!(matches!(cond, Cond::NoRoom | Cond::TooMany), "{cond}");
        let (source, part) = (self.tree.source(), Layout::new::<[usize; 8]>());
        let parts = [source.alloc(part), source.alloc(part)];
        let room = parts.iter().all(Result::is_ok);
        for bytes in parts.into_iter().rev().flatten() {
            // SAFETY: just allocated there.
            unsafe { source.free(bytes.cast(), part) }.expect("what was just handed out goes back");
        }
        assert!(!room, "{cond}, but the source has room");
    }

    /// A node's subtree that is not large, or once in a while any.
    fn small_subtree(&self, dice: &mut Dice) -> Option<Number> {
        let tries = if dice.one_in(20) { 1 } else { 3 };
        let some: Vec<_> = (0..tries).filter_map(|_| self.nodes.any_child(dice)).collect();
        some.into_iter().min_by_key(|number| self.nodes.below(*number, true).len())
    }

    /// A leaf that a hook may free while a subtree goes: it has nothing hung on it.
    fn outside(&self, dice: &mut Dice, top: Number) -> Option<Number> {
        let number = self.nodes.any_child(dice)?;
        let node = self.nodes.node(number);
        let plain = node.children.is_empty() && node.guard.is_none() && node.hooks.is_empty();
        (plain && !self.nodes.is_within(number, top)).then_some(number)
    }

    /// Releases a subtree, or what is below its top, and proves what ran meanwhile.
    fn release(&mut self, dice: &mut Dice, top: Number, whole: bool) {
        let going = self.nodes.below(top, whole);
        let refuses = going.iter().any(|number| self.nodes.node(*number).guard == Some(true));
        let hooks = |number: &Number| self.nodes.node(*number).hooks.iter().rev().map(|(hook, _)| *hook).collect();
        let expected: Vec<usize> = going.iter().filter(|_| !refuses).flat_map::<Vec<usize>, _>(hooks).collect();
        let root = self.nodes.root.filter(|root| *root != top || !whole);
        let outside = self.outside(dice, top).filter(|_| root.is_some());
        {
            let mut talk = self.talk.borrow_mut();
            talk.tree = (&raw const self.tree).cast();
            talk.doomed = going.iter().map(|number| self.nodes.written(*number)).collect();
            talk.root = root.map(|root| self.nodes.at(root));
            talk.outside = outside.map(|number| self.nodes.at(number));
        }
        let (tree, at, ptr) = (&self.tree, self.nodes.at(top), self.nodes.node(top).ptr);
        // SAFETY: a live node of this tree, whose subtree is used no more.
        let answer = unsafe {
            match (whole, dice.below(4), ptr) {
                (false, ..) => tree.free_children(at),
                #[cfg(feature = "shred")]
                (true, 0, None) => tree.shred(at),
                #[cfg(feature = "shred")]
                (true, 0, Some(ptr)) => kmem::shred(ptr),
                (true, 1, Some(ptr)) => kmem::free(ptr),
                (true, 2, _) => Source::free(tree, at, Layout::new::<u8>()),
                (true, ..) if root.is_none() => self.tree.destroy(),
                (true, 3, _) if tree.free_if_at_hand(at) => {
                    let plain = expected.is_empty() && !refuses && !self.nodes.node(top).tainted;
                    assert!(going.len() == 1 && plain, "the short way is for plain leaves");
                    Ok(())
                }
                (true, ..) => tree.free(at),
            }
        };
        let (ran, born, left) = {
            let mut talk = self.talk.borrow_mut();
            (core::mem::take(&mut talk.ran), core::mem::take(&mut talk.born), talk.outside)
        };
        assert_eq!(ran, expected, "each hook runs once, parent before children, the newest of a node first");
        assert_eq!(answer, if refuses { Err(Cond::InUse) } else { Ok(()) });
        if refuses {
            return;
        }
        self.stale.extend(going.iter().filter_map(|number| self.nodes.node(*number).ptr));
        self.stale.drain(..self.stale.len().saturating_sub(32));
        if let Some(freed) = outside.filter(|_| left.is_none()) {
            self.nodes.forget(freed, true);
        }
        self.nodes.forget(top, whole);
        for bytes in born {
            self.nodes.adopt(self.nodes.root.expect("what is born is under the root"), bytes, BORN, false);
        }
    }

    fn move_to(&mut self, dice: &mut Dice) {
        let (Some(number), Some(parent)) = (self.nodes.any(dice), self.nodes.any(dice)) else { return };
        // SAFETY: both are live nodes of this tree.
        let answer = unsafe { self.tree.move_to(self.nodes.at(number), self.nodes.at(parent)) };
        if self.nodes.is_within(parent, number) {
            assert_eq!(answer, Err(Cond::InUse), "a node was moved below itself");
        } else {
            assert_eq!(answer, Ok(()));
            self.nodes.move_to(number, parent);
        }
    }

    fn resize(&mut self, dice: &mut Dice) {
        let Some(number) = self.nodes.any(dice) else { return };
        let Some(index) = self.nodes.cell(number) else {
            // SAFETY: the root is live.
            assert_eq!(unsafe { self.tree.resize(self.nodes.at(number), 10) }, Err(Cond::InUse));
            return;
        };
        let (cell, size) = (self.nodes.cells.list[index].clone(), size(dice, self.sizes));
        // SAFETY: a live node of this tree.
        match unsafe { self.tree.resize(cell.at, size) } {
            Ok(bytes) => self.nodes.resized(number, bytes, size),
            Err(cond) => {
                cell.verify();
                self.understand(cond, Layout::from_size_align(size, cell.layout.align()).expect("small enough"));
            }
        }
    }

    /// Puts destructors and guards on nodes, the root too, and takes them off.
    fn hang(&mut self, dice: &mut Dice) {
        let Some(number) = self.nodes.any(dice) else { return };
        let (tree, at) = (&self.tree, self.nodes.at(number));
        let node = self.nodes.node_mut(number);
        match dice.below(7) {
            0..=2 => {
                self.hooks += 1;
                let context = context(&self.talk, self.hooks);
                // SAFETY: a live node of this tree; the context is for this hook.
                match unsafe { tree.on_release(at, hook::<F::From>, context) } {
                    Ok(()) => node.hooks.push((self.hooks, context)),
                    Err(cond) => {
                        drop_context(context);
                        self.understand_hanging(cond);
                    }
                }
            }
            3 => {
                // SAFETY: a live node of this tree.
                let answer = unsafe { tree.off_release(at, hook::<F::From>, core::ptr::null_mut()) };
                assert_eq!(answer, Err(Cond::BadAddress));
                if !node.hooks.is_empty() {
                    let (_, context) = node.hooks.remove(dice.below(node.hooks.len()));
                    // SAFETY: as above.
                    unsafe { tree.off_release(at, hook::<F::From>, context) }.expect("a hook that is on comes off");
                    drop_context(context);
                }
            }
            way => {
                let wish = [None, Some(false), Some(true)][way - 4].filter(|refuses| !refuses || dice.one_in(4));
                let flag = |refuses: bool| (&raw const self.flags[usize::from(refuses)]).cast_mut().cast();
                let new = wish.map(|refuses| (guard as kmem::tree::Guard, flag(refuses)));
                // SAFETY: a live node of this tree; the flags outlive it.
                match unsafe { tree.set_guard(at, new) } {
                    Ok(()) => node.guard = wish,
                    Err(cond) => self.understand_hanging(cond),
                }
            }
        }
    }

    /// Takes a guard off that refuses, so that what it holds can go.
    fn let_go(&mut self, number: Number) {
        // SAFETY: a live node of this tree.
        unsafe { self.tree.set_guard(self.nodes.at(number), None) }.expect("a guard comes off");
        self.nodes.node_mut(number).guard = None;
    }

    #[cfg(feature = "shred")]
    fn taint(&mut self, dice: &mut Dice) {
        let Some(number) = self.nodes.any_child(dice) else { return };
        let node = self.nodes.node_mut(number);
        node.tainted = true;
        // SAFETY: a live node of this tree, its pointer too.
        unsafe {
            match &mut node.ptr {
                Some(ptr) => kmem::taint(ptr).expect("a live node"),
                None => self.tree.taint_node(self.nodes.at(number)).expect("a live node"),
            }
        }
    }

    fn impossible(&mut self, dice: &mut Dice) {
        let (Some(number), before) = (self.nodes.any_child(dice), self.tree.stats()) else { return };
        let (at, large) = (self.nodes.at(number), impossible(dice));
        // SAFETY: a live node of this tree.
        unsafe {
            refused(self.tree.alloc(at, large));
            refused(self.tree.alloc_zeroed(at, large));
            refused(self.tree.resize(at, large.size()));
        }
        assert_eq!(self.tree.stats(), before, "what was refused changed something");
        self.nodes.prove_links(&self.tree, number);
    }

    /// Ends the tree: guards come off first.
    fn destroy(&mut self, dice: &mut Dice) {
        let Some(root) = self.nodes.root else { return };
        for number in self.nodes.below(root, true) {
            if self.nodes.node(number).guard.is_some() {
                self.let_go(number);
            }
        }
        self.release(dice, root, true);
        self.sparse = dice.one_in(2);
        assert_eq!((self.tree.stats().live, self.tree.stats().bytes, self.tree.stats().held), (0, 0, 0));
    }
}

impl<S: Store> TreeWorld<Managed<S>> {
    /// Addresses that are no live node's are refused.
    fn misuse(&mut self, dice: &mut Dice) {
        let before = self.tree.stats();
        let wild = self.nodes.cells.wild(dice);
        let wild =
            if self.nodes.root.is_some_and(|root| self.nodes.at(root) == wild) { NonNull::dangling() } else { wild };
        // A node's block begins with its header: that is a live cell of the source, though no node.
        let of_source = self.tree.source().locate(wild).is_ok();
        let expected = if of_source { Cond::Mismatch } else { Cond::BadAddress };
        assert_eq!(self.tree.locate(wild), Err(expected), "{wild:?}");
        assert_eq!(self.tree.alloc_ptr(wild, BORN).err(), Some(expected));
        assert_eq!(self.tree.alloc_zeroed_ptr(wild, BORN).err(), Some(expected));
        // SAFETY: refused before anything is done.
        assert_eq!(unsafe { self.tree.release(wild, false) }, Err(expected));
        let live = |ptr: &Ptr| self.nodes.cells.list.iter().any(|cell| cell.at.as_ptr() == ptr.payload());
        let root = self.nodes.root.map(|root| self.nodes.at(root).as_ptr());
        if let Some(mut stale) = self.stale.pop().filter(|ptr| !live(ptr) && root != Some(ptr.payload())) {
            // SAFETY: as above.
            unsafe {
                assert!(matches!(kmem::free(stale), Err(Cond::BadAddress | Cond::Mismatch)));
                assert!(matches!(kmem::dup(&stale), Err(Cond::BadAddress | Cond::Mismatch)));
                assert!(kmem::zero_object(&stale).is_err());
                #[cfg(feature = "shred")]
                assert!(kmem::shred(stale).is_err() && kmem::taint(&mut stale).is_err());
                let _ = &mut stale;
            }
        }
        assert_eq!(self.tree.stats(), before, "what was refused changed something");
    }

    /// A copy is the last child of the same parent, without children, as tainted.
    fn dup(&mut self, dice: &mut Dice) {
        let Some(number) = self.nodes.any_child(dice) else { return };
        let (node, Some(index)) = (self.nodes.node(number), self.nodes.cell(number)) else { return };
        let (Some(ptr), Some(parent), tainted) = (node.ptr, node.parent, node.tainted) else { return };
        let (has_hook, cell) = (!node.hooks.is_empty(), self.nodes.cells.list[index].clone());
        // SAFETY: a live node.
        match unsafe { kmem::dup(&ptr) } {
            Err(Cond::Mismatch) => assert!(has_hook, "a node without destructor was not copied"),
            Err(cond) => self.understand(cond, cell.layout),
            Ok(copy) => {
                assert!(!has_hook, "a node with a destructor was copied");
                assert_eq!((copy.kind(), copy.size()), (kmem::Kind::Tree, Some(cell.layout.size())));
                let at = NonNull::new(copy.payload()).expect("an address");
                assert_eq!(differs(at, cell.tag, cell.layout.size()), None, "the copy differs");
                let bytes = NonNull::slice_from_raw_parts(at, cell.layout.size());
                let layout = cell.layout;
                let number = self.nodes.adopt(parent, bytes, layout, false);
                let node = self.nodes.node_mut(number);
                (node.ptr, node.tainted) = (Some(copy), tainted);
                self.nodes.prove_links(&self.tree, number);
            }
        }
    }
}

impl<F: Face> World for TreeWorld<F> {
    fn step(&mut self, dice: &mut Dice) {
        let (few, many) = (self.nodes.len() < self.goal * 4 / 5, self.nodes.len() >= self.goal);
        if self.nodes.len() < self.goal * 3 / 4 && !dice.one_in(8) {
            self.alloc(dice);
        }
        match dice.below(100) {
            0..=29 if !many => self.alloc(dice),
            0..=54 if !few => match self.small_subtree(dice) {
                Some(top) => self.release(dice, top, true),
                None => self.alloc(dice),
            },
            0..=54 => self.alloc(dice),
            55..=64 => self.move_to(dice),
            65..=76 => self.resize(dice),
            77..=84 if !self.sparse || dice.one_in(32) => self.hang(dice),
            85 => {
                if let Some(top) = self.small_subtree(dice) {
                    self.release(dice, top, false);
                }
            }
            86 => {
                let held = |number: &Number| self.nodes.node(*number).guard == Some(true);
                let all = self.nodes.root.map_or(Vec::new(), |root| self.nodes.below(root, true));
                if let Some(number) = all.into_iter().find(held) {
                    self.let_go(number);
                }
            }
            87..=88 => self.impossible(dice),
            #[cfg(feature = "shred")]
            89..=90 => self.taint(dice),
            91 if dice.one_in(30) => {
                self.verify_all();
                self.destroy(dice);
            }
            // With a guard somewhere, all of it stays.
            92 if dice.one_in(4) => {
                let root = self.nodes.root;
                let below = root.map_or(Vec::new(), |root| self.nodes.below(root, true));
                if let Some(root) = root.filter(|_| below.iter().any(|n| self.nodes.node(*n).guard == Some(true))) {
                    self.release(dice, root, true);
                }
            }
            _ => F::managed(self, dice),
        }
        self.nodes.cells.verify_some(dice);
        if let Some(number) = self.nodes.any(dice) {
            self.nodes.prove_links(&self.tree, number);
        }
    }

    fn check(&mut self) {
        self.tree.check().expect("the tree's structure holds");
        let stats = self.tree.stats();
        assert_eq!(stats.live, self.nodes.len());
        let least: usize = self.nodes.cells.list.iter().map(|cell| cell.layout.size() + 4 * MIN_ALIGN).sum();
        assert!(least <= stats.bytes && stats.bytes <= stats.peak && stats.bytes <= stats.held, "{least} in {stats:?}");
        assert!(self.talk.borrow().ran.is_empty(), "a destructor ran that should not");
    }

    fn live(&self) -> usize {
        self.nodes.len()
    }

    fn verify_all(&mut self) {
        self.nodes.verify_all(&self.tree);
    }

    fn finish(&mut self) {
        self.destroy(&mut Dice::Seeded(1));
    }
}

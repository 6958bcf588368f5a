//! Values whose destructors use the store that they lie in: they allocate in it, free from it, and panic.
//! Each value goes once, and each block comes back.

use std::alloc::Layout;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

use kmem::{AtomicRef, Cond, Heap, Key, KeyTree, Lin, Managed, Owned, Pages, Pool, Ref, Tree, unsize};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::sources::{Any, each};
use crate::tally::{Tally, Told, bombs, going};

/// What the values of a test use. On the shelf they leave others.
struct Around<'t> {
    tally: &'t Tally,
    source: &'t Any<'t>,
    shelf: RefCell<Vec<Owned<'t, Told<'t>, Any<'t>>>>,
}

/// Gives back some cells of its own and one of somebody else, and takes new ones.
struct Busy<'a, 't> {
    told: Told<'t>,
    mine: Vec<Owned<'t, [Told<'t>], Any<'t>>>,
    all: Ref<'t, Told<'t>, Any<'t>>,
    around: &'a Around<'t>,
}

trait Works {
    fn number(&self) -> usize;
}

impl Works for Busy<'_, '_> {
    fn number(&self) -> usize {
        self.told.number()
    }
}

impl Drop for Busy<'_, '_> {
    fn drop(&mut self) {
        let Around { tally, source, shelf } = self.around;
        assert_eq!((self.mine.len(), self.all.number()), (3, 0), "the first time");
        drop(self.mine.swap_remove(0));
        let fresh = Owned::new_in(tally.make(), *source).expect("room");
        let somebodys = shelf.borrow_mut().pop();
        drop(somebodys);
        shelf.borrow_mut().push(fresh);
        let passing = Owned::slice_in(20, |at| at, *source).expect("room");
        assert_eq!(passing[19], 19);
    }
}

/// What a test has: where its values lie, what all of them share, and which of them is to panic.
struct Scene<'a, 't> {
    around: &'a Around<'t>,
    all: Ref<'t, Told<'t>, Any<'t>>,
    bomb: Option<usize>,
}

impl<'a, 't> Scene<'a, 't> {
    /// A value and six more that it owns: the first is number 1, the next 8, and so on.
    fn make(&self) -> Busy<'a, 't> {
        let Around { tally, source, .. } = self.around;
        let told = tally.make();
        let slice = |len| Owned::slice_in(len, |_| tally.make(), *source).expect("room");
        Busy { told, mine: vec![slice(1), slice(3), slice(2)], all: self.all.clone(), around: self.around }
    }

    fn owned(&self) -> Owned<'t, Busy<'a, 't>, Any<'t>> {
        Owned::new_in(self.make(), self.around.source).map_err(Cond::from).expect("room")
    }

    fn slice(&self) -> Owned<'t, [Busy<'a, 't>], Any<'t>> {
        Owned::slice_in(3, |_| self.make(), self.around.source).expect("room")
    }

    /// The first over the second, and the third beside it.
    fn tree(&self) -> (KeyTree<Busy<'a, 't>, &'t Any<'t>>, Key) {
        let tree = KeyTree::new_in(self.around.source);
        let insert = |parent| tree.insert(parent, self.make()).map_err(Cond::from).expect("room");
        let top = insert(None);
        insert(Some(top));
        insert(None);
        (tree, top)
    }

    /// Has values go, of which one panics if one is to.
    fn going(&self, go: impl FnOnce()) {
        going(self.around.tally, self.bomb, go);
    }
}

/// The numbers of the first three values.
const THREE: [usize; 3] = [1, 8, 15];

/// Runs a test over every store, with each of these values to panic in turn, and with none.
fn over_each(numbers: &[usize], test: impl Fn(&Scene<'_, '_>)) {
    for bomb in bombs(numbers) {
        each(|name, source| {
            let tally = Tally::new();
            {
                let around = Around { tally: &tally, source: &source, shelf: RefCell::default() };
                let all = Ref::new_in(tally.make(), &source).expect(name);
                let scene = Scene { around: &around, all, bomb };
                test(&scene);
                assert_eq!(Ref::count(&scene.all), 1, "{name}: those that shared it have gone");
                let shelf = around.shelf.borrow();
                let left = shelf.iter().filter(|told| tally.is_alive(told.number())).count();
                assert_eq!((left, tally.alive()), (1, 2), "{name}: what is on the shelf, and what all shared");
            }
            assert_eq!((tally.alive(), tally.gone().len()), (0, tally.made()), "{name}: each went once");
        });
    }
}

#[test]
fn an_owned_values_destructor_may_use_the_store() {
    let one = &THREE[..1];
    over_each(one, |scene| {
        let owned = scene.owned();
        scene.going(|| drop(owned));
    });
    over_each(one, |scene| {
        let owned = scene.owned();
        scene.going(|| drop(owned.into_inner()));
    });
    over_each(one, |scene| {
        let works: Owned<'_, dyn Works + '_, _> = unsize!(scene.owned(), dyn Works + '_);
        assert_eq!(works.number(), 1);
        scene.going(|| drop(works));
    });
    #[cfg(feature = "shred")]
    over_each(one, |scene| {
        let owned = scene.owned();
        scene.going(|| Owned::shred(owned).expect("taken back"));
    });
}

#[test]
fn the_destructors_of_a_slice_may_use_the_store() {
    over_each(&THREE, |scene| {
        let slice = scene.slice();
        assert!(slice.iter().map(Busy::number).eq(THREE));
        scene.going(|| drop(slice));
    });
    #[cfg(feature = "shred")]
    over_each(&THREE, |scene| {
        let slice = scene.slice();
        scene.going(|| Owned::shred(slice).expect("taken back"));
    });
}

#[test]
fn a_shared_values_destructor_may_use_the_store() {
    over_each(&THREE[..1], |scene| {
        let one: Ref<'_, _, _> = Ref::new_in(scene.make(), scene.around.source).map_err(Cond::from).expect("room");
        let (other, weak) = (one.clone(), Ref::downgrade(&one).expect("countable"));
        drop(other);
        scene.going(|| drop(one));
        assert!(weak.upgrade().is_none());
    });
    over_each(&THREE[..1], |scene| {
        let one: AtomicRef<'_, _, _> =
            AtomicRef::new_in(scene.make(), scene.around.source).map_err(Cond::from).expect("room");
        let works: AtomicRef<'_, dyn Works + '_, _> = unsize!(one.clone(), dyn Works + '_);
        drop(one);
        assert_eq!(works.number(), 1);
        scene.going(|| drop(works));
    });
}

#[test]
fn the_destructors_of_a_trees_values_may_use_the_store() {
    over_each(&THREE, |scene| {
        let tree = scene.tree();
        scene.going(|| drop(tree));
    });
    over_each(&THREE[..2], |scene| {
        let (mut tree, top) = scene.tree();
        scene.going(|| tree.free(top).expect("it is there"));
        tree.check().expect("the tree is whole");
        assert_eq!((tree.len(), tree.get(top).is_none()), (1, true));
    });
    #[cfg(feature = "shred")]
    over_each(&THREE[..2], |scene| {
        let (mut tree, top) = scene.tree();
        scene.going(|| tree.shred(top).expect("it is there"));
        tree.check().expect("the tree is whole");
        assert_eq!((tree.len(), tree.get(top).is_none()), (1, true));
    });
    // A value that another takes the place of.
    over_each(&THREE[..1], |scene| {
        let (mut tree, top) = scene.tree();
        let fresh = scene.make();
        scene.going(|| *tree.get_mut(top).expect("it is there") = fresh);
        tree.check().expect("the tree is whole");
        assert_eq!((tree.len(), tree[top].number()), (3, 22));
    });
}

#[test]
fn a_value_that_was_refused_goes_once() {
    over_each(&THREE[..1], |scene| {
        let nothing = Heap::new_in(Pages::new()).limit(0);
        let refused = Owned::new_in(scene.make(), &nothing).map(drop).expect_err("no room");
        assert_eq!((refused.cond, refused.value.number()), (Cond::NoRoom, 1));
        scene.going(|| drop(refused));
    });
    over_each(&THREE[..1], |scene| {
        let nothing = KeyTree::new_in(Heap::new_in(Pages::new()).limit(0));
        let refused = nothing.insert(None, scene.make()).expect_err("no room");
        scene.going(|| drop(refused));
        assert!(nothing.is_empty());
    });
}

/// A value with bytes of every kind, which duplicates, shares and gives them back when it goes.
struct Keeper<'s, 't> {
    _told: Told<'t>,
    cells: Vec<Managed<'s>>,
    left: &'s RefCell<Vec<Vec<u8>>>,
}

impl Drop for Keeper<'_, '_> {
    fn drop(&mut self) {
        for cell in self.cells.drain(1..) {
            let copy = cell.dup().expect("room");
            let shared = cell.share();
            self.left.borrow_mut().push(copy.bytes().to_vec());
            drop(cell);
            assert!(shared.is_err() || shared.is_ok_and(|shared| shared.bytes() == copy.bytes()));
            #[cfg(feature = "shred")]
            copy.shred().expect("taken back");
        }
    }
}

#[test]
fn a_destructor_may_give_back_bytes_of_every_kind() {
    let layout = Layout::new::<[u8; 100]>();
    for bomb in bombs(&[0, 1, 2]) {
        let tally = Tally::new();
        let heap = Heap::new_in(Pages::new());
        let lin = Lin::with_headers_in(&heap);
        let pool = Pool::with_headers_in(Layout::new::<[u8; 400]>(), &heap);
        let tree = Tree::managed_in(Heap::new_in(Pages::new()));
        let left = RefCell::default();
        let keeper = |_| {
            let cells = [
                Managed::heap(&heap, layout),
                Managed::heap(&heap, layout),
                Managed::lin(&lin, layout),
                Managed::pool(&pool),
                Managed::counted(&heap, layout),
                Managed::counted(&lin, layout),
                Managed::counted(&pool, layout),
                Managed::counted(&tree, layout),
            ];
            let mut cells: Vec<_> = cells.into_iter().map(|cell| cell.expect("room")).collect();
            cells.iter_mut().for_each(|cell| cell.bytes_mut().expect("it is alone").fill(7));
            Keeper { _told: tally.make(), cells, left: &left }
        };
        // They lie between what they give back.
        let in_heap = Owned::slice_in(1, keeper, &heap).expect("room");
        let in_pool = Owned::slice_in(1, keeper, &pool).expect("room");
        let in_lin = Owned::slice_in(1, keeper, &lin).expect("room");
        going(&tally, bomb, || drop((in_pool, in_heap, in_lin)));
        assert_eq!((tally.alive(), tally.gone().len()), (0, 3));
        assert_eq!(left.borrow().iter().filter(|bytes| bytes.iter().all(|byte| *byte == 7)).count(), 3 * 7);
        assert_eq!((lin.stats().live, pool.stats().live, tree.stats().live), (0, 0, 1));
        lin.check().expect("the region is whole");
        pool.check().expect("the pool is whole");
        tree.check().expect("the tree is whole");
        drop((lin, pool));
        assert_eq!(heap.stats().live, 0);
        heap.check().expect("the heap is whole");
    }
}

#[test]
fn destructors_may_use_the_scope_that_ends() {
    for bomb in bombs(&[0, 1, 2, 3]) {
        let tally = Tally::new();
        let mut lin = Lin::with_headers_in(Pages::new());
        lin.put(7).expect("room");
        let before = lin.stats();
        going(&tally, bomb, || {
            lin.scope(|mut outer| {
                let kept = outer.put([7_u8; 100]).expect("room");
                outer.scope(|inner| {
                    let shelf = RefCell::new(Vec::new());
                    let place = |value| {
                        let taken = shelf.borrow_mut().pop();
                        drop(taken);
                        let placed = Owned::new_in(value, &inner).expect("room");
                        shelf.borrow_mut().push(placed);
                        inner.put_str("in a destructor").expect("room").len()
                    };
                    let make = |_| Placer { _told: tally.make(), place: &place };
                    let one = Owned::slice_in(2, make, &inner).expect("room");
                    let tree = KeyTree::new_in(&inner);
                    let top = tree.insert(None, make(2)).map_err(Cond::from).expect("room");
                    tree.insert(Some(top), make(3)).map_err(Cond::from).expect("room");
                    drop(one);
                    drop(tree);
                    assert_eq!(shelf.borrow().len(), 1);
                });
                assert_eq!(*kept, [7; 100]);
            });
        });
        lin.check().expect("the region is whole");
        assert_eq!((tally.alive(), tally.gone().len()), (0, 4));
        assert_eq!((lin.stats().live, lin.stats().bytes), (before.live, before.bytes));
    }
}

/// Places something when it goes.
struct Placer<'p, 't> {
    _told: Told<'t>,
    place: &'p dyn Fn([u64; 30]) -> usize,
}

impl Drop for Placer<'_, '_> {
    fn drop(&mut self) {
        assert_eq!((self.place)([1; 30]), 15);
    }
}

/// A value that tries to change its own tree when it goes, and changes another.
struct Member<'t> {
    told: Told<'t>,
    own: Weak<RefCell<Members<'t>>>,
    other: Weak<RefCell<Members<'t>>>,
}

type Members<'t> = KeyTree<Member<'t>, &'t Heap<Pages>>;

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if let Some(own) = self.own.upgrade() {
            assert!(own.try_borrow_mut().is_err(), "who has a value go has its tree alone");
        }
        let other = self.other.upgrade();
        let Some(Ok(mut other)) = other.as_ref().map(|other| other.try_borrow_mut()) else { return };
        let (first, last) = (other.child(None), other.children(None).last());
        if let (Some(first), Some(last)) = (first, last) {
            let moved = other.move_to(first, Some(last));
            assert_eq!(moved, if first == last { Err(Cond::InUse) } else { Ok(()) });
            let next = other.child(None).expect("the last is still there");
            other.free(next).expect("it is there");
            other.check().expect("the tree is whole");
        }
    }
}

#[test]
fn destructors_in_one_tree_may_move_and_free_what_is_in_another() {
    const EACH: usize = 60;
    const CHAIN: usize = 4;
    let heap = Heap::new_in(Pages::new());
    // A value of the chain that is released, of one that goes for it in the other tree, and of one that goes
    // with its tree.
    for bomb in bombs(&[0, 3, EACH + CHAIN, EACH - 1]) {
        let tally = Tally::new();
        let trees = [(); 2].map(|()| Rc::new(RefCell::new(KeyTree::new_in(&heap))));
        let [one, other] = &trees;
        for (own, other) in [(one, other), (other, one)] {
            let mut last = None;
            for number in 0..EACH {
                let member = Member { told: tally.make(), own: Rc::downgrade(own), other: Rc::downgrade(other) };
                let parent = last.filter(|_| number % CHAIN > 0);
                last = Some(own.borrow().insert(parent, member).map_err(Cond::from).expect("room"));
            }
        }
        let first = one.borrow().child(None).expect("it is there");
        going(&tally, bomb.filter(|bomb| *bomb != EACH - 1), || {
            one.borrow_mut().free(first).expect("it is there");
        });
        for tree in &trees {
            let tree = tree.borrow();
            tree.check().expect("the tree is whole");
            tree.subtree(None).for_each(|key| assert!(tree[key].told.number() < 2 * EACH));
        }
        let left = [one, other].map(|tree| tree.borrow().len());
        assert!(left[0] == EACH - CHAIN && left[1] < EACH && left[1] > 0, "{left:?}");
        assert_eq!(tally.alive(), left[0] + left[1]);
        let [one, other] = trees;
        going(&tally, bomb.filter(|bomb| *bomb == EACH - 1), || drop(one));
        drop(other);
        assert_eq!((tally.alive(), tally.gone().len(), heap.stats().live), (0, 2 * EACH, 0));
        heap.check().expect("the heap is whole");
    }
}

//! Nodes whose destructors act on the tree that is being released: allocate in it, free from it, move its
//! nodes, and panic. Whatever is released, each value goes once and each block comes back.

#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the nodes are live where they are used: the scene knows which have gone"
)]

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use kmem::{Cond, Heap, Pages, Tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::tally::{Tally, Told, bombs};

type Node = NonNull<u8>;
type Forest<'s> = Tree<&'s Heap<Pages>>;

/// A tree of values, each with a destructor that drops it; one of them does something first.
///
/// ```text
/// root ┬ 0 ┬ 1 ┬ 2 ─ 3
///      │   │   └ 4
///      │   └ 5 ─ 6
///      └ 7 ─ 8
/// ```
struct Scene<'s> {
    tree: *mut Forest<'s>,
    tally: &'s Tally,
    nodes: RefCell<Vec<Node>>,
    /// Which are released.
    going: RangeInclusive<usize>,
    /// Which of those does the deed, and how often it did.
    actor: usize,
    deed: Deed,
    done: Cell<usize>,
}

/// What the destructor of a node does first.
type Deed = fn(&Scene<'_>, Node);

/// The parents of the nodes; where there is none it is the root.
const PARENTS: [Option<usize>; 9] = [None, Some(0), Some(1), Some(2), Some(1), Some(0), Some(5), None, Some(7)];
const LAST: usize = PARENTS.len() - 1;

impl<'s> Scene<'s> {
    fn tree(&self) -> &Forest<'s> {
        unsafe { &*self.tree }
    }

    fn node(&self, number: usize) -> Node {
        self.nodes.borrow()[number]
    }

    /// One more node, with a value and its destructor.
    fn add(&self, parent: Node) -> Result<Node, Cond> {
        let tree = self.tree();
        unsafe {
            let node = tree.alloc(parent, Layout::new::<Told<'_>>())?.cast::<u8>();
            node.cast::<Told<'_>>().write(self.tally.make());
            tree.on_release(node, let_go, std::ptr::from_ref(self).cast_mut().cast()).expect("room");
            Ok(node)
        }
    }

    /// The first nodes that are not released, as far as they are still there.
    fn staying(&self) -> Vec<usize> {
        (0..=LAST).filter(|number| !self.going.contains(number) && self.tally.is_alive(*number)).collect()
    }

    /// What the tree answers to what would change its root or another node that stays.
    fn of_root<T>(&self, answer: T) -> Result<T, Cond> {
        if self.going == (0..=LAST) { Err(Cond::InUse) } else { Ok(answer) }
    }
}

unsafe fn let_go(node: Node, context: *mut ()) {
    /// Drops the value, also when the deed panics.
    struct Value<'t>(NonNull<Told<'t>>);
    impl Drop for Value<'_> {
        fn drop(&mut self) {
            unsafe { self.0.drop_in_place() };
        }
    }
    let scene = unsafe { &*context.cast::<Scene<'_>>() };
    let value = Value(node.cast());
    if unsafe { value.0.as_ref() }.number() == scene.actor {
        scene.done.set(scene.done.get() + 1);
        (scene.deed)(scene, node);
    }
}

fn nothing(_: &Scene<'_>, _: Node) {}

fn allocates(scene: &Scene<'_>, _: Node) {
    for number in scene.going.clone() {
        assert_eq!(scene.add(scene.node(number)), Err(Cond::InUse));
    }
    let root = scene.tree().root().expect("it is there");
    assert_eq!(scene.add(root).map(drop), scene.of_root(()));
    for number in scene.staying() {
        let child = scene.add(scene.node(number)).expect("room");
        scene.add(child).expect("room");
    }
}

fn frees(scene: &Scene<'_>, node: Node) {
    let tree = scene.tree();
    for number in scene.going.clone() {
        assert_eq!(unsafe { tree.free(scene.node(number)) }, Err(Cond::InUse));
    }
    assert_eq!(unsafe { tree.free_children(node) }, Err(Cond::InUse));
    while let Some(number) = scene.staying().first() {
        unsafe { tree.free(scene.node(*number)) }.expect("it is there");
    }
}

fn frees_the_root(scene: &Scene<'_>, _: Node) {
    let tree = scene.tree();
    assert_eq!(unsafe { tree.free(tree.root().expect("it is there")) }, scene.of_root(()));
}

fn moves(scene: &Scene<'_>, node: Node) {
    let tree = scene.tree();
    let root = tree.root().expect("it is there");
    let staying = scene.staying();
    unsafe {
        for number in scene.going.clone() {
            assert_eq!(tree.move_to(scene.node(number), root), Err(Cond::InUse));
        }
        for number in &staying {
            assert_eq!(tree.move_to(scene.node(*number), node), Err(Cond::InUse));
            tree.move_to(scene.node(*number), root).expect("to the top");
        }
        for pair in staying.windows(2) {
            tree.move_to(scene.node(pair[1]), scene.node(pair[0])).expect("below another");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Free,
    Children,
    #[cfg(feature = "shred")]
    Shred,
    Destroy,
    Drop,
}

impl Way {
    const ALL: &[Self] = &[
        Self::Free,
        Self::Children,
        #[cfg(feature = "shred")]
        Self::Shred,
        Self::Destroy,
        Self::Drop,
    ];

    /// Which nodes go.
    const fn going(self) -> RangeInclusive<usize> {
        match self {
            Self::Free => 1..=4,
            Self::Children => 1..=6,
            #[cfg(feature = "shred")]
            Self::Shred => 0..=6,
            Self::Destroy | Self::Drop => 0..=LAST,
        }
    }

    fn go(self, scene: &Scene<'_>) {
        let answer = match self {
            Self::Free => unsafe { scene.tree().free(scene.node(1)) },
            Self::Children => unsafe { scene.tree().free_children(scene.node(0)) },
            #[cfg(feature = "shred")]
            Self::Shred => unsafe { scene.tree().shred(scene.node(0)) },
            Self::Destroy => unsafe { &mut *scene.tree }.destroy(),
            Self::Drop => {
                drop(unsafe { Box::from_raw(scene.tree) });
                Ok(())
            }
        };
        answer.expect("they are there");
    }
}

/// Has each node that goes do the deed, in each way of going.
fn in_all_ways(deed: Deed) {
    let heap = Heap::new_in(Pages::new());
    for way in Way::ALL {
        for actor in way.going() {
            // The actor panics, or the last that goes with it, or one that may go for what the actor does.
            for bomb in bombs(&[actor, *way.going().end(), LAST]) {
                run(
                    &heap,
                    *way,
                    Scene {
                        tree: Box::into_raw(Box::new(Tree::new_in(&heap))),
                        tally: &Tally::new(),
                        nodes: RefCell::default(),
                        going: way.going(),
                        actor,
                        deed,
                        done: Cell::new(0),
                    },
                    bomb,
                );
            }
        }
    }
}

fn run(heap: &Heap<Pages>, way: Way, scene: Scene<'_>, bomb: Option<usize>) {
    let (tree, tally) = (scene.tree(), scene.tally);
    let root = tree.root().expect("room");
    for parent in PARENTS {
        let parent = parent.map_or(root, |parent| scene.node(parent));
        let node = scene.add(parent).expect("room");
        scene.nodes.borrow_mut().push(node);
    }
    tally.arm(bomb);
    let panicked = catch_unwind(AssertUnwindSafe(|| way.go(&scene))).is_err();
    assert_eq!(panicked, bomb.is_some_and(|bomb| !tally.is_alive(bomb)), "{way:?} {bomb:?}");
    assert!(scene.done.get() == 1 && scene.going.clone().all(|number| !tally.is_alive(number)), "{way:?} {bomb:?}");
    if way != Way::Drop {
        tally.arm(None);
        tree.check().expect("the tree is whole");
        assert!(tree.stats().live.saturating_sub(1) == tally.alive(), "{way:?} {bomb:?}");
        // It can be used on.
        scene.add(tree.root().expect("room")).expect("room");
        drop(unsafe { Box::from_raw(scene.tree) });
    }
    assert_eq!((tally.alive(), tally.gone().len(), heap.stats().live), (0, tally.made(), 0), "{way:?} {bomb:?}");
    heap.check().expect("the heap is whole");
}

#[test]
fn a_destructor_may_panic() {
    in_all_ways(nothing);
}

#[test]
fn a_destructor_may_allocate_in_the_tree_that_is_released() {
    in_all_ways(allocates);
}

#[test]
fn a_destructor_may_free_other_nodes_of_the_tree() {
    in_all_ways(frees);
}

#[test]
fn a_destructor_may_free_what_its_node_was_under() {
    in_all_ways(frees_the_root);
}

#[test]
fn a_destructor_may_move_other_nodes_of_the_tree() {
    in_all_ways(moves);
}

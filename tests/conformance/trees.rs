//! Trees: links, moving, guards, destructors.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

use kmem::{Cond, Fixed, Heap, Kind, Stats, Tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::common::{differs, figures, layout, room, write_pattern};

type Place = NonNull<u8>;
type ATree<'a> = Tree<Heap<Fixed<'a>>>;

/// A tree and what its guards and destructors have seen.
struct Scene<'a> {
    tree: ATree<'a>,
    seen: Box<Seen<'a>>,
    notes: RefCell<Vec<Rc<Note<'a>>>>,
}

/// Of which node, and what.
type Act<'a> = (u64, Box<dyn Fn() + 'a>);

/// What guards and destructors reach, which is not the tree.
#[derive(Default)]
struct Seen<'a> {
    /// The numbers of the nodes whose destructors have run.
    gone: RefCell<Vec<u64>>,
    asked: RefCell<Vec<u64>>,
    refuses: Cell<bool>,
    /// What the destructor of a node does beside telling that it ran.
    act: RefCell<Option<Act<'a>>>,
    acts: Cell<bool>,
}

/// What a destructor or guard is given.
struct Note<'a> {
    seen: *const Seen<'a>,
    number: u64,
    /// Other nodes of the subtree, which must be readable still.
    family: Vec<(Place, u64)>,
}

const SIZE: usize = 40;

unsafe fn run(node: Place, context: *mut ()) {
    let note = unsafe { &*context.cast::<Note<'_>>() };
    let seen = unsafe { &*note.seen };
    assert_eq!(differs(node, SIZE, note.number), None, "a payload is readable in its destructor");
    for (node, number) in &note.family {
        assert_eq!(differs(*node, SIZE, *number), None, "and so are those of the whole subtree");
    }
    seen.gone.borrow_mut().push(note.number);
    if let Some((number, act)) = seen.act.borrow().as_ref()
        && *number == note.number
    {
        seen.acts.set(true);
        act();
        seen.acts.set(false);
    }
}

unsafe fn guard(node: Place, context: *mut ()) -> bool {
    let note = unsafe { &*context.cast::<Note<'_>>() };
    let seen = unsafe { &*note.seen };
    assert_eq!(differs(node, SIZE, note.number), None);
    seen.asked.borrow_mut().push(note.number);
    seen.refuses.get()
}

impl<'a> Scene<'a> {
    fn new(bytes: &'a mut [std::mem::MaybeUninit<u8>]) -> Self {
        Self { tree: Tree::fixed(bytes), seen: Box::default(), notes: RefCell::default() }
    }

    fn root(&self) -> Place {
        self.tree.root().expect("there is room")
    }

    /// A node that is known by a number.
    fn node(&self, parent: Place, number: u64) -> Place {
        let node = unsafe { self.tree.alloc(parent, layout(SIZE, 16)) }.expect("there is room").cast();
        write_pattern(node, 0..SIZE, number);
        self.check();
        node
    }

    /// The same with a destructor.
    fn hooked(&self, parent: Place, number: u64) -> Place {
        let node = self.node(parent, number);
        self.hook(node, number, Vec::new());
        node
    }

    fn note(&self, number: u64, family: Vec<(Place, u64)>) -> *mut () {
        let note = Rc::new(Note { seen: &raw const *self.seen, number, family });
        let context = Rc::as_ptr(&note).cast_mut().cast();
        self.notes.borrow_mut().push(note);
        context
    }

    fn hook(&self, node: Place, number: u64, family: Vec<(Place, u64)>) {
        let context = self.note(number, family);
        unsafe { self.tree.on_release(node, run, context) }.expect("there is room");
        self.check();
    }

    fn guard(&self, node: Place, number: u64) {
        let context = self.note(number, Vec::new());
        unsafe { self.tree.set_guard(node, Some((guard, context))) }.expect("there is room");
        self.check();
    }

    fn act(&self, number: u64, act: impl Fn() + 'a) {
        *self.seen.act.borrow_mut() = Some((number, Box::new(act)));
    }

    fn free(&self, node: Place) -> Result<(), Cond> {
        let answer = unsafe { self.tree.free(node) };
        self.check();
        answer
    }

    fn check(&self) {
        // While a subtree is going the tree still counts its nodes, but does not lead to them.
        if self.seen.acts.get() {
            return;
        }
        self.tree.check().expect("the tree is whole");
        self.tree.source().check().expect("the heap below is whole");
    }

    fn gone(&self) -> Vec<u64> {
        self.seen.gone.take()
    }

    fn children(&self, node: Place) -> Vec<Place> {
        let first = unsafe { self.tree.header(node) }.child();
        let forth: Vec<_> = std::iter::successors(first, |at| unsafe { self.tree.header(*at) }.next()).collect();
        let last = unsafe { self.tree.header(node) }.lastchild();
        let mut back: Vec<_> = std::iter::successors(last, |at| unsafe { self.tree.header(*at) }.prev()).collect();
        back.reverse();
        assert_eq!(forth, back);
        for child in &forth {
            assert_eq!(unsafe { self.tree.header(*child) }.parent(), Some(node));
        }
        forth
    }

    fn look(&self) -> String {
        self.check();
        // The most that there ever was is nobody's state.
        let now = |stats| Stats { peak: 0, ..stats };
        let (tree, heap) = (&self.tree, self.tree.source());
        format!("{:?} {:?}", figures(tree, now(tree.stats())), figures(heap, now(heap.stats())))
    }
}

#[test]
fn a_new_moved_or_duplicated_child_becomes_the_last() {
    let mut bytes = room(8192);
    let scene = Scene::new(&mut bytes);
    let tree = &scene.tree;
    let root = scene.root();
    let [a, b, c] = [1, 2, 3].map(|number| scene.node(root, number));
    let ptr = tree.alloc_ptr(root, layout(SIZE, 16)).expect("there is room");
    let d = NonNull::new(ptr.payload()).expect("a live node");
    write_pattern(d, 0..SIZE, 4);
    let under_d = scene.node(d, 5);
    assert_eq!(scene.children(root), [a, b, c, d]);
    unsafe { tree.move_to(b, root) }.expect("a parent may be the same");
    assert_eq!(scene.children(root), [a, c, d, b]);
    let copy = unsafe { kmem::dup(&ptr) }.expect("there is room");
    let e = NonNull::new(copy.payload()).expect("a live node");
    assert_eq!((copy.kind(), differs(e, SIZE, 4)), (Kind::Tree, None));
    assert_eq!(scene.children(root), [a, c, d, b, e]);
    assert_eq!((scene.children(e), scene.children(d)), (vec![], vec![under_d]), "without its children");
    unsafe { tree.move_to(d, c) }.expect("a subtree moves whole");
    assert_eq!(
        (scene.children(root), scene.children(c), scene.children(d)),
        (vec![a, c, b, e], vec![d], vec![under_d])
    );
    assert_eq!(scene.free(c), Ok(()));
    assert_eq!((scene.children(root), tree.stats().live), (vec![a, b, e], 4));
    assert_eq!((differs(a, SIZE, 1), differs(b, SIZE, 2), differs(e, SIZE, 4)), (None, None, None));
}

#[test]
fn a_node_cannot_move_under_itself_or_below_itself() {
    let mut bytes = room(8192);
    let scene = Scene::new(&mut bytes);
    let root = scene.root();
    let a = scene.node(root, 1);
    let b = scene.node(a, 2);
    let c = scene.node(b, 3);
    let before = scene.look();
    for (node, parent) in [(a, a), (a, b), (a, c), (b, c), (root, c), (root, root)] {
        assert_eq!(unsafe { scene.tree.move_to(node, parent) }, Err(Cond::InUse));
        assert_eq!(scene.look(), before);
    }
    unsafe { scene.tree.move_to(c, root) }.expect("up is no loop");
    unsafe { scene.tree.move_to(a, c) }.expect("nor below what was below before");
    assert_eq!(scene.children(c), [a]);
    scene.check();
}

#[test]
fn a_node_of_another_tree_is_refused() {
    let (mut bytes, mut others) = (room(8192), room(8192));
    let (scene, other) = (Scene::new(&mut bytes), Scene::new(&mut others));
    let (here, there) = (scene.node(scene.root(), 1), other.node(other.root(), 2));
    let before = (scene.look(), other.look());
    assert_eq!(unsafe { scene.tree.move_to(here, there) }, Err(Cond::BadAddress));
    assert_eq!(unsafe { scene.tree.move_to(there, here) }, Err(Cond::BadAddress));
    let mut local = [0_u8; SIZE];
    let inside = unsafe { here.add(16) };
    for wrong in [there, NonNull::from(&mut local).cast(), inside] {
        assert_eq!(scene.tree.alloc_ptr(wrong, layout(SIZE, 16)), Err(Cond::BadAddress));
        assert_eq!(scene.tree.alloc_zeroed_ptr(wrong, layout(SIZE, 16)), Err(Cond::BadAddress));
    }
    assert_eq!((scene.look(), other.look()), before);
}

#[test]
fn a_guard_that_refuses_keeps_the_whole_subtree() {
    let mut bytes = room(16 << 10);
    let mut scene = Scene::new(&mut bytes);
    let root = scene.root();
    let top = scene.hooked(root, 1);
    let first = scene.hooked(top, 2);
    let deep = scene.hooked(first, 3);
    let last = scene.hooked(top, 4);
    scene.guard(deep, 3);
    scene.guard(last, 4);
    scene.seen.refuses.set(true);
    let before = scene.look();
    for node in [top, first, deep, root] {
        assert_eq!(scene.free(node), Err(Cond::InUse));
        assert_eq!(unsafe { scene.tree.free_children(root) }, Err(Cond::InUse));
        #[cfg(feature = "shred")]
        assert_eq!(unsafe { scene.tree.shred(node) }, Err(Cond::InUse));
        assert_eq!(scene.look(), before, "nothing is released");
    }
    assert_eq!(unsafe { scene.tree.free_children(deep) }, Ok(()), "the node's own guard is not asked for its children");
    let ptr = scene.tree.alloc_ptr(last, layout(8, 8)).expect("there is room");
    unsafe { kmem::free(ptr) }.expect("a guard above is not asked");
    assert_eq!(scene.tree.destroy(), Err(Cond::InUse), "a tree is not destroyed over a guard either");
    assert_eq!((scene.look(), scene.gone()), (before, vec![]));
    unsafe { scene.tree.set_guard(deep, None) }.expect("a guard can be taken off");
    assert_eq!(scene.free(first), Ok(()));
    assert_eq!((scene.free(top), scene.gone()), (Err(Cond::InUse), vec![2, 3]));
    scene.seen.refuses.set(false);
    scene.seen.asked.take();
    assert_eq!((scene.free(top), scene.gone()), (Ok(()), vec![1, 4]));
    assert_eq!((scene.seen.asked.take(), scene.tree.stats().live), (vec![4], 1));
}

#[test]
fn a_guard_can_be_replaced_and_goes_with_its_node() {
    let mut bytes = room(8192);
    let scene = Scene::new(&mut bytes);
    let before = (scene.root(), scene.look()).1;
    let node = scene.node(scene.root(), 1);
    scene.guard(node, 1);
    scene.guard(node, 1);
    assert_eq!((scene.free(node), scene.seen.asked.take()), (Ok(()), vec![1]), "one guard a node, asked once");
    let again = scene.node(scene.root(), 2);
    scene.seen.refuses.set(true);
    assert_eq!((scene.free(again), scene.look()), (Ok(()), before.clone()), "the next node has none");
    assert_eq!(scene.tree.source().stats().live, 1);
}

/// Numbered parent before children, siblings first to last.
fn family(scene: &Scene<'_>) -> Place {
    let top = scene.node(scene.root(), 1);
    let a = scene.node(top, 2);
    let nodes = [(a, 3), (a, 4)].map(|(parent, number)| (scene.node(parent, number), number));
    let b = scene.node(top, 5);
    let c = scene.node(top, 6);
    let under_c = scene.node(c, 7);
    let mut all = vec![(top, 1), (a, 2), (b, 5), (c, 6), (under_c, 7)];
    all.extend(nodes);
    // The order of these calls is not that of the tree, and two nodes have none.
    for number in [6, 1, 4, 7, 2] {
        let (node, _) = all.iter().find(|(_, other)| *other == number).expect("a node of that number");
        scene.hook(*node, number, all.clone());
    }
    top
}

#[test]
fn destructors_run_parent_before_children_and_siblings_first_to_last() {
    let mut bytes = room(16 << 10);
    let mut scene = Scene::new(&mut bytes);
    let top = family(&scene);
    assert_eq!((scene.free(top), scene.gone()), (Ok(()), vec![1, 2, 4, 6, 7]));
    assert_eq!((scene.tree.stats().live, scene.tree.source().stats().live), (1, 1), "and their memory has gone too");
    family(&scene);
    assert_eq!(unsafe { scene.tree.free_children(scene.root()) }, Ok(()));
    assert_eq!(scene.gone(), [1, 2, 4, 6, 7]);
    family(&scene);
    assert_eq!((scene.tree.destroy(), scene.gone()), (Ok(()), vec![1, 2, 4, 6, 7]));
    assert_eq!((scene.tree.stats().live, scene.tree.source().stats().live), (0, 0));
}

#[test]
fn a_dropped_tree_runs_destructors_whatever_guards_say() {
    let mut bytes = room(8192);
    let scene = Scene::new(&mut bytes);
    let node = scene.hooked(scene.root(), 1);
    scene.guard(node, 1);
    scene.seen.refuses.set(true);
    let Scene { tree, seen, notes } = scene;
    drop(tree);
    assert_eq!((seen.gone.take(), notes.borrow().len()), (vec![1], 2));
}

#[test]
fn of_several_destructors_the_newest_runs_first_and_each_can_be_taken_off() {
    let mut bytes = room(8192);
    let scene = Scene::new(&mut bytes);
    let node = scene.node(scene.root(), 1);
    // All of one node: they are told apart by their contexts.
    let contexts = [10, 11, 12, 13].map(|_| scene.note(1, Vec::new()));
    let order = RefCell::new(Vec::<u64>::new());
    unsafe fn tell(_: Place, context: *mut ()) {
        let (order, number) = unsafe { &*context.cast::<(&RefCell<Vec<u64>>, u64)>() };
        order.borrow_mut().push(*number);
    }
    let told = [1_u64, 2, 3, 4].map(|number| (&order, number));
    let told = told.each_ref().map(|context| std::ptr::from_ref(context).cast_mut().cast::<()>());
    for context in told {
        unsafe { scene.tree.on_release(node, tell, context) }.expect("there is room");
    }
    for (run, context) in [(tell as kmem::tree::Destructor, told[1]), (tell, told[3])] {
        unsafe { scene.tree.off_release(node, run, context) }.expect("it was put on");
        assert_eq!(unsafe { scene.tree.off_release(node, run, context) }, Err(Cond::BadAddress), "it is off");
    }
    assert_eq!(unsafe { scene.tree.off_release(node, run, told[0]) }, Err(Cond::BadAddress), "another function");
    assert_eq!(unsafe { scene.tree.off_release(node, tell, contexts[0]) }, Err(Cond::BadAddress), "another context");
    let other = scene.node(scene.root(), 2);
    assert_eq!(unsafe { scene.tree.off_release(other, tell, told[0]) }, Err(Cond::BadAddress), "another node");
    assert_eq!(scene.free(node), Ok(()));
    assert_eq!(order.take(), [3, 1]);
}

#[test]
fn the_roots_destructor_and_guard_count_though_others_came_and_went() {
    let mut bytes = room(8192);
    let mut scene = Scene::new(&mut bytes);
    let root = scene.root();
    let node = scene.hooked(root, 1);
    let told = Cell::new(0);
    unsafe fn tell(_: Place, context: *mut ()) {
        let told = unsafe { &*context.cast::<Cell<u32>>() };
        told.set(told.get() + 1);
    }
    unsafe fn refuse(_: Place, context: *mut ()) -> bool {
        unsafe { &*context.cast::<Cell<u32>>() }.get() == 0
    }
    let context = (&raw const told).cast_mut().cast();
    unsafe { scene.tree.on_release(root, tell, context) }.expect("there is room");
    unsafe { scene.tree.set_guard(root, Some((refuse, context))) }.expect("there is room");
    assert_eq!((scene.free(node), scene.gone()), (Ok(()), vec![1]));
    assert_eq!(scene.tree.destroy(), Err(Cond::InUse), "the root's guard refuses");
    unsafe { scene.tree.set_guard(root, None) }.expect("a guard can be taken off");
    assert_eq!((scene.tree.destroy(), told.get()), (Ok(()), 1));
    assert_eq!(scene.tree.source().stats().live, 0, "a destructor's own memory goes with the root");
}

#[test]
fn a_destructor_may_free_move_and_allocate_outside_the_subtree() {
    let mut bytes = room(16 << 10);
    let scene = Scene::new(&mut bytes);
    let root = scene.root();
    let top = scene.hooked(root, 1);
    scene.hooked(top, 2);
    let (kept, freed) = (scene.hooked(root, 3), scene.hooked(root, 4));
    let below = scene.hooked(freed, 5);
    let moved = scene.hooked(root, 6);
    let place = &raw const scene;
    scene.act(1, move || {
        let scene = unsafe { &*place };
        scene.free(freed).expect("outside the subtree");
        unsafe { scene.tree.move_to(moved, kept) }.expect("outside the subtree");
        let new = scene.hooked(moved, 7);
        let bigger = unsafe { scene.tree.resize(new, 2 * SIZE) }.expect("outside the subtree").cast();
        assert_eq!(differs(bigger, SIZE, 7), None);
    });
    assert_eq!(scene.free(top), Ok(()));
    assert_eq!(scene.gone(), [1, 4, 5, 2], "those of the other subtree run where it is freed");
    assert_eq!((scene.children(root), scene.children(kept)), (vec![kept], vec![moved]));
    assert_eq!((scene.tree.stats().live, below == freed), (4, false));
    scene.seen.act.take();
    assert_eq!((scene.free(kept), scene.gone()), (Ok(()), vec![3, 6, 7]));
}

#[test]
fn acting_on_a_doomed_node_is_refused() {
    let mut bytes = room(16 << 10);
    let scene = Scene::new(&mut bytes);
    let root = scene.root();
    let ptr = scene.tree.alloc_ptr(root, layout(SIZE, 16)).expect("there is room");
    let top = NonNull::new(ptr.payload()).expect("a live node");
    write_pattern(top, 0..SIZE, 1);
    scene.hook(top, 1, Vec::new());
    let (child, outside) = (scene.hooked(top, 2), scene.node(root, 3));
    let place = &raw const scene;
    let refusals = Cell::new(0);
    let counted = &raw const refusals;
    scene.act(2, move || {
        let (scene, refusals) = unsafe { (&*place, &*counted) };
        let tree = &scene.tree;
        let refused = |answer: Result<(), Cond>| {
            assert_eq!(answer, Err(Cond::InUse), "number {}", refusals.get());
            refusals.set(refusals.get() + 1);
        };
        for doomed in [top, child] {
            refused(unsafe { tree.free(doomed) });
            refused(unsafe { tree.free_children(doomed) });
            refused(unsafe { tree.alloc(doomed, layout(8, 8)) }.map(drop));
            refused(unsafe { tree.alloc_zeroed(doomed, layout(8, 8)) }.map(drop));
            refused(unsafe { tree.move_to(doomed, outside) });
            refused(unsafe { tree.move_to(outside, doomed) });
            refused(unsafe { tree.resize(doomed, 500) }.map(drop));
            refused(unsafe { tree.on_release(doomed, run, std::ptr::null_mut()) });
            refused(unsafe { tree.off_release(doomed, run, std::ptr::null_mut()) });
            refused(unsafe { tree.set_guard(doomed, None) });
            refused(tree.alloc_ptr(doomed, layout(8, 8)).map(drop));
            #[cfg(feature = "shred")]
            {
                refused(unsafe { tree.shred(doomed) });
                refused(unsafe { tree.taint_node(doomed) });
            }
        }
        // The managed pointer to the top.
        refused(unsafe { kmem::free(ptr) });
        refused(unsafe { kmem::dup(&ptr) }.map(drop));
        refused(unsafe { kmem::zero_object(&ptr) });
        #[cfg(feature = "shred")]
        {
            refused(unsafe { kmem::shred(ptr) });
            let mut copy = ptr;
            refused(unsafe { kmem::taint(&mut copy) });
        }
    });
    assert_eq!((scene.free(top), scene.gone()), (Ok(()), vec![1, 2]));
    assert_eq!((scene.children(root), scene.tree.stats().live), (vec![outside], 2));
    assert_eq!(refusals.get(), if cfg!(feature = "shred") { 31 } else { 25 });
    assert_eq!(unsafe { kmem::free(ptr) }, Err(Cond::BadAddress));
}

/// What other nodes' destructors are owed when one panics. WebAssembly cannot unwind.
#[cfg(panic = "unwind")]
#[test]
fn a_destructor_that_panics_keeps_no_other_from_running_and_no_memory() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    for panics in [1, 4, 7] {
        let mut bytes = room(16 << 10);
        let mut scene = Scene::new(&mut bytes);
        let top = family(&scene);
        scene.act(panics, move || panic!("the destructor of {panics} panics, as it is meant to"));
        let message = catch_unwind(AssertUnwindSafe(|| scene.free(top))).expect_err("the panic comes through");
        scene.seen.acts.set(false);
        assert!(message.downcast_ref::<String>().is_some_and(|text| text.ends_with("meant to")));
        assert_eq!(scene.gone(), [1, 2, 4, 6, 7], "each has run, once and in order");
        scene.check();
        assert_eq!((scene.tree.stats().live, scene.tree.source().stats().live), (1, 1), "and the memory has gone");
        scene.seen.act.take();
        assert_eq!((scene.tree.destroy(), scene.gone()), (Ok(()), vec![]));
    }
}

#[test]
fn a_deep_chain_and_a_wide_family_go_in_constant_stack() {
    let mut bytes = room(3 << 20);
    let tree = Tree::fixed(&mut bytes);
    let mut at = tree.root().expect("there is room");
    for _ in 0..10_000 {
        at = unsafe { tree.alloc(at, layout(8, 8)) }.expect("there is room").cast();
    }
    for _ in 0..10_000 {
        unsafe { tree.alloc(at, layout(8, 8)) }.expect("there is room");
    }
    tree.check().expect("the tree is whole");
    assert_eq!(tree.stats().live, 20_001);
    unsafe { tree.free_children(tree.root().expect("it is there")) }.expect("no guard refuses");
    tree.check().expect("the tree is whole");
    tree.source().check().expect("the heap below is whole");
    assert_eq!((tree.stats().live, tree.source().stats().live), (1, 1));
}

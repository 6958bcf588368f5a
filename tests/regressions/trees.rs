//! Trees: what destructors may do meanwhile, and nodes that are tainted.

use core::alloc::Layout;
use core::ptr::NonNull;

use kmem::inspect::Inspect;
use kmem::{Cond, Heap, Pool, Source, Tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(feature = "shred")]
use crate::bytes;
use crate::fickle::Fickle;
use crate::{LAYOUT, count};

type Node = NonNull<u8>;

/// What a destructor is told: a tree and one of its nodes.
struct Target<'t, S: Source> {
    tree: &'t Tree<S>,
    node: Node,
    runs: usize,
}

unsafe fn free_it<S: Source>(_: Node, context: *mut ()) {
    let target = unsafe { &mut *context.cast::<Target<'_, S>>() };
    target.runs += 1;
    unsafe { target.tree.free(target.node) }.unwrap();
}

/// Adds another child that has this destructor, but not for ever.
unsafe fn add_another(_: Node, context: *mut ()) {
    let target = unsafe { &mut *context.cast::<Target<'_, Fickle>>() };
    target.runs += 1;
    if target.runs < 100 {
        unsafe {
            let child = target.tree.alloc(target.node, LAYOUT).unwrap().cast();
            target.tree.on_release(child, add_another, context).unwrap();
        }
    }
}

unsafe fn child_of<S: Source>(tree: &Tree<S>, parent: Node) -> Node {
    unsafe { tree.alloc(parent, LAYOUT) }.unwrap().cast()
}

/// The panic came out of the guard that was to run the other destructors and give the memory back.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn the_other_destructors_run_though_one_panics() {
    unsafe fn boom(_: Node, _: *mut ()) {
        panic!("boom");
    }
    let tree = Tree::new_in(Fickle::default());
    let root = tree.root().unwrap();
    let mut runs = 0_usize;
    let freed = unsafe {
        let top = child_of(&tree, root);
        let below = child_of(&tree, top);
        tree.on_release(top, boom, core::ptr::null_mut()).unwrap();
        tree.on_release(below, count, (&raw mut runs).cast()).unwrap();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tree.free(top)))
    };
    assert!(freed.is_err());
    assert_eq!((runs, tree.stats().live, tree.source().live()), (1, 1, 1));
    tree.check().unwrap();
}

/// The nodes that were going went on to read what they share, which lies in the root.
#[test]
fn a_destructor_frees_the_root_while_its_subtree_is_going() {
    fn prove<S: Source>(source: S) {
        let tree = Tree::new_in(source);
        let root = tree.root().unwrap();
        let mut target = Target { tree: &tree, node: root, runs: 0 };
        unsafe {
            let top = child_of(&tree, root);
            let below = child_of(&tree, top);
            child_of(&tree, below);
            child_of(&tree, root);
            tree.on_release(top, free_it::<S>, (&raw mut target).cast()).unwrap();
            tree.free(top).unwrap();
        }
        assert_eq!((target.runs, tree.stats().live), (1, 0));
        tree.check().unwrap();
        tree.root().unwrap();
        tree.check().unwrap();
    }
    let source = Fickle::default();
    prove(&source);
    assert_eq!(source.live(), 0);
    // Nobody reads a page that was given back.
    #[cfg(feature = "platform")]
    prove(kmem::Pages::new());
}

/// The children were released one after the other, each looked for in a parent that was no more.
#[test]
fn a_destructor_frees_the_node_whose_children_are_going() {
    let tree = Tree::new_in(Fickle::default());
    let root = tree.root().unwrap();
    let mut runs = 0_usize;
    let parent = unsafe { child_of(&tree, root) };
    let mut target = Target { tree: &tree, node: parent, runs: 0 };
    unsafe {
        let [first, second] = [(); 2].map(|()| child_of(&tree, parent));
        tree.on_release(first, free_it::<Fickle>, (&raw mut target).cast()).unwrap();
        tree.on_release(second, count, (&raw mut runs).cast()).unwrap();
        tree.free_children(parent).unwrap();
    }
    assert_eq!((target.runs, runs, tree.stats().live, tree.source().live()), (1, 1, 1, 1));
    tree.check().unwrap();
}

/// They were taken for more of the children that were going: there was no end of it.
#[test]
fn the_children_that_a_destructor_adds_stay() {
    let tree = Tree::new_in(Fickle::default());
    let root = tree.root().unwrap();
    let parent = unsafe { child_of(&tree, root) };
    let mut target = Target { tree: &tree, node: parent, runs: 0 };
    unsafe {
        let child = child_of(&tree, parent);
        tree.on_release(child, add_another, (&raw mut target).cast()).unwrap();
        tree.free_children(parent).unwrap();
        assert_eq!((target.runs, tree.stats().live), (1, 3));
        tree.check().unwrap();
        // Those that are left would add more when the tree goes.
        target.runs = 100;
        tree.free(root).unwrap();
    }
    assert_eq!((target.runs, tree.source().live()), (101, 0));
}

/// The tree forgot its root first, so a destructor that asked for it had a new one made, which stayed.
#[test]
fn a_destructor_that_asks_for_the_root_gets_the_one_that_is_going() {
    struct Asked<'h> {
        tree: *const Tree<&'h Heap<Fickle>>,
        root: Option<Node>,
        answer: Option<Result<NonNull<[u8]>, Cond>>,
    }
    unsafe fn ask(_: Node, context: *mut ()) {
        let asked = unsafe { &mut *context.cast::<Asked<'_>>() };
        let tree = unsafe { &*asked.tree };
        asked.root = tree.root().ok();
        asked.answer = asked.root.map(|root| unsafe { tree.alloc(root, LAYOUT) });
    }
    let heap = Heap::new_in(Fickle::default());
    let tree = Box::into_raw(Box::new(Tree::new_in(&heap)));
    for last in [false, true] {
        let mut asked = Asked { tree, root: None, answer: None };
        let root = unsafe { (*tree).root() }.unwrap();
        unsafe {
            let child = (*tree).alloc(root, LAYOUT).unwrap().cast();
            (*tree).on_release(child, ask, (&raw mut asked).cast()).unwrap();
            if last {
                drop(Box::from_raw(tree));
            } else {
                (*tree).destroy().unwrap();
            }
        }
        assert_eq!((asked.root, asked.answer), (Some(root), Some(Err(Cond::InUse))));
        assert_eq!(heap.stats().live, 0);
    }
    heap.check().unwrap();
}

/// The end of the node was wiped before its source was asked whether it can be made smaller.
#[cfg(feature = "shred")]
#[test]
fn a_tainted_node_that_cannot_shrink_keeps_its_bytes() {
    let tree = Tree::new_in(Fickle::default());
    let root = tree.root().unwrap();
    unsafe {
        let node: Node = tree.alloc(root, bytes(1000)).unwrap().cast();
        node.write_bytes(0xab, 1000);
        tree.taint_node(node).unwrap();
        tree.source().refuse(true, true);
        assert_eq!(tree.resize(node, 10), Err(Cond::NoRoom));
        assert!((0..1000).all(|at| node.add(at).read() == 0xab));
        tree.source().refuse(false, false);
    }
    tree.check().unwrap();
}

/// The source moved the node, and did not know that what it left behind is secret.
#[cfg(feature = "shred")]
#[test]
fn a_tainted_node_that_shrinks_leaves_nothing_behind() {
    for refused in [false, true] {
        let mut tree = Tree::new_in(Fickle::default());
        let root = tree.root().unwrap();
        unsafe {
            let node: Node = tree.alloc(root, bytes(1000)).unwrap().cast();
            node.write_bytes(0xab, 1000);
            tree.taint_node(node).unwrap();
            // Refused, the old block waits: it must be wiped then too.
            tree.source().refuse(false, refused);
            let shrunk = tree.resize(node, 500).unwrap().cast::<u8>();
            assert!((0..500).all(|at| shrunk.add(at).read() == 0xab));
        }
        tree.check().unwrap();
        tree.source().refuse(false, false);
        tree.destroy().unwrap();
        assert_eq!((tree.source().came_back_with(0xab), tree.source().live()), (false, 0));
    }
}

/// The header was placed by the node's alignment and looked for by the pool's.
#[test]
fn a_node_is_found_in_a_pool_that_aligns_more_than_it_asks() {
    for align in [64, 128, 1024] {
        let cell = Layout::from_size_align(4 * align, align).unwrap();
        let tree = Tree::managed_in(Pool::with_headers_in(cell, Fickle::default()));
        let root = tree.root().unwrap();
        let node = tree.alloc_ptr(root, LAYOUT).unwrap();
        assert_eq!(unsafe { kmem::free(node) }, Ok(()), "{align}");
        assert_eq!(tree.stats().live, 1);
    }
}

/// The root's bytes were wiped before what stands in them was looked at, and its guard counted for ever.
#[cfg(feature = "shred")]
#[test]
fn a_tainted_root_takes_its_guard_along() {
    unsafe fn agree(_: Node, _: *mut ()) -> bool {
        false
    }
    let mut tree = Tree::new_in(Fickle::default());
    tree.taint();
    unsafe { tree.set_guard(tree.root().unwrap(), Some((agree, core::ptr::null_mut()))) }.unwrap();
    tree.check().unwrap();
    tree.destroy().unwrap();
    tree.root().unwrap();
    tree.check().unwrap();
}

/// Names, quotas, guards and destructors could be changed, which takes blocks from the source or gives them back.
#[test]
fn who_walks_changes_nothing_that_few_nodes_have() {
    let tree = Tree::new_in(Fickle::default());
    let root = tree.root().unwrap();
    let node = unsafe { child_of(&tree, root) };
    unsafe { tree.set_name(node, Some(c"before")) }.unwrap();
    let mut seen = 0_usize;
    tree.inspect(&mut |_| unsafe {
        seen += 1;
        let context = core::ptr::null_mut();
        assert_eq!(tree.set_name(node, None), Err(Cond::InUse));
        assert_eq!(tree.set_quota(node, Some(7)), Err(Cond::InUse));
        assert_eq!(tree.set_guard(node, None), Err(Cond::InUse));
        assert_eq!(tree.on_release(node, count, context), Err(Cond::InUse));
        assert_eq!(tree.off_release(node, count, context), Err(Cond::InUse));
        #[cfg(feature = "shred")]
        assert_eq!(tree.taint_node(node), Err(Cond::InUse));
    });
    assert_eq!((seen, unsafe { tree.name(node) }), (2, Ok(Some(c"before"))));
    unsafe { tree.free(node) }.unwrap();
}

/// It was taken off every quota above and asked for again, where the limit may be below what is taken.
#[test]
fn what_moves_below_a_quota_asks_it_for_nothing() {
    let tree = Tree::new_in(Fickle::default());
    let root = tree.root().unwrap();
    unsafe {
        let top = child_of(&tree, root);
        let (one, other) = (child_of(&tree, top), child_of(&tree, top));
        let moving = child_of(&tree, one);
        tree.set_quota(top, Some(1)).unwrap();
        tree.set_quota(one, Some(10_000)).unwrap();
        let used = tree.quota(top).unwrap().unwrap().used;
        tree.move_to(moving, other).unwrap();
        tree.check().unwrap();
        tree.move_to(moving, one).unwrap();
        tree.move_to(other, moving).unwrap();
        tree.check().unwrap();
        assert_eq!(tree.quota(top).unwrap().unwrap().used, used);
        tree.move_to(other, root).unwrap();
        assert_eq!(tree.move_to(other, one), Err(Cond::NoRoom));
        tree.check().unwrap();
    }
}

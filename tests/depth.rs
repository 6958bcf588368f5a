//! Chains so deep that anything that followed them by calling itself would end the program.
//!
//! Natively all of it runs in a thread with 64 KiB of stack.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test states one reason for a row of calls"
)]
#![cfg(feature = "platform")]

use core::alloc::Layout;
use core::cell::Cell;
use core::fmt::{self, Write};
use core::ptr::NonNull;

use kmem::inspect::{self, Inspect, What};
use kmem::{Cond, Heap, Lin, Pages, Source, Tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// How deep the deepest chain is.
const DEEP: usize = if cfg!(target_arch = "wasm32") { 1_000_000 } else { 10_000_000 };
/// How deep one is that is walked node by node; where memory may not grow far there is room for less.
fn most_to_walk() -> usize {
    if Vec::<u8>::new().try_reserve_exact(128 << 20).is_ok() { 1_000_000 } else { 500_000 }
}

const PAYLOAD: Layout = Layout::new::<usize>();

/// Runs in little stack, where stack can be chosen.
fn in_little_stack(work: impl FnOnce() + Send + 'static) {
    #[cfg(target_arch = "wasm32")]
    work();
    #[cfg(not(target_arch = "wasm32"))]
    std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(work)
        .expect("a thread")
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn say(line: &str) {
    #[cfg(target_arch = "wasm32")]
    wasm_bindgen_test::console_log!("{line}");
    #[cfg(not(target_arch = "wasm32"))]
    println!("{line}");
}

type Address = NonNull<u8>;

/// A chain below a node, each with its depth in it; gives the first and the last.
fn chain<S: Source>(tree: &Tree<S>, below: Address, depth: usize) -> (Address, Address) {
    let mut ends: Option<(Address, Address)> = None;
    for at in 0..depth {
        let parent = ends.map_or(below, |(_, last)| last);
        // SAFETY: the parent is a live node of the tree.
        let node = unsafe { tree.alloc(parent, PAYLOAD) }.expect("room").cast::<u8>();
        // SAFETY: a payload is this long and aligned.
        unsafe { node.cast::<usize>().write(at) };
        ends = Some((ends.map_or(node, |(first, _)| first), node));
    }
    ends.expect("a chain has a node")
}

/// What destructors were told: how many there were, and that depths ascended.
#[derive(Default)]
struct Seen {
    count: Cell<usize>,
    last: Cell<usize>,
}

unsafe fn see(payload: Address, context: *mut ()) {
    // SAFETY: the context outlives the tree, and payloads are readable while destructors run.
    let (seen, depth) =
        unsafe { (context.cast::<Seen>().as_ref().expect("a context"), payload.cast::<usize>().read()) };
    assert!(seen.count.get() == 0 || seen.last.get() < depth, "parents come before children");
    seen.count.set(seen.count.get() + 1);
    seen.last.set(depth);
}

unsafe fn holds(_: Address, context: *mut ()) -> bool {
    // SAFETY: the context is a flag that outlives the tree.
    unsafe { context.cast::<bool>().read() }
}

/// Builds a chain and frees it.
fn free_chain<S: Source>(tree: &mut Tree<S>, depth: usize, name: &str) {
    let root = tree.root().expect("room");
    let (first, last) = chain(tree, root, depth);
    assert_eq!(tree.stats().live, depth + 1);
    // SAFETY: the last node is live.
    assert_eq!(unsafe { last.cast::<usize>().read() }, depth - 1);
    // SAFETY: a live node; the chain is used no more.
    unsafe { tree.free(first) }.expect("nothing holds it");
    assert_eq!(tree.stats().live, 1);
    tree.destroy().expect("taken back");
    assert_eq!((tree.stats().live, tree.stats().held), (0, 0));
    say(&format!("a chain of {depth} nodes from a {name} was freed"));
}

#[test]
fn the_deepest_chain_from_a_region_is_freed() {
    in_little_stack(|| {
        let mut lin = Lin::new_in(Pages::new());
        free_chain(&mut Tree::new_in(&lin), DEEP, "region");
        lin.destroy().expect("taken back");
    });
}

#[test]
fn the_deepest_chain_from_a_heap_is_freed() {
    in_little_stack(|| {
        let heap = Heap::new_in(Pages::new());
        free_chain(&mut Tree::new_in(&heap), DEEP, "heap");
        assert_eq!((heap.stats().live, heap.stats().bytes), (0, 0));
        heap.check().expect("the heap holds");
    });
}

/// Guards are asked and destructors run however deep they hang.
#[test]
fn guards_and_destructors_are_found_in_the_deep() {
    let walked = most_to_walk();
    in_little_stack(move || {
        let (seen, held) = (Box::new(Seen::default()), Box::new(Cell::new(true)));
        let (seen_at, held_at) = ((&raw const *seen).cast_mut().cast(), held.as_ptr().cast());
        let mut tree = Tree::new_in(Lin::new_in(Pages::new()));
        let root = tree.root().expect("room");
        let (first, last) = chain(&tree, root, walked);
        // SAFETY: live nodes of the tree; contexts outlive it.
        unsafe {
            let mut node = last;
            for _ in 0..10 {
                tree.on_release(node, see, seen_at).expect("room");
                for _ in 0..walked / 10 - 1 {
                    node = tree.header(node).parent().expect("a parent");
                }
            }
            tree.set_guard(last, Some((holds, held_at))).expect("room");
            assert_eq!(tree.free(first), Err(Cond::InUse), "the guard at the end refuses");
            assert_eq!((seen.count.get(), tree.stats().live), (0, walked + 1), "so nothing happened");
            held.set(false);
            tree.free(first).expect("the guard lets go");
        }
        assert_eq!((seen.count.get(), seen.last.get(), tree.stats().live), (10, walked - 1, 1));
        tree.destroy().expect("taken back");
    });
}

/// Moving, and refusing to move below itself, at both ends; then a drop of the whole.
#[test]
fn deep_subtrees_move() {
    let walked = most_to_walk();
    in_little_stack(move || {
        let tree = Tree::new_in(Lin::new_in(Pages::new()));
        let root = tree.root().expect("room");
        let (first, last) = chain(&tree, root, walked / 2);
        let (other, end) = chain(&tree, root, 10);
        // SAFETY: live nodes of the tree.
        unsafe {
            assert_eq!(tree.move_to(first, last), Err(Cond::InUse), "below itself");
            tree.move_to(other, last).expect("another chain below the last");
            assert_eq!(tree.move_to(first, end), Err(Cond::InUse));
            tree.move_to(first, root).expect("where it is");
            tree.move_to(last, root).expect("up to the root");
            assert_eq!(tree.header(last).parent(), Some(root));
            tree.move_to(first, end).expect("the long chain below the short one");
            assert_eq!(tree.header(end).child(), Some(first));
        }
        tree.check().expect("the tree holds");
        assert_eq!(tree.stats().live, walked / 2 + 11);
    });
}

/// Counts what is written and keeps nothing of it.
struct Count(usize);

impl Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[test]
fn deep_chains_are_looked_at() {
    let walked = most_to_walk();
    in_little_stack(move || {
        let mut tree = Tree::new_in(Lin::new_in(Pages::new()));
        let root = tree.root().expect("room");
        chain(&tree, root, walked);
        tree.check().expect("the tree holds");
        let (mut count, mut deepest) = (0, 0);
        tree.inspect(&mut |record| {
            assert_eq!((record.what, record.depth), (What::Used, count), "each is one deeper");
            count += 1;
            deepest = record.depth;
        });
        assert_eq!((count, deepest), (walked + 1, walked));
        let (mut json, mut text) = (Count(0), Count(0));
        inspect::json(&tree, &mut json).expect("written");
        inspect::text(&tree, &mut text).expect("written");
        assert!(json.0 > 100 * walked && text.0 > 10);
        tree.destroy().expect("taken back");
    });
}

#[cfg(feature = "shred")]
#[test]
fn deep_chains_are_shredded() {
    let walked = most_to_walk();
    in_little_stack(move || {
        let mut lin = Lin::new_in(Pages::new());
        {
            let tree = Tree::new_in(&lin);
            let root = tree.root().expect("room");
            let (first, last) = chain(&tree, root, walked);
            // SAFETY: a live node; the chain is used no more.
            unsafe { tree.shred(first) }.expect("nothing holds it");
            // The sanitizer forbids to look.
            #[cfg(not(kmem_asan))]
            for end in [first, last] {
                // SAFETY: the region holds the place still.
                assert_eq!(unsafe { end.cast::<usize>().read_volatile() }, 0, "something is left");
            }
            #[cfg(kmem_asan)]
            let _ = last;
            assert_eq!(tree.stats().live, 1);
        }
        lin.destroy().expect("taken back");
    });
}

/// Wide is as easy as deep: one parent with all of them.
#[test]
fn the_widest_node_is_freed() {
    let walked = most_to_walk();
    in_little_stack(move || {
        let tree = Tree::new_in(Lin::new_in(Pages::new()));
        let root = tree.root().expect("room");
        // SAFETY: the root is live, and so is the parent until it is freed.
        unsafe {
            let parent = tree.alloc(root, PAYLOAD).expect("room").cast();
            for _ in 0..walked {
                tree.alloc(parent, PAYLOAD).expect("room");
            }
            tree.check().expect("the tree holds");
            tree.free(parent).expect("nothing holds it");
        }
        assert_eq!(tree.stats().live, 1);
    });
}

//! Quotas, names and reports of trees: random calls beside sums made anew, with every structure checked after each.
//!
//! Its sizes are those of 64 bits.
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test states one reason for a row of calls"
)]
#![cfg(all(feature = "platform", target_pointer_width = "64"))]

use std::alloc::Layout;
use std::ffi::CStr;
use std::ops::ControlFlow;
use std::ptr::NonNull;

use kmem::{Cond, Heap, Pages, Tree};

type Place = NonNull<u8>;

/// In front of a payload.
const HEADER: usize = size_of::<kmem::Node>();

struct Node {
    at: Place,
    size: usize,
    parent: Option<usize>,
    quota: Option<usize>,
    live: bool,
}

struct World {
    tree: Tree<Heap<Pages>>,
    nodes: Vec<Node>,
    dice: u64,
}

impl World {
    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.dice >> 33) % sides as u64).expect("small")
    }

    fn pick(&mut self) -> usize {
        let live: Vec<usize> = (0..self.nodes.len()).filter(|node| self.nodes[*node].live).collect();
        live[self.roll(live.len())]
    }

    fn upward(&self, node: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(node), |node| self.nodes[*node].parent)
    }

    fn is_below(&self, node: usize, top: usize) -> bool {
        self.upward(node).any(|above| above == top)
    }

    fn subtree(&self, top: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].live && self.is_below(*node, top)).collect()
    }

    fn bytes(&self, top: usize) -> usize {
        self.subtree(top).iter().map(|node| self.nodes[*node].size + HEADER).sum()
    }

    /// Whether all quotas from here upward have room, where `gone` is not there.
    fn has_room(&self, node: usize, more: usize, gone: Option<usize>) -> bool {
        self.upward(node).all(|above| {
            let left = gone.filter(|gone| self.is_below(*gone, above)).map_or(0, |gone| self.bytes(gone));
            self.nodes[above].quota.is_none_or(|quota| more == 0 || self.bytes(above) - left + more <= quota)
        })
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("a layout")
}

#[test]
fn quotas_hold_whatever_comes_grows_moves_and_goes() {
    let tree = Tree::new_in(Heap::new_in(Pages::new()));
    let root = tree.root().expect("memory");
    // The root holds something of the tree's own.
    // SAFETY: the root is live.
    let size = unsafe { tree.header(root) }.id().size() - HEADER;
    let mut world = World { tree, nodes: vec![], dice: 42 };
    world.nodes.push(Node { at: root, size, parent: None, quota: None, live: true });
    let mut refused = 0;
    for _ in 0..6000 {
        let node = world.pick();
        let (at, what) = (world.nodes[node].at, world.roll(8));
        match what {
            0..3 => {
                let size = world.roll(400);
                let expected = world.has_room(node, size + HEADER, None);
                // SAFETY: a live node.
                let made = unsafe { world.tree.alloc(at, layout(size)) };
                assert_eq!(made.map(|_| ()), if expected { Ok(()) } else { Err(Cond::NoRoom) });
                refused += usize::from(!expected);
                if let Ok(made) = made {
                    world.nodes.push(Node { at: made.cast(), size, parent: Some(node), quota: None, live: true });
                }
            }
            3 if node > 0 => {
                let size = world.roll(600);
                let more = size.saturating_sub(world.nodes[node].size);
                let expected = world.has_room(node, more, None);
                // SAFETY: a live node.
                let now = unsafe { world.tree.resize(at, size) };
                assert_eq!(now.is_ok(), expected);
                if let Ok(now) = now {
                    (world.nodes[node].at, world.nodes[node].size) = (now.cast(), size);
                }
            }
            4 if node > 0 => {
                let to = world.pick();
                let expected = match (world.is_below(to, node), world.has_room(to, world.bytes(node), Some(node))) {
                    (true, _) => Err(Cond::InUse),
                    (_, false) => Err(Cond::NoRoom),
                    _ => Ok(()),
                };
                // SAFETY: both are live nodes.
                assert_eq!(unsafe { world.tree.move_to(at, world.nodes[to].at) }, expected);
                if expected.is_ok() {
                    world.nodes[node].parent = Some(to);
                }
            }
            5 => {
                let quota = world.bytes(node) + world.roll(2000);
                let quota = (world.roll(3) > 0).then_some(quota);
                // SAFETY: a live node.
                unsafe { world.tree.set_quota(at, quota) }.expect("memory");
                world.nodes[node].quota = quota;
            }
            6 if node > 0 && world.subtree(node).len() < 8 => {
                let all = world.subtree(node);
                // SAFETY: a live node, used no more.
                unsafe { world.tree.free(at) }.expect("nothing refuses");
                all.into_iter().for_each(|gone| world.nodes[gone].live = false);
            }
            7 if world.subtree(node).len() < 6 => {
                let all: Vec<usize> = world.subtree(node).into_iter().filter(|below| *below != node).collect();
                // SAFETY: a live node, whose children are used no more.
                unsafe { world.tree.free_children(at) }.expect("nothing refuses");
                all.into_iter().for_each(|gone| world.nodes[gone].live = false);
            }
            _ => {}
        }
        world.tree.check().expect("the tree is whole");
        let node = world.pick();
        // SAFETY: a live node.
        let quota = unsafe { world.tree.quota(world.nodes[node].at) }.expect("live");
        let (bytes, used) = (quota.map(|quota| quota.bytes), quota.map(|quota| quota.used));
        assert_eq!((bytes, used), (world.nodes[node].quota, bytes.map(|_| world.bytes(node))));
        if world.nodes.iter().filter(|node| node.live).count() > 120 {
            // SAFETY: the root is live, and what is below it used no more.
            unsafe { world.tree.free_children(root) }.expect("nothing refuses");
            world.nodes.truncate(1);
        }
    }
    assert!(refused > 100, "only {refused} were refused");
}

#[test]
fn names_are_copied_checked_and_given_back() {
    let tree = Tree::new_in(Heap::new_in(Pages::new()));
    let root = tree.root().expect("memory");
    // SAFETY: live nodes.
    unsafe {
        let node = tree.alloc(root, layout(8)).expect("memory").cast();
        let before = tree.source().stats().live;
        let mut text = *b"struct a\0";
        tree.set_name(node, CStr::from_bytes_with_nul(&text).ok()).expect("memory");
        text[7] = b'b';
        std::hint::black_box(&text);
        assert_eq!(tree.name(node), Ok(Some(c"struct a")));
        assert_eq!(tree.check_name(node, c"struct a"), Ok(()));
        assert_eq!(tree.check_name(node, c"struct b"), Err(Cond::Mismatch));
        tree.set_name(node, Some(c"")).expect("memory");
        assert_eq!(tree.name(node), Ok(Some(c"")));
        let node = tree.resize(node, 5000).expect("memory").cast();
        assert_eq!(tree.name(node), Ok(Some(c"")));
        tree.set_name(node, None).expect("nothing to refuse");
        assert_eq!(tree.name(node), Ok(None));
        tree.free(node).expect("nothing refuses");
        assert!(tree.source().stats().live < before);
        tree.check().expect("the tree is whole");
    }
}

#[test]
fn a_report_tells_what_there_is_in_every_form() {
    unsafe fn nothing(_: Place, _: *mut ()) {}
    unsafe fn refuse(_: Place, _: *mut ()) -> bool {
        true
    }
    let tree = Tree::new_in(Heap::new_in(Pages::new()));
    let root = tree.root().expect("memory");
    // SAFETY: live nodes, as long as the reports.
    unsafe {
        let top = tree.alloc(root, layout(10)).expect("memory").cast();
        let below = tree.alloc(top, layout(20)).expect("memory").cast();
        tree.alloc(below, layout(30)).expect("memory");
        let last = tree.alloc(top, layout(40)).expect("memory").cast();
        tree.set_name(below, Some(c"a \"name\"\n\xff")).expect("memory");
        tree.on_release(last, nothing, std::ptr::null_mut()).expect("memory");
        tree.set_guard(last, Some((refuse, std::ptr::null_mut()))).expect("memory");
        tree.set_quota(top, Some(1000)).expect("memory");
        let report = tree.report(top).expect("live");
        let text = "unnamed: 10 B, 356 B of 1000 B\n  a \"name\" \u{fffd}: 20 B\n    unnamed: 30 B\n  unnamed: 40 B, 1 destructor, guarded\n4 nodes, 356 B with headers\n";
        assert_eq!(report.to_string(), text);
        let json = report.json().to_string();
        assert!(json.contains(r#""name":"a \"name\"\u000a"#) && json.contains(r#""quota":{"bytes":1000,"used":356}"#));
        assert!(json.ends_with(r#"],"count":4,"bytes":356}"#), "{json}");
        let mut depths = Vec::new();
        report.each(&mut |line| {
            assert_eq!(tree.alloc(line.node, layout(1)), Err(Cond::InUse), "nothing changes meanwhile");
            depths.push(line.depth);
            if depths.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(depths, [0, 1, 2]);
        tree.set_guard(last, None).expect("nothing to refuse");
        tree.free(top).expect("nothing refuses");
    }
    tree.check().expect("the tree is whole");
}

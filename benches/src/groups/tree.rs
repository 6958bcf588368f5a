//! Trees: cells that go with their parent. Payloads have 16 to 64 bytes, of which the first word is written.

use std::alloc::Layout;
use std::hint::black_box;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use indextree::{Arena, NodeId};
use kmem::{Heap, Key, KeyTree, Pages, Reuse, Source, Tree};

use crate::allocators::{Allocator, Fast, Standard};
use crate::corpus;
use crate::dice::Dice;
use crate::groups::lin::{mixed, words};
use crate::row;
use crate::row::{Contender, Row, named, side};
use crate::watch::Watch;

#[cfg(native)]
use super::talloc::Talloc;

/// Something that owns trees.
pub trait Forest: Contender {
    /// What names a node.
    type Node: Copy + 'static;
    /// What all nodes are under.
    fn root(&self) -> Self::Node;
    /// A node with a payload of this size, the last child of its parent.
    fn add(&mut self, parent: Self::Node, size: u32) -> Self::Node;
    /// Releases a node and all below it.
    fn free(&mut self, node: Self::Node);
    /// Makes a node, with all below it, the last child of another parent.
    fn steal(&mut self, node: Self::Node, parent: Self::Node);
}

/// kmem's tree, as one takes it who asks for nothing in particular.
pub type Default = Tree<Reuse<Pages>>;
/// The tree that names nodes by keys, of the payload that [`Raw`] has too.
type Keys = KeyTree<[u64; 4], Reuse<Pages>>;

/// A forest with a tree of live nodes.
pub struct Grove<F: Forest, const LIVE: usize> {
    forest: F,
    nodes: Vec<F::Node>,
}

impl<F: Forest, const LIVE: usize> Contender for Grove<F, LIVE> {
    const COUNTABLE: bool = F::COUNTABLE;

    fn name() -> String {
        F::name()
    }

    fn new() -> Self {
        let mut forest = F::new();
        let top = forest.add(forest.root(), 16);
        let mut nodes = Vec::with_capacity(LIVE);
        grow(&mut forest, top, &mixed(LIVE - 1), &mut nodes);
        Self { forest, nodes }
    }
}

/// A child of one of the live nodes comes and goes.
pub fn visit<F: Forest, const LIVE: usize>(grove: &mut Grove<F, LIVE>, times: usize, watch: &mut Watch) {
    const TURNS: usize = 65_536;
    let Grove { forest, nodes } = grove;
    let places = Dice::new().throws(TURNS, LIVE);
    watch.time(times * TURNS, || {
        for _ in 0..times {
            for &place in &places {
                let node = black_box(forest.add(nodes[place as usize], 48));
                forest.free(node);
            }
        }
    });
}

macro_rules! all {
    ($work:expr, $run:ident) => {
        all!($work, $run, Default)
    };
    ($work:expr, $run:ident, $ours:ty) => {
        row!("tree", $work, $run;
            $ours, #[cfg(native)] Talloc, Boxes<Standard>, Boxes<Fast>, Arena<Payload>)
    };
}

/// The rows of trees.
pub fn rows() -> Vec<Row> {
    let itself = |work, rebuild, first| {
        Row::new("tree", work, vec![named::<Default>("kmem", rebuild), named::<Default>("kmem, first build", first)])
    };
    let keys =
        |work, keys, raw| Row::new("tree", work, vec![named::<Keys>("kmem", keys), named::<Default>("kmem, raw", raw)]);
    vec![
        all!("build 1e6", build),
        all!("free root of 1e6", free_root),
        all!("free root of 1e6, beside another tree", free_beside),
        all!("child alloc + free", child),
        all!("10k chain, build + free", chain),
        all!("585 nodes, build + free", small),
        all!("steal", steal),
        all!("random subtree, free + rebuild", subtrees),
        all!("rebuild 1e6 after free", rebuild),
        all!("rebuild 1e6 after depth-first free, beside another tree", rebuild_beside),
        all!("syntax tree of kmem's sources, build + free", syntax),
        row!("tree", "drop the whole of 1e6", drop_whole;
            Default, #[cfg(native)] Talloc, Boxes<Standard>, Boxes<Fast>),
        // An arena of equal values drops them all at once, as a region does.
        Row::new(
            "tree",
            "drop the whole of 1e6, nodes in a region of their own",
            vec![named::<Default>("kmem", drop_whole), side::<Arena<Payload>>(drop_whole)],
        ),
        all!("build 1e6, over a heap", build, OfHeap),
        all!("free root of 1e6, over a heap", free_root, OfHeap),
        all!("child alloc + free, over a heap", child, OfHeap),
        all!("10k chain, build + free, over a heap", chain, OfHeap),
        all!("585 nodes, build + free, over a heap", small, OfHeap),
        all!("random subtree, free + rebuild, over a heap", subtrees, OfHeap),
        itself("rebuild 1e6 after free, against first build", rebuild, build),
        itself("rebuild 1e6 after depth-first free, beside another tree, against first build", rebuild_beside, build),
        keys("keys against raw, 585 nodes of 32 B, build + free", even, even),
        keys("keys against raw, child alloc + free of 32 B", child, child),
    ]
}

/// Children of a node in the trees that are built.
const WIDTH: usize = 8;

/// Builds a tree under `top`, level by level, one node a size; `nodes` is room for all.
fn grow<F: Forest>(forest: &mut F, top: F::Node, sizes: &[u32], nodes: &mut Vec<F::Node>) {
    nodes.clear();
    nodes.push(top);
    for (at, &size) in sizes.iter().enumerate() {
        let node = forest.add(nodes[at / WIDTH], size);
        nodes.push(node);
    }
    black_box(nodes.last());
}

/// What large trees are built with.
pub struct Large<F: Forest> {
    forest: F,
    top: F::Node,
    sizes: Vec<u32>,
    nodes: Vec<F::Node>,
}

impl<F: Forest> Large<F> {
    fn new(watch: &Watch) -> Self {
        let sizes = mixed(watch.size(1_000_000));
        let mut forest = F::new();
        let top = forest.add(forest.root(), 16);
        let mut nodes = Vec::with_capacity(sizes.len() + 1);
        nodes.resize(sizes.len() + 1, top);
        Self { forest, top, sizes, nodes }
    }

    /// The same, and something else is in the forest, which stays.
    fn beside(watch: &Watch) -> Self {
        let mut large = Self::new(watch);
        let other = large.forest.add(large.forest.root(), 16);
        large.forest.add(other, 16);
        large
    }

    fn grow(&mut self) {
        grow(&mut self.forest, self.top, &self.sizes, &mut self.nodes);
    }

    fn free(&mut self) {
        self.forest.free(self.top);
    }
}

/// A million nodes in a new forest.
fn build<F: Forest>(_: &mut F, times: usize, watch: &mut Watch) {
    for _ in 0..times {
        let mut large = Large::<F>::new(watch);
        watch.time(large.sizes.len(), || large.grow());
        large.free();
    }
}

/// What is above them goes, and they with it.
fn free_root<F: Forest>(_: &mut F, times: usize, watch: &mut Watch) {
    for _ in 0..times {
        let mut large = Large::<F>::new(watch);
        large.grow();
        watch.time(large.sizes.len(), || large.free());
    }
}

/// The same, where something else stays: kmem has to go from node to node too.
fn free_beside<F: Forest>(_: &mut F, times: usize, watch: &mut Watch) {
    for _ in 0..times {
        let mut large = Large::<F>::beside(watch);
        large.grow();
        watch.time(large.sizes.len(), || large.free());
    }
}

/// A million nodes where as many have been before.
fn rebuild<F: Forest>(_: &mut F, times: usize, watch: &mut Watch) {
    for _ in 0..times {
        rebuild_in(Large::<F>::new(watch), watch);
    }
}

/// The same, where something else stays: they went depth first, since there is no other way.
fn rebuild_beside<F: Forest>(_: &mut F, times: usize, watch: &mut Watch) {
    for _ in 0..times {
        rebuild_in(Large::<F>::beside(watch), watch);
    }
}

fn rebuild_in<F: Forest>(mut large: Large<F>, watch: &mut Watch) {
    large.grow();
    large.free();
    large.top = large.forest.add(large.forest.root(), 16);
    watch.time(large.sizes.len(), || large.grow());
    large.free();
}

/// The whole forest ends, with a million nodes in it.
fn drop_whole<F: Forest>(_: &mut F, times: usize, watch: &mut Watch) {
    for _ in 0..times {
        let mut large = Large::<F>::new(watch);
        large.grow();
        let Large { forest, sizes, .. } = large;
        watch.time(sizes.len(), || drop(forest));
    }
}

/// The shape and the sizes of the syntax trees of the crate's own sources.
fn syntax<F: Forest>(forest: &mut F, times: usize, watch: &mut Watch) {
    let parts = corpus::syntax();
    let size = |part: &corpus::Part| 16 + u32::try_from(part.text.len()).expect("a short text");
    let parts: Vec<_> = parts.iter().map(|part| (part.parent, size(part))).collect();
    let mut nodes = Vec::with_capacity(parts.len());
    watch.time(times * parts.len(), || {
        for _ in 0..times {
            nodes.clear();
            nodes.push(forest.add(forest.root(), parts[0].1));
            for &(parent, size) in &parts[1..] {
                nodes.push(forest.add(nodes[parent], size));
            }
            forest.free(nodes[0]);
        }
    });
}

/// A child of a node that has others comes and goes.
fn child<F: Forest>(forest: &mut F, times: usize, watch: &mut Watch) {
    let top = forest.add(forest.root(), 16);
    for _ in 0..4 {
        forest.add(top, 32);
    }
    watch.time(times, || {
        for _ in 0..times {
            let node = black_box(forest.add(top, 48));
            forest.free(node);
        }
    });
    forest.free(top);
}

/// Ten thousand nodes, each under the one before, and their end.
fn chain<F: Forest>(forest: &mut F, times: usize, watch: &mut Watch) {
    let sizes = mixed(10_000);
    watch.time(times * sizes.len(), || {
        for _ in 0..times {
            let top = forest.add(forest.root(), 16);
            let mut node = top;
            for &size in &sizes {
                node = forest.add(node, size);
            }
            black_box(node);
            forest.free(top);
        }
    });
}

/// A tree as of one document or request: one node, 8, 64 and 512 below it.
fn small<F: Forest>(forest: &mut F, times: usize, watch: &mut Watch) {
    grow_and_free(forest, &mixed(584), times, watch);
}

/// The same with equal payloads.
fn even<F: Forest>(forest: &mut F, times: usize, watch: &mut Watch) {
    grow_and_free(forest, &[32; 584], times, watch);
}

fn grow_and_free<F: Forest>(forest: &mut F, sizes: &[u32], times: usize, watch: &mut Watch) {
    let mut nodes = Vec::with_capacity(sizes.len() + 1);
    watch.time(times * (sizes.len() + 1), || {
        for _ in 0..times {
            let top = forest.add(forest.root(), sizes[0]);
            grow(forest, top, sizes, &mut nodes);
            forest.free(top);
        }
    });
}

/// One of 10,000 nodes gets another of 100 parents.
fn steal<F: Forest>(forest: &mut F, times: usize, watch: &mut Watch) {
    const NODES: usize = 10_000;
    const PARENTS: usize = 100;
    const MOVES: usize = 65_536;
    let top = forest.add(forest.root(), 16);
    let parents: Vec<_> = (0..PARENTS).map(|_| forest.add(top, 16)).collect();
    let nodes: Vec<_> = (0..NODES).map(|at| forest.add(parents[at % PARENTS], 32)).collect();
    let moves = Dice::new().throws(MOVES, NODES * PARENTS);
    watch.time(times * MOVES, || {
        for _ in 0..times {
            for &throw in &moves {
                let throw = throw as usize;
                forest.steal(nodes[throw % NODES], parents[throw / NODES]);
            }
        }
    });
    forest.free(top);
}

/// Of a thousand subtrees one goes, and is built again: of 1, 9 or 73 nodes.
fn subtrees<F: Forest>(forest: &mut F, times: usize, watch: &mut Watch) {
    const SUBTREES: usize = 1_000;
    const TURNS: usize = 4_096;
    const BELOW: [usize; 3] = [0, 8, 72];
    let sizes = mixed(BELOW[2]);
    let shape = |at: usize| &sizes[..BELOW[at % 3]];
    let mut nodes = Vec::with_capacity(sizes.len() + 1);
    let above = forest.add(forest.root(), 16);
    let mut plant = |forest: &mut F, at: usize| {
        let top = forest.add(above, 24);
        grow(forest, top, shape(at), &mut nodes);
        top
    };
    let mut tops: Vec<_> = (0..SUBTREES).map(|at| plant(forest, at)).collect();
    let turns = Dice::new().throws(TURNS, SUBTREES);
    let planted: usize = turns.iter().map(|&at| shape(at as usize).len() + 1).sum();
    watch.time(times * planted, || {
        for _ in 0..times {
            for &at in &turns {
                let at = at as usize;
                forest.free(tops[at]);
                tops[at] = plant(forest, at);
            }
        }
    });
    forest.free(above);
}

/// Nodes that are cells of a heap.
type OfHeap = Tree<Heap<Pages>>;

impl Contender for OfHeap {
    fn name() -> String {
        "kmem".into()
    }

    fn new() -> Self {
        Self::new_in(Heap::new_in(Pages::new()))
    }
}

impl Contender for Default {
    fn name() -> String {
        "kmem".into()
    }

    fn new() -> Self {
        Self::new()
    }
}

impl<S: Source + 'static> Forest for Tree<S>
where
    Self: Contender,
{
    type Node = NonNull<u8>;

    #[inline(always)]
    fn root(&self) -> NonNull<u8> {
        Tree::root(self).expect("memory")
    }

    #[inline(always)]
    fn add(&mut self, parent: NonNull<u8>, size: u32) -> NonNull<u8> {
        // SAFETY: the parent is a live node of this tree.
        let node = unsafe { self.alloc(parent, words(size)) }.expect("memory").cast();
        // SAFETY: the node was just handed out and has room for a word.
        unsafe { node.cast::<u64>().write(u64::from(size)) };
        node
    }

    #[inline(always)]
    fn free(&mut self, node: NonNull<u8>) {
        // SAFETY: a live node of this tree.
        unsafe { Tree::free(self, node) }.expect("no guard");
    }

    #[inline(always)]
    fn steal(&mut self, node: NonNull<u8>, parent: NonNull<u8>) {
        // SAFETY: both are live nodes of this tree.
        unsafe { self.move_to(node, parent) }.expect("not below the node");
    }
}

impl Contender for Keys {
    fn name() -> String {
        "kmem, keys".into()
    }

    fn new() -> Self {
        Self::new_in(Reuse::new_in(Pages::new()))
    }
}

impl Forest for Keys {
    type Node = Option<Key>;

    #[inline(always)]
    fn root(&self) -> Option<Key> {
        None
    }

    #[inline(always)]
    fn add(&mut self, parent: Option<Key>, size: u32) -> Option<Key> {
        Some(self.insert(parent, [u64::from(size); 4]).expect("memory"))
    }

    #[inline(always)]
    fn free(&mut self, node: Option<Key>) {
        KeyTree::free(self, node.expect("not the root")).expect("a live node");
    }

    #[inline(always)]
    fn steal(&mut self, node: Option<Key>, parent: Option<Key>) {
        self.move_to(node.expect("not the root"), parent).expect("not below the node");
    }
}

/// The largest payload, for a peer whose nodes are all of one type.
type Payload = [MaybeUninit<u64>; 8];

/// indextree's nodes all have the largest payload. One of them is the root.
impl Contender for Arena<Payload> {
    fn name() -> String {
        "indextree".into()
    }

    fn new() -> Self {
        let mut arena = Self::new();
        arena.new_node([MaybeUninit::uninit(); 8]);
        arena
    }
}

impl Forest for Arena<Payload> {
    type Node = NodeId;

    #[inline(always)]
    fn root(&self) -> NodeId {
        self.get_node_id_at(std::num::NonZeroUsize::MIN).expect("made with the arena")
    }

    #[inline(always)]
    fn add(&mut self, parent: NodeId, size: u32) -> NodeId {
        let mut payload = [MaybeUninit::uninit(); 8];
        payload[0].write(u64::from(size));
        parent.append_value(payload, self)
    }

    #[inline(always)]
    fn free(&mut self, node: NodeId) {
        node.remove_subtree(self);
    }

    #[inline(always)]
    fn steal(&mut self, node: NodeId, parent: NodeId) {
        parent.append(node, self);
    }
}

/// What stands in front of a payload in a tree of [`Boxes`].
pub struct Links {
    parent: *mut Links,
    child: *mut Links,
    last: *mut Links,
    prev: *mut Links,
    next: *mut Links,
    block: Layout,
}

/// A tree as one writes it over a general allocator: one allocation a node, links in front of the payload.
pub struct Boxes<A: Allocator>(*mut Links, PhantomData<A>);

impl<A: Allocator> Boxes<A> {
    #[inline(always)]
    fn make(parent: *mut Links, size: usize) -> *mut Links {
        let (block, _) = Layout::new::<Links>().extend(words(u32::try_from(size).expect("small"))).expect("small");
        // SAFETY: the block has a size.
        let node = NonNull::new(unsafe { A::IT.alloc(block) }).expect("memory").cast::<Links>();
        let links = Links {
            parent,
            child: ptr::null_mut(),
            last: ptr::null_mut(),
            prev: ptr::null_mut(),
            next: ptr::null_mut(),
            block,
        };
        // SAFETY: the block begins with room for the links.
        unsafe { node.write(links) };
        node.as_ptr()
    }

    /// # Safety
    ///
    /// Both are live nodes, and the node is nobody's child.
    #[inline(always)]
    unsafe fn link(node: *mut Links, parent: *mut Links) {
        // SAFETY: the caller's promise.
        let above = unsafe { &mut *parent };
        let last = std::mem::replace(&mut above.last, node);
        // SAFETY: the caller's promise; the node is not its own parent.
        let this = unsafe { &mut *node };
        this.parent = parent;
        this.prev = last;
        this.next = ptr::null_mut();
        // SAFETY: null, or the last child, which is live and neither of the two.
        match unsafe { last.as_mut() } {
            Some(last) => last.next = node,
            None => above.child = node,
        }
    }

    /// # Safety
    ///
    /// A live node that has a parent.
    #[inline(always)]
    unsafe fn unlink(node: *mut Links) {
        // SAFETY: the caller's promise.
        let &Links { parent, prev, next, .. } = unsafe { &*node };
        // SAFETY: links of a live node are null or lead to live nodes.
        match unsafe { prev.as_mut() } {
            Some(prev) => prev.next = next,
            // SAFETY: as above.
            None => unsafe { (*parent).child = next },
        }
        // SAFETY: as above.
        match unsafe { next.as_mut() } {
            Some(next) => next.prev = prev,
            // SAFETY: as above.
            None => unsafe { (*parent).last = prev },
        }
    }

    /// Gives a node and all below it back, children first, without recursion.
    ///
    /// # Safety
    ///
    /// The node is live, and nobody's child any more.
    #[inline(always)]
    unsafe fn give_back(top: *mut Links) {
        let mut node = top;
        loop {
            // SAFETY: links of a live node are null or lead to live nodes.
            let &Links { child, next, parent, block, .. } = unsafe { &*node };
            if !child.is_null() {
                node = child;
                continue;
            }
            // SAFETY: the block came from the allocator with this layout, and nothing is below it any more.
            unsafe { A::IT.dealloc(node.cast(), block) };
            if node == top {
                return;
            }
            if next.is_null() {
                // SAFETY: the parent goes after its children.
                unsafe { (*parent).child = ptr::null_mut() };
                node = parent;
            } else {
                node = next;
            }
        }
    }
}

impl<A: Allocator> Contender for Boxes<A> {
    const COUNTABLE: bool = A::COUNTABLE;

    fn name() -> String {
        format!("Box tree over {}", A::NAME)
    }

    fn new() -> Self {
        Self(Self::make(ptr::null_mut(), 0), PhantomData)
    }
}

impl<A: Allocator> Drop for Boxes<A> {
    fn drop(&mut self) {
        // SAFETY: the root is live, and nobody's child.
        unsafe { Self::give_back(self.0) };
    }
}

impl<A: Allocator> Forest for Boxes<A> {
    type Node = *mut Links;

    #[inline(always)]
    fn root(&self) -> *mut Links {
        self.0
    }

    #[inline(always)]
    fn add(&mut self, parent: *mut Links, size: u32) -> *mut Links {
        let node = Self::make(parent, size as usize);
        // SAFETY: the payload follows the links, and has room for a word.
        unsafe { node.wrapping_add(1).cast::<u64>().write(u64::from(size)) };
        // SAFETY: both are live, and the node is new.
        unsafe { Self::link(node, parent) };
        node
    }

    #[inline(always)]
    fn free(&mut self, node: *mut Links) {
        // SAFETY: a live node that has a parent.
        unsafe { Self::unlink(node) };
        // SAFETY: as above, and unlinked.
        unsafe { Self::give_back(node) };
    }

    #[inline(always)]
    fn steal(&mut self, node: *mut Links, parent: *mut Links) {
        // SAFETY: a live node that has a parent.
        unsafe { Self::unlink(node) };
        // SAFETY: both are live, and the node is unlinked.
        unsafe { Self::link(node, parent) };
    }
}

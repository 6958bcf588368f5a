//! The naive model of a tree: for each node its parent and its children in order.

use core::alloc::Layout;
use core::ptr::NonNull;

use kmem::{Ptr, Source, Tree};

use super::cells::Cells;
use super::dice::Dice;

/// A node's number in the model.
pub type Number = usize;

/// A live node.
pub struct Node {
    pub parent: Option<Number>,
    pub children: Vec<Number>,
    /// Where it stands among the cells; the root, whose payload is the tree's own, does not.
    cell: Option<usize>,
    at: NonNull<u8>,
    pub tainted: bool,
    /// Whether the guard that it has refuses.
    pub guard: Option<bool>,
    /// Numbers and contexts of its destructors, the newest last.
    pub hooks: Vec<(usize, *mut ())>,
    /// The managed pointer that it was allocated as.
    pub ptr: Option<Ptr>,
}

/// All nodes.
pub struct Nodes {
    slab: Vec<Option<Node>>,
    vacant: Vec<Number>,
    pub cells: Cells<Number>,
    pub root: Option<Number>,
}

impl Nodes {
    pub const fn new() -> Self {
        Self { slab: Vec::new(), vacant: Vec::new(), cells: Cells::new(), root: None }
    }

    pub fn node(&self, number: Number) -> &Node {
        self.slab[number].as_ref().expect("a live node")
    }

    pub fn node_mut(&mut self, number: Number) -> &mut Node {
        self.slab[number].as_mut().expect("a live node")
    }

    pub fn len(&self) -> usize {
        self.cells.len() + usize::from(self.root.is_some())
    }

    fn insert(&mut self, node: Node) -> Number {
        let number = self.vacant.pop().unwrap_or_else(|| {
            self.slab.push(None);
            self.slab.len() - 1
        });
        if let Some(parent) = node.parent {
            self.node_mut(parent).children.push(number);
        }
        self.slab[number] = Some(node);
        number
    }

    fn new_node(parent: Option<Number>, cell: Option<usize>, at: NonNull<u8>) -> Node {
        let (children, hooks) = (Vec::new(), Vec::new());
        Node { parent, children, cell, at, tainted: false, guard: None, hooks, ptr: None }
    }

    /// The root, which is at this address.
    pub fn root_at(&mut self, at: NonNull<u8>) -> Number {
        let root = match self.root {
            Some(root) => root,
            None => self.insert(Self::new_node(None, None, at)),
        };
        assert_eq!(self.node(root).at, at, "the root stays where it is");
        self.root = Some(root);
        root
    }

    /// A new last child.
    pub fn adopt(&mut self, parent: Number, bytes: NonNull<[u8]>, layout: Layout, zeroed: bool) -> Number {
        let cell = self.cells.adopt(bytes, layout, zeroed, usize::MAX);
        let number = self.insert(Self::new_node(Some(parent), Some(cell), bytes.cast()));
        self.cells.list[cell].more = number;
        number
    }

    pub fn at(&self, number: Number) -> NonNull<u8> {
        self.node(number).at
    }

    /// Where a node's cell stands.
    pub fn cell(&self, number: Number) -> Option<usize> {
        self.node(number).cell
    }

    /// Any node but the root.
    pub fn any_child(&self, dice: &mut Dice) -> Option<Number> {
        self.cells.any(dice).map(|index| self.cells.list[index].more)
    }

    /// Any node, the root too.
    pub fn any(&self, dice: &mut Dice) -> Option<Number> {
        if dice.one_in(8) { self.root } else { self.any_child(dice).or(self.root) }
    }

    /// A subtree, or what is below its top, parent before children.
    pub fn below(&self, top: Number, whole: bool) -> Vec<Number> {
        let (mut order, mut next) = (Vec::new(), vec![top]);
        while let Some(number) = next.pop() {
            if whole || number != top {
                order.push(number);
            }
            next.extend(self.node(number).children.iter().rev());
        }
        order
    }

    /// Whether a node is in the subtree of another.
    pub fn is_within(&self, number: Number, top: Number) -> bool {
        let mut at = Some(number);
        while let Some(this) = at {
            if this == top {
                return true;
            }
            at = self.node(this).parent;
        }
        false
    }

    pub fn move_to(&mut self, number: Number, parent: Number) {
        self.unlink(number);
        self.node_mut(number).parent = Some(parent);
        self.node_mut(parent).children.push(number);
    }

    fn unlink(&mut self, number: Number) {
        if let Some(parent) = self.node_mut(number).parent.take() {
            self.node_mut(parent).children.retain(|child| *child != number);
        }
    }

    pub fn resized(&mut self, number: Number, bytes: NonNull<[u8]>, size: usize) {
        let index = self.cell(number).expect("the root is not resized");
        self.cells.resized(index, bytes, size);
        let node = self.node_mut(number);
        if node.at != bytes.cast() {
            (node.at, node.ptr) = (bytes.cast(), None);
        }
    }

    /// Takes a subtree away that was released, or what is below its top.
    pub fn forget(&mut self, top: Number, whole: bool) {
        let going = self.below(top, whole);
        if whole {
            self.unlink(top);
        } else {
            self.node_mut(top).children.clear();
        }
        for number in going {
            let node = self.slab[number].take().expect("a live node");
            self.vacant.push(number);
            match node.cell {
                None => {
                    self.root = None;
                    self.cells.forget(node.at);
                }
                Some(index) => {
                    self.cells.remove(index);
                    if let Some(moved) = self.cells.list.get(index).map(|cell| cell.more) {
                        self.node_mut(moved).cell = Some(index);
                    }
                }
            }
        }
    }

    /// Address, tag and size of a node's contents.
    pub fn written(&self, number: Number) -> (NonNull<u8>, u32, usize) {
        match self.cell(number).map(|index| &self.cells.list[index]) {
            Some(cell) => (cell.at, cell.tag, cell.layout.size()),
            None => (self.at(number), 0, 0),
        }
    }

    /// Proves a node's links.
    pub fn prove_links<S: Source>(&self, tree: &Tree<S>, number: Number) {
        let node = self.node(number);
        // SAFETY: a live node of this tree.
        let header = unsafe { tree.header(node.at) };
        let at = |number: Option<&Number>| number.map(|number| self.at(*number));
        assert_eq!(header.parent(), at(node.parent.as_ref()), "parent");
        assert_eq!(header.child(), at(node.children.first()), "first child");
        assert_eq!(header.lastchild(), at(node.children.last()), "last child");
        let alone = [number];
        let siblings = node.parent.map_or(&alone[..], |parent| &self.node(parent).children);
        let place = siblings.iter().position(|sibling| *sibling == number).expect("a child of its parent");
        assert_eq!(header.prev(), at(place.checked_sub(1).map(|before| &siblings[before])), "previous sibling");
        assert_eq!(header.next(), at(siblings.get(place + 1)), "next sibling");
        assert_eq!(header.id().is_tainted(), node.tainted);
    }

    pub fn verify_all<S: Source>(&self, tree: &Tree<S>) {
        self.cells.verify_all();
        (0..self.slab.len()).filter(|number| self.slab[*number].is_some()).for_each(|n| self.prove_links(tree, n));
    }
}

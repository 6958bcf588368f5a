//! What only nodes of a tree can do.

use core::ptr::NonNull;

use kmem::{Cond, Kind, Tree};

use super::cells::Request;
use super::{Cell, Going, World, layout};
use crate::slots::Handle;
use crate::store::Any;

type Nodes = Tree<&'static Any>;

impl World {
    /// A tree's root, which is made if it is not there yet. It has no bytes, and goes with the tree.
    ///
    /// # Errors
    ///
    /// `mismatch` for another store; what the tree's source says.
    pub fn root(&mut self, store: Handle) -> Result<Handle, Cond> {
        let (number, any) = self.store(store)?;
        let Any::Tree(tree) = any else { return Err(Cond::Mismatch) };
        self.reserve()?;
        let root = tree.root()?;
        match self.at(number, root.addr().get()) {
            Some(known) => self.cells.handle(known).ok_or(Cond::FailAssert),
            None => self.enter(number, root, Kind::Tree),
        }
    }

    /// A node: the last child of another.
    ///
    /// # Errors
    ///
    /// `mismatch` for a parent that is no node; what the tree's source says.
    pub fn tree_alloc(&mut self, parent: Handle, wish: Request) -> Result<Handle, Cond> {
        let (_, above, tree) = self.node(parent)?;
        let layout = layout(wish.size, wish.align)?;
        self.reserve()?;
        let payload = if wish.zeroed {
            // SAFETY: a node of the table is live.
            unsafe { tree.alloc_zeroed(above.payload, layout) }
        } else {
            // SAFETY: as above.
            unsafe { tree.alloc(above.payload, layout) }
        }?;
        self.enter(above.store, payload.cast(), Kind::Tree)
    }

    /// A cell that has to be a node.
    pub(super) fn node(&self, cell: Handle) -> Result<(u32, Cell, &'static Nodes), Cond> {
        let (number, cell, any) = self.cell(cell)?;
        match any {
            Any::Tree(tree) if cell.kind == Kind::Tree => Ok((number, cell, tree)),
            _ => Err(Cond::Mismatch),
        }
    }

    /// Releases all children of a node, with their subtrees.
    ///
    /// # Errors
    ///
    /// `mismatch` for another kind; `in_use` if a guard refuses, or, under the root, while a store that stands
    /// in the tree holds memory of it.
    pub fn free_children(&mut self, cell: Handle) -> Result<(), Cond> {
        let (_, it, tree) = self.node(cell)?;
        let mut going = Going::none();
        self.below(tree, it, &mut going);
        if going.foreign {
            return Err(Cond::InUse);
        }
        // SAFETY: a node of the table is live; what is below goes stale.
        unsafe { tree.free_children(it.payload) }?;
        self.gone(&going);
        Ok(())
    }

    pub(super) fn release_nodes(
        &mut self,
        tree: &'static Nodes,
        number: u32,
        payload: NonNull<u8>,
        shred: bool,
    ) -> Result<(), Cond> {
        let it = self.cells.get(number).ok_or(Cond::FailAssert)?;
        // SAFETY: a node of the table is live.
        if unsafe { tree.header(payload) }.parent().is_none() {
            return Err(Cond::InUse);
        }
        let mut going = Going::none();
        self.goes(&mut going, Some(number));
        self.below(tree, it, &mut going);
        // SAFETY: a node of the table is live; it and what is below go stale.
        if shred { unsafe { tree.shred(payload) } } else { unsafe { tree.free(payload) } }?;
        self.gone(&going);
        Ok(())
    }

    /// Adds the cells of all nodes below one to those that are going.
    fn below(&mut self, tree: &Nodes, top: Cell, going: &mut Going) {
        let header = |node: NonNull<u8>| {
            // SAFETY: a node of the table is live, and so is what its links lead to.
            unsafe { tree.header(node) }
        };
        let mut next = header(top.payload).child();
        while let Some(node) = next {
            let id = header(node).id();
            let end = node.addr().get() + id.size();
            let cell = self.held(top.store, id.kind().unwrap_or(Kind::Fail), node.addr().get(), end);
            self.goes(going, cell);
            next = header(node).child().or_else(|| {
                let mut at = node;
                while at != top.payload {
                    if let Some(next) = header(at).next() {
                        return Some(next);
                    }
                    at = header(at).parent()?;
                }
                None
            });
        }
    }

    /// Moves a node, with its subtree, to be the last child of another.
    ///
    /// # Errors
    ///
    /// `mismatch` for another kind, `bad_address` for nodes of two trees, `in_use` where it would make a loop.
    pub fn move_to(&mut self, cell: Handle, parent: Handle) -> Result<(), Cond> {
        let (_, it, tree) = self.node(cell)?;
        let (_, above, _) = self.node(parent)?;
        if it.store != above.store {
            return Err(Cond::BadAddress);
        }
        // SAFETY: two nodes of the table and of one tree, which are live.
        unsafe { tree.move_to(it.payload, above.payload) }
    }

    /// Has a node refuse to be released, or no more.
    ///
    /// # Errors
    ///
    /// `mismatch` for another kind; what the tree's source says, of which a guard takes a little.
    pub fn guard(&mut self, cell: Handle, on: bool) -> Result<(), Cond> {
        let (_, it, tree) = self.node(cell)?;
        let guard: Option<(kmem::tree::Guard, *mut ())> = on.then_some((refuse, core::ptr::null_mut()));
        // SAFETY: a node of the table is live, and the guard touches nothing.
        unsafe { tree.set_guard(it.payload, guard) }
    }
}

/// A guard: nobody may release the node.
///
/// # Safety
///
/// None is needed; a guard's type asks for it.
unsafe fn refuse(_: NonNull<u8>, _: *mut ()) -> bool {
    true
}

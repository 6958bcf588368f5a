//! Cells of any kind: allocated, released, copied, changed.

use core::ptr::NonNull;

use kmem::inspect::Inspect;
use kmem::{Cond, Kind, Source, Store, refs};

use super::{Cell, World, layout};
use crate::slots::Handle;
use crate::store::Any;

/// What is asked of a new cell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// Bytes of payload. In a pool, whose cells are all alike, 0 is as good as their size.
    pub size: usize,
    /// Alignment of the payload; 0 for the least.
    pub align: usize,
    /// Whether all of it is to be zero; else its contents are undefined.
    pub zeroed: bool,
}

impl World {
    /// A cell in a heap, region or pool; in a tree, under its root.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn alloc(&mut self, store: Handle, wish: Request) -> Result<Handle, Cond> {
        let (number, any) = self.store(store)?;
        let mut layout = layout(wish.size, wish.align)?;
        match any {
            Any::Tree(_) => {
                let root = self.root(store)?;
                return self.tree_alloc(root, wish);
            }
            Any::Pool(pool) if wish.size > pool.cell_size() => return Err(Cond::BadSize),
            // A cell is handed out whole.
            Any::Pool(pool) => layout = super::layout(pool.cell_size(), wish.align)?,
            Any::Heap(_) | Any::Lin(_) => {}
        }
        self.reserve()?;
        let payload = if wish.zeroed { any.alloc_zeroed(layout) } else { Source::alloc(any, layout) }?;
        self.enter(number, payload.cast(), any.kind())
    }

    /// A counted cell in a store, with one reference.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub fn ref_alloc(&mut self, store: Handle, wish: Request) -> Result<Handle, Cond> {
        let (number, any) = self.store(store)?;
        let layout = layout(wish.size, wish.align)?;
        if matches!(any, Any::Tree(_)) {
            // As for a store that stands there.
            self.root(store)?;
        }
        self.reserve()?;
        let payload = if wish.zeroed { refs::alloc_zeroed(any, layout) } else { refs::alloc(any, layout) }?;
        self.enter(number, payload.cast(), Kind::Ref)
    }

    /// One more reference to a counted cell; says how many there are.
    ///
    /// # Errors
    ///
    /// `mismatch` for another kind, `too_many` at the largest count.
    pub fn up(&mut self, cell: Handle) -> Result<usize, Cond> {
        let (_, cell, _) = self.counted(cell)?;
        // SAFETY: a counted cell of the table is live.
        unsafe { refs::upref(cell.payload) }
    }

    /// One reference to a counted cell fewer; says how many are left. The last releases it.
    ///
    /// # Errors
    ///
    /// `mismatch` for another kind.
    pub fn down(&mut self, cell: Handle) -> Result<usize, Cond> {
        let (number, cell, _) = self.counted(cell)?;
        // SAFETY: a counted cell of the table is live and its store where it was. The last reference takes
        // the handle with it.
        let left = unsafe { refs::downref(cell.payload) }?;
        if left == 0 {
            self.forget(number);
        }
        Ok(left)
    }

    /// A cell that has to be a counted one.
    pub(super) fn counted(&self, cell: Handle) -> Result<(u32, Cell, &'static Any), Cond> {
        let found = self.cell(cell)?;
        if found.1.kind == Kind::Ref { Ok(found) } else { Err(Cond::Mismatch) }
    }

    /// Gives a cell back: a counted one loses a reference, a node goes with its subtree.
    ///
    /// # Errors
    ///
    /// `in_use` for a tree's root, or if a guard refuses.
    pub fn free(&mut self, cell: Handle) -> Result<(), Cond> {
        self.release(cell, false)
    }

    /// Destroys a cell's bytes, then gives it back. A counted cell that is still shared loses a reference,
    /// and is wiped with the last.
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free).
    pub fn shred(&mut self, cell: Handle) -> Result<(), Cond> {
        self.release(cell, true)
    }

    fn release(&mut self, cell: Handle, shred: bool) -> Result<(), Cond> {
        let (number, Cell { payload, kind, .. }, any) = self.cell(cell)?;
        match any {
            _ if kind == Kind::Ref => {
                if shred {
                    // SAFETY: a counted cell of the table is live and its store where it was.
                    unsafe { refs::taint(payload) };
                }
                self.down(cell).map(drop)
            }
            Any::Tree(tree) => self.release_nodes(tree, number, payload, shred),
            Any::Heap(_) | Any::Lin(_) | Any::Pool(_) => {
                // SAFETY: nothing but the handle names the cell, and that goes stale.
                unsafe { any.release(payload, shred) }?;
                self.forget(number);
                Ok(())
            }
        }
    }

    /// Marks a cell, so that however it goes its bytes are destroyed.
    ///
    /// # Errors
    ///
    /// `bad_address` for what is no live cell.
    pub fn taint(&mut self, cell: Handle) -> Result<(), Cond> {
        let (_, Cell { payload, kind, .. }, any) = self.cell(cell)?;
        if kind == Kind::Ref {
            // SAFETY: a counted cell of the table is live and its store where it was.
            unsafe { refs::taint(payload) };
            return Ok(());
        }
        any.taint_cell(payload)
    }

    /// Zeroes a cell's payload.
    ///
    /// # Errors
    ///
    /// `bad_address` for what is no live cell.
    pub fn zero(&mut self, cell: Handle) -> Result<(), Cond> {
        let (payload, size) = self.bytes(cell)?;
        // SAFETY: a live cell's own bytes, which nothing reads meanwhile.
        unsafe { kmem::zero(payload, size) };
        Ok(())
    }

    /// A copy beside a cell: in the same store, for a node under the same parent and without its children.
    /// Taint is inherited; a counted cell's copy has one reference.
    ///
    /// # Errors
    ///
    /// What the store says; `in_use` for a tree's root.
    pub fn dup(&mut self, cell: Handle) -> Result<Handle, Cond> {
        let (_, it, any) = self.cell(cell)?;
        let (from, size) = self.bytes(cell)?;
        let tainted = self.tainted(cell)?;
        self.reserve()?;
        let to = if it.kind == Kind::Ref {
            // SAFETY: a counted cell of the table is live.
            let front = unsafe { refs::header(from) };
            let align = front.id().layout().ok_or(Cond::FailAssert)?.align();
            refs::alloc(any, layout(size, align)?)?
        } else {
            let found = any.locate(from)?;
            any.sibling(from, layout(size, found.align)?)?
        };
        // SAFETY: both are live, distinct, and this long.
        unsafe { kmem::copy(to.cast(), from, size) };
        let copy = self.enter(it.store, to.cast(), it.kind)?;
        if tainted {
            self.taint(copy)?;
        }
        Ok(copy)
    }

    /// Grows or shrinks a cell, in place where it can; its handle stays. A pool's cell stays what it is.
    ///
    /// # Errors
    ///
    /// What the store says; `mismatch` for a counted cell, `in_use` for a tree's root.
    pub fn resize(&mut self, cell: Handle, size: usize) -> Result<(), Cond> {
        let (number, it, any) = self.cell(cell)?;
        if it.kind == Kind::Ref {
            return Err(Cond::Mismatch);
        }
        self.reserve()?;
        let moved: NonNull<u8> = match any {
            // SAFETY: nothing but the handle names the cell, and that is told where it is.
            Any::Heap(heap) => unsafe { heap.resize(it.payload, size) }?,
            // SAFETY: as above.
            Any::Lin(lin) => unsafe { lin.resize(it.payload, size) }?,
            Any::Pool(pool) => pool.resize(it.payload, size)?,
            // SAFETY: a node of the table is live; else as above.
            Any::Tree(tree) => unsafe { tree.resize(it.payload, size) }?,
        }
        .cast();
        if moved != it.payload {
            self.misplace(number, it.payload);
            self.cells.set(number, Cell { payload: moved, ..it });
            self.remember(number, moved);
        }
        Ok(())
    }
}

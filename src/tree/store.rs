//! The tree as a source and as a store.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::Tree;
use super::node::{HEADER, N};
use crate::cell::{Frame, Head, inside};
use crate::{Cond, Found, Kind, Source, Store};

// SAFETY: nodes are blocks of the source that the tree got for itself, and stay where they are.
unsafe impl<S: Source> Source for Tree<S> {
    /// A child of the root.
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let root = self.root()?;
        // SAFETY: the root is live.
        unsafe { self.alloc(root, layout) }
    }

    unsafe fn free(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.free(block) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, _: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.resize(block, new.size()) }
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.shred(block) }
    }

    fn least_align(&self) -> usize {
        self.source.least_align()
    }

    fn largest(&self) -> Option<usize> {
        self.source.largest().map(|largest| largest.saturating_sub(Frame::offset(HEADER, self.source.least_align())))
    }
}

// SAFETY: `locate` asks the source whether a live block that is a node lies there, then reads its header.
unsafe impl<S: Store> Store for Tree<S> {
    const KIND: Kind = Kind::Tree;

    fn head(&self) -> &Head {
        // SAFETY: `repr(C)`, and the first fields are those of a head.
        unsafe { &*ptr::from_ref(self).cast() }
    }

    fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond> {
        let block = self.source.locate_behind(payload, HEADER, Kind::Tree)?;
        // The caller's pointer has told an address; what is read is read through the source's own.
        let payload = inside(block, payload.addr().get() - block.addr().get());
        // SAFETY: a node's block is there, and the header stands before the payload; it is whole if it is answered.
        let node = unsafe { self.node(payload) }?;
        let root = N::of(self.root.get());
        if root.is_none() || node.root() != root {
            return Err(Cond::BadAddress);
        }
        let block = node.block().ok_or(Cond::FailAssert)?;
        Ok(Found {
            payload,
            kind: node.kind().ok_or(Cond::FailAssert)?,
            size: node.payload_size(),
            align: block.layout.align(),
            tainted: node.is_tainted() || self.id.is_tainted(),
            destructor: node.has_destructor(),
        })
    }

    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        let found = self.locate(payload)?;
        if found.kind != Kind::Tree {
            return Err(Cond::Mismatch);
        }
        // SAFETY: a live node of this tree.
        let node = unsafe { self.node(found.payload) }?;
        self.release_subtree(node, shred)
    }

    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let found = self.locate(payload)?;
        // SAFETY: a live node of this tree.
        let parent = unsafe { self.node(found.payload) }?.parent().ok_or(Cond::InUse)?;
        // SAFETY: so is its parent.
        unsafe { self.alloc(parent.payload(), layout) }
    }

    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind) {
        // SAFETY: the caller's promise.
        if let Ok(node) = unsafe { self.node(payload) } {
            node.set_kind(kind);
        }
    }

    #[cfg(feature = "shred")]
    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        let found = self.locate(payload)?;
        // SAFETY: a live node of this tree.
        unsafe { self.taint_node(found.payload) }
    }
}

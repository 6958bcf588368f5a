//! What walks and reports tell, and what must be so after each call.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use kmem_capi::face::{tree::*, walk::*};
use kmem_capi::types::{kmnode, kmspan};

use super::{NAMES, Script, front};
use crate::model::{Cell, Kind, OK, Store};

impl Script<'_> {
    pub(super) fn walk(&mut self) {
        let Some(store) = self.store(|_| true) else { return };
        let Store { kind, handle, .. } = self.world.stores[store];
        let mut found: Vec<(usize, usize, usize)> = Vec::new();
        unsafe extern "C" fn see(span: *const kmspan, ctx: *mut c_void) -> c_int {
            let span = unsafe { &*span };
            if span.state == 2 {
                unsafe { &mut *ctx.cast::<Vec<(usize, usize, usize)>>() }.push((span.at.addr(), span.size, span.refs));
            }
            0
        }
        assert_eq!(unsafe { kmwalk(handle.cast(), Some(see), (&raw mut found).cast()) }, OK);
        for cell in self.world.live_in(store) {
            let Cell { kind: of, at, len, refs, .. } = self.world.cells[cell];
            if of == kind {
                assert!(found.iter().any(|(place, size, _)| (*place, *size) == (at.addr(), len)), "a walk sees {of:?}");
            } else {
                let inside =
                    |(place, size, _): &&(usize, usize, usize)| at.addr() > *place && at.addr() <= place + size;
                let seen = found.iter().find(inside).map(|(.., refs)| *refs);
                assert_eq!(seen, Some(refs), "a walk sees a count");
            }
        }
        let Some(top) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        found.clear();
        let at = self.world.cells[top].at;
        assert_eq!(unsafe { kmtreereport(at, Some(see), (&raw mut found).cast()) }, OK);
        let nodes = self.world.subtree(top);
        let nodes: Vec<usize> = nodes.iter().map(|node| self.world.cells[*node].at.addr()).collect();
        assert_eq!(found.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), nodes, "a report has the subtree");
    }

    /// What must be so after each call.
    pub(super) fn check(&self) {
        for (number, cell) in self.world.cells.iter().enumerate().filter(|(_, cell)| cell.live) {
            let own = if self.world.are_held(&[number]) { front(number) } else { cell.len.min(600) };
            assert!(cell.is_whole(own), "cell {number}, {:?}, has its bytes", cell.kind);
            if cell.kind == Kind::Tree {
                self.check_node(cell);
            }
        }
    }

    fn check_node(&self, cell: &Cell) {
        let mut header = ptr::null_mut::<kmnode>();
        assert_eq!(unsafe { kmtreen(&raw mut header, cell.at) }, OK);
        let header = unsafe { &*header };
        let place = |node: *mut kmnode| if node.is_null() { ptr::null_mut() } else { node.wrapping_add(1).cast() };
        let parent = match cell.parent {
            Some(parent) => self.world.cells[parent].at,
            None => self.world.stores[cell.store.expect("a tree")].root,
        };
        assert_eq!(place(header.parent), parent, "a node names its parent");
        let (mut at, mut children) = (header.child, cell.children.iter());
        while !at.is_null() {
            let child = children.next().expect("no child too many");
            assert_eq!(place(at), self.world.cells[*child].at, "children stand in their order");
            at = unsafe { &*at }.next;
        }
        assert_eq!(children.next(), None, "no child is missing");
        let name = unsafe { kmtreenameof(cell.at) };
        match cell.name {
            None => assert!(name.is_null()),
            Some(number) => assert_eq!(unsafe { CStr::from_ptr(name) }, NAMES[usize::from(number)]),
        }
    }
}

//! What only nodes of trees have: parents, hooks, names, quotas.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::ptr;

use kmem_capi::face::tree::*;

use super::{NAMES, Script};
use crate::model::{BAD_ADDRESS, BAD_SIZE, IN_USE, Kind, MISMATCH, NO_ROOM, OK};

/// What destructors and guards saw.
#[derive(Default)]
struct Seen {
    gone: Vec<(usize, usize)>,
    wrong: Option<&'static str>,
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// A destructor: it is told its cell's number and its own.
unsafe extern "C" fn dtor(cell: *mut c_void, ctx: *mut c_void) {
    SEEN.with_borrow_mut(|seen| {
        seen.gone.push((ctx.addr() >> 8, ctx.addr() & 255));
        // SAFETY: what is refused needs no promise.
        if unsafe { kmtreef(cell) } != IN_USE {
            seen.wrong = Some("a destructor could free its own node");
        }
    });
}

unsafe extern "C" fn guard(_: *mut c_void, ctx: *mut c_void) -> c_int {
    c_int::from(!ctx.is_null())
}

fn context(cell: usize, number: usize) -> *mut c_void {
    ptr::without_provenance_mut(cell << 8 | number)
}

impl Script<'_> {
    pub(super) fn tops(&self, store: usize) -> Vec<usize> {
        let mut tops = self
            .cells(|cell| cell.live && cell.kind == Kind::Tree && cell.store == Some(store) && cell.parent.is_none());
        tops.sort_by_key(|cell| self.world.cells[*cell].age);
        tops
    }

    pub(super) fn guarded(&self, nodes: &[usize]) -> bool {
        nodes.iter().any(|node| self.world.cells[*node].guard == Some(true))
    }

    /// Forgets what destructors saw.
    pub(super) fn forget_seen(&mut self) {
        SEEN.with_borrow_mut(|seen| *seen = Seen::default());
    }

    /// That the destructors of these nodes have run, in their order.
    pub(super) fn ran(&mut self, nodes: &[usize]) {
        let all = nodes.iter().flat_map(|node| {
            self.world.cells[*node].destructors.iter().rev().map(|number| (*node, *number)).collect::<Vec<_>>()
        });
        let all: Vec<_> = all.collect();
        SEEN.with_borrow(|seen| {
            assert_eq!(seen.wrong, None);
            let mut sorted = (all.clone(), seen.gone.clone());
            sorted.0.sort_unstable();
            sorted.1.sort_unstable();
            assert_eq!(sorted.0, sorted.1, "each destructor runs once");
            let parent_first = |pair: &(usize, usize)| seen.gone.iter().position(|gone| gone == pair);
            for (node, number) in &all {
                if let Some(above) = self.world.cells[*node].parent
                    && let Some(first) = self.world.cells[above].destructors.first()
                    && nodes.contains(&above)
                {
                    assert!(parent_first(&(above, *first)) < parent_first(&(*node, *number)), "parents come first");
                }
            }
        });
    }

    pub(super) fn unlink(&mut self, node: usize) {
        if let Some(parent) = self.world.cells[node].parent {
            self.world.cells[parent].children.retain(|child| *child != node);
        }
    }

    pub(super) fn kill(&mut self, nodes: &[usize]) {
        for node in nodes {
            self.world.cells[*node].live = false;
        }
    }

    pub(super) fn move_node(&mut self) {
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let to = if self.byte().is_multiple_of(4) { None } else { self.cell(|cell| cell.kind == Kind::Tree) };
        let (from, to_at) = (self.world.cells[node].at, to.map_or(ptr::null_mut(), |to| self.world.cells[to].at));
        let got = unsafe { kmtreem(from, to_at) };
        let elsewhere = to.is_some_and(|to| self.world.cells[to].store != self.world.cells[node].store);
        let expected = if elsewhere {
            MISMATCH
        } else if self.world.upward(to).contains(&node) {
            IN_USE
        } else if !self.world.has_quota(to, self.world.subtree_bytes(node), Some(node)) {
            NO_ROOM
        } else {
            OK
        };
        assert_eq!(got, expected, "move");
        if got == OK {
            self.unlink(node);
            self.world.age += 1;
            self.world.cells[node].age = self.world.age;
            self.world.cells[node].parent = to;
            if let Some(to) = to {
                self.world.cells[to].children.push(node);
            }
        }
    }

    pub(super) fn free_children(&mut self) {
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let children = self.world.cells[node].children.clone();
        let nodes: Vec<usize> = children.iter().flat_map(|child| self.world.subtree(*child)).collect();
        self.forget_seen();
        let got = unsafe { kmtreefc(self.world.cells[node].at) };
        let refused = self.guarded(&nodes) || self.world.are_held(&nodes);
        assert_eq!(got, if refused { IN_USE } else { OK }, "free children");
        if !refused {
            self.ran(&nodes);
            self.kill(&nodes);
            self.world.cells[node].children.clear();
        }
    }

    pub(super) fn hooks(&mut self) {
        let how = self.byte();
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let at = self.world.cells[node].at;
        let number = how / 4 % 4;
        match how % 4 {
            0 => {
                let got = unsafe { kmtreeon(at, Some(dtor), context(node, number)) };
                assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "on: {got}");
                if got == OK {
                    self.world.cells[node].destructors.push(number);
                }
            }
            1 => {
                let got = unsafe { kmtreeoff(at, Some(dtor), context(node, number)) };
                // The newest of those that are alike goes.
                match self.world.cells[node].destructors.iter().rposition(|has| *has == number) {
                    Some(place) => {
                        assert_eq!(got, OK, "off");
                        self.world.cells[node].destructors.remove(place);
                    }
                    None => assert_eq!(got, BAD_ADDRESS, "off of none"),
                }
            }
            2 => {
                let refuses = number == 0;
                let ctx = if refuses { context(1, 0) } else { ptr::null_mut() };
                let got = unsafe { kmtreeguard(at, Some(guard), ctx) };
                assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "guard: {got}");
                if got == OK {
                    self.world.cells[node].guard = Some(refuses);
                }
            }
            _ => {
                assert_eq!(unsafe { kmtreeguard(at, None, ptr::null_mut()) }, OK);
                self.world.cells[node].guard = None;
            }
        }
    }

    pub(super) fn names(&mut self) {
        let how = self.byte();
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let at = self.world.cells[node].at;
        let name = how % 5;
        let text = NAMES.get(name).map_or(ptr::null(), |name| name.as_ptr());
        let got = unsafe { kmtreename(at, text) };
        assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "name: {got}");
        if got == OK {
            self.world.cells[node].name = if text.is_null() { None } else { u8::try_from(name).ok() };
        }
    }

    pub(super) fn quota(&mut self) {
        let how = self.byte();
        let Some(node) = self.cell(|cell| cell.kind == Kind::Tree) else { return };
        let quota = if how.is_multiple_of(3) { 0 } else { how * 8 };
        let got = unsafe { kmtreequota(self.world.cells[node].at, quota) };
        assert!(matches!(got, OK | NO_ROOM | BAD_SIZE), "quota: {got}");
        if got == OK {
            self.world.cells[node].quota = quota;
        }
    }
}

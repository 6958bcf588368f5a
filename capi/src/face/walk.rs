//! Looking at what is really there.

use core::ffi::c_void;
use core::ops::ControlFlow;
use core::ptr::{self, NonNull};

use kmem::inspect::{Inspect, Record, What};
use kmem::{Cond, Kind, refs};

use super::source;
use crate::entry::{ALin, Entry, Form, with_store, with_tree};
use crate::find::node;
use crate::types::{Answer, answer, kmcell, kmspan, kmvisit};

/// A number as C has it.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A `kmstate`.
fn state(what: What) -> u32 {
    What::ALL.iter().position(|each| *each == what).map_or(u32::MAX, short)
}

fn span(store: &Entry, record: &Record) -> kmspan {
    let used = record.what == What::Used;
    // Of what has no header the payload is all there is.
    let (skip, size) = if used { (record.len.min(record.header), record.payload) } else { (0, record.len) };
    let at = store.at().as_ptr().with_addr(record.at + skip);
    let (mut refs, mut name) = (0, ptr::null());
    if used && let Some(payload) = NonNull::new(at) {
        if record.kind == Kind::Ref {
            refs = references(store, payload);
        }
        // SAFETY: a block that the tree has for a node, as the walk says; the name is used as long as the visitor runs.
        let named = with_tree!(store, tree => unsafe { tree.name(payload) });
        if let Ok(Some(text)) = named {
            name = text.as_ptr();
        }
    }
    let (kind, depth) = (record.kind as u32, short(record.depth));
    kmspan { at: at.cast(), size, kind, state: state(record.what), depth, refs, name }
}

/// How many references the counted cell has that is built in a cell.
fn references(store: &Entry, block: NonNull<u8>) -> usize {
    let Ok(found) = store.locate(block) else { return 0 };
    // SAFETY: the front of a counted cell stands in the block that is marked as one.
    let payload = unsafe { found.payload.add(size_of::<kmem::RefCell>()) };
    match with_store!(store, store => refs::locate_in(store, payload)) {
        // SAFETY: a live counted cell.
        Ok(found) => unsafe { refs::header(found.payload) }.refs(),
        Err(_) => 0,
    }
}

/// Looks at the headers that a walk goes along.
fn look_over(store: &Entry) -> Result<(), Cond> {
    match store.form {
        Form::Lin => store.store::<ALin>().look_over(),
        Form::OwnTree | Form::FixedTree | Form::GuestTree => with_tree!(store, tree => tree.look_over_all()),
        Form::Heap | Form::Pool => Ok(()),
    }
}

/// Visits all that a store has, in the order of memory; a tree's nodes parent before children.
///
/// While the walk is under way the store refuses to be changed with `in_use`.
///
/// # Safety
///
/// `visit` is null, or may be called with a span and `ctx`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmwalk(store: *mut kmcell, visit: kmvisit, ctx: *mut c_void) -> Answer {
    let walk = || {
        let visit = visit.ok_or(Cond::BadAddress)?;
        let store = source(store)?;
        look_over(store)?;
        let _busy = store.enter();
        let mut stopped = false;
        let mut see = |record: &Record| {
            if !stopped {
                let span = span(store, record);
                // SAFETY: the caller's promise.
                stopped = unsafe { visit(&raw const span, ctx) } != 0;
            }
        };
        with_store!(store, store => store.inspect(&mut see));
        Ok(())
    };
    answer(walk())
}

/// Visits a node and all below it, parent before children, with their names and depths.
///
/// While the walk is under way the tree refuses to be changed with `in_use`.
///
/// # Safety
///
/// `visit` is null, or may be called with a span and `ctx`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmtreereport(cell: *mut c_void, visit: kmvisit, ctx: *mut c_void) -> Answer {
    let walk = || {
        let visit = visit.ok_or(Cond::BadAddress)?;
        let (tree, node) = node(cell)?;
        let _busy = tree.enter();
        let mut see = |line: &kmem::tree::Line<'_>| {
            let span = kmspan {
                at: line.node.as_ptr().cast(),
                size: line.size,
                kind: line.kind as u32,
                state: state(What::Used),
                depth: short(line.depth),
                refs: 0,
                name: line.name.map_or(ptr::null(), |name| name.as_ptr()),
            };
            // SAFETY: the caller's promise.
            if unsafe { visit(&raw const span, ctx) } == 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        with_tree!(tree, tree => {
            // SAFETY: a live node of the tree.
            unsafe { tree.look_over(node) }?;
            // SAFETY: the same, and nothing can be released meanwhile.
            unsafe { tree.report(node) }?.each(&mut see);
            Ok(())
        })
    };
    answer(walk())
}

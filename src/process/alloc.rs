//! The process heap as a program's global allocator: its quick paths.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use super::ground::{NEVER, Process, set_policy};
use super::{Growth, Layer, Place, Way, change, here, misuse, plain, solo, take, way, with};
use crate::cell::MIN_ALIGN as UNIT;
use crate::poison::{hide, show};
use crate::spans::{Class, LIVE, RUN, TAINT};
use crate::{Decay, GlobalHeap};

impl GlobalHeap {
    #[cold]
    #[inline(never)]
    fn more(&self, class: usize, zeroed: bool) -> *mut u8 {
        if let Some(decay) = self.decay {
            set_policy(match decay {
                Decay::AtOnce => 0,
                Decay::Millis(millis) => millis.clamp(1, NEVER - 1),
                Decay::Never => NEVER,
            });
        }
        let cell = with(|local| match local.take(class, LIVE) {
            Some(cell) => Ok(cell),
            None => local.take_more(&Process, class, LIVE),
        });
        match cell {
            Ok(Ok(cell)) => {
                show(cell, Class::get(class).size());
                if zeroed {
                    // SAFETY: the cell was just taken and is this long.
                    unsafe { cell.write_bytes(0, Class::get(class).size()) };
                }
                cell.as_ptr()
            }
            _ => ptr::null_mut(),
        }
    }
}

/// A block that is no plain cell, or none.
#[inline(never)]
fn other(layout: Layout, zeroed: bool) -> *mut u8 {
    match take(layout) {
        Ok((cell, clean)) => {
            if zeroed && !clean {
                // SAFETY: the block was just taken and is this long.
                unsafe { cell.write_bytes(0, layout.size()) };
            }
            cell.as_ptr()
        }
        Err(_) => ptr::null_mut(),
    }
}

/// A block that is no cell at hand of the calling thread goes back.
///
/// # Safety
///
/// It came from this heap with this layout, and nothing uses it any more.
#[inline(never)]
unsafe fn give_other(block: NonNull<u8>, layout: Layout) {
    let class = match way(layout) {
        Way::Cell(class, _) => class,
        Way::Run => usize::from(RUN),
        Way::Solo => {
            // SAFETY: the caller's promise, passed on.
            if unsafe { solo::give(block, false) }.is_err() {
                misuse("a block is freed that is not live, or with another size than it has");
            }
            return;
        }
    };
    // SAFETY: the caller's promise: it lies in a span.
    let span = unsafe { Layer::span_of(block.as_ptr()) };
    if usize::from(span.class()) != class {
        misuse("a block is freed with another size than it has");
    }
    let Some(mark) = span.mark_at(block.addr().get()) else { misuse("what is freed is inside a block") };
    if mark.load(Ordering::Relaxed) & LIVE == 0 {
        misuse("a block is freed twice");
    }
    Place { cell: block, span, mark }.give(false);
}

// SAFETY: blocks are cells of spans, runs of slices or pages, which overlap no other and stay until they are freed;
// nothing of it unwinds.
unsafe impl GlobalAlloc for GlobalHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = plain(layout) else { return other(layout, false) };
        if let Some(cell) = here().and_then(|local| local.take(class, LIVE)) {
            show(cell, Class::get(class).size());
            return cell.as_ptr();
        }
        self.more(class, false)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = plain(layout) else { return other(layout, true) };
        if let Some(cell) = here().and_then(|local| local.take(class, LIVE)) {
            show(cell, Class::get(class).size());
            // SAFETY: the cell was just taken and is this long.
            unsafe { cell.write_bytes(0, layout.size()) };
            return cell.as_ptr();
        }
        self.more(class, true)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise: a block that was handed out, which is never null.
        let cell = unsafe { NonNull::new_unchecked(block) };
        if let Some(class) = plain(layout)
            && let Some(local) = here()
        {
            // SAFETY: the caller's promise: a cell of a class lies in a span.
            let span = unsafe { Layer::span_of(block) };
            let offset = block.addr().wrapping_sub(span.data().addr());
            let it = Class::get(class);
            // That it is a cell's first byte is asked only where that was asked for; that it is live, always.
            if ptr::eq(span.owner(), local)
                && usize::from(span.class()) == class
                && (cfg!(not(feature = "hardened")) || it.divides(offset))
            {
                // SAFETY: a cell of this span, which has this class.
                let mark = unsafe { span.mark(offset / UNIT, it.shift) };
                if mark.load(Ordering::Relaxed) & (LIVE | TAINT) == LIVE {
                    hide(cell, it.size());
                    // SAFETY: a cell of this local's span, with its mark, used no more.
                    unsafe { local.give(&Process, class, cell, mark) };
                    return;
                }
            }
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { give_other(cell, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
        if let Some(class) = plain(layout)
            && plain(new) == Some(class)
        {
            return block;
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { regrow(self, block, layout, new) }
    }
}

/// A block gets another length, and its class does not.
///
/// # Safety
///
/// As for `GlobalAlloc::realloc`.
unsafe fn regrow(heap: &GlobalHeap, block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
    // SAFETY: the caller's promise: a block that was handed out, which is never null.
    let cell = unsafe { NonNull::new_unchecked(block) };
    let (from, to) = (way(old), way(new));
    let tainted = match from {
        Way::Solo => solo::is_tainted(cell),
        _ => {
            // SAFETY: the caller's promise: it lies in a span.
            let span = unsafe { Layer::span_of(block) };
            span.mark_at(block.addr()).is_none_or(|mark| mark.load(Ordering::Relaxed) & TAINT != 0)
        }
    };
    if tainted {
        // SAFETY: the caller's promise, passed on.
        return unsafe { change(cell, new.size()) }.map_or(ptr::null_mut(), NonNull::as_ptr);
    }
    match (from, &to) {
        (Way::Run, Way::Run) => {
            // SAFETY: the caller's promise: a run lies in a span.
            let span = unsafe { Layer::span_of(block) };
            let own = here().filter(|local| ptr::eq(*local, span.owner()));
            if own.is_some_and(|local| local.change_run::<Process>(span, new.size())) {
                return block;
            }
        }
        (Way::Solo, Way::Solo) => {
            return solo::change(cell, new.size()).map_or(ptr::null_mut(), NonNull::as_ptr);
        }
        _ => {}
    }
    let moved = match to {
        Way::Solo => match solo::take(new, LIVE, Growth::Likely) {
            Ok((payload, _)) => payload.as_ptr(),
            Err(_) => ptr::null_mut(),
        },
        // SAFETY: a layout with this size could be made.
        _ => unsafe { heap.alloc(new) },
    };
    if !moved.is_null() {
        // SAFETY: both blocks are live, distinct, and at least this long.
        unsafe { block.copy_to_nonoverlapping(moved, old.size().min(new.size())) };
        // SAFETY: the caller's promise; the bytes are in the new block.
        unsafe { heap.dealloc(block, old) };
    }
    moved
}

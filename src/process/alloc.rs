//! The process heap as a program's global allocator: its quick paths; and what else only a heap of spans can do.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use super::classes::{Classes, classes};
use super::ground::{NEVER, Process, set_policy};
use super::{
    Growth, Layer, MOST, Place, Way, change, hardened, here, look_after, misuse, plain, remark, solo, take, take_solo,
    way, with,
};
use crate::poison::{hide, show};
use crate::spans::{Class, LIVE, LOOSE, SLACK, TAINT};
use crate::{Decay, Global, GlobalHeap};

impl GlobalHeap {
    /// The same by size class, and how much of it is in memory. It takes no longer for what is allocated and freed, as
    /// it is summed up here; it does so under the lock of the process heap, for a step a span.
    ///
    /// ```
    /// use kmem::GlobalHeap;
    ///
    /// #[global_allocator]
    /// static HEAP: GlobalHeap = GlobalHeap::new();
    ///
    /// let boxes: Vec<Box<[u8; 100]>> = (0..50).map(|_| Box::new([0; 100])).collect();
    /// let classes = HEAP.classes();
    /// let class = classes.iter().find(|class| class.size >= 100).expect("there is one");
    /// assert!(class.live >= 50 && class.peak >= class.live);
    /// assert!(class.held >= class.bytes + class.free * class.size);
    /// # drop(boxes);
    /// ```
    #[must_use]
    pub fn classes(&self) -> Classes {
        classes()
    }

    fn set_decay(&self) {
        if let Some(decay) = self.decay {
            set_policy(match decay {
                Decay::AtOnce => 0,
                Decay::Millis(millis) => millis.clamp(1, NEVER - 1),
                Decay::Never => NEVER,
            });
        }
    }

    #[cold]
    #[inline(never)]
    fn more(&self, class: Class, zeroed: bool) -> *mut u8 {
        self.set_decay();
        let cell = with(|local| match local.take(class, LIVE) {
            Some(cell) => Ok(cell),
            None => local.take_more(&Process, class, LIVE),
        });
        match cell {
            Ok(Ok(cell)) => {
                show(cell, class.size());
                if zeroed {
                    // SAFETY: the cell was just taken and is this long.
                    unsafe { cell.write_bytes(0, class.size()) };
                }
                cell.as_ptr()
            }
            _ => ptr::null_mut(),
        }
    }

    /// A block that is no plain cell, or none.
    #[inline(never)]
    fn other(&self, layout: Layout, zeroed: bool) -> *mut u8 {
        self.set_decay();
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
}

/// The class for a layout, if nothing is to be done but to take a cell of it.
#[inline(always)]
fn quick(layout: Layout) -> Option<Class> {
    if cfg!(feature = "hardened") { None } else { plain(layout) }
}

/// A block goes back that is no plain cell, or with which something is wrong.
///
/// # Safety
///
/// It came from this heap with this layout, and nothing uses it any more.
#[inline(never)]
unsafe fn give_other(block: NonNull<u8>, layout: Layout) {
    let class = match way(layout) {
        Way::Cell(class, _) => Some(class),
        Way::Run => None,
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
    let span_class = span.class();
    let Some(mark) = span.mark_at(block.addr().get()) else { misuse("what is freed is inside a block") };
    let is = mark.load(Ordering::Relaxed);
    if is & LIVE == 0 {
        misuse("a block is freed twice");
    }
    if span_class != class {
        // It may have been given a smaller size where it is.
        let is_loose =
            is & LOOSE == LOOSE && class.zip(span_class).is_some_and(|(class, span)| class.number() < span.number());
        if !is_loose {
            misuse("a block is freed with another size than it has");
        }
    }
    if cfg!(feature = "std") && here().is_none() {
        // A thread that only frees begins to have a part of the heap by it.
        let _ = with(|_| ());
    }
    // SAFETY: it is live, and by the caller's promise nothing uses it any more.
    unsafe { Place { cell: block, span, mark, is }.give(false) };
}

// SAFETY: blocks are cells of spans, runs of slices or pages, which overlap no other and stay until they are freed;
// nothing of it unwinds.
unsafe impl GlobalAlloc for GlobalHeap {
    #[inline(always)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = quick(layout) else { return self.other(layout, false) };
        if let Some(cell) = here().and_then(|local| local.take(class, LIVE)) {
            show(cell, class.size());
            return cell.as_ptr();
        }
        self.more(class, false)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = quick(layout) else { return self.other(layout, true) };
        if let Some(cell) = here().and_then(|local| local.take(class, LIVE)) {
            show(cell, class.size());
            // SAFETY: the cell was just taken and is this long.
            unsafe { cell.write_bytes(0, layout.size()) };
            return cell.as_ptr();
        }
        self.more(class, true)
    }

    #[inline(always)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise: a block that was handed out, which is never null.
        let cell = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller's promise, passed on.
        if unsafe { hardened::dealloc(cell, layout) } {
            return;
        }
        // What is no longer and no more aligned lies in a span, of whatever class.
        if !cfg!(feature = "hardened")
            && layout.size() | layout.align() <= MOST
            && let Some(local) = here()
        {
            let class = Class::of(layout.size());
            // SAFETY: the caller's promise: a block with such a layout lies in a span.
            let span = unsafe { Layer::span_of(block) };
            // That it is a cell's first byte is not asked here; that it is live, always.
            if span.is_of(class) {
                // SAFETY: a cell of this span, which has this class.
                let mark = unsafe { span.mark(span.unit_of(cell), class) };
                if mark.load(Ordering::Relaxed) & (LIVE | TAINT) == LIVE {
                    hide(cell, class.size());
                    if ptr::eq(span.owner(), local) {
                        // SAFETY: a cell of this local's span, with its mark, used no more.
                        unsafe { local.give(&Process, span, class, cell, mark) };
                    } else {
                        // SAFETY: a cell of another's span, with its mark, used no more.
                        unsafe { local.post(span, class, cell, mark, look_after) };
                    }
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
        if let Some(class) = quick(layout)
            && quick(new) == Some(class)
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
    // SAFETY: the caller's promise, passed on.
    if let Some(moved) = unsafe { hardened::realloc(cell, old, new.size()) } {
        return moved;
    }
    let (from, to) = (way(old), way(new));
    let tainted = match from {
        Way::Solo => solo::is_tainted(cell),
        _ => {
            // SAFETY: the caller's promise: it lies in a span.
            let span = unsafe { Layer::span_of(block) };
            let Some(mark) = span.mark_at(block.addr()) else { misuse("what is to be resized is inside a block") };
            let is = mark.load(Ordering::Relaxed);
            let tainted = is & TAINT != 0;
            if !tainted
                && plain(old).is_some()
                && plain(new).is_some()
                && let Some(class) = span.class()
            {
                // Half a cell that is not used costs less than copying the other half (mimalloc's rule).
                let room = class.size();
                if cfg!(not(feature = "hardened")) && (room / 2..=room).contains(&new.size()) {
                    let slack = if plain(new) == Some(class) { 0 } else { LOOSE };
                    Place { cell, span, mark, is }.set_slack(slack);
                    return block;
                }
            }
            tainted
        }
    };
    if tainted {
        // SAFETY: the caller's promise, passed on.
        let Ok(moved) = (unsafe { change(cell, new.size()) }) else { return ptr::null_mut() };
        if let Some(class) = quick(new) {
            // This face notes no size: a later one in the same class would not be known.
            let _ = remark(moved, |mark| mark & !SLACK);
            show(moved, class.size());
        }
        return moved.as_ptr();
    }
    match (from, &to) {
        (Way::Run, Way::Run) => {
            // SAFETY: the caller's promise: a run lies in a span.
            let span = unsafe { Layer::span_of(block) };
            let own = here().filter(|local| ptr::eq(*local, span.owner()));
            // SAFETY: a run of this local.
            if own.is_some_and(|local| unsafe { local.change_run::<Process>(span, new.size()) }) {
                return block;
            }
        }
        (Way::Solo, Way::Solo) => {
            // SAFETY: the caller's promise, passed on.
            return unsafe { solo::change(cell, new.size()) }.map_or(ptr::null_mut(), NonNull::as_ptr);
        }
        _ => {}
    }
    let moved = match to {
        Way::Solo => match take_solo(new, Growth::Likely) {
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

impl Global {
    /// The same by size class, and how much of it is in memory: as [`GlobalHeap::classes`].
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Global, Source};
    ///
    /// Global.grant(Layout::new::<[u8; 100]>())?;
    /// let classes = Global.classes();
    /// assert!(classes.iter().any(|class| class.size >= 100 && class.live >= 1));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn classes(self) -> Classes {
        classes()
    }
}

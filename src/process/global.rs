//! The faces of the process heap.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use super::classes::{Classes, classes};
use super::ground::{NEVER, Process, set_policy};
use super::{
    Growth, Layer, Place, Way, change, check, give, hardened, here, locate, look_after, misuse, plain, purge, remark,
    solo, stats, take, take_solo, way, with,
};
use crate::cell::{Head, MIN_ALIGN as UNIT};
use crate::poison::{hide, show};
use crate::spans::{Class, LIVE, LOOSE, RUN, SLACK, TAINT, with_kind};
use crate::store::Ops;
use crate::{Broken, Cond, Found, Grant, Kind, Ptr, Source, Stats, Store};

/// When memory that a [`GlobalHeap`] does not need goes back to the system.
///
/// ```
/// use kmem::{Decay, GlobalHeap};
///
/// #[global_allocator]
/// static HEAP: GlobalHeap = GlobalHeap::new().decay(Decay::Millis(50));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// As soon as nothing of a segment is used.
    AtOnce,
    /// When it has not been used for about so long, and something is allocated then.
    Millis(u32),
    /// When [`GlobalHeap::purge`] is called.
    Never,
}

/// The process heap as a program's global allocator.
///
/// All values of this type are the same heap, which is also [`Global`]'s. With the feature `std` each thread has its
/// own part of it, and what another thread frees comes home without a lock; without, each call borrows a part. Blocks
/// that are freed twice, or with another size than they have, end the program with a message. (What was allocated by
/// this face is as long as its size class where it is looked at by another.)
///
/// With the feature `hardened` that is so for everything that is freed and is no live block, wherever it came from. So
/// is a block that was written to past its end, where eight bytes stand that are looked at when it is freed or resized,
/// and one that was written to after it was freed: it waits behind some 256 others before it is handed out again, and
/// is looked at then. Which cell comes next is drawn, and long blocks lie between pages that may not be touched. (By
/// [`Global`]'s checked face what is no live block is [`BadAddress`](Cond::BadAddress), and what was written past its
/// end [`FailAssert`](Cond::FailAssert); it is then still the caller's.)
///
/// ```
/// use kmem::GlobalHeap;
///
/// #[global_allocator]
/// static HEAP: GlobalHeap = GlobalHeap::new();
///
/// let numbers: Vec<u32> = (0..1000).collect();
/// assert!(HEAP.stats().bytes >= numbers.len() * size_of::<u32>());
/// ```
#[derive(Debug)]
pub struct GlobalHeap {
    decay: Option<Decay>,
}

impl Default for GlobalHeap {
    fn default() -> Self {
        Self::new()
    }
}

impl GlobalHeap {
    /// The process heap.
    ///
    /// ```
    /// use kmem::GlobalHeap;
    ///
    /// #[global_allocator]
    /// static HEAP: GlobalHeap = GlobalHeap::new();
    /// # drop(Box::new(1));
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { decay: None }
    }

    /// The same, with another rule for when memory goes back; otherwise it is a quarter of a second.
    ///
    /// ```
    /// use kmem::{Decay, GlobalHeap};
    ///
    /// #[global_allocator]
    /// static HEAP: GlobalHeap = GlobalHeap::new().decay(Decay::AtOnce);
    /// # drop(Box::new(1));
    /// ```
    #[must_use]
    pub const fn decay(mut self, decay: Decay) -> Self {
        self.decay = Some(decay);
        self
    }

    /// What is live and mapped in the whole process. What other threads do meanwhile may be counted or not, and a
    /// few cells that threads have at hand are counted as live.
    ///
    /// ```
    /// use kmem::GlobalHeap;
    ///
    /// let stats = GlobalHeap::new().stats();
    /// assert!(stats.held >= stats.bytes);
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        stats()
    }

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

    /// Gives back to the system all that this thread, and threads that have ended, do not need.
    ///
    /// ```
    /// use kmem::GlobalHeap;
    ///
    /// static HEAP: GlobalHeap = GlobalHeap::new();
    /// let before = HEAP.stats().held;
    /// HEAP.purge();
    /// assert!(HEAP.stats().held <= before);
    /// ```
    pub fn purge(&self) {
        purge();
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
    fn more(&self, class: usize, zeroed: bool) -> *mut u8 {
        self.set_decay();
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
fn quick(layout: Layout) -> Option<usize> {
    if cfg!(feature = "hardened") { None } else { plain(layout) }
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
        Way::Run => RUN.into(),
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
    let Some(mark) = span.mark_at(block.addr().get()) else { misuse("what is freed is inside a block") };
    let is = mark.load(Ordering::Relaxed);
    if is & LIVE == 0 {
        misuse("a block is freed twice");
    }
    let span_class = usize::from(span.class());
    if span_class != class && (is & LOOSE != LOOSE || class > span_class || span_class == RUN.into()) {
        misuse("a block is freed with another size than it has");
    }
    Place { cell: block, span, mark }.give(false);
}

// SAFETY: blocks are cells of spans, runs of slices or pages, which overlap no other and stay until they are freed;
// nothing of it unwinds.
unsafe impl GlobalAlloc for GlobalHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = quick(layout) else { return self.other(layout, false) };
        if let Some(cell) = here().and_then(|local| local.take(class, LIVE)) {
            show(cell, Class::get(class).size());
            return cell.as_ptr();
        }
        self.more(class, false)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(class) = quick(layout) else { return self.other(layout, true) };
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
        // SAFETY: the caller's promise, passed on.
        if unsafe { hardened::dealloc(cell, layout) } {
            return;
        }
        if let Some(class) = quick(layout)
            && let Some(local) = here()
        {
            // SAFETY: the caller's promise: a cell of a class lies in a span.
            let span = unsafe { Layer::span_of(block) };
            let offset = block.addr().wrapping_sub(span.data().addr());
            let it = Class::get(class);
            // That it is a cell's first byte is not asked here; that it is live, always.
            if usize::from(span.class()) == class {
                // SAFETY: a cell of this span, which has this class.
                let mark = unsafe { span.mark(offset / UNIT, it.shift) };
                if mark.load(Ordering::Relaxed) & (LIVE | TAINT) == LIVE {
                    hide(cell, it.size());
                    if ptr::eq(span.owner(), local) {
                        // SAFETY: a cell of this local's span, with its mark, used no more.
                        unsafe { local.give(&Process, class, cell, mark) };
                    } else {
                        // SAFETY: a cell of another's span, with its mark, used no more.
                        unsafe { local.post(span, cell, mark, look_after) };
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
            if !tainted && plain(old).is_some() && plain(new).is_some() && span.class() != RUN {
                // Half a cell that is not used costs less than copying the other half (mimalloc's rule).
                let room = Class::get(span.class().into()).size();
                if cfg!(not(feature = "hardened")) && (room / 2..=room).contains(&new.size()) {
                    let fits = plain(new) == Some(span.class().into());
                    mark.store(is & !SLACK | if fits { 0 } else { LOOSE }, Ordering::Relaxed);
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
            show(moved, Class::get(class).size());
        }
        return moved.as_ptr();
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

/// The process heap as a store, and where a managed pointer or a counted cell names no store.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Global, Source};
///
/// let layout = Layout::new::<[u64; 8]>();
/// let cell = Global.alloc(layout)?;
/// // SAFETY: just allocated, used no more.
/// unsafe { Source::free(&Global, cell.cast(), layout)? };
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// It can be the program's global allocator too; [`GlobalHeap`] is the same with a rule for when memory goes back.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: kmem::Global = kmem::Global;
///
/// let numbers: Vec<u32> = (0..1000).collect();
/// assert!(kmem::Global.stats().bytes >= numbers.len() * size_of::<u32>());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Global;

/// What a managed pointer with no store finds.
struct GlobalHead(Head);

// SAFETY: nothing ever writes to it.
unsafe impl Sync for GlobalHead {}

static HEAD: GlobalHead = GlobalHead(Head::new(Kind::Heap, Some(Ops::of::<Global>())));

impl Global {
    /// What is live and mapped in the process heap.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Global, Source};
    ///
    /// Global.alloc(Layout::new::<u64>())?;
    /// assert!(Global.stats().live >= 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn stats(self) -> Stats {
        stats()
    }

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

    /// Memory for the layout as a managed pointer, its contents undefined.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::Global;
    ///
    /// let ptr = Global.alloc_ptr(Layout::new::<u64>())?;
    /// // SAFETY: the process heap is always there, and nothing uses the cell.
    /// unsafe { kmem::free(ptr)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Heap::alloc`](crate::Heap::alloc).
    pub fn alloc_ptr(self, layout: Layout) -> Result<Ptr, Cond> {
        Ok(Ptr::of(&self, Source::alloc(&self, layout)?))
    }

    /// The same, zeroed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::Global;
    ///
    /// let ptr = Global.alloc_zeroed_ptr(Layout::new::<u64>())?;
    /// // SAFETY: a live cell, initialised.
    /// assert_eq!(unsafe { ptr.payload().cast::<u64>().read() }, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Heap::alloc`](crate::Heap::alloc).
    pub fn alloc_zeroed_ptr(self, layout: Layout) -> Result<Ptr, Cond> {
        Ok(Ptr::of(&self, Source::alloc_zeroed(&self, layout)?))
    }

    /// Proves the structure of what the calling thread has of the process heap, and of what all share.
    ///
    /// ```
    /// kmem::Global.check().expect("nobody wrote over it");
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that does not hold, and where.
    pub fn check(self) -> Result<(), Broken> {
        check()
    }
}

// SAFETY: blocks are cells of spans, runs of slices or pages, which overlap no other and stay until they are freed.
unsafe impl Source for Global {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        take(layout).map(|(cell, _)| NonNull::slice_from_raw_parts(cell, layout.size()))
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        take(layout).map(|(cell, zeroed)| Grant { bytes: NonNull::slice_from_raw_parts(cell, layout.size()), zeroed })
    }

    unsafe fn free(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { give(block, false) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, _: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { change(block, new.size()) }.map(|cell| NonNull::slice_from_raw_parts(cell, new.size()))
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { give(block, true) }
    }
}

// SAFETY: the blocks are those of the process heap.
unsafe impl GlobalAlloc for Global {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        unsafe { GlobalHeap::new().alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        unsafe { GlobalHeap::new().alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { GlobalHeap::new().dealloc(block, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        unsafe { GlobalHeap::new().realloc(block, layout, size) }
    }
}

// SAFETY: addresses are looked up in the map of segments and in the marks of a segment; any thread may ask for any.
unsafe impl Store for Global {
    const KIND: Kind = Kind::Heap;
    const SHARED: bool = true;

    fn head(&self) -> &Head {
        &HEAD.0
    }

    fn head_ptr(&self) -> NonNull<Head> {
        NonNull::from(&HEAD.0)
    }

    fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond> {
        locate(payload)
    }

    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        if locate(payload)?.kind != Kind::Heap {
            return Err(Cond::Mismatch);
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { give(payload, shred) }
    }

    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        locate(payload)?;
        Source::alloc(self, layout)
    }

    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind) {
        // The caller's promise: it is live, so it is found.
        let _ = remark(payload, |mark| with_kind(mark, kind));
    }

    #[cfg(feature = "shred")]
    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        remark(payload, |mark| mark | TAINT)
    }
}

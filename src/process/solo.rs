//! Blocks too long for a segment: each a run of pages of its own, with what is known of it in front.
//!
//! ```text
//! ├ Solo ┤├ gap ┤├ payload … ┤     the payload is as far from the start as its alignment, at least a `FRONT`
//! ```

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::ptr::NonNull;

use kmem_platform::Native;

use super::ground::{pool, prefer_large_pages};
use crate::cell::inside;
use crate::ranges::{Range, Ranges};
use crate::{Cond, Grant, Pages, Source};

/// Bytes in front of a payload, at least.
const FRONT: usize = size_of::<Solo>().next_multiple_of(64);

/// The front of a block.
#[repr(C)]
pub(super) struct Solo {
    range: Range,
    /// Bytes from the start to the payload.
    offset: usize,
    align: usize,
    asked: Var<usize>,
    pub(super) mark: Var<u16>,
}

/// All of them.
pub(super) struct Solos {
    ranges: Ranges,
    pub(super) live: usize,
    pub(super) bytes: usize,
    /// The most bytes that there were.
    pub(super) peak: usize,
}

fn block(offset: usize, layout: Layout) -> Result<Layout, Cond> {
    let size = offset.checked_add(layout.size()).ok_or(Cond::BadSize)?;
    Layout::from_size_align(size, layout.align()).map_err(|_| Cond::BadSize)
}

impl Solo {
    pub(super) fn asked(&self) -> usize {
        self.asked.get()
    }

    pub(super) fn align(&self) -> usize {
        self.align
    }

    pub(super) fn payload(&self) -> NonNull<u8> {
        inside(self.range.block(), self.offset)
    }

    fn layout(&self) -> Result<Layout, Cond> {
        let asked = Layout::from_size_align(self.asked.get(), self.align).map_err(|_| Cond::FailAssert)?;
        block(self.offset, asked)
    }
}

impl Solos {
    pub(super) const fn new() -> Self {
        Self { ranges: Ranges::new(), live: 0, bytes: 0, peak: 0 }
    }

    /// The block whose payload begins at an address.
    pub(super) fn find(&self, at: usize) -> Option<&Solo> {
        let block = self.ranges.find(at)?;
        // SAFETY: at the front of each block stands a `Solo`.
        let solo: &Solo = unsafe { block.cast().as_ref() };
        (solo.payload().addr().get() == at).then_some(solo)
    }

    fn insert(&mut self, block: NonNull<u8>, len: usize) {
        // SAFETY: a block is live until it is removed, overlaps no other and begins with its `Solo`.
        let solo: &Solo = unsafe { block.cast().as_ref() };
        // SAFETY: as above.
        unsafe { self.ranges.insert(&raw const solo.range) };
        self.live += 1;
        self.bytes += len;
        self.peak = self.peak.max(self.bytes);
    }

    fn remove(&mut self, solo: &Solo) -> Result<usize, Cond> {
        let len = solo.layout()?.size();
        self.ranges.remove(&raw const solo.range);
        self.live -= 1;
        self.bytes -= len;
        Ok(len)
    }
}

/// A block for a layout; its payload, and whether it is known to be zero.
pub(super) fn take(layout: Layout, mark: u16) -> Result<(NonNull<u8>, bool), Cond> {
    let offset = FRONT.max(layout.align());
    let whole = block(offset, layout)?;
    let Grant { bytes, zeroed } = Pages::over(Native).grant(whole)?;
    let start = bytes.cast::<u8>();
    prefer_large_pages(start, bytes.len());
    let solo = Solo {
        range: Range::new(start, whole.size()),
        offset,
        align: layout.align(),
        asked: Var::new(layout.size()),
        mark: Var::new(mark),
    };
    // SAFETY: the block is ours, aligned to pages, and longer than this.
    unsafe { start.cast::<Solo>().write(solo) };
    pool().solos.insert(start, whole.size());
    Ok((inside(start, offset), zeroed))
}

/// Takes a block back; refused, it stays as it was.
pub(super) fn give(payload: NonNull<u8>) -> Result<(), Cond> {
    let (start, whole) = {
        let mut pool = pool();
        let solo: *const Solo = pool.solos.find(payload.addr().get()).ok_or(Cond::BadAddress)?;
        // SAFETY: just found, and the lock is held.
        let solo = unsafe { &*solo };
        pool.solos.remove(solo)?;
        (solo.range.block(), solo.layout()?)
    };
    // SAFETY: the caller's; it came from there with this layout.
    let answer = unsafe { Pages::over(Native).free(start, whole) };
    if answer.is_err() {
        pool().solos.insert(start, whole.size());
    }
    answer
}

/// Gives a block another length; refused, it stays as it was.
pub(super) fn change(payload: NonNull<u8>, size: usize) -> Result<NonNull<u8>, Cond> {
    let (start, old, new, offset) = {
        let mut pool = pool();
        let solo: *const Solo = pool.solos.find(payload.addr().get()).ok_or(Cond::BadAddress)?;
        // SAFETY: just found, and the lock is held.
        let solo = unsafe { &*solo };
        let old = solo.layout()?;
        let layout = Layout::from_size_align(size, solo.align).map_err(|_| Cond::BadSize)?;
        let new = block(solo.offset, layout)?;
        pool.solos.remove(solo)?;
        (solo.range.block(), old, new, solo.offset)
    };
    // SAFETY: the block is ours, came from there with this layout, and the alignment is the same.
    let moved = unsafe { Pages::over(Native).resize(start, old, new) };
    let place = moved.map_or(start, |bytes| bytes.cast());
    let front = place.cast::<Solo>();
    // SAFETY: where it is now, it begins with what it began with.
    let before: Solo = unsafe { front.read() };
    let (len, asked) = if moved.is_ok() { (new.size(), size) } else { (old.size(), before.asked.get()) };
    let solo = Solo { range: Range::new(place, len), asked: Var::new(asked), ..before };
    // SAFETY: the block is ours and nobody knows of it.
    unsafe { front.write(solo) };
    pool().solos.insert(place, len);
    moved.map(|_| inside(place, offset))
}

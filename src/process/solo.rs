//! Blocks too long for a segment: each a run of pages of its own, with what is known of it in front.
//!
//! ```text
//! ├ Solo ┤├ gap ┤├ payload … ┤├ room … ┤     the payload is as far from the start as its alignment, at least a front
//! ```
//!
//! Where there are fences, a page at least of the gap and of the room may not be touched, and of a block that is kept
//! only the page with its front may.
//!
//! A block that comes back is kept for a while, since pages that are there are worth more than new ones; and one that
//! grows takes the longest that is kept, with all its room, since it is likely to grow on. What a block has of pages
//! behind its payload goes back to the system when it was not needed for as long as a kept block is.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::ptr::{self, NonNull};

use kmem_platform::Native;

use super::ground::{discard, keeps, now, page, pool, prefer_large_pages, protect};
use super::hardened::FENCED;
use crate::cell::inside;
use crate::ranges::{Range, Ranges};
use crate::spans::TAINT;
use crate::wipe::wipe_if;
use crate::{Cond, Grant, Pages, Source};

/// Bytes in front of a payload, at least.
fn front() -> usize {
    if FENCED { 2 * page() } else { size_of::<Solo>().next_multiple_of(64) }
}

/// Bytes behind it that may not be touched, at least.
fn fence() -> usize {
    if FENCED { page() } else { 0 }
}

/// The most bytes that are kept.
const KEPT: usize = 64 << 20;

/// The front of a block.
#[repr(C)]
pub(super) struct Solo {
    range: Range,
    /// Bytes from the start to the payload.
    offset: usize,
    align: usize,
    asked: Var<usize>,
    pub(super) mark: Var<u16>,
    /// The next on the list that it is on, and since when it is.
    next: Var<*const Solo>,
    stamp: Var<u64>,
    loose: Var<bool>,
    /// Bytes behind its payload that were given back.
    thin: Var<usize>,
}

/// Some of them, the latest first.
struct List(Var<*const Solo>);

/// All of them.
pub(super) struct Solos {
    ranges: Ranges,
    pub(super) live: usize,
    pub(super) bytes: usize,
    /// The most bytes that there were.
    pub(super) peak: usize,
    /// Those that are kept, and their bytes.
    spare: List,
    pub(super) kept: usize,
    /// Live ones with pages that they do not need.
    loose: List,
    /// Bytes of live ones that were given back.
    pub(super) thin: Var<usize>,
}

/// Whether a block that is taken is likely to grow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// As likely as any.
    Unknown,
    /// It just did.
    Likely,
}

impl List {
    const fn new() -> Self {
        Self(Var::new(ptr::null()))
    }

    fn each<'a>(&self, mut look: impl FnMut(&'a Solo)) {
        let mut next = self.0.get();
        // SAFETY: null or a block, which begins with its front.
        while let Some(solo) = unsafe { next.as_ref() } {
            next = solo.next.get();
            look(solo);
        }
    }

    /// The one that is on it for the longest.
    fn oldest<'a>(&self) -> Option<&'a Solo> {
        let mut oldest = None;
        self.each(|solo| oldest = Some(solo));
        oldest
    }

    fn push(&self, solo: &Solo) {
        solo.next.set(self.0.replace(solo));
    }

    fn remove(&self, out: &Solo) {
        let mut link = &self.0;
        // SAFETY: null or a block, which begins with its front.
        while let Some(solo) = unsafe { link.get().as_ref() } {
            if ptr::eq(solo, out) {
                return link.set(solo.next.get());
            }
            link = &solo.next;
        }
    }
}

impl Solo {
    /// The front of a block of these pages.
    fn new(bytes: NonNull<[u8]>, layout: Layout, mark: u16) -> Self {
        Self {
            range: Range::new(bytes.cast(), bytes.len()),
            offset: front().max(layout.align()),
            align: layout.align(),
            asked: Var::new(layout.size()),
            mark: Var::new(mark),
            next: Var::new(ptr::null()),
            stamp: Var::new(0),
            loose: Var::new(false),
            thin: Var::new(0),
        }
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.get()
    }

    pub(super) fn align(&self) -> usize {
        self.align
    }

    pub(super) fn is_tainted(&self) -> bool {
        self.mark.get() & TAINT != 0
    }

    pub(super) fn payload(&self) -> NonNull<u8> {
        inside(self.range.block(), self.offset)
    }

    /// All its pages.
    fn bytes(&self) -> NonNull<[u8]> {
        let start = self.range.block();
        NonNull::slice_from_raw_parts(start, self.range.end() - start.addr().get())
    }

    fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Bytes from its start to where nobody may touch it.
    fn open(&self) -> usize {
        if FENCED { self.needs(self.asked()).unwrap_or(self.len()) - fence() } else { self.len() }
    }

    /// Bytes of the pages that it needs for so many of payload.
    fn needs(&self, size: usize) -> Option<usize> {
        whole(self.offset, size)
    }
}

/// Bytes of whole pages for a payload at an offset, and a fence behind it, if they are a number.
fn whole(offset: usize, size: usize) -> Option<usize> {
    let len = offset.checked_add(size)?.checked_next_multiple_of(page())?.checked_add(fence())?;
    isize::try_from(len).is_ok().then_some(len)
}

/// The layout of a block's pages.
fn pages(len: usize, align: usize) -> Result<Layout, Cond> {
    Layout::from_size_align(len, align).map_err(|_| Cond::BadSize)
}

impl Solos {
    pub(super) const fn new() -> Self {
        Self {
            ranges: Ranges::new(),
            live: 0,
            bytes: 0,
            peak: 0,
            spare: List::new(),
            kept: 0,
            loose: List::new(),
            thin: Var::new(0),
        }
    }

    /// The block whose payload begins at an address.
    pub(super) fn find(&self, at: usize) -> Option<&Solo> {
        let block = self.ranges.find(at)?;
        // SAFETY: at the front of each block stands a `Solo`.
        let solo: &Solo = unsafe { block.cast().as_ref() };
        (solo.payload().addr().get() == at).then_some(solo)
    }

    /// Whether an address is in one of the blocks.
    #[cfg(feature = "hardened")]
    pub(super) fn holds(&self, at: usize) -> bool {
        self.ranges.find(at).is_some()
    }

    /// Writes the front of a block and takes it in as live; its payload.
    ///
    /// # Safety
    ///
    /// Its pages are this heap's, and in no other block.
    unsafe fn insert(&mut self, solo: Solo) -> NonNull<u8> {
        let place = solo.range.block().cast::<Solo>();
        // SAFETY: the caller's promise; a block is longer than its front, and aligned to pages.
        unsafe { place.write(solo) };
        // SAFETY: just written; it stays until it is removed.
        let solo = unsafe { place.as_ref() };
        // SAFETY: as above, and it overlaps no other.
        unsafe { self.ranges.insert(&raw const solo.range) };
        self.live += 1;
        self.bytes += solo.len();
        self.peak = self.peak.max(self.bytes);
        self.look(solo);
        solo.payload()
    }

    /// Takes a live block out.
    fn remove(&mut self, solo: &Solo) {
        self.tighten(solo);
        self.ranges.remove(&raw const solo.range);
        self.live -= 1;
        self.bytes -= solo.len();
    }

    /// Notes whether a live block has pages that it does not need.
    fn look(&self, solo: &Solo) {
        self.tighten(solo);
        if solo.needs(solo.asked()).is_some_and(|needs| needs < solo.len()) {
            solo.stamp.set(now());
            solo.loose.set(true);
            self.loose.push(solo);
        }
    }

    /// Forgets that it has such pages, and that they were given back.
    fn tighten(&self, solo: &Solo) {
        if solo.loose.replace(false) {
            self.loose.remove(solo);
        }
        self.thin.set(self.thin.get() - solo.thin.replace(0));
    }

    /// The pages of a block that is kept, at least so many bytes: of the shortest that is not much longer, or of the
    /// longest for a block that grows.
    fn reuse(&mut self, len: usize, align: usize, growth: Growth) -> Option<NonNull<[u8]>> {
        let mut best: Option<&Solo> = None;
        self.spare.each(|solo| {
            let fits = solo.len() >= len && solo.range.block().addr().get().is_multiple_of(align);
            let better = match growth {
                Growth::Likely => best.is_none_or(|best| solo.len() > best.len()),
                Growth::Unknown => solo.len() / 2 <= len && best.is_none_or(|best| solo.len() < best.len()),
            };
            if fits && better {
                best = Some(solo);
            }
        });
        let best = best?;
        self.spare.remove(best);
        self.kept -= best.len();
        Some(best.bytes())
    }

    /// Keeps a block that is live no more; those that are kept for the longest make room for it, if need be.
    fn keep(&mut self, solo: &Solo) {
        solo.stamp.set(now());
        if FENCED {
            // SAFETY: nothing is in them any more.
            unsafe { protect(inside(solo.range.block(), page()), solo.len() - page(), false) };
        }
        self.spare.push(solo);
        self.kept += solo.len();
        while self.kept > KEPT
            && let Some(oldest) = self.spare.oldest()
        {
            if !self.unmap(oldest) {
                return;
            }
        }
    }

    /// Gives a block that is kept to the system; refused, it stays.
    fn unmap(&mut self, solo: &Solo) -> bool {
        let (bytes, align) = (solo.bytes(), solo.align);
        self.spare.remove(solo);
        let gone = pages(bytes.len(), align)
            // SAFETY: it came from there with this layout, and nothing uses it.
            .and_then(|layout| unsafe { Pages::over(Native).free(bytes.cast(), layout) })
            .is_ok();
        if gone {
            self.kept -= bytes.len();
        } else {
            self.spare.push(solo);
        }
        gone
    }

    /// Gives back what has not been needed for so long.
    pub(super) fn expire(&mut self, now: u64, millis: u64) {
        let is_due = |solo: &Solo| now.saturating_sub(solo.stamp.get()) >= millis;
        while let Some(oldest) = self.spare.oldest().filter(|solo| is_due(solo)) {
            if !self.unmap(oldest) {
                break;
            }
        }
        while let Some(oldest) = self.loose.oldest().filter(|solo| is_due(solo)) {
            self.tighten(oldest);
            let (bytes, needs) = (oldest.bytes(), oldest.needs(oldest.asked()).unwrap_or(oldest.len()));
            // What the system refuses stays until the block goes.
            // SAFETY: pages of the block behind its payload, in which nothing is.
            if unsafe { discard(inside(bytes.cast(), needs), bytes.len() - needs) } {
                oldest.thin.set(bytes.len() - needs);
                self.thin.set(self.thin.get() + oldest.thin.get());
            }
        }
    }
}

/// A block for a layout; its payload, and whether it is known to be zero.
pub(super) fn take(layout: Layout, mark: u16, growth: Growth) -> Result<(NonNull<u8>, bool), Cond> {
    let offset = front().max(layout.align());
    let len = whole(offset, layout.size()).ok_or(Cond::BadSize)?;
    let kept = pool().solos.reuse(len, layout.align(), growth);
    let (bytes, zeroed) = match kept {
        Some(bytes) => (bytes, false),
        None => {
            let Grant { bytes, zeroed } = Pages::over(Native).grant(pages(len, layout.align())?)?;
            prefer_large_pages(bytes.cast(), bytes.len());
            (bytes, zeroed)
        }
    };
    if FENCED {
        // Once they were touched as one, they can be one again when the fences are open.
        // SAFETY: the pages were just taken.
        unsafe { bytes.cast::<u8>().write(0) };
        // Refused, it is as good as without.
        // SAFETY: as above, and the first alone is touched next.
        unsafe { protect(inside(bytes.cast(), page()), bytes.len() - page(), false) };
        // SAFETY: as above.
        if !unsafe { protect(inside(bytes.cast(), offset), len - fence() - offset, true) } {
            let mut pool = pool();
            // SAFETY: the pages were just taken; the first is open.
            let payload = unsafe { pool.solos.insert(Solo::new(bytes, layout, mark)) };
            if let Some(solo) = pool.solos.find(payload.addr().get()).map(ptr::from_ref) {
                // SAFETY: just found, and the lock is held.
                let solo = unsafe { &*solo };
                pool.solos.remove(solo);
                pool.solos.keep(solo);
            }
            return Err(Cond::NoRoom);
        }
    }
    // SAFETY: the pages were just taken.
    Ok((unsafe { pool().solos.insert(Solo::new(bytes, layout, mark)) }, zeroed))
}

/// Takes a block back, and wipes it if it is tainted or that is asked; refused, it stays as it was.
///
/// # Safety
///
/// Nothing uses it any more.
pub(super) unsafe fn give(payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
    let solo: *const Solo = {
        let mut pool = pool();
        let solo: *const Solo = pool.solos.find(payload.addr().get()).ok_or(Cond::BadAddress)?;
        // SAFETY: just found, and the lock is held.
        pool.solos.remove(unsafe { &*solo });
        solo
    };
    // SAFETY: it is in no list and in no tree, so that it is this thread's alone.
    let solo = unsafe { &*solo };
    // SAFETY: the block's own bytes, used no more.
    unsafe { wipe_if(shred || solo.is_tainted(), solo.payload(), solo.open() - solo.offset) };
    let mut pool = pool();
    pool.solos.keep(solo);
    if !keeps() {
        pool.solos.expire(u64::MAX, 0);
    }
    Ok(())
}

/// Gives a block another length where it is or, if its bytes may stay behind, elsewhere; refused, it stays as it was.
///
/// # Safety
///
/// If the address returned is another, the old one is gone; nobody else uses the block meanwhile.
pub(super) unsafe fn change(payload: NonNull<u8>, size: usize) -> Result<NonNull<u8>, Cond> {
    let (before, needs) = {
        let mut pool = pool();
        let solo: *const Solo = pool.solos.find(payload.addr().get()).ok_or(Cond::BadAddress)?;
        // SAFETY: just found, and the lock is held.
        let solo = unsafe { &*solo };
        let needs = solo.needs(size).ok_or(Cond::BadSize)?;
        if needs <= solo.len() && (size >= solo.asked() || needs == solo.len()) {
            let (open, more) = (solo.open(), needs - fence());
            // SAFETY: the block's own pages.
            if FENCED && more > open && !unsafe { protect(inside(solo.range.block(), open), more - open, true) } {
                return Err(Cond::NoRoom);
            }
            solo.asked.set(size);
            pool.solos.look(solo);
            return Ok(payload);
        }
        pool.solos.remove(solo);
        // SAFETY: it is in no list and in no tree, so that it is this thread's alone.
        (unsafe { ptr::from_ref(solo).read() }, needs)
    };
    let (bytes, align) = (before.bytes(), before.align);
    // The system moves only what is all alike; and where it does not move it, all of it is copied.
    // SAFETY: the block's own pages.
    let is_open = !FENCED || unsafe { protect(bytes.cast(), bytes.len(), true) };
    let layouts = if is_open { pages(bytes.len(), align) } else { Err(Cond::NoRoom) };
    let layouts = layouts.and_then(|old| Ok((old, pages(needs, align)?)));
    // SAFETY: the block is ours, came from there with this layout, and the alignment is the same.
    let moved = layouts.and_then(|(old, new)| unsafe { Pages::over(Native).resize(bytes.cast(), old, new) });
    // What is to be shorter can stay where it is.
    let stays = needs <= bytes.len();
    let asked = if moved.is_ok() || stays { size } else { before.asked() };
    let place = moved.unwrap_or(bytes);
    let solo = Solo { range: Range::new(place.cast(), place.len()), asked: Var::new(asked), ..before };
    if FENCED {
        let (start, open) = (solo.range.block(), solo.open());
        // SAFETY: between the front and the payload nothing is.
        unsafe { protect(inside(start, page()), solo.offset - page(), false) };
        // SAFETY: nor behind the payload.
        unsafe { protect(inside(start, open), solo.len() - open, false) };
    }
    // SAFETY: the pages are the block's own.
    let payload = unsafe { pool().solos.insert(solo) };
    if stays { Ok(payload) } else { moved.map(|_| payload) }
}

/// Whether the block at an address, which is live, is tainted; no less if there is none.
pub(super) fn is_tainted(payload: NonNull<u8>) -> bool {
    pool().solos.find(payload.addr().get()).is_none_or(Solo::is_tainted)
}

//! What heaps, regions and pools take their blocks from.
//!
//! ```text
//!  what is taken   ├ Range ┤├ the block that the store gets …              ┤
//! ```
//!
//! Each block is registered by a range in front of it, so that an address in it finds the store; a fixed store's
//! bytes lie in its home, which is registered already.

use core::alloc::Layout;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use kmem::{Cond, Fixed, Global, Grant, MIN_ALIGN, Pages, Source};

use crate::entry::{Entry, grant_of_process};
use crate::registry::{self, Range, Within};

/// Where blocks come from.
pub enum From {
    /// The process heap.
    Process,
    /// Pages of the machine's.
    Pages,
    /// The rest of the caller's bytes.
    Fixed(Fixed<'static>),
    /// Another store.
    In(NonNull<Entry>),
}

impl From {
    pub fn fixed(bytes: &'static mut [MaybeUninit<u8>]) -> Self {
        Self::Fixed(Fixed::new(bytes))
    }
}

/// A store's source.
pub struct Src {
    owner: NonNull<Entry>,
    from: From,
}

/// In front of each block.
const FRONT: usize = size_of::<Range>().next_multiple_of(MIN_ALIGN);

impl Src {
    pub const fn new(owner: NonNull<Entry>, from: From) -> Self {
        Self { owner, from }
    }

    /// What is taken for a block: its layout, and how far into it the block begins.
    fn whole(layout: Layout) -> Result<(Layout, usize), Cond> {
        let align = layout.align().max(MIN_ALIGN);
        let front = FRONT.next_multiple_of(align);
        let size = layout.size().checked_add(front).ok_or(Cond::BadSize)?;
        Ok((Layout::from_size_align(size, align).map_err(|_| Cond::BadSize)?, front))
    }

    fn host(&self) -> Option<&Entry> {
        match &self.from {
            // SAFETY: a store in which another stands is not destroyed.
            From::In(host) => Some(unsafe { host.as_ref() }),
            _ => None,
        }
    }

    fn take(&self, whole: Layout) -> Result<Grant, Cond> {
        match &self.from {
            From::Process => grant_of_process(whole),
            From::Pages => Pages::new().grant(whole),
            From::Fixed(fixed) => fixed.grant(whole),
            // SAFETY: a store in which another stands is not destroyed.
            From::In(host) => unsafe { host.as_ref() }.grant(whole),
        }
    }

    /// # Safety
    ///
    /// What was taken with this layout, and is used no more.
    unsafe fn give_back(&self, whole: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        match &self.from {
            // SAFETY: the caller's promise.
            From::Process => unsafe { Source::free(&Global, whole, layout) },
            // SAFETY: the caller's promise.
            From::Pages => unsafe { Pages::new().free(whole, layout) },
            // SAFETY: the caller's promise.
            From::Fixed(fixed) => unsafe { fixed.free(whole, layout) },
            From::In(host) => {
                // SAFETY: a store in which another stands is not destroyed.
                let host = unsafe { host.as_ref() };
                // SAFETY: the caller's promise.
                unsafe { host.take_back(whole, layout) }
            }
        }
    }
}

// SAFETY: a block is a part of one of a source below that no other block has; it begins behind its range.
unsafe impl Source for Src {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.grant(layout).map(|grant| grant.bytes)
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        if let From::Fixed(fixed) = &self.from {
            return fixed.grant(layout);
        }
        let (whole, front) = Self::whole(layout)?;
        let Grant { bytes, zeroed } = self.take(whole)?;
        let (start, len) = (bytes.cast::<u8>(), bytes.len());
        // SAFETY: what was taken is longer than the front.
        let block = unsafe { start.add(front) };
        // SAFETY: and the front has room for the range at its end.
        let range = unsafe { block.sub(FRONT) }.cast::<Range>();
        let address = range.addr().get();
        // SAFETY: as above, aligned.
        unsafe { range.write(Range::new(self.owner, address, start.addr().get() + len)) };
        // SAFETY: the range stays until the block is given back.
        if let Err(cond) = unsafe { registry::register(range, &Within::Given(self.host())) } {
            // SAFETY: just taken, and unused.
            unsafe { self.give_back(start, whole) }?;
            return Err(cond);
        }
        Ok(Grant { bytes: NonNull::slice_from_raw_parts(block, len - front), zeroed })
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        if let From::Fixed(fixed) = &self.from {
            // SAFETY: the caller's promise.
            return unsafe { fixed.free(block, layout) };
        }
        let (whole, front) = Self::whole(layout)?;
        // SAFETY: a block begins this far into what was taken for it.
        let start = unsafe { block.sub(front) };
        // SAFETY: and its range stands right before it.
        let range = unsafe { block.sub(FRONT) }.cast::<Range>();
        // SAFETY: it was registered when the block was granted.
        unsafe { registry::forget(range) };
        // SAFETY: the caller's promise.
        let answer = unsafe { self.give_back(start, whole) };
        if answer.is_err() {
            // It was in until just now, so it can be in again.
            // SAFETY: what is refused is as it was.
            unsafe { registry::register(range, &Within::Given(self.host())) }?;
        }
        answer
    }

    fn largest(&self) -> Option<usize> {
        match &self.from {
            From::Process | From::Pages => None,
            From::Fixed(fixed) => fixed.largest(),
            // SAFETY: a store in which another stands is not destroyed.
            From::In(host) => unsafe { host.as_ref() }.largest().map(|largest| largest.saturating_sub(FRONT)),
        }
    }
}

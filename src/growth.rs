//! How a store's blocks grow: the first as asked, then each twice the last, within what there is.

use core::alloc::Layout;

use crate::cell::MIN_ALIGN;
use crate::{Cond, Grant, Source};

/// How large a store's blocks are to be, and how much it may hold in all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// Bytes of the first block; `usize::MAX` takes all that a bounded source has.
    pub(crate) first: usize,
    /// Blocks grow no further than this, unless a single request needs more.
    pub(crate) most: usize,
    /// Bytes that the store may hold in all.
    pub(crate) limit: usize,
}

impl Growth {
    pub(crate) const fn new(first: usize, most: usize) -> Self {
        Self { first, most, limit: usize::MAX }
    }

    /// Everything in one block: for a store in the caller's bytes.
    pub(crate) const fn whole() -> Self {
        Self::new(usize::MAX, usize::MAX)
    }

    /// How large the block after one of so many bytes is to be.
    #[inline]
    pub(crate) fn after(&self, last: usize) -> usize {
        // No overflow: a block is at most half of all addresses.
        (2 * last).min(self.most)
    }

    /// A block of at least `need` bytes for a store that holds `held` and whose last block had `last`.
    #[cold]
    pub(crate) fn take<S: Source>(&self, source: &S, need: usize, last: usize, held: usize) -> Result<Grant, Cond> {
        let wish = if last == 0 { self.first } else { self.after(last) };
        self.ask(source, need, wish, self.limit.saturating_sub(held))
    }

    /// A block of at least `need` bytes for a store that may hold `left` more.
    ///
    /// A block larger than needed is a wish: if the source refuses it, what is needed will do.
    #[cold]
    pub(crate) fn ask<S: Source>(&self, source: &S, need: usize, wish: usize, left: usize) -> Result<Grant, Cond> {
        if need > left {
            return Err(Cond::NoRoom);
        }
        let bound = source.largest().map_or(left, |largest| largest.min(left));
        let mut size = (wish.min(bound) & !(MIN_ALIGN - 1)).max(need);
        loop {
            let refused = match Layout::from_size_align(size, MIN_ALIGN) {
                Err(_) => Cond::BadSize,
                Ok(layout) => match source.grant(layout) {
                    Ok(grant) if grant.bytes.len() <= left => return Ok(grant),
                    // A source that gives more than was asked (whole pages) may take the store over its limit.
                    Ok(grant) => {
                        // SAFETY: just granted, and used by nobody.
                        if unsafe { source.free(grant.bytes.cast(), layout) }.is_err() {
                            // It would be lost: better a few pages over the limit than some each time.
                            return Ok(grant);
                        }
                        Cond::NoRoom
                    }
                    Err(refused) => refused,
                },
            };
            if size == need {
                return Err(refused);
            }
            size = need;
        }
    }
}

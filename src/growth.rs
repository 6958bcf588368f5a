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

    /// A block of at least `need` bytes for a store that holds `held` and whose last block had `last`.
    ///
    /// A block larger than needed is a wish: if the source has no room for it, what is needed will do.
    #[cold]
    pub(crate) fn take<S: Source>(&self, source: &S, need: usize, last: usize, held: usize) -> Result<Grant, Cond> {
        let left = self.limit.saturating_sub(held);
        if need > left {
            return Err(Cond::NoRoom);
        }
        let wish = if last == 0 { self.first } else { last.saturating_mul(2).min(self.most) };
        let bound = source.largest().unwrap_or(isize::MAX as usize / 2).min(left);
        let wish = (wish.min(bound) & !(MIN_ALIGN - 1)).max(need);
        let ask = |size| {
            let layout = Layout::from_size_align(size, MIN_ALIGN).map_err(|_| Cond::BadSize)?;
            let grant = source.grant(layout)?;
            // A source that gives more than was asked (whole pages) may take the store over its limit.
            if grant.bytes.len() > left {
                // SAFETY: just granted, and used by nobody.
                unsafe { source.free(grant.bytes.cast(), layout) }?;
                return Err(Cond::NoRoom);
            }
            Ok(grant)
        };
        match ask(wish) {
            Err(Cond::NoRoom | Cond::BadLock | Cond::TooMany) if wish > need => ask(need),
            answer => answer,
        }
    }
}

//! The front of a pool's cell.

use core::cell::Cell as Var;
use core::fmt;
use core::mem::offset_of;

use crate::cell::{MIN_ALIGN, State};
use crate::inspect::fields::{Field, Form, Front};

/// The front of a pool's cell (libk's `kmpoolcell`). Bare cells have only `last`, and only while they
/// are free; with headers it stands in front of the payload, two words long.
#[repr(C)]
pub struct PoolCell {
    /// Free: the cell freed before this one. Live, with headers: the cell handed out before this one,
    /// which may have been freed since.
    pub(super) last: Var<*const PoolCell>,
    pub(super) mark: Var<u8>,
    #[cfg(feature = "shred")]
    pub(super) shred: Var<u8>,
    pub(super) kind: Var<u8>,
}

const _: () = {
    assert!(size_of::<PoolCell>() == MIN_ALIGN);
    assert!(offset_of!(PoolCell, last) == 0);
};

/// What [`inspect::front`](crate::inspect::front) tells of a cell.
pub(crate) const FRONT: Front = Front {
    size: size_of::<PoolCell>(),
    fields: &[
        Field::word("last", offset_of!(PoolCell, last), Form::Link),
        Field::new("mark", offset_of!(PoolCell, mark), 1, Form::State),
        #[cfg(feature = "shred")]
        Field::new("shred", offset_of!(PoolCell, shred), 1, Form::Flag),
        Field::new("kind", offset_of!(PoolCell, kind), 1, Form::Kind),
    ],
};

impl PoolCell {
    pub(super) fn state(&self) -> Option<State> {
        State::from_number(self.mark.get())
    }

    /// Whether releasing the cell shreds it.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool, PoolCell, Store};
    ///
    /// let pool = Pool::with_headers_in(Layout::new::<u64>(), Pages::new());
    /// let cell = pool.alloc()?.cast();
    /// pool.taint_cell(cell)?;
    /// // SAFETY: a live cell's header stands right before it.
    /// let header = unsafe { cell.cast::<PoolCell>().sub(1).as_ref() };
    /// assert!(header.is_tainted());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn is_tainted(&self) -> bool {
        #[cfg(feature = "shred")]
        return self.shred.get() != 0;
        #[cfg(not(feature = "shred"))]
        false
    }
}

impl fmt::Debug for PoolCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolCell").field("last", &self.last).field("state", &self.state()).finish_non_exhaustive()
    }
}

//! Marks: places in a region to which it can be rewound.
//!
//! A mark is a record in the region itself, linked to the one before it. Rewinding looks for the
//! mark on that list and never reads through a mark that is not on it, so a foreign, stale or already
//! passed one is refused whatever it is.

use core::alloc::Layout;
use core::mem::offset_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use super::Lin;
use super::chunk::Chunk;
use crate::cell::{Layer, State};
use crate::inspect::fields::{Field, Form, Front};
use crate::seeded::seeded;
use crate::{Cond, Kind, Source};

/// A place in a linear region (libk has none; obstacks and Zig's arenas have).
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Lin, Pages};
///
/// let lin = Lin::new_in(Pages::new());
/// let before = lin.alloc(Layout::new::<u64>())?;
/// let mark = lin.mark()?;
/// lin.alloc(Layout::new::<[u8; 1000]>())?;
/// // SAFETY: what was allocated since the mark is used no more.
/// unsafe { lin.rewind(mark)? };           // `before` is still there
/// # Ok::<(), kmem::Cond>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    record: *const Record,
    serial: usize,
}

/// Numbers all marks of the process, so that no two are alike though regions come and go at one place.
static SERIAL: AtomicUsize = AtomicUsize::new(0);

/// What stands in the region for a mark.
#[repr(C)]
pub(super) struct Record {
    before: *const Record,
    serial: usize,
    chunk: *const Chunk,
    cursor: *mut u8,
}

/// What [`inspect::front`](crate::inspect::front) tells of a mark.
pub(crate) const FRONT: Front = Front {
    size: size_of::<Record>(),
    fields: &[
        Field::word("before", offset_of!(Record, before), Form::Link),
        Field::word("serial", offset_of!(Record, serial), Form::Number),
        Field::word("chunk", offset_of!(Record, chunk), Form::Link),
        Field::word("cursor", offset_of!(Record, cursor), Form::Link),
    ],
};

impl Mark {
    /// The address at which the mark stands in its region, behind the header of the cell that it takes; it may
    /// have been passed since.
    ///
    /// ```
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let (first, second) = (lin.mark()?, lin.mark()?);
    /// assert!(first.address() != second.address());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn address(&self) -> usize {
        self.record.addr()
    }
}

impl Mark {
    /// The mark as plain words, for languages that have no type for it.
    ///
    /// ```
    /// use kmem::{Lin, Mark, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let mark = lin.mark()?;
    /// let (place, serial) = mark.to_parts();
    /// assert_eq!(Mark::from_parts(place, serial), mark);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn to_parts(self) -> (*const (), usize) {
        (self.record.cast(), self.serial)
    }

    /// The mark of these words. Whatever they are, a region only goes back to a mark that it has.
    ///
    /// ```
    /// use core::ptr;
    /// use kmem::{Cond, Lin, Mark, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// // SAFETY: it is refused.
    /// assert_eq!(unsafe { lin.rewind(Mark::from_parts(ptr::null(), 7)) }, Err(Cond::BadAddress));
    /// ```
    #[must_use]
    pub const fn from_parts(place: *const (), serial: usize) -> Self {
        Self { record: place.cast(), serial }
    }
}

impl Record {
    pub(super) fn before(&self) -> *const Self {
        self.before
    }
}

impl<S: Source, H: Layer> Lin<S, H> {
    /// Marks where the region is now. The mark itself takes a cell.
    ///
    /// ```
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let mark = lin.mark()?;
    /// // SAFETY: nothing was allocated since.
    /// unsafe { lin.rewind(mark)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn mark(&self) -> Result<Mark, Cond> {
        let (chunk, cursor) = (self.chunk.get(), self.cursor.get());
        let place = self.bump(Layout::new::<Record>())?;
        if H::HEADERS {
            // A mark is no cell that anybody could release.
            self.header(place).set_kind(Kind::None);
            self.header(place).set_state(State::Live);
            if let Some(chunk) = self.newest() {
                chunk.live().clear(chunk.index(place.as_ptr()));
            }
        }
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let record = place.cast::<Record>();
        // SAFETY: the cell was just handed out for a record.
        unsafe { record.write(Record { before: self.marks.get(), serial, chunk, cursor }) };
        self.marks.set(record.as_ptr());
        Ok(Mark { record: record.as_ptr(), serial })
    }

    /// Releases every cell that was allocated since the mark, and the mark; marks after it are passed.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// let (stale, mark) = (lin.mark()?, lin.mark()?);
    /// lin.alloc(Layout::new::<[u8; 1000]>())?;
    /// // SAFETY: what was allocated since the mark is used no more.
    /// unsafe { lin.rewind(mark)? };
    /// lin.reset();
    /// // SAFETY: refused, since the region was reset.
    /// assert_eq!(unsafe { lin.rewind(stale) }, Err(Cond::BadAddress));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_address` for a mark of another region, from before a reset, or that was passed already; `in_use` while the
    /// region is walked; `fail_assert` if a header since was overwritten, as far as it shows: nothing is released.
    ///
    /// # Safety
    ///
    /// What was allocated since the mark is used no more.
    pub unsafe fn rewind(&self, mark: Mark) -> Result<(), Cond> {
        if self.frozen.get() {
            return Err(Cond::InUse);
        }
        let mut at = self.marks.get();
        let record = loop {
            let place = NonNull::new(at.cast_mut()).ok_or(Cond::BadAddress)?;
            // A link may have been overwritten, if a cell's header can be.
            if H::HEADERS && !(place.is_aligned() && self.holds(place.cast())) {
                return Err(Cond::FailAssert);
            }
            // SAFETY: a record of this region: it would be off the list had its place been rewound.
            let record = unsafe { place.as_ref() };
            if ptr::eq(record, mark.record) && record.serial == mark.serial {
                break record;
            }
            at = record.before;
        };
        let (before, chunk, cursor) = (record.before, record.chunk, record.cursor);
        if H::HEADERS {
            self.look_over_since(chunk, cursor)?;
        }
        self.note_peak();
        if !seeded("mark_outlives_its_rewind") {
            self.marks.set(before);
        }
        self.unwind(chunk, cursor);
        Ok(())
    }
}

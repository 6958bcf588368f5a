//! Cells of other owners that were freed here wait until they are worth the way home.

use core::cell::Cell as Var;
use core::ptr;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::{Class, Local, Mark, NONE, Span, mail};

/// How many spans' cells wait at a time.
const PARCELS: usize = 32;
/// How many cells of one span wait, and how many bytes of all.
const PARCEL: u16 = 64;
const WAITING: usize = 256 << 10;

/// A chain of marks of cells of one span. All zero, there is none.
struct Parcel {
    span: Var<*const Span>,
    /// The first of them, and the mark of the last, which leads nowhere yet.
    first: Var<u16>,
    count: Var<u16>,
    last: Var<*const Mark>,
}

/// Cells that wait, by their span's place in its segment; and how many bytes came since all were sent.
pub(super) struct Parcels {
    each: [Parcel; PARCELS],
    waiting: Var<usize>,
}

impl Parcel {
    /// Sends the cells home, if there are any, and lets somebody look into the owner's mail.
    #[inline(never)]
    fn send(&self, look: fn(&Local)) {
        // SAFETY: null or a span with cells that its owner has not taken in: it is there.
        let Some(span) = (unsafe { self.span.replace(ptr::null()).as_ref() }) else { return };
        // SAFETY: a span's owner stays for ever, where others free its cells.
        let owner = unsafe { &*span.owner() };
        // SAFETY: the mark of such a cell.
        let last = unsafe { &*self.last.get() };
        if mail::send(span, self.first.get(), last, u32::from(self.count.get()), owner.mail()) {
            look(owner);
        }
    }
}

impl Parcels {
    /// Takes a cell of another owner's span, to send it home with others of that span. About [`WAITING`] bytes wait at
    /// most, until more come or all are sent.
    ///
    /// # Safety
    ///
    /// It is a cell of that span, which has this class, with that mark, and not used any more.
    #[expect(clippy::cast_possible_truncation, reason = "units of a span are fewer than 2^15")]
    pub(super) unsafe fn post(&self, span: &Span, class: Class, cell: NonNull<u8>, mark: &Mark, look: fn(&Local)) {
        let parcel = &self.each[span.slice() % PARCELS];
        if ptr::eq(parcel.span.get(), span) {
            // Release: the owner may take the cell's page away once it sees by its mark that nobody uses it.
            mark.store(parcel.first.get(), Ordering::Release);
            parcel.count.set(parcel.count.get() + 1);
        } else {
            parcel.send(look);
            mark.store(NONE, Ordering::Release);
            parcel.span.set(span);
            parcel.count.set(1);
            parcel.last.set(mark);
        }
        parcel.first.set(span.unit_of(cell) as u16);
        let waiting = self.waiting.get() + class.size();
        self.waiting.set(waiting);
        if waiting >= WAITING {
            self.send_all(look);
        } else if parcel.count.get() == PARCEL {
            parcel.send(look);
        }
    }

    /// Sends home what waits.
    #[cold]
    pub(super) fn send_all(&self, look: fn(&Local)) {
        if self.waiting.replace(0) > 0 {
            self.each.iter().for_each(|parcel| parcel.send(look));
        }
    }
}

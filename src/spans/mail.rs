//! How a cell that another thread freed comes home.
//!
//! ```text
//!  who frees                                       the owner
//!  marks of some cells ─► the span's remote list   takes its mail: all of it, at once
//!  the first ones: the span ─► the owner's mail    of each span the remote list: all of it, at once
//! ```
//!
//! Who frees sends the cells of a span together where it can ([`Local::post`](super::Local::post)), since each exchange
//! costs as much as many plain writes (as snmalloc does). Both are stacks that are only pushed to and emptied, so that no element can come back between a look and an
//! exchange. A span is in the mail if and only if its remote list is not empty (or about to be put there by who made
//! it so), and its cells there count as used: so it cannot go while somebody still has it in hand.

use core::ptr::{self, NonNull};

use super::atomic::{AtomicPtr, AtomicU16, AtomicU32, Ordering};

/// A remote list with nothing on it: no cell is so far into its span.
pub(super) const EMPTY: u32 = 0x7fff;

/// What is put into the mail: a span.
pub(super) trait Letter: Sized {
    /// Freed by others and not yet taken in: the first in the lower half, how many in the upper.
    fn list(&self) -> &AtomicU32;
    /// The next in the mail.
    fn next(&self) -> &AtomicPtr<Self>;
}

#[cfg_attr(not(feature = "platform"), allow(dead_code, reason = "other threads free cells of the process heap only"))]
/// Puts a chain of so many cells on their span's remote list, and perhaps the span into the mail of its owner: by the
/// first and the mark of the last, which is to lead on.
///
/// Whether it was put there: somebody is to look.
#[expect(clippy::cast_possible_truncation, reason = "a half of a word")]
pub(super) fn send<L: Letter>(span: &L, first: u16, last: &AtomicU16, count: u32, mail: &AtomicPtr<L>) -> bool {
    let mut old = span.list().load(Ordering::Relaxed);
    loop {
        // Release: as in a parcel.
        last.store(old as u16, Ordering::Release);
        let new = u32::from(first) | (((old >> 16) + count) << 16);
        // Acquire: who finds the list empty comes after the owner's reading of the link, and after who wrote that.
        match span.list().compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => old = now,
        }
    }
    if old != EMPTY {
        return false;
    }
    let this = ptr::from_ref(span).cast_mut();
    let mut next = mail.load(Ordering::Relaxed);
    loop {
        span.next().store(next, Ordering::Relaxed);
        match mail.compare_exchange_weak(next, this, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => next = now,
        }
    }
}

/// Takes all mail: for each span the first of its cells, and how many they are.
#[expect(clippy::cast_possible_truncation, reason = "a half of a word")]
pub(super) fn receive<'a, L: Letter + 'a>(mail: &AtomicPtr<L>, mut each: impl FnMut(&'a L, u16, u32)) {
    let mut next = NonNull::new(mail.swap(ptr::null_mut(), Ordering::Acquire));
    while let Some(span) = next {
        // SAFETY: what is in the mail is a span with cells that its owner has not taken in: it is there.
        let span: &L = unsafe { span.as_ref() };
        // Once the list is empty, somebody may put the span into the mail again: the link is read before.
        next = NonNull::new(span.next().load(Ordering::Relaxed));
        let list = span.list().swap(EMPTY, Ordering::AcqRel);
        each(span, list as u16, list >> 16);
    }
}

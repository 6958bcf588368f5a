//! Another order for the free cells of a span: one that nobody can foretell who does not know the dice.

use core::sync::atomic::Ordering;

use super::{Mark, NONE, Span};
use crate::cell::MIN_ALIGN as UNIT;

/// Puts all cells of a new span on its list in an order by dice, which tell a number below another.
///
/// Sattolo's shuffle: of all orders in which each cell leads to another and the last to the first, each is as likely.
/// That ring is then cut anywhere. It needs no room but the marks.
#[expect(clippy::cast_possible_truncation, reason = "units of a span are fewer than 2^15")]
pub(crate) fn shuffle(span: &Span, mut below: impl FnMut(u32) -> u32) {
    let cells = span.cells() as u32;
    let Some(class) = span.class() else { return };
    let step = class.size() / UNIT;
    // SAFETY: the numbers are less than how many cells there are.
    let link = |cell: u32| -> &Mark { unsafe { span.mark(cell as usize * step, class) } };
    for cell in 0..cells {
        link(cell).store((cell as usize * step) as u16, Ordering::Relaxed);
    }
    for cell in (1..cells).rev() {
        let (one, other) = (link(cell), link(below(cell).min(cell - 1)));
        let next = one.load(Ordering::Relaxed);
        one.store(other.load(Ordering::Relaxed), Ordering::Relaxed);
        other.store(next, Ordering::Relaxed);
    }
    let last = link(below(cells).min(cells - 1));
    span.free().set(last.load(Ordering::Relaxed));
    last.store(NONE, Ordering::Relaxed);
    span.linked_all();
}

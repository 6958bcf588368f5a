//! Whether the structure holds.

use core::ptr;
use core::sync::atomic::Ordering;

use super::segment::{Segment, Span, Spans};
use super::{Class, Ground, LIVE, Local, NONE};
use crate::cell::MIN_ALIGN as UNIT;
use crate::report::{Broken, rule};

impl Local {
    /// Proves the structure of everything owned.
    pub(crate) fn check<G: Ground>(&self) -> Result<(), Broken> {
        let (mut held, mut out, mut answer) = (0, 0, Ok(()));
        for segment in self.segments() {
            held += G::SEGMENT;
            Spans::<G>::each(segment, &mut |_, _, span| {
                out += span.map_or(0, |span| span.used().get() as usize);
                if let (Some(span), Ok(())) = (span, answer) {
                    answer = self.check_span::<G>(span, segment);
                }
            });
            answer?;
        }
        rule(held == self.held.get(), "segments are counted", ptr::from_ref(self))?;
        let mut counted = self.runs.out.get() as usize;
        for class in Class::all() {
            let bin = class.of_each(&self.bins);
            counted += bin.count.out.get() as usize;
            out += bin.ready();
            // SAFETY: null or a span of this owner.
            let mut next = unsafe { bin.partial.get().as_ref() };
            let mut prev = ptr::null();
            while let Some(span) = next {
                rule(ptr::eq(span.prev.get(), prev), "links of spans agree", span)?;
                rule(span.is_of(class), "a span is on the list of its class", span)?;
                prev = ptr::from_ref(span);
                // SAFETY: as above.
                next = unsafe { span.next.get().as_ref() };
            }
        }
        rule(out == counted, "cells are counted", ptr::from_ref(self))
    }

    /// Whether the marks of a span and its lists agree.
    fn check_span<G: Ground>(&self, span: &Span, segment: &Segment) -> Result<(), Broken> {
        let at = ptr::from_ref(span);
        rule(ptr::eq(span.owner(), self), "a span has its owner", at)?;
        if span.is_run() {
            rule(span.asked().get() <= span.slices() * G::SLICE, "a run holds what was asked", at)?;
            return rule(span.used().get() == 1, "a run is used", at);
        }
        let Some(class) = span.class() else { return rule(false, "a span has a class", at) };
        let bin = class.of_each(&self.bins);
        let end = segment.base().addr().get() + (span.slice() + span.slices()) * G::SLICE;
        rule(span.data().addr() + span.cells() * class.size() <= end, "cells lie in their span", at)?;
        let (mut free, mut unit) = (0, span.free().get());
        while unit != NONE {
            free += 1;
            rule(free <= span.cells(), "a list of free cells has no loop", at)?;
            let cell = span.data().addr() + unit as usize * UNIT;
            let Some(mark) = span.mark_at(cell) else { return rule(false, "a free cell is a cell", at) };
            unit = mark.load(Ordering::Relaxed);
            rule(unit & LIVE == 0, "a free cell is not live", at)?;
        }
        rule(free == span.on_list() as usize, "a span counts its cells", at)?;
        let live = (0..span.cells()).filter(|cell| {
            let at = span.data().addr() + cell * class.size();
            span.mark_at(at).is_some_and(|mark| mark.load(Ordering::Relaxed) & LIVE != 0)
        });
        // SAFETY: a hot cell lies in a span of this owner.
        let hot = bin.all().filter(|hot| ptr::eq(unsafe { Spans::<G>::span_of(hot.cell.as_ptr()) }, span));
        rule(G::SHARED || live.count() + hot.count() == span.used().get() as usize, "what is used is live", at)?;
        let current = bin.is_current(span);
        rule(!(current && span.listed().get()), "the current span is on no list", at)?;
        let full = span.used().get() as usize == span.cells();
        rule(current || span.listed().get() != full, "a span with free cells is on its list", at)
    }
}

//! Walking a region: for `inspect`, `check` and figures.

use core::cell::Cell as Var;
use core::ptr::{self, NonNull};

use super::chunk::Chunk;
use super::{Lin, MIN_ALIGN};
use crate::cell::{Cell, Layer, State, round_up};
use crate::inspect::{Freeze, Inspect, Record, What};
use crate::report::rule;
use crate::{Broken, Cond, Kind, Source};

/// The header at a place where the walk says that one is, and the bytes from it to the next, if there are no more than
/// `left`; `None` if it was overwritten, as far as it shows.
pub(super) fn step<'a>(at: *mut u8, left: usize) -> Option<(&'a Cell, usize)> {
    // SAFETY: in a region with headers, one stands at a chunk's first cell and behind each cell's extent.
    let header: &Cell = unsafe { &*at.cast() };
    let (kind, _) = (header.kind()?, header.state()?);
    let payload = header.size().checked_sub(size_of::<Cell>()).filter(|payload| *payload <= left)?;
    let padding = payload == 0 && kind == Kind::None;
    let extent = size_of::<Cell>() + if padding { 0 } else { round_up(payload) };
    if extent <= left { Some((header, extent)) } else { None }
}

impl<S: Source, H: Layer> Lin<S, H> {
    /// The chunks in use, newest first, each with where its cells end.
    fn chunks(&self) -> impl Iterator<Item = (&Chunk, *mut u8)> {
        let mut next = self.newest().map(|chunk| (chunk, self.cursor.get()));
        core::iter::from_fn(move || {
            let this = next?;
            next = this.0.before();
            Some(this)
        })
    }

    /// Live cells; for a bare region, which does not know them, chunks with something in them.
    pub(super) fn count_live(&self) -> usize {
        let mut live = 0;
        for (chunk, end) in self.chunks() {
            if H::HEADERS {
                Self::each_cell(chunk.first(), end, |_, at, _| {
                    live += usize::from(chunk.is_live(at.wrapping_add(size_of::<Cell>())));
                });
            } else {
                live += usize::from(end != chunk.first());
            }
        }
        live
    }

    /// Visits the headers from one to where cells end, each with its extent. Gives where it came to: that is before
    /// the end if the header there was overwritten.
    pub(super) fn each_cell(from: *mut u8, end: *mut u8, mut visit: impl FnMut(&Cell, *mut u8, usize)) -> *mut u8 {
        let mut at = from;
        while at.addr() < end.addr()
            && let Some((header, extent)) = step(at, end.addr() - at.addr())
        {
            visit(header, at, extent);
            at = at.wrapping_add(extent);
        }
        at
    }

    /// Whether no header behind a place was overwritten, as far as it shows; null is before all chunks.
    pub(super) fn look_over_since(&self, place: *const Chunk, cursor: *mut u8) -> Result<(), Cond> {
        for (chunk, end) in self.chunks() {
            let last = ptr::eq(chunk, place);
            let from = if last { cursor } else { chunk.first() };
            let inside = chunk.first().addr() <= from.addr() && from.addr() <= end.addr();
            if !inside || Self::each_cell(from, end, |_, _, _| {}) != end {
                return Err(Cond::FailAssert);
            }
            if last {
                return Ok(());
            }
        }
        if place.is_null() { Ok(()) } else { Err(Cond::FailAssert) }
    }

    /// Whether an address lies among the cells, live or released.
    pub(crate) fn holds(&self, address: NonNull<u8>) -> bool {
        let address = address.addr().get();
        self.chunks().any(|(chunk, end)| chunk.first().addr() <= address && address < end.addr())
    }

    /// Proves the region's structure: chunks, cursor, marks, and every header.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// lin.alloc(Layout::new::<u64>())?;
    /// lin.check().expect("nobody wrote over it");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that does not hold, and where.
    pub fn check(&self) -> Result<(), Broken> {
        let (cursor, limit) = (self.cursor.get(), self.limit.get());
        rule(cursor.is_null() == self.chunk.get().is_null(), "a region with a chunk has a cursor", cursor)?;
        let mut bytes = 0;
        for (chunk, end) in self.chunks() {
            let (first, last) = (chunk.first().addr(), chunk.end().addr());
            rule(end.addr().is_multiple_of(MIN_ALIGN), "cells end at a unit", end)?;
            rule(first <= end.addr() && end.addr() <= last, "cells lie in their chunk", end)?;
            if end == cursor {
                rule(limit == chunk.end(), "the limit is the newest chunk's end", limit)?;
            }
            bytes += end.addr() - first;
            if H::HEADERS {
                let found = self.ranges.find(first);
                rule(found == Some(chunk.start()), "the chunk is found by its address", chunk.first())?;
                self.check_cells(chunk, end)?;
            }
        }
        rule(bytes == self.used_bytes(), "bytes before the cursor are counted", cursor)?;
        let held = self.chunks().map(|(chunk, _)| chunk).chain(self.spare_chunks()).map(Chunk::size).sum();
        rule(self.held() == held, "bytes held from the source are counted", cursor)?;
        let mut mark = self.marks.get();
        while !mark.is_null() {
            let home =
                self.chunks().any(|(chunk, end)| chunk.first().addr() <= mark.addr() && mark.addr() < end.addr());
            rule(home, "a mark lies in the region", mark)?;
            // SAFETY: it lies in the region, and records there are on the list until rewound.
            mark = unsafe { &*mark }.before();
        }
        Ok(())
    }

    fn check_cells(&self, chunk: &Chunk, end: *mut u8) -> Result<(), Broken> {
        let mut at = chunk.first();
        while at.addr() < end.addr() {
            let live = chunk.is_live(at.wrapping_add(size_of::<Cell>()));
            let Some((header, extent)) = step(at, end.addr() - at.addr()) else {
                return rule(false, "a header is whole, and its cell lies in the chunk", at);
            };
            rule(!live || header.state() == Some(State::Live), "a live cell's header says so", at)?;
            rule(live == (header.kind() != Some(Kind::None)), "what is live has a kind", at)?;
            at = at.wrapping_add(extent);
        }
        rule(ptr::eq(at, end), "the last cell ends at the cursor", at)
    }
}

impl<S: Source, H: Layer> Inspect for Lin<S, H> {
    fn kind(&self) -> Kind {
        Kind::Lin
    }

    fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
        /// Gives the region its room back.
        struct Limit<'l>(&'l Var<*mut u8>, *mut u8);
        impl Drop for Limit<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _frozen = Freeze::new(&self.frozen);
        let _limit = Limit(&self.limit, self.limit.replace(self.cursor.get()));
        // Spare chunks come last, with nothing in them.
        let spare = self.spare_chunks().map(|chunk| (chunk, chunk.first()));
        for (number, (chunk, end)) in self.chunks().chain(spare).enumerate() {
            let (start, first) = (chunk.start().addr().get(), chunk.first().addr());
            let record = Record { block: number, ..Record::new(start, chunk.size(), What::Block) };
            visit(&record);
            visit(&Record { block: number, ..Record::new(start, first - start, What::Header) });
            if H::HEADERS {
                Self::each_cell(chunk.first(), end, |header, at, extent| {
                    let live = chunk.is_live(at.wrapping_add(size_of::<Cell>()));
                    let what = match header.state() {
                        _ if live => What::Used,
                        Some(State::Live) => What::Mark,
                        Some(State::Shredded) => What::Shredded,
                        _ => What::Hole,
                    };
                    let cell = Record {
                        block: number,
                        kind: header.kind().unwrap_or(Kind::Fail),
                        tainted: header.is_tainted(),
                        payload: header.size() - size_of::<Cell>(),
                        header: size_of::<Cell>(),
                        ..Record::new(at.addr(), extent, what)
                    };
                    visit(&cell);
                });
            } else if end != chunk.first() {
                let run =
                    Record { block: number, kind: Kind::Lin, ..Record::new(first, end.addr() - first, What::Used) };
                visit(&run);
            }
            // With what a source gave beyond whole units, which no cell can use.
            let free = start + chunk.size() - end.addr();
            if free > 0 {
                visit(&Record { block: number, ..Record::new(end.addr(), free, What::Fresh) });
            }
        }
    }
}

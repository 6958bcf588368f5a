//! What one thread owns: segments, spans by class, and cells of each class at hand.

use core::cell::Cell as Var;
use core::ptr::{self, NonNull};
#[cfg(feature = "platform")]
use core::sync::atomic::fence;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize, Ordering};

use super::bin::{Bin, Count, Hot};
#[cfg(feature = "platform")]
use super::is_idle;
use super::parcel::Parcels;
use super::segment::{Segment, Span, Spans};
use super::{CLASSES, Class, Ground, Mark, NONE, Seen, mail};
use crate::Cond;
#[cfg(feature = "platform")]
use crate::cell::MIN_ALIGN as UNIT;
use crate::cell::inside;
use crate::poison::{hide, show};

/// What one thread at a time uses. All zero, it owns nothing.
#[repr(C, align(64))]
pub(crate) struct Local {
    pub(super) bins: [Bin; CLASSES],
    /// The cell that was handed out last.
    latest: Var<*mut u8>,
    /// Runs.
    pub(super) runs: Count,
    /// Segments with free slices.
    roomy: Var<*const Segment>,
    /// Segments without.
    full: Var<*const Segment>,
    /// A segment that is all free, kept for the next need.
    spare: Var<*const Segment>,
    /// Bytes of all segments.
    pub(super) held: Var<usize>,
    /// Bytes of all cells that are live or at hand, as [`Count`] counts them.
    bytes: Var<usize>,
    /// The most bytes that there were.
    peak: Seen<AtomicUsize>,
    /// For the ground: when it was last asked what is due.
    pub(crate) stamp: Var<u64>,
    pub(crate) ticks: Var<u32>,
    /// For the ground: what it has beside.
    #[cfg(feature = "hardened")]
    pub(crate) beside: Var<*const ()>,
    /// Cells of others that wait.
    parcels: Parcels,
    /// Spans with cells that others freed.
    mail: AtomicPtr<Span>,
    /// For the ground: whose it is, and the next of all.
    pub(crate) state: AtomicU8,
    pub(crate) sibling: AtomicPtr<Local>,
}

/// Sums over all spans.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) live: usize,
    pub(crate) bytes: usize,
}

impl Local {
    /// One that owns nothing, in memory that is all zero.
    ///
    /// # Safety
    ///
    /// The memory is the caller's, long and aligned enough, zeroed, and stays as long as what is returned is used; until
    /// then nobody uses it but through that.
    pub(crate) const unsafe fn found<'a>(zeroed: NonNull<Self>) -> &'a Self {
        // SAFETY: the caller's promise; all fields are numbers, pointers that may be null, and what may be anything.
        unsafe { zeroed.as_ref() }
    }

    #[inline(always)]
    fn bin(&self, class: Class) -> &Bin {
        class.of_each(&self.bins)
    }

    /// A cell of a class from what is at hand, if anything is.
    #[inline(always)]
    pub(crate) fn take(&self, class: Class, mark: u16) -> Option<NonNull<u8>> {
        let hot = self.bin(class).take(class)?;
        self.latest.set(hot.cell.as_ptr());
        // SAFETY: a hot cell's mark lies in its segment, which is there as long as a cell of it is not on a list.
        unsafe { &*hot.mark }.store(mark, Ordering::Relaxed);
        Some(hot.cell)
    }

    /// The same, when nothing is at hand.
    #[cold]
    #[inline(never)]
    pub(crate) fn take_more<G: Ground>(&self, ground: &G, class: Class, mark: u16) -> Result<NonNull<u8>, Cond> {
        let mut more = self.bin(class).current().map_or(0, Span::link);
        if more == 0 {
            more = self.advance(ground, class)?;
        }
        self.count(class, more);
        self.take(class, mark).ok_or(Cond::FailAssert)
    }

    /// Notes that there are more cells of a class that are live or at hand.
    fn count(&self, class: Class, cells: u32) {
        self.bin(class).count.add(cells);
        self.add_bytes(cells as usize * class.size());
    }

    fn add_bytes(&self, bytes: usize) {
        let now = self.bytes.get() + bytes;
        self.bytes.set(now);
        self.peak.set(self.peak.get().max(now));
    }

    /// Makes another span the current one of a class, which has none with a free cell; how many are on its list that
    /// are not counted yet.
    fn advance<G: Ground>(&self, ground: &G, class: Class) -> Result<u32, Cond> {
        ground.tick(self);
        let bin = self.bin(class);
        // What came to the current span is counted already.
        if G::SHARED && self.receive(ground) && bin.ready() > 0 {
            return Ok(0);
        }
        // SAFETY: null or a span of this owner.
        let next = match unsafe { bin.partial.get().as_ref() } {
            Some(span) => {
                self.unlist(span, class);
                span
            }
            None => {
                let slices = Spans::<G>::slices(class.size());
                let (span, zeroed) = self.claim(ground, slices)?;
                Spans::<G>::fill(span, self, slices, class, zeroed);
                ground.arrange(self, span);
                // SAFETY: a span has a first cell.
                hide(unsafe { span.cell(0) }, span.cells() * class.size());
                span
            }
        };
        // The old one is full, and on no list until a cell of it comes back.
        bin.set_current(Some(next), class);
        Ok(if next.free().get() == NONE { next.link() } else { next.begin() })
    }

    /// Takes a cell of a class back, which is of a span of this owner and not used any more.
    ///
    /// # Safety
    ///
    /// So it is, and the mark is its.
    #[inline(always)]
    pub(crate) unsafe fn give<G: Ground>(&self, ground: &G, span: &Span, class: Class, cell: NonNull<u8>, mark: &Mark) {
        if self.bin(class).keep(Hot { cell, mark }, self.latest.get() == cell.as_ptr()) {
            mark.store(NONE, Ordering::Relaxed);
        } else {
            self.push(ground, span, class, cell, mark);
        }
    }

    /// Puts all cells of a class that are at hand on the lists of their spans.
    #[cfg(feature = "platform")]
    fn spill<G: Ground>(&self, ground: &G, class: Class) {
        for Hot { cell, mark } in self.bin(class).all() {
            // SAFETY: a hot cell lies in a span of this owner.
            let span = unsafe { Spans::<G>::span_of(cell.as_ptr()) };
            // SAFETY: its mark is there as long as it is.
            self.push(ground, span, class, cell, unsafe { &*mark });
        }
        self.bin(class).clear();
    }

    /// Notes that so many cells of a class are neither live nor at hand any more.
    #[inline(always)]
    fn forget(&self, class: Class, cells: u32) {
        self.bin(class).count.sub(cells);
        self.bytes.set(self.bytes.get() - cells as usize * class.size());
    }

    /// Puts a cell on the list of its span.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "units of a span are fewer than 2^15")]
    fn push<G: Ground>(&self, ground: &G, span: &Span, class: Class, cell: NonNull<u8>, mark: &Mark) {
        let first = span.free().replace(span.unit_of(cell) as u16);
        mark.store(first, Ordering::Relaxed);
        let used = span.used().get() - 1;
        span.used().set(used);
        span.stale().set(true);
        if self.bin(class).is_current(span) {
            return;
        }
        self.forget(class, 1);
        if first == NONE || used == 0 {
            self.settle(ground, span, class);
        }
    }

    /// A span that is not the current one has free cells again, or no others any more.
    #[cold]
    #[inline(never)]
    fn settle<G: Ground>(&self, ground: &G, span: &Span, class: Class) {
        if span.used().get() == 0 {
            if span.listed().get() {
                self.unlist(span, class);
            }
            self.release(ground, span);
        } else if !span.listed().get() {
            self.list(span, class);
        }
    }

    fn list(&self, span: &Span, class: Class) {
        let head = &self.bin(class).partial;
        span.next.set(head.get());
        span.prev.set(ptr::null());
        // SAFETY: null or a span of this owner.
        if let Some(next) = unsafe { head.get().as_ref() } {
            next.prev.set(span);
        }
        head.set(span);
        span.listed().set(true);
    }

    fn unlist(&self, span: &Span, class: Class) {
        let (next, prev) = (span.next.get(), span.prev.get());
        // SAFETY: null or a span on the same list.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.set(next),
            None => self.bin(class).partial.set(next),
        }
        // SAFETY: as above.
        if let Some(next) = unsafe { next.as_ref() } {
            next.prev.set(prev);
        }
        span.listed().set(false);
    }

    #[cfg(feature = "platform")]
    /// A cell that is a run of slices, and whether it is known to be zero.
    pub(crate) fn take_run<G: Ground>(
        &self,
        ground: &G,
        asked: usize,
        align: usize,
        mark: u16,
    ) -> Result<(NonNull<u8>, bool), Cond> {
        ground.tick(self);
        if G::SHARED {
            self.receive(ground);
        }
        let slices = asked.max(1).div_ceil(G::SLICE);
        let (span, zeroed) = self.claim(ground, slices)?;
        Spans::<G>::fill_run(span, self, slices, asked, align, mark);
        self.runs.add(1);
        self.add_bytes(slices * G::SLICE);
        // SAFETY: a run is its first cell.
        Ok((unsafe { span.cell(0) }, zeroed))
    }

    #[cfg(feature = "platform")]
    /// Gives a run another length where it is, if that can be.
    ///
    /// # Safety
    ///
    /// It is a live run of this owner, and what is behind its new length is used no more.
    pub(crate) unsafe fn change_run<G: Ground>(&self, span: &Span, asked: usize) -> bool {
        let (old, new) = (span.slices(), asked.max(1).div_ceil(G::SLICE));
        let segment = span.segment::<G>();
        if new > old {
            if !Spans::<G>::extend(span, new) {
                return false;
            }
            if ptr::eq(self.spare.get(), segment) {
                self.spare.set(ptr::null());
            }
            if segment.free_slices() == 0 {
                self.unlink(&self.roomy, segment);
                self.link(&self.full, segment);
            }
        } else if new < old && Spans::<G>::release(span, new) {
            self.unlink(&self.full, segment);
            self.link(&self.roomy, segment);
        }
        span.asked().set(asked);
        self.bytes.set(self.bytes.get() - old * G::SLICE);
        self.add_bytes(new * G::SLICE);
        true
    }

    #[cfg(feature = "platform")]
    /// Takes a run back.
    ///
    /// # Safety
    ///
    /// It is a live run of this owner, with its mark, and not used any more.
    pub(crate) unsafe fn give_run<G: Ground>(&self, ground: &G, span: &Span, mark: &Mark) {
        mark.store(NONE, Ordering::Relaxed);
        span.used().set(0);
        self.count_run::<G>(span);
        self.release(ground, span);
    }

    /// Notes that a run is no cell any more.
    fn count_run<G: Ground>(&self, span: &Span) {
        self.runs.sub(1);
        self.bytes.set(self.bytes.get() - span.slices() * G::SLICE);
    }

    /// Takes slices from a segment with room, or a new one.
    fn claim<G: Ground>(&self, ground: &G, slices: usize) -> Result<(&Span, bool), Cond> {
        // SAFETY: null or a segment of this owner.
        let mut next = unsafe { self.roomy.get().as_ref() };
        let (segment, claimed) = loop {
            match next {
                Some(segment) => match Spans::<G>::claim(segment, slices) {
                    Some(claimed) => break (segment, claimed),
                    None => next = segment.next(),
                },
                None => {
                    let segment = ground.segment()?;
                    self.held.set(self.held.get() + G::SEGMENT);
                    self.link(&self.roomy, segment);
                    break (segment, Spans::<G>::claim(segment, slices).ok_or(Cond::FailAssert)?);
                }
            }
        };
        if ptr::eq(self.spare.get(), segment) {
            self.spare.set(ptr::null());
        }
        if segment.free_slices() == 0 {
            self.unlink(&self.roomy, segment);
            self.link(&self.full, segment);
        }
        Ok(claimed)
    }

    /// Gives a span's slices back to its segment, and perhaps the segment to the ground.
    fn release<G: Ground>(&self, ground: &G, span: &Span) {
        let segment = span.segment::<G>();
        let slices = span.slices();
        show(inside(segment.base(), span.slice() * G::SLICE), slices * G::SLICE);
        if ground.alone(|| Spans::<G>::release(span, 0)) {
            self.unlink(&self.full, segment);
            self.link(&self.roomy, segment);
        }
        if segment.free_slices() != Spans::<G>::ALL || ptr::eq(self.spare.get(), segment) {
            return;
        }
        if self.spare.get().is_null() {
            self.spare.set(segment);
            return;
        }
        // Refused, it stays with its room.
        let _ = self.let_go(ground, segment);
    }

    /// Gives a segment with nothing in it to the ground.
    fn let_go<G: Ground>(&self, ground: &G, segment: &Segment) -> Result<(), Cond> {
        self.unlink(&self.roomy, segment);
        // SAFETY: it came from there, and all its slices are free.
        if let Err(cond) = unsafe { ground.give_back(segment.base()) } {
            self.link(&self.roomy, segment);
            return Err(cond);
        }
        self.held.set(self.held.get() - G::SEGMENT);
        Ok(())
    }

    fn link(&self, head: &Var<*const Segment>, segment: &Segment) {
        segment.next.set(head.get());
        segment.prev.set(ptr::null());
        if let Some(next) = segment.next() {
            next.prev.set(segment);
        }
        head.set(segment);
    }

    fn unlink(&self, head: &Var<*const Segment>, segment: &Segment) {
        let (next, prev) = (segment.next.get(), segment.prev.get());
        // SAFETY: null or a segment on the same list.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.set(next),
            None => head.set(next),
        }
        if let Some(next) = segment.next() {
            next.prev.set(prev);
        }
    }

    /// Hands a cell of this owner's back from another thread; whether somebody should look into the mail.
    ///
    /// # Safety
    ///
    /// It is a cell of that span, with that mark, and not used any more.
    #[cfg(feature = "platform")]
    #[expect(clippy::cast_possible_truncation, reason = "units of a span are fewer than 2^15")]
    pub(crate) unsafe fn send(&self, span: &Span, cell: NonNull<u8>, mark: &Mark) -> bool {
        mail::send(span, span.unit_of(cell) as u16, mark, 1, &self.mail)
    }

    /// Spans with cells that others freed.
    pub(super) const fn mail(&self) -> &AtomicPtr<Span> {
        &self.mail
    }

    /// Takes a cell of another owner's span, to send it home with others of that span, at the latest when this local is
    /// flushed.
    ///
    /// # Safety
    ///
    /// It is a cell of that span, which has this class, with that mark, and not used any more.
    #[cfg(feature = "platform")]
    pub(crate) unsafe fn post(&self, span: &Span, class: Class, cell: NonNull<u8>, mark: &Mark, look: fn(&Self)) {
        // SAFETY: the caller's promise.
        unsafe { self.parcels.post(span, class, cell, mark, look) };
    }

    /// Sends home what waits.
    #[cfg(feature = "platform")]
    pub(crate) fn send_all(&self, look: fn(&Self)) {
        self.parcels.send_all(look);
    }

    /// Takes in what others freed; whether there was anything.
    pub(crate) fn receive<G: Ground>(&self, ground: &G) -> bool {
        if self.mail.load(Ordering::Relaxed).is_null() {
            return false;
        }
        mail::receive(&self.mail, |span, first, count| {
            span.used().set(span.used().get() - count);
            span.stale().set(true);
            let Some(class) = span.class() else {
                self.count_run::<G>(span);
                return self.release(ground, span);
            };
            let rest = span.free().replace(first);
            // What came ends with a mark that leads nowhere: it is looked for only if there is more.
            if rest != NONE {
                let mut last = first;
                for _ in 1..count {
                    // SAFETY: a cell of the span.
                    last = unsafe { span.mark(last.into(), class) }.load(Ordering::Relaxed);
                }
                // SAFETY: as above.
                unsafe { span.mark(last.into(), class) }.store(rest, Ordering::Relaxed);
            }
            if !self.bin(class).is_current(span) {
                self.forget(class, count);
                self.settle(ground, span, class);
            }
        });
        true
    }

    #[cfg(feature = "platform")]
    /// Puts what is at hand back on lists and gives back all that nothing is in: as little is kept as can be.
    pub(crate) fn flush<G: Ground>(&self, ground: &G) -> Result<(), Cond> {
        if G::SHARED {
            self.receive(ground);
        }
        for class in Class::all() {
            self.spill(ground, class);
            let bin = self.bin(class);
            let Some(span) = bin.current() else { continue };
            bin.set_current(None, class);
            self.forget(class, span.on_list());
            if (span.used().get() as usize) < span.cells() {
                self.settle(ground, span, class);
            }
        }
        // SAFETY: null or a segment of this owner.
        match unsafe { self.spare.replace(ptr::null()).as_ref() } {
            Some(spare) => self.let_go(ground, spare),
            None => Ok(()),
        }
    }

    /// Whether others sent something.
    #[cfg(feature = "platform")]
    pub(crate) fn has_mail(&self) -> bool {
        !self.mail.load(Ordering::Relaxed).is_null()
    }

    /// Whether nobody has it, so that nobody looks into its mail.
    #[cfg(feature = "platform")]
    pub(crate) fn is_idle(&self) -> bool {
        self.state.load(Ordering::Relaxed) == 0
    }

    /// All segments.
    pub(crate) fn segments<'a>(&'a self) -> impl Iterator<Item = &'a Segment> {
        [&self.roomy, &self.full].into_iter().flat_map(|list| {
            // SAFETY: null or a segment of this owner.
            let mut next: Option<&'a Segment> = unsafe { list.get().as_ref() };
            core::iter::from_fn(move || {
                let this = next?;
                next = this.next();
                Some(this)
            })
        })
    }

    /// Whether it owns nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.get() == 0
    }

    /// What is live, and what is held for it.
    pub(crate) fn totals(&self) -> Totals {
        let mut sum = Totals { live: self.runs.out.get() as usize, bytes: self.bytes.get() };
        for class in Class::all() {
            let bin = self.bin(class);
            let ready = bin.all().count() + bin.ready();
            sum.live += bin.count.out.get() as usize - ready;
            sum.bytes -= ready * class.size();
        }
        sum
    }

    /// Visits whole pages in which there are only free cells, of spans that were given something since the last time;
    /// who does says whether the system took them.
    #[cfg(feature = "platform")]
    pub(crate) fn each_hole<G: Ground>(&self, page: usize, visit: &mut dyn FnMut(NonNull<u8>, usize) -> bool) {
        for segment in self.segments() {
            Spans::<G>::each(segment, &mut |_, _, span| {
                let Some(span) = span.filter(|span| span.stale().get()) else { return };
                let Some(class) = span.class() else { return };
                span.stale().set(false);
                let (mut hole, mut gone): (Option<usize>, usize) = (None, 0);
                for cell in 0..=span.cells() {
                    let at = cell * class.size();
                    // SAFETY: a cell of the span, which has a mark.
                    let is_free = |unit: usize| is_idle(unsafe { span.mark(unit, class) }.load(Ordering::Relaxed));
                    if cell < span.cells() && is_free(at / UNIT) {
                        hole = hole.or(Some(at));
                        continue;
                    }
                    let Some(start) = hole.take() else { continue };
                    let data = span.data().addr();
                    let (from, to) = ((data + start).next_multiple_of(page), (data + at) & !(page - 1));
                    // Acquire: what others did with the cells before they freed them.
                    fence(Ordering::Acquire);
                    if from < to && visit(inside(segment.base(), from - segment.base().addr().get()), to - from) {
                        gone += to - from;
                    }
                }
                #[expect(clippy::cast_possible_truncation, reason = "a segment is less than 4 GiB long")]
                span.hole().set(gone as u32);
            });
        }
    }

    /// The most cells of a class that were live or at hand.
    #[cfg(feature = "platform")]
    pub(crate) fn most(&self, class: Class) -> usize {
        self.bin(class).count.most.get() as usize
    }

    /// The most runs that were live.
    #[cfg(feature = "platform")]
    pub(crate) fn most_runs(&self) -> usize {
        self.runs.most.get() as usize
    }

    /// A cell of a class: of those at hand one told by a number. When it comes back, it is one of those again, and not
    /// what is taken next.
    #[cfg(feature = "hardened")]
    pub(crate) fn take_any<G: Ground>(
        &self,
        ground: &G,
        class: Class,
        mark: u16,
        number: u32,
    ) -> Result<NonNull<u8>, Cond> {
        self.bin(class).choose(class, number);
        let cell = match self.take(class, mark) {
            Some(cell) => Ok(cell),
            None => self.take_more(ground, class, mark),
        };
        self.latest.set(ptr::null_mut());
        cell
    }

    /// The most bytes that were live or at hand.
    pub(crate) fn peak(&self) -> usize {
        self.peak.get()
    }
}

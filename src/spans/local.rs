//! What one thread owns: segments, spans by class, and a cell of each class at hand.

use core::cell::Cell as Var;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering};

#[cfg(feature = "platform")]
use super::is_idle;
use super::segment::{Segment, Span, Spans};
use super::{CLASSES, Class, Ground, LIVE, Mark, NONE, RUN, Seen, mail};
use crate::Cond;
use crate::cell::{MIN_ALIGN as UNIT, inside};
use crate::poison::{hide, show};
use crate::report::{Broken, rule};

/// A cell that is free, but on no list, and its mark.
#[derive(Clone, Copy)]
struct Hot {
    cell: NonNull<u8>,
    mark: *const Mark,
}

/// How many cells of a class are at hand.
const RACK: usize = 16;
/// How many come or go at once when there are none or all.
const BATCH: usize = RACK / 2;

/// The cells of a class that were freed last, the latest last.
struct Rack {
    len: Var<u32>,
    hot: [Var<MaybeUninit<Hot>>; RACK],
}

impl Rack {
    const fn new() -> Self {
        Self { len: Var::new(0), hot: [const { Var::new(MaybeUninit::uninit()) }; RACK] }
    }

    fn len(&self) -> usize {
        self.len.get() as usize
    }

    /// One that is there.
    #[inline(always)]
    fn get(&self, number: usize) -> Hot {
        // SAFETY: callers name one of those there are.
        let hot = unsafe { self.hot.get_unchecked(number) };
        // SAFETY: it was written when it became one of them.
        unsafe { hot.get().assume_init() }
    }

    /// Takes one more, for which there is room.
    #[inline(always)]
    fn put(&self, hot: Hot) {
        let len = self.len.get();
        // SAFETY: callers know that there are fewer.
        unsafe { self.hot.get_unchecked(len as usize) }.set(MaybeUninit::new(hot));
        self.len.set(len + 1);
    }

    fn all(&self) -> impl Iterator<Item = Hot> {
        (0..self.len()).map(|number| self.get(number))
    }
}

/// A cell of a class that was the last to be handed out, of all, when it was freed; null if there is none. A program
/// that takes and releases one at a time waits for nothing but this.
struct Slot {
    cell: Var<*mut u8>,
    mark: Var<*const Mark>,
}

#[cfg(feature = "platform")]
impl Parcel {
    /// Sends the cells home, if there are any, and lets somebody look into the owner's mail.
    fn send(&self, look: fn(&Local)) {
        // SAFETY: null or a span with cells that its owner has not taken in: it is there.
        let Some(span) = (unsafe { self.span.replace(ptr::null()).as_ref() }) else { return };
        // SAFETY: a span's owner stays for ever, where others free its cells.
        let owner = unsafe { &*span.owner() };
        // SAFETY: the mark of such a cell.
        let last = unsafe { &*self.last.get() };
        if mail::send(span, self.first.get(), last, u32::from(self.count.get()), &owner.mail) {
            look(owner);
        }
    }
}

impl Slot {
    #[inline(always)]
    fn get(&self) -> Option<Hot> {
        Some(Hot { cell: NonNull::new(self.cell.get())?, mark: self.mark.get() })
    }
}

/// Cells of another owner's span that were freed here and wait until they are worth the way: a chain of their marks.
#[cfg_attr(not(feature = "platform"), allow(dead_code, reason = "only the process heap has others' cells"))]
struct Parcel {
    span: Var<*const Span>,
    /// The first of them, and the mark of the last, which leads nowhere yet.
    first: Var<u16>,
    count: Var<u16>,
    last: Var<*const Mark>,
}

/// How many spans' cells wait at a time.
const PARCELS: usize = 32;
/// How many cells wait, of one span and of all.
#[cfg(feature = "platform")]
const PARCEL: u16 = 64;
#[cfg(feature = "platform")]
const WAITING: u32 = 256;

/// What one thread at a time uses.
#[repr(C, align(64))]
pub(crate) struct Local {
    /// The cell that was handed out last.
    latest: Var<*mut u8>,
    slots: [Slot; CLASSES],
    racks: [Rack; CLASSES],
    /// The span that each class takes its next cell from.
    current: [Var<*const Span>; CLASSES],
    /// The other spans of each class that have free cells.
    partial: [Var<*const Span>; CLASSES],
    /// Segments with free slices.
    roomy: Var<*const Segment>,
    /// Segments without.
    full: Var<*const Segment>,
    /// A segment that is all free, kept for the next need.
    spare: Var<*const Segment>,
    /// Bytes of all segments.
    held: Var<usize>,
    /// Of each class and of runs, cells that are on no list: what is live, and what is at hand. And the most there were.
    out: [Var<u32>; CLASSES + 1],
    most: [Seen<AtomicU32>; CLASSES + 1],
    /// Bytes of all of them.
    bytes: Var<usize>,
    /// The most bytes that there were.
    peak: Seen<AtomicUsize>,
    /// For the ground: when it was last asked what is due.
    pub(crate) stamp: Var<u64>,
    pub(crate) ticks: Var<u32>,
    /// For the ground: what it has beside.
    #[cfg(feature = "hardened")]
    pub(crate) beside: Var<*const ()>,
    /// Cells of others that wait, by their span's place in its segment; and how many came since all were sent.
    parcels: [Parcel; PARCELS],
    waiting: Var<u32>,
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
    pub(crate) const fn new() -> Self {
        Self {
            latest: Var::new(ptr::null_mut()),
            slots: [const { Slot { cell: Var::new(ptr::null_mut()), mark: Var::new(ptr::null()) } }; CLASSES],
            racks: [const { Rack::new() }; CLASSES],
            current: [const { Var::new(ptr::null()) }; CLASSES],
            partial: [const { Var::new(ptr::null()) }; CLASSES],
            roomy: Var::new(ptr::null()),
            full: Var::new(ptr::null()),
            spare: Var::new(ptr::null()),
            held: Var::new(0),
            out: [const { Var::new(0) }; CLASSES + 1],
            most: [const { Seen(AtomicU32::new(0)) }; CLASSES + 1],
            bytes: Var::new(0),
            peak: Seen(AtomicUsize::new(0)),
            stamp: Var::new(0),
            ticks: Var::new(0),
            #[cfg(feature = "hardened")]
            beside: Var::new(ptr::null()),
            parcels: [const {
                Parcel {
                    span: Var::new(ptr::null()),
                    first: Var::new(NONE),
                    count: Var::new(0),
                    last: Var::new(ptr::null()),
                }
            }; PARCELS],
            waiting: Var::new(0),
            mail: AtomicPtr::new(ptr::null_mut()),
            state: AtomicU8::new(0),
            sibling: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// A cell of a class from what is at hand, if anything is.
    #[inline(always)]
    pub(crate) fn take(&self, class: usize, mark: u16) -> Option<NonNull<u8>> {
        // SAFETY: callers name a class.
        let slot = unsafe { self.slots.get_unchecked(class) };
        let hot = match slot.get() {
            Some(hot) => {
                slot.cell.set(ptr::null_mut());
                hot
            }
            None => {
                // SAFETY: as above.
                let rack = unsafe { self.racks.get_unchecked(class) };
                let left = rack.len.get().checked_sub(1)?;
                rack.len.set(left);
                rack.get(left as usize)
            }
        };
        self.latest.set(hot.cell.as_ptr());
        // SAFETY: a hot cell's mark lies in its segment, which is there as long as a cell of it is not on a list.
        unsafe { &*hot.mark }.store(mark, Ordering::Relaxed);
        Some(hot.cell)
    }

    /// The same, when nothing is at hand.
    #[cold]
    #[inline(never)]
    pub(crate) fn take_more<G: Ground>(&self, ground: &G, class: usize, mark: u16) -> Result<NonNull<u8>, Cond> {
        if !self.refill(class) {
            self.advance(ground, class)?;
            self.refill(class);
        }
        self.take(class, mark).ok_or(Cond::FailAssert)
    }

    /// Brings cells of the current span to hand; whether there are any.
    fn refill(&self, class: usize) -> bool {
        // SAFETY: null or a span of this owner.
        let Some(span) = (unsafe { self.current[class].get().as_ref() }) else { return false };
        let rack = &self.racks[class];
        let shift = Class::get(class).shift;
        let (first, mut last) = (span.free().get(), NONE);
        let (mut unit, mut len) = (first, 0);
        let mut batch = [Hot { cell: NonNull::dangling(), mark: ptr::null() }; BATCH];
        while unit != NONE && len < BATCH {
            // SAFETY: a free cell of this span.
            let mark = unsafe { span.mark(unit as usize, shift) };
            batch[len] = Hot { cell: span.cell(unit), mark };
            last = unit;
            unit = mark.load(Ordering::Relaxed);
            len += 1;
        }
        span.free().set(unit);
        span.touch(first, last, len);
        #[expect(clippy::cast_possible_truncation, reason = "at most a batch")]
        {
            span.used().set(span.used().get() + len as u32);
            self.count(class, len as u32, len * Class::get(class).size());
            rack.len.set(len as u32);
        }
        // The first of the list is to be handed out first.
        for (place, hot) in rack.hot.iter().zip(batch[..len].iter().rev()) {
            place.set(MaybeUninit::new(*hot));
        }
        len > 0
    }

    /// Notes that cells of a class, or runs, leave their lists.
    fn count(&self, class: usize, cells: u32, bytes: usize) {
        let out = self.out[class].get() + cells;
        self.out[class].set(out);
        self.most[class].set(self.most[class].get().max(out));
        let now = self.bytes.get() + bytes;
        self.bytes.set(now);
        self.peak.set(self.peak.get().max(now));
    }

    /// Makes another span the current one of a class, which has none with a free cell.
    fn advance<G: Ground>(&self, ground: &G, class: usize) -> Result<(), Cond> {
        ground.tick(self);
        if G::SHARED && self.receive(ground) {
            // SAFETY: null or a span of this owner.
            let current = unsafe { self.current[class].get().as_ref() };
            if current.is_some_and(|span| span.free().get() != NONE) {
                return Ok(());
            }
        }
        // SAFETY: null or a span of this owner.
        let next = match unsafe { self.partial[class].get().as_ref() } {
            Some(span) => {
                self.unlist(span, class);
                span
            }
            None => {
                let slices = Spans::<G>::slices(Class::get(class).size());
                let (span, zeroed) = self.claim(ground, slices)?;
                Spans::<G>::fill(span, self, slices, class, zeroed);
                ground.arrange(self, span);
                hide(span.cell(0), span.cells() * Class::get(class).size());
                span
            }
        };
        // The old one is full, and on no list until a cell of it comes back.
        self.current[class].set(next);
        Ok(())
    }

    /// Takes a cell of a class back, which is of a span of this owner and not used any more.
    ///
    /// # Safety
    ///
    /// So it is, and the mark is its.
    #[inline(always)]
    pub(crate) unsafe fn give<G: Ground>(&self, ground: &G, class: usize, cell: NonNull<u8>, mark: &Mark) {
        mark.store(NONE, Ordering::Relaxed);
        // SAFETY: callers name a class.
        let slot = unsafe { self.slots.get_unchecked(class) };
        if self.latest.get() == cell.as_ptr() && slot.cell.get().is_null() {
            slot.cell.set(cell.as_ptr());
            slot.mark.set(mark);
            return;
        }
        // SAFETY: as above.
        let rack = unsafe { self.racks.get_unchecked(class) };
        if rack.len() == RACK {
            return self.give_more(ground, class, cell, mark);
        }
        rack.put(Hot { cell, mark });
    }

    /// The same, when there is no room at hand.
    #[cold]
    #[inline(never)]
    fn give_more<G: Ground>(&self, ground: &G, class: usize, cell: NonNull<u8>, mark: &Mark) {
        self.spill(ground, class, BATCH);
        self.racks[class].put(Hot { cell, mark });
    }

    /// Puts the cells of a class that are at hand for the longest on the lists of their spans.
    fn spill<G: Ground>(&self, ground: &G, class: usize, count: usize) {
        let rack = &self.racks[class];
        self.forget(class, count);
        for number in 0..count {
            let Hot { cell, mark } = rack.get(number);
            // SAFETY: a hot cell lies in a span of this owner.
            let span = unsafe { Spans::<G>::span_of(cell.as_ptr()) };
            // SAFETY: its mark is there as long as it is.
            self.push(ground, span, class, cell, unsafe { &*mark });
        }
        for number in count..rack.len() {
            rack.hot[number - count].set(rack.hot[number].get());
        }
        #[expect(clippy::cast_possible_truncation, reason = "no more than there are")]
        rack.len.set(rack.len.get() - count as u32);
    }

    /// Notes that so many cells of a class go back to lists.
    #[expect(clippy::cast_possible_truncation, reason = "no more than there are")]
    fn forget(&self, class: usize, cells: usize) {
        self.out[class].set(self.out[class].get() - cells as u32);
        self.bytes.set(self.bytes.get() - cells * Class::get(class).size());
    }

    /// Puts a cell on the list of its span; it is counted already.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "units of a span are fewer than 2^15")]
    fn push<G: Ground>(&self, ground: &G, span: &Span, class: usize, cell: NonNull<u8>, mark: &Mark) {
        let unit = (cell.addr().get() - span.data().addr()) / UNIT;
        let first = span.free().replace(unit as u16);
        mark.store(first, Ordering::Relaxed);
        let used = span.used().get() - 1;
        span.used().set(used);
        span.stale().set(true);
        if first == NONE || used == 0 {
            self.settle(ground, span, class);
        }
    }

    /// A span has free cells again, or no others any more.
    #[cold]
    #[inline(never)]
    fn settle<G: Ground>(&self, ground: &G, span: &Span, class: usize) {
        if ptr::eq(span, self.current[class].get()) {
            return;
        }
        if span.used().get() == 0 {
            if span.listed().get() {
                self.unlist(span, class);
            }
            self.release(ground, span);
        } else if !span.listed().get() {
            self.list(span, class);
        }
    }

    fn list(&self, span: &Span, class: usize) {
        let head = &self.partial[class];
        span.next.set(head.get());
        span.prev.set(ptr::null());
        // SAFETY: null or a span of this owner.
        if let Some(next) = unsafe { head.get().as_ref() } {
            next.prev.set(span);
        }
        head.set(span);
        span.listed().set(true);
    }

    fn unlist(&self, span: &Span, class: usize) {
        let (next, prev) = (span.next.get(), span.prev.get());
        // SAFETY: null or a span on the same list.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.set(next),
            None => self.partial[class].set(next),
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
        self.count(CLASSES, 1, span.slices() * G::SLICE);
        Ok((span.cell(0), zeroed))
    }

    #[cfg(feature = "platform")]
    /// Gives a run another length where it is, if that can be.
    pub(crate) fn change_run<G: Ground>(&self, span: &Span, asked: usize) -> bool {
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
        self.count(CLASSES, 0, new * G::SLICE);
        true
    }

    #[cfg(feature = "platform")]
    /// Takes a run back.
    pub(crate) fn give_run<G: Ground>(&self, ground: &G, span: &Span, mark: &Mark) {
        mark.store(NONE, Ordering::Relaxed);
        span.used().set(0);
        self.count_run::<G>(span);
        self.release(ground, span);
    }

    /// Notes that a run is no cell any more.
    fn count_run<G: Ground>(&self, span: &Span) {
        self.out[CLASSES].set(self.out[CLASSES].get() - 1);
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
        let unit = (cell.addr().get() - span.data().addr()) / UNIT;
        mail::send(span, unit as u16, mark, 1, &self.mail)
    }

    /// Takes a cell of another owner's span, to send it home with others of that span. At most [`WAITING`] cells wait,
    /// until more come, this local is flushed, or its thread ends.
    ///
    /// # Safety
    ///
    /// It is a cell of that span, with that mark, and not used any more.
    #[cfg(feature = "platform")]
    #[expect(clippy::cast_possible_truncation, reason = "units of a span are fewer than 2^15")]
    pub(crate) unsafe fn post(&self, span: &Span, cell: NonNull<u8>, mark: &Mark, look: fn(&Self)) {
        let unit = ((cell.addr().get() - span.data().addr()) / UNIT) as u16;
        let parcel = &self.parcels[span.slice() % PARCELS];
        if ptr::eq(parcel.span.get(), span) {
            mark.store(parcel.first.get(), Ordering::Relaxed);
            parcel.count.set(parcel.count.get() + 1);
        } else {
            parcel.send(look);
            mark.store(NONE, Ordering::Relaxed);
            parcel.span.set(span);
            parcel.count.set(1);
            parcel.last.set(mark);
        }
        parcel.first.set(unit);
        let waiting = self.waiting.get() + 1;
        self.waiting.set(waiting);
        if waiting == WAITING {
            self.send_all(look);
        } else if parcel.count.get() == PARCEL {
            parcel.send(look);
        }
    }

    /// Sends home what waits.
    #[cfg(feature = "platform")]
    #[cold]
    pub(crate) fn send_all(&self, look: fn(&Self)) {
        if self.waiting.replace(0) > 0 {
            self.parcels.iter().for_each(|parcel| parcel.send(look));
        }
    }

    /// Takes in what others freed; whether there was anything.
    pub(crate) fn receive<G: Ground>(&self, ground: &G) -> bool {
        if self.mail.load(Ordering::Relaxed).is_null() {
            return false;
        }
        mail::receive(&self.mail, |span, first, count| {
            span.used().set(span.used().get() - count);
            span.stale().set(true);
            if span.class() == RUN {
                self.count_run::<G>(span);
                return self.release(ground, span);
            }
            let class = span.class() as usize;
            self.forget(class, count as usize);
            let rest = span.free().replace(first);
            // What came ends with a mark that leads nowhere: it is looked for only if there is more.
            if rest != NONE {
                let mut last = first;
                for _ in 1..count {
                    // SAFETY: a cell of the span.
                    last = unsafe { span.mark(last as usize, Class::get(class).shift) }.load(Ordering::Relaxed);
                }
                // SAFETY: as above.
                unsafe { span.mark(last as usize, Class::get(class).shift) }.store(rest, Ordering::Relaxed);
            }
            self.settle(ground, span, class);
        });
        true
    }

    #[cfg(feature = "platform")]
    /// Puts what is at hand back on lists and gives back all that nothing is in: as little is kept as can be.
    pub(crate) fn flush<G: Ground>(&self, ground: &G) -> Result<(), Cond> {
        if G::SHARED {
            self.receive(ground);
        }
        for (class, rack) in self.racks.iter().enumerate() {
            self.spill(ground, class, rack.len());
            if let Some(Hot { cell, mark }) = self.slots[class].get() {
                self.slots[class].cell.set(ptr::null_mut());
                self.forget(class, 1);
                // SAFETY: a hot cell lies in a span of this owner.
                let span = unsafe { Spans::<G>::span_of(cell.as_ptr()) };
                // SAFETY: its mark is there as long as it is.
                self.push(ground, span, class, cell, unsafe { &*mark });
            }
            // SAFETY: null or a span of this owner.
            let current = unsafe { self.current[class].replace(ptr::null()).as_ref() };
            if let Some(span) = current.filter(|span| span.used().get() == 0 || span.free().get() != NONE) {
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
    #[cfg(all(feature = "std", not(all(target_arch = "wasm32", not(target_feature = "atomics")))))]
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

    /// The cells of a class that are at hand.
    fn hot(&self, class: usize) -> impl Iterator<Item = Hot> {
        self.racks[class].all().chain(self.slots[class].get())
    }

    /// Cells that are on no list.
    fn out(&self) -> usize {
        self.out.iter().map(|out| out.get() as usize).sum()
    }

    /// What is live, and what is held for it.
    pub(crate) fn totals(&self) -> Totals {
        let mut sum = Totals { live: self.out(), bytes: self.bytes.get() };
        for class in 0..CLASSES {
            let hot = self.hot(class).count();
            sum.live -= hot;
            sum.bytes -= hot * Class::get(class).size();
        }
        sum
    }

    /// Whether the marks of a span and its lists agree.
    fn check_span<G: Ground>(&self, span: &Span, segment: &Segment) -> Result<(), Broken> {
        let at = ptr::from_ref(span);
        rule(ptr::eq(span.owner(), self), "a span has its owner", at)?;
        if span.class() == RUN {
            rule(span.asked().get() <= span.slices() * G::SLICE, "a run holds what was asked", at)?;
            return rule(span.used().get() == 1, "a run is used", at);
        }
        let number = span.class() as usize;
        rule(number < CLASSES, "a span has a class", at)?;
        let class = Class::get(number);
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
        rule(free + span.used().get() as usize == span.cells(), "a span counts its cells", at)?;
        let live = (0..span.cells()).filter(|cell| {
            let at = span.data().addr() + cell * class.size();
            span.mark_at(at).is_some_and(|mark| mark.load(Ordering::Relaxed) & LIVE != 0)
        });
        // SAFETY: a hot cell lies in a span of this owner.
        let is_here = |hot: &Hot| ptr::eq(unsafe { Spans::<G>::span_of(hot.cell.as_ptr()) }, span);
        let live = live.count() + self.hot(number).filter(is_here).count();
        rule(G::SHARED || live == span.used().get() as usize, "what is used is live", at)?;
        let current = ptr::eq(self.current[number].get(), span);
        rule(!(current && span.listed().get()), "the current span is on no list", at)?;
        rule(current || span.listed().get() == (free > 0), "a span with free cells is on its list", at)
    }

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
        rule(out == self.out(), "cells are counted", ptr::from_ref(self))?;
        for (number, head) in self.partial.iter().enumerate() {
            // SAFETY: null or a span of this owner.
            let mut next = unsafe { head.get().as_ref() };
            let mut prev = ptr::null();
            while let Some(span) = next {
                rule(ptr::eq(span.prev.get(), prev), "links of spans agree", span)?;
                rule(span.class() as usize == number, "a span is on the list of its class", span)?;
                prev = ptr::from_ref(span);
                // SAFETY: as above.
                next = unsafe { span.next.get().as_ref() };
            }
        }
        Ok(())
    }

    /// Visits whole pages in which there are only free cells, of spans that were given something since the last time;
    /// who does says whether the system took them.
    #[cfg(feature = "platform")]
    pub(crate) fn each_hole<G: Ground>(&self, page: usize, visit: &mut dyn FnMut(NonNull<u8>, usize) -> bool) {
        for segment in self.segments() {
            Spans::<G>::each(segment, &mut |_, _, span| {
                let Some(span) = span.filter(|span| span.class() != RUN && span.stale().get()) else { return };
                span.stale().set(false);
                let class = Class::get(span.class() as usize);
                let (mut hole, mut gone): (Option<usize>, usize) = (None, 0);
                for cell in 0..=span.cells() {
                    let at = cell * class.size();
                    // SAFETY: a cell of the span, which has a mark.
                    let is_free =
                        |unit: usize| is_idle(unsafe { span.mark(unit, class.shift) }.load(Ordering::Relaxed));
                    if cell < span.cells() && is_free(at / UNIT) {
                        hole = hole.or(Some(at));
                        continue;
                    }
                    let Some(start) = hole.take() else { continue };
                    let data = span.data().addr();
                    let (from, to) = ((data + start).next_multiple_of(page), (data + at) & !(page - 1));
                    if from < to && visit(inside(span.cell(0), from - data), to - from) {
                        gone += to - from;
                    }
                }
                #[expect(clippy::cast_possible_truncation, reason = "a segment is less than 4 GiB long")]
                span.hole().set(gone as u32);
            });
        }
    }

    /// The most cells of a class, or runs, that were live or at hand.
    #[cfg(feature = "platform")]
    pub(crate) fn most(&self, class: usize) -> usize {
        self.most[class].get() as usize
    }

    /// A cell of a class: of those at hand one told by a number. When it comes back, it is one of those again, and not
    /// what is taken next.
    #[cfg(feature = "hardened")]
    pub(crate) fn take_any<G: Ground>(
        &self,
        ground: &G,
        class: usize,
        mark: u16,
        number: u32,
    ) -> Result<NonNull<u8>, Cond> {
        let rack = &self.racks[class];
        if let Some(last) = rack.len.get().checked_sub(1) {
            rack.hot[(number % (last + 1)) as usize].swap(&rack.hot[last as usize]);
        }
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

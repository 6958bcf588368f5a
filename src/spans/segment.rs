//! Segments, and the spans in them.

use core::cell::Cell as Var;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering};

use super::{Class, Ground, Local, Mark, NONE, Seen, mail};
use crate::cell::{MIN_ALIGN as UNIT, inside};

/// What a run of slices that is one cell has for the number of a class.
const RUN: u8 = u8::MAX;
/// Marks that a slice has in the head of its segment; a span that needs no more has them there.
const MARKS: usize = 64;

/// What is known of a span. Its first fields are all that a free reads.
#[repr(C, align(64))]
pub(crate) struct Span {
    owner: Seen<AtomicPtr<Local>>,
    /// The first cell.
    data: Seen<AtomicPtr<u8>>,
    marks: Seen<AtomicPtr<Mark>>,
    /// Units from `data` to the first free cell, or [`NONE`].
    free: Var<u16>,
    /// The number of the class, or [`RUN`].
    class: Seen<AtomicU8>,
    /// Whether it is on the list of its class.
    listed: Var<bool>,
    /// Whether its free pages may hold something: a cell came back since they were given back, or they never were.
    stale: Seen<AtomicBool>,
    /// Cells that are live or at hand.
    used: Seen<AtomicU32>,
    /// About how many bytes are in pages that were given back or never touched.
    hole: Seen<AtomicU32>,
    /// Freed by others and not yet taken in: the first in the lower half, how many in the upper.
    remote: AtomicU32,
    /// How many cells there are.
    cells: Seen<AtomicU32>,
    /// How many were ever on the list: the first ones. The others have never been used.
    linked: Var<u32>,
    /// The next in the owner's mail.
    mail: AtomicPtr<Self>,
    pub(super) next: Var<*const Self>,
    pub(super) prev: Var<*const Self>,
    /// Bytes that were asked for, of a run.
    asked: Seen<AtomicUsize>,
    /// The logarithm of the alignment that was asked for, of a run.
    align: Seen<AtomicU8>,
    /// Its first slice, and how many there are.
    slice: Seen<AtomicU8>,
    slices: Seen<AtomicU8>,
}

/// The head of a segment.
#[repr(C)]
pub(crate) struct Segment {
    pub(super) next: Var<*const Self>,
    pub(super) prev: Var<*const Self>,
    /// The whole segment, by the pointer that it came by.
    base: Var<NonNull<u8>>,
    /// A bit for each slice that is in no span.
    free: Seen<AtomicUsize>,
    /// A bit for each of those that is known to be zero.
    clean: Seen<AtomicUsize>,
    /// For each slice, the entry of its span: bytes from the start of the segment.
    spans: [Seen<AtomicU32>; 64],
}

/// How the segments of a ground are laid out.
pub(crate) struct Spans<G>(PhantomData<G>);

impl<G: Ground> Spans<G> {
    pub(crate) const COUNT: usize = G::SEGMENT / G::SLICE;
    const TABLE: usize = (G::FRONT + size_of::<Segment>()).next_multiple_of(64);
    const AREA: usize = Self::TABLE + Self::COUNT * size_of::<Span>();
    /// Bytes of a segment's head.
    pub(crate) const HEAD: usize = Self::AREA + Self::COUNT * MARKS * size_of::<Mark>();
    /// One more than the last slice that spans can have.
    const END: usize = Self::COUNT - G::FENCED as usize;
    /// A bit for each slice that spans can have.
    pub(crate) const ALL: usize = run(1, Self::END - 1);

    const FITS: () = assert!(Self::HEAD <= G::SLICE && Self::COUNT <= 64 && G::SLICE.is_power_of_two());

    /// Makes a head in a new segment.
    ///
    /// # Safety
    ///
    /// The segment is ours alone, aligned and of the ground's size.
    pub(crate) unsafe fn found<'a>(base: NonNull<u8>, zeroed: bool) -> &'a Segment {
        () = Self::FITS;
        let place = inside(base, G::FRONT).cast::<Segment>();
        let head = Segment {
            next: Var::new(ptr::null()),
            prev: Var::new(ptr::null()),
            base: Var::new(base),
            free: Seen(AtomicUsize::new(Self::ALL)),
            clean: Seen(AtomicUsize::new(if zeroed { Self::ALL } else { 0 })),
            spans: [const { Seen(AtomicU32::new(Self::entry(0))) }; 64],
        };
        // SAFETY: the caller's promise; behind the front there is room for a head, aligned.
        unsafe { place.write(head) };
        let spans = inside(base, Self::TABLE).cast::<Span>();
        for number in 0..Self::COUNT {
            // SAFETY: the table lies in the first slice.
            let span = unsafe { spans.add(number) };
            // SAFETY: as above, and aligned.
            unsafe { span.write(Span::none()) };
        }
        // SAFETY: just written.
        unsafe { place.as_ref() }
    }

    /// The head of the segment that holds an address.
    ///
    /// # Safety
    ///
    /// It lies in a segment of this ground.
    #[inline(always)]
    pub(crate) unsafe fn segment_of<'a>(at: *mut u8) -> &'a Segment {
        let head = at.map_addr(|at| (at & !(G::SEGMENT - 1)) + G::FRONT);
        // SAFETY: there stands the head of a segment, which is only changed through shared references.
        unsafe { &*head.cast() }
    }

    /// The span that holds an address.
    ///
    /// # Safety
    ///
    /// It lies in a span of this ground.
    #[inline(always)]
    pub(crate) unsafe fn span_of<'a>(at: *mut u8) -> &'a Span {
        // SAFETY: the caller's promise.
        let segment = unsafe { Self::segment_of(at) };
        let slice = at.addr() % G::SEGMENT / G::SLICE;
        // SAFETY: fewer slices than the table has entries.
        let entry = unsafe { segment.spans.get_unchecked(slice) }.get() as usize;
        let span = at.map_addr(|at| (at & !(G::SEGMENT - 1)) + entry);
        // SAFETY: there stands the entry of a span, which is only changed through shared references.
        unsafe { &*span.cast() }
    }

    /// Where the entry of the span is that begins in a slice.
    #[expect(clippy::cast_possible_truncation, reason = "a segment is less than 4 GiB long")]
    const fn entry(slice: usize) -> u32 {
        (Self::TABLE + slice * size_of::<Span>()) as u32
    }

    /// The span that begins in a slice.
    pub(super) fn span(segment: &Segment, slice: usize) -> &Span {
        let at = inside(segment.base.get(), Self::TABLE + slice * size_of::<Span>());
        // SAFETY: the table has an entry for each slice, written when the segment was founded.
        unsafe { at.cast().as_ref() }
    }

    fn marks(segment: &Segment, slice: usize) -> NonNull<Mark> {
        inside(segment.base.get(), Self::AREA + slice * MARKS * size_of::<Mark>()).cast()
    }

    /// How many slices a span of a class has.
    pub(crate) const fn slices(size: usize) -> usize {
        let mut slices = 1;
        while slices * G::SLICE < 8 * size && slices < Self::COUNT / 4 {
            slices *= 2;
        }
        slices
    }

    /// The span that holds an address, if one does: told without reading what it points to.
    pub(crate) fn find(segment: &Segment, at: usize) -> Option<&Span> {
        let slice = at % G::SEGMENT / G::SLICE;
        if slice == 0 || segment.free.get() & (1 << slice) != 0 {
            return None;
        }
        let entry = inside(segment.base.get(), segment.spans[slice].get() as usize);
        // SAFETY: a slice that is not free has an entry of the table, or had one.
        let span: &Span = unsafe { entry.cast().as_ref() };
        // Acquire: what was written of it is there.
        (span.slices.0.load(Ordering::Acquire) > 0).then_some(span)
    }

    /// Visits the spans of a segment by address, and the free slices between them: first slice and how many.
    pub(crate) fn each<'a>(segment: &'a Segment, visit: &mut dyn FnMut(usize, usize, Option<&'a Span>)) {
        let mut at = 1;
        while at < Self::END {
            if segment.free.get() & (1 << at) != 0 {
                let len = ((segment.free.get() >> at).trailing_ones() as usize).min(Self::END - at);
                visit(at, len, None);
                at += len;
            } else {
                let span = Self::span(segment, at);
                let len = span.slices.0.load(Ordering::Acquire) as usize;
                // Of one that its owner is just about to fill nothing is known.
                visit(at, len.max(1), (len > 0).then_some(span));
                let len = len.max(1);
                at += len;
            }
        }
    }

    /// Takes a run of free slices, if there is one; and whether it is known to be zero. Nobody finds the span before it
    /// is [filled](Self::fill).
    #[expect(clippy::cast_possible_truncation, reason = "numbers of slices, of which there are at most 64")]
    pub(super) fn claim(segment: &Segment, slices: usize) -> Option<(&Span, bool)> {
        let slice = first_run(segment.free.get(), slices)?;
        let bits = run(slice, slices);
        segment.free.set(segment.free.get() & !bits);
        let zeroed = segment.clean.get() & bits == bits;
        segment.clean.set(segment.clean.get() & !bits);
        segment.spans[slice..slice + slices].iter().for_each(|entry| entry.set(Self::entry(slice)));
        let span = Self::span(segment, slice);
        span.slice.set(slice as u8);
        Some((span, zeroed))
    }

    /// Makes a run that was claimed a span of cells of a class, all free and none on its list; it may be known to be
    /// zero.
    #[expect(clippy::cast_possible_truncation, reason = "units and cells of a span are fewer than 2^15")]
    pub(super) fn fill(span: &Span, local: &Local, slices: usize, class: Class, zeroed: bool) {
        let segment = span.segment::<G>();
        let (slice, len) = (span.slice.get() as usize, slices * G::SLICE);
        let start = inside(segment.base.get(), slice * G::SLICE);
        let (size, shift) = (class.size(), class.shift());
        let most = (len / UNIT) >> shift;
        // The first cell is aligned as the size is.
        let align = 1 << size.trailing_zeros();
        let (marks, front) = if most <= slices * MARKS {
            (Self::marks(segment, slice), 0)
        } else {
            (start.cast(), (most * size_of::<Mark>()).next_multiple_of(align))
        };
        // First cells at the same place of their slices would all meet in the same lines of the cache.
        let spare = (len - front) % size;
        let front = front + (((slice * align.max(64)) % (spare + 1)) & !(align - 1));
        let cells = (len - front) / size;
        span.owner.set(ptr::from_ref(local).cast_mut());
        span.data.set(inside(start, front).as_ptr());
        span.marks.set(marks.as_ptr());
        span.class.set(class.number());
        span.cells.set(cells as u32);
        span.used.set(0);
        span.asked.set(0);
        span.free.set(NONE);
        span.linked.set(0);
        span.listed.set(false);
        span.stale.set(!zeroed);
        span.hole.set(if zeroed { (len - front) as u32 } else { 0 });
        span.remote.store(mail::EMPTY, Ordering::Relaxed);
        for number in 0..most {
            // SAFETY: so many marks there are, in the head or at the front of the span.
            let mark = unsafe { marks.add(number) };
            // SAFETY: as above; nobody else has them yet.
            unsafe { mark.write(AtomicU16::new(NONE)) };
        }
        span.publish(slices);
    }

    #[cfg(feature = "platform")]
    /// Makes a run that was claimed a single live cell.
    #[expect(clippy::cast_possible_truncation, reason = "a logarithm")]
    pub(super) fn fill_run(span: &Span, local: &Local, slices: usize, asked: usize, align: usize, mark: u16) {
        let segment = span.segment::<G>();
        let slice = span.slice.get() as usize;
        let marks = Self::marks(segment, slice);
        // SAFETY: a slice has marks of its own in the head.
        unsafe { marks.write(AtomicU16::new(mark)) };
        span.owner.set(ptr::from_ref(local).cast_mut());
        span.data.set(inside(segment.base.get(), slice * G::SLICE).as_ptr());
        span.marks.set(marks.as_ptr());
        span.class.set(RUN);
        span.cells.set(1);
        span.used.set(1);
        span.asked.set(asked);
        span.align.set(align.trailing_zeros() as u8);
        span.free.set(NONE);
        span.listed.set(false);
        span.remote.store(mail::EMPTY, Ordering::Relaxed);
        span.publish(slices);
    }

    /// Gives the slices of a span back to its segment, all or those from `keep` on; and whether it had none before.
    #[expect(clippy::cast_possible_truncation, reason = "numbers of slices, of which there are at most 64")]
    pub(super) fn release(span: &Span, keep: usize) -> bool {
        let segment = span.segment::<G>();
        let (slice, slices) = (span.slice.get() as usize, span.slices.get() as usize);
        let had = segment.free.get();
        segment.free.set(had | run(slice + keep, slices - keep));
        span.slices.set(keep as u8);
        had == 0
    }

    #[cfg(feature = "platform")]
    /// Takes free slices behind a span into it, if there are so many.
    #[expect(clippy::cast_possible_truncation, reason = "numbers of slices, of which there are at most 64")]
    pub(super) fn extend(span: &Span, slices: usize) -> bool {
        let segment = span.segment::<G>();
        let (slice, old) = (span.slice.get() as usize, span.slices.get() as usize);
        if slice + slices > Self::COUNT {
            return false;
        }
        let more = run(slice + old, slices - old);
        if segment.free.get() & more != more {
            return false;
        }
        segment.free.set(segment.free.get() & !more);
        segment.clean.set(segment.clean.get() & !more);
        segment.spans[slice + old..slice + slices].iter().for_each(|entry| entry.set(Self::entry(slice)));
        span.slices.set(slices as u8);
        true
    }
}

/// The first of so many bits in a row.
fn first_run(bits: usize, len: usize) -> Option<usize> {
    let (mut starts, mut have) = (bits, 1);
    while have < len {
        let more = have.min(len - have);
        starts &= starts >> more;
        have += more;
    }
    (starts != 0).then(|| starts.trailing_zeros() as usize)
}

/// So many bits from one on.
const fn run(first: usize, len: usize) -> usize {
    if len == 0 { 0 } else { (usize::MAX >> (usize::BITS as usize - len)) << first }
}

impl Segment {
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base.get()
    }

    pub(crate) fn free_slices(&self) -> usize {
        self.free.get()
    }

    pub(super) fn next<'a>(&self) -> Option<&'a Self> {
        // SAFETY: null or another segment of the same owner.
        unsafe { self.next.get().as_ref() }
    }

    /// Free slices that may hold what was there before.
    #[cfg(feature = "platform")]
    pub(crate) fn dirty(&self) -> usize {
        self.free.get() & !self.clean.get()
    }

    /// Notes that free slices are zero again.
    #[cfg(feature = "platform")]
    pub(crate) fn cleaned(&self, bits: usize) {
        self.clean.set(self.clean.get() | bits & self.free.get());
    }
}

impl Span {
    const fn none() -> Self {
        Self {
            owner: Seen(AtomicPtr::new(ptr::null_mut())),
            data: Seen(AtomicPtr::new(ptr::null_mut())),
            marks: Seen(AtomicPtr::new(ptr::null_mut())),
            free: Var::new(NONE),
            class: Seen(AtomicU8::new(RUN)),
            listed: Var::new(false),
            stale: Seen(AtomicBool::new(false)),
            used: Seen(AtomicU32::new(0)),
            hole: Seen(AtomicU32::new(0)),
            remote: AtomicU32::new(mail::EMPTY),
            cells: Seen(AtomicU32::new(0)),
            linked: Var::new(0),
            mail: AtomicPtr::new(ptr::null_mut()),
            next: Var::new(ptr::null()),
            prev: Var::new(ptr::null()),
            asked: Seen(AtomicUsize::new(0)),
            align: Seen(AtomicU8::new(0)),
            slice: Seen(AtomicU8::new(0)),
            slices: Seen(AtomicU8::new(0)),
        }
    }

    #[inline(always)]
    pub(crate) fn owner(&self) -> *const Local {
        self.owner.get()
    }

    #[inline(always)]
    pub(crate) fn class(&self) -> Option<Class> {
        Class::at(self.class.get())
    }

    /// Whether its cells are of a class.
    #[inline(always)]
    pub(crate) fn is_of(&self, class: Class) -> bool {
        self.class.get() == class.number()
    }

    /// Whether it is a run of slices that is one cell.
    pub(crate) fn is_run(&self) -> bool {
        self.class.get() == RUN
    }

    /// Bytes that each of its cells has.
    pub(crate) fn room<G: Ground>(&self) -> usize {
        self.class().map_or(self.slices() * G::SLICE, Class::size)
    }

    pub(crate) fn cells(&self) -> usize {
        self.cells.get() as usize
    }

    #[inline(always)]
    pub(super) fn free(&self) -> &Var<u16> {
        &self.free
    }

    #[inline(always)]
    pub(crate) fn used(&self) -> &Seen<AtomicU32> {
        &self.used
    }

    /// About how many bytes of it are in no memory.
    #[cfg(feature = "platform")]
    pub(crate) fn hole(&self) -> &Seen<AtomicU32> {
        &self.hole
    }

    /// Puts cells on the list, which is empty, that never were: how many, which is none if there are none.
    #[expect(clippy::cast_possible_truncation, reason = "units of a span are fewer than 2^15")]
    pub(super) fn link(&self) -> u32 {
        /// About so many bytes at a time are worth the way here.
        const BYTES: usize = 8192;
        let Some(class) = self.class() else { return 0 };
        let size = class.size();
        let (step, first) = (size / UNIT, self.linked.get());
        let more = (self.cells.get() - first).min((BYTES / size).max(2) as u32);
        if more == 0 {
            return 0;
        }
        let mut unit = first as usize * step;
        for _ in 1..more {
            // SAFETY: a cell of this span.
            unsafe { self.mark(unit, class) }.store((unit + step) as u16, Ordering::Relaxed);
            unit += step;
        }
        // SAFETY: as above.
        unsafe { self.mark(unit, class) }.store(NONE, Ordering::Relaxed);
        self.free.set((first as usize * step) as u16);
        self.linked.set(first + more);
        self.hole.set(self.hole.get().saturating_sub(more * size as u32));
        more
    }

    /// All cells on the list are likely to be touched now: how many there are.
    #[expect(clippy::cast_possible_truncation, reason = "a segment is less than 4 GiB long")]
    pub(super) fn begin(&self) -> u32 {
        let never = (self.cells.get() - self.linked.get()) as usize * self.class().map_or(0, Class::size);
        self.hole.set(self.hole.get().min(never as u32));
        self.on_list()
    }

    /// How many cells are on the list of free ones.
    pub(super) fn on_list(&self) -> u32 {
        self.linked.get() - self.used.get()
    }

    /// Says that all are on the list.
    #[cfg(feature = "hardened")]
    pub(super) fn linked_all(&self) {
        self.linked.set(self.cells.get());
    }

    pub(super) fn stale(&self) -> &Seen<AtomicBool> {
        &self.stale
    }

    pub(super) fn listed(&self) -> &Var<bool> {
        &self.listed
    }

    /// Bytes that a run was asked for.
    pub(crate) fn asked(&self) -> &Seen<AtomicUsize> {
        &self.asked
    }

    /// The alignment that a run was asked for.
    #[cfg(feature = "platform")]
    pub(crate) fn run_align(&self) -> usize {
        1 << self.align.get()
    }

    /// From now on it can be found.
    #[expect(clippy::cast_possible_truncation, reason = "at most 64")]
    fn publish(&self, slices: usize) {
        self.slices.0.store(slices as u8, Ordering::Release);
    }

    pub(crate) fn slices(&self) -> usize {
        self.slices.get() as usize
    }

    pub(crate) fn slice(&self) -> usize {
        self.slice.get() as usize
    }

    /// The first cell.
    #[inline(always)]
    pub(crate) fn data(&self) -> *mut u8 {
        self.data.get()
    }

    /// Units from the first cell to one.
    #[inline(always)]
    pub(crate) fn unit_of(&self, cell: NonNull<u8>) -> usize {
        cell.addr().get().wrapping_sub(self.data.get().addr()) / UNIT
    }

    /// The cell at so many units from the first.
    ///
    /// # Safety
    ///
    /// It is a cell of this span.
    #[inline(always)]
    pub(crate) unsafe fn cell(&self, unit: usize) -> NonNull<u8> {
        let at = self.data.get().wrapping_add(unit * UNIT);
        // SAFETY: the caller's promise: no cell is at null.
        unsafe { NonNull::new_unchecked(at) }
    }

    /// The mark of the cell at so many units from the first.
    ///
    /// # Safety
    ///
    /// It is a cell of this span, which has this class.
    #[inline(always)]
    pub(crate) unsafe fn mark(&self, unit: usize, class: Class) -> &Mark {
        let mark = self.marks.get().wrapping_add(unit >> class.shift());
        // SAFETY: the caller's promise; every cell has a mark.
        unsafe { &*mark }
    }

    /// A cell of this span, told by its address: its mark.
    ///
    /// `None` for an address that is no cell's first byte.
    pub(crate) fn mark_at(&self, at: usize) -> Option<&Mark> {
        let offset = at.checked_sub(self.data.get().addr())?;
        let Some(class) = self.class() else {
            // SAFETY: a run has a mark.
            return (offset == 0).then(|| unsafe { &*self.marks.get() });
        };
        let is_cell = class.divides(offset) && offset / class.size() < self.cells();
        // SAFETY: it is a cell of this span.
        is_cell.then(|| unsafe { self.mark(offset / UNIT, class) })
    }

    /// The segment that the span is in.
    pub(crate) fn segment<G: Ground>(&self) -> &Segment {
        // SAFETY: a span's own entry stands in the head of its segment.
        unsafe { Spans::<G>::segment_of(ptr::from_ref(self).cast_mut().cast()) }
    }
}

impl mail::Letter for Span {
    fn list(&self) -> &AtomicU32 {
        &self.remote
    }

    fn next(&self) -> &AtomicPtr<Self> {
        &self.mail
    }
}

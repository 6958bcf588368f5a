//! Small cells: in spans, with nothing in front of them.
//!
//! A heap over a source that is not bounded takes segments from it, each a chunk like the others by which an address
//! is found. What is not small, or is to be aligned to more than a unit, has boundary tags as in any other heap: so the
//! layout of a cell says where it is.

use core::alloc::Layout;
use core::mem::size_of;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::Heap;
use super::chunk::Chunk;
use crate::cell::MIN_ALIGN;
use crate::poison::{hide, show};
use crate::spans::{Class, Ground, LIVE, Local, Mark, SLACK, Segment, Span, Spans, TAINT, kind_of, with_kind};
use crate::wipe::wipe_if;
use crate::{Cond, Kind, Source};

/// The longest cell that lies in a span.
const MOST: usize = 8 << 10;

/// A heap as the ground of its own spans.
pub(super) struct Under<'h, S: Source>(pub(super) &'h Heap<S>);

type Layer<'h, S> = Spans<Under<'h, S>>;

/// Whether a heap's small cells lie in spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Small {
    /// As the source says, when there is the first.
    Undecided,
    /// In spans.
    Spans,
    /// Between boundary tags, like all others.
    Tags,
}

// SAFETY: a segment is a block of the source, as long and as aligned, which nobody else has until it is given back.
unsafe impl<S: Source> Ground for Under<'_, S> {
    const SEGMENT: usize = 256 << 10;
    const SLICE: usize = 16 << 10;
    const FRONT: usize = size_of::<Chunk>().next_multiple_of(MIN_ALIGN);
    const SHARED: bool = false;

    fn segment<'a>(&self) -> Result<&'a Segment, Cond> {
        let (base, zeroed) = self.0.take_segment(Self::layout())?;
        // SAFETY: the source just gave it, as long and aligned as a segment is.
        Ok(unsafe { Spans::<Self>::found(base, zeroed) })
    }

    unsafe fn give_back(&self, segment: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: at the front of a segment stands the head of its chunk.
        self.0.give_back_chunk(unsafe { segment.cast::<Chunk>().as_ref() })
    }
}

impl<S: Source> Under<'_, S> {
    /// The layout of a segment.
    pub(super) const fn layout() -> Layout {
        // SAFETY: both are powers of two, and small.
        unsafe { Layout::from_size_align_unchecked(Self::SEGMENT, Self::SEGMENT) }
    }
}

/// A live cell in a span.
pub(super) struct Place<'a> {
    cell: NonNull<u8>,
    span: &'a Span,
    class: Class,
    mark: &'a Mark,
}

impl Place<'_> {
    fn mark(&self) -> u16 {
        self.mark.load(Ordering::Relaxed)
    }

    /// Bytes that it can have.
    pub(super) fn room(&self) -> usize {
        self.class.size()
    }

    /// Bytes that were asked for.
    pub(super) fn size(&self) -> usize {
        self.room() - usize::from(self.mark() & SLACK)
    }

    pub(super) fn is_tainted(&self) -> bool {
        self.mark() & TAINT != 0
    }

    pub(super) fn kind(&self) -> Kind {
        kind_of(self.mark())
    }

    pub(super) fn set_kind(&self, kind: Kind) {
        self.mark.store(with_kind(self.mark(), kind), Ordering::Relaxed);
    }

    pub(super) fn taint(&self) {
        if cfg!(feature = "shred") {
            self.mark.store(self.mark() | TAINT, Ordering::Relaxed);
        }
    }

    fn set_size(&self, size: usize) {
        self.mark.store(self.mark() & !SLACK | slack(self.class, size), Ordering::Relaxed);
    }
}

/// The class of a layout that a span can meet.
#[inline(always)]
fn class(layout: Layout) -> Option<Class> {
    (layout.align() <= MIN_ALIGN && layout.size() <= MOST).then(|| Class::of(layout.size()))
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a cell is less than 2^11 longer than what is asked of it")]
fn slack(class: Class, size: usize) -> u16 {
    (class.size() - size) as u16
}

impl<S: Source> Heap<S> {
    /// The owner of the spans, if there are any.
    #[inline(always)]
    pub(super) fn spans(&self) -> Option<&Local> {
        // SAFETY: null, or written when it was taken, and only used through shared references until it is given back.
        unsafe { self.local.get().as_ref() }
    }

    /// Whether what has this layout lies in a span.
    pub(super) fn is_small(&self, layout: Layout) -> bool {
        class(layout).is_some() && self.small.get() == Small::Spans
    }

    /// Decides where small cells are to lie, for as long as there are cells.
    pub(super) fn decide(&self) {
        if self.small.get() == Small::Undecided {
            let bounded = self.source.largest().is_some();
            self.small.set(if bounded { Small::Tags } else { Small::Spans });
        }
    }

    /// A small cell from what is at hand.
    #[inline(always)]
    pub(super) fn take_hot(&self, layout: Layout) -> Option<NonNull<u8>> {
        let class = class(layout)?;
        let local = self.spans().filter(|_| !self.frozen.get())?;
        let cell = local.take(class, LIVE | slack(class, layout.size()))?;
        show(cell, layout.size());
        Some(cell)
    }

    /// A small cell.
    pub(super) fn take_small(&self, layout: Layout) -> Result<NonNull<u8>, Cond> {
        let local = match self.spans() {
            Some(local) => local,
            None => self.begin_spans()?,
        };
        let class = class(layout).ok_or(Cond::FailAssert)?;
        let mark = LIVE | slack(class, layout.size());
        let cell = match local.take(class, mark) {
            Some(cell) => cell,
            None => local.take_more(&Under(self), class, mark)?,
        };
        show(cell, layout.size());
        Ok(cell)
    }

    /// Takes the owner of the spans, which has a block of its own.
    #[cold]
    fn begin_spans(&self) -> Result<&Local, Cond> {
        let place = match NonNull::new(self.block.get().cast_mut()) {
            Some(place) => {
                // SAFETY: the block is ours, and who was there is no more.
                unsafe { place.write_bytes(0, 1) };
                place
            }
            None => {
                let block = self.source.alloc_zeroed(Layout::new::<Local>())?;
                self.block.set(block.as_ptr().cast());
                self.block_len.set(block.len());
                self.held.set(self.held.get() + block.len());
                block.cast()
            }
        };
        self.local.set(place.as_ptr());
        // SAFETY: the block is ours, as long and aligned as the layout says, all zero, and stays until nobody asks for
        // the spans any more.
        Ok(unsafe { Local::found(place) })
    }

    /// Gives the block of the owner back, who is no more. Refused, it is kept for the next.
    pub(super) fn give_back_owner(&self) -> Result<(), Cond> {
        let Some(block) = NonNull::new(self.block.get().cast_mut()) else { return Ok(()) };
        show(block.cast(), self.block_len.get());
        // SAFETY: it came from there with this layout, and nothing uses it.
        unsafe { self.source.free(block.cast(), Layout::new::<Local>()) }?;
        self.block.set(core::ptr::null());
        self.held.set(self.held.get() - self.block_len.get());
        Ok(())
    }

    /// From now on no cell is small.
    pub(super) fn do_without_spans(&self) {
        self.local.set(core::ptr::null());
        self.small.set(Small::Tags);
        // Refused, it is offered again when all goes.
        let _ = self.give_back_owner();
    }

    /// Takes back a small cell that is one of those known by their layouts, if nothing more is to be done with it.
    ///
    /// # Safety
    ///
    /// It is a live cell of this heap with this layout, and nothing uses it any more.
    #[inline(always)]
    pub(super) unsafe fn give_hot(&self, block: NonNull<u8>, layout: Layout) -> bool {
        let Some(class) = class(layout) else { return false };
        let Some(local) = self.spans().filter(|_| !self.frozen.get() && !self.id.is_tainted()) else { return false };
        // SAFETY: the caller's promise: what is small lies in a span.
        let span = unsafe { Layer::<S>::span_of(block.as_ptr()) };
        if !span.is_of(class) {
            return false;
        }
        // SAFETY: the caller's promise: a cell of this span.
        let mark = unsafe { span.mark(span.unit_of(block), class) };
        if mark.load(Ordering::Relaxed) & (LIVE | TAINT) != LIVE {
            return false;
        }
        hide(block, class.size());
        // SAFETY: a cell of a span of this owner, with its mark, used no more.
        unsafe { local.give(&Under(self), span, class, block, mark) };
        true
    }

    /// The live cell at an address in a segment of spans.
    pub(super) fn place<'a>(&self, chunk: &'a Chunk, payload: NonNull<u8>) -> Option<Place<'a>> {
        let address = payload.addr().get();
        // SAFETY: it is a segment of this ground.
        let segment = unsafe { Layer::<S>::segment_of(chunk.start().as_ptr()) };
        let span: &Span = Layer::<S>::find(segment, address)?;
        let (class, mark) = (span.class()?, span.mark_at(address)?);
        let live = mark.load(Ordering::Relaxed) & LIVE != 0;
        let cell = crate::cell::inside(chunk.start(), address - chunk.start().addr().get());
        live.then_some(Place { cell, span, class, mark })
    }

    /// Takes back a cell that lies in a span.
    ///
    /// # Safety
    ///
    /// Nothing uses it any more.
    pub(super) unsafe fn give_small(&self, place: &Place<'_>, shred: bool) {
        let Some(local) = self.spans() else { return };
        let shred = shred || place.is_tainted() || self.id.is_tainted();
        show(place.cell, place.room());
        // SAFETY: the cell's own bytes, used no more.
        unsafe { wipe_if(shred, place.cell, place.room()) };
        hide(place.cell, place.room());
        // SAFETY: a live cell of a span of this owner, with its mark, used no more.
        unsafe { local.give(&Under(self), place.span, place.class, place.cell, place.mark) };
    }

    /// Gives a small cell another size where it is, if its class is that of the new size too.
    pub(super) fn settle_small(&self, place: &Place<'_>, new: Layout) -> bool {
        if class(new) != Some(place.class) {
            return false;
        }
        let old = place.size();
        show(place.cell, place.room());
        if new.size() < old {
            let shred = place.is_tainted() || self.id.is_tainted();
            let tail = crate::cell::inside(place.cell, new.size());
            // SAFETY: what shrinking leaves over is the cell's own, used no more.
            unsafe { wipe_if(shred, tail, old - new.size()) };
        }
        place.set_size(new.size());
        hide(crate::cell::inside(place.cell, new.size()), place.room() - new.size());
        true
    }

    /// Visits what lies in a segment of spans, by address: its place, how long it is, and what it is.
    pub(super) fn each_piece(&self, chunk: &Chunk, visit: &mut dyn FnMut(NonNull<u8>, usize, Piece<'_>)) {
        // SAFETY: it is a segment of this ground.
        let segment = unsafe { Layer::<S>::segment_of(chunk.start().as_ptr()) };
        let slice = Under::<S>::SLICE;
        visit(chunk.start(), slice, Piece::Head);
        Layer::<S>::each(segment, &mut |first, slices, span| {
            let (start, len) = (crate::cell::inside(chunk.start(), first * slice), slices * slice);
            let Some(span) = span else { return visit(start, len, Piece::Fresh) };
            let size = span.room::<Under<'_, S>>();
            let front = span.data().addr() - start.addr().get();
            if front > 0 {
                visit(start, front, Piece::Head);
            }
            for number in 0..span.cells() {
                let cell = crate::cell::inside(start, front + number * size);
                match self.place(chunk, cell) {
                    Some(place) => visit(cell, size, Piece::Live(&place)),
                    None => visit(cell, size, Piece::Free),
                }
            }
            let end = front + span.cells() * size;
            if end < len {
                visit(crate::cell::inside(start, end), len - end, Piece::Fresh);
            }
        });
    }

    /// Wipes all small cells that are tainted.
    pub(super) fn wipe_small(&self, chunk: &Chunk) {
        self.each_piece(chunk, &mut |cell, size, piece| {
            if let Piece::Live(place) = piece
                && (place.is_tainted() || self.id.is_tainted())
            {
                show(cell, size);
                // SAFETY: a live cell's bytes, used no more.
                unsafe { wipe_if(true, cell, size) };
            }
        });
    }
}

/// What a piece of a segment is.
pub(super) enum Piece<'a> {
    /// Heads and marks.
    Head,
    /// A live cell.
    Live(&'a Place<'a>),
    /// A cell that is not live.
    Free,
    /// Room that no span has, or that no cell fits into.
    Fresh,
}

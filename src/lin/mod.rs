//! Linear memory: one cell after the other.
//!
//! ```text
//!           newest chunk                                 older chunks
//! ┌───────┬──────┬──────┬──────┬──────────┐      ┌───────┬─────────────┐
//! │ Chunk │ cell │ cell │ cell │   free   │ ───► │ Chunk │ cells …     │ ───► null
//! └───────┴──────┴──────┴──────┴──────────┘ prev └───────┴─────────────┘
//!                              ▲          ▲
//!                           cursor      limit
//! ```
//!
//! With headers a [`Cell`](crate::Cell) stands in front of each payload, padding between cells is
//! a cell of kind `none`, and the chunk has a map of which units are a live payload's first.
//!
//! Invariants: `cursor` and `limit` are multiples of [`MIN_ALIGN`] within the newest chunk, or both
//! null while there is none; no chunk reaches into the last page of all addresses; what lies in a chunk
//! from its `fresh` on has never been written since the source gave it; the marks form a list from the
//! newest to the oldest, each in the region itself.

mod bare;
mod chunk;
mod headers;
mod make;
mod marks;
mod store;
mod typed;
mod walk;

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::fmt;
use core::marker::PhantomData;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

use crate::cell::{self, Bare, Cell, Head, Layer, MIN_ALIGN, State, inside, round_up};
use crate::growth::Growth;
use crate::inspect::fields::{Field, Form, Front, after};
use crate::poison::{hide, show};
use crate::ranges::Ranges;
use crate::seeded::seeded;
use crate::store::Ops;
use crate::wipe::wipe_if;
use crate::{Cond, Fixed, Kind, Source, Stats};

use chunk::Chunk;
pub(crate) use chunk::FRONT as BLOCK;
pub(crate) use marks::FRONT as MARK;
pub use marks::Mark;
use marks::Record;
pub use typed::Scope;

/// Bytes of the first chunk, unless asked otherwise.
const FIRST: usize = 4096;
/// Chunks grow no further than this, unless one cell needs more.
const MOST: usize = 4 << 20;

/// Linear memory (libk's `kmlin`): a cursor that moves on.
///
/// The fastest way to allocate, for what lives and goes together: a phase, a request, a document.
/// The newest cell can be released, grown and shrunk in place. Releasing an older one does nothing
/// now; its room comes back when the region is rewound, reset or destroyed.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Lin, Pages};
///
/// let mut lin = Lin::new_in(Pages::new());
/// let mark = lin.mark()?;
/// let cell = lin.alloc(Layout::new::<[u64; 4]>())?;
/// // SAFETY: what was allocated since the mark is used no more.
/// unsafe { lin.rewind(mark)? };
/// lin.reset();            // everything goes, the chunks stay for the next round
/// lin.destroy()?;         // the chunks go too
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// `H` says whether cells have headers: [`Bare`] (the default) or [`Headers`](crate::Headers). A payload is aligned to
/// [`MIN_ALIGN`] or to what its layout asks, whichever is more.
#[repr(C)]
pub struct Lin<S: Source, H: Layer = Bare> {
    id: Cell,
    cursor: Var<*mut u8>,
    limit: Var<*mut u8>,
    chunk: Var<*const Chunk>,
    ops: Option<&'static Ops>,
    spare: Var<*const Chunk>,
    /// The newest mark.
    marks: Var<*const Record>,
    peak: Var<usize>,
    /// What the cursor's address less this is: the bytes before the cursor in all chunks.
    origin: Var<usize>,
    ranges: Ranges,
    growth: Growth,
    /// Bytes held from the source.
    held: Var<usize>,
    /// A walk is under way: the limit is the cursor, and nothing rewinds.
    frozen: Var<bool>,
    source: S,
    layer: PhantomData<H>,
}

/// Where a region was at a time.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    chunk: *const Chunk,
    cursor: *mut u8,
    marks: *const Record,
}

impl Position {
    /// Before everything.
    pub(crate) const NONE: Self = Self { chunk: ptr::null(), cursor: ptr::null_mut(), marks: ptr::null() };
}

const _: () = {
    assert!(offset_of!(Lin<Fixed<'_>>, cursor) == MIN_ALIGN);
    assert!(offset_of!(Lin<Fixed<'_>>, ops) == Head::OPS);
};

/// What [`inspect::front`](crate::inspect::front) tells of a region.
pub(crate) const STORE: Front = Front { size: Head::SIZE, fields: &STORE_FIELDS };

const STORE_FIELDS: [Field; cell::FIELDS.len() + 3] = after(
    &cell::FIELDS,
    &[
        Field::word("cursor", offset_of!(Lin<Fixed<'_>>, cursor), Form::Link),
        Field::word("limit", offset_of!(Lin<Fixed<'_>>, limit), Form::Link),
        Field::word("chunk", offset_of!(Lin<Fixed<'_>>, chunk), Form::Link),
    ],
);

// SAFETY: the chunks belong to this value, and cells borrow it or are raw.
unsafe impl<S: Source + Send, H: Layer> Send for Lin<S, H> {}

impl<S: Source, H: Layer> Lin<S, H> {
    /// Bytes in front of each payload.
    const HEADER: usize = if H::HEADERS { size_of::<Cell>() } else { 0 };

    const fn build(source: S, ops: Option<&'static Ops>, growth: Growth) -> Self {
        Self {
            id: Cell::new(Kind::Lin, Layout::new::<Self>(), State::Live),
            cursor: Var::new(ptr::null_mut()),
            limit: Var::new(ptr::null_mut()),
            chunk: Var::new(ptr::null()),
            ops,
            spare: Var::new(ptr::null()),
            marks: Var::new(ptr::null()),
            peak: Var::new(0),
            origin: Var::new(0),
            held: Var::new(0),
            ranges: Ranges::new(),
            growth,
            frozen: Var::new(false),
            source,
            layer: PhantomData,
        }
    }

    /// The size in bytes of the first chunk: a start, not a limit.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new()).first_block(1 << 20);
    /// lin.alloc(Layout::new::<u64>())?;
    /// assert!(lin.stats().held >= 1 << 20);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn first_block(mut self, bytes: usize) -> Self {
        self.growth.first = bytes;
        self
    }

    /// The most bytes that the region may hold from its source; beyond, it says `no_room`.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new()).limit(1 << 20);
    /// assert_eq!(lin.alloc(Layout::new::<[u8; 2 << 20]>()), Err(Cond::NoRoom));
    /// ```
    #[must_use]
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.growth.limit = bytes;
        self
    }

    /// What the region takes its chunks from.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Lin, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let lin = Lin::new_in(&heap);
    /// lin.alloc(Layout::new::<u64>())?;
    /// assert_eq!(lin.source().stats().live, 1);       // its chunk
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Memory for the layout, its contents undefined.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let cell = lin.alloc(Layout::new::<[u64; 4]>())?;
    /// // SAFETY: a live cell of this type's size and alignment.
    /// unsafe { cell.cast::<[u64; 4]>().write([7; 4]) };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `no_room` when the source has none, or what else it says; `bad_size` for a size over what an
    /// object can have.
    #[inline]
    pub fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let payload = self.bump(layout)?;
        Ok(NonNull::slice_from_raw_parts(payload, layout.size()))
    }

    /// The same, zeroed; what is known to be zero is not zeroed again.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let cell = lin.alloc_zeroed(Layout::new::<[u8; 32]>())?;
    /// // SAFETY: a live cell, initialised, which nobody writes to.
    /// assert_eq!(unsafe { cell.as_ref() }, [0; 32]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let payload = self.bump(layout)?;
        let chunk = self.newest().ok_or(Cond::FailAssert)?;
        let dirty = chunk.fresh().saturating_sub(payload.addr().get()).min(layout.size());
        // SAFETY: the cell was just handed out to us and is at least this long.
        unsafe { payload.write_bytes(0, dirty) };
        Ok(NonNull::slice_from_raw_parts(payload, layout.size()))
    }

    #[inline]
    fn bump(&self, layout: Layout) -> Result<NonNull<u8>, Cond> {
        self.bump_as(layout, false)
    }

    /// The same for a layout that the compiler knows: a small one cannot lead past the last of all addresses, so
    /// that one comparison does.
    #[inline]
    fn bump_for<T>(&self) -> Result<NonNull<u8>, Cond> {
        let layout = Layout::new::<T>();
        self.bump_as(layout, chunk::ends(Self::HEADER + layout.align() + round_up(layout.size())))
    }

    /// Memory of a few units in the newest chunk, if it has room.
    #[inline(always)]
    pub(crate) fn carve(&self, size: usize) -> Option<NonNull<u8>> {
        self.bump_here(Layout::from_size_align(size, MIN_ALIGN).ok()?, chunk::ends(Self::HEADER + size))
    }

    #[inline(always)]
    fn bump_as(&self, layout: Layout, small: bool) -> Result<NonNull<u8>, Cond> {
        loop {
            if let Some(payload) = self.bump_here(layout, small) {
                return Ok(payload);
            }
            // Fast code does the rest elsewhere, and small code, which a module's is to be, tries again here.
            if cfg!(not(target_arch = "wasm32")) {
                return self.bump_in_next_chunk(layout);
            }
            self.next_chunk(round_up(layout.size()), layout.align())?;
        }
    }

    #[cold]
    #[inline(never)]
    fn bump_in_next_chunk(&self, layout: Layout) -> Result<NonNull<u8>, Cond> {
        self.next_chunk(round_up(layout.size()), layout.align())?;
        self.bump_here(layout, false).ok_or(Cond::FailAssert)
    }

    /// Memory in the newest chunk, if it has room.
    #[inline(always)]
    fn bump_here(&self, layout: Layout, small: bool) -> Option<NonNull<u8>> {
        let cursor = self.cursor.get();
        // A payload's place: behind its header, at a multiple of its alignment.
        let pad = if layout.align() > MIN_ALIGN && !seeded("region_forgets_alignment") {
            (cursor.addr() + Self::HEADER).wrapping_neg() & (layout.align() - 1)
        } else {
            0
        };
        let size = Self::HEADER + pad + round_up(layout.size());
        let fits = if small {
            cursor.addr().wrapping_add(size) <= self.limit.get().addr()
        } else {
            // The sum is what the cursor becomes, so that its carry costs less than a difference.
            cursor.addr().checked_add(size)? <= self.limit.get().addr()
        };
        if !fits {
            return None;
        }
        self.cursor.set(cursor.wrapping_add(size));
        // SAFETY: there is room only in a chunk, and no chunk is at null.
        let start = unsafe { NonNull::new_unchecked(cursor) };
        let payload = inside(start, pad + Self::HEADER);
        show(start, pad + Self::HEADER + layout.size());
        if H::HEADERS {
            self.begin_cell(cursor, pad, payload.as_ptr(), layout);
        }
        Some(payload)
    }

    /// Writes the headers of a cell and of the padding before it.
    fn begin_cell(&self, start: *mut u8, pad: usize, payload: *mut u8, layout: Layout) {
        if pad > 0 {
            self.write_header(start, Kind::None, pad - Self::HEADER, MIN_ALIGN);
        }
        let header = payload.wrapping_sub(Self::HEADER);
        self.write_header(header, Kind::Lin, layout.size(), layout.align().max(MIN_ALIGN));
        if let Some(chunk) = self.newest() {
            chunk.live().set(chunk.index(payload));
        }
    }

    fn write_header(&self, at: *mut u8, kind: Kind, payload: usize, align: usize) {
        if let Ok(layout) = Layout::from_size_align(Self::HEADER + payload, align) {
            let state = if kind == Kind::None { State::Free } else { State::Live };
            // SAFETY: the cursor has just moved over this place, which is aligned and has room for a header.
            unsafe { at.cast::<Cell>().write(Cell::new(kind, layout, state)) };
        }
    }

    /// What all cells are released with if they are not tainted themselves.
    pub(crate) fn is_tainted(&self) -> bool {
        self.id.is_tainted()
    }

    /// Taints the whole region: whatever is released, rewound, reset or destroyed is wiped first.
    ///
    /// ```
    /// use kmem::{Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// lin.taint();
    /// let key = lin.put([7_u8; 32])?;
    /// key[0] = 8;
    /// lin.reset();                            // and nothing is left of the key
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[cfg(feature = "shred")]
    pub fn taint(&self) {
        self.id.taint();
    }

    /// Whether the cell that ends at an address is the newest, so that the cursor may go back over it.
    #[inline]
    fn is_newest(&self, end: *mut u8) -> bool {
        !self.frozen.get() && end == self.cursor.get()
    }

    /// Releases a cell of `size` bytes whose payload is known to be one of this region's.
    ///
    /// # Safety
    ///
    /// The cell is live and nothing uses it any more.
    unsafe fn give_back(&self, payload: NonNull<u8>, size: usize, shred: bool) {
        let extent = round_up(size);
        show(payload, extent);
        // SAFETY: the caller's promise: the cell's bytes, used no more.
        unsafe { wipe_if(shred || self.is_tainted(), payload, extent) };
        hide(payload, extent);
        let end = payload.as_ptr().wrapping_add(extent);
        let newest = self.is_newest(end);
        if newest {
            if let Some(chunk) = self.newest() {
                chunk.touched(end);
            }
            self.note_peak();
            self.cursor.set(payload.as_ptr().wrapping_sub(Self::HEADER));
        }
        if H::HEADERS {
            let header = self.header(payload);
            if let Some(chunk) = self.chunk_of(payload) {
                chunk.live().clear(chunk.index(payload.as_ptr()));
            }
            // The hole keeps its whole extent, so that a walk finds the next header.
            header.set_size(Self::HEADER + extent);
            header.set_kind(Kind::None);
            header.set_state(if shred { State::Shredded } else { State::Free });
            if newest {
                hide(NonNull::from(header).cast(), Self::HEADER);
            }
        }
    }

    /// Grows or shrinks a cell known to be this region's, in place if it is the newest.
    ///
    /// # Safety
    ///
    /// The cell is live and has `old` bytes; on success the old cell is gone if the address is another.
    unsafe fn change(&self, payload: NonNull<u8>, old: usize, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        let done = Ok(NonNull::slice_from_raw_parts(payload, new.size()));
        let (extent, wanted) = (round_up(old), round_up(new.size()));
        let tail = inside(payload, wanted.min(extent));
        let shred = self.is_tainted() || (H::HEADERS && self.header(payload).is_tainted());
        if self.is_newest(payload.as_ptr().wrapping_add(extent)) {
            let room = self.limit.get().addr() - payload.addr().get();
            if wanted <= room {
                show(payload, extent.max(wanted));
                // SAFETY: what shrinking leaves over is the cell's own, used no more.
                unsafe { wipe_if(shred, tail, extent - wanted.min(extent)) };
                hide(inside(payload, new.size()), extent.max(wanted) - new.size());
                if let Some(chunk) = self.newest() {
                    chunk.touched(self.cursor.get());
                }
                self.note_peak();
                self.cursor.set(payload.as_ptr().wrapping_add(wanted));
                self.set_payload_size(payload, new.size());
                return done;
            }
        } else if wanted <= extent {
            show(payload, extent);
            // SAFETY: as above.
            unsafe { wipe_if(shred, tail, extent - wanted) };
            hide(inside(payload, new.size()), extent - new.size());
            if H::HEADERS && wanted < extent {
                show(tail, Self::HEADER);
                self.write_header(tail.as_ptr(), Kind::None, extent - wanted - Self::HEADER, MIN_ALIGN);
            }
            self.set_payload_size(payload, new.size());
            return done;
        }
        let moved = self.bump(new)?;
        // SAFETY: both cells are live and distinct; this many bytes are in each.
        unsafe { payload.copy_to_nonoverlapping(moved, old.min(new.size())) };
        if H::HEADERS {
            self.header(moved).inherit_taint(self.header(payload));
        }
        // SAFETY: the caller's promise; the bytes are in the new cell.
        unsafe { self.give_back(payload, old, shred) };
        Ok(NonNull::slice_from_raw_parts(moved, new.size()))
    }

    fn set_payload_size(&self, payload: NonNull<u8>, size: usize) {
        if H::HEADERS {
            self.header(payload).set_size(Self::HEADER + size);
        }
    }

    /// The header of a live cell; only with headers.
    fn header<'a>(&self, payload: NonNull<u8>) -> &'a Cell {
        let header = payload.as_ptr().wrapping_sub(size_of::<Cell>());
        // SAFETY: callers have a live cell's payload and a region with headers, so a header stands there.
        unsafe { &*header.cast() }
    }

    /// Releases every cell and keeps the chunks, so that a region that is warm asks its source for
    /// nothing more.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// lin.alloc(Layout::new::<[u8; 1000]>())?;
    /// let held = lin.stats().held;
    /// lin.reset();
    /// assert_eq!((lin.stats().bytes, lin.stats().held), (0, held));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn reset(&mut self) {
        // To the oldest chunk, which would be the next anyway: who needs no other then takes none.
        let to =
            self.oldest().map_or(Position::NONE, |chunk| Position { chunk, cursor: chunk.first(), marks: ptr::null() });
        self.go_back(to);
    }

    /// Where the region is now.
    pub(crate) fn position(&self) -> Position {
        Position { chunk: self.chunk.get(), cursor: self.cursor.get(), marks: self.marks.get() }
    }

    /// Takes the region back to where it was: whoever calls knows that nothing uses what was allocated since, and
    /// that the region was not taken further back meanwhile.
    pub(crate) fn go_back(&self, to: Position) {
        self.note_peak();
        self.marks.set(to.marks);
        self.unwind(to.chunk, to.cursor);
    }

    /// Releases every cell and gives the chunks back. The region can be used again.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let mut lin = Lin::new_in(Pages::new());
    /// lin.alloc(Layout::new::<u64>())?;
    /// lin.destroy()?;
    /// assert_eq!(lin.stats().held, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the source refuses a chunk: that one is kept, empty, and destroying again tries again.
    pub fn destroy(&mut self) -> Result<(), Cond> {
        self.go_back(Position::NONE);
        self.give_back_spare()
    }

    /// Gives the chunks in which there is nothing to the source; those that it refuses stay.
    pub(crate) fn give_back_spare(&self) -> Result<(), Cond> {
        // Newest first, as a source that takes only its newest block back wants it.
        let mut newest_first: *const Chunk = ptr::null();
        while let Some(chunk) = self.pop_spare() {
            chunk.set_prev(newest_first);
            newest_first = chunk;
        }
        self.spare.set(newest_first);
        let mut answer = Ok(());
        let mut kept: *const Chunk = ptr::null();
        while let Some(chunk) = self.pop_spare() {
            if H::HEADERS {
                self.ranges.remove(chunk.range());
            }
            show(chunk.start(), chunk.size());
            let size = chunk.size();
            // SAFETY: the chunk came from the source with this layout, and nothing is in it.
            if let Err(cond) = unsafe { self.source.free(chunk.start(), chunk.layout()) } {
                answer = Err(cond);
                if H::HEADERS {
                    // SAFETY: it was in until just now.
                    unsafe { self.ranges.insert(chunk.range()) };
                }
                chunk.set_prev(kept);
                kept = chunk;
            } else {
                self.held.set(self.held.get() - size);
            }
        }
        self.spare.set(kept);
        answer
    }

    /// Figures, from walking the chunks.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Lin, Pages};
    ///
    /// let lin = Lin::with_headers_in(Pages::new());
    /// lin.alloc(Layout::new::<[u8; 100]>())?;
    /// let stats = lin.stats();
    /// assert_eq!(stats.live, 1);
    /// assert!(stats.bytes >= 100 && stats.held >= stats.bytes);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let bytes = self.used_bytes();
        Stats { live: self.count_live(), bytes, peak: self.peak.get().max(bytes), held: self.held() }
    }

    fn note_peak(&self) {
        self.peak.set(self.peak.get().max(self.used_bytes()));
    }
}

impl<S: Source, H: Layer> Drop for Lin<S, H> {
    fn drop(&mut self) {
        // Nobody is left to be told; what the source refuses stays mapped.
        let _ = self.destroy();
    }
}

impl<S: Source, H: Layer> fmt::Debug for Lin<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lin").field("headers", &H::HEADERS).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

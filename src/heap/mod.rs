//! The heap: any size, any order, any lifetime.
//!
//! ```text
//! a chunk
//! ┌───────┬──────────┬───────────┬──────┬─────────┬──────┬──────┬────────────┬──────┐
//! │ Chunk │ live map │ edge map  │ Cell │ payload │ free │ Cell │ payload    │ free │
//! └───────┴──────────┴───────────┴──────┴─────────┴──────┴──────┴────────────┴──────┘
//!                                 ▲ unit of MIN_ALIGN bytes      each a block ▲
//! ```
//!
//! A chunk is divided into blocks without gaps. A live block is a [`Cell`] and its payload; a free one
//! has its size in its first and last word and, if it is longer than a unit, links of the list of
//! free blocks of about its size. The *live map* has a bit for each payload's first unit, so that an
//! address is told from every other without reading what it points to; the *edge map* has a bit for
//! each free block's last unit, so that a block that is freed finds a free one before it.
//!
//! Small cells lie in spans instead ([`small`]), where the source has room for them.
//!
//! A block that is larger than most has a chunk to itself ([`solo`](chunk)), given back when it is freed.
//!
//! Invariants: no two free blocks touch; every free block longer than a unit is on the list of its
//! bin; a chunk's live bits, and nothing else, are live cells. (Boundary tags and segregated fits:
//! Knuth; the two-step bins: Masmano's TLSF.)

mod bins;
mod chunk;
mod small;
mod store;
mod walk;

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::fmt;
use core::mem::{MaybeUninit, offset_of};
use core::ptr::{self, NonNull};

use crate::cell::{self, Cell, Head, MIN_ALIGN, State, inside, round_up};
use crate::growth::Growth;
use crate::inspect::fields::{Field, Form, Front, after};
use crate::poison::{hide, show};
use crate::ranges::Ranges;
use crate::seeded::seeded;
use crate::spans::Local;
use crate::store::Ops;
use crate::wipe::wipe_if;
use crate::{Cond, Fixed, Kind, Ptr, Source, Stats, Store};

use bins::Bins;
pub(crate) use bins::FREE;
use chunk::Chunk;
pub(crate) use chunk::FRONT as BLOCK;
use small::Small;

/// Bytes of the first chunk, unless asked otherwise.
const FIRST: usize = 64 << 10;
/// Chunks grow no further than this.
const MOST: usize = 1 << 20;
/// A block of this size or more has a chunk to itself, where the source is not bounded.
const SOLO: usize = 128 << 10;
/// In front of each payload.
const HEADER: usize = size_of::<Cell>();

/// A heap (libk's `kmheap`): memory of any size, released in any order.
///
/// Every cell can be released by its address alone, tainted by itself, and handed on as a managed pointer. Where the
/// source has no bound, small cells have nothing in front of them; in a heap with a first block of a given size or a
/// limit, and in the caller's bytes, each has a header. Whatever is not a live cell's address is refused with `bad_address`.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Cond, Heap, Pages};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = heap.alloc(Layout::from_size_align(100, 64).expect("a layout"))?;
/// // SAFETY: the cell is used no more.
/// unsafe { heap.free(cell.cast())? };
/// // SAFETY: refused, since it was given back already.
/// assert_eq!(unsafe { heap.free(cell.cast()) }, Err(Cond::BadAddress));
/// # Ok::<(), Cond>(())
/// ```
#[repr(C)]
pub struct Heap<S: Source> {
    id: Cell,
    /// All chunks, linked both ways.
    chunks: Var<*const Chunk>,
    /// A chunk with no live cell that is kept for the next need.
    idle: Var<*const Chunk>,
    live: Var<usize>,
    ops: Option<&'static Ops>,
    bytes: Var<usize>,
    peak: Var<usize>,
    held: Var<usize>,
    last: Var<usize>,
    bins: Bins,
    ranges: Ranges,
    /// Where small cells lie.
    small: Var<Small>,
    /// The owner of the spans, if there are any.
    local: Var<*const Local>,
    /// Its block, which may be there without it, and how long that is.
    block: Var<*const Local>,
    block_len: Var<usize>,
    growth: Growth,
    /// A walk is under way, whose visitor must change nothing.
    frozen: Var<bool>,
    source: S,
}

const _: () = assert!(offset_of!(Heap<Fixed<'_>>, ops) == Head::OPS);

/// What [`inspect::front`](crate::inspect::front) tells of a heap.
pub(crate) const STORE: Front = Front { size: Head::SIZE, fields: &STORE_FIELDS };

const STORE_FIELDS: [Field; cell::FIELDS.len() + 3] = after(
    &cell::FIELDS,
    &[
        Field::word("chunks", offset_of!(Heap<Fixed<'_>>, chunks), Form::Link),
        Field::word("idle", offset_of!(Heap<Fixed<'_>>, idle), Form::Link),
        Field::word("live", offset_of!(Heap<Fixed<'_>>, live), Form::Number),
    ],
);

// SAFETY: the chunks belong to this value, and cells borrow it or are raw.
unsafe impl<S: Source + Send> Send for Heap<S> {}

impl<'a> Heap<Fixed<'a>> {
    /// A heap in the caller's bytes; full, it says `no_room`.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::mem::MaybeUninit;
    /// use kmem::{Cond, Heap};
    ///
    /// let mut bytes = [MaybeUninit::uninit(); 4096];
    /// let heap = Heap::fixed(&mut bytes);
    /// heap.alloc(Layout::new::<[u8; 100]>())?;
    /// assert_eq!(heap.alloc(Layout::new::<[u8; 4096]>()), Err(Cond::NoRoom));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn fixed(bytes: &'a mut [MaybeUninit<u8>]) -> Self {
        Self::build(Fixed::new(bytes), Growth::whole())
    }
}

impl<S: Source> Heap<S> {
    /// A heap whose chunks come from a source; the first is taken with the first cell.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// assert_eq!(heap.stats().held, 0);
    /// heap.alloc(Layout::new::<u64>())?;
    /// assert!(heap.stats().held > 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn new_in(source: S) -> Self {
        Self::build(source, Growth::new(FIRST, MOST))
    }

    const fn build(source: S, growth: Growth) -> Self {
        Self {
            id: Cell::new(Kind::Heap, Layout::new::<Head>(), State::Live),
            chunks: Var::new(ptr::null()),
            idle: Var::new(ptr::null()),
            live: Var::new(0),
            ops: Some(Ops::of::<Self>()),
            bytes: Var::new(0),
            peak: Var::new(0),
            held: Var::new(0),
            last: Var::new(0),
            bins: Bins::new(),
            ranges: Ranges::new(),
            small: Var::new(Small::Undecided),
            local: Var::new(ptr::null()),
            block: Var::new(ptr::null()),
            block_len: Var::new(0),
            growth,
            frozen: Var::new(false),
            source,
        }
    }

    /// The size in bytes of the first chunk: a start, not a limit. All cells then have headers.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new()).first_block(1 << 20);
    /// heap.alloc(Layout::new::<u64>())?;
    /// assert!(heap.stats().held >= 1 << 20);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn first_block(mut self, bytes: usize) -> Self {
        self.growth.first = bytes;
        self.small = Var::new(Small::Tags);
        self
    }

    /// The most bytes that the heap may hold from its source; beyond, it says `no_room`. All cells then have headers.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new()).limit(1 << 20);
    /// assert_eq!(heap.alloc(Layout::new::<[u8; 2 << 20]>()), Err(Cond::NoRoom));
    /// ```
    #[must_use]
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.growth.limit = bytes;
        self.small = Var::new(Small::Tags);
        self
    }

    /// What the heap takes its chunks from.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Lin, Pages};
    ///
    /// let lin = Lin::new_in(Pages::new());
    /// let heap = Heap::new_in(&lin);
    /// heap.alloc(Layout::new::<u64>())?;
    /// assert!(heap.source().stats().bytes >= heap.stats().held);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Memory for the layout, its contents undefined.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = heap.alloc(Layout::new::<[u64; 4]>())?;
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
        if let Some(cell) = self.take_hot(layout) {
            return Ok(NonNull::slice_from_raw_parts(cell, layout.size()));
        }
        self.take(layout).map(|(payload, _)| NonNull::slice_from_raw_parts(payload, layout.size()))
    }

    /// The same, zeroed; what is known to be zero is not zeroed again.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = heap.alloc_zeroed(Layout::new::<[u8; 32]>())?;
    /// // SAFETY: a live cell, initialised, which nobody writes to.
    /// assert_eq!(unsafe { cell.as_ref() }, [0; 32]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let (payload, zeroed) = self.take(layout)?;
        if !zeroed {
            // SAFETY: the cell was just handed out to us and is this long.
            unsafe { payload.write_bytes(0, layout.size()) };
        }
        Ok(NonNull::slice_from_raw_parts(payload, layout.size()))
    }

    /// The same as [`alloc`](Self::alloc), as a managed pointer.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Kind, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let ptr = heap.alloc_ptr(Layout::new::<[u64; 4]>())?;
    /// assert_eq!((ptr.kind(), ptr.size()), (Kind::Heap, Some(32)));
    /// // SAFETY: the heap is where it was, and nothing uses the cell.
    /// unsafe { kmem::free(ptr)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_ptr(&self, layout: Layout) -> Result<Ptr, Cond> {
        Ok(Ptr::of(self, self.alloc(layout)?))
    }

    /// The same as [`alloc_zeroed`](Self::alloc_zeroed), as a managed pointer.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let ptr = heap.alloc_zeroed_ptr(Layout::new::<u64>())?;
    /// // SAFETY: a live cell, initialised.
    /// assert_eq!(unsafe { ptr.payload().cast::<u64>().read() }, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_zeroed_ptr(&self, layout: Layout) -> Result<Ptr, Cond> {
        Ok(Ptr::of(self, self.alloc_zeroed(layout)?))
    }

    /// Takes a cell back.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = heap.alloc(Layout::new::<u64>())?.cast();
    /// // SAFETY: the cell is used no more.
    /// unsafe { heap.free(cell)? };
    /// // SAFETY: the same; it is refused, since it was given back.
    /// assert_eq!(unsafe { heap.free(cell) }, Err(Cond::BadAddress));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_address` for what is not a live cell of this heap, `mismatch` for one that holds a `ref`
    /// or a node. A chunk that the source refuses to take back is kept and used again.
    ///
    /// # Safety
    ///
    /// Nothing uses the cell any more.
    pub unsafe fn free(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.release(payload, false) }
    }

    /// Destroys the bytes, then takes the cell back.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let key = heap.alloc(Layout::new::<[u8; 32]>())?.cast();
    /// // SAFETY: the cell is used no more.
    /// unsafe { heap.shred(key)? };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free).
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    #[cfg(feature = "shred")]
    pub unsafe fn shred(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.release(payload, true) }
    }

    /// Grows or shrinks a cell, in place where there is room behind it. The alignment stays.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = heap.alloc_zeroed(Layout::new::<[u8; 10]>())?.cast();
    /// // SAFETY: what was there is used by its new address only.
    /// let grown = unsafe { heap.resize(cell, 1000)? };
    /// assert_eq!(grown.len(), 1000);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc) and [`free`](Self::free); the cell is then as it was.
    ///
    /// # Safety
    ///
    /// If the address returned is another, the old one is gone.
    pub unsafe fn resize(&self, payload: NonNull<u8>, size: usize) -> Result<NonNull<[u8]>, Cond> {
        let found = self.locate(payload)?;
        if found.kind != Kind::Heap {
            return Err(Cond::Mismatch);
        }
        let new = Layout::from_size_align(size, found.align).map_err(|_| Cond::BadSize)?;
        // SAFETY: a live cell of this heap.
        unsafe { self.change(found.payload, new) }
    }

    /// Taints the whole heap: whatever is released or destroyed is wiped first.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Store};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// heap.taint();
    /// let cell = heap.alloc(Layout::new::<u64>())?.cast();
    /// assert!(heap.locate(cell)?.tainted);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[cfg(feature = "shred")]
    pub fn taint(&self) {
        self.id.taint();
    }

    /// Releases every cell and gives every chunk back. The heap can be used again.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let mut heap = Heap::new_in(Pages::new());
    /// heap.alloc(Layout::new::<u64>())?;
    /// heap.destroy()?;
    /// assert_eq!((heap.stats().live, heap.stats().held), (0, 0));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the source refuses a chunk: that one is kept, empty, and destroying again tries again.
    pub fn destroy(&mut self) -> Result<(), Cond> {
        self.wipe_tainted();
        self.live.set(0);
        self.bytes.set(0);
        self.last.set(0);
        self.bins.clear();
        self.idle.set(ptr::null());
        self.local.set(ptr::null());
        let chunks = self.give_back_chunks();
        self.give_back_owner().and(chunks)
    }

    /// Figures, kept as cells come and go.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// heap.alloc(Layout::new::<[u8; 100]>())?;
    /// let stats = heap.stats();
    /// assert_eq!(stats.live, 1);
    /// assert!(stats.bytes >= 100 && stats.held >= stats.bytes);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats =
            Stats { live: self.live.get(), bytes: self.bytes.get(), peak: self.peak.get(), held: self.held.get() };
        if let Some(local) = self.spans() {
            let small = local.totals();
            stats.live += small.live;
            stats.bytes += small.bytes;
            stats.peak += local.peak();
        }
        stats
    }

    /// `in_use` while a walk is under way.
    fn thaw(&self) -> Result<(), Cond> {
        if self.frozen.get() { Err(Cond::InUse) } else { Ok(()) }
    }

    /// A cell for a layout, and whether its payload is known to be zero.
    fn take(&self, layout: Layout) -> Result<(NonNull<u8>, bool), Cond> {
        self.thaw()?;
        // No object is larger than half the address space; with the rest it must still be a number.
        if layout.size() > isize::MAX as usize / 2 || layout.align() > isize::MAX as usize / 4 {
            return Err(Cond::BadSize);
        }
        self.decide();
        if self.is_small(layout) {
            match self.take_small(layout) {
                // The source has no segment, or does not align as one is to be: then no cell is small.
                Err(_) if self.spans().is_none_or(Local::is_empty) => self.do_without_spans(),
                cell => return Ok((cell?, false)),
            }
        }
        let size = if seeded("cell_is_a_byte_short") { layout.size().saturating_sub(1) } else { layout.size() };
        let extent = HEADER + round_up(size);
        let align = layout.align().max(MIN_ALIGN);
        if extent >= SOLO && self.source.largest().is_none() {
            return self.take_solo(layout, extent, align);
        }
        // Wherever a block begins, a payload with room for its header before it comes this soon.
        let need = extent + (align - MIN_ALIGN);
        let found = match self.bins.find(need) {
            Some(block) => block,
            None => self.grow(need)?,
        };
        Ok((self.carve(found, layout, extent, align), false))
    }

    /// Makes a live cell in a free block that is known to be long enough.
    fn carve(&self, block: NonNull<u8>, layout: Layout, extent: usize, align: usize) -> NonNull<u8> {
        let whole = bins::size_of_free(block);
        let front = (block.addr().get() + HEADER).wrapping_neg() & (align - 1);
        let rest = whole - front - extent;
        if let Some(chunk) = self.chunk_of(block) {
            self.take_off(chunk, block, whole);
            let header = inside(block, front);
            if front > 0 {
                self.put_on(chunk, block, front);
            }
            if rest > 0 {
                self.put_on(chunk, inside(header, extent), rest);
            }
            self.begin_cell(chunk, header, layout, extent);
        }
        inside(block, front + HEADER)
    }

    /// Writes a live cell's header and counts it.
    fn begin_cell(&self, chunk: &Chunk, header: NonNull<u8>, layout: Layout, extent: usize) {
        // SAFETY: size and alignment were checked to be small enough when the request came.
        let layout =
            unsafe { Layout::from_size_align_unchecked(HEADER + layout.size(), layout.align().max(MIN_ALIGN)) };
        // SAFETY: the first unit of a block that is ours, aligned.
        unsafe { header.cast::<Cell>().write(Cell::new(Kind::Heap, layout, State::Live)) };
        chunk.set_live(inside(header, HEADER));
        hide(inside(header, layout.size()), extent - layout.size());
        if ptr::eq(chunk, self.idle.get()) {
            self.idle.set(ptr::null());
        }
        self.live.set(self.live.get() + 1);
        self.count(extent, 0);
    }

    /// Notes that bytes came to life and others went.
    fn count(&self, more: usize, less: usize) {
        let now = self.bytes.get() + more - less;
        self.bytes.set(now);
        self.peak.set(self.peak.get().max(now));
    }

    /// Takes back a cell that is known to be live and of this heap.
    ///
    /// # Safety
    ///
    /// So it is, and nothing uses it any more.
    unsafe fn give_back(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        self.thaw()?;
        let chunk = self.chunk_of(payload).ok_or(Cond::BadAddress)?;
        if chunk.has_spans() {
            let place = self.place(chunk, payload).ok_or(Cond::BadAddress)?;
            // SAFETY: the caller's promise, passed on.
            unsafe { self.give_small(&place, shred) };
            return Ok(());
        }
        let header = self.header(payload);
        let extent = extent(header);
        let shred = shred || header.is_tainted() || self.id.is_tainted();
        show(payload, extent - HEADER);
        // SAFETY: the cell's own bytes, used no more.
        unsafe { wipe_if(shred, payload, extent - HEADER) };
        self.live.set(self.live.get() - 1);
        self.count(0, extent);
        if chunk.is_solo() {
            // Refused, its room is for all from now on, and is offered again when it is empty again.
            if self.give_back_chunk(chunk).is_err() {
                self.share(chunk);
            }
            return Ok(());
        }
        chunk.clear_live(payload);
        // SAFETY: the header stands right before the payload, in the same block.
        let block = unsafe { payload.sub(HEADER) };
        self.join(chunk, block, extent);
        Ok(())
    }

    /// Makes a stretch of a chunk free, together with the free blocks that it touches.
    fn join(&self, chunk: &Chunk, block: NonNull<u8>, extent: usize) {
        let (mut start, mut len) = (block, extent);
        if let Some(before) = chunk.free_before(start) {
            self.take_off(chunk, before.0, before.1);
            start = before.0;
            len += before.1;
        }
        let after = inside(start, len);
        if let Some(size) = chunk.free_at(after) {
            self.take_off(chunk, after, size);
            len += size;
        }
        self.put_on(chunk, start, len);
        if chunk.is_empty() {
            self.retire(chunk);
        }
    }

    fn put_on(&self, chunk: &Chunk, block: NonNull<u8>, size: usize) {
        bins::write_size(block, size);
        chunk.set_edge(block, size);
        self.bins.insert(block, size);
        // What is not the size at both ends nor a link.
        let front = bins::FRONT.min(size - size_of::<usize>());
        hide(inside(block, front), size - size_of::<usize>() - front);
    }

    fn take_off(&self, chunk: &Chunk, block: NonNull<u8>, size: usize) {
        chunk.clear_edge(block, size);
        self.bins.remove(block, size);
        show(block, size);
    }

    /// Grows or shrinks a cell that is known to be live and of this heap.
    ///
    /// # Safety
    ///
    /// So it is; on success the old cell is gone if the address is another.
    unsafe fn change(&self, payload: NonNull<u8>, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.thaw()?;
        if new.size() > isize::MAX as usize / 2 {
            return Err(Cond::BadSize);
        }
        let chunk = self.chunk_of(payload).ok_or(Cond::BadAddress)?;
        if chunk.has_spans() {
            let place = self.place(chunk, payload).ok_or(Cond::BadAddress)?;
            if self.settle_small(&place, new) {
                return Ok(NonNull::slice_from_raw_parts(payload, new.size()));
            }
            let moved = self.alloc(new)?.cast::<u8>();
            // SAFETY: both cells are live and distinct; this many bytes are in each.
            unsafe { payload.copy_to_nonoverlapping(moved, place.size().min(new.size())) };
            self.become_like(moved, place.kind(), place.is_tainted());
            // SAFETY: the cell was just copied, and by the caller's promise its old address is used no more.
            unsafe { self.give_small(&place, false) };
            return Ok(NonNull::slice_from_raw_parts(moved, new.size()));
        }
        let header = self.header(payload);
        // What becomes small moves to a span: where a cell is, its layout says.
        let stays = !self.is_small(new);
        let (old, wanted) = (extent(header), HEADER + round_up(new.size()));
        let shred = header.is_tainted() || self.id.is_tainted();
        let in_place = stays
            && if chunk.is_solo() {
                wanted >= SOLO && wanted <= chunk.room_from(payload) + HEADER && wanted > chunk.size() / 2
            } else {
                wanted <= old || self.extend(chunk, payload, old, wanted)
            };
        if in_place {
            self.settle(chunk, payload, old, new.size());
            return Ok(NonNull::slice_from_raw_parts(payload, new.size()));
        }
        let moved = match self.alloc(new) {
            Ok(moved) => moved.cast::<u8>(),
            // A large cell that shrinks moves to let go of its chunk; it need not.
            Err(_) if !self.is_small(new) && chunk.is_solo() && wanted <= old => {
                self.settle(chunk, payload, old, new.size());
                return Ok(NonNull::slice_from_raw_parts(payload, new.size()));
            }
            Err(cond) => return Err(cond),
        };
        let kept = (header.size() - HEADER).min(new.size());
        let kept = if seeded("resize_loses_a_byte") { kept.saturating_sub(1) } else { kept };
        // SAFETY: both cells are live and distinct; this many bytes are in each.
        unsafe { payload.copy_to_nonoverlapping(moved, kept) };
        let tainted = header.is_tainted() && !seeded("taint_is_lost_when_a_cell_moves");
        self.become_like(moved, header.kind().unwrap_or(Kind::Heap), tainted);
        // SAFETY: the caller's promise; the bytes are in the new cell.
        unsafe { self.give_back(payload, shred) }?;
        Ok(NonNull::slice_from_raw_parts(moved, new.size()))
    }

    /// Marks a live cell as another was.
    fn become_like(&self, payload: NonNull<u8>, kind: Kind, tainted: bool) {
        match self.chunk_of(payload) {
            Some(chunk) if chunk.has_spans() => {
                let Some(place) = self.place(chunk, payload) else { return };
                place.set_kind(kind);
                if tainted {
                    place.taint();
                }
            }
            _ => {
                let header = self.header(payload);
                header.set_kind(kind);
                #[cfg(feature = "shred")]
                if tainted {
                    header.taint();
                }
                #[cfg(not(feature = "shred"))]
                let _ = tainted;
            }
        }
    }

    /// Gives a live cell another size where it is: there is room for it.
    fn settle(&self, chunk: &Chunk, payload: NonNull<u8>, old: usize, size: usize) {
        let (header, wanted) = (self.header(payload), HEADER + round_up(size));
        let shred = header.is_tainted() || self.id.is_tainted();
        show(payload, old.max(wanted) - HEADER);
        if wanted < old {
            let tail = inside(payload, wanted - HEADER);
            // SAFETY: what shrinking leaves over is the cell's own, used no more.
            unsafe { wipe_if(shred, tail, old - wanted) };
            if !chunk.is_solo() {
                header.set_size(HEADER + size);
                self.join(chunk, tail, old - wanted);
            }
        }
        header.set_size(HEADER + size);
        hide(inside(payload, size), wanted - HEADER - size);
        self.count(wanted, old);
    }

    /// Takes room for a live cell from the free block behind it, if there is enough.
    fn extend(&self, chunk: &Chunk, payload: NonNull<u8>, old: usize, wanted: usize) -> bool {
        let after = inside(payload, old - HEADER);
        let Some(free) = chunk.free_at(after).filter(|free| old + free >= wanted) else { return false };
        self.take_off(chunk, after, free);
        let rest = old + free - wanted;
        if rest > 0 {
            self.put_on(chunk, inside(payload, wanted - HEADER), rest);
        }
        true
    }

    /// The header of a live cell.
    fn header<'a>(&self, payload: NonNull<u8>) -> &'a Cell {
        let header = payload.as_ptr().wrapping_sub(HEADER);
        // SAFETY: callers have the payload of a live cell of this heap, so a header stands there.
        unsafe { &*header.cast() }
    }
}

/// Bytes of a live block, from its header to the next block.
fn extent(header: &Cell) -> usize {
    HEADER + round_up(header.size() - HEADER)
}

impl<S: Source> Drop for Heap<S> {
    fn drop(&mut self) {
        // Nobody is left to be told; what the source refuses stays mapped.
        let _ = self.destroy();
    }
}

impl<S: Source> fmt::Debug for Heap<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

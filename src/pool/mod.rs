//! Pools: cells of one size.
//!
//! ```text
//! newest block                                                older blocks, all handed out once
//! ┌───────┬──────┬──────┬──────┬──────┬─────────────┐        ┌───────┬──────┬──────┐
//! │ Block │ cell │ free │ cell │ free │    fresh    │ ─────► │ Block │ cell │ free │ ─► null
//! └───────┴──────┴──────┴──────┴──────┴─────────────┘ prev   └───────┴──────┴──────┘
//!                    ▲             ▲  ▲             ▲                          │
//!                    └───◄─────────┤ fresh         end                         │
//!                  next free       bottom ◄── top is the cell before `fresh`   ▼ null
//! ```
//!
//! A free cell holds the link to the one freed before it: bare, in its first word; with headers,
//! in its header's `last`, which in a live cell names the cell handed out before it.
//!
//! Invariants: `bottom` leads through the free cells, each once, to null; every handed-out cell lies
//! before `fresh` in the newest block or anywhere in an older one, at a multiple of the stride.

mod bare;
mod block;
mod front;
mod headers;
mod make;
mod store;
mod walk;

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::fmt;
use core::marker::PhantomData;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

use crate::cell::{self, Bare, Cell, Head, Layer, MIN_ALIGN, State, inside};
use crate::growth::Growth;
use crate::inspect::fields::{Field, Form, Front, after};
use crate::poison::{hide, show};
use crate::ranges::Ranges;
use crate::seeded::seeded;
use crate::store::Ops;
use crate::wipe::wipe_if;
use crate::{Cond, Fixed, Kind, Source, Stats};

use block::Block;
pub(crate) use block::FRONT as BLOCK;
pub(crate) use front::FRONT as CELL;
pub use front::PoolCell;

/// Bytes of the first block, unless asked otherwise.
const FIRST: usize = 4096;
/// Blocks grow no further than this.
const MOST: usize = 4 << 20;

/// A pool (libk's `kmpool`): cells of one size and alignment, handed out and taken back in O(1).
///
/// For objects that come and go: nodes, connections, particles. There is no fragmentation, since any
/// free cell does for any request. The most recently freed cell is the next to be handed out.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Pages, Pool};
///
/// let pool = Pool::new_in(Layout::new::<[u64; 4]>(), Pages::new());
/// let cell = pool.alloc()?;
/// // SAFETY: the cell is live and used no more.
/// unsafe { pool.free(cell.cast())? };
/// assert_eq!(pool.alloc()?, cell);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// `H` says whether cells have headers: [`Bare`] (the default) or [`Headers`](crate::Headers).
#[repr(C)]
pub struct Pool<S: Source, H: Layer = Bare> {
    id: Cell,
    /// Bytes of payload in a cell.
    cellsz: usize,
    /// The most recently handed-out fresh cell.
    top: Var<*const PoolCell>,
    /// The most recently freed cell, the next to be handed out.
    bottom: Var<*const PoolCell>,
    ops: Option<&'static Ops>,
    fresh: Var<*mut u8>,
    end: Var<*mut u8>,
    block: Var<*const Block>,
    spare: Var<*const Block>,
    /// With headers: the cell handed out last.
    recent: Var<*const PoolCell>,
    /// From one cell's front to the next.
    stride: usize,
    /// The alignment of payloads.
    align: usize,
    /// Cells that may be live at once.
    most: usize,
    /// Fresh cells handed out since the last reset, and before it at the most.
    handed: Var<usize>,
    peak: Var<usize>,
    /// Bytes held from the source.
    held: Var<usize>,
    ranges: Ranges,
    growth: Growth,
    /// A walk is under way: free and fresh cells are set aside.
    frozen: Var<bool>,
    /// Free cells that walks have set aside.
    aside: Var<usize>,
    source: S,
    layer: PhantomData<H>,
}

const _: () = {
    assert!(offset_of!(Pool<Fixed<'_>>, cellsz) == MIN_ALIGN);
    assert!(offset_of!(Pool<Fixed<'_>>, top) == MIN_ALIGN + size_of::<usize>());
    assert!(offset_of!(Pool<Fixed<'_>>, bottom) == MIN_ALIGN + 2 * size_of::<usize>());
    assert!(offset_of!(Pool<Fixed<'_>>, ops) == Head::OPS);
};

/// What [`inspect::front`](crate::inspect::front) tells of a pool.
pub(crate) const STORE: Front = Front { size: Head::SIZE, fields: &STORE_FIELDS };

const STORE_FIELDS: [Field; cell::FIELDS.len() + 3] = after(
    &cell::FIELDS,
    &[
        Field::word("cellsz", offset_of!(Pool<Fixed<'_>>, cellsz), Form::Number),
        Field::word("top", offset_of!(Pool<Fixed<'_>>, top), Form::Link),
        Field::word("bottom", offset_of!(Pool<Fixed<'_>>, bottom), Form::Link),
    ],
);

// SAFETY: the blocks belong to this value, and cells borrow it or are raw.
unsafe impl<S: Source + Send, H: Layer> Send for Pool<S, H> {}

impl<S: Source, H: Layer> Pool<S, H> {
    /// Bytes in front of each payload.
    const HEADER: usize = if H::HEADERS { size_of::<PoolCell>() } else { 0 };

    const fn build(cell: Layout, source: S, ops: Option<&'static Ops>, growth: Growth) -> Self {
        let align = if cell.align() > MIN_ALIGN { cell.align() } else { MIN_ALIGN };
        // Room for the link, and for a cell of size 0 to have an address.
        let payload = if cell.size() < size_of::<usize>() { size_of::<usize>() } else { cell.size() };
        // A size that the rounding would carry over the top stays as it is, and no block will hold it.
        let stride = match Self::HEADER.checked_add(payload) {
            Some(size) if size <= (isize::MAX as usize).saturating_sub(align) => (size + align - 1) & !(align - 1),
            _ => isize::MAX as usize & !(align - 1),
        };
        // And where even that leaves nothing, a cell still has its header.
        let stride = if stride < Self::HEADER { Self::HEADER } else { stride };
        Self {
            id: Cell::new(Kind::Pool, Layout::new::<Self>(), State::Live),
            cellsz: cell.size(),
            top: Var::new(ptr::null()),
            bottom: Var::new(ptr::null()),
            ops,
            fresh: Var::new(ptr::null_mut()),
            end: Var::new(ptr::null_mut()),
            block: Var::new(ptr::null()),
            spare: Var::new(ptr::null()),
            recent: Var::new(ptr::null()),
            stride,
            align,
            most: usize::MAX,
            handed: Var::new(0),
            peak: Var::new(0),
            held: Var::new(0),
            ranges: Ranges::new(),
            growth,
            frozen: Var::new(false),
            aside: Var::new(0),
            source,
            layer: PhantomData,
        }
    }

    /// Room for this many cells in the first block: a start, not a limit.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<[u8; 64]>(), Pages::new()).first_cells(10_000);
    /// pool.alloc()?;
    /// assert!(pool.stats().held >= 640_000);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn first_cells(mut self, cells: usize) -> Self {
        self.growth.first = self.stride.saturating_mul(cells).saturating_add(block::front(self.align, Self::HEADER));
        self
    }

    /// The most cells that may be handed out at once; beyond, the pool says `too_many`.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<u64>(), Pages::new()).limit(1);
    /// pool.alloc()?;
    /// assert_eq!(pool.alloc(), Err(Cond::TooMany));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn limit(mut self, cells: usize) -> Self {
        self.most = cells;
        self
    }

    /// What the pool takes its blocks from.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Pool};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let pool = Pool::new_in(Layout::new::<u64>(), &heap);
    /// pool.alloc()?;
    /// assert_eq!(pool.source().stats().live, 1);      // its block
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Bytes of payload in a cell.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// assert_eq!(Pool::new_in(Layout::new::<[u8; 20]>(), Pages::new()).cell_size(), 20);
    /// ```
    pub const fn cell_size(&self) -> usize {
        self.cellsz
    }

    /// The most recently handed-out fresh cell's payload: the high-water mark.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    /// assert_eq!(pool.top(), None);
    /// let cell = pool.alloc()?.cast();
    /// assert_eq!(pool.top(), Some(cell));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn top(&self) -> Option<NonNull<u8>> {
        self.payload_of(self.top.get())
    }

    /// The most recently freed cell's payload: the next to be handed out.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    /// let cell = pool.alloc()?.cast();
    /// assert_eq!(pool.bottom(), None);
    /// // SAFETY: a live cell, used no more.
    /// unsafe { pool.free(cell)? };
    /// assert_eq!(pool.bottom(), Some(cell));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn bottom(&self) -> Option<NonNull<u8>> {
        self.payload_of(self.bottom.get())
    }

    fn payload_of(&self, cell: *const PoolCell) -> Option<NonNull<u8>> {
        let cell = NonNull::new(cell.cast_mut())?;
        Some(inside(cell.cast(), Self::HEADER))
    }

    /// A cell, its contents undefined.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<[u64; 4]>(), Pages::new());
    /// let cell = pool.alloc()?;
    /// // SAFETY: a live cell of this type's size and alignment.
    /// unsafe { cell.cast::<[u64; 4]>().write([7; 4]) };
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `no_room` when the source has none, `too_many` at the pool's limit, or what else the source says.
    #[inline]
    pub fn alloc(&self) -> Result<NonNull<[u8]>, Cond> {
        let (payload, _) = self.take()?;
        Ok(self.trimmed(payload))
    }

    /// A cell, zeroed; what is known to be zero is not zeroed again.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<[u8; 32]>(), Pages::new());
    /// let cell = pool.alloc_zeroed()?;
    /// // SAFETY: a live cell, initialised, which nobody writes to.
    /// assert_eq!(unsafe { cell.as_ref() }, [0; 32]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`alloc`](Self::alloc).
    pub fn alloc_zeroed(&self) -> Result<NonNull<[u8]>, Cond> {
        let (payload, zeroed) = self.take()?;
        if !zeroed {
            // SAFETY: the cell was just handed out to us and has this many bytes.
            unsafe { payload.write_bytes(0, self.cellsz) };
        }
        Ok(self.trimmed(payload))
    }

    /// The cell without what rounding has added.
    #[inline]
    fn trimmed(&self, payload: NonNull<u8>) -> NonNull<[u8]> {
        hide(inside(payload, self.cellsz), self.stride - Self::HEADER - self.cellsz);
        NonNull::slice_from_raw_parts(payload, self.cellsz)
    }

    /// A cell, and whether it is known to be zero.
    #[inline]
    fn take(&self) -> Result<(NonNull<u8>, bool), Cond> {
        match self.take_here() {
            Some(taken) => Ok(taken),
            None => self.take_from_next_block(),
        }
    }

    /// The same without another block, if there is one.
    #[inline(always)]
    fn take_here(&self) -> Option<(NonNull<u8>, bool)> {
        if let Some(place) = NonNull::new(self.bottom.get().cast_mut()) {
            self.bottom.set(Self::next_free(place.as_ptr()));
            show(place.cast(), self.stride);
            return Some((self.hand_out(place), false));
        }
        let fresh = self.fresh.get();
        if fresh == self.end.get() || self.handed.get() >= self.most {
            return None;
        }
        Some(self.take_fresh(fresh))
    }

    #[inline]
    fn take_fresh(&self, fresh: *mut u8) -> (NonNull<u8>, bool) {
        self.handed.set(self.handed.get() + 1);
        self.fresh.set(fresh.wrapping_add(self.stride));
        let cell = fresh.cast::<PoolCell>().cast_const();
        self.top.set(cell);
        // SAFETY: a cell in a block is not at null.
        let place = unsafe { NonNull::new_unchecked(fresh) };
        show(place, self.stride);
        if H::HEADERS {
            let header = PoolCell {
                last: Var::new(ptr::null()),
                mark: Var::new(State::Live as u8),
                #[cfg(feature = "shred")]
                shred: Var::new(0),
                kind: Var::new(Kind::Pool as u8),
            };
            // SAFETY: a cell of the newest block that was never handed out; it is ours to write.
            unsafe { cell.cast_mut().write(header) };
        }
        let payload = if H::HEADERS { self.hand_out(place.cast()) } else { place };
        // SAFETY: a fresh cell is in the newest block.
        let zeroed = unsafe { &*self.block.get() }.zeroed();
        (payload, zeroed)
    }

    #[cold]
    #[inline(never)]
    fn take_from_next_block(&self) -> Result<(NonNull<u8>, bool), Cond> {
        if self.handed.get() >= self.most {
            return Err(Cond::TooMany);
        }
        self.next_block()?;
        Ok(self.take_fresh(self.fresh.get()))
    }

    /// Marks a cell as live and gives its payload, whose pointer reaches all of it.
    #[inline]
    fn hand_out(&self, place: NonNull<PoolCell>) -> NonNull<u8> {
        if H::HEADERS
            && let Some(cell) = Self::cell(place.as_ptr())
        {
            cell.last.set(self.recent.replace(place.as_ptr()));
            cell.mark.set(State::Live as u8);
            cell.kind.set(Kind::Pool as u8);
            #[cfg(feature = "shred")]
            cell.shred.set(0);
        }
        inside(place.cast(), Self::HEADER)
    }

    /// A cell's front. Bare cells have one only while they are free.
    #[inline]
    fn cell<'a>(at: *const PoolCell) -> Option<&'a PoolCell> {
        // SAFETY: callers pass null, a free cell, or with headers any cell that was handed out. Of a bare
        // one only `last` is used: what else a `PoolCell` has is payload there, and may be uninitialised.
        unsafe { at.as_ref() }
    }

    fn is_tainted(&self) -> bool {
        self.id.is_tainted()
    }

    /// Taints the whole pool: whatever is released, reset or destroyed is wiped first.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Owned, Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<[u8; 32]>(), Pages::new());
    /// pool.taint();
    /// let key = Owned::new_in([7_u8; 32], &pool)?;
    /// drop(key);                              // and its bytes are gone
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[cfg(feature = "shred")]
    pub fn taint(&self) {
        self.id.taint();
    }

    /// Takes back a cell that is known to be live and of this pool.
    ///
    /// # Safety
    ///
    /// So it is, and nothing uses it any more.
    #[inline]
    unsafe fn give_back(&self, payload: NonNull<u8>, shred: bool) {
        show(payload, self.stride - Self::HEADER);
        // SAFETY: the caller's promise: a cell's bytes, used no more.
        unsafe { wipe_if(shred || self.is_tainted(), payload, self.stride - Self::HEADER) };
        let cell = payload.as_ptr().wrapping_sub(Self::HEADER).cast::<PoolCell>();
        if H::HEADERS {
            if let Some(cell) = Self::cell(cell) {
                let wiped = shred || self.is_tainted();
                cell.mark.set(if wiped { State::Shredded } else { State::Free } as u8);
                cell.kind.set(Kind::None as u8);
                cell.last.set(self.bottom.get());
            }
        } else {
            // SAFETY: the cell is ours again, aligned, and has room for a link.
            unsafe { cell.cast::<*const PoolCell>().write(self.bottom.get()) };
        }
        if !seeded("pool_forgets_a_free_cell") {
            self.bottom.set(cell);
        }
        let link = if H::HEADERS { 0 } else { size_of::<*const PoolCell>() };
        hide(inside(payload, link), self.stride - Self::HEADER - link);
    }

    /// The header of a cell that was handed out; only with headers.
    fn header<'a>(&self, payload: NonNull<u8>) -> &'a PoolCell {
        let cell = payload.as_ptr().wrapping_sub(size_of::<PoolCell>());
        // SAFETY: callers have the payload of a cell that was handed out with a header in front.
        unsafe { &*cell.cast() }
    }

    /// Whether a request for a layout can be met by a cell of this pool.
    #[inline]
    fn fits(&self, layout: Layout) -> Result<(), Cond> {
        if layout.size() <= self.stride - Self::HEADER && layout.align() <= self.align {
            Ok(())
        } else {
            Err(Cond::BadSize)
        }
    }

    /// Takes every cell back and keeps the blocks.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let mut pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    /// let first = pool.alloc()?;
    /// pool.alloc()?;
    /// pool.reset();
    /// assert_eq!(pool.alloc()?, first);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn reset(&mut self) {
        self.forget_cells();
    }

    /// Takes every cell back and gives the blocks to the source. The pool can be used again.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let mut pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    /// pool.alloc()?;
    /// pool.destroy()?;
    /// assert_eq!(pool.stats().held, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the source refuses a block: that one is kept, empty, and destroying again tries again.
    pub fn destroy(&mut self) -> Result<(), Cond> {
        self.forget_cells();
        self.give_back_blocks()
    }

    /// Figures, from walking the free list.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Pool};
    ///
    /// let pool = Pool::new_in(Layout::new::<u64>(), Pages::new());
    /// pool.alloc()?;
    /// pool.alloc()?;
    /// assert_eq!(pool.stats().live, 2);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let live = self.handed.get() - self.count_free();
        let peak = self.peak.get().max(self.handed.get());
        Stats { live, bytes: live * self.stride, peak: peak * self.stride, held: self.held.get() }
    }
}

impl<S: Source, H: Layer> Drop for Pool<S, H> {
    fn drop(&mut self) {
        // Nobody is left to be told; what the source refuses stays mapped.
        let _ = self.destroy();
    }
}

impl<S: Source, H: Layer> fmt::Debug for Pool<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("headers", &H::HEADERS)
            .field("cellsz", &self.cellsz)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

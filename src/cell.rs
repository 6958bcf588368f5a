//! Headers: the one place that writes and reads them.
//!
//! A cell that can be released untyped has a [`Cell`] in front of its payload; a store begins with a
//! [`Head`], which begins with a `Cell` too. On 64 bit (on 32 bit every word is half as wide):
//!
//! ```text
//!          0      1       2       3      4        8                 16
//! Cell     kind | shred | align | mark | unused | size            | payload …
//!
//!          0                16       24       32       40
//! Head     Cell             word     word     word     ops
//! ```
//!
//! `size` counts the payload and all fields in front of it. `align` (the logarithm of the block's
//! alignment) and `mark` are kmem's own; they stand in what would be padding, where they cost nothing.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::fmt;
use core::mem::{offset_of, size_of};
use core::ptr::NonNull;
#[cfg(feature = "shred")]
use core::sync::atomic::{AtomicU8, Ordering};

use crate::inspect::fields::{Field, Form, Front};
use crate::store::Ops;
use crate::{Cond, Kind};

/// What every payload is aligned to at least: 16 bytes on 64 bit, 8 on 32.
///
/// It is also the unit in which stores divide their memory, and the size of a [`Cell`].
pub const MIN_ALIGN: usize = 2 * size_of::<usize>();

/// The header in front of a cell (libk's `kmcell`).
///
/// Every bit pattern is a valid `Cell`, and it is written only through shared references, so that a
/// header may be looked at wherever initialised memory is.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Cell, Heap, Kind, Pages};
///
/// let heap = Heap::new_in(Pages::new()).first_block(4096);
/// let cell = heap.alloc(Layout::new::<[u64; 4]>())?;
/// // SAFETY: with a first block of a given size, a live cell of a heap has its header right before it.
/// let header = unsafe { cell.cast::<Cell>().sub(1).as_ref() };
/// assert_eq!((header.kind(), header.size()), (Some(Kind::Heap), 32 + size_of::<Cell>()));
/// # Ok::<(), kmem::Cond>(())
/// ```
#[repr(C)]
pub struct Cell {
    kind: Var<u8>,
    #[cfg(feature = "shred")]
    shred: Var<u8>,
    align: Var<u8>,
    mark: Var<u8>,
    size: Var<usize>,
}

const _: () = {
    assert!(size_of::<Cell>() == MIN_ALIGN);
    assert!(offset_of!(Cell, kind) == 0);
    #[cfg(feature = "shred")]
    assert!(offset_of!(Cell, shred) == 1);
    assert!(offset_of!(Cell, size) == size_of::<usize>());
};

/// What [`inspect::front`](crate::inspect::front) tells of a header.
pub(crate) const FRONT: Front = Front { size: size_of::<Cell>(), fields: &FIELDS };

/// And every struct that begins with one.
pub(crate) const FIELDS: [Field; 4 + cfg!(feature = "shred") as usize] = [
    Field::new("kind", offset_of!(Cell, kind), 1, Form::Kind),
    #[cfg(feature = "shred")]
    Field::new("shred", offset_of!(Cell, shred), 1, Form::Flag),
    Field::new("align", offset_of!(Cell, align), 1, Form::Align),
    Field::new("mark", offset_of!(Cell, mark), 1, Form::State),
    Field::word("size", offset_of!(Cell, size), Form::Number),
];

/// What state a cell is in, as its header's `mark` says.
///
/// The numbers have many bits apart, so that an overwritten header is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Handed out.
    Live = 0x4c,
    /// Handed out, with a destructor in front of its front.
    Hooked = 0x71,
    /// Given back.
    Free = 0xb3,
    /// Wiped, then given back.
    Shredded = 0x95,
    /// Being released: destructors are running.
    Doomed = 0x2a,
}

impl State {
    const ALL: [Self; 5] = [Self::Live, Self::Hooked, Self::Free, Self::Shredded, Self::Doomed];

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }
}

impl Cell {
    /// A header for a block of `layout`, of which `layout.size()` counts the header too.
    #[inline]
    pub(crate) const fn new(kind: Kind, layout: Layout, state: State) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm is less than 64")]
        let align = layout.align().trailing_zeros() as u8;
        Self {
            kind: Var::new(kind as u8),
            #[cfg(feature = "shred")]
            shred: Var::new(0),
            align: Var::new(align),
            mark: Var::new(state as u8),
            size: Var::new(layout.size()),
        }
    }

    /// The kind; `None` if the number is none of a kind: the header was overwritten.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Kind, Pages, refs};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
    /// // SAFETY: a live counted cell.
    /// assert_eq!(unsafe { refs::header(cell) }.id().kind(), Some(Kind::Ref));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_number(self.kind.get())
    }

    /// Payload plus all fields, in bytes.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cell, Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new()).first_block(4096);
    /// let cell = heap.alloc(Layout::new::<[u8; 100]>())?;
    /// // SAFETY: with a first block of a given size, a live cell of a heap has its header right before it.
    /// let header = unsafe { cell.cast::<Cell>().sub(1).as_ref() };
    /// assert_eq!(header.size(), 100 + size_of::<Cell>());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        self.size.get()
    }

    /// Whether releasing the cell shreds it.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cell, Heap, Pages, Store};
    ///
    /// let heap = Heap::new_in(Pages::new()).first_block(4096);
    /// let key = heap.alloc(Layout::new::<[u8; 32]>())?.cast();
    /// heap.taint_cell(key)?;
    /// // SAFETY: with a first block of a given size, a live cell of a heap has its header right before it.
    /// assert!(unsafe { key.cast::<Cell>().sub(1).as_ref() }.is_tainted());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn is_tainted(&self) -> bool {
        // Threads that share a counted cell may taint it meanwhile.
        #[cfg(feature = "shred")]
        // SAFETY: a live byte, which is changed in one step while others look.
        return unsafe { AtomicU8::from_ptr(self.shred.as_ptr()) }.load(Ordering::Relaxed) != 0;
        #[cfg(not(feature = "shred"))]
        false
    }

    /// Size, as [`size`](Self::size) says it, and alignment of what was allocated; `None` if they are none of a
    /// layout: the header was overwritten.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cell, Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new()).first_block(4096);
    /// let cell = heap.alloc(Layout::new::<[u64; 4]>())?;
    /// // SAFETY: with a first block of a given size, a live cell of a heap has its header right before it.
    /// let header = unsafe { cell.cast::<Cell>().sub(1).as_ref() };
    /// assert_eq!(header.layout().map(|layout| layout.size()), Some(32 + size_of::<Cell>()));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn layout(&self) -> Option<Layout> {
        let align = 1_usize.checked_shl(u32::from(self.align.get()))?;
        Layout::from_size_align(self.size.get(), align).ok()
    }

    /// Whether this is a live, untainted cell of a kind in a block of the least alignment: one compare, since the
    /// four stand side by side.
    #[inline(always)]
    pub(crate) fn is_plain(&self, kind: Kind) -> bool {
        #[cfg(feature = "shred")]
        let shred = self.shred.get();
        #[cfg(not(feature = "shred"))]
        let shred = 0;
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm is less than 64")]
        let align = MIN_ALIGN.ilog2() as u8;
        [self.kind.get(), shred, self.align.get(), self.mark.get()] == [kind as u8, 0, align, State::Live as u8]
    }

    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.mark.get() == State::Live as u8
    }

    #[inline]
    pub(crate) fn state(&self) -> Option<State> {
        State::from_number(self.mark.get())
    }

    #[inline]
    pub(crate) fn set_state(&self, state: State) {
        self.mark.set(state as u8);
    }

    pub(crate) fn set_kind(&self, kind: Kind) {
        self.kind.set(kind as u8);
    }

    pub(crate) fn set_size(&self, size: usize) {
        self.size.set(size);
    }

    #[cfg(feature = "shred")]
    pub(crate) fn taint(&self) {
        // Threads that share a counted cell may each do so.
        // SAFETY: a live byte, which nothing unsets while others may set it.
        unsafe { AtomicU8::from_ptr(self.shred.as_ptr()) }.store(1, Ordering::Relaxed);
    }

    /// Takes over the other's taint.
    #[cfg_attr(not(feature = "shred"), expect(clippy::unused_self, reason = "there is no taint to take over"))]
    #[inline]
    pub(crate) fn inherit_taint(&self, other: &Self) {
        #[cfg(feature = "shred")]
        self.shred.set(self.shred.get() | other.shred.get());
        #[cfg(not(feature = "shred"))]
        let _ = other;
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cell")
            .field("kind", &self.kind())
            .field("shred", &self.is_tainted())
            .field("size", &self.size())
            .field("state", &self.state())
            .finish()
    }
}

/// What every store begins with: its own header, three words that its kind gives meaning to, and how
/// a managed pointer reaches it.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Kind, Pages};
///
/// let heap = Heap::new_in(Pages::new());
/// let ptr = heap.alloc_ptr(Layout::new::<u64>())?;
/// // SAFETY: the heap is live and where it was.
/// let head = unsafe { &*ptr.cell() };
/// assert_eq!(head.id().kind(), Some(Kind::Heap));
/// # Ok::<(), kmem::Cond>(())
/// ```
#[repr(C)]
pub struct Head {
    id: Cell,
    words: [Var<usize>; 3],
    ops: Option<&'static Ops>,
}

impl Head {
    /// Where `ops` stands in every store.
    pub(crate) const OPS: usize = offset_of!(Head, ops);
    /// How long it is.
    pub(crate) const SIZE: usize = size_of::<Self>();

    /// The head of a store that has no state of its own.
    #[cfg(feature = "platform")]
    pub(crate) const fn new(kind: Kind, ops: Option<&'static Ops>) -> Self {
        Self { id: Cell::new(kind, Layout::new::<Self>(), State::Live), words: [const { Var::new(0) }; 3], ops }
    }

    /// The head of what is a [`Store`](crate::Store) only for a tree of its own: no managed pointer reaches it.
    ///
    /// ```
    /// use kmem::{Head, Kind};
    ///
    /// assert_eq!(Head::unreached(Kind::Lin).id().kind(), Some(Kind::Lin));
    /// ```
    #[must_use]
    pub const fn unreached(kind: Kind) -> Self {
        Self { id: Cell::new(kind, Layout::new::<Self>(), State::Live), words: [const { Var::new(0) }; 3], ops: None }
    }

    /// The store's own header.
    ///
    /// ```
    /// use kmem::{Heap, Kind, Pages, Store};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// assert_eq!(heap.head().id().kind(), Some(Kind::Heap));
    /// ```
    #[must_use]
    pub fn id(&self) -> &Cell {
        &self.id
    }

    /// How to act on the store's cells; `None` for a store whose cells have no headers.
    pub(crate) fn ops(&self) -> Option<&'static Ops> {
        self.ops
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A block that holds a header and, behind it, a payload.
///
/// ```text
/// │◄──────────── offset ─────────────►│
/// ├ gap (over-aligned payloads only) ─┼ … header ┤├ payload ────┤
/// ```
///
/// The header ends where the payload begins, so that the payload's address is enough to find it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// The whole block, from its start to the payload's end.
    pub(crate) block: Layout,
    /// From the block's start to the payload.
    pub(crate) offset: usize,
}

impl Frame {
    /// The block for a payload behind `header` bytes, from a source whose blocks are aligned to `least`.
    #[inline]
    pub(crate) fn new(header: usize, payload: Layout, least: usize) -> Result<Self, Cond> {
        let align = payload.align().max(least);
        let offset = Self::offset(header, align);
        // No overflow: a layout's size is less than half of all addresses, and no alignment is more than half.
        let size = offset + payload.size();
        let block = Layout::from_size_align(size, align).map_err(|_| Cond::BadSize)?;
        Ok(Self { block, offset })
    }

    /// The block as its source is asked for it: a payload of no size has an address of its own in it too.
    #[inline(always)]
    pub(crate) fn asked(&self) -> Layout {
        if self.block.size() > self.offset {
            return self.block;
        }
        // Only the last block of all would be too long to be longer.
        Layout::from_size_align(self.offset + 1, self.block.align()).unwrap_or(self.block)
    }

    /// Where the payload begins in a block of this alignment.
    #[inline]
    pub(crate) const fn offset(header: usize, align: usize) -> usize {
        (header + align - 1) & !(align - 1)
    }
}

/// Whether cells have headers: [`Bare`] or [`Headers`].
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Bare, Headers, Lin, Pages};
///
/// let bare: Lin<Pages, Bare> = Lin::new_in(Pages::new());
/// let headed: Lin<Pages, Headers> = Lin::with_headers_in(Pages::new());
/// bare.alloc(Layout::new::<u64>())?;
/// headed.alloc(Layout::new::<u64>())?;
/// assert!(bare.stats().bytes < headed.stats().bytes);
/// # Ok::<(), kmem::Cond>(())
/// ```
pub trait Layer: sealed::Sealed + 'static {
    #[doc(hidden)]
    const HEADERS: bool;
}

/// Cells without headers: the least memory and time. What is released must be named by its store.
#[derive(Clone, Copy, Debug)]
pub struct Bare;

/// Cells with headers: they can be managed pointers, be tainted one by one, be told from each other by
/// `inspect`, and a wrong address is refused.
#[derive(Clone, Copy, Debug)]
pub struct Headers;

impl Layer for Bare {
    const HEADERS: bool = false;
}

impl Layer for Headers {
    const HEADERS: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Bare {}
    impl Sealed for super::Headers {}
}

/// Rounds up to a multiple of [`MIN_ALIGN`], at least one. `size` is at most `isize::MAX`, as in a `Layout`.
#[inline]
pub(crate) const fn round_up(size: usize) -> usize {
    let size = if size == 0 { 1 } else { size };
    (size + (MIN_ALIGN - 1)) & !(MIN_ALIGN - 1)
}

/// The byte at an offset from a block's start that is known to lie inside the block.
#[inline]
pub(crate) fn inside(start: NonNull<u8>, offset: usize) -> NonNull<u8> {
    // SAFETY: callers name an offset inside (or at the end of) the allocation that `start` begins.
    unsafe { start.add(offset) }
}

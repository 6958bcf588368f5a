//! What a store must tell of its cells, so that code that does not know the store can act on them.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cell::{Frame, Head, MIN_ALIGN};
use crate::{Cond, Kind, Source};

/// A live cell, as its store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The payload, by a pointer that is good for all of the cell and its header. Whoever asked may have
    /// told no more than an address.
    pub payload: NonNull<u8>,
    /// What the cell is used as: the store's own kind, or `ref` or `tree` for a block that holds one.
    pub kind: Kind,
    /// Bytes of payload.
    pub size: usize,
    /// Alignment of the payload.
    pub align: usize,
    /// Whether releasing it shreds it.
    pub tainted: bool,
    /// Whether a destructor runs when it is released: its bytes are somebody's value.
    pub destructor: bool,
}

/// A store whose cells can be told from every other address, so that they can be released untyped.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Cond, Heap, Pages, Store};
///
/// /// How long the cell at an address is, in whatever store.
/// fn size_in<S: Store>(store: &S, address: core::ptr::NonNull<u8>) -> Result<usize, Cond> {
///     Ok(store.locate(address)?.size)
/// }
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = heap.alloc(Layout::new::<[u8; 100]>())?.cast();
/// assert_eq!(size_in(&heap, cell)?, 100);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Safety
///
/// `locate` answers without reading what the address points to unless it is a live cell's, and only
/// calls a cell live from when it was handed out until it was given back. `head` and `head_ptr` lead to
/// the front of this very store, with its own functions in it. `SHARED` is only true of a store whose
/// every function may be called from any thread at any time.
pub unsafe trait Store: Source + Sized {
    /// What its cells are.
    const KIND: Kind;

    /// Whether other threads may release its cells meanwhile.
    const SHARED: bool = false;

    /// Whether it finds the nodes of a tree by itself, without being told which of its blocks they are.
    #[doc(hidden)]
    const FINDS_NODES: bool = false;

    /// What the store begins with.
    fn head(&self) -> &Head;

    /// Where that is, by a pointer that is good for all of the store.
    fn head_ptr(&self) -> NonNull<Head> {
        NonNull::from(self).cast()
    }

    /// Tells whether a live cell has its payload at an address.
    ///
    /// # Errors
    ///
    /// `bad_address` for anything else: foreign, inside a cell, given back.
    fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond>;

    /// Releases a cell: the store's `free`, or its `shred`.
    ///
    /// # Errors
    ///
    /// What `locate` says, `mismatch` for a cell that is used as another kind, `in_use` if a guard refuses.
    ///
    /// # Safety
    ///
    /// Nothing uses the cell any more.
    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond>;

    /// Allocates a cell beside a live one: for a tree, under the same parent.
    ///
    /// # Errors
    ///
    /// What `locate` and the store's `alloc` say.
    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond>;

    /// Notes what a live cell is used as.
    ///
    /// # Safety
    ///
    /// The address is that of a live cell's payload, and the caller is who allocated it.
    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind);

    /// Marks a live cell, so that however it is released its bytes are destroyed.
    ///
    /// # Errors
    ///
    /// What `locate` says.
    #[cfg(feature = "shred")]
    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond>;

    /// Finds the cell of a `kind` that is built in a block of this store, behind a header.
    ///
    /// # Errors
    ///
    /// `bad_address` where no live cell is, `mismatch` where one of another kind is.
    #[doc(hidden)]
    fn locate_behind(&self, payload: NonNull<u8>, header: usize, kind: Kind) -> Result<NonNull<u8>, Cond> {
        // A larger alignment pushes the payload further from the block's start: each way that can be.
        let mut align = MIN_ALIGN;
        while align <= 1 << 30 {
            let offset = Frame::offset(header, align);
            let block = payload.as_ptr().wrapping_sub(offset);
            if let Some(block) = NonNull::new(block)
                && let Ok(found) = self.locate(block)
                && found.kind == kind
                && Frame::offset(header, found.align.max(MIN_ALIGN)) == offset
            {
                return Ok(found.payload);
            }
            align = (offset + 1).next_power_of_two();
        }
        // A cell of the store itself is a cell, though not of the kind.
        match self.locate(payload) {
            Ok(_) => Err(Cond::Mismatch),
            Err(cond) => Err(cond),
        }
    }
}

// SAFETY: the answers are those of the store behind the reference.
unsafe impl<S: Store> Store for &S {
    const KIND: Kind = S::KIND;
    const SHARED: bool = S::SHARED;

    fn head(&self) -> &Head {
        (**self).head()
    }

    fn head_ptr(&self) -> NonNull<Head> {
        (**self).head_ptr()
    }

    fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond> {
        (**self).locate(payload)
    }

    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { (**self).release(payload, shred) }
    }

    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        (**self).sibling(payload, layout)
    }

    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind) {
        // SAFETY: the caller's promise, passed on.
        unsafe { (**self).set_kind(payload, kind) };
    }

    #[cfg(feature = "shred")]
    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        (**self).taint_cell(payload)
    }
}

type Answer<T> = Result<T, Cond>;
type Bytes = NonNull<[u8]>;
type Place = NonNull<u8>;

/// A [`Store`]'s functions, as a managed pointer reaches them.
#[derive(Debug)]
pub(crate) struct Ops {
    pub(crate) locate: unsafe fn(NonNull<Head>, Place) -> Answer<Found>,
    pub(crate) release: unsafe fn(NonNull<Head>, Place, bool) -> Answer<()>,
    pub(crate) sibling: unsafe fn(NonNull<Head>, Place, Layout) -> Answer<Bytes>,
    pub(crate) locate_behind: unsafe fn(NonNull<Head>, Place, usize, Kind) -> Answer<Place>,
    pub(crate) alloc: unsafe fn(NonNull<Head>, Layout) -> Answer<Bytes>,
    pub(crate) set_kind: unsafe fn(NonNull<Head>, Place, Kind),
    pub(crate) least_align: unsafe fn(NonNull<Head>) -> usize,
    pub(crate) free_block: unsafe fn(NonNull<Head>, Place, Layout) -> Answer<()>,
    #[cfg(feature = "shred")]
    pub(crate) taint_cell: unsafe fn(NonNull<Head>, Place) -> Answer<()>,
}

/// The store that a head begins.
///
/// # Safety
///
/// `head` is the head of a live `T`, which is neither moved nor mutably borrowed meanwhile.
unsafe fn of<'a, T>(head: NonNull<Head>) -> &'a T {
    // SAFETY: the caller's promise; a store is `repr(C)` and begins with its head's fields.
    unsafe { head.cast::<T>().as_ref() }
}

impl Ops {
    /// The functions of a store.
    ///
    /// Each is unsafe to call as [`of`] is, and otherwise as the method of [`Store`] or [`Source`] that it stands for.
    pub(crate) const fn of<T: Store>() -> &'static Self {
        const {
            &Self {
                // SAFETY (all): whoever calls through the table promises what `of` and the method ask.
                locate: |head, payload| {
                    // SAFETY: see above.
                    unsafe { of::<T>(head) }.locate(payload)
                },
                release: |head, payload, shred| {
                    // SAFETY: see above.
                    let store = unsafe { of::<T>(head) };
                    // SAFETY: see above.
                    unsafe { store.release(payload, shred) }
                },
                sibling: |head, payload, layout| {
                    // SAFETY: see above.
                    unsafe { of::<T>(head) }.sibling(payload, layout)
                },
                locate_behind: |head, payload, header, kind| {
                    // SAFETY: see above.
                    unsafe { of::<T>(head) }.locate_behind(payload, header, kind)
                },
                alloc: |head, layout| {
                    // SAFETY: see above.
                    unsafe { of::<T>(head) }.alloc(layout)
                },
                set_kind: |head, payload, kind| {
                    // SAFETY: see above.
                    let store = unsafe { of::<T>(head) };
                    // SAFETY: see above.
                    unsafe { store.set_kind(payload, kind) }
                },
                least_align: |head| {
                    // SAFETY: see above.
                    unsafe { of::<T>(head) }.least_align()
                },
                free_block: |head, block, layout| {
                    // SAFETY: see above.
                    let store = unsafe { of::<T>(head) };
                    // SAFETY: see above.
                    unsafe { store.free(block, layout) }
                },
                #[cfg(feature = "shred")]
                taint_cell: |head, payload| {
                    // SAFETY: see above.
                    unsafe { of::<T>(head) }.taint_cell(payload)
                },
            }
        }
    }
}

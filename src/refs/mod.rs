//! Counted cells: the last reference releases.
//!
//! ```text
//! ├ Cell │ destructor │ context ┤├ Cell │ refs │ src ┤├ payload …      ┤
//!   only where there is one       RefCell             ▲ what is handed out
//! ```
//!
//! A counted cell is a block of a [`Store`] with a [`RefCell`] in front of the payload. `src` names that
//! store, so that a reference is dropped without naming it.
//!
//! ```
//! use core::alloc::Layout;
//! use kmem::{Heap, Pages, refs};
//!
//! let heap = Heap::new_in(Pages::new());
//! let shared = refs::alloc(&heap, Layout::new::<[u64; 6]>())?.cast::<u8>();
//! // SAFETY: a live counted cell, whose heap is where it was.
//! unsafe {
//!     assert_eq!(refs::upref(shared)?, 2);
//!     assert_eq!(refs::downref(shared)?, 1);
//!     assert_eq!(refs::downref(shared)?, 0);
//! }
//! assert_eq!(heap.stats().live, 0);
//! # Ok::<(), kmem::Cond>(())
//! ```

mod count;
mod make;

use core::cell::Cell as Var;
use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::cell::{self, Cell, Frame, Head, MIN_ALIGN, State, inside};
use crate::inspect::fields::{Field, Form, Front, after};
use crate::inspect::{Inspect, Record, What};
use crate::{Cond, Found, Kind, Store};

pub use count::{downref, downref_shared, free, upref, upref_shared};
#[cfg(feature = "shred")]
pub use count::{shred, taint};
pub(crate) use make::sibling;
pub use make::{alloc, alloc_ptr, alloc_with, alloc_with_ptr, alloc_zeroed, alloc_zeroed_ptr};

/// What runs when a cell goes: told the payload, which is still readable, and the context given with it.
pub type Destructor = unsafe fn(payload: NonNull<u8>, context: *mut ());

/// The front of a counted cell (libk's `kmref`).
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell.
/// assert_eq!(unsafe { refs::header(cell) }.refs(), 1);
/// # Ok::<(), kmem::Cond>(())
/// ```
#[repr(C)]
#[derive(Debug)]
pub struct RefCell {
    id: Cell,
    refs: Var<usize>,
    src: Var<NonNull<Head>>,
}

/// In front of the front, where there is a destructor.
#[repr(C)]
struct Hook {
    /// Where a cell without a destructor has its header: it says that this one is another.
    id: Cell,
    run: Destructor,
    context: *mut (),
}

/// The count of a cell that is being released; 0 is that of one whose store refused its block. So of several that drop
/// one reference too many, one releases.
const GOING: usize = usize::MAX;

const HEADER: usize = size_of::<RefCell>();
const HOOKED: usize = HEADER + size_of::<Hook>();

const _: () = {
    assert!(HEADER == 2 * MIN_ALIGN);
    assert!(offset_of!(RefCell, refs) == MIN_ALIGN);
    assert!(offset_of!(RefCell, src) == MIN_ALIGN + size_of::<usize>());
};

/// What [`inspect::front`](crate::inspect::front) tells of a counted cell.
pub(crate) const FRONT: Front = Front { size: HEADER, fields: &FIELDS };

const FIELDS: [Field; cell::FIELDS.len() + 2] = after(
    &cell::FIELDS,
    &[
        Field::word("refs", offset_of!(RefCell, refs), Form::Number),
        Field::word("src", offset_of!(RefCell, src), Form::Link),
    ],
);

impl RefCell {
    /// How many references there are.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, refs};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
    /// // SAFETY: a live counted cell.
    /// let header = unsafe { refs::header(cell) };
    /// // SAFETY: as above.
    /// unsafe { refs::upref(cell)? };
    /// assert_eq!(header.refs(), 2);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn refs(&self) -> usize {
        // Other threads may be changing it.
        match self.shared_count().load(Ordering::Relaxed) {
            GOING => 0,
            refs => refs,
        }
    }

    /// The cell's header.
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
    pub fn id(&self) -> &Cell {
        &self.id
    }

    /// The count, for threads that share it.
    fn shared_count(&self) -> &AtomicUsize {
        // SAFETY: a live and aligned number; who shares it does not change it otherwise.
        unsafe { AtomicUsize::from_ptr(self.refs.as_ptr()) }
    }

    fn has_hook(&self) -> bool {
        self.id.state() == Some(State::Hooked)
    }

    /// The block that holds the cell, where `hooked` says whether there is a destructor.
    fn frame(&self, hooked: bool) -> Option<Frame> {
        let block = self.id.layout()?;
        let offset = Frame::offset(if hooked { HOOKED } else { HEADER }, block.align());
        (offset <= block.size()).then_some(Frame { block, offset })
    }

    fn payload_size(&self) -> Option<usize> {
        self.frame(self.has_hook()).map(|frame| frame.block.size() - frame.offset)
    }
}

/// The front of a counted cell.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell.
/// assert!(!unsafe { refs::header(cell) }.id().is_tainted());
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Safety
///
/// The address is that of a live counted cell's payload.
#[must_use]
pub unsafe fn header<'a>(payload: NonNull<u8>) -> &'a RefCell {
    // SAFETY: the caller's promise: a front stands before the payload.
    let front = unsafe { payload.sub(HEADER) };
    // SAFETY: as above; it is only changed through shared references.
    unsafe { front.cast::<RefCell>().as_ref() }
}

/// Tells whether a live counted cell of a store has its payload at an address, which is read only if it is one.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Cond, Heap, Kind, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// assert_eq!(refs::locate_in(&heap, cell)?.kind, Kind::Ref);
/// let other = heap.alloc(Layout::new::<u64>())?.cast();
/// assert!(matches!(refs::locate_in(&heap, other), Err(Cond::BadAddress | Cond::Mismatch)));
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// `bad_address` where no live cell is, `mismatch` or `bad_address` where one of another kind is; `in_use` while its
/// destructor runs; `fail_assert` if its front was overwritten.
pub fn locate_in<S: Store>(store: &S, payload: NonNull<u8>) -> Result<Found, Cond> {
    // SAFETY: the head of a live store, which is borrowed.
    unsafe { locate(store.head_ptr(), payload) }
}

/// What a managed pointer's counted cell is, if it is one of the store's.
///
/// # Safety
///
/// `src` is the head of a live store that is where it was.
pub(crate) unsafe fn locate(src: NonNull<Head>, payload: NonNull<u8>) -> Result<Found, Cond> {
    // SAFETY: the caller's promise.
    let ops = unsafe { src.as_ref() }.ops().ok_or(Cond::Mismatch)?;
    // SAFETY: the caller's promise.
    let plain = unsafe { (ops.locate_behind)(src, payload, HEADER, Kind::Ref) };
    let block = match plain {
        Ok(block) => block,
        // SAFETY: the caller's promise.
        Err(_) => unsafe { (ops.locate_behind)(src, payload, HOOKED, Kind::Ref) }?,
    };
    // The caller's pointer has told an address; what is read is read through the store's own.
    let offset = payload.addr().get() - block.addr().get();
    if plain.is_err() {
        // In front of a front with a destructor stands a header that says so. In a block without one,
        // what stands before this address is its front, and this is somewhere in its payload.
        // SAFETY: the block is live, and a header of one sort or the other stands here.
        let hook = unsafe { inside(block, offset - HOOKED).cast::<Cell>().as_ref() };
        if hook.state() != Some(State::Hooked) {
            return Err(Cond::BadAddress);
        }
    }
    // SAFETY: a counted cell's block is there; a header, of the front or of the hook, stands here.
    let front = unsafe { header(inside(block, offset)) };
    let hooked = match front.id.state() {
        Some(State::Live) => false,
        Some(State::Hooked) => true,
        // Released but for its block, which is to be released again.
        Some(State::Free) if front.refs.get() == 0 => false,
        Some(State::Doomed) => return Err(Cond::InUse),
        // A counted cell begins this far before the address, or one with a destructor.
        None if plain.is_ok() => return Err(Cond::FailAssert),
        _ => return Err(Cond::BadAddress),
    };
    let frame = front.frame(hooked).ok_or(Cond::FailAssert)?;
    if frame.offset != offset {
        return Err(Cond::BadAddress);
    }
    // The store's own header may have been overwritten, and what stands here be no counted cell.
    if front.id.kind() != Some(Kind::Ref) {
        return Err(Cond::FailAssert);
    }
    let (size, tainted) = (frame.block.size() - offset, front.id.is_tainted());
    Ok(Found {
        payload: inside(block, offset),
        kind: Kind::Ref,
        size,
        align: frame.block.align(),
        tainted,
        destructor: hooked,
    })
}

impl Inspect for RefCell {
    fn kind(&self) -> Kind {
        Kind::Ref
    }

    fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
        let at = NonNull::from(self).addr().get();
        let payload = self.payload_size().unwrap_or(0);
        visit(&Record {
            kind: Kind::Ref,
            header: HEADER,
            payload,
            tainted: self.id.is_tainted(),
            refs: self.refs(),
            links: [self.src.get().addr().get(), 0, 0, 0, 0],
            ..Record::new(at, HEADER + payload, What::Used)
        });
    }
}

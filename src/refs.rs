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

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::cell::{self, Cell, Frame, Head, MIN_ALIGN, State, inside};
use crate::inspect::fields::{Field, Form, Front, after};
use crate::inspect::{Inspect, Record, What};
use crate::wipe::wipe_if;
use crate::{Cond, Found, Kind, Ptr, Store};

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

/// What is asked of a new cell beside its layout.
#[derive(Clone, Copy, Default)]
struct Wish {
    zeroed: bool,
    hook: Option<(Destructor, *mut ())>,
}

fn make<S: Store>(source: &S, layout: Layout, wish: Wish) -> Result<NonNull<[u8]>, Cond> {
    // A store that cannot be reached from a cell would never get it back.
    source.head().ops().ok_or(Cond::Mismatch)?;
    let header = if wish.hook.is_some() { HOOKED } else { HEADER };
    let frame = Frame::new(header, layout, source.least_align())?;
    let asked = frame.asked();
    let block = if wish.zeroed { source.alloc_zeroed(asked) } else { source.alloc(asked) };
    let block = block?.cast::<u8>();
    // SAFETY: just allocated by us.
    unsafe { source.set_kind(block, Kind::Ref) };
    let payload = build(block, &frame, source.head_ptr(), wish.hook);
    Ok(NonNull::slice_from_raw_parts(payload, layout.size()))
}

/// Writes the front of a new cell in a block of a store, and gives its payload.
fn build(block: NonNull<u8>, frame: &Frame, src: NonNull<Head>, hook: Option<(Destructor, *mut ())>) -> NonNull<u8> {
    let state = if hook.is_some() { State::Hooked } else { State::Live };
    let front = RefCell { id: Cell::new(Kind::Ref, frame.block, state), refs: Var::new(1), src: Var::new(src) };
    let place = inside(block, frame.offset - HEADER);
    // SAFETY: the frame has room for the front right before the payload, aligned.
    unsafe { place.cast::<RefCell>().write(front) };
    if let Some((run, context)) = hook {
        let hook = Hook { id: Cell::new(Kind::Ref, frame.block, State::Hooked), run, context };
        let place = inside(block, frame.offset - HOOKED);
        // SAFETY: and for the hook before that.
        unsafe { place.cast::<Hook>().write(hook) };
    }
    inside(block, frame.offset)
}

/// A counted cell in a store, with one reference, its contents undefined.
///
/// The store must outlive the cell and stay where it is: the cell names it by address.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell, whose only reference goes.
/// assert_eq!(unsafe { refs::downref(cell)? }, 0);
/// assert_eq!(heap.stats().live, 0);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for the store's `alloc`.
pub fn alloc<S: Store>(source: &S, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
    make(source, layout, Wish::default())
}

/// The same, zeroed; what is known to be zero is not zeroed again.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc_zeroed(&heap, Layout::new::<[u8; 32]>())?;
/// // SAFETY: a live cell, initialised, which nobody writes to.
/// assert_eq!(unsafe { cell.as_ref() }, [0; 32]);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for the store's `alloc`.
pub fn alloc_zeroed<S: Store>(source: &S, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
    make(source, layout, Wish { zeroed: true, hook: None })
}

/// The same, with a destructor that runs when the last reference goes.
///
/// ```
/// use core::alloc::Layout;
/// use core::ptr::NonNull;
/// use kmem::{Heap, Pages, refs};
///
/// unsafe fn count(_: NonNull<u8>, context: *mut ()) {
///     // SAFETY: the context below.
///     unsafe { *context.cast::<u32>() += 1 };
/// }
///
/// let heap = Heap::new_in(Pages::new());
/// let mut calls = 0;
/// // SAFETY: `calls` is still there when the last reference goes, right here.
/// unsafe {
///     let cell = refs::alloc_with(&heap, Layout::new::<u64>(), count, (&raw mut calls).cast())?;
///     refs::downref(cell.cast())?;
/// }
/// assert_eq!(calls, 1);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for the store's `alloc`.
///
/// # Safety
///
/// The destructor may be called once with the payload and the context, when the last reference is dropped.
pub unsafe fn alloc_with<S: Store>(
    source: &S,
    layout: Layout,
    destructor: Destructor,
    context: *mut (),
) -> Result<NonNull<[u8]>, Cond> {
    make(source, layout, Wish { zeroed: false, hook: Some((destructor, context)) })
}

/// The same as [`alloc`], as a managed pointer.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Kind, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let ptr = refs::alloc_ptr(&heap, Layout::new::<u64>())?;
/// assert_eq!(ptr.kind(), Kind::Ref);
/// // SAFETY: the heap is where it was, and the only reference is given up.
/// unsafe { kmem::free(ptr)? };
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for the store's `alloc`.
pub fn alloc_ptr<S: Store>(source: &S, layout: Layout) -> Result<Ptr, Cond> {
    Ok(Ptr::new(Kind::Ref, alloc(source, layout)?, source.head_ptr().as_ptr()))
}

/// The same as [`alloc_zeroed`], as a managed pointer.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let ptr = refs::alloc_zeroed_ptr(&heap, Layout::new::<u64>())?;
/// // SAFETY: a live cell, initialised.
/// assert_eq!(unsafe { ptr.payload().cast::<u64>().read() }, 0);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for the store's `alloc`.
pub fn alloc_zeroed_ptr<S: Store>(source: &S, layout: Layout) -> Result<Ptr, Cond> {
    Ok(Ptr::new(Kind::Ref, alloc_zeroed(source, layout)?, source.head_ptr().as_ptr()))
}

/// The same as [`alloc_with`], as a managed pointer.
///
/// ```
/// use core::alloc::Layout;
/// use core::ptr::NonNull;
/// use kmem::{Heap, Pages, refs};
///
/// unsafe fn count(_: NonNull<u8>, context: *mut ()) {
///     // SAFETY: the context below.
///     unsafe { *context.cast::<u32>() += 1 };
/// }
///
/// let heap = Heap::new_in(Pages::new());
/// let mut calls = 0;
/// // SAFETY: `calls` is still there when the last reference goes, right here.
/// unsafe {
///     let ptr = refs::alloc_with_ptr(&heap, Layout::new::<u64>(), count, (&raw mut calls).cast())?;
///     kmem::free(ptr)?;
/// }
/// assert_eq!(calls, 1);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for the store's `alloc`.
///
/// # Safety
///
/// As for [`alloc_with`].
pub unsafe fn alloc_with_ptr<S: Store>(
    source: &S,
    layout: Layout,
    destructor: Destructor,
    context: *mut (),
) -> Result<Ptr, Cond> {
    // SAFETY: the caller's promise.
    let cell = unsafe { alloc_with(source, layout, destructor, context) }?;
    Ok(Ptr::new(Kind::Ref, cell, source.head_ptr().as_ptr()))
}

/// One more reference; says how many there are now.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell.
/// assert_eq!(unsafe { refs::upref(cell)? }, 2);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// `too_many` at the largest count that is safe, `in_use` while the cell is being released.
///
/// # Safety
///
/// The address is that of a live counted cell's payload.
#[inline]
pub unsafe fn upref(payload: NonNull<u8>) -> Result<usize, Cond> {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    let refs = front.refs.get();
    if refs == 0 {
        return Err(Cond::InUse);
    }
    // Half the range, as the standard library does: what overflows is a leak in a loop.
    if refs > isize::MAX as usize {
        return Err(if refs == GOING { Cond::InUse } else { Cond::TooMany });
    }
    front.refs.set(refs + 1);
    Ok(refs + 1)
}

/// One reference fewer; says how many there are left. The last runs the destructor, shreds the bytes
/// if the cell or its store is tainted, and gives the block back.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell, with as many references dropped as there are.
/// unsafe {
///     refs::upref(cell)?;
///     assert_eq!(refs::downref(cell)?, 1);
///     assert_eq!(refs::downref(cell)?, 0);
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// `in_use` while the cell is being released. When the store refuses the block of the last reference, what it
/// says: the destructor has run, and the same call tries again.
///
/// # Safety
///
/// The address is that of a live counted cell's payload, the caller has a reference, and the cell's
/// store is where it was.
#[inline]
pub unsafe fn downref(payload: NonNull<u8>) -> Result<usize, Cond> {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    let refs = front.refs.get();
    match refs {
        GOING => Err(Cond::InUse),
        0 | 1 => {
            front.refs.set(GOING);
            // SAFETY: the caller's promise, and this is the last reference.
            unsafe { release(payload, front, refs) }
        }
        more => {
            front.refs.set(more - 1);
            Ok(more - 1)
        }
    }
}

/// The same as [`upref`], of a cell that several threads hold: its count is changed in one step.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Global, refs};
///
/// let cell = refs::alloc(&Global, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell, with as many references dropped as there are.
/// unsafe {
///     assert_eq!(refs::upref_shared(cell)?, 2);
///     refs::downref_shared(cell)?;
///     refs::downref_shared(cell)?;
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`upref`].
///
/// # Safety
///
/// As for [`upref`]; of this cell, no thread calls the functions that are for one thread meanwhile.
pub unsafe fn upref_shared(payload: NonNull<u8>) -> Result<usize, Cond> {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    let more = |refs| if refs == 0 || refs > isize::MAX as usize { None } else { Some(refs + 1) };
    match front.shared_count().fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
        Ok(before) => Ok(before + 1),
        Err(0 | GOING) => Err(Cond::InUse),
        Err(_) => Err(Cond::TooMany),
    }
}

/// The same as [`downref`], of a cell that several threads hold. The last one releases it, by the thread that drops it.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Global, refs};
///
/// let cell = refs::alloc(&Global, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell, whose only reference goes.
/// assert_eq!(unsafe { refs::downref_shared(cell)? }, 0);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`downref`].
///
/// # Safety
///
/// As for [`downref`]; of this cell, no thread calls the functions that are for one thread meanwhile. The last
/// reference is dropped where the cell's store may be used.
pub unsafe fn downref_shared(payload: NonNull<u8>) -> Result<usize, Cond> {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    let less = |refs| match refs {
        GOING => None,
        0 | 1 => Some(GOING),
        more => Some(more - 1),
    };
    match front.shared_count().fetch_update(Ordering::AcqRel, Ordering::Relaxed, less) {
        // What other threads did to the cell before they dropped theirs has happened by now.
        // SAFETY: the caller's promise, and nobody else has a reference, nor can take the count from here.
        Ok(last @ (0 | 1)) => unsafe { release(payload, front, last) },
        Ok(before) => Ok(before - 1),
        Err(_) => Err(Cond::InUse),
    }
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

/// The same as [`downref`], under the verb of the other kinds.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let cell = refs::alloc(&heap, Layout::new::<u64>())?.cast();
/// // SAFETY: a live counted cell, whose only reference goes.
/// unsafe { refs::free(cell)? };
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`downref`].
///
/// # Safety
///
/// As for [`downref`].
pub unsafe fn free(payload: NonNull<u8>) -> Result<(), Cond> {
    // SAFETY: the caller's promise.
    unsafe { downref(payload) }.map(drop)
}

/// Drops one reference and marks the cell, so that its bytes are destroyed with the last one.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let key = refs::alloc(&heap, Layout::new::<[u8; 32]>())?.cast();
/// // SAFETY: a live counted cell, with as many references dropped as there are.
/// unsafe {
///     refs::upref(key)?;
///     refs::shred(key)?;                  // one is left
///     refs::downref(key)?;                // and now its bytes are gone
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`downref`].
///
/// # Safety
///
/// As for [`downref`].
#[cfg(feature = "shred")]
pub unsafe fn shred(payload: NonNull<u8>) -> Result<(), Cond> {
    // SAFETY: the caller's promise.
    unsafe { taint(payload) };
    // SAFETY: the caller's promise.
    unsafe { free(payload) }
}

/// Marks the cell, so that its bytes are destroyed when the last reference goes, or its store.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, refs};
///
/// let heap = Heap::new_in(Pages::new());
/// let key = refs::alloc(&heap, Layout::new::<[u8; 32]>())?.cast();
/// // SAFETY: a live counted cell.
/// unsafe { refs::taint(key) };
/// // SAFETY: as above.
/// assert!(unsafe { refs::header(key) }.id().is_tainted());
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Safety
///
/// The address is that of a live counted cell's payload, whose store is where it was.
#[cfg(feature = "shred")]
pub unsafe fn taint(payload: NonNull<u8>) {
    // SAFETY: the caller's promise.
    let front = unsafe { header(payload) };
    front.id.taint();
    // The store must know too: it may be destroyed before the last reference is dropped.
    // SAFETY: the caller's promise.
    let ops = unsafe { front.src.get().as_ref() }.ops();
    if let (Some(ops), Some(frame)) = (ops, front.frame(front.has_hook())) {
        let block = payload.as_ptr().wrapping_sub(frame.offset);
        // SAFETY: the block that the payload lies in is not at null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller's promise. A store that does not find its own block has been overwritten.
        let _ = unsafe { (ops.taint_cell)(front.src.get(), block) };
    }
}

/// # Safety
///
/// As for [`downref`], with the last reference: the count was `last` until the caller has made it [`GOING`].
#[cold]
unsafe fn release(payload: NonNull<u8>, front: &RefCell, last: usize) -> Result<usize, Cond> {
    let hooked = match (front.id.state(), last) {
        (Some(State::Live), 1) => Some(false),
        (Some(State::Hooked), _) => Some(true),
        // Released but for the block, which its store refused.
        (Some(State::Free), 0) => Some(false),
        _ => None,
    };
    // What was refused before may have had a destructor: its room shows in where the block begins.
    let Some((hooked, frame)) = hooked.and_then(|hooked| Some((hooked, front.frame(hooked)?))) else {
        front.shared_count().store(last, Ordering::Release);
        return Err(Cond::FailAssert);
    };
    let destroy = last == 1 && hooked;
    let going = Going { payload, front, frame, hooked };
    if destroy {
        front.id.set_state(State::Doomed);
        // SAFETY: a hooked cell has its hook before the front.
        let hook = unsafe { payload.sub(HOOKED) };
        // SAFETY: as above.
        let Hook { run, context, .. } = unsafe { hook.cast::<Hook>().read() };
        // SAFETY: whoever gave the destructor promised that it may be called so, once.
        unsafe { run(payload, context) };
    }
    let answer = going.give_back();
    core::mem::forget(going);
    answer.map(|()| 0)
}

/// A cell whose last reference is gone: its block goes even if its destructor panics.
struct Going<'c> {
    payload: NonNull<u8>,
    front: &'c RefCell,
    frame: Frame,
    hooked: bool,
}

impl Going<'_> {
    fn give_back(&self) -> Result<(), Cond> {
        // If the block is refused, the next call finds what is left to do.
        self.try_to().inspect_err(|_| self.front.shared_count().store(0, Ordering::Release))
    }

    fn try_to(&self) -> Result<(), Cond> {
        self.front.id.set_state(if self.hooked { State::Hooked } else { State::Free });
        let src = self.front.src.get();
        // SAFETY: who dropped the last reference promised that the store is where it was.
        let head = unsafe { src.as_ref() };
        let tainted = self.front.id.is_tainted() || head.id().is_tainted();
        let Frame { block: layout, offset } = self.frame;
        // SAFETY: the payload's bytes, used no more.
        unsafe { wipe_if(tainted, self.payload, layout.size() - offset) };
        let ops = head.ops().ok_or(Cond::FailAssert)?;
        // SAFETY: the payload lies this far into the block.
        let block = unsafe { self.payload.sub(offset) };
        // SAFETY: the block came from this store with this layout and is used no more.
        unsafe { (ops.free_block)(src, block, self.frame.asked()) }
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        let _ = self.give_back();
    }
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

/// A cell beside a counted one, in the same store.
///
/// # Safety
///
/// The address is that of a live counted cell's payload, whose store is where it was.
pub(crate) unsafe fn sibling(payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
    // SAFETY: the caller's promise.
    let src = unsafe { header(payload) }.src.get();
    // SAFETY: the caller's promise.
    let ops = unsafe { src.as_ref() }.ops().ok_or(Cond::FailAssert)?;
    // SAFETY: the caller's promise.
    let least = unsafe { (ops.least_align)(src) };
    let frame = Frame::new(HEADER, layout, least)?;
    // SAFETY: the caller's promise.
    let block = unsafe { (ops.alloc)(src, frame.asked()) }?.cast::<u8>();
    // SAFETY: just allocated by us.
    unsafe { (ops.set_kind)(src, block, Kind::Ref) };
    Ok(NonNull::slice_from_raw_parts(build(block, &frame, src, None), layout.size()))
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

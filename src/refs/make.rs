//! Making counted cells.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::ptr::NonNull;

use super::{Destructor, HEADER, HOOKED, Hook, RefCell, header};
use crate::cell::{Cell, Frame, Head, State, inside};
use crate::{Cond, Kind, Ptr, Store};

/// What is asked of a new cell beside its layout.
#[derive(Clone, Copy, Default)]
struct Wish {
    zeroed: bool,
    hook: Option<(Destructor, *mut ())>,
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

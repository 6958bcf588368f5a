//! The managed pointer, and what can be done with any pointer whatever its kind.
//!
//! ```
//! use core::alloc::Layout;
//! use kmem::{Heap, Lin, Pages, Ptr, dup, free, stat};
//!
//! /// Releases what it is given; which kind it got, it need not know.
//! fn consume(ptr: Ptr) -> Result<(), kmem::Cond> {
//!     // SAFETY: the pointer was given up, and its store is where it was.
//!     unsafe { free(ptr) }
//! }
//!
//! let heap = Heap::new_in(Pages::new());
//! let lin = Lin::with_headers_in(Pages::new());
//! let mut local = 7_u64;
//! consume(heap.alloc_ptr(Layout::new::<u64>())?)?;
//! consume(lin.alloc_ptr(Layout::new::<u64>())?)?;
//! consume(stat((&raw mut local).cast(), 8))?;
//! # Ok::<(), kmem::Cond>(())
//! ```

use core::alloc::Layout;
use core::fmt;
use core::mem::offset_of;
use core::ptr::NonNull;

use crate::cell::Head;
use crate::store::Ops;
use crate::wipe::wipe_if;
use crate::{Cond, Found, Kind, Store, refs};

/// A managed pointer (libk's `kmptr`): a payload's address with what is needed to release it rightly.
///
/// It is a plain value: copying it copies no memory, dropping it releases none. `cell` names the
/// store by address, so the store must outlive the pointer and stay where it is; what acts on a
/// `Ptr` is therefore `unsafe`. The payload's address is not trusted: what is not a live cell of the
/// store, of the kind that the pointer says, is refused.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, Ptr};
///
/// /// Need not know what it is given.
/// fn done(ptr: Ptr) -> Result<(), kmem::Cond> {
///     // SAFETY: the heap below outlives its cells, and nobody uses them afterwards.
///     unsafe { kmem::free(ptr) }
/// }
///
/// let heap = Heap::new_in(Pages::new());
/// let mut local = 7_u64;
/// done(heap.alloc_ptr(Layout::new::<u64>())?)?;
/// done(kmem::stat((&raw mut local).cast(), 8))?;
/// # Ok::<(), kmem::Cond>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Ptr {
    kind: Kind,
    #[cfg(feature = "shred")]
    shred: bool,
    payload: *mut u8,
    cell: *const Head,
    size: usize,
}

const _: () = {
    const WORD: usize = size_of::<usize>();
    assert!(size_of::<Ptr>() == 4 * WORD);
    assert!(offset_of!(Ptr, kind) == 0);
    #[cfg(feature = "shred")]
    assert!(offset_of!(Ptr, shred) == 1);
    assert!(offset_of!(Ptr, payload) == WORD);
    assert!(offset_of!(Ptr, cell) == 2 * WORD);
    assert!(offset_of!(Ptr, size) == 3 * WORD);
};

/// A live cell that a pointer names, and the store that it is of.
struct Named {
    payload: NonNull<u8>,
    head: NonNull<Head>,
    ops: &'static Ops,
    found: Found,
}

/// The size of a static pointer that was made without one.
const UNKNOWN: usize = usize::MAX;

impl Ptr {
    /// What a failed allocation leaves in a pointer object.
    pub const FAIL: Self = Self {
        kind: Kind::Fail,
        #[cfg(feature = "shred")]
        shred: false,
        payload: core::ptr::null_mut(),
        cell: core::ptr::null(),
        size: 0,
    };

    pub(crate) fn new(kind: Kind, bytes: NonNull<[u8]>, cell: *const Head) -> Self {
        Self {
            kind,
            #[cfg(feature = "shred")]
            shred: false,
            payload: bytes.as_ptr().cast(),
            cell,
            size: bytes.len(),
        }
    }

    /// A pointer to a live cell of a store.
    pub(crate) fn of<T: Store>(store: &T, bytes: NonNull<[u8]>) -> Self {
        Self::new(T::KIND, bytes, store.head_ptr().as_ptr())
    }

    /// How the memory was allocated.
    ///
    /// ```
    /// let mut local = 7_u64;
    /// assert_eq!(kmem::stat((&raw mut local).cast(), 8).kind(), kmem::Kind::None);
    /// ```
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload's address.
    ///
    /// ```
    /// let mut local = 7_u64;
    /// let address = (&raw mut local).cast();
    /// assert_eq!(kmem::stat(address, 8).payload(), address);
    /// ```
    #[must_use]
    pub const fn payload(&self) -> *mut u8 {
        self.payload
    }

    /// Bytes of payload; `None` for a static pointer made without a size.
    ///
    /// ```
    /// let mut local = 7_u64;
    /// let address = (&raw mut local).cast();
    /// assert_eq!(kmem::stat(address, 8).size(), Some(8));
    /// assert_eq!(kmem::stat_unsized(address).size(), None);
    /// ```
    #[must_use]
    pub const fn size(&self) -> Option<usize> {
        if self.size == UNKNOWN { None } else { Some(self.size) }
    }

    /// The store, by the address of its head; null for what has none.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let ptr = heap.alloc_ptr(Layout::new::<u64>())?;
    /// assert_eq!(ptr.cell().addr(), (&raw const heap).addr());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn cell(&self) -> *const Head {
        self.cell
    }

    /// Whether releasing through this pointer shreds.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let mut ptr = heap.alloc_ptr(Layout::new::<u64>())?;
    /// // SAFETY: the heap is where it was.
    /// unsafe { kmem::taint(&mut ptr)? };
    /// assert!(ptr.is_tainted());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn is_tainted(&self) -> bool {
        #[cfg(feature = "shred")]
        return self.shred;
        #[cfg(not(feature = "shred"))]
        false
    }

    /// The store's head and functions, for a pointer of a kind that has a store.
    ///
    /// # Safety
    ///
    /// The store is live and where it was.
    unsafe fn store(&self) -> Result<(NonNull<Head>, &'static Ops), Cond> {
        let head = match NonNull::new(self.cell.cast_mut()) {
            Some(head) => head,
            None => Self::process_heap(self.kind)?,
        };
        // SAFETY: the caller's promise.
        let this = unsafe { head.as_ref() };
        if self.kind != Kind::Ref && this.id().kind() != Some(self.kind) {
            return Err(Cond::Mismatch);
        }
        Ok((head, this.ops().ok_or(Cond::Mismatch)?))
    }

    /// What null names as a store.
    fn process_heap(kind: Kind) -> Result<NonNull<Head>, Cond> {
        #[cfg(feature = "platform")]
        if matches!(kind, Kind::Heap | Kind::Ref) {
            return Ok(crate::Global.head_ptr());
        }
        let _ = kind;
        Err(Cond::BadAddress)
    }

    /// The live cell that a pointer of an allocated kind names.
    ///
    /// # Safety
    ///
    /// The store is live and where it was.
    unsafe fn locate(&self) -> Result<Named, Cond> {
        // SAFETY: the caller's promise.
        let (head, ops) = unsafe { self.store() }?;
        let payload = NonNull::new(self.payload).ok_or(Cond::BadAddress)?;
        let found = if self.kind == Kind::Ref {
            // SAFETY: the caller's promise.
            unsafe { refs::locate(head, payload) }
        } else {
            // SAFETY: the caller's promise.
            unsafe { (ops.locate)(head, payload) }
        }?;
        let payload = found.payload;
        if found.kind == self.kind { Ok(Named { payload, head, ops, found }) } else { Err(Cond::Mismatch) }
    }

    /// The bytes of a static pointer.
    fn static_bytes(&self) -> Result<(NonNull<u8>, usize), Cond> {
        let size = self.size().ok_or(Cond::BadSize)?;
        Ok((NonNull::new(self.payload).ok_or(Cond::BadAddress)?, size))
    }

    /// # Safety
    ///
    /// As for [`free`].
    unsafe fn release(self, shred: bool) -> Result<(), Cond> {
        match self.kind {
            Kind::Fail => Err(Cond::BadAddress),
            Kind::None if shred => {
                let (bytes, size) = self.static_bytes()?;
                // SAFETY: the caller's promise: nothing else uses the bytes.
                unsafe { wipe_if(true, bytes, size) };
                Ok(())
            }
            Kind::None => Ok(()),
            Kind::Ref => {
                // SAFETY: the caller's promise.
                let Named { payload, .. } = unsafe { self.locate() }?;
                #[cfg(feature = "shred")]
                if shred {
                    // SAFETY: a live counted cell, and the caller gives up a reference.
                    return unsafe { refs::shred(payload) };
                }
                // SAFETY: a live counted cell, and the caller gives up a reference.
                unsafe { refs::free(payload) }
            }
            Kind::Lin | Kind::Heap | Kind::Pool | Kind::Tree => {
                // SAFETY: the caller's promise.
                let (head, ops) = unsafe { self.store() }?;
                let payload = NonNull::new(self.payload).ok_or(Cond::BadAddress)?;
                // SAFETY: the caller's promise; the store refuses what is not its live cell.
                unsafe { (ops.release)(head, payload, shred) }
            }
        }
    }
}

impl fmt::Debug for Ptr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ptr")
            .field("kind", &self.kind)
            .field("shred", &self.is_tainted())
            .field("ref", &self.payload)
            .field("cell", &self.cell)
            .field("size", &self.size())
            .finish()
    }
}

/// Wraps memory that was not allocated, `size` bytes of it, so that it can be passed where a managed
/// pointer is taken.
///
/// ```
/// let mut local = [7_u8; 4];
/// let ptr = kmem::stat(local.as_mut_ptr(), 4);
/// // SAFETY: the array is that long, and only used through the pointer meanwhile.
/// unsafe { kmem::shred(ptr)? };
/// assert_eq!(local, [0; 4]);
/// # Ok::<(), kmem::Cond>(())
/// ```
#[must_use]
pub const fn stat(raw: *mut u8, size: usize) -> Ptr {
    Ptr { kind: Kind::None, payload: raw, size, ..Ptr::FAIL }
}

/// The same where the size is not known: it can be released, but not zeroed, shredded or duplicated.
///
/// ```
/// use kmem::Cond;
///
/// let mut local = [7_u8; 4];
/// let ptr = kmem::stat_unsized(local.as_mut_ptr());
/// // SAFETY: refused, since nobody knows how long it is.
/// assert_eq!(unsafe { kmem::shred(ptr) }, Err(Cond::BadSize));
/// ```
#[must_use]
pub const fn stat_unsized(raw: *mut u8) -> Ptr {
    stat(raw, UNKNOWN)
}

/// Releases, drops a reference to, or leaves alone: what is right for the pointer's kind. A tainted
/// one is shredded; static memory is then zeroed.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Cond, Lin, Pages};
///
/// let lin = Lin::with_headers_in(Pages::new());
/// let ptr = lin.alloc_ptr(Layout::new::<u64>())?;
/// // SAFETY: the region is where it was, and nothing uses the cell.
/// unsafe { kmem::free(ptr)? };
/// // SAFETY: the same; it is refused, since it was given back.
/// assert_eq!(unsafe { kmem::free(ptr) }, Err(Cond::BadAddress));
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// `bad_address` for what is not a live cell of the store (foreign, inside a cell, already given back)
/// and for [`Ptr::FAIL`]; `mismatch` for a live cell of another kind; `in_use` if a guard refuses;
/// `bad_size` for tainted static memory of unknown size. Nothing is released then.
///
/// # Safety
///
/// The store that the pointer names is live and where it was, and nothing uses the payload any more
/// (for a counted cell: the caller gives up one reference). A static pointer that is tainted is valid
/// for writes of its size.
pub unsafe fn free(ptr: Ptr) -> Result<(), Cond> {
    // SAFETY: the caller's promise.
    unsafe { ptr.release(ptr.is_tainted()) }
}

/// Destroys the bytes, then releases. Of a counted cell that is still shared, one reference is dropped
/// and the cell marked, so that the last one shreds. Static memory is zeroed.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages};
///
/// let heap = Heap::new_in(Pages::new());
/// let key = heap.alloc_ptr(Layout::new::<[u8; 32]>())?;
/// // SAFETY: the heap is where it was, and nothing uses the cell.
/// unsafe { kmem::shred(key)? };
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`free`]; `bad_size` for static memory of unknown size.
///
/// # Safety
///
/// As for [`free`]; a static pointer is valid for writes of its size.
#[cfg(feature = "shred")]
pub unsafe fn shred(ptr: Ptr) -> Result<(), Cond> {
    // SAFETY: the caller's promise.
    unsafe { ptr.release(true) }
}

/// Marks a pointer and the cell that it names, so that however the cell is released its bytes are
/// destroyed.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages};
///
/// let heap = Heap::new_in(Pages::new());
/// let mut key = heap.alloc_ptr(Layout::new::<[u8; 32]>())?;
/// // SAFETY: the heap is where it was, and nothing uses the cell after its release.
/// unsafe {
///     kmem::taint(&mut key)?;
///     kmem::free(key)?;                   // and its bytes are gone
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`free`]; the pointer is then as it was.
///
/// # Safety
///
/// The store that the pointer names is live and where it was.
#[cfg(feature = "shred")]
pub unsafe fn taint(ptr: &mut Ptr) -> Result<(), Cond> {
    match ptr.kind {
        Kind::Fail => return Err(Cond::BadAddress),
        Kind::None => {}
        Kind::Ref => {
            // SAFETY: the caller's promise.
            let Named { payload, .. } = unsafe { ptr.locate() }?;
            // SAFETY: a live counted cell.
            unsafe { refs::taint(payload) };
        }
        _ => {
            // SAFETY: the caller's promise.
            let Named { payload, head, ops, .. } = unsafe { ptr.locate() }?;
            // SAFETY: the caller's promise.
            unsafe { (ops.taint_cell)(head, payload) }?;
        }
    }
    ptr.shred = true;
    Ok(())
}

/// Zeroes `size` bytes, also where nothing reads them afterwards.
///
/// ```
/// use core::ptr::NonNull;
///
/// let mut key = [7_u8; 32];
/// // SAFETY: the array is that long, and nobody else uses it.
/// unsafe { kmem::zero(NonNull::from(&mut key).cast(), 32) };
/// assert_eq!(key, [0; 32]);
/// ```
///
/// # Safety
///
/// The bytes are valid for writes, and nothing reads them at the same time.
#[inline]
pub unsafe fn zero(bytes: NonNull<u8>, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { crate::wipe::wipe(bytes, size) };
}

/// Zeroes the payload that a pointer names.
///
/// ```
/// let mut key = [7_u8; 32];
/// let ptr = kmem::stat(key.as_mut_ptr(), 32);
/// // SAFETY: the array is that long, and nobody else uses it.
/// unsafe { kmem::zero_object(&ptr)? };
/// assert_eq!(key, [0; 32]);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`free`]; `bad_size` for static memory of unknown size; `mismatch` for a cell that has a
/// destructor, since its bytes are somebody's value.
///
/// # Safety
///
/// The store that the pointer names is live and where it was, and nothing reads the payload at the
/// same time. A static pointer is valid for writes of its size.
pub unsafe fn zero_object(ptr: &Ptr) -> Result<(), Cond> {
    let (payload, size) = match ptr.kind {
        Kind::Fail => return Err(Cond::BadAddress),
        Kind::None => ptr.static_bytes()?,
        _ => {
            // SAFETY: the caller's promise.
            let Named { payload, found, .. } = unsafe { ptr.locate() }?;
            if found.destructor {
                return Err(Cond::Mismatch);
            }
            (payload, found.size)
        }
    };
    // SAFETY: a live cell's payload, or what the caller answers for.
    unsafe { zero(payload, size) };
    Ok(())
}

/// Copies `size` bytes; the two may overlap.
///
/// ```
/// use core::ptr::NonNull;
///
/// let (mut to, mut from) = ([0_u8; 4], [1, 2, 3, 4]);
/// // SAFETY: both arrays are that long.
/// unsafe { kmem::copy(NonNull::from(&mut to).cast(), NonNull::from(&mut from).cast(), 4) };
/// assert_eq!(to, from);
/// ```
///
/// # Safety
///
/// `src` is valid for reads and `dest` for writes of that many bytes.
pub unsafe fn copy(dest: NonNull<u8>, src: NonNull<u8>, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { src.copy_to(dest, size) };
}

/// A copy of the cell, allocated as a sibling of the original: in the same store, for a node under the
/// same parent and without its children. Taint is inherited; a counted cell's copy has one reference.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages};
///
/// let heap = Heap::new_in(Pages::new());
/// let ptr = heap.alloc_zeroed_ptr(Layout::new::<u64>())?;
/// // SAFETY: the heap is where it was, and nobody writes to the cell.
/// let copy = unsafe { kmem::dup(&ptr)? };
/// assert_eq!((copy.kind(), copy.size(), heap.stats().live), (ptr.kind(), ptr.size(), 2));
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// As for [`free`] and the store's `alloc`; `mismatch` for static memory, which has no store to be a
/// sibling in, and for a cell that has a destructor; `bad_size` for static memory of unknown size.
///
/// # Safety
///
/// The store that the pointer names is live and where it was, and nothing writes to the payload at the
/// same time.
pub unsafe fn dup(ptr: &Ptr) -> Result<Ptr, Cond> {
    match ptr.kind {
        Kind::Fail => return Err(Cond::BadAddress),
        Kind::None if ptr.size().is_none() => return Err(Cond::BadSize),
        Kind::None => return Err(Cond::Mismatch),
        _ => {}
    }
    // SAFETY: the caller's promise.
    let Named { payload, head, ops, found } = unsafe { ptr.locate() }?;
    if found.destructor {
        return Err(Cond::Mismatch);
    }
    let layout = Layout::from_size_align(found.size, found.align).map_err(|_| Cond::FailAssert)?;
    let copied = if ptr.kind == Kind::Ref {
        // SAFETY: a live counted cell, whose store is where it was.
        unsafe { refs::sibling(payload, layout) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { (ops.sibling)(head, payload, layout) }
    }?;
    // SAFETY: both are live, distinct, and this long.
    unsafe { payload.copy_to_nonoverlapping(copied.cast(), found.size) };
    let copied = NonNull::slice_from_raw_parts(copied.cast(), found.size);
    #[cfg_attr(not(feature = "shred"), expect(unused_mut, reason = "only taint changes it"))]
    let mut new = Ptr::new(ptr.kind, copied, head.as_ptr());
    #[cfg(feature = "shred")]
    if found.tainted || ptr.shred {
        // SAFETY: the caller's promise; the cell was just made.
        unsafe { taint(&mut new) }?;
    }
    Ok(new)
}

//! The stores as `Allocator`s, so that collections can live in them.
//!
//! The trait exists three times, and all three are alike: allocator-api2's in two versions, and the
//! standard library's on nightly compilers.

/// What all of them answer, whatever `Allocator` and `AllocError` are.
macro_rules! allocator {
    ($api:path, $error:path; $($(#[$cfg:meta])? [$($generic:tt)*] $store:ty),* $(,)?) => {$(
        $(#[$cfg])?
        // SAFETY: the blocks are those of a `Source`, which promises what is asked here; all copies of
        // the reference are the same source.
        unsafe impl<$($generic)*> $api for $store {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $error> {
                Source::alloc(*self, layout).map_err(|_| $error)
            }

            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, $error> {
                Source::alloc_zeroed(*self, layout).map_err(|_| $error)
            }

            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // Nobody can be told of a refusal here; the block then stays with the source.
                // SAFETY: the caller's promise, passed on.
                let _ = unsafe { Source::free(*self, block, layout) };
            }

            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, $error> {
                // SAFETY: the caller's promise, passed on.
                unsafe { resize(*self, block, old, new) }.map_err(|_| $error)
            }

            unsafe fn grow_zeroed(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, $error> {
                // SAFETY: the caller's promise, passed on.
                let grown = unsafe { resize(*self, block, old, new) }.map_err(|_| $error)?;
                // SAFETY: the block is `new.size()` long at least, and `old.size()` is no more.
                let tail = unsafe { grown.cast::<u8>().add(old.size()) };
                // SAFETY: as above.
                unsafe { tail.write_bytes(0, grown.len() - old.size()) };
                Ok(grown)
            }

            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, $error> {
                // SAFETY: the caller's promise, passed on.
                unsafe { resize(*self, block, old, new) }.map_err(|_| $error)
            }
        }
    )*};
}

/// All stores, for one `Allocator`.
macro_rules! allocators {
    ($module:ident, $api:path, $error:path) => {
        mod $module {
            use core::alloc::Layout;
            use core::ptr::NonNull;

            use super::resize;
            use crate::{Heap, Layer, Lin, Pool, Scope, Source};

            allocator! { $api, $error;
                [S: Source] &Heap<S>,
                [S: Source, H: Layer] &Lin<S, H>,
                [S: Source, H: Layer] &Pool<S, H>,
                [S: Source, H: Layer] &Scope<'_, S, H>,
                #[cfg(feature = "platform")] [] &crate::Global,
            }
        }
    };
}

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::{Cond, Source};

/// A `Source` keeps a block's alignment; an `Allocator` may be asked for another.
///
/// # Safety
///
/// As for [`Source::resize`], but for the alignment.
unsafe fn resize<S: Source>(source: &S, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
    if old.align() == new.align() {
        // SAFETY: the caller's promise.
        return unsafe { source.resize(block, old, new) };
    }
    let moved = source.alloc(new)?;
    // SAFETY: both blocks are live, distinct, and at least this long.
    unsafe { block.copy_to_nonoverlapping(moved.cast(), old.size().min(new.size())) };
    // SAFETY: the caller's promise; the bytes are in the new block. Refused, it stays with the source.
    let _ = unsafe { source.free(block, old) };
    Ok(moved)
}

#[cfg(feature = "allocator-api2")]
allocators!(api2, allocator_api2::alloc::Allocator, allocator_api2::alloc::AllocError);
#[cfg(feature = "allocator-api2-04")]
allocators!(api2_04, allocator_api2_04::alloc::Allocator, allocator_api2_04::alloc::AllocError);
#[cfg(feature = "alloc-api")]
allocators!(nightly, core::alloc::Allocator, core::alloc::AllocError);

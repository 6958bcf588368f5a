//! `alloc` and `free` over one allocator or store, and nothing else.
#![no_std]
#![cfg(target_arch = "wasm32")]

#[cfg(not(feature = "kmem-pool"))]
use core::alloc::Layout;
use core::panic::PanicInfo;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// The layout of a cell: aligned as the typed words of most programs are.
#[cfg(not(feature = "kmem-pool"))]
fn layout(size: usize) -> Layout {
    // SAFETY: eight is a power of two; a size near the end of the address space is the caller's mistake.
    unsafe { Layout::from_size_align_unchecked(size, 8) }
}

/// Memory of this size, or null.
#[unsafe(no_mangle)]
pub extern "C" fn alloc(size: usize) -> *mut u8 {
    contender::alloc(size)
}

/// Takes back what `alloc` gave for this size.
///
/// # Safety
///
/// It did, and nothing uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(cell: *mut u8, size: usize) {
    // SAFETY: the caller's promise.
    unsafe { contender::free(cell, size) }
}

/// kmem's stores, called by their own functions.
#[cfg(any(feature = "kmem-lin", feature = "kmem-pool", feature = "kmem-heap"))]
mod contender {
    use core::ptr::{self, NonNull};

    use kmem::Pages;
    use kmem::platform::Grown;

    #[cfg(feature = "kmem-heap")]
    type Store = kmem::Heap<Pages<Grown>>;
    #[cfg(feature = "kmem-lin")]
    type Store = kmem::Lin<Pages<Grown>>;
    #[cfg(feature = "kmem-pool")]
    type Store = kmem::Pool<Pages<Grown>>;

    /// The store lives as long as the module.
    const PAGES: Pages<Grown> = Pages::over(Grown);

    struct Only(Store);

    // SAFETY: the module has one thread.
    unsafe impl Sync for Only {}

    #[cfg(not(feature = "kmem-pool"))]
    static STORE: Only = Only(Store::new_in(PAGES));
    #[cfg(feature = "kmem-pool")]
    static STORE: Only = Only(Store::new_in(core::alloc::Layout::new::<[u64; 8]>(), PAGES));

    pub fn alloc(size: usize) -> *mut u8 {
        // Cells of a pool are all of one size.
        #[cfg(feature = "kmem-pool")]
        let (cell, _) = (STORE.0.alloc(), size);
        #[cfg(not(feature = "kmem-pool"))]
        let cell = STORE.0.alloc(super::layout(size));
        cell.map_or(ptr::null_mut(), |cell| cell.as_ptr().cast())
    }

    /// # Safety
    ///
    /// The cell is live.
    pub unsafe fn free(cell: *mut u8, size: usize) {
        // SAFETY: what is live is not null.
        let cell = unsafe { NonNull::new_unchecked(cell) };
        // SAFETY: the caller's promise.
        #[cfg(feature = "kmem-lin")]
        let answer = unsafe { STORE.0.free(cell, super::layout(size)) };
        // SAFETY: the caller's promise.
        #[cfg(not(feature = "kmem-lin"))]
        let (answer, _) = (unsafe { STORE.0.free(cell) }, size);
        // Nobody is there to be told.
        let _ = answer;
    }
}

/// General allocators, called as a program's global allocator is.
#[cfg(not(any(feature = "kmem-lin", feature = "kmem-pool", feature = "kmem-heap")))]
mod contender {
    use core::alloc::GlobalAlloc;

    /// The chosen one. It is the global allocator too, since some of these crates do not link without one.
    #[global_allocator]
    static ALLOCATOR: Allocator = NEW;

    #[cfg(feature = "kmem-global")]
    type Allocator = kmem::GlobalHeap;
    #[cfg(feature = "kmem-global")]
    const NEW: Allocator = kmem::GlobalHeap::new();

    #[cfg(feature = "talc")]
    type Allocator = talc::wasm::WasmDynamicTalc;
    #[cfg(feature = "talc")]
    const NEW: Allocator = talc::wasm::new_wasm_dynamic_allocator();

    #[cfg(feature = "rlsf")]
    type Allocator = rlsf::SmallGlobalTlsf;
    #[cfg(feature = "rlsf")]
    const NEW: Allocator = rlsf::SmallGlobalTlsf::new();

    #[cfg(feature = "lol_alloc-free-list")]
    type Allocator = lol_alloc::AssumeSingleThreaded<lol_alloc::FreeListAllocator>;
    #[cfg(feature = "lol_alloc-free-list")]
    // SAFETY: the module has one thread.
    const NEW: Allocator = unsafe { lol_alloc::AssumeSingleThreaded::new(lol_alloc::FreeListAllocator::new()) };

    #[cfg(feature = "lol_alloc-leaking")]
    type Allocator = lol_alloc::AssumeSingleThreaded<lol_alloc::LeakingAllocator>;
    #[cfg(feature = "lol_alloc-leaking")]
    // SAFETY: the module has one thread.
    const NEW: Allocator = unsafe { lol_alloc::AssumeSingleThreaded::new(lol_alloc::LeakingAllocator::new()) };

    #[cfg(feature = "dlmalloc")]
    type Allocator = dlmalloc::GlobalDlmalloc;
    #[cfg(feature = "dlmalloc")]
    const NEW: Allocator = dlmalloc::GlobalDlmalloc;

    pub fn alloc(size: usize) -> *mut u8 {
        // SAFETY: whoever asks for nothing gets what the allocator makes of it.
        unsafe { ALLOCATOR.alloc(super::layout(size)) }
    }

    /// # Safety
    ///
    /// The cell is live.
    pub unsafe fn free(cell: *mut u8, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { ALLOCATOR.dealloc(cell, super::layout(size)) }
    }
}

//! Every store without std. `cargo xtask test --only freestanding` looks at its undefined symbols
//! (none of libc's allocator) and at its system calls (maps and unmaps beyond the loader's).

#![no_std]
#![no_main]

use core::alloc::Layout;
use core::ffi::c_int;

use kmem::{Cond, Global, Heap, Kept, Lin, Pages, Pool, Tree, refs};

// Only what starts and ends a program is libc's.
#[link(name = "c")]
unsafe extern "C" {
    safe fn getppid() -> c_int;
    safe fn abort() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

/// What the C runtime calls.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const u8) -> c_int {
    // Tells whoever traces the system calls that the loader has done its part.
    getppid();
    match twice() {
        Ok(()) => 0,
        Err(store) => store,
    }
}

/// First each store has its pages from the system and gives them back to it, then from what others gave back.
fn twice() -> Result<(), c_int> {
    let limit = Kept.limit();
    Kept.set_limit(0);
    stores()?;
    Kept.set_limit(limit);
    stores()?;
    Kept.purge();
    Ok(())
}

/// Uses each store; an error is the number of the one that went wrong.
fn stores() -> Result<(), c_int> {
    heap().map_err(|_| 1)?;
    lin().map_err(|_| 2)?;
    pool().map_err(|_| 3)?;
    counted().map_err(|_| 4)?;
    tree().map_err(|_| 5)?;
    any().map_err(|_| 6)
}

const SMALL: Layout = Layout::new::<[u64; 4]>();
const LARGE: Layout = Layout::new::<[u64; 1 << 16]>();

fn heap() -> Result<(), Cond> {
    let mut heap = Heap::new_in(Pages::new());
    let (small, large) = (heap.alloc(SMALL)?, heap.alloc_zeroed(LARGE)?);
    // SAFETY: both cells are live; what is freed is used no more.
    unsafe {
        heap.resize(large.cast(), 2 * LARGE.size())?;
        heap.free(small.cast())?;
    }
    heap.destroy()
}

fn lin() -> Result<(), Cond> {
    let mut lin = Lin::new_in(Pages::new());
    let mark = lin.mark()?;
    for _ in 0..1000 {
        lin.alloc(SMALL)?;
    }
    // SAFETY: what was allocated since the mark is used no more.
    unsafe { lin.rewind(mark)? };
    lin.destroy()
}

fn pool() -> Result<(), Cond> {
    let mut pool = Pool::new_in(SMALL, Pages::new());
    for _ in 0..1000 {
        pool.alloc_zeroed()?;
    }
    // SAFETY: a live cell, used no more.
    unsafe { pool.free(pool.alloc()?.cast())? };
    pool.destroy()
}

fn counted() -> Result<(), Cond> {
    let shared = refs::alloc(&Global, SMALL)?.cast();
    // SAFETY: a live counted cell, with as many references dropped as taken.
    unsafe {
        refs::upref(shared)?;
        refs::downref(shared)?;
        refs::shred(shared)
    }
}

fn tree() -> Result<(), Cond> {
    let mut tree = Tree::managed_in(Heap::new_in(Pages::new()));
    let root = tree.root()?;
    let mut node = root;
    for _ in 0..1000 {
        // SAFETY: each parent is a live node of this tree.
        node = unsafe { tree.alloc(node, SMALL)? }.cast();
    }
    // SAFETY: both are live nodes of this tree.
    unsafe { tree.move_to(node, root)? };
    tree.destroy()
}

/// What need not know which kind it got.
fn any() -> Result<(), Cond> {
    let lin = Lin::with_headers_in(Pages::new());
    let pool = Pool::with_headers_in(SMALL, Pages::new());
    for ptr in [lin.alloc_ptr(SMALL)?, pool.alloc_ptr()?, refs::alloc_ptr(&Global, SMALL)?] {
        // SAFETY: the stores are where they were, and the payloads are used no more.
        unsafe {
            kmem::shred(kmem::dup(&ptr)?)?;
            kmem::free(ptr)?;
        }
    }
    Ok(())
}

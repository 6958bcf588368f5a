//! Actions that differ from store to store, and those of stores without headers.

use std::ptr::NonNull;

use kmem::{Cond, Heap, Lin, Locked, Pool, StaticBytes};

#[cfg(feature = "shred")]
use crate::common::raw_bytes;
use crate::common::{differs, layout, room, write_pattern};

type Place = NonNull<u8>;

const SIZE: usize = 100;

fn marked(cell: Result<NonNull<[u8]>, Cond>, number: u64) -> Place {
    let cell = cell.expect("there is room").cast();
    write_pattern(cell, 0..SIZE, number);
    cell
}

/// A cell that was resized: where it is now, after a look at what it kept.
fn resized(cell: Result<NonNull<[u8]>, Cond>, size: usize, number: u64) -> Place {
    let cell = cell.expect("there is room");
    assert!(cell.len() >= size);
    assert_eq!(differs(cell.cast(), size.min(SIZE), number), None, "it keeps its bytes");
    cell.cast()
}

pub fn heap_resize() {
    let mut bytes = room(4096);
    let heap = Heap::fixed(&mut bytes);
    let cell = marked(heap.alloc(layout(SIZE, 64)), 1);
    let behind = marked(heap.alloc(layout(SIZE, 16)), 2);
    let shorter = resized(unsafe { heap.resize(cell, 20) }, 20, 1);
    assert_eq!(shorter, cell, "smaller in place");
    let longer = resized(unsafe { heap.resize(shorter, 90) }, 20, 1);
    assert_eq!(longer, cell, "and back, into what it had left");
    write_pattern(cell, 0..SIZE - 10, 1);
    let moved = resized(unsafe { heap.resize(cell, 500) }, 90, 1);
    assert!(moved != cell && moved.addr().get().is_multiple_of(64), "elsewhere, aligned as before");
    assert_eq!(unsafe { heap.free(cell) }, Err(Cond::BadAddress), "the old cell has gone");
    assert_eq!((differs(behind, SIZE, 2), heap.stats().live), (None, 2));
    assert_eq!(unsafe { heap.resize(moved, 5000) }, Err(Cond::NoRoom));
    assert_eq!(unsafe { heap.resize(moved, isize::MAX as usize) }, Err(Cond::BadSize));
    assert_eq!(differs(moved, 90, 1), None, "a failed call leaves everything");
    heap.check().expect("the heap is whole");
    #[cfg(feature = "shred")]
    {
        use kmem::Store;
        heap.taint_cell(moved).expect("a live cell");
        let secret = raw_bytes(moved, 64);
        // Where the bytes lie decides which gaps there are: until there is a cell right behind it.
        while marked(heap.alloc(layout(SIZE, 16)), 3).addr() < moved.addr() {}
        let last = resized(unsafe { heap.resize(moved, 1500) }, 90, 1);
        assert!(
            last != moved && !crate::common::holds(&raw_bytes(moved, 64), &secret[24..40]),
            "the old place is shredded"
        );
        assert!(heap.locate(last).is_ok_and(|found| found.tainted), "taint follows");
    }
}

pub fn lin_resize() {
    let mut bytes = room(4096);
    let lin = Lin::fixed_with_headers(&mut bytes);
    let older = marked(lin.alloc(layout(SIZE, 64)), 1);
    let newest = marked(lin.alloc(layout(SIZE, 16)), 2);
    for size in [300, 40, 0, SIZE] {
        let now = unsafe { lin.resize(newest, size) }.expect("there is room");
        assert_eq!((now.cast(), now.len()), (newest, size), "the newest in place");
    }
    assert_eq!(resized(unsafe { lin.resize(older, 50) }, 50, 1), older, "an older one shrinks in place");
    let moved = resized(unsafe { lin.resize(older, 400) }, 50, 1);
    assert!(moved != older && moved.addr().get().is_multiple_of(64), "and grows elsewhere, aligned as before");
    assert_eq!(unsafe { lin.free(older) }, Err(Cond::BadAddress), "the old cell has gone");
    assert_eq!(unsafe { lin.resize(moved, 5000) }, Err(Cond::NoRoom));
    assert_eq!(unsafe { lin.resize(moved, isize::MAX as usize) }, Err(Cond::BadSize));
    assert_eq!((differs(moved, 50, 1), lin.stats().live), (None, 2));
    lin.check().expect("the region is whole");
    #[cfg(feature = "shred")]
    {
        use kmem::Store;
        lin.taint_cell(moved).expect("a live cell");
        let behind = lin.alloc(layout(8, 8)).expect("there is room");
        let last = resized(unsafe { lin.resize(moved, 500) }, 50, 1);
        assert!(
            last > behind.cast() && raw_bytes(moved, 400).iter().all(|byte| *byte == 0),
            "the old place is shredded"
        );
        assert!(lin.locate(last).is_ok_and(|found| found.tainted), "taint follows");
    }
}

pub fn lin_resize_bare() {
    let mut bytes = room(4096);
    let lin = Lin::fixed(&mut bytes);
    let (small, large) = (layout(SIZE, 16), layout(300, 16));
    let older = marked(lin.alloc(small), 1);
    let newest = marked(lin.alloc(small), 2);
    assert_eq!(resized(unsafe { lin.resize(newest, small, large) }, 300, 2), newest, "the newest in place");
    let moved = resized(unsafe { lin.resize(older, small, large) }, 300, 1);
    assert_ne!(moved, older);
    assert_eq!(resized(unsafe { lin.resize(newest, large, small) }, SIZE, 2), newest, "an older one shrinks in place");
    assert_eq!(unsafe { lin.resize(newest, small, layout(5000, 16)) }, Err(Cond::NoRoom));
    assert_eq!((differs(newest, SIZE, 2), differs(moved, SIZE, 1)), (None, None));
    lin.check().expect("the region is whole");
}

pub fn lin_free_bare() {
    let mut bytes = room(4096);
    let lin = Lin::fixed(&mut bytes);
    let whole = layout(SIZE, 16);
    let (older, newest) = (marked(lin.alloc(whole), 1), marked(lin.alloc(whole), 2));
    unsafe { lin.free(newest, whole) }.expect("it takes every cell");
    let used = lin.stats().bytes;
    assert_eq!(marked(lin.alloc(whole), 3), newest, "the newest rewinds");
    unsafe { lin.free(older, whole) }.expect("an older one is legal");
    assert_eq!((differs(newest, SIZE, 3), lin.stats().bytes > used), (None, true), "and does nothing now");
    unsafe { lin.free(newest, whole) }.expect("it takes every cell");
    assert_eq!(lin.stats().bytes, used);
}

#[cfg(feature = "shred")]
pub fn lin_shred_bare() {
    let mut bytes = room(4096);
    let lin = Lin::fixed(&mut bytes);
    let whole = layout(SIZE, 16);
    let cells = [1, 2, 3].map(|number| marked(lin.alloc(whole), number));
    unsafe { lin.shred(cells[1], whole) }.expect("it takes every cell");
    assert!(raw_bytes(cells[1], SIZE).iter().all(|byte| *byte == 0));
    assert_eq!((differs(cells[0], SIZE, 1), differs(cells[2], SIZE, 3)), (None, None));
    let used = lin.stats().bytes;
    unsafe { lin.shred(cells[2], whole) }.expect("it takes every cell");
    assert!(raw_bytes(cells[2], SIZE).iter().all(|byte| *byte == 0) && lin.stats().bytes < used);
}

pub fn pool_resize() {
    let mut bytes = room(4096);
    let pool = Pool::fixed_with_headers(layout(SIZE, 16), &mut bytes);
    let cell = marked(pool.alloc(), 1);
    for size in [10, 0, SIZE] {
        let now = pool.resize(cell, size).expect("within the cell");
        assert_eq!((now.cast(), now.len(), differs(cell, SIZE, 1)), (cell, size, None));
    }
    for size in [SIZE + 1, 5000, isize::MAX as usize, usize::MAX] {
        assert_eq!(pool.resize(cell, size), Err(Cond::BadSize));
    }
    unsafe { pool.free(cell) }.expect("a live cell");
    assert_eq!(pool.resize(cell, 10), Err(Cond::BadAddress));
}

pub fn pool_resize_bare() {
    let mut bytes = room(4096);
    let pool = Pool::fixed(layout(SIZE, 16), &mut bytes);
    let cell = marked(pool.alloc(), 1);
    for size in [10, 0, SIZE] {
        let now = unsafe { pool.resize(cell, size) }.expect("within the cell");
        assert_eq!((now.cast(), now.len(), differs(cell, SIZE, 1)), (cell, size, None));
    }
    for size in [SIZE + 1, usize::MAX] {
        assert_eq!(unsafe { pool.resize(cell, size) }, Err(Cond::BadSize));
    }
}

pub fn pool_free_bare() {
    let mut bytes = room(4096);
    let pool = Pool::fixed(layout(SIZE, 16), &mut bytes);
    let cells = [1, 2, 3].map(|number| marked(pool.alloc(), number));
    for cell in [cells[0], cells[2]] {
        unsafe { pool.free(cell) }.expect("it takes every cell");
    }
    assert_eq!((pool.stats().live, differs(cells[1], SIZE, 2)), (1, None));
    assert_eq!((marked(pool.alloc(), 4), marked(pool.alloc(), 5)), (cells[2], cells[0]), "the last freed is the next");
    pool.check().expect("the pool is whole");
}

#[cfg(feature = "shred")]
pub fn pool_shred_bare() {
    let mut bytes = room(4096);
    let pool = Pool::fixed(layout(SIZE, 16), &mut bytes);
    let cells = [1, 2, 3].map(|number| marked(pool.alloc(), number));
    unsafe { pool.shred(cells[1]) }.expect("it takes every cell");
    // The link to the next free cell is all that there is.
    assert!(raw_bytes(cells[1], SIZE)[size_of::<usize>()..].iter().all(|byte| *byte == 0));
    assert_eq!((differs(cells[0], SIZE, 1), differs(cells[2], SIZE, 3)), (None, None));
}

pub fn pool_in_a_static() {
    static BYTES: StaticBytes<4096> = StaticBytes::new();
    static POOL: Locked<Pool<&StaticBytes<4096>>> = Locked::new(Pool::fixed_in(layout_of_cell(), &BYTES));
    const fn layout_of_cell() -> std::alloc::Layout {
        std::alloc::Layout::new::<[u64; 13]>()
    }
    let pool = POOL.lock();
    let cell = marked(pool.alloc(), 1);
    let span = std::ptr::from_ref(&BYTES).addr()..std::ptr::from_ref(&BYTES).addr() + size_of_val(&BYTES);
    assert!(span.contains(&cell.addr().get()), "in the bytes of the static");
    unsafe { pool.free(cell) }.expect("it takes every cell");
    pool.check().expect("the pool is whole");
}

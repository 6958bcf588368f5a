//! Heaps, regions, pools, bytes and pages.

use core::alloc::Layout;
use core::cell::Cell;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use kmem::inspect::Inspect;
use kmem::{Cond, Fixed, Heap, Kind, Layer, Lin, Owned, Pool, Ref, Source, Store, Tree, refs};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::fickle::Fickle;
use crate::{LAYOUT, bytes};

#[cfg(feature = "shred")]
const SECRET: u8 = 0xab;

/// Larger than what shares a chunk of a heap with others.
const LARGE: usize = 300_000;

fn room(len: usize) -> Vec<MaybeUninit<u8>> {
    vec![MaybeUninit::new(0); len]
}

/// A region gave its chunks back oldest first; bytes that take only their newest block back got none.
#[test]
fn a_region_gives_its_newest_chunk_back_first() {
    let mut memory = room(64 << 10);
    let fixed = Fixed::new(&mut memory);
    // With one block below them, the bytes are not just forgotten as a whole.
    fixed.alloc(LAYOUT).unwrap();
    let before = fixed.used();
    let mut lin = Lin::new_in(&fixed).first_block(4096);
    for _ in 0..10 {
        for _ in 0..20 {
            lin.alloc(bytes(1000)).unwrap();
        }
        lin.destroy().unwrap();
        assert!(fixed.used() <= before + LAYOUT.align(), "{} of {before} bytes", fixed.used());
    }
}

/// So did a pool.
#[test]
fn a_pool_gives_its_newest_block_back_first() {
    let mut memory = room(64 << 10);
    let below = Lin::fixed(&mut memory);
    let mut pool = Pool::new_in(bytes(1000), &below).first_cells(4);
    for _ in 0..10 {
        for _ in 0..20 {
            pool.alloc().unwrap();
        }
        pool.destroy().unwrap();
        assert_eq!(below.stats().bytes, 0, "the region can go back over all of it");
    }
}

/// The padding before each block was lost even when every block had come back.
#[test]
fn bytes_of_which_nothing_is_live_are_all_there_again() {
    let mut memory = room(1024);
    let fixed = Fixed::new(&mut memory);
    let wide = Layout::from_size_align(16, 16).unwrap();
    for round in 0..1000 {
        let small = fixed.alloc(bytes(1)).unwrap_or_else(|cond| panic!("round {round}: {cond}"));
        let large = fixed.alloc(wide).unwrap_or_else(|cond| panic!("round {round}: {cond}"));
        unsafe {
            fixed.free(large.cast(), wide).unwrap();
            fixed.free(small.cast(), bytes(1)).unwrap();
        }
        assert_eq!(fixed.used(), 0);
    }
}

/// Each region counted its marks from 0, so one in the same bytes took a mark of the one before for its own.
#[test]
fn a_mark_of_the_region_that_was_here_before_is_refused() {
    let mut memory = room(4096);
    let stale = {
        let lin = Lin::fixed(&mut memory);
        lin.mark().unwrap()
    };
    let lin = Lin::fixed(&mut memory);
    let own = lin.mark().unwrap();
    lin.alloc(LAYOUT).unwrap();
    assert_eq!(unsafe { lin.rewind(stale) }, Err(Cond::BadAddress));
    assert_eq!(unsafe { lin.rewind(own) }, Ok(()));
}

/// The chunks that a reset keeps were not looked at: the most that could be had was 0.
#[test]
fn a_region_that_was_reset_has_room_to_offer() {
    let mut memory = room(64 << 10);
    let mut lin = Lin::fixed(&mut memory);
    lin.alloc(LAYOUT).unwrap();
    lin.reset();
    let largest = lin.largest().expect("bytes are bounded");
    assert!(largest > 60 << 10, "{largest}");
    lin.alloc(bytes(60 << 10)).unwrap();
}

/// And then it was thought to need a unit more than the cell that it was said to have room for.
#[test]
fn the_largest_cell_fits_after_a_reset() {
    fn fits<H: Layer>(mut lin: Lin<Fixed<'_>, H>) {
        for _ in 0..3 {
            let largest = lin.largest().expect("bytes are bounded");
            assert_eq!(lin.alloc(bytes(largest)).map(|cell| cell.len()), Ok(largest));
            lin.reset();
        }
    }
    let mut memory = room(4096);
    fits(Lin::fixed(&mut memory));
    fits(Lin::fixed_with_headers(&mut memory));
}

/// The cell size's limit was found by a subtraction that overflowed.
#[test]
fn a_pool_of_cells_aligned_to_half_the_address_space_has_none() {
    let layout = Layout::from_size_align(0, 1 << (usize::BITS - 1)).unwrap();
    assert!(Pool::new_in(layout, Fickle::default()).alloc().is_err());
    let pool = Pool::with_headers_in(layout, Fickle::default());
    assert!(pool.alloc().is_err());
    // Nor did a header fit in what was left of a cell.
    assert_eq!(pool.largest(), Some(0));
}

/// A store that wished for a large block went without any, unless the refusal was that there is no room.
#[test]
fn a_store_does_with_less_whatever_the_refusal_of_more_is() {
    struct Locking {
        below: Fickle,
        refusal: Cond,
    }
    unsafe impl Source for Locking {
        fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
            if layout.size() > 8192 { Err(self.refusal) } else { self.below.alloc(layout) }
        }
        unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
            unsafe { self.below.free(block, layout) }
        }
    }
    for refusal in [Cond::NoRoom, Cond::BadLock, Cond::TooMany] {
        let lin = Lin::new_in(Locking { below: Fickle::default(), refusal }).first_block(1 << 20);
        assert!(lin.alloc(LAYOUT).is_ok(), "{refusal}");
        assert_eq!(lin.alloc(bytes(10_000)), Err(refusal), "what is needed is not had either");
    }
}

/// A large cell moves when it shrinks; where that could not be, shrinking failed.
#[test]
fn a_large_cell_shrinks_where_it_is_if_there_is_no_other_place() {
    struct Once(Cell<bool>, Fickle);
    unsafe impl Source for Once {
        fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
            if self.0.replace(true) { Err(Cond::NoRoom) } else { self.1.alloc(layout) }
        }
        unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
            unsafe { self.1.free(block, layout) }
        }
    }
    let mut heap = Heap::new_in(Once(Cell::new(false), Fickle::default()));
    let cell = heap.alloc(bytes(LARGE)).unwrap().cast::<u8>();
    unsafe { cell.write_bytes(7, LARGE) };
    let shrunk = unsafe { heap.resize(cell, 100) }.unwrap();
    assert_eq!((shrunk.cast(), shrunk.len()), (cell, 100));
    assert!((0..100).all(|at| unsafe { cell.add(at).read() } == 7));
    heap.check().unwrap();
    heap.destroy().unwrap();
    assert_eq!(heap.source().1.live(), 0);
}

/// The cell was wiped before its source refused its pages, and the copy was wiped then.
#[cfg(feature = "shred")]
#[test]
fn a_tainted_large_cell_whose_pages_are_refused_keeps_its_bytes() {
    for size in [1000, 2 * LARGE] {
        let mut heap = Heap::new_in(Fickle::default());
        let mut ptr = heap.alloc_ptr(bytes(LARGE)).unwrap();
        let cell = NonNull::new(ptr.payload()).unwrap();
        unsafe {
            cell.write_bytes(SECRET, LARGE);
            kmem::taint(&mut ptr).unwrap();
        }
        heap.source().refuse(false, true);
        let resized = unsafe { heap.resize(cell, size) };
        assert!(resized.is_ok() || size > LARGE, "what is smaller fits where it is");
        // Wherever it is now, all that it had is there.
        let now = resized.map_or(cell, NonNull::cast);
        assert!((0..size.min(LARGE)).all(|at| unsafe { now.add(at).read() } == SECRET), "to {size}");
        assert_eq!(heap.stats().live, 1);
        heap.check().unwrap();
        heap.source().refuse(false, false);
        heap.destroy().unwrap();
        assert_eq!((heap.source().came_back_with(SECRET), heap.source().live()), (false, 0));
    }
}

/// Only what was before the cursor was wiped, not what had been rewound over before the taint.
#[cfg(feature = "shred")]
#[test]
fn a_region_that_is_tainted_late_wipes_what_it_handed_out_before() {
    type Act = fn(&mut Lin<&Fickle>, NonNull<u8>);
    let ways: [(&str, Act); 3] = [
        ("freed", |lin, newest| unsafe { lin.free(newest, LAYOUT).unwrap() }),
        ("shrunk", |lin, newest| _ = unsafe { lin.resize(newest, LAYOUT, bytes(1)) }.unwrap()),
        ("reset", |lin, _| lin.reset()),
    ];
    for (way, act) in ways {
        let below = Fickle::default();
        let mut lin = Lin::new_in(&below).first_block(512);
        let mut newest = NonNull::dangling();
        // In several chunks.
        for _ in 0..100 {
            newest = lin.alloc(LAYOUT).unwrap().cast::<u8>();
            unsafe { newest.write_bytes(SECRET, LAYOUT.size()) };
        }
        assert!(below.live() > 1);
        act(&mut lin, newest);
        lin.taint();
        lin.destroy().unwrap();
        assert_eq!((below.came_back_with(SECRET), below.live()), (false, 0), "{way}");
    }
}

/// A pool wiped the blocks in use, not those that a reset had kept.
#[cfg(feature = "shred")]
#[test]
fn a_pool_that_is_tainted_late_wipes_what_it_handed_out_before() {
    let below = Fickle::default();
    let mut pool = Pool::new_in(LAYOUT, &below).first_cells(8);
    for _ in 0..100 {
        unsafe { pool.alloc().unwrap().cast::<u8>().write_bytes(SECRET, LAYOUT.size()) };
    }
    assert!(below.live() > 1);
    pool.reset();
    pool.taint();
    pool.destroy().unwrap();
    assert_eq!((below.came_back_with(SECRET), below.live()), (false, 0));
}

/// The front was placed by the payload's alignment and looked for by the pool's.
#[test]
fn a_counted_cell_is_found_in_a_pool_that_aligns_more_than_it_asks() {
    for align in [64, 128, 1024] {
        let pool = Pool::with_headers_in(Layout::from_size_align(4 * align, align).unwrap(), Fickle::default());
        let cell = refs::alloc_ptr(&pool, LAYOUT).unwrap();
        assert_eq!(unsafe { kmem::free(cell) }, Ok(()), "{align}");
        assert_eq!(pool.stats().live, 0);
    }
}

/// What its store does while it is shown to somebody: it refuses.
fn free_in_a_walk(heap: &Heap<Fickle>, cell: NonNull<u8>) -> Result<(), Cond> {
    let mut answer = None;
    heap.inspect(&mut |_| _ = answer.get_or_insert_with(|| unsafe { refs::free(cell) }));
    answer.expect("there is something to be shown")
}

/// The front of a cell whose block had been refused said that it was given back, so it was for ever `in_use`.
#[test]
fn a_counted_cell_whose_block_was_refused_can_be_freed_again() {
    let heap = Heap::new_in(Fickle::default());
    let cell = refs::alloc_ptr(&heap, LAYOUT).unwrap();
    assert_eq!(free_in_a_walk(&heap, NonNull::new(cell.payload()).unwrap()), Err(Cond::InUse));
    assert_eq!(heap.stats().live, 1);
    assert_eq!(unsafe { kmem::free(cell) }, Ok(()));
    assert_eq!(heap.stats().live, 0);
}

/// And its destructor, which has run, does not run again.
#[test]
fn a_counted_cell_whose_block_was_refused_is_destroyed_once() {
    let heap = Heap::new_in(Fickle::default());
    let mut runs = 0_usize;
    let cell = unsafe { refs::alloc_with_ptr(&heap, LAYOUT, crate::count, (&raw mut runs).cast()) }.unwrap();
    assert_eq!(free_in_a_walk(&heap, NonNull::new(cell.payload()).unwrap()), Err(Cond::InUse));
    assert_eq!((runs, heap.stats().live), (1, 1));
    assert_eq!(unsafe { kmem::free(cell) }, Ok(()));
    assert_eq!((runs, heap.stats().live), (1, 0));
}

/// The panic went by what gives the block back.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_counted_cell_goes_though_its_destructor_panics() {
    unsafe fn boom(_: NonNull<u8>, _: *mut ()) {
        panic!("boom");
    }
    let heap = Heap::new_in(Fickle::default());
    let cell = unsafe { refs::alloc_with(&heap, LAYOUT, boom, core::ptr::null_mut()) }.unwrap().cast();
    let freed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| unsafe { refs::free(cell) }));
    assert!(freed.is_err());
    assert_eq!(heap.stats().live, 0);
    heap.check().unwrap();
}

/// The bytes of a function's address, where a cell without a destructor has its header, could look like one.
#[test]
fn a_stale_pointer_does_not_take_a_destructors_address_for_a_header() {
    // With a first block of a given size cells lie between boundary tags, one after the other.
    let heap = Heap::new_in(Fickle::default()).first_block(4096);
    let stale = refs::alloc_ptr(&heap, bytes(64)).unwrap();
    unsafe { kmem::free(stale) }.unwrap();
    // An alignment of 16 and the mark of what is live; the size is the context's. It is never called.
    let address = core::ptr::without_provenance::<()>(0x4c04_0000);
    let run = unsafe { core::mem::transmute::<*const (), refs::Destructor>(address) };
    let context = core::ptr::without_provenance_mut(4096);
    let live = unsafe { refs::alloc_with(&heap, bytes(48), run, context) }.unwrap().cast::<u8>();
    assert!(live.addr().get() - stale.payload().addr() <= 64, "in the same place");
    assert_eq!(unsafe { kmem::free(stale) }, Err(Cond::BadAddress));
    assert_eq!(unsafe { refs::header(live) }.refs(), 1);
    heap.check().unwrap();
}

/// What is no whole run was cut off all the same, and the rest's two words were written past its end.
#[cfg(feature = "platform")]
#[test]
fn a_recycler_takes_only_what_leaves_room_for_its_words() {
    let mut memory = vec![[0_usize; 2]; 512];
    let half = memory.len() / 2 * size_of::<[usize; 2]>();
    let mut recycler = kmem::platform::Recycler::new();
    let start = NonNull::new(memory.as_mut_ptr()).unwrap().cast();
    unsafe { recycler.give(start, half) };
    for len in [0, 3, size_of::<usize>(), half - 4] {
        assert_eq!(recycler.take(len), None, "{len}");
        assert_eq!((recycler.kept(), recycler.runs()), (half, 1));
    }
    assert_eq!(recycler.take(half), Some(start));
    assert!(memory[256..].iter().all(|words| *words == [0; 2]), "what lies behind the run");
}

/// Pages were taken by whole pages and given back by the bytes asked for.
#[cfg(feature = "platform")]
#[test]
fn pages_are_given_back_as_they_were_counted() {
    let counted = kmem::platform::Counted::new(kmem::platform::Native);
    let pages = kmem::Pages::over(&counted);
    let block = pages.alloc(bytes(100)).unwrap();
    let block = unsafe { pages.resize(block.cast(), bytes(100), bytes(LARGE)) }.unwrap();
    unsafe { pages.free(block.cast(), bytes(LARGE)) }.unwrap();
    assert_eq!(counted.mapped(), 0);
}

/// In memory without headers between cells, what has no bytes shared its address with the cell behind it.
#[test]
fn what_has_no_size_has_an_address_of_its_own() {
    let heap = Heap::new_in(Fickle::default());
    let mut tree = Tree::managed_in(&heap);
    let root = tree.root().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut note = |at: NonNull<u8>| assert!(seen.insert(at.addr()), "{at:?} is another's");
    let mut alone = Vec::new();
    let mut shared = Vec::new();
    for _ in 0..100 {
        // Each is as long as one of no size behind its header would be.
        for size in [0, 16, 32] {
            note(heap.alloc(bytes(size)).unwrap().cast());
        }
        let node = unsafe { tree.alloc(root, bytes(0)) }.unwrap().cast();
        assert!(heap.locate(node).is_err(), "a node's payload is no cell");
        note(node);
        let counted = refs::alloc(&heap, bytes(0)).unwrap().cast();
        assert!(heap.locate(counted).is_err(), "a counted payload is no cell");
        note(counted);
        alone.push(Owned::new_in((), &heap).unwrap());
        shared.push(Ref::new_in((), &heap).unwrap());
    }
    alone.iter().for_each(|value| note(NonNull::from(&**value).cast()));
    shared.iter().for_each(|value| note(NonNull::from(&**value).cast()));
    drop((alone, shared));
    unsafe {
        let node = tree.alloc(root, bytes(8)).unwrap().cast();
        let empty = tree.resize(node, 0).unwrap().cast();
        note(empty);
        tree.check().unwrap();
        tree.free(tree.resize(empty, 100).unwrap().cast()).unwrap();
    }
    tree.destroy().unwrap();
    drop(tree);
    assert_eq!(heap.stats().live, 400, "the heap's own, and the counted ones");
    heap.check().unwrap();
}

/// A cell that is marked as another kind's, so that no caller can release it, was the heap's own again in a span.
#[test]
fn a_cell_in_a_span_keeps_the_mark_of_another_kind() {
    let heap = Heap::new_in(Fickle::default());
    for kind in [Kind::Lin, Kind::Ref, Kind::Tree] {
        let cell = heap.alloc(LAYOUT).unwrap().cast();
        unsafe { heap.set_kind(cell, kind) };
        assert_eq!(heap.locate(cell).map(|found| found.kind), Ok(kind));
        assert_eq!(unsafe { heap.free(cell) }, Err(Cond::Mismatch));
        unsafe { Source::free(&heap, cell, LAYOUT) }.unwrap();
    }
    assert_eq!(heap.stats().live, 0);
    heap.check().unwrap();
}

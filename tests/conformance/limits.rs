//! Limits that a store was given: on bytes, on cells, on references.

use kmem::{Cond, Heap, Kind, Lin, MIN_ALIGN, Pool, refs};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::case::Case;
use crate::common::{Watched, layout, room};
use crate::subject::{Given, Shape, Subject};

const SHAPE: Shape =
    Shape { largest: 100_000, align: 4096, reuses: false, bounded: true, recovers: true, keeps: false };

/// A store may hold so many bytes and no more, says `no_room` beyond, and recovers.
fn stays_within(store: &mut dyn Subject, source: &dyn Given, limit: usize) {
    let newest = |case: &Case<'_>| case.cells.len() - 1;
    let mut case = Case::new(store, source, SHAPE);
    assert_eq!(case.try_take(layout(limit, 16)), Err(Cond::NoRoom), "no cell is as large as the limit");
    for _ in 0..2 {
        let refused = loop {
            match case.try_take(layout(300, 16)) {
                Ok(_) => assert!(case.store.stats().held <= limit, "{:?}", case.store.stats()),
                Err(cond) => break cond,
            }
        };
        assert_eq!(refused, Cond::NoRoom);
        assert!(case.cells.len() * 300 > limit / 2, "most of what is granted can be used: {}", case.cells.len());
        let before = case.snapshot();
        assert_eq!(case.try_take(layout(300, 16)), Err(Cond::NoRoom));
        assert_eq!(case.resize(0, limit / 2), Err(Cond::NoRoom));
        assert_eq!(case.snapshot(), before, "a refusal changes nothing");
        case.give(newest(&case));
        case.take(layout(300, 16));
        case.destroy();
    }
}

#[test]
fn a_heap_holds_no_more_than_its_limit() {
    let mut bytes = room(1 << 20);
    let source = Watched::new(kmem::Fixed::new(&mut bytes));
    stays_within(&mut Heap::new_in(&source).limit(100_000), &source, 100_000);
    stays_within(&mut Heap::new_in(&source).first_block(512).limit(20_000), &source, 20_000);
}

#[test]
fn a_lin_holds_no_more_than_its_limit() {
    let mut bytes = room(1 << 20);
    let source = Watched::new(Heap::fixed(&mut bytes));
    stays_within(&mut Lin::new_in(&source).limit(100_000), &source, 100_000);
    stays_within(&mut Lin::with_headers_in(&source).first_block(512).limit(20_000), &source, 20_000);
}

/// A limit that comes when more is held lets nothing more in, and counts what goes.
#[test]
fn a_lin_that_holds_more_than_its_new_limit_grows_no_further() {
    let mut bytes = room(1 << 20);
    let source = Watched::new(Heap::fixed(&mut bytes));
    let lin = Lin::new_in(&source).first_block(4096);
    lin.alloc(layout(1000, 16)).expect("there is room");
    let held = lin.stats().held;
    let mut lin = lin.limit(100);
    lin.alloc(layout(1000, 16)).expect("what is held is used");
    assert_eq!(lin.alloc(layout(4096, 16)), Err(Cond::NoRoom));
    assert_eq!(lin.stats().held, held);
    lin.check().expect("the store is whole");
    lin.destroy().expect("the source takes everything back");
    assert_eq!((lin.stats().held, source.blocks()), (0, 0));
    let lin = lin.limit(1 << 16);
    lin.alloc(layout(8000, 16)).expect("the limit was raised");
    lin.check().expect("the store is whole");
}

#[test]
fn a_first_block_is_a_start_and_no_limit() {
    let mut bytes = room(1 << 20);
    let source = Watched::new(Heap::fixed(&mut bytes));
    let heap = Heap::new_in(&source).first_block(2048);
    let lin = Lin::new_in(&source).first_block(2048);
    let pool = Pool::new_in(layout(100, 16), &source).first_cells(20);
    for store in [&heap as &dyn Subject, &lin, &pool] {
        let (blocks, most) = (source.blocks(), if store.kind() == Kind::Pool { 20 } else { 14 });
        for _ in 0..most {
            store.alloc(layout(100, 16)).expect("there is room");
        }
        assert_eq!(source.blocks(), blocks + 1, "the first block holds what it was made for");
        for _ in 0..100 {
            store.alloc(layout(100, 16)).expect("a store grows");
        }
        assert!(source.blocks() > blocks + 1, "and more blocks follow");
        store.check().expect("the store is whole");
    }
}

fn hands_out_no_more_than(pool: &mut dyn Subject, source: &dyn Given, most: usize) {
    let mut case = Case::new(pool, source, SHAPE);
    for round in 0..3 {
        for _ in 0..most {
            case.take(layout(40, 8));
        }
        let before = case.snapshot();
        let one = layout(1, 1);
        assert_eq!(case.store.alloc(one), Err(Cond::TooMany));
        assert_eq!(case.store.alloc_zeroed(one), Err(Cond::TooMany));
        assert_eq!(case.store.grant(one).map(|grant| grant.bytes), Err(Cond::TooMany));
        assert_eq!(case.snapshot(), before, "a refusal changes nothing");
        if most > 0 {
            case.give(most / 2);
            case.take(layout(40, 8));
            assert_eq!(case.store.alloc(one), Err(Cond::TooMany));
        }
        match round {
            0 => case.give_all(),
            1 => drop(case.reset()),
            _ => case.destroy(),
        }
    }
}

#[test]
fn a_pool_hands_out_no_more_cells_than_its_limit() {
    let mut bytes = room(64 << 10);
    let source = Watched::new(Heap::fixed(&mut bytes));
    let cell = layout(40, 8);
    for most in [0, 1, 5, 150] {
        hands_out_no_more_than(&mut Pool::new_in(cell, &source).limit(most), &source, most);
        hands_out_no_more_than(&mut Pool::with_headers_in(cell, &source).limit(most), &source, most);
    }
}

#[test]
fn a_pool_knows_its_top_and_bottom() {
    let mut bytes = room(4096);
    let mut pool = Pool::fixed(layout(40, 8), &mut bytes);
    assert_eq!((pool.top(), pool.bottom(), pool.cell_size()), (None, None, 40));
    let cells = [(); 3].map(|()| pool.alloc().expect("there is room").cast::<u8>());
    assert_eq!((pool.top(), pool.bottom()), (Some(cells[2]), None));
    unsafe { pool.free(cells[0]) }.expect("a live cell");
    unsafe { pool.free(cells[2]) }.expect("a live cell");
    assert_eq!((pool.top(), pool.bottom()), (Some(cells[2]), Some(cells[2])), "the last freed is the next");
    assert_eq!(pool.free_cells().collect::<Vec<_>>(), [cells[2], cells[0]]);
    assert_eq!(pool.alloc().expect("there is room").cast(), cells[2]);
    assert_eq!((pool.top(), pool.bottom()), (Some(cells[2]), Some(cells[0])));
}

#[test]
fn a_count_at_its_maximum_says_too_many() {
    let mut bytes = room(4096);
    let heap = Heap::fixed(&mut bytes);
    let cell = refs::alloc(&heap, layout(40, 8)).expect("there is room").cast::<u8>();
    // The count stands in the second half of the header; nobody lives to see it get so high.
    let count = unsafe { cell.sub(MIN_ALIGN) }.cast::<usize>();
    unsafe { count.write(isize::MAX as usize) };
    assert_eq!(unsafe { refs::header(cell) }.refs(), isize::MAX as usize);
    let highest = (0..3).find_map(|_| unsafe { refs::upref(cell) }.err());
    assert_eq!(highest, Some(Cond::TooMany));
    let refs = unsafe { refs::header(cell) }.refs();
    assert_eq!(unsafe { refs::upref(cell) }, Err(Cond::TooMany));
    assert_eq!(unsafe { refs::header(cell) }.refs(), refs, "a refusal changes nothing");
    assert_eq!(unsafe { refs::downref(cell) }, Ok(refs - 1), "and one less is one less");
    unsafe { count.write(1) };
    assert_eq!(unsafe { refs::downref(cell) }, Ok(0));
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn a_limit_below_what_is_held_holds_when_the_chunks_have_gone() {
    let mut bytes = room(4 << 20);
    let source = Heap::fixed(&mut bytes);
    let lin = Lin::new_in(&source);
    lin.alloc(layout(1 << 20, 8)).expect("there is room");
    let mut lin = lin.limit(8192);
    assert_eq!(lin.alloc(layout(1 << 19, 8)), Err(Cond::NoRoom));
    lin.destroy().expect("taken back");
    assert_eq!(lin.alloc(layout(1 << 19, 8)), Err(Cond::NoRoom), "the limit is what was said");
    lin.alloc(layout(1000, 8)).expect("within the limit");
}

#[test]
fn a_region_that_is_walked_is_not_rewound() {
    let mut bytes = room(4 << 20);
    let source = Heap::fixed(&mut bytes);
    let lin = Lin::with_headers_in(&source);
    lin.alloc(layout(64, 8)).expect("there is room");
    let mut mark = Some(lin.mark().expect("there is room"));
    lin.alloc(layout(1 << 20, 8)).expect("there is room");
    Subject::inspect(&lin, &mut |_| {
        if let Some(mark) = mark.take() {
            assert_eq!(unsafe { lin.rewind(mark) }, Err(Cond::InUse));
        }
    });
    lin.check().expect("nothing has changed");
}

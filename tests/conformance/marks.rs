//! Marks of linear regions: rewinding, and the marks that are refused.

use kmem::{Cond, Fixed, Headers, Heap, Layer, Lin, Mark, Source};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::common::{Watched, differs, figures, layout, room, write_pattern};

type Cell = std::ptr::NonNull<u8>;

fn cell<S: Source, H: Layer>(lin: &Lin<S, H>, seed: u64) -> Cell {
    let cell = lin.alloc(layout(60, 16)).expect("there is room").cast();
    write_pattern(cell, 0..60, seed);
    lin.check().expect("the region is whole");
    cell
}

fn mark<S: Source, H: Layer>(lin: &Lin<S, H>) -> Mark {
    let mark = lin.mark().expect("there is room");
    lin.check().expect("the region is whole");
    mark
}

fn rewind<S: Source, H: Layer>(lin: &Lin<S, H>, mark: Mark) -> Result<(), Cond> {
    let before = figures(lin, lin.stats());
    let answer = unsafe { lin.rewind(mark) };
    lin.check().expect("the region is whole");
    assert!(answer.is_ok() || figures(lin, lin.stats()) == before, "a refused mark changes nothing");
    answer
}

fn marks_nest<S: Source, H: Layer>(lin: &Lin<S, H>) {
    let kept = cell(lin, 1);
    let bytes = lin.stats().bytes;
    let outer = mark(lin);
    let first = cell(lin, 2);
    let inner = mark(lin);
    for seed in 0..40 {
        cell(lin, seed);
    }
    assert_eq!(rewind(lin, inner), Ok(()));
    assert_eq!(rewind(lin, inner), Err(Cond::BadAddress), "a mark is passed by its own rewind");
    assert_eq!((differs(kept, 60, 1), differs(first, 60, 2)), (None, None));
    let again = mark(lin);
    assert_ne!(again, inner, "a mark is told from every other");
    assert_eq!(rewind(lin, inner), Err(Cond::BadAddress), "a stale mark, though another lies at its place");
    cell(lin, 3);
    assert_eq!(rewind(lin, outer), Ok(()), "the marks inside go too");
    assert_eq!(rewind(lin, again), Err(Cond::BadAddress), "a mark is passed by the rewind of one before it");
    assert_eq!(rewind(lin, outer), Err(Cond::BadAddress));
    assert_eq!(lin.stats().bytes, bytes, "everything since the mark has gone, the mark too");
    assert_eq!(differs(kept, 60, 1), None);
}

fn a_mark_of_nothing_rewinds_to_nothing<S: Source, H: Layer>(lin: &Lin<S, H>) {
    let empty = mark(lin);
    for seed in 0..40 {
        cell(lin, seed);
    }
    assert_eq!(rewind(lin, empty), Ok(()));
    assert_eq!((lin.stats().live, lin.stats().bytes), (0, 0));
    assert!(lin.stats().held > 0, "the chunks are kept");
}

fn reset_and_destroy_pass_every_mark<S: Source, H: Layer>(lin: &mut Lin<S, H>) {
    let before_reset = mark(lin);
    cell(lin, 1);
    lin.reset();
    assert_eq!(rewind(lin, before_reset), Err(Cond::BadAddress));
    let before_destroy = mark(lin);
    cell(lin, 1);
    assert_eq!(rewind(lin, before_reset), Err(Cond::BadAddress));
    lin.destroy().expect("the chunks go");
    assert_eq!(rewind(lin, before_destroy), Err(Cond::BadAddress));
    mark(lin);
    for stale in [before_reset, before_destroy] {
        assert_eq!(rewind(lin, stale), Err(Cond::BadAddress));
    }
}

fn a_foreign_mark_is_refused<S: Source, H: Layer>(lin: &Lin<S, H>, other: &Lin<S, H>) {
    let (ours, theirs) = (mark(lin), mark(other));
    cell(lin, 1);
    cell(other, 1);
    assert_eq!(rewind(lin, theirs), Err(Cond::BadAddress));
    assert_eq!(rewind(other, ours), Err(Cond::BadAddress));
    assert_eq!((rewind(lin, ours), rewind(other, theirs)), (Ok(()), Ok(())));
}

#[test]
fn marks_nest_and_pass() {
    let (mut a, mut b) = (room(64 << 10), room(64 << 10));
    marks_nest(&Lin::fixed(&mut a));
    marks_nest(&Lin::fixed_with_headers(&mut b));
    let (mut a, mut b) = (room(64 << 10), room(64 << 10));
    marks_nest(&Lin::new_in(Heap::fixed(&mut a)).first_block(200));
    marks_nest(&Lin::with_headers_in(Heap::fixed(&mut b)).first_block(200));
}

#[test]
fn an_empty_region_can_be_marked() {
    let (mut a, mut b) = (room(64 << 10), room(64 << 10));
    a_mark_of_nothing_rewinds_to_nothing(&Lin::fixed(&mut a));
    a_mark_of_nothing_rewinds_to_nothing(&Lin::with_headers_in(Heap::fixed(&mut b)).first_block(200));
}

#[test]
fn no_mark_outlives_a_reset_or_a_destroy() {
    let (mut a, mut b) = (room(64 << 10), room(64 << 10));
    reset_and_destroy_pass_every_mark(&mut Lin::fixed(&mut a));
    reset_and_destroy_pass_every_mark(&mut Lin::fixed_with_headers(&mut b));
}

#[test]
fn the_mark_of_another_region_is_refused() {
    let mut bytes = room(64 << 10);
    let heap = Heap::fixed(&mut bytes);
    a_foreign_mark_is_refused(&Lin::new_in(&heap), &Lin::new_in(&heap));
    a_foreign_mark_is_refused(&Lin::with_headers_in(&heap), &Lin::with_headers_in(&heap));
}

#[test]
fn the_mark_of_a_region_that_has_gone_is_refused_in_the_same_memory() {
    let mut bytes = room(4096);
    let foreign = mark(&Lin::fixed(&mut bytes));
    let lin = Lin::fixed(&mut bytes);
    let ours = mark(&lin);
    cell(&lin, 1);
    assert_eq!(rewind(&lin, foreign), Err(Cond::BadAddress), "though ours lies where it lay");
    assert_eq!(rewind(&lin, ours), Ok(()));
}

#[test]
fn a_mark_that_there_is_no_room_for_changes_nothing() {
    let mut bytes = room(200);
    let lin = Lin::fixed(&mut bytes);
    while lin.alloc(layout(1, 1)).is_ok() {}
    let before = figures(&lin, lin.stats());
    assert_eq!(lin.mark(), Err(Cond::NoRoom));
    assert_eq!(figures(&lin, lin.stats()), before);
}

#[test]
fn a_region_that_is_rewound_again_and_again_takes_no_more() {
    let mut bytes = room(256 << 10);
    let source = Watched::new(Fixed::new(&mut bytes));
    let lin: Lin<_, Headers> = Lin::with_headers_in(&source).first_block(500);
    let round = || {
        let mark = mark(&lin);
        for seed in 0..60 {
            cell(&lin, seed);
        }
        assert_eq!(rewind(&lin, mark), Ok(()));
    };
    round();
    let calls = source.calls();
    for _ in 0..20 {
        round();
    }
    assert_eq!(source.calls(), calls);
}

#[cfg(feature = "platform")]
#[test]
fn what_was_rewound_over_is_known_to_be_no_longer_zero() {
    let lin = Lin::new_in(kmem::Pages::new());
    let whole = layout(60, 16);
    for round in 0..3 {
        let mark = mark(&lin);
        for seed in 1..100 {
            let cell = lin.alloc_zeroed(whole).expect("there is room").cast::<u8>();
            assert_eq!((0..60).find(|at| unsafe { cell.add(*at).read() } != 0), None, "round {round}");
            write_pattern(cell, 0..60, seed);
        }
        assert_eq!(rewind(&lin, mark), Ok(()));
    }
}

//! Counted cells: counts, destructors, and where their memory goes.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

use kmem::inspect::{Inspect, What};
use kmem::{Cond, Heap, Kind, Lin, MIN_ALIGN, Pool, Store, Tree, refs};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::common::{differs, figures, layout, room, write_pattern};
use crate::subject::Subject;

type Place = NonNull<u8>;

/// What a destructor sees and does.
struct Note<'a> {
    runs: Cell<u32>,
    seen: RefCell<Vec<u8>>,
    act: &'a dyn Fn(Place),
}

unsafe fn run(cell: Place, context: *mut ()) {
    let note = unsafe { &*context.cast::<Note<'_>>() };
    note.runs.set(note.runs.get() + 1);
    note.seen.borrow_mut().push(unsafe { cell.read() });
    (note.act)(cell);
}

fn note(act: &dyn Fn(Place)) -> Note<'_> {
    Note { runs: Cell::new(0), seen: RefCell::default(), act }
}

fn hooked<T: Store>(store: &T, note: &Note<'_>) -> Place {
    let context = std::ptr::from_ref(note).cast_mut().cast();
    unsafe { refs::alloc_with(store, layout(50, 16), run, context) }.expect("there is room").cast()
}

/// A counted cell's whole life in a store, at several sizes and alignments.
fn lives_and_goes<T: Store + Subject>(store: &T, largest: usize, align: usize) {
    let live = store.stats().live;
    for (size, wanted) in [(0, 1), (1, 8), (50, 16), (100, 32), (64, 256), (700, 16)] {
        let layout = layout(size.min(largest), wanted.min(align));
        let cell = refs::alloc(store, layout).expect("there is room");
        assert!(
            cell.len() == layout.size() && cell.cast::<u8>().addr().get().is_multiple_of(layout.align().max(MIN_ALIGN))
        );
        let cell = cell.cast::<u8>();
        write_pattern(cell, 0..layout.size(), 3);
        let header = unsafe { refs::header(cell) };
        assert_eq!((header.refs(), header.id().kind(), header.kind()), (1, Some(Kind::Ref), Kind::Ref));
        let mut records = Vec::new();
        header.inspect(&mut |record| records.push(*record));
        let [record] = records[..] else { panic!("a counted cell is one piece: {records:?}") };
        assert_eq!((record.what, record.refs, record.payload), (What::Used, 1, layout.size()));
        assert_eq!(record.at + record.header, cell.addr().get());
        for count in [2, 3] {
            assert_eq!(unsafe { refs::upref(cell) }, Ok(count));
        }
        let neighbour = refs::alloc_zeroed(store, layout).expect("there is room").cast::<u8>();
        assert_eq!((0..layout.size()).find(|at| unsafe { neighbour.add(*at).read() } != 0), None);
        for count in [2, 1] {
            assert_eq!((unsafe { refs::downref(cell) }, differs(cell, layout.size(), 3)), (Ok(count), None));
            store.check().expect("the store is whole");
        }
        assert_eq!(unsafe { refs::downref(cell) }, Ok(0));
        assert_eq!((unsafe { refs::free(neighbour) }, store.stats().live), (Ok(()), live));
        store.check().expect("the store is whole");
    }
    for largest in [isize::MAX as usize, isize::MAX as usize - 40] {
        let before = store.stats();
        assert_eq!(refs::alloc(store, layout(largest, 1)), Err(Cond::BadSize));
        assert_eq!(refs::alloc_ptr(store, layout(largest, 1)), Err(Cond::BadSize));
        assert_eq!(store.stats(), before);
    }
}

#[test]
fn a_counted_cell_lives_in_every_store_that_knows_its_cells() {
    let (mut a, mut b, mut c, mut d, mut e) = (room(8192), room(16 << 10), room(8192), room(16 << 10), room(16 << 10));
    lives_and_goes(&Heap::fixed(&mut a), usize::MAX, 256);
    lives_and_goes(&Lin::fixed_with_headers(&mut b), usize::MAX, 256);
    lives_and_goes(&Pool::fixed_with_headers(layout(200, 64), &mut c), 100, 64);
    let tree = Tree::fixed(&mut d);
    tree.root().expect("there is room");
    lives_and_goes(&tree, usize::MAX, 256);
    let tree = Tree::managed_in(Pool::fixed_with_headers(layout(400, 64), &mut e));
    tree.root().expect("there is room");
    lives_and_goes(&tree, 100, 64);
}

#[cfg(feature = "platform")]
#[test]
fn a_counted_cell_lives_in_the_process_heap() {
    let cell = refs::alloc_zeroed(&kmem::Global, layout(50, 16)).expect("there is room").cast::<u8>();
    assert_eq!((unsafe { refs::upref(cell) }, unsafe { refs::downref(cell) }), (Ok(2), Ok(1)));
    assert_eq!(kmem::Global.locate(unsafe { cell.sub(2 * MIN_ALIGN) }).map(|found| found.kind), Ok(Kind::Ref));
    assert_eq!(unsafe { refs::downref(cell) }, Ok(0));
    kmem::Global.check().expect("the process heap is whole");
}

#[test]
fn a_full_store_has_no_room_for_a_counted_cell_and_nothing_changes() {
    let mut bytes = room(1000);
    let heap = Heap::fixed(&mut bytes);
    let mut cells = Vec::new();
    let refused = loop {
        match refs::alloc(&heap, layout(50, 16)) {
            Ok(cell) => cells.push(cell.cast::<u8>()),
            Err(cond) => break cond,
        }
    };
    assert_eq!(refused, Cond::NoRoom);
    let before = figures(&heap, heap.stats());
    assert_eq!(refs::alloc_zeroed(&heap, layout(50, 16)), Err(Cond::NoRoom));
    assert_eq!(refs::alloc_ptr(&heap, layout(50, 16)), Err(Cond::NoRoom));
    let quiet = note(&|_| ());
    let context = (&raw const quiet).cast_mut().cast();
    assert_eq!(unsafe { refs::alloc_with(&heap, layout(50, 16), run, context) }, Err(Cond::NoRoom));
    assert_eq!((figures(&heap, heap.stats()), quiet.runs.get()), (before, 0));
    assert!(cells.into_iter().all(|cell| unsafe { refs::downref(cell) } == Ok(0)));
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn the_destructor_runs_once_with_the_last_reference() {
    let mut bytes = room(4096);
    let heap = Heap::fixed(&mut bytes);
    let quiet = note(&|_| ());
    let cell = hooked(&heap, &quiet);
    unsafe { cell.write(77) };
    assert_eq!(unsafe { refs::upref(cell) }, Ok(2));
    assert_eq!((unsafe { refs::downref(cell) }, quiet.runs.get()), (Ok(1), 0));
    assert_eq!((unsafe { refs::downref(cell) }, quiet.runs.get()), (Ok(0), 1));
    assert_eq!((quiet.seen.take(), heap.stats().live), (vec![77], 0), "it saw the bytes, then they went");
    heap.check().expect("the heap is whole");
}

#[test]
fn while_its_destructor_runs_a_cell_is_in_use() {
    let mut bytes = room(4096);
    let heap = Heap::fixed(&mut bytes);
    let answers = RefCell::new(Vec::new());
    let act = |cell: Place| {
        let mut answers = answers.borrow_mut();
        answers.push(unsafe { refs::upref(cell) }.map(drop));
        answers.push(unsafe { refs::downref(cell) }.map(drop));
        answers.push(unsafe { refs::free(cell) });
        #[cfg(feature = "shred")]
        answers.push(unsafe { refs::shred(cell) });
    };
    let busy = note(&act);
    let cell = hooked(&heap, &busy);
    assert_eq!((unsafe { refs::downref(cell) }, busy.runs.get()), (Ok(0), 1));
    let answers = answers.take();
    assert!(answers.len() >= 3 && answers.iter().all(|answer| *answer == Err(Cond::InUse)), "{answers:?}");
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn a_destructor_may_release_and_allocate_others() {
    let mut bytes = room(4096);
    let heap = Heap::fixed(&mut bytes);
    let other = refs::alloc(&heap, layout(50, 16)).expect("there is room").cast::<u8>();
    let new = Cell::new(None);
    let act = |_: Place| {
        assert_eq!(unsafe { refs::downref(other) }, Ok(0));
        new.set(refs::alloc(&heap, layout(600, 16)).ok());
    };
    let busy = note(&act);
    let cell = hooked(&heap, &busy);
    assert_eq!((unsafe { refs::downref(cell) }, busy.runs.get(), heap.stats().live), (Ok(0), 1, 1));
    let new = new.get().expect("there is room").cast::<u8>();
    assert_eq!((unsafe { refs::downref(new) }, heap.stats().live), (Ok(0), 0));
    heap.check().expect("the heap is whole");
}

/// WebAssembly cannot unwind.
#[cfg(panic = "unwind")]
#[test]
fn a_destructor_that_panics_keeps_no_memory() {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    let mut bytes = room(4096);
    let heap = Heap::fixed(&mut bytes);
    let act = |_: Place| panic!("the destructor panics, as it is meant to");
    let panics = note(&act);
    let cell = hooked(&heap, &panics);
    let message =
        catch_unwind(AssertUnwindSafe(|| unsafe { refs::downref(cell) })).expect_err("the panic comes through");
    assert!(message.downcast_ref::<&str>().is_some_and(|text| text.ends_with("meant to")));
    heap.check().expect("the heap is whole");
    assert_eq!((panics.runs.get(), heap.stats().live), (1, 0), "it ran once, and the block went back");
}

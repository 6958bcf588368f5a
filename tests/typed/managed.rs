//! `Managed`: bytes of any kind behind one handle.

use std::alloc::Layout;
#[cfg(feature = "shred")]
use std::mem::MaybeUninit;

#[cfg(feature = "shred")]
use kmem::Headers;
use kmem::{Cond, Global, Heap, Kind, Lin, Managed, Pages, Pool, Tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(feature = "shred")]
use crate::sources::{NEEDLE, needles};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

/// What a cell of a pool has here.
const CELL: usize = 256;

/// A maker of cells of one kind; a pool's have the pool's size whatever is asked for.
type Make<'m, 's> = &'m dyn Fn(Layout) -> Result<Managed<'s>, Cond>;

/// Runs a test with a maker of each kind, over stores that are used before, so that nothing is zero by chance.
fn each(test: impl Fn(&str, Make<'_, '_>)) {
    let heap = Heap::new_in(Pages::new());
    let lin = Lin::with_headers_in(&heap);
    let pool = Pool::with_headers_in(layout(CELL, 64), &heap);
    let wide = Pool::with_headers_in(layout(8192, 256), &heap);
    let tree = Tree::managed_in(Heap::new_in(Pages::new()));
    let stacked = Tree::managed_in(Pool::with_headers_in(layout(8192, 256), Pages::new()));
    for _ in 0..3 {
        let used = [
            Managed::heap(&heap, layout(5000, 16)),
            Managed::lin(&lin, layout(5000, 16)),
            Managed::pool(&pool),
            Managed::pool(&wide),
            Managed::counted(&tree, layout(5000, 16)),
        ];
        for cell in used {
            cell.expect("room").bytes_mut().expect("it is alone").fill(0xff);
        }
    }
    test("heap", &|layout| Managed::heap(&heap, layout));
    test("lin", &|layout| Managed::lin(&lin, layout));
    test("pool", &|_| Managed::pool(&pool));
    test("ref in a heap", &|layout| Managed::counted(&heap, layout));
    test("ref in a region", &|layout| Managed::counted(&lin, layout));
    test("ref in a pool", &|layout| Managed::counted(&wide, layout));
    test("ref in a tree", &|layout| Managed::counted(&tree, layout));
    test("ref in a tree in a pool", &|layout| Managed::counted(&stacked, layout));
    test("ref in the process heap", &|layout| Managed::counted(&Global, layout));
    assert_eq!((lin.stats().live, pool.stats().live, wide.stats().live), (0, 0, 0));
    assert_eq!((tree.stats().live, stacked.stats().live), (1, 1), "the roots stay");
    lin.check().expect("the region is whole");
    pool.check().expect("the pool is whole");
    tree.check().expect("the tree is whole");
    heap.check().expect("the heap is whole");
    drop((lin, pool, wide));
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn bytes_begin_as_zeroes_and_keep_what_is_written() {
    each(|name, make| {
        for asked in [layout(0, 1), layout(1, 1), layout(100, 8), layout(200, 64), layout(3000, 256)] {
            let mut cell = make(asked).expect(name);
            let size = if name == "pool" { CELL } else { asked.size() };
            assert_eq!((cell.bytes().len(), cell.references()), (size, 1), "{name}");
            assert!(cell.bytes().iter().all(|byte| *byte == 0), "{name}");
            assert!(name == "pool" || cell.address().addr().is_multiple_of(asked.align()), "{name}");
            cell.bytes_mut().expect(name).iter_mut().zip((1..=251).cycle()).for_each(|(byte, number)| *byte = number);
            assert!(cell.bytes().iter().copied().eq((1..=251).cycle().take(size)), "{name}");
            assert_eq!(cell.bytes().as_ptr(), cell.address(), "{name}");
            cell.free().expect(name);
        }
    });
}

#[test]
fn only_counted_cells_are_shared() {
    each(|name, make| {
        let mut cell = make(layout(100, 8)).expect(name);
        if cell.kind() != Kind::Ref {
            assert_eq!(cell.share().map(drop), Err(Cond::Mismatch), "{name}");
            assert_eq!(cell.references(), 1, "{name}");
            return;
        }
        cell.bytes_mut().expect(name).fill(7);
        let mut other = cell.share().expect(name);
        assert_eq!((cell.references(), other.references(), other.bytes()), (2, 2, &[7; 100][..]), "{name}");
        assert_eq!((cell.bytes_mut().map(drop), other.bytes_mut().map(drop)), (Err(Cond::InUse), Err(Cond::InUse)));
        let third = other.share().expect(name);
        drop(cell);
        other.free().expect(name);
        let mut third = third;
        third.bytes_mut().expect("it is alone now")[0] = 8;
        assert_eq!((third.bytes()[0], third.bytes()[99], third.references()), (8, 7, 1), "{name}");
    });
}

#[test]
fn a_copy_is_a_cell_of_its_own_in_the_same_store() {
    each(|name, make| {
        let mut cell = make(layout(100, 64)).expect(name);
        cell.bytes_mut().expect(name).fill(7);
        let shared = cell.share();
        let mut copy = cell.dup().expect(name);
        assert_eq!((copy.kind(), copy.references(), copy.bytes()), (cell.kind(), 1, cell.bytes()), "{name}");
        assert!(name == "pool" || copy.address().addr().is_multiple_of(64), "{name}");
        copy.bytes_mut().expect(name).fill(8);
        assert!(cell.bytes().iter().all(|byte| *byte == 7), "{name}");
        drop((cell, shared));
        assert!(copy.bytes().iter().all(|byte| *byte == 8), "{name}");
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    let pool = Pool::with_headers_in(layout(64, 16), Pages::new());
    assert_eq!(Managed::counted(&pool, layout(64, 16)).map(drop), Err(Cond::BadSize));
    assert_eq!(Managed::counted(&pool, layout(8, 64)).map(drop), Err(Cond::BadSize));
    let heap = Heap::new_in(Pages::new()).limit(1 << 16);
    assert_eq!(Managed::heap(&heap, layout(1 << 20, 16)).map(drop), Err(Cond::NoRoom));
    assert_eq!(Managed::heap(&heap, layout(isize::MAX as usize, 1)).map(drop), Err(Cond::BadSize));
    let first = Managed::heap(&heap, layout(1 << 15, 16)).expect("room");
    assert_eq!(first.dup().map(drop), Err(Cond::NoRoom));
    drop(first);
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn a_cell_that_a_walk_stands_on_stays_until_its_store_goes() {
    let mut heap = Heap::new_in(Pages::new());
    let mut cell = Some(Managed::heap(&heap, layout(100, 8)).expect("room"));
    let mut answers = Vec::new();
    kmem::inspect::Inspect::inspect(&heap, &mut |_| answers.extend(cell.take().map(Managed::free)));
    assert_eq!((answers, heap.stats().live), (vec![Err(Cond::InUse)], 1));
    drop(cell);
    heap.destroy().expect("pages are taken back");
    assert_eq!(heap.stats().live, 0);
}

/// How many needles are left in the bytes under each kind of store after something was done with cells.
#[cfg(feature = "shred")]
fn left_by(act: impl Fn(Make<'_, '_>)) -> Vec<usize> {
    let mut room = [[MaybeUninit::new(0_u8); 16384]; 5];
    let [one, two, three, four, five] = &mut room;
    let heap = Heap::fixed(one);
    let lin: Lin<_, Headers> = Lin::fixed_with_headers(two);
    let pool = Pool::fixed_with_headers(layout(CELL, 16), three);
    let counting = Heap::fixed(four);
    let tree = Tree::fixed(five);
    act(&|layout| Managed::heap(&heap, layout));
    act(&|layout| Managed::lin(&lin, layout));
    act(&|_| Managed::pool(&pool));
    act(&|layout| Managed::counted(&counting, layout));
    act(&|layout| Managed::counted(&tree, layout));
    drop((heap, lin, pool, counting, tree));
    room.iter().map(|bytes| needles(bytes)).collect()
}

#[cfg(feature = "shred")]
fn filled<'s>(make: Make<'_, 's>) -> Managed<'s> {
    let mut cell = make(layout(CELL, 16)).expect("room");
    cell.bytes_mut().expect("it is alone").fill(NEEDLE);
    cell
}

#[cfg(feature = "shred")]
#[test]
fn a_shredded_or_tainted_cell_leaves_no_byte() {
    let plainly = left_by(|make| drop(filled(make)));
    assert!(plainly.iter().all(|left| *left > CELL / 2), "the test would see them: {plainly:?}");
    let gone = vec![0; 5];
    assert_eq!(left_by(|make| filled(make).shred().expect("taken back")), gone);
    assert_eq!(
        left_by(|make| {
            let mut cell = filled(make);
            cell.taint().expect("a whole cell");
            assert!(cell.bytes().iter().all(|byte| *byte == NEEDLE));
        }),
        gone
    );
    // Taint goes along into the copy.
    assert_eq!(
        left_by(|make| {
            let mut cell = filled(make);
            cell.taint().expect("a whole cell");
            let copy = cell.dup().expect("room");
            drop(cell);
            copy.free().expect("taken back");
        }),
        gone
    );
    // One of several shreds: the bytes stay for the others, and go with the last of them.
    assert_eq!(
        left_by(|make| {
            let cell = filled(make);
            let Ok(other) = cell.share() else { return cell.shred().expect("taken back") };
            cell.shred().expect("one fewer");
            assert!(other.bytes().iter().all(|byte| *byte == NEEDLE));
        }),
        gone
    );
}

/// A cell and what its bytes must be; counted ones may be there several times.
struct Kept<'s> {
    cell: Managed<'s>,
    bytes: std::rc::Rc<std::cell::RefCell<Vec<u8>>>,
}

#[test]
fn cells_of_all_kinds_keep_their_bytes_through_random_calls() {
    let heap = Heap::new_in(Pages::new());
    let lin = Lin::with_headers_in(Pages::new());
    let pool = Pool::with_headers_in(layout(CELL, 16), &heap);
    let tree = Tree::managed_in(Heap::new_in(Pages::new()));
    let mut random = 0x2545_f491_u32;
    let mut below = |most: usize| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random as usize % most
    };
    let mut kept: Vec<Kept<'_>> = Vec::new();
    let mut sum = 0;
    for step in 0..30_000_usize {
        let at = below(kept.len().max(1));
        match below(10) {
            _ if kept.len() < 300 || kept.len() < 700 && below(2) == 0 => {
                let size = below(300);
                let asked = layout(size, 1 << below(8));
                let cell = match below(6) {
                    0 => Managed::heap(&heap, asked),
                    1 => Managed::lin(&lin, asked),
                    2 => Managed::pool(&pool),
                    3 => Managed::counted(&heap, asked),
                    4 => Managed::counted(&lin, asked),
                    _ => Managed::counted(&tree, asked),
                };
                let cell = cell.expect("room");
                let zeroes = vec![0; cell.bytes().len()];
                kept.push(Kept { cell, bytes: std::rc::Rc::new(zeroes.into()) });
            }
            0 | 1 => {
                let Kept { cell, bytes } = &mut kept[at];
                match cell.bytes_mut() {
                    Ok(place) => {
                        assert_eq!(std::rc::Rc::strong_count(bytes), 1);
                        place.iter_mut().for_each(|byte| *byte = step.to_le_bytes()[0]);
                        place.clone_into(&mut bytes.borrow_mut());
                    }
                    Err(cond) => assert_eq!((cond, std::rc::Rc::strong_count(bytes) > 1), (Cond::InUse, true)),
                }
            }
            2 => {
                if let Ok(cell) = kept[at].cell.share() {
                    let bytes = kept[at].bytes.clone();
                    kept.push(Kept { cell, bytes });
                }
            }
            3 => {
                let cell = kept[at].cell.dup().expect("room");
                let bytes = kept[at].bytes.borrow().clone();
                kept.push(Kept { cell, bytes: std::rc::Rc::new(bytes.into()) });
            }
            #[cfg(feature = "shred")]
            4 => kept[at].cell.taint().expect("a whole cell"),
            #[cfg(feature = "shred")]
            5 => kept.swap_remove(at).cell.shred().expect("taken back"),
            6 => kept.swap_remove(at).cell.free().expect("taken back"),
            _ => drop(kept.swap_remove(at)),
        }
        if let Some(Kept { cell, bytes }) = kept.get(below(kept.len().max(1))) {
            assert_eq!(cell.bytes(), &bytes.borrow()[..], "{:?} at step {step}", cell.kind());
            assert_eq!(cell.references(), std::rc::Rc::strong_count(bytes));
        }
        sum += kept.len();
        if step.is_multiple_of(500) {
            heap.check().expect("the heap is whole");
            lin.check().expect("the region is whole");
            pool.check().expect("the pool is whole");
            tree.check().expect("the tree is whole");
            assert!(kept.iter().all(|Kept { cell, bytes }| cell.bytes() == &bytes.borrow()[..]));
        }
    }
    assert!(sum / 30_000 >= 300, "few cells on average: {}", sum / 30_000);
    drop(kept);
    assert_eq!((lin.stats().live, pool.stats().live, tree.stats().live), (0, 0, 1));
    drop(pool);
    assert_eq!(heap.stats().live, 0);
}

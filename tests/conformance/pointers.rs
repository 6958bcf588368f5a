//! Managed pointers that are wrong: refused, and nothing changed.

use std::ptr::{self, NonNull};

use kmem::{Cond, Found, Headers, Heap, Kind, Lin, Pool, Ptr, Store, Tree, refs, stat, stat_unsized};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::common::{differs, figures, layout, room, write_pattern};
use crate::subject::Subject;

type Place = *mut u8;

/// Bytes of payload in the cells of these tests.
const SIZE: usize = 100;

/// The same pointer with another kind or address, as C or JavaScript might pass it.
fn forged(ptr: Ptr, kind: Kind, payload: Place) -> Ptr {
    let mut forged = ptr;
    let raw = (&raw mut forged).cast::<u8>();
    // The layout is part of the contract: kind first, the payload's address in the second word.
    unsafe { raw.write(kind as u8) };
    unsafe { raw.cast::<Place>().add(1).write(payload) };
    assert_eq!((forged.kind(), forged.payload()), (kind, payload));
    forged
}

/// Proves that every function refuses, with one of these conditions, and leaves the pointer as it was.
fn refused(ptr: Ptr, conds: &[Cond], why: &str) {
    #[cfg_attr(not(feature = "shred"), expect(unused_mut, reason = "only taint changes it"))]
    let mut copy = ptr;
    let answers = [
        ("dup", unsafe { kmem::dup(&ptr) }.map(drop)),
        ("zero_object", unsafe { kmem::zero_object(&ptr) }),
        #[cfg(feature = "shred")]
        ("taint", unsafe { kmem::taint(&mut copy) }),
        #[cfg(feature = "shred")]
        ("shred", unsafe { kmem::shred(ptr) }),
        ("free", unsafe { kmem::free(copy) }),
    ];
    for (function, answer) in answers {
        let right = answer.is_err_and(|cond| conds.contains(&cond));
        assert!(right, "{function} of {why}, {ptr:?}: {answer:?}, wanted {conds:?}");
    }
    assert_eq!(copy, ptr);
}

/// Pointers to a cell, to one that was given back and to one of another store, and a look at all that must stay.
struct Scene<'a> {
    live: Ptr,
    given_back: Ptr,
    foreign: Ptr,
    look: &'a dyn Fn() -> String,
}

/// All the ways in which an address can be wrong.
fn wrong_addresses_are_refused(scene: &Scene<'_>) {
    let (live, before) = (scene.live, (scene.look)());
    let kind = live.kind();
    let cell = NonNull::new(live.payload()).expect("a live cell");
    write_pattern(cell, 0..SIZE, 5);
    let mut local = [0_u8; 64];
    // What lies before a payload may be the cell of the store below it, which is a cell of another kind.
    let (bad, below) = (&[Cond::BadAddress][..], &[Cond::BadAddress, Cond::Mismatch][..]);
    let refused_at = |payload: Place, conds, why| refused(forged(live, kind, payload), conds, why);
    refused_at(local.as_mut_ptr(), bad, "an address on the stack");
    refused_at(ptr::from_ref(&SIZE).cast_mut().cast(), bad, "a static address");
    refused_at(scene.foreign.payload(), bad, "another store's cell");
    refused_at(scene.given_back.payload(), bad, "a cell that was given back");
    refused_at(ptr::null_mut(), bad, "null");
    for address in [1, 8, 16, 4096, usize::MAX, usize::MAX & !15, usize::MAX / 2 + 1] {
        refused_at(ptr::without_provenance_mut(address), bad, "an address where nothing is");
    }
    for offset in 1..=SIZE {
        refused_at(cell.as_ptr().wrapping_add(offset), bad, "an address in the cell");
        refused_at(cell.as_ptr().wrapping_sub(offset), below, "an address before the cell");
    }
    assert_eq!(local, [0; 64]);
    assert_eq!(differs(cell, SIZE, 5), None);
    assert_eq!((scene.look)(), before, "nothing has changed");
}

/// The right address, but not the kind that it is of.
fn wrong_kinds_are_refused(scene: &Scene<'_>) {
    let (live, before) = (scene.live, (scene.look)());
    let cell = NonNull::new(live.payload()).expect("a live cell");
    write_pattern(cell, 0..SIZE, 6);
    // A counted cell is built in a block of its store: to the store's own functions it lies inside a cell.
    let conds = &[Cond::Mismatch, Cond::BadAddress][..if live.kind() == Kind::Ref { 2 } else { 1 }];
    for kind in [Kind::Lin, Kind::Heap, Kind::Pool, Kind::Ref, Kind::Tree] {
        if kind != live.kind() {
            refused(forged(live, kind, live.payload()), conds, "a wrong kind");
        }
    }
    refused(forged(live, Kind::Fail, live.payload()), &[Cond::BadAddress], "what a failed allocation left");
    refused(Ptr::FAIL, &[Cond::BadAddress], "what a failed allocation leaves");
    assert_eq!(differs(cell, SIZE, 6), None);
    assert_eq!((scene.look)(), before, "nothing has changed");
}

fn whole_look<T: Store + Subject>(store: &T) -> String {
    store.check().expect("the store is whole");
    format!("{:?}", figures(&Told(store), store.stats()))
}

/// A subject as what can be inspected.
struct Told<'a, T>(&'a T);

impl<T: Subject> kmem::inspect::Inspect for Told<'_, T> {
    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn inspect(&self, visit: &mut dyn FnMut(&kmem::inspect::Record)) {
        self.0.inspect(visit);
    }
}

/// Every way to be wrong, of the store's own cells and of counted cells in it.
fn misuse_is_refused<T: Store + Subject>(store: &T, other: &T, make: impl Fn(&T) -> Ptr) {
    let look = || format!("{} {}", whole_look(store), whole_look(other));
    let counted = |store: &T| refs::alloc_ptr(store, layout(SIZE, 16)).expect("there is room");
    let own = |store: &T| make(store);
    for make in [&own as &dyn Fn(&T) -> Ptr, &counted] {
        let neighbours = [make(store), make(store)];
        let (live, given_back, last) = (make(store), make(store), make(store));
        unsafe { kmem::free(given_back) }.expect("a live cell");
        let scene = Scene { live, given_back, foreign: make(other), look: &look };
        wrong_addresses_are_refused(&scene);
        wrong_kinds_are_refused(&scene);
        for ptr in [neighbours[0], live, last, neighbours[1]] {
            unsafe { kmem::free(ptr) }.expect("after all that each can be given back");
            let before = look();
            refused(ptr, &[Cond::BadAddress], "given back twice");
            assert_eq!(look(), before);
        }
        unsafe { kmem::free(scene.foreign) }.expect("a live cell of the other store");
    }
}

macro_rules! misuse {
    ($($name:ident: |$bytes:ident| $store:expr, |$this:ident| $make:expr;)*) => {$(
        #[test]
        fn $name() {
            let (mut a, mut b) = (room(32 << 10), room(32 << 10));
            let $bytes = &mut a;
            let store = $store;
            let $bytes = &mut b;
            let other = $store;
            misuse_is_refused(&store, &other, |$this| $make.expect("there is room"));
            assert_eq!(Subject::stats(&store).live, Subject::stats(&other).live);
        }
    )*};
}

fn root<S: kmem::Source>(tree: &Tree<S>) -> NonNull<u8> {
    tree.root().expect("there is room")
}

misuse! {
    wrong_pointers_to_a_heap_are_refused: |bytes| Heap::fixed(bytes), |heap| heap.alloc_ptr(layout(SIZE, 16));
    wrong_pointers_to_a_lin_are_refused: |bytes| Lin::fixed_with_headers(bytes), |lin| lin.alloc_ptr(layout(SIZE, 16));
    wrong_pointers_to_a_pool_are_refused:
        |bytes| Pool::fixed_with_headers(layout(SIZE + 48, 16), bytes), |pool| of_size(pool.alloc_ptr());
    wrong_pointers_to_a_tree_in_a_heap_are_refused:
        |bytes| Tree::fixed(bytes), |tree| tree.alloc_ptr(root(tree), layout(SIZE, 16));
    wrong_pointers_to_a_tree_in_a_lin_are_refused:
        |bytes| Tree::managed_in(Lin::fixed_with_headers(bytes)), |tree| tree.alloc_ptr(root(tree), layout(SIZE, 16));
    wrong_pointers_to_a_tree_in_a_pool_are_refused:
        |bytes| Tree::managed_in(Pool::fixed_with_headers(layout(240, 64), bytes)),
        |tree| tree.alloc_ptr(root(tree), layout(SIZE, 16));
    wrong_pointers_to_over_aligned_nodes_are_refused:
        |bytes| Tree::fixed(bytes), |tree| tree.alloc_ptr(root(tree), layout(SIZE, 256));
    wrong_pointers_to_over_aligned_cells_are_refused:
        |bytes| Heap::fixed(bytes), |heap| heap.alloc_ptr(layout(SIZE, 256));
}

/// A pool's cells are a little larger, for counted cells to fit.
fn of_size(ptr: Result<Ptr, Cond>) -> Result<Ptr, Cond> {
    assert!(ptr.is_ok_and(|ptr| ptr.size() == Some(SIZE + 48)));
    ptr
}

#[test]
fn wrong_pointers_to_counted_cells_with_a_destructor_are_refused() {
    unsafe fn run(_: NonNull<u8>, context: *mut ()) {
        let runs = context.cast::<usize>();
        unsafe { *runs += 1 };
    }
    let (mut runs, mut bytes) = (0_usize, room(8192));
    let heap = Heap::fixed(&mut bytes);
    let context = (&raw mut runs).cast();
    let plain = refs::alloc_ptr(&heap, layout(SIZE, 16)).expect("there is room");
    let cell = unsafe { refs::alloc_with(&heap, layout(SIZE, 16), run, context) }.expect("there is room").cast::<u8>();
    let live = forged(plain, Kind::Ref, cell.as_ptr());
    write_pattern(cell, 0..SIZE, 7);
    let before = whole_look(&heap);
    for offset in 1..SIZE {
        refused(
            forged(live, Kind::Ref, cell.as_ptr().wrapping_add(offset)),
            &[Cond::BadAddress],
            "an address in the cell",
        );
        let conds = [Cond::BadAddress, Cond::Mismatch];
        refused(forged(live, Kind::Ref, cell.as_ptr().wrapping_sub(offset)), &conds, "an address before the cell");
    }
    // Its bytes are somebody's value.
    assert_eq!(unsafe { kmem::dup(&live) }, Err(Cond::Mismatch));
    assert_eq!(unsafe { kmem::zero_object(&live) }, Err(Cond::Mismatch));
    assert_eq!((whole_look(&heap), differs(cell, SIZE, 7)), (before, None));
    unsafe { kmem::free(live) }.expect("a live cell");
    unsafe { kmem::free(plain) }.expect("a live cell");
    refused(live, &[Cond::BadAddress], "given back twice");
    assert_eq!((runs, heap.stats().live), (1, 0));
}

/// A destructor stands in front of its cell; where it lies in memory must not make it look like a cell.
#[cfg(feature = "shred")]
#[test]
fn the_address_of_a_destructor_is_no_counted_cell() {
    let mut bytes = room(4096);
    let heap = Heap::fixed(&mut bytes);
    // As a header it would say: ref, aligned to 16, live, and as long as the context is high.
    let looks_live = usize::from_le_bytes({
        let mut bytes = [0; size_of::<usize>()];
        bytes[..4].copy_from_slice(&[Kind::Ref as u8, 0, 4, 0x4c]);
        bytes
    });
    // Never called: the heap goes first.
    let run = unsafe { std::mem::transmute::<usize, refs::Destructor>(looks_live) };
    let context = (&raw const heap).cast_mut().cast();
    let plain = refs::alloc_ptr(&heap, layout(SIZE, 16)).expect("there is room");
    let cell = unsafe { refs::alloc_with(&heap, layout(SIZE, 16), run, context) }.expect("there is room").cast::<u8>();
    let before = whole_look(&heap);
    for offset in 1..=4 * kmem::MIN_ALIGN {
        let mut wrong = forged(plain, Kind::Ref, cell.as_ptr().wrapping_sub(offset));
        // The mildest of what can be asked: it writes a byte.
        let answer = unsafe { kmem::taint(&mut wrong) };
        assert!(matches!(answer, Err(Cond::BadAddress | Cond::Mismatch)), "{offset} before the cell: {answer:?}");
        assert_eq!(whole_look(&heap), before);
    }
}

/// Of all addresses in a store's memory only those of payloads are found, and each as what it is.
fn only_payloads_are_found<T: Store>(store: &T, span: std::ops::Range<*const u8>, live: &[NonNull<u8>]) {
    let found: Vec<(usize, Found)> = (span.start.addr()..span.end.addr())
        .filter_map(|address| Some((address, store.locate(NonNull::new(ptr::without_provenance_mut(address))?).ok()?)))
        .collect();
    let mut addresses: Vec<_> = live.iter().map(|cell| cell.addr().get()).collect();
    addresses.sort_unstable();
    assert_eq!(found.iter().map(|(address, _)| *address).collect::<Vec<_>>(), addresses);
    for (address, cell) in found {
        assert_eq!((cell.kind, cell.tainted, cell.destructor), (T::KIND, false, false), "at {address:#x}");
    }
}

#[test]
fn of_all_addresses_only_those_of_payloads_are_found() {
    const BYTES: usize = 6000;
    let sizes = [0, 1, 16, 17, 100, 64, 0, 200, 32, 5];
    let cells = |store: &dyn kmem::Source| {
        let mut cells = Vec::new();
        for (number, size) in sizes.into_iter().enumerate() {
            let layout = layout(size, if number == 4 { 128 } else { 8 });
            let cell = store.alloc(layout).expect("there is room").cast::<u8>();
            // What is written looks like headers, as far as bytes can.
            unsafe { cell.write_bytes([0x4c, 0x02, 0x05, 0xff][number % 4], size) };
            cells.push((cell, layout));
        }
        for number in [7, 2, 0] {
            let (cell, layout) = cells.remove(number);
            unsafe { store.free(cell, layout) }.expect("a live cell");
        }
        cells.into_iter().map(|(cell, _)| cell).collect::<Vec<_>>()
    };
    let mut bytes = room(BYTES);
    let span = bytes.as_ptr_range();
    let span = span.start.cast::<u8>()..span.end.cast::<u8>();
    let heap = Heap::fixed(&mut bytes);
    only_payloads_are_found(&heap, span.clone(), &cells(&heap));
    drop(heap);
    let lin = Lin::fixed_with_headers(&mut bytes);
    let mark = lin.mark().expect("there is room");
    only_payloads_are_found(&lin, span.clone(), &cells(&lin));
    unsafe { lin.rewind(mark) }.expect("our mark");
    only_payloads_are_found(&lin, span.clone(), &[]);
    drop(lin);
    let pool = Pool::fixed_with_headers(layout(200, 128), &mut bytes);
    only_payloads_are_found(&pool, span.clone(), &cells(&pool));
    drop(pool);
    let tree = Tree::fixed(&mut bytes);
    let mut nodes = cells(&tree);
    nodes.push(root(&tree));
    only_payloads_are_found(&tree, span.clone(), &nodes);
    drop(tree);
    let tree = Tree::managed_in(Lin::<_, Headers>::fixed_with_headers(&mut bytes));
    let mut nodes = cells(&tree);
    nodes.push(root(&tree));
    only_payloads_are_found(&tree, span, &nodes);
}

#[test]
fn two_trees_in_one_heap_know_their_own_nodes() {
    let mut bytes = room(16 << 10);
    let heap = Heap::fixed(&mut bytes);
    let (tree, other) = (Tree::managed_in(&heap), Tree::managed_in(&heap));
    let made = |tree: &Tree<_>| tree.alloc_ptr(root(tree), layout(SIZE, 16)).expect("there is room");
    let (ours, theirs) = (made(&tree), made(&other));
    let cell = heap.alloc_ptr(layout(SIZE, 16)).expect("there is room");
    let look = || format!("{} {} {}", whole_look(&tree), whole_look(&other), whole_look(&heap));
    let before = look();
    refused(forged(ours, Kind::Tree, theirs.payload()), &[Cond::BadAddress], "the other tree's node");
    refused(forged(theirs, Kind::Tree, ours.payload()), &[Cond::BadAddress], "the other tree's node");
    refused(forged(ours, Kind::Tree, cell.payload()), &[Cond::Mismatch], "the heap's cell");
    let both = &[Cond::BadAddress, Cond::Mismatch];
    refused(forged(cell, Kind::Heap, ours.payload()), both, "a node, to the heap");
    let parent = NonNull::new(theirs.payload()).expect("a live node");
    assert_eq!(tree.alloc_ptr(parent, layout(SIZE, 16)), Err(Cond::BadAddress));
    assert_eq!(look(), before);
    for ptr in [ours, theirs, cell] {
        unsafe { kmem::free(ptr) }.expect("each where it belongs");
    }
    assert_eq!((tree.stats().live, other.stats().live, heap.stats().live), (1, 1, 2), "the roots are left");
}

#[test]
fn a_mark_is_no_cell() {
    let mut bytes = room(2048);
    let lin = Lin::fixed_with_headers(&mut bytes);
    let live = lin.alloc_ptr(layout(SIZE, 16)).expect("there is room");
    let mark = lin.mark().expect("there is room");
    let mut place = 0;
    Subject::inspect(&lin, &mut |record| {
        if record.what == kmem::inspect::What::Mark {
            place = record.at + record.header;
        }
    });
    assert_ne!(place, 0);
    let before = whole_look(&lin);
    refused(forged(live, Kind::Lin, ptr::without_provenance_mut(place)), &[Cond::BadAddress], "a mark");
    assert_eq!(whole_look(&lin), before);
    unsafe { lin.rewind(mark) }.expect("our mark");
}

#[test]
fn the_checked_faces_of_stores_refuse_what_is_no_live_cell() {
    let (mut a, mut b, mut c) = (room(8192), room(8192), room(8192));
    let heap = Heap::fixed(&mut a);
    let lin = Lin::fixed_with_headers(&mut b);
    let pool = Pool::fixed_with_headers(layout(SIZE, 16), &mut c);
    let mut local = [0_u8; 64];
    let cells = [heap.alloc(layout(SIZE, 16)), lin.alloc(layout(SIZE, 16)), pool.alloc()];
    let [in_heap, in_lin, in_pool] = cells.map(|cell| cell.expect("there is room").cast::<u8>());
    let look = || format!("{} {} {}", whole_look(&heap), whole_look(&lin), whole_look(&pool));
    let before = look();
    let bad = Err(Cond::BadAddress);
    let stack = NonNull::from(&mut local).cast::<u8>();
    let inside = |cell: NonNull<u8>| unsafe { cell.add(16) };
    for wrong in [stack, in_lin, in_pool, inside(in_heap)] {
        assert_eq!(unsafe { heap.free(wrong) }, bad);
        assert_eq!(unsafe { heap.resize(wrong, 10) }.map(drop), bad);
    }
    for wrong in [stack, in_heap, in_pool, inside(in_lin)] {
        assert_eq!(unsafe { lin.free(wrong) }, bad);
        assert_eq!(unsafe { lin.resize(wrong, 10) }.map(drop), bad);
    }
    for wrong in [stack, in_heap, in_lin, inside(in_pool)] {
        assert_eq!(unsafe { pool.free(wrong) }, bad);
        assert_eq!(pool.resize(wrong, 10).map(drop), bad);
    }
    #[cfg(feature = "shred")]
    for wrong in [stack, inside(in_heap), inside(in_lin), inside(in_pool)] {
        assert_eq!(unsafe { heap.shred(wrong) }, bad);
        assert_eq!(unsafe { lin.shred(wrong) }, bad);
        assert_eq!(unsafe { pool.shred(wrong) }, bad);
        assert_eq!((heap.taint_cell(wrong), lin.taint_cell(wrong), pool.taint_cell(wrong)), (bad, bad, bad));
    }
    assert_eq!(look(), before);
    unsafe { heap.free(in_heap) }.expect("a live cell");
    unsafe { lin.free(in_lin) }.expect("a live cell");
    unsafe { pool.free(in_pool) }.expect("a live cell");
    let before = look();
    assert_eq!(unsafe { heap.free(in_heap) }, bad);
    assert_eq!(unsafe { lin.free(in_lin) }, bad);
    assert_eq!(unsafe { pool.free(in_pool) }, bad);
    assert_eq!(look(), before);
}

#[test]
fn a_cell_that_holds_a_counted_cell_or_a_node_is_another_kinds() {
    fn holds_another_kind<T: Store + Subject>(store: &T) {
        let counted = refs::alloc(store, layout(SIZE, 16)).expect("there is room").cast::<u8>();
        // The block begins where the front of the counted cell does.
        let block = unsafe { counted.sub(2 * kmem::MIN_ALIGN) };
        assert_eq!(store.locate(block).map(|found| found.kind), Ok(Kind::Ref));
        let before = whole_look(store);
        assert_eq!(unsafe { store.release(block, false) }, Err(Cond::Mismatch));
        assert_eq!(whole_look(store), before);
        assert_eq!(unsafe { refs::downref(counted) }, Ok(0));
    }
    let (mut a, mut b, mut c, mut d) = (room(4096), room(4096), room(4096), room(4096));
    holds_another_kind(&Heap::fixed(&mut a));
    holds_another_kind(&Lin::fixed_with_headers(&mut b));
    holds_another_kind(&Pool::fixed_with_headers(layout(SIZE + 48, 16), &mut c));
    let tree = Tree::fixed(&mut d);
    holds_another_kind(&tree);
    let node = tree.alloc_ptr(root(&tree), layout(SIZE, 16)).expect("there is room").payload();
    let block = NonNull::new(node.wrapping_sub(4 * kmem::MIN_ALIGN)).expect("a live node");
    let before = whole_look(&tree);
    assert_eq!(unsafe { tree.source().free(block) }, Err(Cond::Mismatch), "the heap below knows it as a node");
    assert_eq!(unsafe { tree.source().resize(block, 500) }.map(drop), Err(Cond::Mismatch));
    assert_eq!(whole_look(&tree), before);
}

#[test]
fn static_pointers_are_refused_what_needs_a_size_or_a_store() {
    let mut bytes = [7_u8; 32];
    let sized = stat(bytes.as_mut_ptr(), 32);
    let unsized_ = stat_unsized(bytes.as_mut_ptr());
    assert_eq!((sized.kind(), sized.size(), unsized_.size()), (Kind::None, Some(32), None));
    assert_eq!(unsafe { kmem::dup(&sized) }, Err(Cond::Mismatch), "it has no store to be a sibling in");
    assert_eq!(unsafe { kmem::dup(&unsized_) }, Err(Cond::BadSize));
    assert_eq!(unsafe { kmem::zero_object(&unsized_) }, Err(Cond::BadSize));
    assert_eq!(unsafe { kmem::zero_object(&stat(ptr::null_mut(), 8)) }, Err(Cond::BadAddress));
    #[cfg(feature = "shred")]
    {
        assert_eq!(unsafe { kmem::shred(unsized_) }, Err(Cond::BadSize));
        let mut tainted = unsized_;
        assert_eq!(unsafe { kmem::taint(&mut tainted) }, Ok(()));
        assert_eq!(unsafe { kmem::free(tainted) }, Err(Cond::BadSize), "it can be tainted, but not destroyed");
    }
    assert_eq!((unsafe { kmem::free(sized) }, unsafe { kmem::free(unsized_) }), (Ok(()), Ok(())));
    assert_eq!(bytes, [7; 32], "none of it touched a byte");
}

#[cfg(feature = "platform")]
#[test]
fn a_pointer_that_names_no_store_is_the_process_heaps() {
    let counted = refs::alloc_ptr(&kmem::Global, layout(SIZE, 16)).expect("there is room");
    // The store's address is the third word; null is the process heap.
    let mut nameless = counted;
    unsafe { (&raw mut nameless).cast::<*const ()>().add(2).write(ptr::null()) };
    assert!(nameless.cell().is_null());
    let copy = unsafe { kmem::dup(&nameless) }.expect("there is room");
    assert_eq!((copy.kind(), copy.size()), (Kind::Ref, Some(SIZE)));
    let mut local = 0_u64;
    refused(forged(nameless, Kind::Ref, (&raw mut local).cast()), &[Cond::BadAddress], "an address on the stack");
    refused(forged(nameless, Kind::Heap, (&raw mut local).cast()), &[Cond::BadAddress], "an address on the stack");
    // Only the process heap has no name.
    for kind in [Kind::Lin, Kind::Pool, Kind::Tree] {
        refused(forged(nameless, kind, nameless.payload()), &[Cond::BadAddress], "a store that is not named");
    }
    unsafe { kmem::free(nameless) }.expect("a live cell");
    unsafe { kmem::free(copy) }.expect("a live cell");
    let cell = kmem::Source::alloc(&kmem::Global, layout(SIZE, 16)).expect("there is room");
    unsafe { kmem::free(forged(nameless, Kind::Heap, cell.as_ptr().cast())) }.expect("a live cell");
    kmem::Global.check().expect("the process heap is whole");
}

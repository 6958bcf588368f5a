//! Tainted memory in every store and by every way that it can go.

use core::alloc::Layout;
use core::ptr::NonNull;

use kmem::{
    Cond, Headers, Heap, Kind, Lin, Pool, Ptr, Source, Store, Tree, dup, free, refs, shred, stat, stat_unsized, taint,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::arena::{Arena, left, secret, write_secret};
use super::dice::Dice;
use super::{CELL, SIZE, filled};

/// What has a chunk of its own in a heap.
const LARGE: usize = 200_000;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).expect("a layout")
}

/// From which size to which: small and large, growing and shrinking. What a cell that shrinks keeps of its
/// last unit is its own still, so these are whole units.
const SIZES: [(usize, usize); 5] =
    [(SIZE, 3008), (3008, 96), (LARGE, LARGE / 2 * 3), (LARGE, LARGE - 4800), (LARGE, 48)];

/// The payload of a pointer to a live cell, with the secret written in it.
fn written(ptr: Ptr) -> NonNull<u8> {
    let at = NonNull::new(ptr.payload()).expect("an address");
    write_secret(at, ptr.size().expect("a size"));
    at
}

#[test]
fn heap_cells_go_wiped() {
    for arena in Arena::both(8 << 20) {
        for size in [1, SIZE, LARGE] {
            let heap = Heap::new_in(&arena);
            let cell = || filled(heap.alloc(layout(size)).expect("room"));
            let (shredded, tainted, by_layout, plain) = (cell(), cell(), cell(), cell());
            heap.taint_cell(tainted).expect("live");
            heap.taint_cell(by_layout).expect("live");
            // SAFETY: live cells, used no more.
            unsafe {
                heap.shred(shredded).expect("live");
                heap.free(tainted).expect("live");
                Source::free(&heap, by_layout, layout(size)).expect("live");
            }
            // The size of a free block and its links are not the secret's bytes.
            assert_eq!(arena.secrets(), size.saturating_sub(7), "only the plain one is left of size {size}");
            heap.taint();
            // SAFETY: as above.
            unsafe { heap.free(plain) }.expect("live");
            assert_eq!(arena.secrets(), 0);
        }
        assert_eq!(arena.live(), 0);
    }
}

#[test]
fn heap_cells_move_and_shrink_wiped() {
    for arena in Arena::both(16 << 20) {
        let heap = Heap::new_in(&arena);
        for (from, to) in SIZES {
            let cell = filled(heap.alloc(layout(from)).expect("room"));
            let _behind = heap.alloc(layout(8)).expect("room");
            heap.taint_cell(cell).expect("live");
            // SAFETY: a live cell.
            let moved = unsafe { heap.resize(cell, to) }.expect("room").cast();
            let kept = from.min(to);
            assert_eq!(left(moved, kept), kept, "what was kept is there");
            assert_eq!(arena.secrets(), kept - 7, "from {from} to {to} something stayed behind");
            assert!(heap.locate(moved).expect("live").tainted, "taint was lost from {from} to {to}");
            // SAFETY: a live cell, used no more.
            unsafe { heap.free(moved) }.expect("live");
            assert_eq!(arena.secrets(), 0);
        }
    }
}

#[test]
fn a_heap_is_destroyed_wiped() {
    for arena in Arena::both(8 << 20) {
        for whole in [false, true] {
            let mut heap = Heap::new_in(&arena);
            for at in 0..100 {
                let cell = filled(heap.alloc(layout(1 + at * 7)).expect("room"));
                if !whole {
                    heap.taint_cell(cell).expect("live");
                }
            }
            let large = filled(heap.alloc(layout(LARGE)).expect("room"));
            if whole {
                heap.taint();
            } else {
                heap.taint_cell(large).expect("live");
            }
            assert!(arena.secrets() > LARGE);
            heap.destroy().expect("taken back");
            assert_eq!(arena.secrets(), 0);
        }
    }
}

#[test]
fn a_tainted_region_goes_wiped() {
    let arena = Arena::new(4 << 20);
    let mut lin = Lin::new_in(&arena);
    lin.taint();
    let cell = |size| filled(lin.alloc(layout(size)).expect("room"));
    let (older, mark) = (cell(SIZE), lin.mark().expect("room"));
    let (middle, newest) = (cell(SIZE), cell(SIZE));
    // SAFETY: live cells; what is released or behind the mark is used no more.
    unsafe {
        lin.free(newest, CELL).expect("live");
        assert_eq!(left(newest, SIZE), 0, "the newest");
        lin.free(middle, CELL).expect("live");
        let grown = lin.resize(older, CELL, layout(500)).expect("room").cast::<u8>();
        assert_eq!((left(older, SIZE), left(grown, SIZE)), (0, SIZE), "the old place");
        let shrunk = lin.resize(grown, layout(500), layout(64)).expect("room").cast();
        assert_eq!((shrunk, left(grown, 500)), (grown, 64), "the tail");
        for _ in 0..100 {
            cell(1000);
        }
        lin.rewind(mark).expect("a mark");
    }
    assert_eq!(arena.secrets(), 0, "rewound");
    for _ in 0..100 {
        filled(lin.alloc(layout(1000)).expect("room"));
    }
    lin.reset();
    assert_eq!(arena.secrets(), 0, "reset");
    for _ in 0..100 {
        filled(lin.alloc(layout(1000)).expect("room"));
    }
    lin.destroy().expect("taken back");
    assert_eq!(arena.secrets(), 0, "destroyed");
}

/// What was handed out and came back before the region was tainted is wiped with the rest.
#[test]
fn a_region_that_is_tainted_late_wipes_all_that_was_ever_handed_out() {
    let arena = Arena::new(1 << 20);
    let mut lin = Lin::new_in(&arena);
    let _older = lin.alloc(CELL).expect("room");
    let newest = filled(lin.alloc(CELL).expect("room"));
    // SAFETY: a live cell, used no more.
    unsafe { lin.free(newest, CELL) }.expect("live");
    lin.taint();
    lin.destroy().expect("taken back");
    assert_eq!(arena.secrets(), 0);
}

#[test]
fn tainted_cells_of_a_region_go_wiped() {
    let arena = Arena::new(4 << 20);
    let mut lin: Lin<_, Headers> = Lin::with_headers_in(&arena);
    let cell = |lin: &Lin<_, Headers>, size| {
        let cell = filled(lin.alloc(layout(size)).expect("room"));
        lin.taint_cell(cell).expect("live");
        cell
    };
    let (older, newest) = (cell(&lin, SIZE), cell(&lin, SIZE));
    // SAFETY: live cells; what is released or behind the mark is used no more.
    unsafe {
        let shrunk = lin.resize(older, 48).expect("room").cast();
        // Behind them begins a header.
        assert_eq!((shrunk, left(older, 48)), (older, 48));
        assert_eq!(arena.secrets(), 48 - 7 + SIZE - 7, "the tail of an older one");
        let grown = lin.resize(older, 600).expect("room").cast::<u8>();
        assert_eq!((left(older, 48), left(grown, 48)), (0, 48), "the old place");
        Source::free(&lin, newest, CELL).expect("live");
        assert_eq!(left(newest, SIZE), 0, "an older one");
        lin.free(grown).expect("live");
        assert_eq!(arena.secrets(), 0, "the newest");
        let mark = lin.mark().expect("room");
        for _ in 0..100 {
            cell(&lin, 1000);
        }
        lin.rewind(mark).expect("a mark");
    }
    assert_eq!(arena.secrets(), 0, "rewound");
    for _ in 0..100 {
        cell(&lin, 1000);
    }
    lin.reset();
    assert_eq!(arena.secrets(), 0, "reset");
    for _ in 0..100 {
        cell(&lin, 1000);
    }
    lin.destroy().expect("taken back");
    assert_eq!(arena.secrets(), 0, "destroyed");
    lin.taint();
    for _ in 0..100 {
        filled(lin.alloc(layout(1000)).expect("room"));
    }
    lin.destroy().expect("taken back");
    assert_eq!(arena.secrets(), 0, "destroyed, tainted as a whole");
}

#[test]
fn pool_cells_go_wiped() {
    let arena = Arena::new(4 << 20);
    let mut bare = Pool::new_in(CELL, &arena);
    let plain = filled(bare.alloc().expect("room"));
    // SAFETY: a live cell, used no more.
    unsafe { bare.shred(plain) }.expect("live");
    assert_eq!(arena.secrets(), 0, "shredded");
    // Freed before the taint: wiped with the rest.
    let early = filled(bare.alloc().expect("room"));
    let other = filled(bare.alloc().expect("room"));
    // SAFETY: as above.
    unsafe { bare.free(early) }.expect("live");
    bare.taint();
    // SAFETY: as above.
    unsafe { bare.free(other) }.expect("live");
    assert!(left(other, SIZE) <= size_of::<usize>(), "freed");
    for _ in 0..100 {
        filled(bare.alloc().expect("room"));
    }
    bare.reset();
    assert_eq!(arena.secrets(), 0, "reset");
    for _ in 0..100 {
        filled(bare.alloc().expect("room"));
    }
    bare.destroy().expect("taken back");
    assert_eq!(arena.secrets(), 0, "destroyed");

    let mut pool: Pool<_, Headers> = Pool::with_headers_in(CELL, &arena);
    for whole in [false, true] {
        let cell = |pool: &Pool<_, Headers>| {
            let cell = filled(pool.alloc().expect("room"));
            if !whole {
                pool.taint_cell(cell).expect("live");
            }
            cell
        };
        if whole {
            pool.taint();
        }
        let (first, second) = (cell(&pool), cell(&pool));
        // SAFETY: live cells, used no more.
        unsafe {
            pool.free(first).expect("live");
            Source::free(&pool, second, CELL).expect("live");
        }
        assert_eq!(arena.secrets(), 0, "freed");
        for _ in 0..100 {
            cell(&pool);
        }
        pool.reset();
        assert_eq!(arena.secrets(), 0, "reset");
        for _ in 0..100 {
            cell(&pool);
        }
        pool.destroy().expect("taken back");
        assert_eq!(arena.secrets(), 0, "destroyed");
    }
}

#[test]
fn counted_bytes_stay_until_the_last_reference_and_go_with_it() {
    for arena in Arena::both(8 << 20) {
        let (heap, lin, pool) =
            (Heap::new_in(&arena), Lin::with_headers_in(&arena), Pool::with_headers_in(layout(400), &arena));
        let make: [&dyn Fn() -> Result<NonNull<[u8]>, Cond>; 3] =
            [&|| refs::alloc(&heap, CELL), &|| refs::alloc(&lin, CELL), &|| refs::alloc(&pool, CELL)];
        for alloc in make {
            let cell = filled(alloc().expect("room"));
            // SAFETY: a live counted cell, with as many references as are dropped.
            unsafe {
                refs::upref(cell).expect("counted");
                refs::upref(cell).expect("counted");
                refs::shred(cell).expect("a reference is dropped");
                assert_eq!(left(cell, SIZE), SIZE, "others still hold it");
                refs::downref(cell).expect("a reference is dropped");
                assert_eq!(left(cell, SIZE), SIZE, "another still holds it");
                refs::downref(cell).expect("a reference is dropped");
            }
            assert_eq!(arena.secrets(), 0, "the last one shreds");
            let cell = filled(alloc().expect("room"));
            // SAFETY: as above.
            unsafe {
                refs::taint(cell);
                refs::free(cell).expect("a reference is dropped");
            }
            assert_eq!(arena.secrets(), 0);
        }
        heap.taint();
        let cell = filled(refs::alloc(&heap, CELL).expect("room"));
        // SAFETY: as above.
        unsafe { refs::free(cell) }.expect("a reference is dropped");
        assert_eq!(arena.secrets(), 0, "a tainted store wipes its counted cells");
    }
}

/// Taint is kept where the store that goes finds it.
#[test]
fn counted_cells_go_wiped_with_their_store() {
    for arena in Arena::both(8 << 20) {
        let mut heap = Heap::new_in(&arena);
        let mut lin: Lin<_, Headers> = Lin::with_headers_in(&arena);
        let mut pool: Pool<_, Headers> = Pool::with_headers_in(layout(400), &arena);
        let mut tree = Tree::managed_in(Heap::new_in(&arena));
        tree.root().expect("room");
        unsafe fn nothing(_: NonNull<u8>, _: *mut ()) {}
        let tainted = |bytes: Result<NonNull<[u8]>, Cond>| {
            let cell = filled(bytes.expect("room"));
            // SAFETY: a live counted cell.
            unsafe { refs::taint(cell) };
        };
        tainted(refs::alloc(&heap, CELL));
        tainted(refs::alloc(&heap, layout(LARGE)));
        // SAFETY: the destructor does nothing.
        tainted(unsafe { refs::alloc_with(&heap, CELL, nothing, core::ptr::null_mut()) });
        heap.destroy().expect("taken back");
        assert_eq!(arena.secrets(), 0, "heap");
        let mark = lin.mark().expect("room");
        tainted(refs::alloc(&lin, CELL));
        // SAFETY: what is behind the mark is used no more.
        unsafe { lin.rewind(mark) }.expect("a mark");
        assert_eq!(arena.secrets(), 0, "region rewound");
        tainted(refs::alloc(&lin, CELL));
        lin.reset();
        assert_eq!(arena.secrets(), 0, "region reset");
        tainted(refs::alloc(&pool, CELL));
        pool.reset();
        assert_eq!(arena.secrets(), 0, "pool");
        tainted(refs::alloc(&tree, CELL));
        tree.destroy().expect("taken back");
        assert_eq!(arena.secrets(), 0, "tree");
    }
}

/// Node taint by each of its ways.
#[test]
fn nodes_go_wiped() {
    for arena in Arena::both(32 << 20) {
        nodes(&arena, Tree::new_in(&arena));
        nodes(&arena, Tree::new_in(Heap::new_in(&arena)));
        nodes(&arena, Tree::managed_in(Heap::new_in(&arena)));
        nodes(&arena, Tree::new_in(Lin::new_in(&arena)));
        nodes(&arena, Tree::managed_in(Lin::with_headers_in(&arena)));
    }
}

fn nodes<S: Source>(arena: &Arena, mut tree: Tree<S>) {
    /// Reads the secret while it is still there.
    unsafe fn look(payload: NonNull<u8>, context: *mut ()) {
        // SAFETY: the context is a counter that outlives the tree, the payload readable.
        unsafe { context.cast::<usize>().write(left(payload, SIZE)) };
    }
    let root = tree.root().expect("room");
    // SAFETY: parents are live nodes of the tree; what is released is used no more.
    unsafe {
        let node = |parent, size| filled(tree.alloc(parent, layout(size)).expect("room"));
        let tainted = |parent| {
            let node = node(parent, SIZE);
            tree.taint_node(node).expect("live");
            node
        };
        tree.free(tainted(root)).expect("live");
        assert_eq!(arena.secrets(), 0, "freed");
        let parent = tree.alloc(root, CELL).expect("room").cast();
        tainted(tainted(parent));
        tree.free(parent).expect("live");
        assert_eq!(arena.secrets(), 0, "released with the parent");
        let (parent, other) =
            (tree.alloc(root, CELL).expect("room").cast(), tree.alloc(root, CELL).expect("room").cast());
        let child = tainted(parent);
        tainted(child);
        tree.move_to(child, other).expect("another parent");
        tree.free(parent).expect("live");
        assert_eq!(arena.secrets(), 2 * (SIZE - 7), "moved away");
        tree.free_children(other).expect("live");
        assert_eq!(arena.secrets(), 0, "released with the new parent");
        let mut seen = 0_usize;
        let watched = tainted(other);
        tree.on_release(watched, look, (&raw mut seen).cast()).expect("room");
        tree.free(other).expect("live");
        assert_eq!((seen, arena.secrets()), (SIZE, 0), "destructors come before the wipe");
        let plain = node(root, SIZE);
        node(plain, SIZE);
        tree.shred(plain).expect("live");
        assert_eq!(arena.secrets(), 0, "shredded with the subtree");
        for (from, to) in SIZES {
            let cell = node(root, from);
            tree.taint_node(cell).expect("live");
            let moved = tree.resize(cell, to).expect("room").cast();
            let kept = from.min(to);
            assert_eq!(left(moved, kept), kept);
            assert_eq!(arena.secrets(), kept - 7, "resized from {from} to {to}, something stayed behind");
            tree.free(moved).expect("live");
            assert_eq!(arena.secrets(), 0, "resized from {from} to {to}, then freed");
        }
        for _ in 0..20 {
            tainted(tainted(root));
        }
    }
    tree.destroy().expect("taken back");
    assert_eq!(arena.secrets(), 0, "destroyed");
    let root = tree.root().expect("room");
    // SAFETY: the root is live.
    for _ in 0..20 {
        filled(unsafe { tree.alloc(root, CELL) }.expect("room"));
    }
    tree.taint();
    tree.destroy().expect("taken back");
    assert_eq!(arena.secrets(), 0, "destroyed, tainted as a whole");
}

#[test]
fn managed_pointers_of_every_kind_go_wiped() {
    for arena in Arena::both(8 << 20) {
        let (heap, lin, pool) =
            (Heap::new_in(&arena), Lin::with_headers_in(&arena), Pool::with_headers_in(CELL, &arena));
        let tree = Tree::managed_in(Heap::new_in(&arena));
        let root = tree.root().expect("room");
        let make: [&dyn Fn() -> Result<Ptr, Cond>; 6] = [
            &|| heap.alloc_ptr(CELL),
            &|| lin.alloc_ptr(CELL),
            &|| pool.alloc_ptr(),
            &|| tree.alloc_ptr(root, CELL),
            &|| refs::alloc_ptr(&heap, CELL),
            &|| refs::alloc_ptr(&lin, CELL),
        ];
        for alloc in make {
            let mut ptr = alloc().expect("room");
            written(ptr);
            // SAFETY: live pointers whose stores are where they were; what is released is used no more.
            unsafe {
                shred(ptr).expect("live");
                assert_eq!(arena.secrets(), 0, "{:?} shredded", ptr.kind());
                ptr = alloc().expect("room");
                written(ptr);
                // A copy of the pointer object that is not marked asks the cell.
                let unmarked = ptr;
                taint(&mut ptr).expect("live");
                assert!(ptr.is_tainted() && !unmarked.is_tainted());
                let copy = dup(&unmarked).expect("room");
                assert!(copy.is_tainted(), "{:?}: taint is inherited", ptr.kind());
                free(unmarked).expect("live");
                assert_eq!(arena.secrets(), SIZE - 7, "{:?} freed", ptr.kind());
                free(copy).expect("live");
                assert_eq!(arena.secrets(), 0, "the copy of {:?} freed", ptr.kind());
            }
        }
    }
}

#[test]
fn static_memory_is_zeroed_when_it_is_tainted() {
    let mut bytes = [0_u8; SIZE];
    let at = NonNull::from(&mut bytes).cast::<u8>();
    write_secret(at, SIZE);
    let mut ptr = stat(at.as_ptr(), SIZE);
    let mut unsized_ptr = stat_unsized(at.as_ptr());
    // SAFETY: the array is there, and nothing else uses it meanwhile.
    unsafe {
        free(ptr).expect("nothing to do");
        assert_eq!(shred(unsized_ptr), Err(Cond::BadSize));
        taint(&mut unsized_ptr).expect("static memory");
        assert_eq!(free(unsized_ptr), Err(Cond::BadSize), "what has no size is not wiped");
        assert_eq!(left(at, SIZE), SIZE);
        taint(&mut ptr).expect("static memory");
        free(ptr).expect("wiped");
        assert_eq!(left(at, SIZE), 0, "tainted and freed");
        write_secret(at, SIZE);
        shred(stat(at.as_ptr(), SIZE)).expect("wiped");
        assert_eq!(left(at, SIZE), 0, "shredded");
    }
}

/// Random operations, the secret in every payload, all of them tainted: afterwards it is nowhere.
#[test]
fn no_copy_of_a_secret_is_left_anywhere() {
    let rounds = if cfg!(target_arch = "wasm32") { 4 } else { 20 };
    for round in 0..rounds {
        let arena = if round % 2 == 0 { Arena::spanned(8 << 20) } else { Arena::tagged(8 << 20) };
        let mut dice = Dice::Seeded(round);
        {
            let (heap, lin) = (Heap::new_in(&arena), Lin::with_headers_in(&arena));
            let pool = Pool::with_headers_in(layout(1200), &arena);
            let tree = Tree::managed_in(Heap::new_in(&arena));
            let root = tree.root().expect("room");
            let mut live: Vec<Ptr> = Vec::new();
            for _ in 0..2000 {
                let size = 8 + dice.below(1000);
                let any = Some(dice.below(live.len())).filter(|_| !live.is_empty());
                let parent = any.map(|any| live[any]).filter(|ptr| ptr.kind() == Kind::Tree && ptr.size() < Some(100));
                let parent = parent.and_then(|ptr| NonNull::new(ptr.payload())).unwrap_or(root);
                match (dice.below(14), any) {
                    (choice @ 0..=6, _) => {
                        let ptr = match choice {
                            0 => heap.alloc_ptr(layout(size)),
                            1 => lin.alloc_ptr(layout(size)),
                            2 => pool.alloc_ptr(),
                            3 => tree.alloc_ptr(parent, layout(size)),
                            4 => refs::alloc_ptr(&heap, layout(size)),
                            5 => refs::alloc_ptr(&lin, layout(size)),
                            _ => refs::alloc_ptr(&pool, layout(size)),
                        };
                        let mut ptr = ptr.expect("room");
                        // SAFETY: a live cell.
                        unsafe { taint(&mut ptr) }.expect("live");
                        written(ptr);
                        live.push(ptr);
                    }
                    // SAFETY: a live pointer; the copy is tainted as it is.
                    (7..=8, Some(any)) => live.push(unsafe { dup(&live[any]) }.expect("room")),
                    // A pointer to where the cell was is no use; the cell goes with its store.
                    (9..=10, Some(any)) if resize(&heap, &lin, live[any], size) => {
                        live.swap_remove(any);
                    }
                    (9..=10, Some(_)) => {}
                    (_, Some(any)) if live[any].kind() != Kind::Tree => {
                        // SAFETY: a live pointer, used no more.
                        unsafe { free(live.swap_remove(any)) }.expect("live");
                    }
                    _ => {}
                }
            }
            assert!(arena.secrets() > 1000, "there is something to hide");
        }
        assert_eq!((arena.secrets(), arena.live()), (0, 0), "round {round}: something of {:?} is left", secret());
    }
}

/// Gives a cell another size; says whether it has moved.
fn resize<S: Source>(heap: &Heap<S>, lin: &Lin<S, Headers>, ptr: Ptr, size: usize) -> bool {
    let at = NonNull::new(ptr.payload()).expect("an address");
    // SAFETY: a live cell.
    let bytes = unsafe {
        match ptr.kind() {
            Kind::Heap => heap.resize(at, size),
            Kind::Lin => lin.resize(at, size),
            _ => return false,
        }
    };
    let bytes = bytes.expect("room").cast();
    write_secret(bytes, size);
    bytes != at
}

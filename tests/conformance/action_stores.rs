//! Tests for the actions that are the same in the three stores: those with headers, which act by address alone.

use std::ptr::NonNull;

use kmem::Cond;

use crate::common::{layout, raw_bytes, room, write_pattern};

type Place = NonNull<u8>;

const SIZE: usize = 100;

/// A cell that is known by a number.
fn marked(cell: Result<NonNull<[u8]>, Cond>, number: u64) -> Place {
    let cell = cell.expect("there is room");
    assert!(cell.len() >= SIZE && cell.cast::<u8>().addr().get().is_multiple_of(kmem::MIN_ALIGN));
    write_pattern(cell.cast(), 0..SIZE, number);
    cell.cast()
}

fn is_zero(cell: Place) -> bool {
    raw_bytes(cell, SIZE).iter().all(|byte| *byte == 0)
}

/// The actions that are the same for the three stores.
macro_rules! actions {
    ($module:ident, $kind:ident, new_in: |$source:ident| $new_in:expr, fixed: |$bytes:ident| $fixed:expr,
        alloc: $alloc:expr, zeroed: $zeroed:expr, pointer: $pointer:expr, zeroed_pointer: $zeroed_pointer:expr) => {
        pub mod $module {
            use kmem::{Cond, Fixed, Kind, Ptr, Store};

            use super::{SIZE, is_zero, layout, marked, room};
            use crate::common::{Watched, differs};

            pub fn initialise() {
                let mut bytes = room(256 << 10);
                let source = Watched::new(Fixed::new(&mut bytes));
                let $source = &source;
                let store = $new_in;
                assert_eq!((source.blocks(), store.stats().held), (0, 0), "an empty store has taken nothing");
                let cell = marked($alloc(&store), 1);
                assert_eq!((source.blocks(), source.bytes()), (1, store.stats().held), "then a block of its source");
                assert!(source.block_around(cell.addr().get(), SIZE).is_some());
                drop(store);
                assert_eq!(source.blocks(), 0);
            }

            pub fn initialise_fixed() {
                let mut bytes = room(2048);
                let span = bytes.as_ptr_range();
                let span = span.start.addr()..span.end.addr();
                let $bytes = &mut bytes;
                let store = $fixed;
                let mut cells = 0;
                let refused = loop {
                    match $alloc(&store) {
                        Ok(cell) => assert!(span.contains(&cell.cast::<u8>().addr().get()), "in the caller's bytes"),
                        Err(cond) => break cond,
                    }
                    cells += 1;
                };
                assert_eq!((refused, cells > 8), (Cond::NoRoom, true), "{cells}");
                store.check().expect("a full store is whole");
            }

            pub fn allocate() {
                let mut bytes = room(4096);
                let $bytes = &mut bytes;
                let store = $fixed;
                let cells = [1, 2, 3].map(|number| marked($alloc(&store), number));
                for (number, cell) in (1..).zip(cells) {
                    assert_eq!(differs(cell, SIZE, number), None, "cells lie apart");
                }
                assert_eq!(store.stats().live, 3);
            }

            pub fn allocate_pointer() {
                let mut bytes = room(4096);
                let $bytes = &mut bytes;
                let store = $fixed;
                let ptr: Ptr = $pointer(&store).expect("there is room");
                assert_eq!((ptr.kind(), ptr.size(), ptr.is_tainted()), (Kind::$kind, Some(SIZE), false));
                assert_eq!(ptr.cell(), std::ptr::from_ref(store.head()));
                let payload = std::ptr::NonNull::new(ptr.payload()).expect("a live cell");
                let found = store.locate(payload).expect("a live cell");
                assert_eq!((found.kind, found.size), (Kind::$kind, SIZE));
                unsafe { kmem::free(ptr) }.expect("a live cell");
                assert_eq!(store.stats().live, 0);
            }

            /// Takes a cell that must be zero where the last round has left its pattern.
            fn zeroed(take: impl Fn(u64) -> std::ptr::NonNull<u8>, store: &dyn Fn(std::ptr::NonNull<u8>)) {
                let mut places = Vec::new();
                for round in 0..3 {
                    let cell = take(round);
                    assert!(is_zero(cell), "round {round}");
                    crate::common::write_pattern(cell, 0..SIZE, round);
                    places.push(cell);
                    store(cell);
                }
                assert_eq!(places[1], places[0], "the place was used before");
            }

            pub fn zero() {
                let mut bytes = room(4096);
                let $bytes = &mut bytes;
                let store = $fixed;
                let take = |_| $zeroed(&store).expect("there is room").cast();
                zeroed(take, &|cell| unsafe { store.free(cell) }.expect("a live cell"));
            }

            pub fn zero_pointer() {
                let mut bytes = room(4096);
                let $bytes = &mut bytes;
                let store = $fixed;
                let take = |_| {
                    let ptr: Ptr = $zeroed_pointer(&store).expect("there is room");
                    assert_eq!((ptr.kind(), ptr.size()), (Kind::$kind, Some(SIZE)));
                    std::ptr::NonNull::new(ptr.payload()).expect("a live cell")
                };
                zeroed(take, &|cell| unsafe { store.free(cell) }.expect("a live cell"));
            }

            pub fn free() {
                let mut bytes = room(4096);
                let $bytes = &mut bytes;
                let store = $fixed;
                let (first, newest) = (marked($alloc(&store), 1), marked($alloc(&store), 2));
                unsafe { store.free(newest) }.expect("a live cell");
                assert_eq!(marked($alloc(&store), 3), newest, "the newest cell's place is the next one's");
                unsafe { store.free(first) }.expect("a live cell");
                assert_eq!((store.stats().live, differs(newest, SIZE, 3)), (1, None));
                assert_eq!(unsafe { store.free(first) }, Err(Cond::BadAddress), "once");
                store.check().expect("the store is whole");
            }

            #[cfg(feature = "shred")]
            pub fn shred() {
                let mut bytes = room(4096);
                let $bytes = &mut bytes;
                let store = $fixed;
                let [before, cell, after] = [1, 2, 3].map(|number| marked($alloc(&store), number));
                unsafe { store.shred(cell) }.expect("a live cell");
                // The store may link what is free by its first words, and bound it by its last.
                let left = crate::common::raw_bytes(cell, SIZE);
                assert!(left[16..SIZE - 16].iter().all(|byte| *byte == 0), "{left:?}");
                assert_eq!((differs(before, SIZE, 1), differs(after, SIZE, 3)), (None, None));
                assert_eq!(store.stats().live, 2);
                assert_eq!(unsafe { store.shred(cell) }, Err(Cond::BadAddress), "once");
            }

            pub fn destroy() {
                let mut bytes = room(256 << 10);
                let source = Watched::new(kmem::Heap::fixed(&mut bytes));
                let $source = &source;
                let mut store = $new_in;
                for round in 0..3 {
                    for number in 0..100 {
                        marked($alloc(&store), number);
                    }
                    #[cfg(feature = "shred")]
                    let secret = tainted($pointer(&store).expect("there is room"));
                    source.keep_returned();
                    assert!(source.blocks() > 0 && store.stats().live == 100 + usize::from(cfg!(feature = "shred")));
                    store.destroy().expect("the source takes its blocks back");
                    let stats = store.stats();
                    assert_eq!((source.blocks(), stats.live, stats.bytes, stats.held), (0, 0, 0, 0), "round {round}");
                    #[cfg(feature = "shred")]
                    assert!(!source.holds(&secret), "a tainted cell is shredded first");
                }
            }

            /// Taints a cell that holds a secret.
            #[cfg(feature = "shred")]
            fn tainted(mut ptr: Ptr) -> Vec<u8> {
                let cell = std::ptr::NonNull::new(ptr.payload()).expect("a live cell");
                crate::common::write_pattern(cell, 0..SIZE, 1000);
                unsafe { kmem::taint(&mut ptr) }.expect("a live cell");
                crate::common::raw_bytes(cell, SIZE)[30..60].to_vec()
            }
        }
    };
}

actions! {
    heap, Heap, new_in: |source| kmem::Heap::new_in(source), fixed: |bytes| kmem::Heap::fixed(bytes),
    alloc: |heap: &kmem::Heap<_>| heap.alloc(layout(SIZE, 16)), zeroed: |heap: &kmem::Heap<_>| heap.alloc_zeroed(layout(SIZE, 16)),
    pointer: |heap: &kmem::Heap<_>| heap.alloc_ptr(layout(SIZE, 16)),
    zeroed_pointer: |heap: &kmem::Heap<_>| heap.alloc_zeroed_ptr(layout(SIZE, 16))
}

actions! {
    lin, Lin, new_in: |source| kmem::Lin::with_headers_in(source), fixed: |bytes| kmem::Lin::fixed_with_headers(bytes),
    alloc: |lin: &kmem::Lin<_, _>| lin.alloc(layout(SIZE, 16)), zeroed: |lin: &kmem::Lin<_, _>| lin.alloc_zeroed(layout(SIZE, 16)),
    pointer: |lin: &kmem::Lin<_, _>| lin.alloc_ptr(layout(SIZE, 16)),
    zeroed_pointer: |lin: &kmem::Lin<_, _>| lin.alloc_zeroed_ptr(layout(SIZE, 16))
}

actions! {
    pool, Pool, new_in: |source| kmem::Pool::with_headers_in(layout(SIZE, 16), source),
    fixed: |bytes| kmem::Pool::fixed_with_headers(layout(SIZE, 16), bytes),
    alloc: |pool: &kmem::Pool<_, _>| pool.alloc(), zeroed: |pool: &kmem::Pool<_, _>| pool.alloc_zeroed(),
    pointer: |pool: &kmem::Pool<_, _>| pool.alloc_ptr(), zeroed_pointer: |pool: &kmem::Pool<_, _>| pool.alloc_zeroed_ptr()
}

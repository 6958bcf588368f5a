//! Stores in bytes that the caller owns: the same suite, with nobody between store and bytes.

use kmem::inspect::What;
use kmem::{Cond, Heap, Lin, Pool, StaticBytes, Tree};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::case::Case;
use crate::common::{layout, room};
use crate::scenarios;
use crate::subject::{Managed, Own, Shape, Subject};

const ROOM: usize = 256 << 10;

const fn shape(largest: usize, align: usize, reuses: bool) -> Shape {
    Shape { largest, align, reuses, bounded: true, recovers: true, keeps: false }
}

/// Runs the suite on a store in bytes that begin and end anywhere.
macro_rules! fixed {
    ($($name:ident: |$bytes:ident| $make:expr, $shape:expr;)*) => {$(
        #[test]
        fn $name() {
            for scenario in scenarios::ALL {
                let mut bytes = room(ROOM + 8);
                let $bytes = &mut bytes[3..ROOM + 1];
                let own = Own::new($bytes);
                let mut store = $make;
                scenario(&mut Case::new(&mut store, &own, $shape));
                Subject::destroy(&mut store).expect("a fixed store can be destroyed");
                store.check().expect("and is whole then");
            }
        }
    )*};
}

fixed! {
    a_fixed_heap_passes_the_suite: |bytes| Heap::fixed(bytes), shape(4096, 4096, true);
    a_fixed_lin_passes_the_suite: |bytes| Lin::fixed(bytes), shape(4096, 4096, false);
    a_fixed_lin_with_headers_passes_the_suite: |bytes| Lin::fixed_with_headers(bytes), shape(4096, 4096, false);
    a_fixed_pool_passes_the_suite: |bytes| Pool::fixed(layout(800, 32), bytes), shape(800, 32, true);
    a_fixed_pool_with_headers_passes_the_suite:
        |bytes| Pool::fixed_with_headers(layout(800, 32), bytes), shape(800, 32, true);
    a_fixed_tree_passes_the_suite: |bytes| Managed(Tree::fixed(bytes)), shape(4096, 4096, true);
}

#[test]
fn a_pool_in_a_static_passes_the_suite() {
    for scenario in scenarios::ALL {
        let bytes = Box::into_raw(Box::new(StaticBytes::<ROOM>::new()));
        // All of the memory, which is poisoned by nobody, is written once.
        unsafe { bytes.cast::<u8>().write_bytes(0, ROOM) };
        let own = Own::new(unsafe { std::slice::from_raw_parts(bytes.cast(), ROOM) });
        let mut pool = Pool::fixed_in(layout(800, 32), unsafe { &*bytes });
        scenario(&mut Case::new(&mut pool, &own, shape(800, 32, true)));
        drop(pool);
        drop(unsafe { Box::from_raw(bytes) });
    }
}

#[test]
fn a_store_in_too_few_bytes_says_no_room_and_uses_what_there_is() {
    fn fill(store: &mut dyn Subject, len: usize, counts: &mut Vec<usize>) {
        let mut count = 0;
        let refused = loop {
            match store.alloc(layout(24, 8)) {
                Ok(cell) => unsafe { cell.cast::<u8>().write_bytes(0xff, 24) },
                Err(cond) => break cond,
            }
            count += 1;
            store.check().expect("the store is whole");
        };
        assert_eq!(refused, Cond::NoRoom, "in {len} bytes");
        assert!(count * 24 <= len, "{count} cells in {len} bytes");
        let last = counts.last().copied().unwrap_or(0);
        // What alignment costs may differ by a cell from one length to the next.
        assert!(count + 1 >= last, "more bytes hold no fewer cells: {last} and {count} in {len}");
        counts.push(count);
        store.destroy().expect("a fixed store can be destroyed");
    }
    let mut counts: [Vec<usize>; 6] = Default::default();
    for len in 0..1200 {
        let [heap, lin, lin_with_headers, pool, pool_with_headers, tree] = &mut counts;
        fill(&mut Heap::fixed(&mut room(len)), len, heap);
        fill(&mut Lin::fixed(&mut room(len)), len, lin);
        fill(&mut Lin::fixed_with_headers(&mut room(len)), len, lin_with_headers);
        fill(&mut Pool::fixed(layout(24, 8), &mut room(len)), len, pool);
        fill(&mut Pool::fixed_with_headers(layout(24, 8), &mut room(len)), len, pool_with_headers);
        fill(&mut Tree::fixed(&mut room(len)), len, tree);
    }
    for count in counts {
        assert_eq!(count[0], 0);
        assert!(*count.last().expect("a length was tried") >= 5, "1,200 bytes hold some cells");
    }
}

#[test]
fn a_fixed_store_is_one_block_in_the_callers_bytes() {
    let mut bytes = room(4096);
    let span = bytes.as_ptr_range();
    let span = span.start.addr()..span.end.addr();
    let lin = Lin::fixed_with_headers(&mut bytes);
    lin.alloc(layout(100, 16)).expect("there is room");
    let mut blocks = 0;
    Subject::inspect(&lin, &mut |record| {
        blocks += usize::from(record.what == What::Block);
        assert!(span.contains(&record.at) && record.at + record.len <= span.end, "{record:?}");
    });
    assert_eq!(blocks, 1);
    assert!(lin.stats().held + 16 > 4096, "all bytes are the store's from the first cell on");
}

/// `Fixed` says that the room of a block that was not the newest is lost "until all go".
#[test]
fn a_fixed_source_has_all_its_room_again_when_all_blocks_have_gone() {
    use kmem::{Fixed, Source};
    let mut bytes = room(1000);
    let source = Fixed::new(&mut bytes);
    let piece = layout(400, 16);
    for round in 0..3 {
        let blocks =
            [source.alloc(piece), source.alloc(piece)].map(|block| block.unwrap_or_else(|_| panic!("round {round}")));
        assert_eq!(source.alloc(piece), Err(Cond::NoRoom));
        for block in blocks {
            unsafe { source.free(block.cast(), piece) }.expect("a block is taken back");
        }
    }
}

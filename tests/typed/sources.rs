//! Every store as a source, each over a heap whose figures tell what is held.

use std::alloc::Layout;
#[cfg(feature = "shred")]
use std::mem::MaybeUninit;

use kmem::{Headers, Heap, Lin, Pages, Pool, Source, Tree};

/// A source of any kind.
pub type Any<'a> = &'a dyn Source;

/// Cells of this size are enough for what the tests place.
const CELL: usize = 2048;

/// Runs a test over each kind of store. After it, all blocks that can be seen to be live must have come back.
pub fn each(test: impl Fn(&str, Any<'_>)) {
    let cell = Layout::from_size_align(CELL, 256).expect("a layout");
    let heap = Heap::new_in(Pages::new());
    test("heap", &heap);
    assert_eq!(heap.stats().live, 0, "heap");
    heap.check().expect("the heap is whole");

    let pool = Pool::new_in(cell, &heap);
    test("pool", &pool);
    assert_eq!(pool.stats().live, 0, "pool");
    pool.check().expect("the pool is whole");

    let pool = Pool::with_headers_in(cell, &heap);
    test("pool with headers", &pool);
    assert_eq!(pool.stats().live, 0, "pool with headers");
    pool.check().expect("the pool is whole");

    let lin: Lin<_> = Lin::new_in(&heap);
    test("lin", &lin);
    lin.check().expect("the region is whole");

    let lin: Lin<_, Headers> = Lin::with_headers_in(&heap);
    test("lin with headers", &lin);
    assert_eq!(lin.stats().live, 0, "lin with headers");
    lin.check().expect("the region is whole");

    let tree = Tree::new_in(&heap);
    test("tree", &tree);
    // The root stays.
    assert!(tree.stats().live <= 1, "tree");
    tree.check().expect("the tree is whole");

    let mut lin = Lin::new_in(&heap);
    lin.scope(|scope| test("scope", &scope));
    assert_eq!(lin.stats().bytes, 0, "scope");

    test("pages", &Pages::new());
    test("process heap", &kmem::Global);
}

#[cfg(feature = "shred")]
/// A byte that nothing else writes eight times in a row.
pub const NEEDLE: u8 = 0xc5;

#[cfg(feature = "shred")]
/// At how many places eight needles in a row lie in memory that was initialised before.
pub fn needles(bytes: &[MaybeUninit<u8>]) -> usize {
    // SAFETY: the tests make these arrays of initialised bytes, and stores write whole ones into them.
    let is_needle = |byte: &MaybeUninit<u8>| unsafe { byte.assume_init_read() } == NEEDLE;
    bytes.windows(8).filter(|eight| eight.iter().all(is_needle)).count()
}

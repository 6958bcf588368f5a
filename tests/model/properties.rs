//! Short sequences, which `proptest` shrinks to the shortest that fails.

use kmem::{Fixed, Heap, Lin, Pool};
use proptest::collection::vec;
use proptest::prelude::*;

use super::cells::Sizes;
use super::heap::HeapWorld;
use super::lin::LinWorld;
use super::pool::PoolWorld;
use super::tree::{Managed, Raw, TreeWorld};
use super::{CELL, bytes, world::replay};

/// Operations, each with the words of its choices.
fn operations() -> impl Strategy<Value = Vec<Vec<u32>>> {
    vec(vec(any::<u32>(), 1..10), 1..150)
}

/// How many cells live at once.
const FEW: usize = 20;

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn heap(operations in operations()) {
        let mut bytes = bytes(12 << 10);
        replay(HeapWorld::new(Heap::fixed(&mut bytes), Sizes::Middle, FEW), operations);
    }

    #[test]
    fn heap_in_chunks(operations in operations()) {
        let mut bytes = bytes(64 << 10);
        let below = Heap::fixed(&mut bytes);
        replay(HeapWorld::new(Heap::new_in(&below).first_block(1024), Sizes::Small, FEW), operations);
        prop_assert_eq!(below.stats().live, 0);
    }

    #[test]
    fn bare_lin(operations in operations()) {
        let (mut bytes, mut others) = (bytes(64 << 10), bytes(4096));
        let below = Heap::fixed(&mut bytes);
        let lin = Lin::new_in(&below).first_block(256);
        replay(LinWorld::new(lin, Lin::new_in(&Heap::fixed(&mut others)), Sizes::Middle, FEW), operations);
        prop_assert_eq!(below.stats().live, 0);
    }

    #[test]
    fn lin(operations in operations()) {
        let (mut bytes, mut others) = (bytes(64 << 10), bytes(4096));
        let below = Heap::fixed(&mut bytes);
        let lin = Lin::with_headers_in(&below).first_block(256);
        replay(LinWorld::new(lin, Lin::with_headers_in(&Heap::fixed(&mut others)), Sizes::Middle, FEW), operations);
        prop_assert_eq!(below.stats().live, 0);
    }

    #[test]
    fn bare_pool(operations in operations()) {
        let mut bytes = bytes(8 << 10);
        let below = Heap::fixed(&mut bytes);
        let pool = Pool::new_in(CELL, &below).first_cells(3).limit(FEW - 2);
        replay(PoolWorld::new(pool, CELL, FEW - 2, FEW), operations);
        prop_assert_eq!(below.stats().live, 0);
    }

    #[test]
    fn pool(operations in operations()) {
        let mut bytes = bytes(2 << 10);
        replay(PoolWorld::new(Pool::fixed_with_headers(CELL, &mut bytes), CELL, usize::MAX, FEW), operations);
    }

    #[test]
    fn tree(operations in operations()) {
        let mut bytes = bytes(64 << 10);
        replay(TreeWorld::<Raw<Fixed<'_>>>::new(Fixed::new(&mut bytes), Sizes::Small, FEW), operations);
    }

    #[test]
    fn managed_tree(operations in operations()) {
        let mut bytes = bytes(8 << 10);
        replay(TreeWorld::<Managed<Heap<Fixed<'_>>>>::new(Heap::fixed(&mut bytes), Sizes::Small, FEW), operations);
    }
}

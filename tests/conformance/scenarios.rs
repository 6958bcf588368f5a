//! What every store must do over every source: each function is one scenario, run on a fresh store.

use kmem::{Cond, Kind};

use crate::case::Case;
use crate::common::{Random, layout};

pub type Scenario = fn(&mut Case<'_>);

/// All scenarios.
pub const ALL: &[Scenario] = &[
    payloads_lie_apart_and_are_aligned,
    size_zero_has_an_address_of_its_own,
    what_is_written_survives_other_operations,
    zeroed_is_zero_though_the_memory_was_used,
    the_newest_cell_makes_room_for_the_next,
    the_room_of_any_freed_cell_is_used_again,
    resize_keeps_the_bytes,
    large_cells_come_and_go,
    granted_memory_is_all_usable,
    impossible_sizes_are_refused,
    a_full_store_refuses_and_recovers,
    a_failed_resize_changes_nothing,
    nothing_is_larger_than_the_largest,
    reset_and_destroy_leave_a_store_as_good_as_new,
    a_store_that_is_warm_asks_for_nothing_more,
    #[cfg(feature = "shred")]
    shred_leaves_nothing_of_a_cell,
    #[cfg(feature = "shred")]
    a_tainted_store_leaves_nothing_behind,
];

const SIZES: [usize; 6] = [1, 7, 16, 33, 200, 3000];

fn payloads_lie_apart_and_are_aligned(case: &mut Case<'_>) {
    for align in [1, 8, 16, 32, 64, 512, 4096] {
        if align <= case.shape.align {
            for size in SIZES {
                case.take(case.possible(size, align));
            }
        }
    }
    case.give_all();
    let stats = case.store.stats();
    let roots = usize::from(case.store.kind() == Kind::Tree);
    if case.store.kind() != Kind::Lin {
        assert_eq!(stats.live, roots, "what was taken has been given back");
    }
}

fn size_zero_has_an_address_of_its_own(case: &mut Case<'_>) {
    let empty = case.possible(0, 1);
    case.take(empty);
    case.take(case.possible(24, 8));
    case.take(empty);
    case.take_zeroed(empty);
    case.take(case.possible(0, 32));
    let mut addresses: Vec<_> = case.cells.iter().map(|cell| cell.at).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 5, "every cell has an address of its own");
    case.resize(4, 40).expect("an empty cell can grow");
    case.resize(4, 0).expect("a cell can shrink to nothing");
    case.resize(0, 0).expect("and stay so");
    case.give_all();
}

fn what_is_written_survives_other_operations(case: &mut Case<'_>) {
    let mut random = Random::new(7);
    // What a store that does not use old room again may take in all.
    let mut budget = 100_000_usize;
    for _ in 0..250 {
        let count = case.cells.len();
        let size = SIZES[random.below(SIZES.len())].min(case.shape.largest);
        let exhausted = !case.shape.reuses && case.shape.bounded && budget < 8000;
        match random.below(8) {
            0..4 if count < 12 && !exhausted => {
                budget = budget.saturating_sub(size + 200);
                case.take(case.possible(size, 1 << random.below(7)));
            }
            4 if count < 12 && !exhausted => {
                budget = budget.saturating_sub(size + 200);
                case.take_zeroed(case.possible(size, 16));
            }
            5 if count > 0 && !exhausted => {
                budget = budget.saturating_sub(size + 200);
                case.resize(random.below(count), size).expect("there is room");
            }
            _ if count > 0 => case.give(random.below(count)),
            _ => {}
        }
    }
    case.give_all();
}

fn zeroed_is_zero_though_the_memory_was_used(case: &mut Case<'_>) {
    // Nothing is given back one by one at first, so that the reset alone must know what was used.
    for _ in 0..2 {
        for size in SIZES {
            case.take_zeroed(case.possible(size, 16));
        }
        case.reset();
    }
    for round in 0..4 {
        for size in SIZES {
            // What is written to a cell is never zero.
            let number = case.take_zeroed(case.possible(size, 16));
            if size == 33 {
                case.give(number);
            }
        }
        let newest = case.cells.len() - 1;
        case.resize(newest, 12).expect("a cell can shrink");
        case.take_zeroed(case.possible(100, 16));
        match round {
            0 => case.give_all(),
            1 => drop(case.reset()),
            2 => case.destroy(),
            _ => {}
        }
    }
}

fn the_newest_cell_makes_room_for_the_next(case: &mut Case<'_>) {
    case.take(case.possible(100, 16));
    let first = case.take(case.possible(200, 16));
    let address = case.cells[first].at;
    case.give(first);
    let (held, out) = (case.store.stats().held, case.source.out());
    for _ in 0..60 {
        let number = case.take(case.possible(200, 16));
        if matches!(case.store.kind(), Kind::Lin | Kind::Pool) {
            assert_eq!(case.cells[number].at, address, "the newest cell's place is the next one's");
        }
        case.give(number);
    }
    assert_eq!((case.store.stats().held, case.source.out()), (held, out), "and nothing more is taken for it");
}

fn the_room_of_any_freed_cell_is_used_again(case: &mut Case<'_>) {
    if !case.shape.reuses {
        return;
    }
    for _ in 0..6 {
        case.take(case.possible(150, 16));
    }
    case.give(2);
    let most = case.source.out();
    for round in 0..60 {
        case.take(case.possible(150, 16));
        case.give(round % 5);
    }
    let grown = case.source.out().zip(most).is_some_and(|(now, most)| now > most);
    assert!(!grown, "sixty cells in the room of one take no more from the source");
}

fn resize_keeps_the_bytes(case: &mut Case<'_>) {
    let first = case.take(case.possible(20, 16));
    let over = case.take(case.possible(50, 64));
    // Those behind them move first and last; the one at the end is the newest.
    for size in [40, 41, 200, 1000, 4000, 500, 64, 3, 0, 90] {
        let size = size.min(case.shape.largest);
        case.resize(first, size).expect("there is room");
        case.resize(over, size / 2).expect("there is room");
        let newest = case.take(case.possible(30, 1));
        let address = case.cells[newest].at;
        case.resize(newest, (2 * size).min(case.shape.largest)).expect("there is room");
        case.resize(newest, 10).expect("a cell can shrink");
        if case.store.kind() == Kind::Pool {
            assert_eq!(case.cells[newest].at, address, "a pool's cell never moves");
        }
        case.give(newest);
    }
    if case.store.kind() == Kind::Lin {
        let newest = case.take(case.possible(16, 16));
        let address = case.cells[newest].at;
        for size in [17, 100, 60, 0, 90] {
            case.resize(newest, size).expect("there is room");
            assert_eq!(case.cells[newest].at, address, "the newest cell is resized in place");
        }
        let address = case.cells[first].at;
        case.resize(first, 5).expect("an older cell can shrink");
        assert_eq!(case.cells[first].at, address, "an older cell shrinks in place");
    }
}

fn large_cells_come_and_go(case: &mut Case<'_>) {
    if case.shape.bounded || case.store.kind() == Kind::Pool || case.store.largest().is_some() {
        return;
    }
    case.take(case.possible(100, 16));
    let before = case.source.out();
    for size in [140_000, 300_000] {
        case.take(layout(size, 16));
        case.take_zeroed(layout(size, 64));
        case.take_granted(layout(size + 1, 16));
    }
    for size in [139_000, 150_000, 400_000, 160_000, 100, 0, 131_072, 131_000, 250_001] {
        case.resize(1, size).expect("there is room");
        case.resize(2, size / 2).expect("there is room");
    }
    while case.cells.len() > 1 {
        case.give(1);
    }
    // A heap keeps one chunk for the next need; a region all of them until it is reset.
    let (blocks, bytes) = before.unwrap_or_default();
    let most = (blocks + 1, bytes + (1 << 20));
    let out = case.source.out().unwrap_or_default();
    if case.shape.reuses {
        assert!(out.0 <= most.0 && out.1 <= most.1, "large cells go back to the source: {out:?} for {before:?}");
    }
}

fn granted_memory_is_all_usable(case: &mut Case<'_>) {
    case.take(case.possible(100, 16));
    for size in [0, 64, 1000] {
        case.take_granted(case.possible(size, 16));
    }
    case.give(1);
    case.take_granted(case.possible(90, 32));
    case.take(case.possible(100, 16));
    case.give_all();
}

fn impossible_sizes_are_refused(case: &mut Case<'_>) {
    let cell = case.take(case.possible(100, 16));
    let before = case.snapshot();
    let most = isize::MAX as usize;
    let huge =
        [(most, 1), (most - 15, 16), (most - 4095, 4096), (most - 63, 64), (1 << (usize::BITS - 2), most / 2 + 1)];
    for (size, align) in huge {
        let layout = layout(size, align);
        assert_eq!(case.store.alloc(layout), Err(Cond::BadSize), "{layout:?}");
        assert_eq!(case.store.alloc_zeroed(layout), Err(Cond::BadSize), "{layout:?}");
        assert_eq!(case.store.grant(layout).map(|grant| grant.bytes), Err(Cond::BadSize), "{layout:?}");
        assert_eq!(case.snapshot(), before, "{layout:?}");
    }
    let align = case.cells[cell].layout.align();
    for size in [most - 15, most - 31] {
        let size = size & !(align - 1);
        assert_eq!(case.resize(cell, size), Err(Cond::BadSize), "{size}");
        assert_eq!(case.snapshot(), before, "{size}");
    }
    if case.store.kind() == Kind::Pool {
        for layout in [layout(case.shape.largest + 4096, 16), layout(16, case.shape.align * 2)] {
            assert_eq!(case.store.alloc(layout), Err(Cond::BadSize), "{layout:?}");
        }
        assert_eq!(case.resize(cell, case.shape.largest + 4096), Err(Cond::BadSize));
        assert_eq!(case.snapshot(), before);
    }
    case.verify();
}

/// Takes cells until there is no room, at most so many.
fn fill(case: &mut Case<'_>, size: usize, most: usize) -> Option<Cond> {
    for number in 0..most {
        let layout = case.possible(size, 16);
        let before = (number % 31 == 0).then(|| case.snapshot());
        match case.store.alloc(layout) {
            Err(cond) => {
                assert!(before.is_none_or(|before| before == case.snapshot()), "a refusal changes nothing");
                return Some(cond);
            }
            // Each with its pattern; all are looked at from time to time.
            Ok(bytes) => case.adopt(bytes, layout, number % 31 == 0),
        }
    }
    None
}

fn a_full_store_refuses_and_recovers(case: &mut Case<'_>) {
    let first = case.take(case.possible(100, 16));
    assert_eq!(first, 0);
    if !case.shape.bounded {
        case.source.refuse(true);
    }
    let refused = fill(case, 4096, 10_000);
    assert_eq!(refused, Some(Cond::NoRoom), "a store whose source has no more says so");
    // Smaller ones may still fit; then no more.
    assert_eq!(fill(case, 700, 10_000), Some(Cond::NoRoom));
    assert_eq!(fill(case, 1, 100_000), Some(Cond::NoRoom));
    let before = case.snapshot();
    let tiny = case.possible(1, 16);
    assert_eq!(case.store.alloc(tiny), Err(Cond::NoRoom));
    assert_eq!(case.store.alloc_zeroed(tiny), Err(Cond::NoRoom));
    assert_eq!(case.store.grant(tiny).map(|grant| grant.bytes), Err(Cond::NoRoom));
    assert_eq!(case.snapshot(), before, "a refusal changes nothing");
    case.verify();
    // The newest makes room for another of its size, whatever the store.
    let newest = case.cells.len() - 1;
    let again = case.cells[newest].layout;
    case.give(newest);
    if case.shape.bounded || case.store.kind() != Kind::Tree {
        case.take(again);
    }
    case.source.refuse(false);
    if !case.shape.bounded {
        case.take(case.possible(4096, 16));
    }
    case.destroy();
    if case.shape.recovers {
        case.take(case.possible(4096, 16));
    }
}

fn a_failed_resize_changes_nothing(case: &mut Case<'_>) {
    if case.store.kind() == Kind::Pool {
        // It never asks its source for a resize; beyond the cell is `impossible_sizes_are_refused`.
        return;
    }
    let cell = case.take(case.possible(100, 16));
    case.take(case.possible(100, 16));
    let size = if case.shape.bounded { 3 << 20 } else { 100_000 };
    if !case.shape.bounded {
        case.source.refuse(true);
    }
    let before = case.snapshot();
    let refused = case.resize(cell, size);
    // A pool below says that no cell of it is so large.
    assert!(matches!(refused, Err(Cond::NoRoom | Cond::BadSize)), "{refused:?}");
    assert_eq!(case.snapshot(), before);
    case.verify();
    case.source.refuse(false);
    case.resize(cell, 120.min(case.shape.largest)).expect("there is room again");
}

fn nothing_is_larger_than_the_largest(case: &mut Case<'_>) {
    for round in 0..4 {
        if let Some(largest) = case.store.largest() {
            let before = case.snapshot();
            // Stores are told rather too little than too much, for what stands in front of their blocks.
            let beyond = layout(largest + largest / 32 + 256, kmem::MIN_ALIGN);
            let refused = case.store.alloc(beyond);
            assert!(matches!(refused, Err(Cond::NoRoom | Cond::BadSize)), "round {round}: {beyond:?}: {refused:?}");
            // A tree has taken its root all the same.
            if round > 0 || case.store.kind() != Kind::Tree {
                assert_eq!(case.snapshot(), before);
            }
        }
        let number = case.take(case.possible(1000, 16));
        case.take(case.possible(100, 16));
        case.give(number);
        if round == 1 {
            case.reset();
        }
    }
}

fn reset_and_destroy_leave_a_store_as_good_as_new(case: &mut Case<'_>) {
    case.destroy();
    for round in 0..5 {
        for size in SIZES {
            case.take(case.possible(size, 16));
        }
        case.give(3);
        match round {
            0 | 3 => drop(case.reset()),
            1 => case.destroy(),
            _ => case.give_all(),
        }
    }
    case.destroy();
    case.destroy();
}

fn a_store_that_is_warm_asks_for_nothing_more(case: &mut Case<'_>) {
    let round = |case: &mut Case<'_>| {
        for number in 0..12 {
            case.take(case.possible(if number == 5 { 4000 } else { 300 }, 16));
        }
        case.reset()
    };
    round(case);
    let calls = case.source.calls();
    // A store that cannot be reset has given its cells back one by one, and may have given up blocks.
    if round(case) {
        assert_eq!(case.source.calls(), calls, "a warm store makes no calls");
    }
    case.verify();
}

/// Bytes that are nowhere else: what a secret is found by.
#[cfg(feature = "shred")]
fn needle(case: &Case<'_>, number: usize) -> Vec<u8> {
    let cell = case.cells[number];
    crate::common::raw_bytes(cell.at, cell.layout.size())[8..cell.layout.size() - 8].to_vec()
}

#[cfg(feature = "shred")]
fn shred_leaves_nothing_of_a_cell(case: &mut Case<'_>) {
    case.source.keep_returned();
    for size in [64, 100, 199, 4000] {
        for _ in 0..3 {
            case.take(case.possible(size, 16));
        }
        let secret = needle(case, 1);
        assert!(case.source.holds(&secret), "a live cell can be found");
        let cell = case.shred(1);
        assert!(!case.source.holds(&secret[..8]) && !case.source.holds(&secret), "a shredded cell cannot");
        // The store may keep its lists in what is free: words at the ends.
        let size = cell.layout.size();
        let (front, back) = (2 * size_of::<usize>(), size - 2 * size_of::<usize>());
        if case.source.block_around(cell.at.addr().get(), size).is_some() {
            let left = crate::common::raw_bytes(cell.at, size);
            assert!(left[front..back].iter().all(|byte| *byte == 0), "a shredded cell is zero");
        }
        case.give_all();
    }
}

#[cfg(feature = "shred")]
fn a_tainted_store_leaves_nothing_behind(case: &mut Case<'_>) {
    case.source.keep_returned();
    case.store.taint();
    let mut secrets = Vec::new();
    for round in 0..2 {
        for size in [64, 100, 150, 199, 120] {
            let number = case.take(case.possible(size, 16));
            secrets.push(needle(case, number));
        }
        // In place, by moving, and by moving the one behind which there is another.
        case.resize(4, 60).expect("a cell can shrink");
        case.resize(0, 199.min(case.shape.largest)).expect("there is room");
        case.resize(1, 40).expect("a cell can shrink");
        case.give(2);
        case.give(1);
        if round == 0 {
            case.reset();
        } else {
            case.destroy();
        }
        for secret in &secrets {
            assert!(!case.source.holds(secret), "what was released cannot be found");
            // The parts that cells lost by shrinking neither.
            assert!(!case.source.holds(&secret[secret.len() - 16..]), "nor its end");
            assert!(!case.source.holds(&secret[..16]), "nor its beginning");
        }
    }
}

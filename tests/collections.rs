//! Collections that live in a store, beside the standard library's own: the same random calls must
//! give the same answers, whatever the store; and a store that is full must say so.
//!
//! With `alloc-api` (nightly), the standard library's collections live in the stores themselves.
#![cfg(all(
    feature = "platform",
    not(target_arch = "wasm32"),
    any(feature = "allocator-api2", feature = "allocator-api2-04", feature = "alloc-api")
))]
#![cfg_attr(feature = "alloc-api", feature(allocator_api, btreemap_alloc))]
#![allow(clippy::cast_possible_truncation, reason = "random numbers are cut to what is needed")]

#[path = "typed/tally.rs"]
#[allow(dead_code, reason = "the other test program uses more of it")]
mod tally;

use std::alloc::Layout;
use std::mem::MaybeUninit;

use kmem::{Headers, Heap, Lin, Pages, Pool};
use tally::{Tally, Told, going};

/// Cells for what the models grow to.
const CELL: usize = 1 << 17;

struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 24) as usize % most.max(1)
    }
}

/// Calls a test with a reference to each store. What came from it must have come back afterwards.
macro_rules! over_each {
    ($test:expr) => {{
        let cell = Layout::from_size_align(CELL, 16).expect("a layout");
        let heap = Heap::new_in(Pages::new());
        $test("heap", &heap);
        assert_eq!(heap.stats().live, 0);
        heap.check().expect("the heap is whole");

        let lin: Lin<_> = Lin::new_in(Pages::new());
        $test("lin", &lin);
        lin.check().expect("the region is whole");
        let lin: Lin<_, Headers> = Lin::with_headers_in(&heap);
        $test("lin with headers", &lin);
        assert_eq!(lin.stats().live, 0);
        lin.check().expect("the region is whole");

        let pool = Pool::new_in(cell, Pages::new());
        $test("pool", &pool);
        assert_eq!(pool.stats().live, 0);
        pool.check().expect("the pool is whole");
        let pool = Pool::with_headers_in(cell, &heap);
        $test("pool with headers", &pool);
        assert_eq!(pool.stats().live, 0);
        pool.check().expect("the pool is whole");

        let mut lin = Lin::new_in(Pages::new());
        lin.scope(|scope| $test("scope", &scope));
        assert_eq!(lin.stats().bytes, 0);

        let mut room = vec![MaybeUninit::uninit(); 1 << 20];
        let heap = Heap::fixed(&mut room);
        $test("fixed heap", &heap);
        assert_eq!(heap.stats().live, 0);

        $test("process heap", &kmem::Global);
    }};
}

/// The model of a vector, for each of the three `Vec`s, which have the same methods.
macro_rules! vector_model {
    ($Vec:ident, $Allocator:ident) => {
        fn vectors<A: $Allocator + Copy>(name: &str, store: A) {
            const COUNT: usize = 4;
            let (tally, model_tally) = (Tally::new(), Tally::new());
            let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
            let mut ours: [$Vec<Told<'_>, A>; COUNT] = std::array::from_fn(|_| $Vec::new_in(store));
            let mut theirs: [Vec<Told<'_>>; COUNT] = std::array::from_fn(|_| Vec::new());
            let mut sum = 0;
            for step in 0..12_000 {
                let which = dice.below(COUNT);
                let (one, other) = (&mut ours[which], &mut theirs[which]);
                let (len, at) = (one.len(), dice.below(one.len()));
                match dice.below(24) {
                    _ if len < 150 => {
                        one.push(tally.make());
                        other.push(model_tally.make());
                    }
                    0..=7 if len < 1500 => {
                        one.push(tally.make());
                        other.push(model_tally.make());
                    }
                    8 | 9 if len < 1500 => {
                        one.insert(at, tally.make());
                        other.insert(at, model_tally.make());
                    }
                    10 if len < 1500 => {
                        let more = dice.below(40);
                        one.extend((0..more).map(|_| tally.make()));
                        other.extend((0..more).map(|_| model_tally.make()));
                    }
                    11 => assert_eq!(one.pop().map(|told| told.number()), other.pop().map(|told| told.number())),
                    12 => assert_eq!(one.remove(at).number(), other.remove(at).number()),
                    13 => assert_eq!(one.swap_remove(at).number(), other.swap_remove(at).number()),
                    14 => {
                        one.shrink_to_fit();
                        other.shrink_to_fit();
                    }
                    15 if step % 5 == 0 => {
                        one.truncate(len - len / 4);
                        other.truncate(len - len / 4);
                    }
                    16 => {
                        let to = (at + dice.below(8)).min(len);
                        let drained: Vec<usize> = one.drain(at..to).map(|told| told.number()).collect();
                        assert!(other.drain(at..to).map(|told| told.number()).eq(drained));
                    }
                    17 => {
                        one.reverse();
                        other.reverse();
                    }
                    18 if step % 7 == 0 => {
                        one.retain(|told| told.number() % 5 != 0);
                        other.retain(|told| told.number() % 5 != 0);
                    }
                    19 => {
                        let (mut end, mut model_end) = (one.split_off(len / 2), other.split_off(len / 2));
                        assert!(end.iter().map(Told::number).eq(model_end.iter().map(Told::number)));
                        one.append(&mut end);
                        other.append(&mut model_end);
                    }
                    20 => {
                        one.reserve(dice.below(100));
                        assert!(one.capacity() >= one.len());
                    }
                    _ => {
                        ours.swap(which, (which + 1) % COUNT);
                        theirs.swap(which, (which + 1) % COUNT);
                    }
                }
                if step % 64 == 0 {
                    for (one, other) in ours.iter().zip(&theirs) {
                        assert!(one.iter().map(Told::number).eq(other.iter().map(Told::number)), "{name}");
                    }
                }
                assert_eq!(tally.alive(), model_tally.alive(), "{name}");
                sum += tally.alive();
            }
            assert!(sum / 12_000 >= 300 * COUNT / 2, "{name}: few values on average: {}", sum / 12_000);
            drop((ours, theirs));
            assert_eq!((tally.alive(), model_tally.alive()), (0, 0), "{name}");
        }

        #[test]
        fn a_vector_in_any_store_does_what_the_standard_librarys_does() {
            over_each!(vectors);
        }

        fn words<A: $Allocator + Copy>(name: &str, store: A) {
            // What a string would be: bytes that grow.
            let mut ours: $Vec<u8, A> = $Vec::new_in(store);
            let mut theirs = Vec::new();
            for number in 0..5000_u32 {
                let text = number.to_string();
                ours.extend_from_slice(text.as_bytes());
                theirs.extend_from_slice(text.as_bytes());
            }
            assert_eq!(&ours[..], &theirs[..], "{name}");
            ours.shrink_to_fit();
            assert_eq!(std::str::from_utf8(&ours).expect("digits"), std::str::from_utf8(&theirs).expect("digits"));
            let copy = ours.clone();
            drop(ours);
            assert_eq!(&copy[..], &theirs[..], "{name}");
            // Zeroed memory comes from a path of its own.
            let mut zeroes: $Vec<u64, A> = $Vec::with_capacity_in(10, store);
            zeroes.resize(5000, 0);
            assert!(zeroes.iter().all(|number| *number == 0), "{name}");
        }

        #[test]
        fn bytes_grow_in_any_store() {
            over_each!(words);
        }

        /// No string has an allocator to choose: this is what one does, with bytes that are one throughout.
        fn texts<A: $Allocator + Copy>(name: &str, store: A) {
            fn text<A: $Allocator>(bytes: &$Vec<u8, A>) -> &str {
                std::str::from_utf8(bytes).expect("whole characters")
            }
            const CHARS: [char; 6] = ['a', 'Z', 'ß', '→', '𝄞', '\0'];
            let mut dice = Dice(0x94d0_49bb_1331_11eb);
            let (mut ours, mut theirs): ($Vec<u8, A>, String) = ($Vec::new_in(store), String::new());
            let mut sum = 0;
            for step in 0..6000 {
                let one = CHARS[dice.below(CHARS.len())];
                let mut at = dice.below(theirs.len() + 1);
                at -= (0..4).find(|back| theirs.is_char_boundary(at - back)).expect("no character is longer");
                match dice.below(12) {
                    0..=4 if theirs.len() < 3000 => {
                        ours.extend_from_slice(one.encode_utf8(&mut [0; 4]).as_bytes());
                        theirs.push(one);
                    }
                    5 if theirs.len() < 3000 => {
                        let more = step.to_string();
                        ours.extend_from_slice(more.as_bytes());
                        theirs.push_str(&more);
                    }
                    6 | 7 => {
                        let mut bytes = [0; 4];
                        let bytes = one.encode_utf8(&mut bytes).bytes();
                        // `splice` is not in all of them.
                        bytes.enumerate().for_each(|(ahead, byte)| ours.insert(at + ahead, byte));
                        theirs.insert(at, one);
                    }
                    8 => {
                        let last = theirs.pop().map_or(0, char::len_utf8);
                        ours.truncate(ours.len() - last);
                    }
                    9 if at < theirs.len() => {
                        let removed = theirs.remove(at).len_utf8();
                        ours.drain(at..at + removed);
                    }
                    10 if step % 61 == 0 => {
                        ours.truncate(at);
                        theirs.truncate(at);
                    }
                    11 => ours.shrink_to_fit(),
                    _ => assert_eq!(text(&ours).chars().rev().next(), theirs.chars().next_back(), "{name}"),
                }
                assert_eq!(ours.len(), theirs.len(), "{name}");
                if step % 16 == 0 {
                    assert_eq!(text(&ours), theirs, "{name}");
                }
                sum += theirs.len();
            }
            assert_eq!(text(&ours), theirs, "{name}");
            assert!(sum / 6000 >= 300, "{name}: few bytes on average: {}", sum / 6000);
        }

        #[test]
        fn text_in_any_store_does_what_a_string_does() {
            over_each!(texts);
        }

        fn bombed<A: $Allocator + Copy>(name: &str, store: A) {
            for bomb in [0, 7, 99] {
                let tally = Tally::new();
                let fill = || {
                    let mut values = $Vec::with_capacity_in(100, store);
                    values.extend((0..100).map(|_| tally.make()));
                    values
                };
                // With the vector, by being cut off, and out of a drain, which leaves the others where they were.
                let values = fill();
                going(&tally, Some(bomb), || drop(values));
                let mut values = fill();
                going(&tally, Some(100 + bomb), || values.clear());
                let mut values = fill();
                going(&tally, Some(200 + bomb), || drop(values.drain(..)));
                drop(values);
                let mut values = fill();
                values.truncate(50);
                assert!(values.iter().map(Told::number).eq(300..350), "{name}");
                drop(values);
                assert_eq!((tally.alive(), tally.gone().len()), (0, tally.made()), "{name}");
            }
        }

        #[test]
        fn a_value_that_panics_when_it_is_dropped_leaves_nothing_in_any_store() {
            over_each!(bombed);
        }

        #[test]
        fn a_vector_learns_that_its_store_is_full() {
            let pool = Pool::new_in(Layout::new::<[u64; 64]>(), Pages::new());
            let mut numbers: $Vec<u64, _> = $Vec::new_in(&pool);
            numbers.extend(0..50);
            numbers.try_reserve(15).expect_err("more than a cell has");
            numbers.try_reserve_exact(14).expect("a cell has room for 64");
            assert!(numbers.iter().copied().eq(0..50));
            drop(numbers);
            assert_eq!(pool.stats().live, 0);

            let mut room = [MaybeUninit::uninit(); 4096];
            let heap = Heap::fixed(&mut room);
            let mut numbers: $Vec<u64, _> = $Vec::new_in(&heap);
            let pushed = (0..).take_while(|number| {
                let room = numbers.try_reserve(1).is_ok();
                numbers.extend(room.then_some(*number));
                room
            });
            let count = pushed.count() as u64;
            assert!(count > 100 && numbers.iter().copied().eq(0..count), "{count}");
            assert!(numbers.try_reserve(usize::MAX / 16).is_err());

            let lin = Lin::new_in(Pages::new()).limit(4096);
            let mut numbers: $Vec<u64, _> = $Vec::new_in(&lin);
            numbers.try_reserve(1000).expect_err("more than the limit");
            assert_eq!(numbers.capacity(), 0);
        }

        #[test]
        fn values_without_bytes_and_wide_ones_are_kept_too() {
            #[derive(Clone)]
            #[repr(align(128))]
            struct Wide(u8);
            let heap = Heap::new_in(Pages::new());
            let mut wide = $Vec::new_in(&heap);
            wide.extend((0..100).map(Wide));
            assert!(wide.iter().zip(0..).all(|(one, number)| one.0 == number));
            assert!(wide.as_ptr().addr().is_multiple_of(128));
            let mut none = $Vec::new_in(&heap);
            none.extend([(); 1000]);
            assert_eq!((none.len(), none.pop()), (1000, Some(())));
        }

        #[test]
        fn boxes_and_leaked_slices_lie_in_the_store() {
            let tally = Tally::new();
            let heap = Heap::new_in(Pages::new());
            let boxed = Box::new_in(tally.make(), &heap);
            assert_eq!((boxed.number(), heap.stats().live), (0, 1));
            drop(boxed);
            let mut numbers = $Vec::new_in(&heap);
            numbers.extend(0..10_u8);
            let leaked: &mut [u8] = numbers.leak();
            leaked[9] = 7;
            assert_eq!((tally.alive(), heap.stats().live, leaked[9]), (0, 1, 7));
        }
    };
}

#[cfg(feature = "allocator-api2")]
mod api2 {
    use super::*;
    use allocator_api2::alloc::Allocator;
    use allocator_api2::boxed::Box;
    use allocator_api2::vec::Vec as Vector;

    vector_model!(Vector, Allocator);
}

#[cfg(feature = "allocator-api2-04")]
mod api2_04 {
    use super::*;
    use allocator_api2_04::alloc::Allocator;
    use allocator_api2_04::boxed::Box;
    use allocator_api2_04::vec::Vec as Vector;

    vector_model!(Vector, Allocator);
}

/// The model of a map that is asked by key, for hashbrown's and for the standard library's ordered one.
macro_rules! map_model {
    ($Allocator:ident, $store:ident => $make:expr, ($map:ident, $step:ident) => $extra:expr) => {
        fn maps<A: $Allocator + Copy>(name: &str, $store: A) {
            let (tally, model_tally) = (Tally::new(), Tally::new());
            let mut dice = Dice(0xd1b5_4a32_d192_ed03);
            let (mut ours, mut theirs) = ($make, std::collections::BTreeMap::new());
            let mut sum = 0;
            for step in 0..20_000 {
                let key = dice.below(900) as u64;
                match dice.below(16) {
                    0..=6 => {
                        let (old, model_old) = (ours.insert(key, tally.make()), theirs.insert(key, model_tally.make()));
                        assert_eq!(old.map(|told| told.number()), model_old.map(|told| told.number()), "{name}");
                    }
                    7..=10 => {
                        let (old, model_old) = (ours.remove(&key), theirs.remove(&key));
                        assert_eq!(old.map(|told| told.number()), model_old.map(|told| told.number()), "{name}");
                    }
                    11 if step % 9 == 0 => {
                        ours.retain(|key, _| key % 7 != 0);
                        theirs.retain(|key, _| key % 7 != 0);
                    }
                    12 => {
                        let ($map, $step) = (&mut ours, step);
                        $extra
                    }
                    13 => {
                        if let (Some(one), Some(other)) = (ours.get_mut(&key), theirs.get_mut(&key)) {
                            (*one, *other) = (tally.make(), model_tally.make());
                        }
                    }
                    _ => assert_eq!(ours.get(&key).map(Told::number), theirs.get(&key).map(Told::number), "{name}"),
                }
                assert_eq!((ours.len(), tally.alive()), (theirs.len(), model_tally.alive()), "{name}");
                if step % 512 == 0 {
                    let mut all: Vec<(u64, usize)> = ours.iter().map(|(key, told)| (*key, told.number())).collect();
                    all.sort_unstable();
                    assert!(theirs.iter().map(|(key, told)| (*key, told.number())).eq(all), "{name}");
                }
                sum += ours.len();
            }
            assert!(sum / 20_000 >= 300, "{name}: few values on average: {}", sum / 20_000);
            if dice.below(2) == 0 {
                ours.clear();
            }
            drop((ours, theirs));
            assert_eq!((tally.alive(), model_tally.alive()), (0, 0), "{name}");
        }
    };
}

#[cfg(feature = "allocator-api2")]
mod hashed {
    use super::*;
    use allocator_api2::alloc::Allocator;
    use hashbrown::{DefaultHashBuilder, HashMap};

    map_model!(
        Allocator,
        store => HashMap::with_hasher_in(DefaultHashBuilder::default(), store),
        (map, step) => match step % 3 {
            0 => map.shrink_to_fit(),
            1 => map.reserve(200),
            _ => assert!(map.capacity() >= map.len()),
        }
    );

    #[test]
    fn hashbrowns_map_in_any_store_does_what_the_standard_librarys_does() {
        over_each!(maps);
    }

    #[test]
    fn a_map_learns_that_its_store_is_full() {
        let pool = Pool::new_in(Layout::new::<[u64; 512]>(), Pages::new());
        let mut map: HashMap<u64, u64, _, _> = HashMap::with_hasher_in(DefaultHashBuilder::default(), &pool);
        map.try_reserve(60).expect("a cell has room");
        map.extend((0..60).map(|number| (number, 2 * number)));
        map.try_reserve(1000).expect_err("more than a cell has");
        assert!((0..60_u64).all(|number| map.get(&number) == Some(&(2 * number))));
        drop(map);
        assert_eq!(pool.stats().live, 0);
    }
}

#[cfg(feature = "alloc-api")]
mod nightly {
    use std::alloc::Allocator;
    use std::collections::{BTreeMap, VecDeque};

    use super::*;

    type Vector<T, A> = Vec<T, A>;
    vector_model!(Vector, Allocator);

    map_model!(
        Allocator,
        store => BTreeMap::new_in(store),
        (map, step) => {
            let from = (step % 900) as u64;
            assert!(map.range(from..).next().is_none_or(|(key, _)| *key >= from));
            assert!(map.first_key_value() <= map.last_key_value());
        }
    );

    impl PartialEq for Told<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.number() == other.number()
        }
    }

    impl PartialOrd for Told<'_> {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            self.number().partial_cmp(&other.number())
        }
    }

    #[test]
    fn an_ordered_map_in_any_store_does_what_the_standard_librarys_does() {
        over_each!(maps);
    }

    fn queues<A: Allocator + Copy>(name: &str, store: A) {
        let (tally, model_tally) = (Tally::new(), Tally::new());
        let mut dice = Dice(0x2545_f491_4f6c_dd1d);
        let mut ours: VecDeque<Told<'_>, A> = VecDeque::new_in(store);
        let mut theirs: VecDeque<Told<'_>> = VecDeque::new();
        let mut sum = 0;
        for step in 0..20_000 {
            let at = dice.below(ours.len());
            match dice.below(16) {
                0..=3 if ours.len() < 1500 => {
                    ours.push_back(tally.make());
                    theirs.push_back(model_tally.make());
                }
                4..=6 if ours.len() < 1500 => {
                    ours.push_front(tally.make());
                    theirs.push_front(model_tally.make());
                }
                7 | 8 => assert_eq!(ours.pop_back().map(|t| t.number()), theirs.pop_back().map(|t| t.number())),
                9 | 10 => assert_eq!(ours.pop_front().map(|t| t.number()), theirs.pop_front().map(|t| t.number())),
                11 => assert_eq!(ours.remove(at).map(|t| t.number()), theirs.remove(at).map(|t| t.number())),
                12 if ours.len() < 1500 => {
                    ours.insert(at, tally.make());
                    theirs.insert(at, model_tally.make());
                }
                13 if !ours.is_empty() => {
                    ours.rotate_left(at);
                    theirs.rotate_left(at);
                }
                14 => {
                    ours.shrink_to_fit();
                    ours.make_contiguous();
                }
                _ => {
                    ours.reserve(100);
                    assert_eq!(ours.get(at).map(Told::number), theirs.get(at).map(Told::number), "{name}");
                }
            }
            if step % 64 == 0 {
                assert!(ours.iter().map(Told::number).eq(theirs.iter().map(Told::number)), "{name}");
            }
            assert_eq!(tally.alive(), model_tally.alive(), "{name}");
            sum += ours.len();
        }
        assert!(sum / 20_000 >= 300, "{name}: few values on average: {}", sum / 20_000);
        drop((ours, theirs));
        assert_eq!((tally.alive(), model_tally.alive()), (0, 0), "{name}");
    }

    #[test]
    fn a_queue_in_any_store_does_what_the_standard_librarys_does() {
        over_each!(queues);
    }

    #[test]
    fn a_queue_learns_that_its_store_is_full() {
        let pool = Pool::new_in(Layout::new::<[u64; 64]>(), Pages::new());
        let mut numbers: VecDeque<u64, _> = VecDeque::new_in(&pool);
        (0..50).for_each(|number| numbers.push_front(number));
        numbers.try_reserve_exact(15).expect_err("more than a cell has");
        numbers.try_reserve_exact(14).expect("a cell has room for 64");
        assert!(numbers.iter().copied().eq((0..50).rev()));
        drop(numbers);
        assert_eq!(pool.stats().live, 0);
    }
}

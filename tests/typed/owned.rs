//! `Owned`: one owner, over every store.

use std::fmt::Display;
use std::mem::MaybeUninit;

use kmem::{Cond, Fixed, Heap, Lin, Owned, Pages, Pool, Refused, Source, unsize};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::sources::{Any, each};
#[cfg(feature = "shred")]
use crate::sources::{NEEDLE, needles};
#[cfg(not(target_arch = "wasm32"))]
use crate::tally::panics;
use crate::tally::{Tally, Told};

#[test]
fn a_value_is_dropped_once_with_its_owner() {
    each(|name, source| {
        let tally = Tally::new();
        let first = Owned::new_in(tally.make(), &source).expect(name);
        let second = Owned::new_in(tally.make(), &source).expect(name);
        assert_eq!((first.number(), second.number(), tally.alive()), (0, 1, 2), "{name}");
        drop(first);
        assert_eq!((second.number(), tally.alive()), (1, 1), "{name}");
        drop(second);
        assert_eq!(tally.gone(), [0, 1], "{name}");
    });
}

#[test]
fn what_is_taken_out_is_the_callers() {
    each(|name, source| {
        let tally = Tally::new();
        let value = Owned::new_in(tally.make(), &source).expect(name).into_inner();
        assert_eq!((value.number(), tally.alive()), (0, 1), "{name}");
        let again = Owned::new_in(value, &source).expect(name);
        assert_eq!(again.number(), 0, "{name}");
        drop(again);
        assert_eq!(tally.gone(), [0], "{name}");
    });
}

#[test]
fn a_value_is_changed_through_its_owner() {
    each(|name, source| {
        let mut numbers = Owned::new_in([1_u64; 100], &source).expect(name);
        for (at, number) in numbers.iter_mut().enumerate() {
            *number = at as u64;
        }
        let mut other = Owned::new_in([7_u64; 100], &source).expect(name);
        std::mem::swap(&mut *numbers, &mut *other);
        assert!(other.iter().enumerate().all(|(at, number)| *number == at as u64), "{name}");
        std::mem::swap(&mut numbers, &mut other);
        drop(other);
        assert_eq!(numbers.iter().sum::<u64>(), 4950, "{name}");
    });
}

#[test]
fn a_leaked_value_stays_and_is_never_dropped() {
    let tally = Tally::new();
    let mut heap = Heap::new_in(Pages::new());
    let leaked = Owned::leak(Owned::new_in(tally.make(), &heap).expect("room"));
    let other = Owned::new_in([0xff_u8; 64], &heap).expect("room");
    assert_eq!((leaked.number(), heap.stats().live), (0, 2));
    drop(other);
    assert_eq!((leaked.number(), heap.stats().live), (0, 1));
    heap.destroy().expect("pages are taken back");
    assert_eq!((tally.alive(), heap.stats().held), (1, 0));
}

#[test]
fn a_handle_that_is_forgotten_costs_its_block_until_the_store_goes() {
    let tally = Tally::new();
    let heap = Heap::new_in(Pages::new());
    std::mem::forget(Owned::new_in(tally.make(), &heap));
    assert_eq!((tally.alive(), heap.stats().live), (1, 1));
    drop(heap);
    assert_eq!(tally.alive(), 1);
}

#[test]
fn a_handle_that_is_taken_apart_can_be_put_together() {
    each(|name, source| {
        let tally = Tally::new();
        let (value, from) = Owned::into_raw(Owned::new_in(tally.make(), &source).expect(name));
        assert_eq!(tally.alive(), 1, "{name}");
        // SAFETY: the handle was taken apart just before.
        let owned = unsafe { Owned::from_raw(value, from) };
        assert_eq!(owned.number(), 0, "{name}");
        drop(owned);
        assert_eq!(tally.alive(), 0, "{name}");
    });
}

#[test]
fn a_slice_is_made_in_order_and_dropped_in_order() {
    each(|name, source| {
        let tally = Tally::new();
        let slice = Owned::slice_in(20, |_| tally.make(), &source).expect(name);
        assert!(slice.iter().map(Told::number).eq(0..20), "{name}");
        drop(slice);
        assert_eq!(tally.gone(), (0..20).collect::<Vec<_>>(), "{name}");

        let none = Owned::slice_in(0, |_| tally.make(), &source).expect(name);
        assert!(none.is_empty() && tally.made() == 20, "{name}");
    });
}

#[test]
fn a_make_may_use_the_store_that_it_makes_in() {
    each(|name, source| {
        let tally = Tally::new();
        let nested = Owned::slice_in(8, |_| Owned::new_in(tally.make(), &source), &source).expect(name);
        let numbers: Vec<usize> = nested.iter().map(|inner| inner.as_ref().expect(name).number()).collect();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>(), "{name}");
        drop(nested);
        assert_eq!(tally.alive(), 0, "{name}");
    });
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_make_that_panics_leaves_nothing_behind() {
    each(|name, source| {
        let tally = Tally::new();
        let message = panics(|| {
            let make = |at| if at == 12 { panic!("no thirteenth") } else { tally.make() };
            Owned::slice_in(20, make, &source)
        });
        assert_eq!(message, "no thirteenth", "{name}");
        assert_eq!(tally.gone(), (0..12).collect::<Vec<_>>(), "{name}");
    });
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_destructor_that_panics_gives_the_block_back() {
    each(|name, source| {
        let tally = Tally::new();
        let value = Owned::new_in(tally.make(), &source).expect(name);
        tally.arm(0);
        assert!(panics(|| drop(value)).contains("value 0"), "{name}");

        let slice = Owned::slice_in(5, |_| tally.make(), &source).expect(name);
        tally.arm(3);
        assert!(panics(|| drop(slice)).contains("value 3"), "{name}");
        assert_eq!(tally.gone(), [0, 1, 2, 3, 4, 5], "{name}");

        let value = Owned::new_in(tally.make(), &source).expect(name);
        tally.arm(6);
        assert!(panics(|| drop(value.into_inner())).contains("value 6"), "{name}");
        assert_eq!(tally.alive(), 0, "{name}");
    });
}

#[test]
fn a_string_is_copied() {
    each(|name, source| {
        let mut text = Owned::str_in("größer als nichts", &source).expect(name);
        text.make_ascii_uppercase();
        assert_eq!((&*text, format!("{text} {text:?}").len()), ("GRößER ALS NICHTS", 2 * text.len() + 3), "{name}");
        assert_eq!(Owned::str_in("", &source).expect(name).len(), 0, "{name}");
    });
}

/// Something with a method, a destructor, and an alignment of its own.
trait Speaks {
    fn speak(&self) -> String;
}

#[derive(Debug)]
#[repr(align(128))]
struct Loud<'t>(Told<'t>);

impl Speaks for Loud<'_> {
    fn speak(&self) -> String {
        assert!((&raw const *self).addr().is_multiple_of(128));
        format!("LOUD {}", self.0.number())
    }
}

impl Speaks for Told<'_> {
    fn speak(&self) -> String {
        format!("told {}", self.number())
    }
}

#[test]
fn a_trait_object_keeps_its_value() {
    each(|name, source| {
        let tally = Tally::new();
        let told: Owned<'_, dyn Speaks + '_, Any<'_>> =
            unsize!(Owned::new_in(tally.make(), &source).expect(name), dyn Speaks);
        let loud: Owned<'_, dyn Speaks + '_, Any<'_>> =
            unsize!(Owned::new_in(Loud(tally.make()), &source).expect(name), dyn Speaks);
        assert_eq!((told.speak(), loud.speak()), ("told 0".to_owned(), "LOUD 1".to_owned()), "{name}");
        drop((loud, told));
        assert_eq!(tally.gone(), [1, 0], "{name}");
    });
}

#[test]
fn a_slice_can_be_made_of_an_array_and_a_slice_of_slices() {
    each(|name, source| {
        let tally = Tally::new();
        let array = [tally.make(), tally.make(), tally.make()];
        let slice: Owned<'_, [Told<'_>], _> = unsize!(Owned::new_in(array, &source).expect(name), [Told<'_>]);
        assert_eq!((slice.len(), slice[2].number()), (3, 2), "{name}");
        drop(slice);
        assert_eq!(tally.gone(), [0, 1, 2], "{name}");
    });
}

/// No bytes, but a destructor.
#[derive(Debug)]
struct Nothing<'t>(std::marker::PhantomData<&'t Tally>);

thread_local! {
    static NOTHINGS: std::cell::Cell<isize> = const { std::cell::Cell::new(0) };
}

impl Drop for Nothing<'_> {
    fn drop(&mut self) {
        NOTHINGS.set(NOTHINGS.get() - 1);
    }
}

impl Display for Nothing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing")
    }
}

#[test]
fn a_value_without_bytes_has_an_address_of_its_own() {
    let make = || {
        NOTHINGS.set(NOTHINGS.get() + 1);
        Nothing(std::marker::PhantomData)
    };
    each(|name, source| {
        NOTHINGS.set(0);
        let many: Vec<_> = (0..10).map(|_| Owned::new_in(make(), &source).expect(name)).collect();
        let mut places: Vec<usize> = many.iter().map(|one| (&raw const **one).addr()).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!((places.len(), NOTHINGS.get()), (10, 10), "{name}");
        drop(many);
        let slice = Owned::slice_in(1000, |_| make(), &source).expect(name);
        assert_eq!((slice.len(), NOTHINGS.get()), (1000, 1000), "{name}");
        drop(slice);
        let shown: Owned<'_, dyn Display, _> = unsize!(Owned::new_in(make(), &source).expect(name), dyn Display);
        assert_eq!(shown.to_string(), "nothing", "{name}");
        drop(shown);
        assert_eq!(NOTHINGS.get(), 0, "{name}");
    });
}

#[derive(Debug)]
#[repr(align(4096))]
struct Aligned([u8; 100]);

#[test]
fn a_value_has_the_alignment_of_its_type() {
    let heap = Heap::new_in(Pages::new());
    let lin = Lin::new_in(&heap);
    let sources: [Any<'_>; 3] = [&heap, &lin, &Pages::new()];
    for source in sources {
        let values: Vec<_> = (0_u8..9).map(|n| Owned::new_in(Aligned([n; 100]), &source).expect("room")).collect();
        for (number, value) in values.iter().enumerate() {
            assert!((&raw const **value).addr().is_multiple_of(4096));
            assert!(value.0.iter().all(|byte| usize::from(*byte) == number));
        }
    }
    let cell = std::alloc::Layout::new::<[u8; 64]>();
    let pool = Pool::new_in(cell, &heap);
    let refused = Owned::new_in(Aligned([7; 100]), &pool).map(drop).expect_err("more than a cell has");
    assert_eq!((refused.cond, refused.value.0[99]), (Cond::BadSize, 7));
}

#[test]
fn what_is_refused_comes_back() {
    let tally = Tally::new();
    let mut bytes = [MaybeUninit::uninit(); 8 * size_of::<Told<'_>>()];
    let fixed = Fixed::new(&mut bytes);
    let mut kept = Vec::new();
    let refused = loop {
        match Owned::new_in(tally.make(), &fixed) {
            Ok(owned) => kept.push(owned),
            Err(refused) => break refused,
        }
    };
    assert_eq!((refused.cond, refused.value.number()), (Cond::NoRoom, kept.len()));
    assert_eq!(tally.alive(), kept.len() + 1);
    assert_eq!(refused.to_string(), Cond::NoRoom.to_string());
    drop(refused);

    let place = |value| -> Result<(), Cond> { Owned::new_in(value, &fixed).map(drop).map_err(Cond::from) };
    assert_eq!(place(tally.make()), Err(Cond::NoRoom));
    assert_eq!(Owned::slice_in(100, |_| tally.make(), &fixed).map(drop), Err(Cond::NoRoom));
    assert_eq!(Owned::slice_in(usize::MAX, |_| tally.make(), &fixed).map(drop), Err(Cond::BadSize));
    assert_eq!(Owned::str_in(&"x".repeat(1000), &fixed).map(drop), Err(Cond::NoRoom));
    assert_eq!(tally.alive(), kept.len());
    drop(kept);
    assert_eq!(tally.alive(), 0);
    let no_memory: Result<Owned<'_, [u8; 64], Fixed<'_>>, Refused<[u8; 64]>> = Owned::new_in([0; 64], &fixed);
    drop(no_memory);
}

#[cfg(feature = "shred")]
/// What is left in a fixed store's bytes after a value full of needles went in a certain way.
fn left_by(go: impl Fn(Any<'_>)) -> [usize; 3] {
    let mut room = [[MaybeUninit::new(0_u8); 8192]; 3];
    let [heap, pool, lin] = &mut room;
    go(&Heap::fixed(heap));
    go(&Pool::fixed(std::alloc::Layout::new::<[u64; 64]>(), pool));
    go(&Lin::fixed(lin));
    room.map(|bytes| needles(&bytes))
}

#[cfg(feature = "shred")]
#[test]
fn a_shredded_value_leaves_no_byte() {
    fn place<'s>(source: &'s Any<'s>) -> Owned<'s, [u8; 500], Any<'s>> {
        Owned::new_in([NEEDLE; 500], source).expect("room")
    }
    let plainly = left_by(|source| drop(place(&source)));
    assert!(plainly.iter().all(|left| *left > 400), "the test would see them: {plainly:?}");
    assert_eq!(left_by(|source| Owned::shred(place(&source)).expect("taken back")), [0; 3]);
    assert_eq!(
        left_by(|source| {
            Owned::shred(Owned::slice_in(30, |_| [NEEDLE; 16], &source).expect("room")).expect("taken back");
            let bytes: Owned<'_, [u8], _> = unsize!(place(&source), [u8]);
            Owned::shred(bytes).expect("taken back");
        }),
        [0; 3]
    );
}

#[cfg(feature = "shred")]
#[test]
fn a_shredded_value_is_dropped_first() {
    each(|name, source| {
        let tally = Tally::new();
        Owned::shred(Owned::new_in(tally.make(), &source).expect(name)).expect(name);
        assert_eq!(tally.gone(), [0], "{name}");
    });
}

#[cfg(all(feature = "shred", not(target_arch = "wasm32")))]
#[test]
fn a_destructor_that_panics_does_not_save_the_bytes() {
    struct Secret([u8; 400]);
    impl Drop for Secret {
        fn drop(&mut self) {
            panic!("not now");
        }
    }
    let left = left_by(|source| {
        let value = Owned::new_in(Secret([NEEDLE; 400]), &source).map_err(std::mem::forget).expect("room");
        assert_eq!(value.0[0], NEEDLE);
        assert_eq!(panics(|| Owned::shred(value)), "not now");
        let again = Owned::new_in([0_u8; 256], &source).expect("the block came back");
        drop(again);
    });
    assert_eq!(left, [0; 3]);
}

/// A list as long as this is dropped by as many destructors inside each other.
struct Link<'s> {
    rest: Option<Owned<'s, Link<'s>, Heap<Pages>>>,
}

#[test]
fn values_can_own_values_in_the_same_store() {
    let heap = Heap::new_in(Pages::new());
    let mut list = None;
    for _ in 0..1000 {
        list = Some(Owned::new_in(Link { rest: list.take() }, &heap).map_err(|_| ()).expect("room"));
    }
    let mut length = 0;
    let mut at = list.as_ref();
    while let Some(link) = at {
        length += 1;
        at = link.rest.as_ref();
    }
    assert_eq!((length, heap.stats().live), (1000, 1000));
    drop(list);
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn values_of_all_sizes_come_and_go_in_any_order() {
    each(|name, source| {
        let tally = Tally::new();
        let mut random = 0x1234_5678_u32;
        let mut below = |most: usize| {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random as usize % most
        };
        let mut values: Vec<Owned<'_, [Told<'_>], Any<'_>>> = Vec::new();
        let mut sum = 0;
        for _ in 0..1500 {
            if values.len() < 300 || below(2) == 0 {
                let len = below(40);
                values.push(Owned::slice_in(len, |_| tally.make(), &source).expect(name));
            } else {
                drop(values.swap_remove(below(values.len())));
            }
            sum += values.len();
            if let Some(last) = values.last() {
                last.iter().for_each(|told| assert!(told.number() < tally.made()));
            }
        }
        assert!(sum / 1500 > 200, "{name}");
        assert_eq!(values.iter().map(|slice| slice.len()).sum::<usize>(), tally.alive(), "{name}");
        for told in values.iter().flat_map(|slice| slice.iter()) {
            told.number();
        }
        drop(values);
        assert_eq!(tally.alive(), 0, "{name}");
    });
}

/// Only has to compile: an owner of something long-lived does where a shorter life is enough.
#[allow(dead_code, reason = "it is the type checker that runs it")]
fn an_owner_is_covariant<'short, S: Source>(owned: Owned<'short, &'static str, S>) -> Owned<'short, &'short str, S> {
    owned
}

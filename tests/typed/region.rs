//! Values in a region, and scopes.

use std::alloc::Layout;
use std::mem::MaybeUninit;

use kmem::platform::{Counted, Native};
use kmem::{Cond, Fixed, Headers, Heap, Layer, Lin, Owned, Pages, Pool, Ref, Scope, Source};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(feature = "shred")]
use crate::sources::{NEEDLE, needles};
use crate::tally::Tally;
#[cfg(not(target_arch = "wasm32"))]
use crate::tally::panics;

/// Runs a test with a region of both layers.
macro_rules! both {
    ($lin:ident => $test:expr) => {{
        let mut $lin: Lin<_> = Lin::new_in(Pages::new());
        $test;
        let mut $lin: Lin<_, Headers> = Lin::with_headers_in(Pages::new());
        $test;
    }};
}

fn bytes<S: Source, H: Layer>(lin: &Lin<S, H>) -> usize {
    lin.check().expect("the region is whole");
    lin.stats().bytes
}

fn values_stay_apart<S: Source, H: Layer>(lin: &mut Lin<S, H>) {
    for _ in 0..3 {
        let one = lin.put(1_u64).expect("room");
        let slice = lin.put_slice(1000, |at| at).expect("room");
        let text = lin.put_str("größer").expect("room");
        let other = lin.put([2_u8; 3]).expect("room");
        *one += 10;
        slice.iter_mut().for_each(|number| *number *= 2);
        text.make_ascii_uppercase();
        other[1] = 7;
        assert!(slice.iter().enumerate().all(|(at, number)| *number == 2 * at));
        assert_eq!((*one, &*text, *other), (11, "GRößER", [2, 7, 2]));
        assert_eq!(lin.put_slice(0, |_| 1_u128).expect("room").len(), 0);
        assert_eq!(lin.put_str("").expect("room"), "");
        lin.reset();
        assert_eq!(bytes(lin), 0);
    }
}

#[test]
fn values_that_are_placed_can_be_used_together() {
    both!(lin => values_stay_apart(&mut lin));
}

#[derive(Debug)]
#[repr(align(1024))]
struct Wide(#[allow(dead_code, reason = "only its size and alignment matter")] u8);

fn alignment_is_kept<S: Source, H: Layer>(lin: &mut Lin<S, H>) {
    for _ in 0..20 {
        lin.put(1_u8).expect("room");
        assert!((&raw const *lin.put(Wide(1)).expect("room")).addr().is_multiple_of(1024));
        lin.scope(|scope| {
            scope.put(1_u8).expect("room");
            assert!((&raw const *scope.put(Wide(1)).expect("room")).addr().is_multiple_of(1024));
            let places = [(); 3].map(|()| (&raw const *scope.put(()).expect("room")).addr());
            assert!(places[0] < places[1] && places[1] < places[2], "{places:?}");
        });
    }
    lin.check().expect("the region is whole");
}

#[test]
fn values_have_the_alignment_of_their_types() {
    both!(lin => alignment_is_kept(&mut lin));
}

fn a_scope_leaves_nothing<S: Source, H: Layer>(lin: &mut Lin<S, H>) {
    let below = *lin.put(7).expect("room");
    let before = bytes(lin);
    let held = lin.scope(|scope| {
        let numbers = scope.put_slice(2000, |at| at + below).expect("room");
        let text = scope.put_str("inside").expect("room");
        let one = scope.put(numbers.iter().sum::<usize>()).expect("room");
        *one + text.len()
    });
    assert_eq!((held, bytes(lin)), (2000 * 1999 / 2 + 7 * 2000 + 6, before));
}

#[test]
fn what_is_placed_in_a_scope_goes_with_it() {
    both!(lin => a_scope_leaves_nothing(&mut lin));
}

fn scopes_nest<S: Source, H: Layer>(lin: &mut Lin<S, H>) {
    fn dive<S: Source, H: Layer>(mut scope: Scope<'_, S, H>, depth: usize) -> usize {
        let mine = scope.put([depth; 50]).expect("room");
        let mut sum = 0;
        if depth > 0 {
            for _ in 0..2 {
                sum += scope.scope(|inner| dive(inner, depth - 1));
            }
        }
        // What the inner scopes placed lay behind this and is gone; this is as it was.
        let after = scope.put(sum).expect("room");
        assert!(mine.iter().all(|number| *number == depth));
        *after + 1
    }
    let nodes = lin.scope(|scope| dive(scope, 10));
    assert_eq!((nodes, bytes(lin)), ((1 << 11) - 1, 0));
}

#[test]
fn a_scope_within_a_scope_leaves_the_outer_as_it_was() {
    both!(lin => scopes_nest(&mut lin));
}

#[test]
fn values_of_a_scope_may_refer_to_each_other() {
    struct Link<'a> {
        number: u32,
        rest: Option<&'a Link<'a>>,
    }
    let mut lin = Lin::new_in(Pages::new());
    let sum = lin.scope(|scope| {
        let mut list: Option<&Link<'_>> = None;
        for number in 0..1000 {
            list = Some(scope.put(Link { number, rest: list }).map_err(|_| ()).expect("room"));
        }
        std::iter::successors(list, |link| link.rest).map(|link| link.number).sum::<u32>()
    });
    assert_eq!((sum, bytes(&lin)), (499_500, 0));
}

#[cfg(not(target_arch = "wasm32"))]
fn panics_rewind<S: Source, H: Layer>(lin: &mut Lin<S, H>) {
    let tally = Tally::new();
    lin.put([1_u8; 100]).expect("room");
    let before = bytes(lin);
    let message = panics(|| {
        lin.scope(|mut scope| {
            let told = Owned::new_in(tally.make(), &scope).expect("room");
            scope.put_slice(5000, |at| at).expect("room");
            assert_eq!(told.number(), 0);
            drop(told);
            scope.scope(|inner| {
                let _told = Owned::new_in(tally.make(), &inner).expect("room");
                inner.put_slice(10, |at| if at == 5 { panic!("half way") } else { at }).expect("room");
            });
        });
    });
    assert_eq!((message.as_str(), bytes(lin), tally.alive()), ("half way", before, 0));
    // In the outer scope a panic of the inner one can be caught, and it goes on.
    let answer = lin.scope(|mut scope| {
        let mine = scope.put([7_u64; 64]).expect("room");
        panics(|| {
            scope.scope(|inner| {
                inner.put([8_u64; 64]).expect("room");
                panic!("caught");
            });
        });
        let other = scope.put([9_u64; 64]).expect("room");
        mine.iter().zip(other).map(|(one, other)| one * *other).sum::<u64>()
    });
    assert_eq!((answer, bytes(lin)), (64 * 63, before));
    // And without a scope, what a panicking `make` left is there until the next reset.
    panics(|| lin.put_slice(10, |at| if at == 5 { panic!("half way") } else { at }).map(|slice| slice.len()));
    lin.check().expect("the region is whole");
    lin.reset();
    assert_eq!(bytes(lin), 0);
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_scope_is_rewound_when_it_panics() {
    both!(lin => panics_rewind(&mut lin));
}

#[test]
fn a_make_may_place_in_the_same_region() {
    let mut lin = Lin::with_headers_in(Pages::new());
    let slices = lin.put_slice(10, |len| lin.put_slice(len, |at| at).map(|slice| &*slice)).expect("room");
    for (len, slice) in slices.iter().enumerate() {
        assert!(slice.as_ref().expect("room").iter().copied().eq(0..len));
    }
    lin.scope(|scope| {
        let slices = scope.put_slice(10, |len| scope.put_slice(len, |at| at).map(|slice| &*slice)).expect("room");
        assert!(slices.iter().enumerate().all(|(len, slice)| slice.as_ref().is_ok_and(|slice| slice.len() == len)));
    });
    lin.check().expect("the region is whole");
}

fn a_scope_is_a_source<S: Source, H: Layer>(lin: &mut Lin<S, H>) {
    let tally = Tally::new();
    let before = bytes(lin);
    lin.scope(|mut scope| {
        {
            let one = Owned::new_in(tally.make(), &scope).expect("room");
            let text: Ref<'_, str, _> = Ref::str_in("counted", &scope).expect("room");
            let pool = Pool::new_in(Layout::new::<[u64; 8]>(), &scope);
            let heap = Heap::new_in(&scope);
            let many: Vec<_> = (0..50).map(|_| Owned::new_in(tally.make(), &heap).expect("room")).collect();
            let cells: Vec<_> = (0..50_u64).map(|n| Owned::new_in([n; 8], &pool).expect("room")).collect();
            assert!(many.iter().enumerate().all(|(at, told)| told.number() == at + 1));
            assert!(cells.iter().zip(0..).all(|(cell, number)| cell[7] == number));
            assert_eq!((one.number(), &*text), (0, "counted"));
        }
        assert_eq!((tally.made(), tally.alive()), (51, 0));
        // Behind handles that were forgotten, the scope goes on.
        std::mem::forget(Owned::new_in(tally.make(), &scope));
        scope.scope(|inner| std::mem::forget(Owned::new_in(tally.make(), &inner)));
        scope.put(7).expect("room");
    });
    assert_eq!((tally.alive(), bytes(lin)), (2, before));
    // A scope can also be given away to a store, which ends within it.
    lin.scope(|scope| {
        let heap = Heap::new_in(scope);
        assert_eq!(*Owned::new_in(7, &heap).expect("room"), 7);
    });
    assert_eq!(bytes(lin), before);
}

#[test]
fn stores_and_handles_live_in_a_scope() {
    both!(lin => a_scope_is_a_source(&mut lin));
}

#[test]
fn marks_within_and_around_a_scope_do_not_meet() {
    let mut lin = Lin::with_headers_in(Pages::new());
    let mark = lin.mark().expect("room");
    lin.put(7).expect("room");
    lin.scope(|scope| {
        scope.put(8).expect("room");
    });
    // SAFETY: what was placed since the mark is used no more.
    unsafe { lin.rewind(mark) }.expect("the mark is still good");
    assert_eq!(bytes(&lin), 0);
    // SAFETY: as above.
    assert_eq!(unsafe { lin.rewind(mark) }, Err(Cond::BadAddress));
}

#[test]
fn a_warm_region_asks_its_source_for_nothing() {
    let pages = Counted::new(Native);
    let mut lin = Lin::new_in(Pages::over(&pages));
    let round = |lin: &mut Lin<_>| {
        lin.scope(|scope| {
            (0..5000_u64).for_each(|number| *scope.put([number; 4]).expect("room") = [0; 4]);
        });
    };
    round(&mut lin);
    let calls = pages.calls();
    (0..5).for_each(|_| round(&mut lin));
    assert_eq!(pages.calls(), calls);
    lin.destroy().expect("pages are taken back");
    assert_eq!((pages.mapped(), lin.stats().held), (0, 0));
    round(&mut lin);
    drop(lin);
    assert_eq!(pages.mapped(), 0);
}

#[test]
fn what_is_refused_comes_back() {
    let mut room = [MaybeUninit::uninit(); 1024];
    let mut lin: Lin<Fixed<'_>> = Lin::fixed(&mut room);
    assert_eq!(lin.put([7_u8; 4096]).expect_err("no room").value[4095], 7);
    let refused = lin.scope(|scope| {
        let mut number = 0_u64;
        loop {
            match scope.put([number; 8]) {
                Ok(_) => number += 1,
                Err(refused) => break refused,
            }
        }
    });
    assert!(refused.cond == Cond::NoRoom && refused.value[7] > 5);
    assert_eq!(lin.put_slice(usize::MAX, |_| 1_u16).map(|_| ()), Err(Cond::BadSize));
    assert_eq!(lin.put_str(&"x".repeat(2000)).map(|_| ()), Err(Cond::NoRoom));
    assert_eq!(lin.scope(|scope| scope.put_str(&"x".repeat(2000)).map(|_| ())), Err(Cond::NoRoom));
    lin.put_slice(100, |at| at as u64).expect("what was refused took nothing");
}

#[cfg(feature = "shred")]
#[test]
fn a_tainted_regions_scope_leaves_no_byte() {
    let mut room = [MaybeUninit::new(0_u8); 8192];
    let mut lin = Lin::fixed(&mut room);
    lin.taint();
    lin.scope(|scope| {
        assert_eq!(scope.put([NEEDLE; 3000]).expect("room")[2999], NEEDLE);
        drop(Owned::new_in([NEEDLE; 300], &scope));
    });
    drop(lin);
    assert_eq!(needles(&room), 0);
}

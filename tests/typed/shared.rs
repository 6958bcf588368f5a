//! `Ref`, `AtomicRef` and their weak references, on one thread.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::rc;

use kmem::{Atomic, AtomicRef, Cond, Count, Heap, Pages, Plain, Ref, Refused, Shared, Weak, WeakShared, unsize};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::sources::{Any, each};
#[cfg(not(target_arch = "wasm32"))]
use crate::tally::panics;
use crate::tally::{Tally, Told};

type One<'s, T, C> = Shared<'s, T, Any<'s>, C>;

fn the_last_reference_drops<C: Count>() {
    each(|name, source| {
        let tally = Tally::new();
        let one: One<'_, _, C> = Shared::new_in(tally.make(), &source).expect(name);
        let two = one.clone();
        let three = Shared::try_clone(&two).expect(name);
        assert_eq!((Shared::count(&one), Shared::weak_count(&one), three.number()), (3, 0, 0), "{name}");
        assert!(Shared::ptr_eq(&one, &three));
        drop(one);
        drop(three);
        assert_eq!((Shared::count(&two), tally.alive()), (1, 1), "{name}");
        drop(two);
        assert_eq!(tally.gone(), [0], "{name}");
    });
}

#[test]
fn a_value_goes_with_its_last_reference() {
    the_last_reference_drops::<Plain>();
    the_last_reference_drops::<Atomic>();
}

fn weak_ones_keep_the_block<C: Count>() {
    let tally = Tally::new();
    let heap = Heap::new_in(Pages::new());
    let strong: Shared<'_, _, _, C> = Shared::new_in(tally.make(), &heap).expect("room");
    let weak = Shared::downgrade(&strong).expect("countable");
    let other = weak.clone();
    assert_eq!((Shared::count(&strong), Shared::weak_count(&strong)), (1, 2));
    let again = weak.upgrade().expect("the value is there");
    assert_eq!(Shared::count(&again), 2);
    drop(strong);
    assert_eq!((again.number(), tally.alive()), (0, 1));
    drop(again);
    // The value has gone, its block is kept by those that may look.
    assert_eq!((tally.alive(), heap.stats().live), (0, 1));
    assert!(weak.upgrade().is_none() && other.upgrade().is_none());
    drop(weak);
    assert_eq!(heap.stats().live, 1);
    assert!(other.clone().upgrade().is_none());
    drop(other);
    assert_eq!(heap.stats().live, 0);
}

#[test]
fn a_weak_reference_keeps_the_block_and_not_the_value() {
    weak_ones_keep_the_block::<Plain>();
    weak_ones_keep_the_block::<Atomic>();
}

fn only_the_only_one_may_change<C: Count>() {
    each(|name, source| {
        let mut one: One<'_, _, C> = Shared::new_in(7, &source).expect(name);
        *Shared::get_mut(&mut one).expect(name) += 1;
        let two = one.clone();
        assert!(Shared::get_mut(&mut one).is_none(), "{name}: it is shared");
        drop(two);
        let weak = Shared::downgrade(&one).expect(name);
        assert!(Shared::get_mut(&mut one).is_none(), "{name}: a weak one could become a strong one");
        // Looking must not have left the count closed.
        let other = Shared::downgrade(&one).expect(name);
        assert_eq!((Shared::count(&one), Shared::weak_count(&one)), (1, 2), "{name}");
        drop((weak, other));
        *Shared::get_mut(&mut one).expect(name) += 1;
        assert_eq!((*one, Shared::weak_count(&one)), (9, 0), "{name}");
    });
}

#[test]
fn a_value_is_changed_by_the_only_reference_alone() {
    only_the_only_one_may_change::<Plain>();
    only_the_only_one_may_change::<Atomic>();
}

/// A part that knows what it belongs to, without keeping it.
struct Part<'s, 't> {
    told: Told<'t>,
    owner: RefCell<Option<Weak<'s, Part<'s, 't>, Heap<Pages>>>>,
    parts: RefCell<Vec<Ref<'s, Part<'s, 't>, Heap<Pages>>>>,
}

impl<'t> Part<'_, 't> {
    fn new(tally: &'t Tally) -> Self {
        Self { told: tally.make(), owner: RefCell::new(None), parts: RefCell::default() }
    }
}

#[test]
fn a_cycle_with_a_weak_link_goes_as_a_whole() {
    let tally = Tally::new();
    let heap = Heap::new_in(Pages::new());
    let whole = Ref::new_in(Part::new(&tally), &heap).map_err(|_| ()).expect("room");
    for _ in 0..10 {
        let part = Ref::new_in(Part::new(&tally), &heap).map_err(|_| ()).expect("room");
        *part.owner.borrow_mut() = Some(Ref::downgrade(&whole).expect("countable"));
        whole.parts.borrow_mut().push(part);
    }
    let part = whole.parts.borrow()[4].clone();
    let owner = part.owner.borrow().as_ref().and_then(Weak::upgrade).expect("it is there");
    assert!(Ref::ptr_eq(&owner, &whole));
    assert_eq!((Ref::count(&whole), Ref::weak_count(&whole)), (2, 10));
    drop(owner);
    drop(whole);
    // The part that is still held lives on, and its owner is no more to be had.
    assert_eq!((tally.alive(), part.told.number()), (1, 5));
    assert!(part.owner.borrow().as_ref().is_some_and(|owner| owner.upgrade().is_none()));
    drop(part);
    assert_eq!((tally.alive(), heap.stats().live), (0, 0));
    assert_eq!(tally.gone()[0], 0, "the owner goes before its parts");
}

/// A value that keeps itself.
struct Knot<'s, 't> {
    _told: Told<'t>,
    itself: RefCell<Option<Ref<'s, Knot<'s, 't>, Heap<Pages>>>>,
}

#[test]
fn a_cycle_of_strong_links_leaks_and_does_no_harm() {
    let tally = Tally::new();
    let heap = Heap::new_in(Pages::new());
    let knot = Knot { _told: tally.make(), itself: RefCell::new(None) };
    let one = Ref::new_in(knot, &heap).map_err(|_| ()).expect("room");
    *one.itself.borrow_mut() = Some(one.clone());
    drop(one);
    assert_eq!((tally.alive(), heap.stats().live), (1, 1));
    heap.check().expect("the heap is whole");
    drop(heap);
    assert_eq!(tally.alive(), 1);
}

/// A value that asks for itself when it goes.
struct Curious<'s> {
    itself: RefCell<Option<Weak<'s, Curious<'s>, Heap<Pages>>>>,
    answer: &'s Cell<Option<bool>>,
}

impl Drop for Curious<'_> {
    fn drop(&mut self) {
        let itself = self.itself.take();
        self.answer.set(itself.as_ref().map(|weak| weak.upgrade().is_some()));
        let more: Vec<_> = (0..10).map(|_| itself.clone()).collect();
        drop(itself);
        assert!(more.iter().flatten().all(|weak| weak.upgrade().is_none()));
    }
}

#[test]
fn a_value_that_goes_cannot_be_had_again() {
    let answer = Cell::new(None);
    let heap = Heap::new_in(Pages::new());
    let one =
        Ref::new_in(Curious { itself: RefCell::new(None), answer: &answer }, &heap).map_err(|_| ()).expect("room");
    *one.itself.borrow_mut() = Some(Ref::downgrade(&one).expect("countable"));
    assert!(one.itself.borrow().as_ref().is_some_and(|weak| weak.upgrade().is_some()));
    drop(one);
    assert_eq!((answer.get(), heap.stats().live), (Some(false), 0));
}

#[test]
fn strings_and_slices_are_copied() {
    each(|name, source| {
        let text: Ref<'_, str, _> = Ref::str_in("größer als nichts", &source).expect(name);
        let numbers: AtomicRef<'_, [u64], _> = AtomicRef::slice_in(&[1, 2, 3], &source).expect(name);
        let (also, weak) = (text.clone(), AtomicRef::downgrade(&numbers).expect(name));
        drop(text);
        assert_eq!(
            (&*also, format!("{also}{also:?}{weak:?}")),
            ("größer als nichts", "größer als nichts\"größer als nichts\"Weak".to_owned())
        );
        assert_eq!(weak.upgrade().as_deref(), Some(&[1, 2, 3][..]), "{name}");
        drop(numbers);
        assert!(weak.upgrade().is_none(), "{name}");
        let empty: Ref<'_, str, _> = Ref::str_in("", &source).expect(name);
        let none: Ref<'_, [u64], _> = Ref::slice_in(&[], &source).expect(name);
        assert_eq!((empty.len(), none.len()), (0, 0), "{name}");
    });
}

#[repr(align(256))]
struct Wide<'t>(Told<'t>, [u8; 300]);

impl Display for Wide<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        assert!((&raw const *self).addr().is_multiple_of(256));
        write!(f, "{} {}", self.0.number(), self.1[299])
    }
}

fn unsized_ones_go_whole<C: Count>() {
    // The value goes first and the block later, by a weak reference that only has the metadata.
    each(|name, source| {
        let tally = Tally::new();
        let wide: One<'_, _, C> = Shared::new_in(Wide(tally.make(), [9; 300]), &source).map_err(|_| ()).expect(name);
        let sized = wide.clone();
        let shown: One<'_, dyn Display + '_, C> = unsize!(wide, dyn Display);
        assert_eq!((shown.to_string(), Shared::count(&shown)), ("0 9".to_owned(), 2), "{name}");
        let weak: WeakShared<'_, dyn Display, _, C> = Shared::downgrade(&shown).expect(name);
        drop(sized);
        drop(shown);
        assert!(weak.upgrade().is_none() && tally.alive() == 0, "{name}");
        drop(weak);

        let array: One<'_, _, C> = Shared::new_in([tally.make(), tally.make()], &source).expect(name);
        let slice: One<'_, [Told<'_>], C> = unsize!(array, [Told<'_>]);
        assert_eq!(slice[1].number(), 2, "{name}");
        drop(slice);
        assert_eq!(tally.gone(), [0, 1, 2], "{name}");
    });
}

#[test]
fn a_trait_object_is_counted_like_its_value() {
    unsized_ones_go_whole::<Plain>();
    unsized_ones_go_whole::<Atomic>();
}

#[test]
fn values_without_bytes_are_counted_each() {
    each(|name, source| {
        let one: Ref<'_, (), _> = Ref::new_in((), &source).expect(name);
        let other: Ref<'_, (), _> = Ref::new_in((), &source).expect(name);
        let also = one.clone();
        assert!(Ref::ptr_eq(&one, &also) && !Ref::ptr_eq(&one, &other), "{name}");
        assert_eq!((Ref::count(&one), Ref::count(&other)), (2, 1), "{name}");
    });
}

#[test]
fn what_is_refused_comes_back() {
    let tally = Tally::new();
    let heap = Heap::new_in(Pages::new()).limit(0);
    let refused: Refused<Told<'_>> =
        Ref::new_in(tally.make(), &heap).map(|told: Ref<'_, _, _>| drop(told)).expect_err("no room");
    assert_eq!((refused.cond, refused.value.number(), tally.alive()), (Cond::NoRoom, 0, 1));
    drop(refused);
    let text: Result<AtomicRef<'_, str, _>, Cond> = AtomicRef::str_in("text", &heap);
    assert_eq!(text.map(drop), Err(Cond::NoRoom));
    assert_eq!(tally.alive(), 0);
}

#[cfg(not(target_arch = "wasm32"))]
fn a_panic_gives_the_block_back<C: Count>() {
    each(|name, source| {
        let tally = Tally::new();
        let one: One<'_, _, C> = Shared::new_in(tally.make(), &source).expect(name);
        tally.arm(0);
        assert!(panics(|| drop(one)).contains("value 0"), "{name}");
        // With a weak reference left, it takes the block along.
        let two: One<'_, _, C> = Shared::new_in(tally.make(), &source).expect(name);
        let weak = Shared::downgrade(&two).expect(name);
        tally.arm(1);
        assert!(panics(|| drop(two)).contains("value 1"), "{name}");
        assert!(weak.upgrade().is_none() && tally.alive() == 0, "{name}");
    });
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_destructor_that_panics_gives_the_block_back() {
    a_panic_gives_the_block_back::<Plain>();
    a_panic_gives_the_block_back::<Atomic>();
}

/// Beside the standard library's, through the same random calls.
fn counts_agree_with_rcs<C: Count>(seed: u32) {
    let mut random = seed;
    let mut below = |most: usize| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random as usize % most
    };
    let (tally, model) = (Tally::new(), Tally::new());
    let heap = Heap::new_in(Pages::new());
    let mut strong: Vec<(Shared<'_, _, _, C>, rc::Rc<Told<'_>>)> = Vec::new();
    let mut weak: Vec<(WeakShared<'_, _, _, C>, rc::Weak<Told<'_>>)> = Vec::new();
    let mut sum = 0;
    for _ in 0..20_000 {
        match below(10) {
            0 | 1 => strong.push((Shared::new_in(tally.make(), &heap).expect("room"), rc::Rc::new(model.make()))),
            2 | 3 if !strong.is_empty() => {
                let at = below(strong.len());
                strong.push(strong[at].clone());
            }
            4 if !strong.is_empty() => {
                let (ours, theirs) = &strong[below(strong.len())];
                weak.push((Shared::downgrade(ours).expect("countable"), rc::Rc::downgrade(theirs)));
            }
            5 if !weak.is_empty() => {
                let (ours, theirs) = &weak[below(weak.len())];
                let both = (ours.upgrade(), theirs.upgrade());
                assert_eq!(both.0.is_some(), both.1.is_some());
                if let (Some(ours), Some(theirs)) = both {
                    strong.push((ours, theirs));
                }
            }
            6 if !weak.is_empty() => drop(weak.swap_remove(below(weak.len()))),
            7 if !strong.is_empty() => {
                let at = below(strong.len());
                let (ours, theirs) = &mut strong[at];
                assert_eq!(Shared::get_mut(ours).is_some(), rc::Rc::get_mut(theirs).is_some());
            }
            _ if !strong.is_empty() && (strong.len() > 350 || below(3) == 0) => {
                drop(strong.swap_remove(below(strong.len())));
            }
            _ => {}
        }
        if let Some((ours, theirs)) = strong.last() {
            assert_eq!(ours.number(), theirs.number());
            assert_eq!(Shared::count(ours), rc::Rc::strong_count(theirs));
            assert_eq!(Shared::weak_count(ours), rc::Rc::weak_count(theirs));
        }
        assert_eq!(tally.alive(), model.alive());
        sum += strong.len();
    }
    assert!(sum / 20_000 > 200, "few references on average: {}", sum / 20_000);
    heap.check().expect("the heap is whole");
    strong.clear();
    assert!(weak.iter().all(|(ours, _)| ours.upgrade().is_none()));
    weak.clear();
    assert_eq!((tally.alive(), heap.stats().live), (0, 0));
    assert_eq!(tally.gone(), model.gone());
}

#[test]
fn references_do_what_the_standard_librarys_do() {
    counts_agree_with_rcs::<Plain>(0x9e37_79b9);
    counts_agree_with_rcs::<Atomic>(0x85eb_ca6b);
}

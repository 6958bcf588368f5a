//! Counted cells: values that several share.

use std::alloc::Layout;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::sync::Arc;

use kmem::{AtomicRef, Heap, Pages, Pool, Ref};

#[cfg(native)]
use crate::allocators::Snmalloc;
use crate::allocators::{Allocator, Fast, Standard};
use crate::dice::Dice;
use crate::row::{Contender, Row, Side, over, side};
use crate::watch::Watch;

/// A value of 48 bytes, of which the first word is written.
#[derive(Clone, Copy)]
pub struct Value {
    number: u64,
    _rest: [MaybeUninit<u64>; 5],
}

impl Value {
    #[inline(always)]
    fn numbered(number: u64) -> Self {
        Self { number, _rest: [MaybeUninit::uninit(); 5] }
    }
}

/// Makes shared values.
pub trait Sharer: Contender {
    /// An owner of a value.
    type Handle<'s>: Clone + std::ops::Deref<Target = Value>;
    /// Places a value.
    fn share(&self, value: Value) -> Self::Handle<'_>;
}

/// A work on shared values.
type Work<C> = fn(&mut C, usize, &mut Watch);

/// A peer over each general allocator that it can be over.
fn over_all<C: Contender>(work: Work<C>) -> Vec<Side> {
    fn one<C: Contender, A: Allocator>(work: Work<C>) -> Side {
        over::<C, A>(format!("{} over {}", C::name(), A::NAME), work)
    }
    vec![
        one::<C, Standard>(work),
        one::<C, Fast>(work),
        #[cfg(native)]
        one::<C, Snmalloc>(work),
    ]
}

macro_rules! all {
    ($work:expr, $run:ident, $ours:ty; $($peer:ty),+) => {{
        let mut sides = vec![side::<$ours>($run)];
        $(sides.extend(over_all::<$peer>($run));)+
        Row::new("ref", $work, sides)
    }};
}

/// The rows of counted cells.
pub fn rows() -> Vec<Row> {
    vec![
        all!("48 B, create + drop, plain", create, Plain; Rcs, Triomphes),
        all!("48 B, create + drop, atomic", create, Atomic; Arcs, Triomphes),
        all!("48 B, create + drop, plain, over a heap", create, PlainOfHeap; Rcs, Triomphes),
        all!("48 B, create + drop, atomic, over a heap", create, AtomicOfHeap; Arcs, Triomphes),
        all!("48 B, clone + drop, plain", clone, Plain; Rcs),
        all!("48 B, clone + drop, atomic", clone, Atomic; Arcs, Triomphes),
        all!("values handed around, plain", around, Plain; Rcs, Triomphes),
    ]
}

/// A value comes and goes.
fn create<C: Sharer>(sharer: &mut C, times: usize, watch: &mut Watch) {
    watch.time(times, || {
        for number in 0..times as u64 {
            black_box(&*sharer.share(Value::numbered(number)));
        }
    });
}

/// A second owner comes and goes.
fn clone<C: Sharer>(sharer: &mut C, times: usize, watch: &mut Watch) {
    let value = black_box(sharer.share(Value::numbered(7)));
    watch.time(times, || {
        for _ in 0..times {
            black_box(&*value.clone());
        }
    });
}

/// Ten thousand owners: each step one of them turns to the value of another, every fourth to a new one.
fn around<C: Sharer>(sharer: &mut C, times: usize, watch: &mut Watch) {
    const OWNERS: usize = 10_000;
    const STEPS: usize = 65_536;
    let mut owners: Vec<_> = (0..OWNERS as u64).map(|number| sharer.share(Value::numbered(number))).collect();
    let steps = Dice::new().throws(STEPS, OWNERS);
    watch.time(times * STEPS, || {
        for _ in 0..times {
            for pair in steps.windows(2) {
                let (from, to) = (pair[0] as usize, pair[1] as usize);
                let value = if from % 4 == 0 { sharer.share(Value::numbered(0)) } else { owners[from].clone() };
                owners[to] = value;
            }
        }
    });
    black_box(owners.iter().map(|owner| owner.number).max());
}

/// A pool for counts and value: what a shared value of 48 bytes takes.
fn pool() -> Pool<Pages> {
    Pool::new_in(Layout::new::<([usize; 2], Value)>(), Pages::new())
}

/// kmem's values over one of its stores.
macro_rules! ours {
    ($(#[$doc:meta] $contender:ident $handle:ident $store:ty, $make:expr;)+) => {$(
        #[$doc]
        struct $contender($store);

        impl Contender for $contender {
            fn name() -> String {
                "kmem".into()
            }

            fn new() -> Self {
                Self($make)
            }
        }

        impl Sharer for $contender {
            type Handle<'s> = $handle<'s, Value, $store>;

            #[inline(always)]
            fn share(&self, value: Value) -> Self::Handle<'_> {
                $handle::new_in(value, &self.0).ok().expect("memory")
            }
        }
    )+};
}

ours! {
    /// Plain counts, over a pool.
    Plain Ref Pool<Pages>, pool();
    /// Atomic counts, over a pool.
    Atomic AtomicRef Pool<Pages>, pool();
    /// Plain counts, over a heap.
    PlainOfHeap Ref Heap<Pages>, Heap::new_in(Pages::new());
    /// Atomic counts, over a heap.
    AtomicOfHeap AtomicRef Heap<Pages>, Heap::new_in(Pages::new());
}

/// Peers that take their memory from the global allocator.
macro_rules! global {
    ($($contender:ident $name:literal $handle:ident),+) => {$(
        struct $contender;

        impl Contender for $contender {
            fn name() -> String {
                $name.into()
            }

            fn new() -> Self {
                Self
            }
        }

        impl Sharer for $contender {
            type Handle<'s> = $handle<Value>;

            #[inline(always)]
            fn share(&self, value: Value) -> $handle<Value> {
                $handle::new(value)
            }
        }
    )+};
}

use triomphe::Arc as Triomphe;

global! { Rcs "Rc" Rc, Arcs "Arc" Arc, Triomphes "triomphe" Triomphe }

//! What threads may do with handles, and that they cannot do more.

use kmem::platform::Native;
use kmem::{
    AtomicRef, AtomicWeak, Fixed, Global, Guard, Headers, Heap, KeyTree, Lin, Locked, Managed, Mark, Owned, Pages,
    Pool, Ptr, Ref, Scope, StaticBytes, Tree, Weak,
};

/// Does not compile if any of the types has the property.
macro_rules! none_is {
    ($property:ident: $($type:ty),+ $(,)?) => {
        const _: () = {
            trait Either<A> {
                const IT: () = ();
            }
            impl<T: ?Sized> Either<()> for T {}
            struct Too;
            impl<T: ?Sized + $property> Either<Too> for T {}
            $(let () = <$type as Either<_>>::IT;)+
        };
    };
}

/// Does not compile if any of the types lacks the property.
macro_rules! each_is {
    ($property:ident: $($type:ty),+ $(,)?) => {
        const _: () = {
            const fn is<T: ?Sized + $property>() {}
            $(is::<$type>();)+
        };
    };
}

type Room = Heap<Pages>;
type Stays = std::cell::Cell<u8>;
type Alone = std::rc::Rc<u8>;
type Within = Scope<'static, Pages>;

// A store has no lock, so no two threads may use it; handles free through a shared reference to it.
none_is!(Sync: Room, Lin<Pages>, Lin<Pages, Headers>, Pool<Pages>, Pool<Pages, Headers>, Tree<Pages>,
    KeyTree<u8, Room>, Fixed<'static>, Within, Pool<&'static StaticBytes<64>>, Heap<Global>);
none_is!(Send: &'static Room, &'static Lin<Pages>, &'static Pool<Pages>, &'static Tree<Pages>,
    &'static KeyTree<u8, Room>, Within, Heap<&'static Room>, Lin<Within>, Mark, Ptr);
none_is!(Send: Owned<'static, u8, Room>, Owned<'static, Alone, Global>, Owned<'static, Stays, Fixed<'static>>);
none_is!(Sync: Owned<'static, u8, Room>, Owned<'static, Stays, Global>, Guard<'static, Room>);
none_is!(Send: Ref<'static, u8, Global>, Weak<'static, u8, Global>, Ref<'static, u8, Room>);
none_is!(Sync: Ref<'static, u8, Global>, Weak<'static, u8, Global>);
none_is!(Send: AtomicRef<'static, u8, Room>, AtomicRef<'static, Stays, Global>, AtomicRef<'static, Alone, Global>,
    AtomicWeak<'static, u8, Room>, AtomicWeak<'static, Stays, Global>, AtomicRef<'static, dyn Fn(), Global>);
none_is!(Sync: AtomicRef<'static, u8, Room>, AtomicRef<'static, Stays, Global>, AtomicWeak<'static, Alone, Global>);
none_is!(Send: Managed<'static>, KeyTree<Alone, Room>, Guard<'static, Alone>);
none_is!(Sync: Managed<'static>, Locked<Alone>);

// What may be sent and shared, or the above would prove little.
each_is!(Send: Room, Lin<Pages>, Pool<Pages>, Tree<Pages>, KeyTree<u8, Room>, KeyTree<Stays, Room>, Fixed<'static>,
    Owned<'static, u8, Global>, Owned<'static, Stays, Global>, Owned<'static, [u8], Pages<Native>>,
    AtomicRef<'static, u8, Global>, AtomicRef<'static, str, Pages>, AtomicWeak<'static, u8, Global>,
    AtomicRef<'static, dyn Fn() + Send + Sync, Global>);
each_is!(Sync: Global, Pages, StaticBytes<64>, Locked<Room>, Owned<'static, u8, Global>,
    AtomicRef<'static, u8, Global>, AtomicWeak<'static, u8, Global>, Guard<'static, u8>);

#[cfg(any(feature = "allocator-api2", feature = "allocator-api2-04"))]
mod collections {
    use super::Room;

    #[cfg(all(feature = "allocator-api2", not(target_arch = "wasm32")))]
    none_is!(Send: allocator_api2::vec::Vec<u8, &'static Room>, hashbrown::HashMap<u8, u8, u8, &'static Room>);
    #[cfg(all(feature = "allocator-api2-04", not(target_arch = "wasm32")))]
    none_is!(Send: allocator_api2_04::vec::Vec<u8, &'static Room>);
}

#[cfg(not(target_arch = "wasm32"))]
mod running {
    use std::alloc::Layout;
    use std::ptr::NonNull;
    use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};
    use std::sync::{Barrier, Mutex};
    use std::thread;

    use kmem::{AtomicRef, Cond, Global, Heap, KeyTree, Locked, Owned, Pages, Pool, Source, StaticBytes, unsize};

    /// The process heap, and how many blocks of it are out.
    struct Watched {
        live: AtomicIsize,
    }

    impl Watched {
        const fn new() -> Self {
            Self { live: AtomicIsize::new(0) }
        }
    }

    // SAFETY: the blocks are those of the process heap.
    unsafe impl Source for Watched {
        fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
            self.live.fetch_add(1, Relaxed);
            Global.alloc(layout)
        }

        unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
            self.live.fetch_sub(1, Relaxed);
            // SAFETY: the caller's promise, passed on.
            unsafe { Source::free(&Global, block, layout) }
        }
    }

    /// Two halves that are always the same when nobody changes them meanwhile.
    struct Halves<'t> {
        one: u64,
        other: u64,
        dropped: &'t AtomicUsize,
    }

    impl Halves<'_> {
        fn agree(&self) -> u64 {
            assert_eq!(self.one, self.other, "seen while it was changed");
            self.one
        }
    }

    impl Drop for Halves<'_> {
        fn drop(&mut self) {
            self.agree();
            self.one = !self.other;
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    const THREADS: usize = 4;

    fn dice(seed: usize) -> impl FnMut(usize) -> usize {
        let mut random = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        move |most| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random >> 20) as usize % most
        }
    }

    #[test]
    fn threads_count_one_value_up_and_down_and_it_is_dropped_once() {
        let (source, dropped) = (Watched::new(), AtomicUsize::new(0));
        for round in 0..200 {
            let one = AtomicRef::new_in(Halves { one: 7, other: 7, dropped: &dropped }, &source)
                .map_err(|refused| refused.cond)
                .expect("room");
            let weak = AtomicRef::downgrade(&one).expect("countable");
            let start = Barrier::new(THREADS);
            thread::scope(|scope| {
                for number in 0..THREADS {
                    let (mine, weak, start) = (one.clone(), weak.clone(), &start);
                    scope.spawn(move || {
                        let mut below = dice(round * THREADS + number);
                        let (mut strong, mut weaks) = (vec![mine], vec![weak]);
                        start.wait();
                        for _ in 0..200 {
                            match below(6) {
                                0 | 1 if !strong.is_empty() => strong.push(strong[below(strong.len())].clone()),
                                2 if !strong.is_empty() => {
                                    weaks.push(AtomicRef::downgrade(&strong[0]).expect("countable"));
                                }
                                3 => strong.extend(weaks.first().and_then(|weak| weak.upgrade())),
                                4 if weaks.len() > 1 => drop(weaks.pop()),
                                _ => drop(strong.pop()),
                            }
                            strong.last().iter().for_each(|one| assert_eq!(one.agree(), 7));
                        }
                    });
                }
                drop(one);
            });
            assert!(weak.upgrade().is_none());
            assert_eq!((dropped.load(Relaxed), source.live.load(Relaxed)), (round + 1, 1));
            drop(weak);
            assert_eq!(source.live.load(Relaxed), 0);
        }
    }

    #[test]
    fn who_changes_a_value_is_alone_with_it() {
        let (source, dropped) = (Watched::new(), AtomicUsize::new(0));
        let changed = AtomicUsize::new(0);
        // Whoever finds the shelf empty has the only strong reference, but for those made of weak ones.
        let first = AtomicRef::new_in(Halves { one: 0, other: 0, dropped: &dropped }, &source)
            .map_err(|refused| refused.cond)
            .expect("room");
        let shelf = Mutex::new(vec![first]);
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (shelf, changed) = (&shelf, &changed);
                scope.spawn(move || {
                    let mut below = dice(number);
                    for _ in 0..20_000 {
                        let taken = shelf.lock().expect("no panic").pop();
                        let Some(mut one) = taken else {
                            thread::yield_now();
                            continue;
                        };
                        one.agree();
                        if let Some(value) = AtomicRef::get_mut(&mut one) {
                            value.one += 1;
                            std::hint::spin_loop();
                            value.other += 1;
                            changed.fetch_add(1, Relaxed);
                        }
                        let more = if below(3) == 0 { Some(one.clone()) } else { None };
                        let weak =
                            if below(4) == 0 { Some(AtomicRef::downgrade(&one).expect("countable")) } else { None };
                        let mut shelf = shelf.lock().expect("no panic");
                        if shelf.is_empty() || below(2) == 0 {
                            shelf.push(one);
                        }
                        if shelf.len() < 3 {
                            shelf.extend(more);
                        }
                        drop(shelf);
                        if let Some(one) = weak.and_then(|weak| weak.upgrade()) {
                            one.agree();
                        }
                    }
                });
            }
        });
        let mut rest = shelf.into_inner().expect("no panic");
        assert!(changed.load(Relaxed) > 100, "{changed:?}");
        let last = rest.pop().expect("the shelf was never left empty");
        assert_eq!(last.agree(), changed.load(Relaxed) as u64);
        drop((last, rest));
        assert_eq!((dropped.load(Relaxed), source.live.load(Relaxed)), (1, 0));
    }

    #[test]
    fn an_owned_value_goes_to_another_thread_and_is_dropped_there() {
        let (source, dropped) = (Watched::new(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..THREADS as u64 {
                let halves = Halves { one: number, other: number, dropped: &dropped };
                let owned = Owned::new_in(halves, &source).map_err(|refused| refused.cond).expect("room");
                scope.spawn(move || assert_eq!(owned.agree(), number));
            }
        });
        assert_eq!((dropped.load(Relaxed), source.live.load(Relaxed)), (THREADS, 0));
        let call: Owned<'_, dyn Fn() -> usize + Send, _> = unsize!(
            Owned::new_in(|| 7, &source).map_err(|refused| refused.cond).expect("room"),
            dyn Fn() -> usize + Send
        );
        assert_eq!(thread::scope(|scope| scope.spawn(move || call() + 1).join().expect("no panic")), 8);
        assert_eq!(source.live.load(Relaxed), 0);
    }

    static BYTES: StaticBytes<65536> = StaticBytes::new();
    static POOL: Locked<Pool<&StaticBytes<65536>>> = Locked::new(Pool::fixed_in(Layout::new::<[u64; 4]>(), &BYTES));

    #[test]
    fn threads_share_a_store_in_a_static_behind_its_lock() {
        thread::scope(|scope| {
            for number in 0..THREADS as u64 {
                scope.spawn(move || {
                    for round in 0..2000 {
                        let pool = POOL.lock();
                        let mut cell = Owned::new_in([number; 4], &*pool).expect("room");
                        cell[3] = round;
                        assert_eq!(*cell, [number, number, number, round]);
                    }
                });
            }
        });
        let pool = POOL.lock();
        assert_eq!(pool.stats().live, 0);
        pool.check().expect("the pool is whole");
    }

    #[test]
    fn a_tree_goes_to_another_thread_with_its_values() {
        let dropped = AtomicUsize::new(0);
        let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
        let mut last = None;
        for number in 0..100 {
            let halves = Halves { one: number, other: number, dropped: &dropped };
            last = Some(tree.insert(last, halves).map_err(|refused| refused.cond).expect("room"));
        }
        let tree = thread::scope(|scope| {
            let there = scope.spawn(move || {
                let sum: u64 = tree.subtree(None).map(|key| tree[key].agree()).sum();
                assert_eq!((sum, tree.len()), (4950, 100));
                tree
            });
            there.join().expect("no panic")
        });
        drop(tree);
        assert_eq!(dropped.load(Relaxed), 100);
    }
}

//! Pools: cells of one size that come and go.

use std::alloc::Layout;
use std::hint::black_box;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use kmem::{Pages, Pool};
use opool::{LocalPool, PoolAllocator, RefLocalGuard};
use slab::Slab;
use slotmap::{DefaultKey, SlotMap};
use typed_arena::Arena;

use crate::allocators::{Allocator, Fast, Standard};
#[cfg(native)]
use crate::allocators::{Jemalloc, Snmalloc};
use crate::dice::Dice;
use crate::row;
use crate::row::{Contender, Row};
use crate::watch::Watch;

/// Which word of a moving record says how many steps it has left.
const LIFE: usize = 6;

/// A record of 64 bytes. Whoever takes one writes its number, and the rest where it has any use for it.
#[repr(C)]
pub struct Record {
    number: u64,
    rest: [MaybeUninit<u64>; 7],
}

impl Record {
    #[inline(always)]
    fn numbered(number: u64) -> Self {
        Self { number, rest: [MaybeUninit::uninit(); 7] }
    }

    /// One that moves: a place, a speed, and how long it still lives.
    #[inline(always)]
    fn moving(number: u64) -> Self {
        let mut rest = [MaybeUninit::new(number); 7];
        rest[LIFE].write(number % 16);
        Self { number, rest }
    }

    /// Lets one that was made by `moving` move; whether it is still alive then.
    #[inline(always)]
    fn step(&mut self) -> bool {
        // SAFETY: `moving` has written all words.
        let words = unsafe { &mut *(&raw mut self.rest).cast::<[u64; 7]>() };
        for axis in 0..3 {
            words[axis] = words[axis].wrapping_add(words[3 + axis]);
        }
        words[LIFE] = words[LIFE].wrapping_sub(1);
        words[LIFE] != u64::MAX
    }
}

/// Takes records.
pub trait Filler: Contender {
    /// What names a record.
    type Handle: 'static;
    /// Places a record.
    fn insert(&mut self, record: Record) -> Self::Handle;
    /// Ends, with all records that it has taken.
    fn end(self, handles: Vec<Self::Handle>) {
        drop(handles);
    }
}

/// A pool of records: they come and go.
pub trait Records: Filler {
    /// Releases a record.
    fn remove(&mut self, handle: Self::Handle);
    /// A live record.
    fn get<'a>(&'a mut self, handle: &'a mut Self::Handle) -> &'a mut Record;
}

macro_rules! all {
    ($work:expr, $run:ident) => {
        row!("pool", $work, $run; Pool<Pages>, Slab<Record>, Slots, Opool,
            Boxes<Standard>, Boxes<Fast>, #[cfg(native)] Boxes<Jemalloc>, #[cfg(native)] Boxes<Snmalloc>)
    };
    ($work:expr, $run:ident, $live:literal) => {
        row!("pool", $work, $run; Crowd<Pool<Pages>, $live>, Crowd<Slab<Record>, $live>, Crowd<Slots, $live>,
            Crowd<Opool, $live>, Crowd<Boxes<Standard>, $live>, Crowd<Boxes<Fast>, $live>,
            #[cfg(native)] Crowd<Boxes<Jemalloc>, $live>, #[cfg(native)] Crowd<Boxes<Snmalloc>, $live>)
    };
}

/// The rows of pools.
pub fn rows() -> Vec<Row> {
    vec![
        all!("64 B, LIFO pair", pair),
        all!("64 B, 100k in order", in_order),
        all!("64 B, churn of 10k live", churn, 10_000),
        all!("10k records, update loop", update, 10_000),
        row!("pool", "64 B, fill with 100k + drop", fill;
            Pool<Pages>, Arena<Record>, Slab<Record>, Slots, Boxes<Standard>, Boxes<Fast>),
    ]
}

/// A record comes and goes.
fn pair<R: Records>(pool: &mut R, times: usize, watch: &mut Watch) {
    watch.time(times, || {
        for number in 0..times as u64 {
            let handle = black_box(pool.insert(Record::numbered(number)));
            pool.remove(handle);
        }
    });
}

/// 100,000 come, and go in the same order.
fn in_order<R: Records>(pool: &mut R, times: usize, watch: &mut Watch) {
    const LIVE: usize = 100_000;
    let mut handles = Vec::with_capacity(LIVE);
    watch.time(times * LIVE, || {
        for _ in 0..times {
            handles.extend((0..LIVE as u64).map(|number| pool.insert(Record::numbered(number))));
            handles.drain(..).for_each(|handle| pool.remove(handle));
        }
    });
}

/// A new pool takes 100,000, and ends.
fn fill<F: Filler>(_: &mut F, times: usize, watch: &mut Watch) {
    const LIVE: usize = 100_000;
    for _ in 0..times {
        let mut handles = Vec::with_capacity(LIVE);
        watch.time(LIVE, || {
            let mut pool = F::new();
            handles.extend((0..LIVE as u64).map(|number| pool.insert(Record::numbered(number))));
            pool.end(handles);
        });
    }
}

/// A pool with live records, and who holds them.
pub struct Crowd<R: Records, const LIVE: usize> {
    pool: R,
    handles: Vec<Option<R::Handle>>,
}

impl<R: Records, const LIVE: usize> Contender for Crowd<R, LIVE> {
    const COUNTABLE: bool = R::COUNTABLE;

    fn name() -> String {
        R::name()
    }

    fn new() -> Self {
        let mut pool = R::new();
        let mut moving = |number| Some(pool.insert(Record::moving(number)));
        let handles = (0..LIVE as u64).map(&mut moving).collect();
        Self { pool, handles }
    }
}

impl<R: Records, const LIVE: usize> Drop for Crowd<R, LIVE> {
    fn drop(&mut self) {
        self.handles.drain(..).flatten().for_each(|handle| self.pool.remove(handle));
    }
}

/// One of the live records goes, and another comes.
pub fn churn<R: Records, const LIVE: usize>(crowd: &mut Crowd<R, LIVE>, times: usize, watch: &mut Watch) {
    const TURNS: usize = 65_536;
    let Crowd { pool, handles } = crowd;
    let places = Dice::new().throws(TURNS, LIVE);
    watch.time(times * TURNS, || {
        for _ in 0..times {
            for &place in &places {
                let slot = &mut handles[place as usize];
                if let Some(handle) = slot.take() {
                    pool.remove(handle);
                }
                *slot = Some(pool.insert(Record::numbered(u64::from(place))));
            }
        }
    });
}

/// All records move a step; those whose time has come, one of sixteen, make place for others.
fn update<R: Records, const LIVE: usize>(crowd: &mut Crowd<R, LIVE>, times: usize, watch: &mut Watch) {
    let Crowd { pool, handles } = crowd;
    watch.time(times * LIVE, || {
        for time in 0..times as u64 {
            for slot in handles.iter_mut() {
                let alive = slot.as_mut().is_some_and(|handle| pool.get(handle).step());
                if !alive {
                    slot.take().into_iter().for_each(|handle| pool.remove(handle));
                    *slot = Some(pool.insert(Record::moving(15 | time << 4)));
                }
            }
        }
    });
}

impl Contender for Pool<Pages> {
    fn name() -> String {
        "kmem".into()
    }

    fn new() -> Self {
        Self::new_in(Layout::new::<Record>(), Pages::new())
    }
}

impl Filler for Pool<Pages> {
    type Handle = NonNull<Record>;

    #[inline(always)]
    fn insert(&mut self, record: Record) -> NonNull<Record> {
        let cell = self.alloc().expect("memory").cast();
        // SAFETY: the cell was just handed out, and is one for a record.
        unsafe { cell.write(record) };
        cell
    }
}

impl Records for Pool<Pages> {
    #[inline(always)]
    fn remove(&mut self, cell: NonNull<Record>) {
        // SAFETY: the cell is live and of this pool.
        unsafe { self.free(cell.cast()) }.expect("a live cell");
    }

    #[inline(always)]
    fn get<'a>(&'a mut self, cell: &'a mut NonNull<Record>) -> &'a mut Record {
        // SAFETY: the cell is live, and nothing else refers to it.
        unsafe { cell.as_mut() }
    }
}

/// One allocation a record.
pub struct Boxes<A>(PhantomData<A>);

impl<A: Allocator> Contender for Boxes<A> {
    const COUNTABLE: bool = A::COUNTABLE;

    fn name() -> String {
        A::NAME.into()
    }

    fn new() -> Self {
        Self(PhantomData)
    }
}

impl<A: Allocator> Filler for Boxes<A> {
    type Handle = NonNull<Record>;

    #[inline(always)]
    fn insert(&mut self, record: Record) -> NonNull<Record> {
        // SAFETY: a record has a size.
        let cell = NonNull::new(unsafe { A::IT.alloc(Layout::new::<Record>()) }).expect("memory").cast();
        // SAFETY: the cell was just handed out for a record.
        unsafe { cell.write(record) };
        cell
    }

    #[inline(always)]
    fn end(mut self, handles: Vec<NonNull<Record>>) {
        handles.into_iter().for_each(|cell| self.remove(cell));
    }
}

impl<A: Allocator> Records for Boxes<A> {
    #[inline(always)]
    fn remove(&mut self, cell: NonNull<Record>) {
        // SAFETY: the cell is live and of this allocator.
        unsafe { A::IT.dealloc(cell.as_ptr().cast(), Layout::new::<Record>()) };
    }

    #[inline(always)]
    fn get<'a>(&'a mut self, cell: &'a mut NonNull<Record>) -> &'a mut Record {
        // SAFETY: the cell is live, and nothing else refers to it.
        unsafe { cell.as_mut() }
    }
}

impl Contender for Slab<Record> {
    fn name() -> String {
        "slab".into()
    }

    fn new() -> Self {
        Self::new()
    }
}

impl Filler for Slab<Record> {
    type Handle = usize;

    #[inline(always)]
    fn insert(&mut self, record: Record) -> usize {
        Slab::insert(self, record)
    }
}

impl Records for Slab<Record> {
    #[inline(always)]
    fn remove(&mut self, key: usize) {
        Slab::remove(self, key);
    }

    #[inline(always)]
    fn get<'a>(&'a mut self, key: &'a mut usize) -> &'a mut Record {
        &mut self[*key]
    }
}

/// slotmap's pool.
type Slots = SlotMap<DefaultKey, Record>;

impl Contender for Slots {
    fn name() -> String {
        "slotmap".into()
    }

    fn new() -> Self {
        Self::new()
    }
}

impl Filler for Slots {
    type Handle = DefaultKey;

    #[inline(always)]
    fn insert(&mut self, record: Record) -> DefaultKey {
        SlotMap::insert(self, record)
    }
}

impl Records for Slots {
    #[inline(always)]
    fn remove(&mut self, key: DefaultKey) {
        SlotMap::remove(self, key);
    }

    #[inline(always)]
    fn get<'a>(&'a mut self, key: &'a mut DefaultKey) -> &'a mut Record {
        &mut self[*key]
    }
}

/// Makes boxed records for opool: what it lends are values, and records must stay where they are.
pub struct Boxed;

impl PoolAllocator<Box<Record>> for Boxed {
    fn allocate(&self) -> Box<Record> {
        Box::new(Record::numbered(0))
    }
}

/// opool's pool, which lives as long as the process, since guards borrow it.
pub struct Opool(&'static LocalPool<Boxed, Box<Record>>);

impl Contender for Opool {
    fn name() -> String {
        "opool".into()
    }

    fn new() -> Self {
        Self(Box::leak(Box::new(LocalPool::new(100_000, Boxed))))
    }
}

impl Filler for Opool {
    type Handle = RefLocalGuard<'static, Boxed, Box<Record>>;

    #[inline(always)]
    fn insert(&mut self, record: Record) -> Self::Handle {
        let mut guard = self.0.get();
        **guard = record;
        guard
    }
}

impl Records for Opool {
    #[inline(always)]
    fn remove(&mut self, guard: Self::Handle) {
        drop(guard);
    }

    #[inline(always)]
    fn get<'a>(&'a mut self, guard: &'a mut Self::Handle) -> &'a mut Record {
        guard
    }
}

impl Contender for Arena<Record> {
    fn name() -> String {
        "typed-arena".into()
    }

    fn new() -> Self {
        Self::new()
    }
}

impl Filler for Arena<Record> {
    type Handle = NonNull<Record>;

    #[inline(always)]
    fn insert(&mut self, record: Record) -> NonNull<Record> {
        NonNull::from(self.alloc(record))
    }
}

//! General allocators: any size, any order, called as a program calls its global one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::marker::PhantomData;
use std::ptr::NonNull;

use kmem::{GlobalHeap, Heap, Pages, Source};

use crate::dice::Dice;
use crate::row::{Contender, Row, side};
use crate::watch::{Watch, taken};

/// A general allocator, of which there is one.
pub trait General: GlobalAlloc + Sized + 'static {
    /// The allocator.
    const IT: &'static Self;
    /// What it is called in the table.
    const NAME: &'static str;
    /// Whether it starts under valgrind.
    const COUNTABLE: bool = true;
}

static KMEM: GlobalHeap = GlobalHeap::new();

impl General for GlobalHeap {
    const IT: &'static Self = &KMEM;
    const NAME: &'static str = "kmem";
}

impl General for System {
    const IT: &'static Self = &Self;
    const NAME: &'static str = if cfg!(native) { "glibc" } else { "dlmalloc" };
}

/// Those that kmem is compared with.
#[cfg(native)]
pub mod peers {
    pub use dlmalloc::GlobalDlmalloc;
    pub use mimalloc::MiMalloc;
    pub use rlsf::GlobalTlsf;
    pub use rpmalloc::RpMalloc;
    pub use snmalloc_rs::SnMalloc;
    use talc::TalcLock;
    use talc::lock_api::{GuardSend, RawMutex};
    use talc::source::Claim;
    pub use tikv_jemallocator::Jemalloc;

    use super::General;

    impl General for MiMalloc {
        const IT: &'static Self = &Self;
        const NAME: &'static str = "mimalloc";
    }

    impl General for SnMalloc {
        const IT: &'static Self = &Self::new();
        const NAME: &'static str = "snmalloc";
        const COUNTABLE: bool = false;
    }

    impl General for Jemalloc {
        const IT: &'static Self = &Self;
        const NAME: &'static str = "jemalloc";
    }

    impl General for RpMalloc {
        const IT: &'static Self = &Self;
        const NAME: &'static str = "rpmalloc";
    }

    impl General for GlobalDlmalloc {
        const IT: &'static Self = &Self;
        const NAME: &'static str = "dlmalloc";
    }

    static RLSF: GlobalTlsf = GlobalTlsf::new();

    impl General for GlobalTlsf {
        const IT: &'static Self = &RLSF;
        const NAME: &'static str = "rlsf";
    }

    /// A lock for one thread: what the others' cost, talc is not to be charged with.
    #[derive(Debug)]
    pub struct NoLock;

    // SAFETY: the rows that talc is in have one thread.
    unsafe impl RawMutex for NoLock {
        const INIT: Self = Self;
        type GuardMarker = GuardSend;

        fn lock(&self) {}

        fn try_lock(&self) -> bool {
            true
        }

        unsafe fn unlock(&self) {}
    }

    /// talc over an array.
    pub type Talc = TalcLock<NoLock, Claim>;

    const ROOM: usize = 256 << 20;
    struct Arena(core::cell::UnsafeCell<[u8; ROOM]>);
    // SAFETY: talc alone uses it.
    unsafe impl Sync for Arena {}
    static ARENA: Arena = Arena(core::cell::UnsafeCell::new([0; ROOM]));
    static TALC: Talc = TalcLock::new(
        // SAFETY: nobody else uses the array.
        unsafe { Claim::array(ARENA.0.get()) },
    );

    impl General for Talc {
        const IT: &'static Self = &TALC;
        const NAME: &'static str = "talc";
    }
}

#[cfg(native)]
use peers::{GlobalDlmalloc, GlobalTlsf, Jemalloc, MiMalloc, RpMalloc, SnMalloc, Talc};

#[cfg(not(native))]
impl General for crate::allocators::Talc {
    const IT: &'static Self = &Self;
    const NAME: &'static str = "talc";
}

/// A block and its layout.
pub type Block = (NonNull<u8>, Layout);

/// Takes and releases blocks of any layout.
pub trait Blocks: Contender {
    /// A block.
    fn take(&self, layout: Layout) -> NonNull<u8>;
    /// Releases one.
    fn give(&self, block: Block);
    /// Gives one another length.
    fn regrow(&self, block: Block, size: usize) -> NonNull<u8>;
}

/// Calls a general allocator.
pub struct Of<A>(PhantomData<A>);

impl<A: General> Contender for Of<A> {
    const COUNTABLE: bool = A::COUNTABLE;

    fn name() -> String {
        A::NAME.to_owned()
    }

    fn new() -> Self {
        Self(PhantomData)
    }
}

impl<A: General> Blocks for Of<A> {
    #[inline(always)]
    fn take(&self, layout: Layout) -> NonNull<u8> {
        // SAFETY: no row asks for a block of no size.
        NonNull::new(unsafe { A::IT.alloc(layout) }).expect("memory")
    }

    #[inline(always)]
    fn give(&self, (block, layout): Block) {
        // SAFETY: each row releases what it took, once.
        unsafe { A::IT.dealloc(block.as_ptr(), layout) };
    }

    #[inline(always)]
    fn regrow(&self, (block, layout): Block, size: usize) -> NonNull<u8> {
        // SAFETY: each row changes what it took.
        NonNull::new(unsafe { A::IT.realloc(block.as_ptr(), layout, size) }).expect("memory")
    }
}

/// A heap of one's own.
impl Contender for Heap<Pages> {
    fn name() -> String {
        "kmem's Heap".to_owned()
    }

    fn new() -> Self {
        Self::new_in(Pages::new())
    }
}

impl Blocks for Heap<Pages> {
    #[inline(always)]
    fn take(&self, layout: Layout) -> NonNull<u8> {
        self.alloc(layout).expect("memory").cast()
    }

    #[inline(always)]
    fn give(&self, (block, layout): Block) {
        // SAFETY: each row releases what it took, once.
        unsafe { Source::free(self, block, layout) }.expect("taken back");
    }

    #[inline(always)]
    fn regrow(&self, (block, layout): Block, size: usize) -> NonNull<u8> {
        let new = Layout::from_size_align(size, layout.align()).expect("small");
        // SAFETY: each row changes what it took.
        unsafe { Source::resize(self, block, layout, new) }.expect("memory").cast()
    }
}

/// A row of kmem and those that are always compared with, and perhaps others.
macro_rules! all {
    ($work:expr, $ours:ty, $run:expr $(; $($more:ty),+)?) => {
        Row::new("heap", $work, vec![
            side::<$ours>($run),
            #[cfg(native)]
            side::<Of<MiMalloc>>($run),
            #[cfg(native)]
            side::<Of<SnMalloc>>($run),
            #[cfg(native)]
            side::<Of<Jemalloc>>($run),
            #[cfg(native)]
            side::<Of<RpMalloc>>($run),
            side::<Of<System>>($run),
            #[cfg(not(native))]
            side::<Of<crate::allocators::Talc>>($run),
            $($(#[cfg(native)] side::<Of<$more>>($run)),+)?
        ])
    };
}

type Kmem = Of<GlobalHeap>;
type Own = Heap<Pages>;

/// The rows of heaps.
pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        all!("64 B, LIFO pair", Kmem, pair),
        all!("64 B, LIFO pair, a heap of one's own", Own, pair),
        all!("8-4096 B, LIFO pair of random size", Kmem, random_pair),
        all!("8-4096 B, churn of 10k live", Kmem, churn::<_, 10_000, 4096>),
        all!("8-4096 B, churn of 10k live, a heap of one's own", Own, churn::<_, 10_000, 4096>),
        all!("random actions, to 1000 B", Kmem, actions::<_, 1000>; GlobalDlmalloc, GlobalTlsf, Talc),
        all!("random actions, to 20,000 B", Kmem, actions::<_, 20_000>; GlobalDlmalloc, GlobalTlsf, Talc),
        all!("a vector pushed to 16 MiB, an element", Kmem, push),
        all!("churn of 1e3 live, 16-128 B", Kmem, churn::<_, 1000, 128>),
        all!("churn of 1e5 live, 16-128 B", Kmem, churn::<_, 100_000, 128>),
        all!("churn of 1e7 live, 16-128 B", Kmem, churn::<_, 10_000_000, 128>).large(true),
    ];
    #[cfg(native)]
    rows.push(all!("2 threads, one makes and one frees", Kmem, threads));
    rows
}

const fn layout(size: usize, align: usize) -> Layout {
    match Layout::from_size_align(size, align) {
        Ok(layout) => layout,
        Err(_) => panic!("a possible layout"),
    }
}

/// A layout of a random size.
pub fn any_layout<const LEAST: usize, const MOST: usize>(dice: &mut Dice) -> Layout {
    layout(LEAST + dice.below(MOST - LEAST + 1), 8)
}

/// Marks a block as used.
#[inline(always)]
pub fn touch(block: NonNull<u8>) {
    // SAFETY: every block here is a word long at least, and aligned to one.
    unsafe { block.cast::<u64>().write(7) };
    taken(block);
}

/// A block of 64 bytes comes and goes.
fn pair<B: Blocks>(blocks: &mut B, times: usize, watch: &mut Watch) {
    const LAYOUT: Layout = layout(64, 8);
    watch.time(times, || {
        for _ in 0..times {
            let block = blocks.take(LAYOUT);
            touch(block);
            blocks.give((block, LAYOUT));
        }
    });
}

/// A block of a random size comes and goes.
fn random_pair<B: Blocks>(blocks: &mut B, times: usize, watch: &mut Watch) {
    let sizes: Vec<u32> = Dice::new().throws(4096, 4089);
    watch.time(times, || {
        for number in 0..times {
            let layout = layout(sizes[number % 4096] as usize + 8, 8);
            let block = blocks.take(layout);
            touch(block);
            blocks.give((block, layout));
        }
    });
}

/// Of so many blocks, one at a time is replaced by another.
fn churn<B: Blocks, const LIVE: usize, const MOST: usize>(blocks: &mut B, times: usize, watch: &mut Watch) {
    let mut dice = Dice::new();
    let fresh = |dice: &mut Dice| {
        let layout = if MOST > 1000 { any_layout::<8, MOST>(dice) } else { any_layout::<16, MOST>(dice) };
        let block = blocks.take(layout);
        touch(block);
        (block, layout)
    };
    let mut live: Vec<Block> = (0..LIVE).map(|_| fresh(&mut dice)).collect();
    // Until it does not matter any more in which order they were made.
    for _ in 0..2 * LIVE {
        let at = dice.below(LIVE);
        blocks.give(std::mem::replace(&mut live[at], fresh(&mut dice)));
    }
    watch.time(times, || {
        for _ in 0..times {
            let at = dice.below(LIVE);
            blocks.give(live[at]);
            live[at] = fresh(&mut dice);
        }
    });
    live.into_iter().for_each(|block| blocks.give(block));
}

/// Blocks are made, freed and changed at random, about 600 of them, more short ones than long ones, and some of them
/// aligned: what talc's own benchmark does.
fn actions<B: Blocks, const MOST: usize>(blocks: &mut B, times: usize, watch: &mut Watch) {
    const LIVE: usize = 600;
    let mut dice = Dice::new();
    let mut live: Vec<Block> = Vec::with_capacity(100_000);
    let mut act = |times: usize, live: &mut Vec<Block>| {
        for _ in 0..times {
            let action = dice.below(7);
            if action == 6 && !live.is_empty() {
                let at = dice.below(live.len());
                let size = 8 + dice.below(3 * MOST);
                let (block, old) = live[at];
                live[at] = (blocks.regrow((block, old), size), layout(size, old.align()));
            } else if action < 3 || live.len() < LIVE {
                let size = 8 + dice.below(MOST).min(dice.below(MOST));
                let layout = layout(size, 8 << (dice.below(64) & dice.below(64)).trailing_ones());
                let block = blocks.take(layout);
                touch(block);
                live.push((block, layout));
            } else {
                let at = dice.below(live.len());
                blocks.give(live.swap_remove(at));
            }
        }
    };
    // Until there are as many as there will be.
    act(4 * LIVE, &mut live);
    watch.time(times, || act(times, &mut live));
    live.into_iter().for_each(|block| blocks.give(block));
}

/// A vector of words is pushed to until it has 16 MiB.
fn push<B: Blocks>(blocks: &mut B, times: usize, watch: &mut Watch) {
    const WORDS: usize = (16 << 20) / size_of::<u64>();
    for _ in 0..times {
        watch.time(WORDS, || {
            let mut room = 4;
            let mut block = blocks.take(layout(room * 8, 8));
            for number in 0..WORDS {
                if number == room {
                    let old = (block, layout(room * 8, 8));
                    room *= 2;
                    block = blocks.regrow(old, room * 8);
                }
                // SAFETY: the block has room for so many.
                let place = unsafe { block.cast::<u64>().add(number) };
                // SAFETY: as above, aligned.
                unsafe { place.write(number as u64) };
            }
            taken(block);
            blocks.give((block, layout(room * 8, 8)));
        });
    }
}

/// One thread makes a batch, then the other frees it, and so on: what both of them take.
#[cfg(native)]
fn threads<B: Blocks>(_: &mut B, times: usize, watch: &mut Watch) {
    use std::sync::mpsc::sync_channel;

    const BATCH: usize = 2000;

    struct Batch(Vec<Block>);
    // SAFETY: the blocks of a general allocator may go anywhere.
    unsafe impl Send for Batch {}

    let (give, get) = sync_channel::<Batch>(0);
    let (back, empty) = sync_channel::<(Batch, f64)>(0);
    let consumer = std::thread::spawn(move || {
        let blocks = B::new();
        for mut batch in get {
            let mut own = Watch::timing();
            own.time(BATCH, || batch.0.drain(..).for_each(|block| blocks.give(block)));
            if back.send((batch, own.ns())).is_err() {
                return;
            }
        }
    });
    let blocks = B::new();
    let mut dice = Dice::new();
    let sizes: Vec<Layout> = (0..BATCH).map(|_| layout(16 + dice.below(500), 8)).collect();
    let mut batch = Batch(Vec::with_capacity(BATCH));
    // As short as it may be, a batch is not much longer than what the threads take to take turns.
    for _ in 0..times.div_ceil(BATCH) {
        watch.time(BATCH, || {
            batch.0.extend(sizes.iter().map(|layout| {
                let block = blocks.take(*layout);
                touch(block);
                (block, *layout)
            }));
        });
        give.send(batch).expect("the other listens");
        let (came, ns) = empty.recv().expect("the other answers");
        batch = came;
        watch.also(ns);
    }
    drop(give);
    consumer.join().expect("it ends");
}

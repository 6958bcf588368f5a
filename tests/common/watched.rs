//! A source that watches the store above it, and the source below.

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ptr::NonNull;

use kmem::inspect::Inspect;
use kmem::{Bare, Cond, Fixed, Grant, Headers, Heap, Lin, Pool, Source, StaticBytes, Stats, Tree};

use super::{holds, layout, raw_bytes};

/// A source of the tests, with what a test must know of it.
pub trait Base: Source {
    /// Whether it has no more than so much.
    const BOUNDED: bool;
    /// Whether a block can be used again though it was not the newest when it came back.
    const REUSES: bool;
    /// The largest alignment that it grants.
    const ALIGN: usize = 4096;

    /// Proves its structure, where it has one.
    fn prove(&self) {}
}

impl Base for Fixed<'_> {
    const BOUNDED: bool = true;
    const REUSES: bool = false;
}

impl<const N: usize> Base for &'static StaticBytes<N> {
    const BOUNDED: bool = true;
    const REUSES: bool = false;
}

#[cfg(feature = "platform")]
impl<P: kmem::platform::Platform> Base for kmem::Pages<P> {
    const BOUNDED: bool = false;
    const REUSES: bool = true;
}

#[cfg(feature = "platform")]
impl Base for kmem::Global {
    const BOUNDED: bool = false;
    const REUSES: bool = true;

    fn prove(&self) {
        self.check().expect("the process heap is whole");
    }
}

#[cfg(all(feature = "platform", unix))]
impl Base for kmem::Protected {
    const BOUNDED: bool = false;
    const REUSES: bool = true;
}

macro_rules! stores_as_bases {
    ($($store:ty, $reuses:expr;)*) => {$(
        impl<S: Base> Base for $store {
            const BOUNDED: bool = S::BOUNDED;
            const REUSES: bool = $reuses;

            fn prove(&self) {
                self.check().expect("the source is whole");
                self.source().prove();
            }
        }
    )*};
}

stores_as_bases! {
    Heap<S>, true;
    kmem::Reuse<S>, true;
    Lin<S, Bare>, false;
    Lin<S, Headers>, false;
    Pool<S, Bare>, true;
    Pool<S, Headers>, true;
    Tree<S>, S::REUSES;
}

/// A block that is out.
struct Block {
    asked: Layout,
    len: usize,
}

/// What memory that came with no promise is filled with, and memory that goes back.
const POISON: u8 = 0xd5;

/// A source that counts what is out of the one inside, fails a test when the store above breaks its
/// side of the contract (or the source below its own), and can refuse.
pub struct Watched<S> {
    inner: S,
    blocks: RefCell<BTreeMap<usize, Block>>,
    calls: Cell<usize>,
    refuses: Cell<bool>,
    /// What was in the blocks that came back, while somebody wants to know.
    returned: RefCell<Option<Vec<u8>>>,
}

impl<S: Base> Watched<S> {
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            blocks: RefCell::default(),
            calls: Cell::new(0),
            refuses: Cell::new(false),
            returned: RefCell::default(),
        }
    }

    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Blocks that are out.
    pub fn blocks(&self) -> usize {
        self.blocks.borrow().len()
    }

    /// Bytes that are out.
    pub fn bytes(&self) -> usize {
        self.blocks.borrow().values().map(|block| block.len).sum()
    }

    /// Calls that reached the source, or were refused.
    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    /// From now on nothing is granted (`no_room`), or everything again.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.set(refuses);
    }

    /// Keeps what is in the blocks that come back from now on, for [`holds`](Self::holds).
    pub fn keep_returned(&self) {
        *self.returned.borrow_mut() = Some(Vec::new());
    }

    /// Whether the needle lies anywhere in the blocks that are out, or in one that came back since
    /// [`keep_returned`](Self::keep_returned).
    pub fn holds(&self, needle: &[u8]) -> bool {
        let out = self.blocks.borrow().iter().any(|(at, block)| holds(&raw_bytes(place(*at), block.len), needle));
        out || self.returned.borrow().as_ref().is_some_and(|returned| holds(returned, needle))
    }

    /// The block that is out and holds these bytes.
    pub fn block_around(&self, at: usize, len: usize) -> Option<(usize, usize)> {
        let blocks = self.blocks.borrow();
        let (start, block) = blocks.range(..=at).next_back()?;
        (at + len <= start + block.len).then_some((*start, block.len))
    }

    fn ask(&self) -> Result<(), Cond> {
        self.calls.set(self.calls.get() + 1);
        if self.refuses.get() { Err(Cond::NoRoom) } else { Ok(()) }
    }

    /// Notes a block that the source granted, after a look at whether the source may.
    fn note(&self, asked: Layout, bytes: NonNull<[u8]>) {
        let (at, len) = (bytes.cast::<u8>().addr().get(), bytes.len());
        assert!(len >= asked.size(), "a block is as long as was asked: {len} of {asked:?}");
        assert!(at.is_multiple_of(asked.align()), "a block is aligned as was asked: {at:#x} for {asked:?}");
        let mut blocks = self.blocks.borrow_mut();
        let before = blocks.range(..=at).next_back();
        assert!(before.is_none_or(|(start, block)| start + block.len.max(1) <= at), "a block begins in no other");
        let after = blocks.range(at..).next();
        assert!(after.is_none_or(|(start, _)| at + len.max(1) <= *start), "a block reaches into no other");
        blocks.insert(at, Block { asked, len });
    }

    /// Strikes out a block that is to come back, after a look at whether the store may.
    fn strike(&self, block: NonNull<u8>, layout: Layout) -> Block {
        let found = self.blocks.borrow_mut().remove(&block.addr().get());
        let found = found.expect("a block that comes back is out");
        assert_eq!(layout.align(), found.asked.align(), "a block comes back with its alignment");
        let fits = found.asked.size() <= layout.size() && layout.size() <= found.len;
        assert!(
            fits,
            "a block comes back with a size that fits: {layout:?} for {} to {}",
            found.asked.size(),
            found.len
        );
        found
    }

    /// Poisons a block that is going back; what was in it is kept if somebody wants to know.
    fn poison(&self, block: NonNull<u8>, found: &Block) -> Vec<u8> {
        let bytes = raw_bytes(block, found.len);
        if let Some(returned) = self.returned.borrow_mut().as_mut() {
            returned.extend_from_slice(&bytes);
        }
        unsafe { block.write_bytes(POISON, found.len) };
        bytes
    }

    /// Undoes a release that the source refused.
    fn restore(&self, block: NonNull<u8>, found: Block, bytes: &[u8]) {
        unsafe { block.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        self.blocks.borrow_mut().insert(block.addr().get(), found);
    }
}

fn place(at: usize) -> NonNull<u8> {
    NonNull::new(std::ptr::with_exposed_provenance_mut(at)).expect("no block is at null")
}

/// Makes the block's address one that [`place`] can go back from.
fn expose(bytes: NonNull<[u8]>) {
    bytes.cast::<u8>().as_ptr().expose_provenance();
}

// SAFETY: the blocks are those of the source inside.
unsafe impl<S: Base> Source for Watched<S> {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.ask()?;
        let bytes = self.inner.alloc(layout)?;
        self.note(layout, bytes);
        expose(bytes);
        unsafe { bytes.cast::<u8>().write_bytes(POISON, bytes.len()) };
        Ok(bytes)
    }

    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.ask()?;
        let bytes = self.inner.alloc_zeroed(layout)?;
        self.note(layout, bytes);
        expose(bytes);
        assert!(raw_bytes(bytes.cast(), layout.size()).iter().all(|byte| *byte == 0), "what is zeroed is zero");
        Ok(bytes)
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        self.ask()?;
        let grant = self.inner.grant(layout)?;
        self.note(layout, grant.bytes);
        expose(grant.bytes);
        if grant.zeroed {
            let all = raw_bytes(grant.bytes.cast(), grant.bytes.len());
            assert!(all.iter().all(|byte| *byte == 0), "what is known to be zero is zero");
        } else {
            unsafe { grant.bytes.cast::<u8>().write_bytes(POISON, grant.bytes.len()) };
        }
        Ok(grant)
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        self.calls.set(self.calls.get() + 1);
        let found = self.strike(block, layout);
        let bytes = self.poison(block, &found);
        let answer = unsafe { self.inner.free(block, layout) };
        if answer.is_err() {
            self.restore(block, found, &bytes);
        }
        answer
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.ask()?;
        assert_eq!(new.align(), old.align(), "a block is resized with its alignment");
        let found = self.strike(block, old);
        let before = raw_bytes(block, found.len);
        let answer = unsafe { self.inner.resize(block, old, new) };
        match answer {
            Ok(bytes) => {
                self.note(new, bytes);
                expose(bytes);
                let stays = if bytes.cast() == block { bytes.len().min(before.len()) } else { 0 };
                if let Some(returned) = self.returned.borrow_mut().as_mut() {
                    returned.extend_from_slice(&before[stays..]);
                }
            }
            Err(_) => drop(self.blocks.borrow_mut().insert(block.addr().get(), found)),
        }
        answer
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        self.calls.set(self.calls.get() + 1);
        let found = self.strike(block, layout);
        let bytes = self.poison(block, &found);
        let answer = unsafe { self.inner.shred(block, layout) };
        if answer.is_err() {
            self.restore(block, found, &bytes);
        }
        answer
    }

    fn least_align(&self) -> usize {
        self.inner.least_align()
    }

    fn largest(&self) -> Option<usize> {
        self.inner.largest()
    }
}

/// Gives more than is asked for: a number of bytes that is no multiple of anything.
pub struct Generous<S>(pub S);

/// What is asked of the source inside, the same for every layout that fits the block.
fn more(asked: Layout) -> Layout {
    let size = asked.size();
    layout(size + (77 - size % 64) % 64, asked.align())
}

// SAFETY: the blocks are those of the source inside.
unsafe impl<S: Source> Source for Generous<S> {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.0.alloc(more(layout))
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        unsafe { self.0.free(block, more(layout)) }
    }

    fn least_align(&self) -> usize {
        self.0.least_align()
    }

    fn largest(&self) -> Option<usize> {
        self.0.largest()
    }
}

impl<S: Base> Base for Generous<S> {
    const BOUNDED: bool = S::BOUNDED;
    const REUSES: bool = S::REUSES;
    const ALIGN: usize = S::ALIGN;

    fn prove(&self) {
        self.0.prove();
    }
}

/// A store's figures and pieces, to compare.
pub fn figures(store: &dyn Inspect, stats: Stats) -> (Stats, Vec<kmem::inspect::Record>) {
    let mut records = Vec::new();
    store.inspect(&mut |record| records.push(*record));
    (stats, records)
}

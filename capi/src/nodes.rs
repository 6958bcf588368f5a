//! What trees take their nodes from: pages of their own, or another store.

use core::alloc::Layout;
use core::iter::successors;
use core::ptr::NonNull;

use kmem::{Cell, Cond, Found, Grant, Head, Kind, MIN_ALIGN, Reuse, Source, Store};

use crate::entry::{Entry, GuestTree, with_store};
use crate::find::NESTED;
use crate::granules::{self, Granule, Granules};
use crate::seeded::seeded;

/// A region that is used again, in pages of the tree's own, with a note of where each block begins.
pub struct Own {
    head: Head,
    reuse: Reuse<Granules>,
}

impl Own {
    pub const fn new() -> Self {
        Self { head: Head::unreached(Kind::Lin), reuse: Reuse::new_in(Granules::new()) }
    }

    /// Says whose nodes they are, before the first is taken.
    pub fn belong_to(&self, owner: NonNull<Entry>) {
        self.reuse.source().belong_to(owner);
    }
}

/// What the second word of a block that came back says, where a live node has its size.
/// No size, and nothing that bytes are filled with.
const FREED: usize = 0xb3f1_5c1f_9a37_d0e2;

/// Writes it.
///
/// # Safety
///
/// The block is ours, and two words long.
#[inline(always)]
unsafe fn mark_freed(block: NonNull<u8>) {
    if seeded("a_freed_node_is_not_marked") {
        return;
    }
    // SAFETY: the caller's promise.
    let second = unsafe { block.cast::<usize>().add(1) };
    // SAFETY: the caller's promise.
    unsafe { second.write(FREED) };
}

/// Whether a block is not for a node, but for what few of them have: nodes ask for a unit's alignment at least. It is
/// not known to begin while it is live, so that nothing is taken for a node in front of which it stands.
#[inline(always)]
fn is_part(layout: Layout) -> bool {
    layout.align() < MIN_ALIGN
}

#[cold]
fn note(block: NonNull<u8>, begins: bool) {
    granule(block).iter().for_each(|granule| granule.set_start(block.addr().get(), begins));
}

#[inline]
fn granule<'a>(block: NonNull<u8>) -> Option<&'a Granule> {
    granules::of(block.addr().get())
}

// SAFETY: the blocks are those of the region.
unsafe impl Source for Own {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let block = self.reuse.alloc(layout)?;
        if is_part(layout) {
            note(block.cast(), false);
        }
        Ok(block)
    }

    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.reuse.alloc_zeroed(layout)
    }

    #[inline(always)]
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise; the least block is two words long.
        unsafe { mark_freed(block) };
        if is_part(layout) {
            note(block, true);
        }
        // SAFETY: the caller's promise.
        unsafe { self.reuse.free(block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        let now = unsafe { self.reuse.resize(block, old, new) }?;
        // A large one has gone with its chunk, and another thread's may be there already.
        if now.cast() != block && old.size() <= Reuse::<Granules>::LARGE {
            // SAFETY: it is free, and stays in the region.
            unsafe { mark_freed(block) };
        }
        Ok(now)
    }

    #[inline(always)]
    fn at_hand(&self) -> usize {
        self.reuse.at_hand()
    }

    #[inline(always)]
    fn alloc_if_at_hand(&self, layout: Layout) -> Option<NonNull<u8>> {
        if is_part(layout) { None } else { self.reuse.alloc_if_at_hand(layout) }
    }

    #[inline(always)]
    unsafe fn free_if_at_hand(&self, block: NonNull<u8>, layout: Layout) -> bool {
        // SAFETY: the caller's promise.
        let taken = !is_part(layout) && unsafe { self.reuse.free_if_at_hand(block, layout) };
        if taken {
            // SAFETY: the region has it back, whose link is in the first word; each block is two words long at least.
            unsafe { mark_freed(block) };
        }
        taken
    }

    fn largest(&self) -> Option<usize> {
        self.reuse.largest()
    }

    unsafe fn free_all(&self, blocks: usize, but: Option<NonNull<u8>>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.reuse.free_all(blocks, but) }
    }
}

// SAFETY: a block that came back says so in its second word, and what was never handed out is not known to begin.
// What is neither is a node, with its header in front.
unsafe impl Store for Own {
    const KIND: Kind = Kind::Lin;
    const FINDS_NODES: bool = true;

    fn head(&self) -> &Head {
        &self.head
    }

    fn locate(&self, block: NonNull<u8>) -> Result<Found, Cond> {
        let address = block.addr().get();
        let granule = granules::of_block(address).ok_or(Cond::BadAddress)?;
        let payload = granule.pointer(address);
        // SAFETY: a block begins here, whose first words are written by who has it, or by us.
        let size = unsafe { payload.cast::<Cell>().as_ref() }.size();
        if size == FREED {
            return Err(Cond::BadAddress);
        }
        Ok(Found { payload, kind: Kind::Tree, size, align: MIN_ALIGN, tainted: false, destructor: false })
    }

    fn locate_behind(&self, payload: NonNull<u8>, header: usize, _: Kind) -> Result<NonNull<u8>, Cond> {
        let block = NonNull::new(payload.as_ptr().wrapping_sub(header)).ok_or(Cond::BadAddress)?;
        self.locate(block).map(|found| found.payload)
    }

    unsafe fn release(&self, _: NonNull<u8>, _: bool) -> Result<(), Cond> {
        Err(Cond::Mismatch)
    }

    fn sibling(&self, _: NonNull<u8>, _: Layout) -> Result<NonNull<[u8]>, Cond> {
        Err(Cond::Mismatch)
    }

    unsafe fn set_kind(&self, _: NonNull<u8>, _: Kind) {}

    #[cfg(feature = "shred")]
    fn taint_cell(&self, _: NonNull<u8>) -> Result<(), Cond> {
        // The node knows by itself.
        Ok(())
    }
}

/// Another store's cells.
pub struct Guest {
    host: NonNull<Entry>,
}

impl Guest {
    /// # Errors
    ///
    /// `too_many` where as many trees lie in each other as can be told apart.
    pub fn new(host: &Entry) -> Result<Self, Cond> {
        let trees = successors(Some(host), |host| host.as_a::<GuestTree>().ok().map(|tree| tree.source().host()));
        if trees.count() > NESTED { Err(Cond::TooMany) } else { Ok(Self { host: NonNull::from(host) }) }
    }

    pub fn host(&self) -> &Entry {
        // SAFETY: a store in which another stands is not destroyed.
        unsafe { self.host.as_ref() }
    }
}

// SAFETY: the blocks are cells of the host.
unsafe impl Source for Guest {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.host().grant(layout).map(|grant| grant.bytes)
    }

    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        let grant = self.host().grant(layout)?;
        if !grant.zeroed {
            // SAFETY: the block was just handed out to us and is this long.
            unsafe { grant.bytes.cast::<u8>().write_bytes(0, layout.size()) };
        }
        Ok(grant.bytes)
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        self.host().grant(layout)
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.host().take_back(block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        let now = with_store!(self.host(), store => unsafe { Source::resize(store, block, old, new) })?;
        if now.cast() != block {
            self.host().has_given();
        }
        Ok(now)
    }

    fn least_align(&self) -> usize {
        with_store!(self.host(), store => store.least_align())
    }

    fn largest(&self) -> Option<usize> {
        self.host().largest()
    }
}

// SAFETY: the answers are those of the host, whose cells with nodes in them have a mark that says so.
unsafe impl Store for Guest {
    const KIND: Kind = Kind::Lin;

    fn head(&self) -> &Head {
        with_store!(self.host(), store => store.head())
    }

    fn locate(&self, block: NonNull<u8>) -> Result<Found, Cond> {
        let found = self.host().locate(block)?;
        let kind = if found.kind == self.host().node_mark() { Kind::Tree } else { Kind::Lin };
        Ok(Found { kind, ..found })
    }

    /// All alignments are alike here: so there is one place to look at, however deep trees lie in each other.
    fn locate_behind(&self, payload: NonNull<u8>, header: usize, kind: Kind) -> Result<NonNull<u8>, Cond> {
        let block = NonNull::new(payload.as_ptr().wrapping_sub(header)).ok_or(Cond::BadAddress)?;
        let found = self.locate(block)?;
        if found.kind == kind { Ok(found.payload) } else { Err(Cond::BadAddress) }
    }

    unsafe fn release(&self, _: NonNull<u8>, _: bool) -> Result<(), Cond> {
        Err(Cond::Mismatch)
    }

    fn sibling(&self, _: NonNull<u8>, _: Layout) -> Result<NonNull<[u8]>, Cond> {
        Err(Cond::Mismatch)
    }

    unsafe fn set_kind(&self, block: NonNull<u8>, _: Kind) {
        let mark = self.host().node_mark();
        // SAFETY: the caller's promise.
        with_store!(self.host(), store => unsafe { store.set_kind(block, mark) });
    }

    #[cfg(feature = "shred")]
    fn taint_cell(&self, block: NonNull<u8>) -> Result<(), Cond> {
        with_store!(self.host(), store => store.taint_cell(block))
    }
}

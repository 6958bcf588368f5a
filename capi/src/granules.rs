//! Pages for trees that have a region of their own, and which node starts where in them.
//!
//! ```text
//!  address   ├ 17 bits: none ┤├ 15: table ┤├ 16: entry ┤├ 12: unit of the granule ┤├ 4: none ┤
//!                                  │            │
//!  TABLES ────────────────────────►│ ──────────►│ ─► Granule: owner, a bit for each 16 bytes
//!
//!  a chunk   ├ Granule │ Granule │ … ┤├ what was asked for …                        ┤   64 KiB aligned
//! ```
//!
//! Two loads tell of any number whether it is an address in such a chunk, without reading what it points to; a third
//! whether a block that is handed out begins there. Tables come as they are needed and stay; a slot of one leads to a live record
//! or nowhere. (The two-level map of chunks is an old one: a page table in software.)

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use kmem::platform::{Native, Platform};
use kmem::{Cond, Grant, MIN_ALIGN, Pages, Source};

use crate::entry::{Entry, OwnTree};

/// Bytes of a granule, by their logarithm.
const SHIFT: u32 = 16;
const GRANULE: usize = 1 << SHIFT;
/// Entries of a table, by their logarithm.
const INNER: u32 = 16;
/// Bits of an address that a process can have.
const BITS: u32 = 47;
const OUTER: usize = 1 << (BITS - SHIFT - INNER);
const UNITS: usize = GRANULE / MIN_ALIGN;

type Table = [AtomicPtr<Granule>; 1 << INNER];

static TABLES: [AtomicPtr<Table>; OUTER] = [const { AtomicPtr::new(ptr::null_mut()) }; OUTER];

/// What is known of a granule.
#[repr(C, align(16))]
pub struct Granule {
    owner: NonNull<Entry>,
    /// The owner's tree.
    tree: NonNull<OwnTree>,
    /// The chunk, by the pointer that the platform gave for all of it.
    chunk: NonNull<u8>,
    /// In a chunk's first granule: the chunk before it, and how long this one is.
    next: Var<*const Self>,
    len: usize,
    /// And whether the chunk is one block.
    whole: Var<bool>,
    /// Bit by bit: whether a block begins there, which is or was handed out.
    starts: [AtomicU64; UNITS / 64],
}

/// The record of the granule that holds an address, if it is one of ours.
pub fn of<'a>(address: usize) -> Option<&'a Granule> {
    record(address / MIN_ALIGN)
}

/// The record of the granule in which a block begins, be it live or free; whatever the address is.
#[inline(always)]
pub fn of_block<'a>(address: usize) -> Option<&'a Granule> {
    // What is not aligned to a unit becomes an address that no process has.
    let unit = address.rotate_right(MIN_ALIGN.ilog2());
    record(unit).filter(|granule| granule.starts[unit % UNITS / 64].load(Ordering::Relaxed) >> (unit % 64) & 1 != 0)
}

/// The record of the granule that holds a unit.
#[inline(always)]
fn record<'a>(unit: usize) -> Option<&'a Granule> {
    // SAFETY: null, or a record that stays until its granule's memory is given back.
    unsafe { slot(unit)?.load(Ordering::Acquire).as_ref() }
}

/// Where the record of a unit's granule is noted, if there is a table.
#[inline(always)]
fn slot<'a>(unit: usize) -> Option<&'a AtomicPtr<Granule>> {
    let granule = unit / UNITS;
    let table = TABLES.get(granule >> INNER)?.load(Ordering::Acquire);
    // SAFETY: null, or a table, which stays for good.
    let table = unsafe { table.as_ref() }?;
    Some(&table[granule & ((1 << INNER) - 1)])
}

impl Granule {
    #[inline]
    pub fn owner<'a>(&self) -> &'a Entry {
        // SAFETY: a store gives its chunks back before its entry goes.
        unsafe { self.owner.as_ref() }
    }

    /// Notes whether a block begins there. Only the owner's thread does, so nothing is lost in between.
    pub fn set_start(&self, address: usize, is: bool) {
        let unit = address / MIN_ALIGN % UNITS;
        let word = &self.starts[unit / 64];
        let (before, bit) = (word.load(Ordering::Relaxed), 1 << (unit % 64));
        word.store(if is { before | bit } else { before & !bit }, Ordering::Relaxed);
    }

    #[inline(always)]
    pub fn tree<'a>(&self) -> &'a OwnTree {
        // SAFETY: only a tree has granules, and it gives its chunks back before it goes.
        unsafe { self.tree.as_ref() }
    }

    /// An address of the chunk as a pointer that is good for all of it.
    #[inline]
    pub fn pointer(&self, address: usize) -> NonNull<u8> {
        let place = self.chunk.as_ptr().with_addr(address);
        // SAFETY: no address of a chunk is null.
        unsafe { NonNull::new_unchecked(place) }
    }
}

/// The pages of one tree.
pub struct Granules {
    owner: Var<Option<NonNull<Entry>>>,
    chunks: Var<*const Granule>,
}

impl Granules {
    pub const fn new() -> Self {
        Self { owner: Var::new(None), chunks: Var::new(ptr::null()) }
    }

    /// Says whose they are, before the first is taken.
    pub fn belong_to(&self, owner: NonNull<Entry>) {
        self.owner.set(Some(owner));
    }

    /// The records of a chunk that begin with this one.
    fn records(first: &Granule) -> impl Iterator<Item = &Granule> {
        let start = first.chunk.addr().get();
        (start..start + first.len).step_by(GRANULE).filter_map(of)
    }

    /// Bytes of records in front of a block, and of the whole chunk.
    fn chunk(size: usize) -> Result<(usize, usize), Cond> {
        let mut granules = size.div_ceil(GRANULE).max(1);
        loop {
            let front = granules.checked_mul(size_of::<Granule>()).ok_or(Cond::BadSize)?;
            let need = front.checked_add(size).ok_or(Cond::BadSize)?.div_ceil(GRANULE);
            if need <= granules {
                return Ok((front, granules * GRANULE));
            }
            granules = need;
        }
    }

    fn whole(len: usize) -> Result<Layout, Cond> {
        Layout::from_size_align(len, GRANULE).map_err(|_| Cond::BadSize)
    }
}

/// Sees that there is a table for every address of a chunk.
fn make_tables(start: usize, len: usize) -> Result<(), Cond> {
    let last = start.checked_add(len - 1).ok_or(Cond::BadSize)?;
    for index in start >> (SHIFT + INNER)..=last >> (SHIFT + INNER) {
        let place = TABLES.get(index).ok_or(Cond::BadSize)?;
        if place.load(Ordering::Acquire).is_null() {
            let run = Native.map(size_of::<Table>())?;
            let table = run.start.cast::<Table>().as_ptr();
            if !run.zeroed {
                // SAFETY: the run is ours and long enough; a table of zeroes is one of nulls.
                unsafe { table.write_bytes(0, 1) };
            }
            if place.compare_exchange(ptr::null_mut(), table, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                // Another thread was quicker.
                // SAFETY: the run is ours and unused.
                unsafe { Native.unmap(run.start, run.len) }?;
            }
        }
    }
    Ok(())
}

// SAFETY: each block lies in pages of its own, behind the records.
unsafe impl Source for Granules {
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.grant(layout).map(|grant| grant.bytes)
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        if layout.align() > MIN_ALIGN {
            return Err(Cond::BadSize);
        }
        let owner = self.owner.get().ok_or(Cond::FailAssert)?;
        // SAFETY: the entry was written before its store asks for anything.
        let tree = unsafe { owner.as_ref() }.at().cast();
        let (front, len) = Self::chunk(layout.size())?;
        let whole = Self::whole(len)?;
        let grant = Pages::new().grant(whole)?;
        let chunk = grant.bytes.cast::<u8>();
        if let Err(cond) = make_tables(chunk.addr().get(), len) {
            // SAFETY: just granted, and unused.
            unsafe { Pages::new().free(chunk, whole) }?;
            return Err(cond);
        }
        let records = chunk.cast::<Granule>();
        for index in 0..len >> SHIFT {
            let record = Granule {
                owner,
                tree,
                chunk,
                next: Var::new(self.chunks.get()),
                len,
                whole: Var::new(false),
                starts: [const { AtomicU64::new(0) }; UNITS / 64],
            };
            // SAFETY: the chunk has room for a record for each of its granules at its front.
            let place = unsafe { records.add(index) };
            // SAFETY: as above.
            unsafe { place.write(record) };
            if let Some(slot) = slot((chunk.addr().get() + index * GRANULE) / MIN_ALIGN) {
                slot.store(place.as_ptr(), Ordering::Release);
            }
        }
        self.chunks.set(records.as_ptr());
        // SAFETY: behind the records lies the block.
        let block = unsafe { chunk.add(front) };
        Ok(Grant { bytes: NonNull::slice_from_raw_parts(block, len - front), zeroed: grant.zeroed })
    }

    unsafe fn free(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // The records are in front of the block, in its first granules: the first one tells how many there are.
        let granule = of(block.addr().get()).ok_or(Cond::FailAssert)?;
        let (chunk, len) = (granule.chunk, granule.len);
        // SAFETY: a chunk begins with the record of its first granule.
        let first = unsafe { chunk.cast::<Granule>().as_ref() };
        let next = first.next.get();
        let units = (chunk.addr().get()..chunk.addr().get() + len).step_by(GRANULE).map(|start| start / MIN_ALIGN);
        let slots = units.filter_map(slot);
        let records: *mut Granule = chunk.cast().as_ptr();
        slots.clone().for_each(|slot| slot.store(ptr::null_mut(), Ordering::Release));
        // SAFETY: the caller's promise: the chunk of the block is used no more.
        if let Err(cond) = unsafe { Pages::new().free(chunk, Self::whole(len)?) } {
            for (index, slot) in slots.enumerate() {
                slot.store(records.wrapping_add(index), Ordering::Release);
            }
            return Err(cond);
        }
        self.unlink(records, next);
        Ok(())
    }

    #[inline]
    fn begun(&self, block: NonNull<u8>) {
        let address = block.addr().get();
        let Some(granule) = of(address) else { return };
        granule.set_start(address, true);
        // SAFETY: a chunk begins with the record of its first granule.
        let first = unsafe { granule.chunk.cast::<Granule>().as_ref() };
        // A region has something of its own at the front of a chunk.
        let front = (first.len >> SHIFT) * size_of::<Granule>();
        if address == granule.chunk.addr().get() + front {
            first.whole.set(true);
        }
    }

    fn forgotten(&self, but: Option<NonNull<u8>>) {
        let mut at = self.chunks.get();
        // SAFETY: null, or the first record of a chunk that is held.
        while let Some(first) = unsafe { at.as_ref() } {
            if !first.whole.get() {
                let words = Self::records(first).flat_map(|granule| &granule.starts);
                words.for_each(|word| word.store(0, Ordering::Relaxed));
            }
            at = first.next.get();
        }
        but.iter().for_each(|block| self.begun(*block));
    }
}

impl Drop for Granules {
    fn drop(&mut self) {
        // What the system refused to take back stays mapped, but is nobody's any more.
        let mut at = self.chunks.get();
        // SAFETY: null, or the first record of a chunk that is held.
        while let Some(first) = unsafe { at.as_ref() } {
            let start = first.chunk.addr().get();
            let units = (start..start + first.len).step_by(GRANULE).map(|start| start / MIN_ALIGN);
            units.filter_map(slot).for_each(|slot| slot.store(ptr::null_mut(), Ordering::Release));
            at = first.next.get();
        }
    }
}

impl Granules {
    /// Takes a chunk that has gone off the list; its address is only compared with.
    fn unlink(&self, gone: *const Granule, next: *const Granule) {
        let mut link = &self.chunks;
        loop {
            let at = link.get();
            if ptr::addr_eq(at, gone) {
                return link.set(next);
            }
            // SAFETY: null, or the first record of a chunk that is held.
            let Some(record) = (unsafe { at.as_ref() }) else { return };
            link = &record.next;
        }
    }
}

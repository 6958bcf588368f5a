//! Which store an address belongs to, among all of the process, without reading what it points to.
//!
//! ```text
//!  memory    ├ home of a ────────────────────────────────────┤      ├ block of b ──────────┤
//!             entry, store, the caller's bytes (if fixed)            range, what b asked for
//!                          ├ block of c ─┤                               ├ home of d ─┤
//!                           outer = home of a                             outer = block of b
//!
//!  by start  a's home ── c's block ── b's block ── d's home       a treap, in the ranges themselves
//! ```
//!
//! A range is a stretch of memory that a store has: its home, or a block that it took from its source. Ranges nest and
//! do not cross, so the one that begins last before an address holds it, or one of those that it lies in does. All
//! of them stand in the memory that they tell of: registering allocates nothing. (A treap: Seidel and Aragon.)
//!
//! One lock is held while the ranges are searched or changed, and no other inside it. The stores that were found last
//! are kept in a table that is read without it: a store leaves that table under the lock, before its entry goes.

use core::cell::Cell as Var;
use core::mem;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use kmem::Cond;
use kmem::platform::{Guard, Locked};

use crate::entry::{ENTRY, Entry};
use crate::seeded::seeded;
use crate::{fork, granules};

/// A stretch of memory that a store has.
#[repr(C)]
pub struct Range {
    left: Var<*const Self>,
    right: Var<*const Self>,
    start: usize,
    end: usize,
    owner: NonNull<Entry>,
    outer: Var<*const Self>,
    /// The store in whose memory it lies; it cannot be destroyed before this is forgotten.
    host: Var<*const Entry>,
    /// Whether it lies in bytes of the caller's.
    fixed: Var<bool>,
}

/// What a range lies in.
pub enum Within<'e> {
    /// Memory that was taken for it from this store, or from none.
    Given(Option<&'e Entry>),
    /// Bytes of the caller's, which may be a cell's.
    Bytes,
}

impl Range {
    pub const fn new(owner: NonNull<Entry>, start: usize, end: usize) -> Self {
        let none = ptr::null();
        Self {
            left: Var::new(none),
            right: Var::new(none),
            start,
            end,
            owner,
            outer: Var::new(none),
            host: Var::new(ptr::null()),
            fixed: Var::new(false),
        }
    }

    /// Its place among its like, by which the treap is a heap: what is as good as drawn by lot.
    fn priority(&self) -> usize {
        (self.start ^ (self.start >> 21)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

type Link = Var<*const Range>;

struct Ranges {
    root: Link,
}

// SAFETY: what it leads to is only used under the lock that it stands behind.
unsafe impl Send for Ranges {}

static RANGES: Locked<Ranges> = Locked::new(Ranges { root: Var::new(ptr::null()) });

/// All of them, which nobody else has meanwhile.
fn ranges() -> Guard<'static, Ranges> {
    fork::prepare();
    RANGES.lock()
}

/// Locks for whoever forks.
pub fn lock() {
    mem::forget(RANGES.lock());
}

/// Unlocks again.
///
/// # Safety
///
/// The calling thread has called [`lock`].
pub unsafe fn unlock() {
    // SAFETY: the caller's promise: its guard was forgotten.
    unsafe { RANGES.unlock() };
}

/// Stores that were made in bytes of the caller's which no other store has: if not in a cell of the process heap, on a stack
/// or in a `static`.
static ELSEWHERE: AtomicUsize = AtomicUsize::new(0);

/// Whether a cell of the process heap may have a store in it that was made there by its bytes.
#[inline]
pub fn are_elsewhere() -> bool {
    ELSEWHERE.load(Ordering::Relaxed) > 0
}

/// Whether a cell can go or move: no store was made in it.
///
/// # Errors
///
/// `in_use` if one was.
#[cold]
pub fn is_free(payload: NonNull<u8>, size: usize) -> Result<(), Cond> {
    let start = payload.addr().get();
    let begins_within = |range: &Range| range.start >= start;
    let last = size.checked_sub(1).map_or(start, |last| start + last);
    if ranges().before(last).is_some_and(begins_within) { Err(Cond::InUse) } else { Ok(()) }
}

/// Stores that were found, by their addresses.
static KNOWN: [AtomicPtr<Entry>; 64] = [const { AtomicPtr::new(ptr::null_mut()) }; 64];

fn known(store: usize) -> &'static AtomicPtr<Entry> {
    &KNOWN[((store >> 4) ^ (store >> 10)) % KNOWN.len()]
}

/// The range that a link leads to.
fn read<'a>(link: *const Range) -> Option<&'a Range> {
    // SAFETY: null, or a range that is registered: links are only followed under the lock.
    unsafe { link.as_ref() }
}

impl Ranges {
    /// The range that begins last of those that begin at an address or before it.
    fn before(&self, address: usize) -> Option<&Range> {
        let (mut at, mut best) = (read(self.root.get()), None);
        while let Some(range) = at {
            if range.start <= address {
                best = at;
                at = read(range.right.get());
            } else {
                at = read(range.left.get());
            }
        }
        best
    }

    /// The innermost range that holds an address.
    fn holding(&self, address: usize) -> Option<&Range> {
        let mut at = self.before(address);
        while let Some(range) = at {
            if address < range.end {
                return at;
            }
            at = read(range.outer.get()).filter(|_| !seeded("an_outer_range_is_forgotten"));
        }
        None
    }

    /// The innermost range in which a payload may lie. Where a store was made in a cell, from its first byte on, the
    /// cell is not in that store's range, which only ranges that begin before are around.
    fn around(&self, payload: usize) -> Option<&Range> {
        match self.holding(payload) {
            Some(range) if range.start == payload && !seeded("a_cell_is_looked_for_in_the_store_in_it") => {
                read(range.outer.get())
            }
            held => held,
        }
    }

    /// What a range would lie in.
    fn place(&self, start: usize, end: usize) -> Result<*const Range, Cond> {
        let outer = self.holding(start);
        let crosses = outer.is_some_and(|outer| end > outer.end || start == outer.start);
        let holds = self.before(end - 1).is_some_and(|last| last.start > start);
        if crosses || holds { Err(Cond::InUse) } else { Ok(outer.map_or(ptr::null(), ptr::from_ref)) }
    }

    fn insert(&self, new: &Range) {
        let mut link = &self.root;
        while let Some(range) = read(link.get()).filter(|range| range.priority() >= new.priority()) {
            link = if new.start < range.start { &range.left } else { &range.right };
        }
        // What was below comes below the new one: what begins before it on the left, the rest on the right.
        let mut rest = link.replace(new);
        let (mut left, mut right) = (&new.left, &new.right);
        while let Some(range) = read(rest) {
            if range.start < new.start {
                left.set(rest);
                left = &range.right;
                rest = left.get();
            } else {
                right.set(rest);
                right = &range.left;
                rest = right.get();
            }
        }
        left.set(ptr::null());
        right.set(ptr::null());
    }

    fn remove(&self, old: &Range) {
        let mut link = &self.root;
        while let Some(range) = read(link.get()).filter(|range| !ptr::eq(*range, old)) {
            link = if old.start < range.start { &range.left } else { &range.right };
        }
        // Of what was below it, the one that is to be above comes up, and so on down.
        let (mut left, mut right) = (old.left.get(), old.right.get());
        loop {
            match (read(left), read(right)) {
                (Some(one), Some(other)) if one.priority() >= other.priority() => {
                    link.set(left);
                    link = &one.right;
                    left = link.get();
                }
                (Some(_), Some(other)) => {
                    link.set(right);
                    link = &other.left;
                    right = link.get();
                }
                (Some(_), None) => return link.set(left),
                (None, _) => return link.set(right),
            }
        }
    }

    /// The store in whose memory something stands that begins at an address.
    fn host(outer: *const Range, start: usize) -> *const Entry {
        match read(outer) {
            Some(range) => range.owner.as_ptr(),
            None => granules::of(start).map_or(ptr::null(), |granule| ptr::from_ref(granule.owner())),
        }
    }
}

/// Whether bytes can be a store's: they hold nothing that is registered, and cross nothing.
///
/// # Errors
///
/// `in_use` if they do.
pub fn may_register(start: usize, end: usize) -> Result<(), Cond> {
    ranges().place(start, end).map(drop)
}

/// Takes a range in. It is counted by the store in whose memory it lies.
///
/// # Errors
///
/// `in_use` where it holds what is registered already, or crosses it.
///
/// # Safety
///
/// The range stays where it is, with its owner, until it is forgotten.
pub unsafe fn register(range: NonNull<Range>, within: &Within<'_>) -> Result<(), Cond> {
    // SAFETY: the caller's promise.
    let range = unsafe { range.as_ref() };
    let ranges = ranges();
    let outer = ranges.place(range.start, range.end)?;
    range.outer.set(outer);
    let (host, fixed) = match within {
        Within::Given(host) => (host.map_or(ptr::null(), ptr::from_ref), false),
        Within::Bytes => (Ranges::host(outer, range.start), true),
    };
    range.host.set(host);
    range.fixed.set(fixed);
    // SAFETY: null, or a store that is there.
    if let Some(host) = unsafe { host.as_ref() } {
        host.arrives(fixed);
    } else if fixed {
        ELSEWHERE.fetch_add(1, Ordering::Relaxed);
    }
    ranges.insert(range);
    Ok(())
}

/// Takes a range out again.
///
/// # Safety
///
/// It is registered.
pub unsafe fn forget(range: NonNull<Range>) {
    // SAFETY: the caller's promise.
    let range = unsafe { range.as_ref() };
    let entry = range.owner.as_ptr();
    let ranges = ranges();
    ranges.remove(range);
    // The home is the last that a store has.
    if ptr::addr_eq(range, entry) {
        let slot = known(entry.addr() + ENTRY);
        if slot.load(Ordering::Relaxed) == entry && !seeded("a_store_is_known_when_it_has_gone") {
            slot.store(ptr::null_mut(), Ordering::Release);
        }
    }
    // Last: the range lies in the host's memory, which may go then.
    let (host, fixed) = (range.host.get(), range.fixed.get());
    // SAFETY: null, or a store that is there as long as it has a guest.
    if let Some(host) = unsafe { host.as_ref() } {
        host.leaves(fixed);
    } else if fixed {
        ELSEWHERE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The store in whose memory a payload may lie, and no other store's within it: what is there has something in front.
pub fn owner_of<'a>(payload: usize) -> Option<&'a Entry> {
    let ranges = ranges();
    // SAFETY: the owner of a registered range is there; who uses a store does not destroy it meanwhile.
    ranges.around(payload).map(|range| unsafe { range.owner.as_ref() })
}

/// The store that a pointer from C names.
///
/// # Errors
///
/// `bad_address` if no store is there.
#[inline]
pub fn store<'a, T>(store: *const T) -> Result<&'a Entry, Cond> {
    let entry = known(store.addr()).load(Ordering::Acquire);
    if entry.addr().wrapping_add(ENTRY) == store.addr() && !entry.is_null() {
        // SAFETY: what is known is there; who uses a store does not destroy it meanwhile.
        return Ok(unsafe { &*entry });
    }
    search(store.addr())
}

#[cold]
fn search<'a>(store: usize) -> Result<&'a Entry, Cond> {
    let ranges = ranges();
    let owner = ranges.holding(store).map(|range| range.owner).ok_or(Cond::BadAddress)?;
    if owner.addr().get() + ENTRY != store {
        return Err(Cond::BadAddress);
    }
    known(store).store(owner.as_ptr(), Ordering::Release);
    // SAFETY: as above.
    Ok(unsafe { owner.as_ref() })
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    impl Ranges {
        /// Proves the ranges: their order, that they nest, and that each is where it can be found.
        fn check(&self) -> usize {
            let (mut path, mut at, mut last, mut count) = (Vec::new(), read(self.root.get()), None::<&Range>, 0);
            while at.is_some() || !path.is_empty() {
                while let Some(range) = at {
                    path.push(range);
                    at = read(range.left.get());
                }
                let range = path.pop().expect("something is left");
                for below in [read(range.left.get()), read(range.right.get())].into_iter().flatten() {
                    assert!(below.priority() <= range.priority(), "it is a heap");
                }
                assert!(last.is_none_or(|last| last.start < range.start), "it is in order");
                if let Some(outer) = read(range.outer.get()) {
                    assert!(outer.start < range.start && range.end <= outer.end, "it lies within");
                }
                assert!(ptr::eq(self.holding(range.start).expect("it is found"), range));
                (last, at, count) = (Some(range), read(range.right.get()), count + 1);
            }
            count
        }
    }

    /// Random ranges come and go: each address is held by the innermost one, as a search of all says too.
    #[test]
    fn an_address_is_held_by_the_innermost_range() {
        let ranges = Ranges { root: Var::new(ptr::null()) };
        let mut live: Vec<Box<Range>> = Vec::new();
        let mut dice = 7_u64;
        let mut roll = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((dice >> 33) % sides).expect("small")
        };
        for round in 0..6000 {
            let start = 64 + roll(4000) * 16;
            let end = start + 16 + roll(if round % 3 == 0 { 2000 } else { 40 }) * 16;
            let fits =
                |other: &Range| end <= other.start || start >= other.end || (other.start < start && end <= other.end);
            match ranges.place(start, end) {
                Ok(outer) => {
                    assert!(live.iter().all(|other| fits(other)), "what is let in crosses nothing and holds nothing");
                    let range = Box::new(Range::new(NonNull::dangling(), start, end));
                    range.outer.set(outer);
                    ranges.insert(&range);
                    live.push(range);
                }
                Err(_) => assert!(!live.iter().all(|other| fits(other)), "what is kept out does"),
            }
            if live.len() > 60 || roll(3) == 0 {
                // A range that holds others goes after them.
                let holds_none = |range: &Range| !live.iter().any(|other| ptr::eq(other.outer.get(), range));
                if let Some(at) = (0..live.len()).find(|at| holds_none(&live[*at]) && roll(4) == 0) {
                    let range = live.swap_remove(at);
                    ranges.remove(&range);
                }
            }
            let address = 16 * roll(4400) + roll(2);
            let within = live.iter().filter(|range| range.start <= address && address < range.end);
            let innermost = within.max_by_key(|range| range.start).map(|range| ptr::from_ref(&**range));
            assert_eq!(ranges.holding(address).map(ptr::from_ref), innermost);
            let around = live.iter().filter(|range| range.start < address && address < range.end);
            let around = around.max_by_key(|range| range.start).map(|range| ptr::from_ref(&**range));
            assert_eq!(ranges.around(address).map(ptr::from_ref), around);
            assert_eq!(ranges.check(), live.len());
        }
    }
}

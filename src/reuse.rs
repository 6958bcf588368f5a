//! A region whose cells are handed out again.
//!
//! ```text
//!  lists, by size     16 ─► cell ─► cell ─► null        what came back, the newest first
//!                     32 ─► null
//!                     48 ─► cell ─► null   …
//!
//!  region             ├ first ┤├ cell ┤├ free ┤├ cell ┤├ fresh …
//! ```
//!
//! A free cell holds the link to the one of its size that was freed before it. When all have come back, or all
//! but the first, the region is rewound: what is allocated next lies in the order of addresses again. (A list of
//! free cells alone hands a large structure back scrambled, and the next one built of it is many times slower.)
//!
//! Invariants: every cell of the region is live or on the list of its size; `live` counts the former; `first` is null
//! or the region's first cell, which is live.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::fmt;
use core::ptr::{self, NonNull};

use crate::cell::{MIN_ALIGN, inside, round_up};
use crate::lin::Position;
use crate::poison::{hide, show};
use crate::report::rule;
use crate::source::move_block;
#[cfg(feature = "shred")]
use crate::wipe::wipe;
use crate::{Broken, Cond, Lin, Source, Stats};

/// Up to this many units each size has a list of its own; beyond, four lists share a power of two.
const EXACT: usize = 64;
/// Bytes beyond which a block is the source's own.
const LARGE: usize = 32 << 10;
const LISTS: usize = list(LARGE) + 1;
/// The region is rewound over all but its first cell after more cells than this: fewer are as well found on the lists.
const FEW: usize = 256;

/// The list for blocks of a size, which is at least 1 and at most [`LARGE`].
const fn list(size: usize) -> usize {
    let units = size.div_ceil(MIN_ALIGN);
    if units <= EXACT {
        return units - 1;
    }
    let power = (units - 1).ilog2();
    let quarter = ((units - 1) >> (power - 2)) & 3;
    EXACT + (power as usize - EXACT.ilog2() as usize) * 4 + quarter
}

/// The list for a size, if it is one of those that have a list of their own.
#[inline]
const fn exact(size: usize) -> Option<usize> {
    // Size 0 wraps round, and is none of them.
    let list = size.wrapping_sub(1) / MIN_ALIGN;
    if list < EXACT { Some(list) } else { None }
}

/// Bytes of a block on the list for a size.
const fn extent(size: usize) -> usize {
    let units = size.div_ceil(MIN_ALIGN);
    if units <= EXACT {
        return round_up(size);
    }
    let step = 1 << ((units - 1).ilog2() - 2);
    units.next_multiple_of(step) * MIN_ALIGN
}

/// Bytes of a block on a list.
const fn extent_of(list: usize) -> usize {
    if list < EXACT {
        return (list + 1) * MIN_ALIGN;
    }
    let (power, quarter) = ((list - EXACT) / 4 + EXACT.ilog2() as usize, (list - EXACT) % 4);
    ((5 + quarter) << (power - 2)) * MIN_ALIGN
}

/// Bytes of the largest block with room in so many.
fn within(bytes: usize) -> usize {
    (0..LISTS).rev().map(extent_of).find(|extent| *extent <= bytes).unwrap_or(0)
}

/// A source for many things of a few sizes that come and go: a region, and lists of what came back to it.
///
/// It is what a tree takes its nodes from unless it is given another source. Allocating and freeing take a few
/// instructions each and no header; the room of what was freed is used again for the same size only, until everything
/// has come back. Blocks of more than 32 KiB are the source's own, and stay with it unless they are freed.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Pages, Reuse, Source};
///
/// let nodes = Reuse::new_in(Pages::new());
/// let layout = Layout::new::<[u64; 6]>();
/// let node = nodes.alloc(layout)?;
/// // SAFETY: the block came from here with this layout, and is used no more.
/// unsafe { nodes.free(node.cast(), layout)? };
/// assert_eq!(nodes.alloc(layout)?, node);
/// # Ok::<(), kmem::Cond>(())
/// ```
pub struct Reuse<S: Source> {
    lists: [Var<*mut Free>; LISTS],
    /// Blocks of the region that are handed out.
    live: Var<usize>,
    /// Blocks of the source's own that are handed out.
    large: Var<usize>,
    /// Blocks taken from the region since it was empty.
    taken: Var<usize>,
    /// The region's first cell, while it is live, and the place behind it.
    first: Var<*mut u8>,
    behind: Var<Position>,
    region: Lin<S>,
}

/// The front of a free block.
struct Free {
    next: *mut Free,
}

// SAFETY: the blocks belong to this value, and those that are handed out are raw.
unsafe impl<S: Source + Send> Send for Reuse<S> {}

impl<S: Source> Reuse<S> {
    /// Bytes beyond which a block is the source's own, and goes back to it when it is freed; all others stay in the
    /// region.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Reuse, Source};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let nodes = Reuse::new_in(&heap);
    /// let layout = Layout::array::<u8>(Reuse::<&Heap<Pages>>::LARGE + 1).expect("not too long");
    /// let block = nodes.alloc(layout)?.cast();
    /// // SAFETY: just allocated with this layout.
    /// unsafe { nodes.free(block, layout)? };
    /// assert_eq!(heap.stats().live, 0);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const LARGE: usize = LARGE;

    /// A source whose region takes its chunks from another; the first is taken with the first block.
    ///
    /// ```
    /// use core::mem::MaybeUninit;
    /// use kmem::{Fixed, Reuse, Tree};
    ///
    /// let mut bytes = [MaybeUninit::uninit(); 8192];
    /// let tree = Tree::new_in(Reuse::new_in(Fixed::new(&mut bytes)));
    /// tree.root()?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn new_in(source: S) -> Self {
        Self {
            lists: [const { Var::new(ptr::null_mut()) }; LISTS],
            live: Var::new(0),
            large: Var::new(0),
            taken: Var::new(0),
            first: Var::new(ptr::null_mut()),
            behind: Var::new(Position::NONE),
            region: Lin::new_in(source),
        }
    }

    /// What the region takes its chunks from.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Reuse, Source};
    ///
    /// let heap = Heap::new_in(Pages::new());
    /// let nodes = Reuse::new_in(&heap);
    /// nodes.alloc(Layout::new::<u64>())?;
    /// assert_eq!(nodes.source().stats().live, 1);     // its chunk
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub const fn source(&self) -> &S {
        self.region.source()
    }

    /// Figures. `bytes` are those of the region up to its cursor, with what waits on the lists.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Reuse, Source};
    ///
    /// let nodes = Reuse::new_in(Pages::new());
    /// nodes.alloc(Layout::new::<u64>())?;
    /// assert_eq!(nodes.stats().live, 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { live: self.live.get() + self.large.get(), ..self.region.stats() }
    }

    /// Proves the lists and the region.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Pages, Reuse, Source};
    ///
    /// let nodes = Reuse::new_in(Pages::new());
    /// nodes.alloc(Layout::new::<u64>())?;
    /// nodes.check().expect("nobody wrote over it");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that does not hold, and where.
    pub fn check(&self) -> Result<(), Broken> {
        let mut free = 0;
        for head in &self.lists {
            let mut at = head.get();
            while let Some(block) = NonNull::new(at) {
                free += 1;
                rule(free <= self.taken.get(), "a list has no loop", at)?;
                rule(self.region.holds(block.cast()), "a free block lies in the region", at)?;
                // SAFETY: a block on a list begins with its link.
                at = unsafe { block.read() }.next;
            }
        }
        rule(self.live.get() + free == self.taken.get(), "every block is live or on a list", self.first.get())?;
        self.region.check()
    }

    /// A block: off its list, of the region, or of the source's own.
    #[inline]
    fn take(&self, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, Cond> {
        match exact(layout.size()) {
            Some(list) if layout.align() <= MIN_ALIGN && !zeroed => {
                if let Some(block) = self.pop(list, layout, false) {
                    return Ok(block);
                }
                if let Some(block) = self.carve(list) {
                    return Ok(NonNull::slice_from_raw_parts(block, layout.size()));
                }
                self.fill(list)?;
                self.pop(list, layout, false).ok_or(Cond::FailAssert)
            }
            _ => self.take_other(layout, zeroed),
        }
    }

    /// A fresh block of an exact list's size, where the region's chunk has room and the first was taken before.
    #[inline(always)]
    fn carve(&self, list: usize) -> Option<NonNull<u8>> {
        if self.taken.get() == 0 {
            return None;
        }
        let block = self.region.carve((list + 1) * MIN_ALIGN)?;
        self.taken.set(self.taken.get() + 1);
        self.live.set(self.live.get() + 1);
        self.source().begun(block);
        Some(block)
    }

    /// Puts a fresh block on an exact list, which is empty.
    #[inline(never)]
    fn fill(&self, list: usize) -> Result<(), Cond> {
        let whole = Layout::from_size_align(extent_of(list), MIN_ALIGN).map_err(|_| Cond::BadSize)?;
        let block = self.alloc_fresh(whole, false)?;
        // SAFETY: a block of the region of this list's size, which nobody has.
        unsafe { self.link(list, block.cast()) };
        Ok(())
    }

    /// A block that is not at hand on one of the exact lists.
    #[inline(never)]
    fn take_other(&self, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, Cond> {
        let size = layout.size().max(1);
        if size > LARGE {
            return self.alloc_large(layout, zeroed);
        }
        if let Some(block) = self.pop(list(size), layout, zeroed) {
            return Ok(block);
        }
        let block = self.alloc_fresh(Self::whole(layout, size)?, zeroed)?;
        self.live.set(self.live.get() + 1);
        Ok(NonNull::slice_from_raw_parts(block.cast(), layout.size()))
    }

    /// The first block of a list, if it is aligned as asked.
    #[inline(always)]
    fn pop(&self, list: usize, layout: Layout, zeroed: bool) -> Option<NonNull<[u8]>> {
        let head = &self.lists[list];
        let block = NonNull::new(head.get())?;
        if layout.align() > MIN_ALIGN && !block.addr().get().is_multiple_of(layout.align()) {
            return None;
        }
        // SAFETY: a block on a list begins with its link.
        head.set(unsafe { block.read() }.next);
        self.live.set(self.live.get() + 1);
        show(block.cast(), layout.size());
        if zeroed {
            // SAFETY: the block was just handed out to us and is this long.
            unsafe { block.cast::<u8>().write_bytes(0, layout.size()) };
        }
        Some(NonNull::slice_from_raw_parts(block.cast(), layout.size()))
    }

    /// Makes a block the first of a list.
    ///
    /// # Safety
    ///
    /// It is one of the region's of this list's size, and nobody's.
    #[inline(always)]
    unsafe fn link(&self, list: usize, block: NonNull<u8>) {
        let head = &self.lists[list];
        show(block, size_of::<Free>());
        // SAFETY: the caller's promise; a block is a unit long at least and aligned to one.
        unsafe { block.cast::<Free>().write(Free { next: head.get() }) };
        hide(inside(block, size_of::<Free>()), extent_of(list) - size_of::<Free>());
        head.set(block.cast().as_ptr());
    }

    /// Puts a block that comes back on a list.
    ///
    /// # Safety
    ///
    /// It is one of the region's of this list's size, and used no more.
    #[inline(always)]
    unsafe fn push(&self, list: usize, block: NonNull<u8>) {
        // SAFETY: the caller's promise.
        unsafe { self.link(list, block) };
        let live = self.live.get() - 1;
        self.live.set(live);
        if block.as_ptr() == self.first.get() {
            self.first.set(ptr::null_mut());
        }
        if live <= 1 {
            self.tidy();
        }
    }

    /// Takes a block back that is of none of the exact lists.
    ///
    /// # Safety
    ///
    /// As for [`Source::free`].
    #[inline(never)]
    unsafe fn free_other(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        let size = layout.size().max(1);
        if size > LARGE {
            // SAFETY: the caller's promise; a block of this size is the source's own.
            unsafe { self.source().free(block, layout) }?;
            self.large.set(self.large.get() - 1);
        } else {
            // SAFETY: the caller's promise; blocks of this size are on this list.
            unsafe { self.push(list(size), block) };
        }
        Ok(())
    }

    /// Rewinds the region if that is worth it.
    #[cold]
    fn tidy(&self) {
        if self.live.get() == 0 || self.taken.get() > FEW {
            self.rewind();
        }
    }

    /// What the region is asked for.
    #[inline]
    fn whole(layout: Layout, size: usize) -> Result<Layout, Cond> {
        // A layout of size 0 may have an alignment that no other can have.
        Layout::from_size_align(extent(size), layout.align()).map_err(|_| Cond::BadSize)
    }

    /// A block of the source's own.
    #[cold]
    fn alloc_large(&self, layout: Layout, zeroed: bool) -> Result<NonNull<[u8]>, Cond> {
        let ask = || if zeroed { self.source().alloc_zeroed(layout) } else { self.source().alloc(layout) };
        let block = ask().or_else(|cond| self.make_room(cond).and_then(|()| ask()))?;
        self.large.set(self.large.get() + 1);
        self.source().begun(block.cast());
        Ok(block)
    }

    /// A block of the region that was not on a list, nor is it live yet.
    #[inline]
    fn alloc_fresh(&self, whole: Layout, zeroed: bool) -> Result<NonNull<[u8]>, Cond> {
        let ask = || if zeroed { self.region.alloc_zeroed(whole) } else { self.region.alloc(whole) };
        let block = match ask() {
            Err(cond) => {
                self.make_room(cond)?;
                ask()?
            }
            Ok(block) => block,
        };
        if self.taken.get() == 0 {
            self.first.set(block.cast().as_ptr());
            self.behind.set(self.region.position());
        }
        self.taken.set(self.taken.get() + 1);
        self.source().begun(block.cast());
        Ok(block)
    }

    /// Rewinds the region over what is free, if that is all behind the first cell.
    #[cold]
    fn rewind(&self) {
        let (to, left) = match self.live.get() {
            0 => (Position::NONE, 0),
            1 if !self.first.get().is_null() => (self.behind.get(), 1),
            _ => return,
        };
        self.lists.iter().for_each(|head| head.set(ptr::null_mut()));
        self.taken.set(left);
        self.region.go_back(to);
        self.source().forgotten(NonNull::new(self.first.get()).filter(|_| left == 1));
    }

    /// Gives the source what can be given back, after it refused something.
    ///
    /// # Errors
    ///
    /// Why it refused, if there is nothing to be given back.
    #[cold]
    fn make_room(&self, refused: Cond) -> Result<(), Cond> {
        let before = self.region.stats().held;
        self.rewind();
        // What it does not take stays, and is offered again.
        let _ = self.region.give_back_spare();
        if self.taken.get() <= 1 || self.region.stats().held < before { Ok(()) } else { Err(refused) }
    }
}

// SAFETY: a block is the region's, which hands out each byte once until it is rewound, and that is only when no block
// behind the place is live; or one that came back, of the same size; or the source's own.
unsafe impl<S: Source> Source for Reuse<S> {
    #[inline]
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.take(layout, false)
    }

    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.take(layout, true)
    }

    #[inline(always)]
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        match exact(layout.size()) {
            Some(list) => {
                // SAFETY: the caller's promise; blocks of this size are on this list.
                unsafe { self.push(list, block) };
                Ok(())
            }
            // SAFETY: the caller's promise, passed on.
            None => unsafe { self.free_other(block, layout) },
        }
    }

    #[inline(always)]
    fn at_hand(&self) -> usize {
        EXACT * MIN_ALIGN
    }

    #[inline(always)]
    fn alloc_if_at_hand(&self, layout: Layout) -> Option<NonNull<u8>> {
        let list = exact(layout.size()).filter(|_| layout.align() <= MIN_ALIGN)?;
        self.pop(list, layout, false).map(NonNull::cast)
    }

    #[inline(always)]
    unsafe fn free_if_at_hand(&self, block: NonNull<u8>, layout: Layout) -> bool {
        match exact(layout.size()) {
            // Else there is more to do than this.
            Some(list) if self.live.get() > 2 && block.as_ptr() != self.first.get() => {
                // SAFETY: the caller's promise; blocks of this size are on this list.
                unsafe { self.link(list, block) };
                self.live.set(self.live.get() - 1);
                true
            }
            _ => false,
        }
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        if layout.size() > LARGE {
            // A block of the source's own may be longer than the layout, and its source knows how long.
            // SAFETY: the caller's promise.
            unsafe { self.source().shred(block, layout) }?;
            self.large.set(self.large.get() - 1);
            return Ok(());
        }
        // SAFETY: the block is live and nothing else uses it.
        unsafe { wipe(block, layout.size()) };
        // SAFETY: the caller's promise, passed on.
        unsafe { self.free(block, layout) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        let (from, to) = (old.size().max(1), new.size().max(1));
        if from > LARGE && to > LARGE {
            // SAFETY: the caller's promise; a block of this size is the source's own.
            let moved = unsafe { self.source().resize(block, old, new) }?;
            self.source().begun(moved.cast());
            return Ok(moved);
        }
        if from <= LARGE && to <= LARGE && list(from) == list(to) {
            show(block, new.size());
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { move_block(self, block, old, new) }
    }

    fn largest(&self) -> Option<usize> {
        // What is free behind the first cell is there for any size.
        if self.live.get() <= 1 {
            self.rewind();
        }
        let large = self.source().largest()?;
        if large > LARGE {
            return Some(large);
        }
        let listed = (0..LISTS).rev().find(|list| !self.lists[*list].get().is_null()).map_or(0, extent_of);
        Some(listed.max(within(self.region.largest()?.min(LARGE))))
    }

    unsafe fn free_all(&self, blocks: usize, but: Option<NonNull<u8>>) -> bool {
        let stays = but.map_or(ptr::null_mut(), NonNull::as_ptr);
        let left = usize::from(but.is_some());
        if self.live.get() != blocks + left || self.large.get() > 0 || (left == 1 && self.first.get() != stays) {
            return false;
        }
        self.live.set(left);
        self.first.set(stays);
        self.rewind();
        true
    }
}

impl<S: Source> fmt::Debug for Reuse<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reuse").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_a_list_that_fits() {
        for size in 1..=LARGE {
            assert!(list(size) < LISTS, "{size}");
            assert!(exact(size).is_none_or(|exact| exact == list(size)), "{size}");
            assert!(extent(size) >= size && extent(size) <= size + size / 4 + MIN_ALIGN, "{size}");
            assert_eq!(list(extent(size)), list(size), "{size}");
            assert_eq!(extent(extent(size)), extent(size), "{size}");
            assert_eq!(extent_of(list(size)), extent(size), "{size}");
            assert!(within(size) <= size && extent(size + 1) > within(size), "{size}");
        }
        assert!((1..LARGE).all(|size| list(size) <= list(size + 1)));
    }
}

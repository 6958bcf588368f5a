//! A tree of values, reached by keys: the safe face of [`Tree`].
//!
//! ```text
//! key ──► slot: generation, node ──► Node │ Item { slot, value }
//! ```
//!
//! The slots are a table in a block of the tree's own source: so a key is checked against its slot's generation however
//! long ago its node went. Where all values go at once the table goes too, and the next begins with higher generations.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::fmt;
use core::iter;
use core::marker::PhantomData;
use core::mem::needs_drop;
use core::ptr::{self, NonNull};

use super::Tree;
use super::node::{HEADER, N, Node};
use crate::inspect::{Inspect, Record};
use crate::typed::Refused;
use crate::{Broken, Cond, Kind, Source, Stats};
#[cfg(feature = "platform")]
use crate::{Pages, Reuse};

/// Names a value in a [`KeyTree`]. When the value has gone, the key finds nothing, for good.
///
/// ```
/// use kmem::{Heap, KeyTree, Pages};
///
/// let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
/// let key = tree.insert(None, "gone")?;
/// tree.free(key)?;
/// let other = tree.insert(None, "here")?;
/// assert_eq!((tree.get(key), tree.get(other)), (None, Some(&"here")));
/// # Ok::<(), kmem::Cond>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    index: u32,
    generation: u32,
}

/// What a key is looked up in.
struct Slot {
    /// Odd while a node is there.
    generation: Var<u32>,
    /// While the generation is even: the next free slot.
    next: Var<u32>,
    /// While the generation is odd: the node.
    node: Var<*const Node>,
}

/// What a node holds.
struct Item<T> {
    slot: u32,
    value: T,
}

/// No slot.
const NONE: u32 = u32::MAX;
/// Slots in the first table.
const FIRST: u32 = 32;

/// A tree of values, each owned by its parent: releasing one drops it and everything below it.
///
/// ```
/// use kmem::{Heap, KeyTree, Pages};
///
/// let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
/// let house = tree.insert(None, "house")?;
/// let room = tree.insert(Some(house), "room")?;
/// let chair = tree.insert(Some(room), "chair")?;
/// tree.move_to(chair, Some(house))?;
/// tree.free(room)?;
/// assert_eq!(tree.get(room), None);
/// assert_eq!(tree.children(Some(house)).map(|key| tree[key]).collect::<Vec<_>>(), ["chair"]);
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// Its slots are a block of the source too, of 512 bytes at least: a source of smaller cells cannot hold it.
///
/// Inserting needs only `&self`, since no value moves; what could make a reference dangle takes `&mut self`.
pub struct KeyTree<T, S: Source> {
    tree: Tree<S>,
    table: Var<*const Slot>,
    /// Slots in the table.
    slots: Var<u32>,
    /// Slots that the next table has at least.
    least: Var<u32>,
    /// The generation that slots begin with: higher than any key's from before the table was made.
    base: Var<u32>,
    /// The highest generation that a slot was left with when its value went, or `base`.
    top: Var<u32>,
    /// The first free slot.
    free: Var<u32>,
    /// Values are put in through a shared reference, so none of another lifetime may pass for a `T`.
    values: PhantomData<Var<T>>,
}

// SAFETY: it owns its values and its source; nothing of it is reached from elsewhere.
unsafe impl<T: Send, S: Source + Send> Send for KeyTree<T, S> {}

#[cfg(feature = "platform")]
impl<T> KeyTree<T, Reuse<Pages>> {
    /// A tree with nothing in it, in a region of its own where the room of values that went is used again.
    ///
    /// ```
    /// use kmem::KeyTree;
    ///
    /// let mut tree = KeyTree::new();
    /// let key = tree.insert(None, "value")?;
    /// tree.free(key)?;
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self::new_in(Reuse::new_in(Pages::new()))
    }
}

#[cfg(feature = "platform")]
impl<T> Default for KeyTree<T, Reuse<Pages>> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, S: Source> KeyTree<T, S> {
    /// A tree with nothing in it.
    ///
    /// ```
    /// use kmem::{KeyTree, Lin, Pages};
    ///
    /// let tree: KeyTree<u32, _> = KeyTree::new_in(Lin::new_in(Pages::new()));
    /// assert!(tree.is_empty());
    /// ```
    pub const fn new_in(source: S) -> Self {
        Self {
            tree: Tree::new_in(source),
            table: Var::new(ptr::null()),
            slots: Var::new(0),
            least: Var::new(FIRST),
            base: Var::new(0),
            top: Var::new(0),
            free: Var::new(NONE),
            values: PhantomData,
        }
    }

    /// A slot, to be looked at until the table grows.
    #[inline(always)]
    fn slot(&self, index: u32) -> Option<&Slot> {
        if index >= self.slots.get() {
            return None;
        }
        // SAFETY: so many are in the table, initialised.
        Some(unsafe { &*self.table.get().wrapping_add(index as usize) })
    }

    /// Makes slots to be taken, where none is free.
    #[cold]
    #[inline(never)]
    fn grow_table(&self) -> Result<(), Cond> {
        let slots = self.slots.get();
        if slots == NONE {
            return Err(Cond::TooMany);
        }
        let make = |slots| Ok::<_, Cond>((self.tree.source().alloc(Self::table_of(slots)?)?, slots));
        let (table, more) = match make(slots.saturating_mul(2).max(self.least.get())) {
            // A table like the last one is a wish.
            Err(_) if slots == 0 => make(FIRST)?,
            answer => answer?,
        };
        let table = table.cast::<Slot>().as_ptr();
        if let Some(old) = NonNull::new(self.table.get().cast_mut()) {
            // SAFETY: the new table is longer, and both are live.
            unsafe { old.as_ptr().copy_to_nonoverlapping(table, slots as usize) };
            // SAFETY: the old table came from the source with this layout, and no slot of it is looked at any more; it
            // has room for much more than three words.
            unsafe { self.tree.give_to_source(old.cast(), Self::table_of(slots)?) };
        }
        for index in slots..more {
            let slot = Slot {
                generation: Var::new(self.base.get()),
                next: Var::new(if index + 1 == more { NONE } else { index + 1 }),
                node: Var::new(ptr::null()),
            };
            // SAFETY: in the table, which has room for so many.
            unsafe { table.wrapping_add(index as usize).write(slot) };
        }
        self.table.set(table);
        self.slots.set(more);
        self.free.set(slots);
        Ok(())
    }

    fn table_of(slots: u32) -> Result<Layout, Cond> {
        Layout::array::<Slot>(slots as usize).map_err(|_| Cond::BadSize)
    }

    /// Gives the table back; says whether it could.
    fn free_table(&self) -> bool {
        let Some(table) = NonNull::new(self.table.get().cast_mut()) else { return true };
        let Ok(layout) = Self::table_of(self.slots.get()) else { return false };
        // SAFETY: the table came from the source with this layout, and no slot of it is looked at now.
        unsafe { self.tree.source().free(table.cast(), layout) }.is_ok()
    }

    /// Lets all keys find nothing from now on without a look at each slot, if that is worth it and can be done; says
    /// whether.
    fn forget_keys(&self) -> bool {
        // The next table is to be as large, and generations are not to be used up for all slots by a few.
        let few = self.len() < self.slots.get() as usize / 4;
        if few || self.top.get() > u32::MAX / 2 || !self.free_table() {
            return false;
        }
        // A key has at most one more than `top`, and an odd one. Slots begin with even ones.
        let base = self.top.get() + 2;
        self.base.set(base);
        self.top.set(base);
        self.table.set(ptr::null());
        self.least.set(self.slots.replace(0));
        self.free.set(NONE);
        true
    }

    /// The slot that a key names, and the node, if it is still there.
    #[inline(always)]
    fn find(&self, key: Key) -> Option<(&Slot, N)> {
        let slot = self.slot(key.index)?;
        if slot.generation.get() != key.generation {
            return None;
        }
        // SAFETY: keys are made with an odd generation, which a slot has while it leads to a node.
        let node = unsafe { NonNull::new_unchecked(slot.node.get().cast_mut()) };
        // SAFETY: as above; the node goes with the slot's generation.
        Some((slot, unsafe { N::new(node) }))
    }

    /// The node that a key names.
    #[inline(always)]
    fn node(&self, key: Key) -> Option<N> {
        self.find(key).map(|(_, node)| node)
    }

    /// The node that a key names, or for no key the root.
    #[inline(always)]
    fn parent_node(&self, parent: Option<Key>) -> Result<N, Cond> {
        match parent {
            None => self.tree.root_node(),
            Some(key) => self.node(key).ok_or(Cond::BadAddress),
        }
    }

    #[inline(always)]
    fn item(node: N) -> NonNull<Item<T>> {
        node.payload().cast()
    }

    /// The key of a node that is not the root.
    fn key(&self, node: N) -> Option<Key> {
        node.parent()?;
        // SAFETY: every node but the root holds an item.
        let index = unsafe { (*Self::item(node).as_ptr()).slot };
        self.slot(index).map(|slot| Key { index, generation: slot.generation.get() })
    }

    /// Places a value as the last child of another, or of none.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let house = tree.insert(None, "house")?;
    /// let room = tree.insert(Some(house), "room")?;
    /// assert_eq!(tree.parent(room), Some(house));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says; `bad_address` if the parent has gone. The value comes back with it.
    #[inline(always)]
    pub fn insert(&self, parent: Option<Key>, value: T) -> Result<Key, Refused<T>> {
        match self.make_place(parent) {
            // SAFETY: a free slot, and a node that was just made for an item.
            Ok(place) => Ok(unsafe { self.occupy(self.free.get(), place, value) }),
            Err(cond) => Err(Refused { value, cond }),
        }
    }

    /// A node for an item, and a free slot.
    #[inline(always)]
    fn make_place(&self, parent: Option<Key>) -> Result<NonNull<Item<T>>, Cond> {
        let parent = self.parent_node(parent)?;
        if self.free.get() == NONE {
            self.grow_table()?;
        }
        Ok(self.tree.alloc_under(parent, Layout::new::<Item<T>>(), false)?.cast())
    }

    /// Puts a value in a node, and the node in a slot.
    ///
    /// # Safety
    ///
    /// The slot is free, and the first that is; the node has a payload for an item, which holds none yet.
    #[inline(always)]
    unsafe fn occupy(&self, index: u32, place: NonNull<Item<T>>, value: T) -> Key {
        // SAFETY: the caller's promise.
        unsafe { place.write(Item { slot: index, value }) };
        // SAFETY: a slot that is free is in the table.
        let slot = unsafe { &*self.table.get().wrapping_add(index as usize) };
        self.free.set(slot.next.get());
        let generation = slot.generation.get() + 1;
        slot.generation.set(generation);
        // The header stands before the payload; a pointer to both, as `item` will want it.
        slot.node.set(place.as_ptr().wrapping_byte_sub(HEADER).cast());
        Key { index, generation }
    }

    /// The value, if it is still there.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let key = tree.insert(None, 7)?;
    /// assert_eq!(tree.get(key), Some(&7));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        let item = Self::item(self.node(key)?);
        // SAFETY: a live node's item; while `self` is borrowed nobody drops or changes it.
        Some(unsafe { &(*item.as_ptr()).value })
    }

    /// The value, if it is still there, to be changed.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let key = tree.insert(None, 7)?;
    /// *tree.get_mut(key).expect("it was just put there") += 1;
    /// assert_eq!(tree[key], 8);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let item = Self::item(self.node(key)?);
        // SAFETY: as for `get`, and the tree is borrowed mutably.
        Some(unsafe { &mut (*item.as_ptr()).value })
    }

    /// Drops a value and everything below it, parents before children, and gives their memory back.
    ///
    /// ```
    /// use kmem::{Cond, Heap, KeyTree, Pages};
    ///
    /// let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let house = tree.insert(None, "house")?;
    /// tree.insert(Some(house), "room")?;
    /// tree.free(house)?;
    /// assert_eq!((tree.len(), tree.free(house)), (0, Err(Cond::BadAddress)));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_address` if it has gone already.
    ///
    /// # Panics
    ///
    /// When a value's destructor does: all others are dropped and the memory is given back first.
    #[inline(always)]
    pub fn free(&mut self, key: Key) -> Result<(), Cond> {
        let (slot, node) = self.find(key).ok_or(Cond::BadAddress)?;
        if !needs_drop::<T>() && node.child().is_none() {
            self.vacate_slot(key.index, slot);
            return self.tree.release(node);
        }
        self.release(node, false);
        Ok(())
    }

    /// Drops the values of a subtree and gives their memory back.
    #[inline(never)]
    fn release(&self, top: N, shred: bool) {
        if needs_drop::<T>() {
            drop(Going { owner: self, top, next: Some(top), shred });
        } else if !shred && self.tree.is_alone(top) && self.forget_keys() {
            self.tree.release_unasked(top, false);
        } else {
            self.tree.release_telling(top, shred, |node| self.vacate(node));
        }
    }

    /// Makes the slot of a node free, whose keys find nothing from now on.
    #[inline]
    fn vacate(&self, node: N) {
        // SAFETY: every node but the root holds an item.
        let index = unsafe { (*Self::item(node).as_ptr()).slot };
        if let Some(slot) = self.slot(index) {
            self.vacate_slot(index, slot);
        }
    }

    #[inline(always)]
    fn vacate_slot(&self, index: u32, slot: &Slot) {
        let generation = slot.generation.get().wrapping_add(1);
        slot.generation.set(generation);
        if generation > self.top.get() {
            self.top.set(generation);
        }
        // A slot whose generations are used up is never taken again.
        if generation != 0 {
            slot.next.set(self.free.replace(index));
        }
    }

    /// The same, and their bytes are destroyed.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let secret = tree.insert(None, [7_u8; 32])?;
    /// tree.shred(secret)?;
    /// assert!(tree.is_empty());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`free`](Self::free).
    ///
    /// # Panics
    ///
    /// As for [`free`](Self::free).
    #[cfg(feature = "shred")]
    pub fn shred(&mut self, key: Key) -> Result<(), Cond> {
        let node = self.node(key).ok_or(Cond::BadAddress)?;
        self.release(node, true);
        Ok(())
    }

    /// Has the value's bytes destroyed however it goes.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let owner = tree.insert(None, [0_u8; 32])?;
    /// let secret = tree.insert(Some(owner), [7_u8; 32])?;
    /// tree.taint(secret)?;
    /// tree.free(owner)?;                      // and the secret's bytes are gone
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_address` if it has gone.
    #[cfg(feature = "shred")]
    pub fn taint(&mut self, key: Key) -> Result<(), Cond> {
        self.tree.taint_it(self.node(key).ok_or(Cond::BadAddress)?);
        Ok(())
    }

    /// Moves a value with everything below it to be the last child of another, or of none.
    ///
    /// ```
    /// use kmem::{Cond, Heap, KeyTree, Pages};
    ///
    /// let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let (house, barn) = (tree.insert(None, "house")?, tree.insert(None, "barn")?);
    /// let chair = tree.insert(Some(house), "chair")?;
    /// tree.move_to(chair, Some(barn))?;
    /// assert_eq!(tree.parent(chair), Some(barn));
    /// assert_eq!(tree.move_to(barn, Some(chair)), Err(Cond::InUse));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `bad_address` if either has gone, `in_use` if the new parent is the value or below it.
    pub fn move_to(&mut self, key: Key, parent: Option<Key>) -> Result<(), Cond> {
        let node = self.node(key).ok_or(Cond::BadAddress)?;
        let parent = self.parent_node(parent)?;
        self.tree.move_node(node, parent)
    }

    /// What a value is under.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let house = tree.insert(None, "house")?;
    /// let room = tree.insert(Some(house), "room")?;
    /// assert_eq!((tree.parent(room), tree.parent(house)), (Some(house), None));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn parent(&self, key: Key) -> Option<Key> {
        self.key(self.node(key)?.parent()?)
    }

    /// The first value under another, or at the top.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let house = tree.insert(None, "house")?;
    /// let room = tree.insert(Some(house), "room")?;
    /// assert_eq!((tree.child(None), tree.child(Some(house))), (Some(house), Some(room)));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn child(&self, parent: Option<Key>) -> Option<Key> {
        let parent = match parent {
            None => N::of(self.tree.root.get())?,
            Some(key) => self.node(key)?,
        };
        self.key(parent.child()?)
    }

    /// The value after another, under the same parent.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let (first, second) = (tree.insert(None, 1)?, tree.insert(None, 2)?);
    /// assert_eq!((tree.next(first), tree.next(second)), (Some(second), None));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn next(&self, key: Key) -> Option<Key> {
        self.key(self.node(key)?.next()?)
    }

    /// The value before another, under the same parent.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let (first, second) = (tree.insert(None, 1)?, tree.insert(None, 2)?);
    /// assert_eq!((tree.prev(first), tree.prev(second)), (None, Some(first)));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn prev(&self, key: Key) -> Option<Key> {
        self.key(self.node(key)?.prev()?)
    }

    /// The values right under another, or at the top, first to last.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let house = tree.insert(None, "house")?;
    /// tree.insert(Some(house), "hall")?;
    /// tree.insert(Some(house), "room")?;
    /// assert_eq!(tree.children(Some(house)).map(|key| tree[key]).collect::<Vec<_>>(), ["hall", "room"]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn children(&self, parent: Option<Key>) -> impl Iterator<Item = Key> + '_ {
        iter::successors(self.child(parent), |key| self.next(*key))
    }

    /// A value and everything below it, parents before children; for no key, everything.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// let house = tree.insert(None, "house")?;
    /// let room = tree.insert(Some(house), "room")?;
    /// tree.insert(Some(room), "chair")?;
    /// assert_eq!(tree.subtree(Some(house)).map(|key| tree[key]).collect::<Vec<_>>(), ["house", "room", "chair"]);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn subtree(&self, key: Option<Key>) -> impl Iterator<Item = Key> + '_ {
        let top = match key {
            None => N::of(self.tree.root.get()),
            Some(key) => self.node(key),
        };
        let nodes = iter::successors(top, move |node| node.after(top?));
        nodes.filter_map(|node| self.key(node))
    }

    /// How many values there are.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// tree.insert(None, 1)?;
    /// assert_eq!(tree.len(), 1);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.tree.live.get().saturating_sub(1)
    }

    /// Whether there is none.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// assert!(tree.is_empty());
    /// tree.insert(None, 1)?;
    /// assert!(!tree.is_empty());
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Proves the structure of the tree underneath.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// tree.insert(None, 1)?;
    /// tree.check().expect("nobody wrote over it");
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first rule that does not hold, and where.
    pub fn check(&self) -> Result<(), Broken> {
        self.tree.check()
    }

    /// Figures of the tree underneath; its root counts.
    ///
    /// ```
    /// use kmem::{Heap, KeyTree, Pages};
    ///
    /// let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    /// tree.insert(None, 1)?;
    /// assert_eq!(tree.stats().live, 2);       // the root counts
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.tree.stats()
    }

    /// Drops every value that wants to be; the nodes go with the tree.
    fn clear(&mut self) {
        if needs_drop::<T>()
            && let Some(root) = N::of(self.tree.root.get())
        {
            drop(Going { owner: self, top: root, next: root.after(root), shred: false });
        }
    }
}

impl<T, S: Source> Inspect for KeyTree<T, S> {
    fn kind(&self) -> Kind {
        Kind::Tree
    }

    fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
        self.tree.inspect(visit);
    }
}

/// Values that are going. If one's destructor panics, the others are dropped all the same.
struct Going<'t, T, S: Source> {
    owner: &'t KeyTree<T, S>,
    top: N,
    /// The node whose value is to be dropped next.
    next: Option<N>,
    shred: bool,
}

impl<T, S: Source> Drop for Going<'_, T, S> {
    fn drop(&mut self) {
        /// Goes on with the rest, whatever happens to one.
        struct Rest<'g, 't, T, S: Source>(&'g mut Going<'t, T, S>);
        impl<T, S: Source> Drop for Rest<'_, '_, T, S> {
            fn drop(&mut self) {
                if self.0.next.is_some() {
                    self.0.drop_values();
                }
                self.0.owner.tree.release_unasked(self.0.top, self.0.shred);
            }
        }
        Rest(self).0.drop_values();
    }
}

impl<T, S: Source> Going<'_, T, S> {
    fn drop_values(&mut self) {
        while let Some(node) = self.next {
            self.next = node.after(self.top);
            self.owner.vacate(node);
            let item = KeyTree::<T, S>::item(node).as_ptr();
            // SAFETY: every node but the root holds an item; the slot no longer leads here, so nobody reaches it.
            let value = unsafe { &raw mut (*item).value };
            // SAFETY: as above; it is dropped once.
            unsafe { value.drop_in_place() };
        }
    }
}

impl<T, S: Source> core::ops::Index<Key> for KeyTree<T, S> {
    type Output = T;

    /// The value.
    ///
    /// # Panics
    ///
    /// If it has gone; [`get`](KeyTree::get) says so instead.
    fn index(&self, key: Key) -> &T {
        self.get(key).expect("the key's value is still in the tree")
    }
}

impl<T, S: Source> Drop for KeyTree<T, S> {
    fn drop(&mut self) {
        /// Gives the slots back even when a value's destructor panics.
        struct Slots<'t, T, S: Source>(&'t mut KeyTree<T, S>);
        impl<T, S: Source> Drop for Slots<'_, T, S> {
            fn drop(&mut self) {
                self.0.free_table();
            }
        }
        Slots(self).0.clear();
    }
}

impl<T: fmt::Debug, S: Source> fmt::Debug for KeyTree<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.subtree(None).map(|key| (key, self.get(key)))).finish()
    }
}

#[cfg(all(test, feature = "platform"))]
mod tests {
    use super::*;
    use crate::Heap;

    #[test]
    fn a_slot_that_is_used_up_uses_up_no_other() {
        let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
        let worn = tree.insert(None, 0).expect("room");
        tree.slot(worn.index).expect("it was just made").generation.set(u32::MAX);
        tree.free(Key { generation: u32::MAX, ..worn }).expect("its key, had it been used so often");
        for round in 0..1000 {
            let above = tree.insert(None, round).expect("room");
            let below = tree.insert(Some(above), round).expect("room");
            tree.free(above).expect("live");
            assert_eq!((tree.get(below), tree.len()), (None, 0));
        }
        assert_eq!(tree.slots.get(), FIRST, "two values at a time need no more");
    }

    #[test]
    fn keys_are_forgotten_together_only_where_that_is_less_work() {
        let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
        let fill = |tree: &mut KeyTree<u32, _>, below| {
            let top = tree.insert(None, 0).expect("room");
            let last = (0..below).map(|value| tree.insert(Some(top), value).expect("room")).last();
            tree.free(top).expect("live");
            assert_eq!((tree.get(top), last.and_then(|key| tree.get(key).copied())), (None, None));
            tree.table.get()
        };
        assert!(fill(&mut tree, 10_000).is_null(), "many went");
        let few = fill(&mut tree, 3);
        assert!(!few.is_null() && fill(&mut tree, 3) == few, "the table stays where few go");
    }
}

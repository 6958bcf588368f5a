//! Stores as C has them: an entry, and right behind it the store, by whose address C names it.
//!
//! ```text
//!  home      ├ Entry: home range, form, host, counts ┤├ Heap, Lin, Pool or Tree ┤├ the caller's bytes, if fixed ┤
//!                                                      ▲ kmheap*, kmlin*, kmpool*, kmtree*
//! ```

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::iter::successors;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use kmem::{Cond, Found, Global, Grant, Headers, Heap, Kind, Lin, MIN_ALIGN, Pool, Source, Store, Tree};

use crate::nodes::{Guest, Own};
use crate::registry::{self, Range, Within};
use crate::seeded::seeded;
use crate::source::{From, Src};

pub type AHeap = Heap<Src>;
pub type ALin = Lin<Src, Headers>;
pub type APool = Pool<Src, Headers>;
/// A tree in pages of its own.
pub type OwnTree = Tree<Own>;
/// A tree in the caller's bytes.
pub type FixedTree = Tree<Heap<Src>>;
/// A tree in another store.
pub type GuestTree = Tree<Guest>;

/// Which of them a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Heap,
    Lin,
    Pool,
    OwnTree,
    FixedTree,
    GuestTree,
}

/// A store that has an entry.
pub trait Placed: Store {
    const FORM: Form;
}

impl Placed for AHeap {
    const FORM: Form = Form::Heap;
}
impl Placed for ALin {
    const FORM: Form = Form::Lin;
}
impl Placed for APool {
    const FORM: Form = Form::Pool;
}
impl Placed for OwnTree {
    const FORM: Form = Form::OwnTree;
}
impl Placed for FixedTree {
    const FORM: Form = Form::FixedTree;
}
impl Placed for GuestTree {
    const FORM: Form = Form::GuestTree;
}

/// What is known of a store beside itself.
#[repr(C)]
pub struct Entry {
    /// First, so that a home is told from other ranges by its address.
    home: Range,
    pub form: Form,
    lies: Lies,
    /// In how many others it lies, one in the next.
    depth: usize,
    /// The home as it was allocated.
    layout: Layout,
    /// The home, by a pointer that is good for all of it.
    base: NonNull<u8>,
    /// Ranges of other stores that lie in this one's memory. Changed under the registry's lock; whoever makes a store in
    /// a cell of this one may be on another thread.
    guests: AtomicUsize,
    /// Those of them that were made in cells, by the bytes of these.
    fixed: AtomicUsize,
    /// Calls that are under way and run code of the caller's, which must not destroy the store.
    busy: Var<usize>,
    /// Of a region: the serial number behind that of the newest mark, and what that was when a guest took its newest
    /// block or was made in a cell.
    marked: AtomicUsize,
    stamp: AtomicUsize,
}

/// Where a store lies.
#[derive(Clone, Copy)]
enum Lies {
    /// In the process heap.
    Process,
    /// In bytes that the caller owns, or in a `static`.
    Fixed,
    /// In another store.
    In(NonNull<Entry>),
}

/// Bytes from an entry to its store.
pub const ENTRY: usize = size_of::<Entry>().next_multiple_of(MIN_ALIGN);

/// In how many others a store may lie, one in the next: what it asks for, each asks the next for.
const DEEPEST: usize = 32;

/// Where a store is to lie.
pub enum Home<'e> {
    Process,
    Fixed(NonNull<u8>, usize),
    In(&'e Entry),
}

/// Runs an expression with the store that an entry is of, whatever its type.
macro_rules! with_store {
    ($entry:expr, $store:ident => $what:expr) => {
        match $entry.form {
            $crate::entry::Form::Heap => {
                let $store = $entry.store::<$crate::entry::AHeap>();
                $what
            }
            $crate::entry::Form::Lin => {
                let $store = $entry.store::<$crate::entry::ALin>();
                $what
            }
            $crate::entry::Form::Pool => {
                let $store = $entry.store::<$crate::entry::APool>();
                $what
            }
            $crate::entry::Form::OwnTree => {
                let $store = $entry.store::<$crate::entry::OwnTree>();
                $what
            }
            $crate::entry::Form::FixedTree => {
                let $store = $entry.store::<$crate::entry::FixedTree>();
                $what
            }
            $crate::entry::Form::GuestTree => {
                let $store = $entry.store::<$crate::entry::GuestTree>();
                $what
            }
        }
    };
}

/// The same with a tree; of another store it is a mismatch.
macro_rules! with_tree {
    ($entry:expr, $tree:ident => $what:expr) => {
        match $entry.form {
            $crate::entry::Form::OwnTree => {
                let $tree = $entry.store::<$crate::entry::OwnTree>();
                $what
            }
            $crate::entry::Form::FixedTree => {
                let $tree = $entry.store::<$crate::entry::FixedTree>();
                $what
            }
            $crate::entry::Form::GuestTree => {
                let $tree = $entry.store::<$crate::entry::GuestTree>();
                $what
            }
            _ => Err(::kmem::Cond::Mismatch),
        }
    };
}

pub(crate) use {with_store, with_tree};

impl Entry {
    /// The entry of a store that is there from the start.
    pub const fn fixed(form: Form, base: NonNull<u8>, owner: NonNull<Self>, start: usize, end: usize) -> Self {
        Self::new(form, Lies::Fixed, Layout::new::<u8>(), base, Range::new(owner, start, end))
    }

    const fn new(form: Form, lies: Lies, layout: Layout, base: NonNull<u8>, home: Range) -> Self {
        let [guests, fixed, marked, stamp] = [const { AtomicUsize::new(0) }; 4];
        let depth = match lies {
            // SAFETY: a store in which another is being made is there.
            Lies::In(host) => unsafe { host.as_ref() }.depth + 1,
            _ => 0,
        };
        Self { home, form, lies, depth, layout, base, guests, fixed, busy: Var::new(0), marked, stamp }
    }

    /// The store, whose type is known from its form.
    #[inline]
    pub fn store<T: Placed>(&self) -> &T {
        debug_assert_eq!(self.form, T::FORM);
        // SAFETY: the form says that this is what stands behind the entry, and the home's pointer is good for it.
        unsafe { self.at().cast::<T>().as_ref() }
    }

    /// The store's address.
    #[inline]
    pub fn at(&self) -> NonNull<u8> {
        // SAFETY: a home has room for the entry and the store behind it.
        unsafe { self.base.add(ENTRY) }
    }

    /// A store of this type.
    ///
    /// # Errors
    ///
    /// `mismatch` if it is another.
    #[inline]
    pub fn as_a<T: Placed>(&self) -> Result<&T, Cond> {
        if self.form == T::FORM { Ok(self.store()) } else { Err(Cond::Mismatch) }
    }

    pub fn kind(&self) -> Kind {
        match self.form {
            Form::Heap => Kind::Heap,
            Form::Lin => Kind::Lin,
            Form::Pool => Kind::Pool,
            Form::OwnTree | Form::FixedTree | Form::GuestTree => Kind::Tree,
        }
    }

    /// What a cell is marked with in which a store has something: a kind that cannot be released by the store's own
    /// functions, and that no header has which was overwritten with zeroes.
    fn guest_mark(kind: Kind) -> Kind {
        if kind == Kind::Lin { Kind::Pool } else { Kind::Lin }
    }

    /// What a cell is marked with in which a guest tree has a node. A tree's own nodes have the mark of a node.
    pub fn node_mark(&self) -> Kind {
        if self.kind() == Kind::Tree { Kind::Heap } else { Kind::Tree }
    }

    pub fn enter(&self) -> Busy<'_> {
        self.busy.set(self.busy.get() + 1);
        Busy { entry: self }
    }

    /// Whether another store stands in this one.
    #[inline]
    pub fn has_guests(&self) -> bool {
        self.guests.load(Ordering::Relaxed) > 0
    }

    /// Notes a guest, which may have been made in a cell; the registry's lock is held.
    pub fn arrives(&self, fixed: bool) {
        self.guests.fetch_add(1, Ordering::Relaxed);
        self.fixed.fetch_add(fixed.into(), Ordering::Relaxed);
        self.has_given();
    }

    /// Notes that one has gone; the registry's lock is held.
    pub fn leaves(&self, fixed: bool) {
        self.guests.fetch_sub(1, Ordering::Relaxed);
        self.fixed.fetch_sub(fixed.into(), Ordering::Relaxed);
    }

    /// Whether a store was made in a cell of this one, by its bytes.
    #[inline(always)]
    pub fn has_fixed(&self) -> bool {
        self.fixed.load(Ordering::Relaxed) > 0
    }

    /// The same of a cell of this one or of those in whose cells a tree has its nodes.
    #[inline]
    pub fn may_hold(&self) -> bool {
        self.has_fixed() || self.form == Form::GuestTree && self.hosts().any(Self::has_fixed)
    }

    /// Whether a cell can go or move: no store was made in it. What it is, if it is none, is not said here.
    ///
    /// # Errors
    ///
    /// `in_use` if one was.
    #[inline]
    pub fn lets_go(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        match self.may_hold().then(|| self.locate(payload)) {
            Some(Ok(found)) if found.kind == self.kind() => registry::is_free(found.payload, found.size),
            _ => Ok(()),
        }
    }

    /// The stores in whose cells a tree has its nodes, each in the nodes of the next.
    fn hosts(&self) -> impl Iterator<Item = &Self> {
        successors(Some(self), |tree| tree.as_a::<GuestTree>().ok().map(|tree| tree.source().host())).skip(1)
    }

    /// Notes that a region's newest mark is this one.
    pub fn is_marked(&self, serial: usize) {
        self.marked.store(serial + 1, Ordering::Relaxed);
    }

    /// Notes that a guest has a block that may lie behind the newest mark.
    pub fn has_given(&self) {
        self.stamp.store(self.marked.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// # Errors
    ///
    /// `in_use` while another store stands in this one, or code of the caller's runs in the midst of a call.
    pub fn at_rest(&self) -> Result<(), Cond> {
        let guests = self.has_guests() && !seeded("a_host_goes_before_its_guest");
        if guests || self.busy.get() > 0 { Err(Cond::InUse) } else { Ok(()) }
    }

    /// Whether guests may give back what they have of this one, and so go.
    ///
    /// # Errors
    ///
    /// `in_use` while it is walked, or a guard of it is asked.
    fn takes_back(&self) -> Result<(), Cond> {
        // Of a tree more is under way that runs code of the caller's, in which it can be changed.
        let frozen = with_tree!(self, tree => Ok(tree.is_frozen())).unwrap_or(self.busy.get() > 0);
        if frozen { Err(Cond::InUse) } else { Ok(()) }
    }

    /// The same of the hosts in whose cells a tree has its nodes.
    ///
    /// # Errors
    ///
    /// As for [`takes_back`](Self::takes_back).
    pub fn hosts_take_back(&self) -> Result<(), Cond> {
        self.hosts().try_for_each(Self::takes_back)
    }

    /// Whether a region may be rewound to a mark: no store stands behind it.
    pub fn may_rewind(&self, serial: usize) -> Result<(), Cond> {
        let newer = !self.has_guests()
            || serial >= self.stamp.load(Ordering::Relaxed)
            || seeded("a_rewind_takes_a_guests_block");
        if self.busy.get() == 0 && newer { Ok(()) } else { Err(Cond::InUse) }
    }

    /// Memory for something of another store, from this one.
    pub fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        let mark = Self::guest_mark(self.kind());
        with_store!(self, store => {
            let grant = Source::grant(store, layout)?;
            self.has_given();
            // SAFETY: just allocated.
            unsafe { store.set_kind(grant.bytes.cast(), mark) };
            Ok(grant)
        })
    }

    /// Takes back what [`grant`](Self::grant) gave.
    ///
    /// # Safety
    ///
    /// It came from there with this layout, and is used no more.
    pub unsafe fn take_back(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        with_store!(self, store => unsafe { Source::free(store, block, layout) })
    }

    /// The largest block that the store could give.
    pub fn largest(&self) -> Option<usize> {
        with_store!(self, store => Source::largest(store))
    }

    /// What the store knows of a cell.
    pub fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond> {
        with_store!(self, store => store.locate(payload))
    }
}

/// A call that is under way.
pub struct Busy<'e> {
    entry: &'e Entry,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.entry.busy.set(self.entry.busy.get() - 1);
    }
}

/// Takes memory of the process heap for something of a store's, which no caller can release.
pub fn grant_of_process(layout: Layout) -> Result<Grant, Cond> {
    let grant = Global.grant(layout)?;
    // SAFETY: just allocated.
    unsafe { Global.set_kind(grant.bytes.cast(), Entry::guest_mark(Kind::Heap)) };
    Ok(grant)
}

/// Makes a store: `build` is told its entry and, for a fixed one, the bytes that are left.
pub fn make<T: Placed>(
    home: Home<'_>,
    build: impl FnOnce(NonNull<Entry>, Option<From>) -> T,
) -> Result<NonNull<T>, Cond> {
    let layout = Layout::from_size_align(ENTRY + size_of::<T>(), MIN_ALIGN).map_err(|_| Cond::BadSize)?;
    let (base, lies, len) = match home {
        Home::Process => (grant_of_process(layout)?.bytes.cast::<u8>(), Lies::Process, layout.size()),
        Home::In(host) if host.depth == DEEPEST => return Err(Cond::TooMany),
        Home::In(host) => {
            let block = host.grant(layout)?.bytes.cast::<u8>();
            (block, Lies::In(NonNull::from(host)), layout.size())
        }
        Home::Fixed(bytes, len) => {
            // No object is longer, and none reaches over the end of all addresses.
            if isize::try_from(len).is_err() || bytes.addr().get().checked_add(len).is_none() {
                return Err(Cond::BadSize);
            }
            let pad = bytes.addr().get().wrapping_neg() & (MIN_ALIGN - 1);
            let len = len.checked_sub(pad).filter(|len| *len >= layout.size()).ok_or(Cond::NoRoom)?;
            // SAFETY: the caller's bytes are longer than this.
            (unsafe { bytes.add(pad) }, Lies::Fixed, len)
        }
    };
    let entry = base.cast::<Entry>();
    let start = base.addr().get();
    let home = Range::new(entry, start, start + len);
    // Only fixed bytes can hold what is registered already, and then nothing is written to them.
    // SAFETY: what is looked for is an address.
    if matches!(lies, Lies::Fixed) {
        registry::may_register(start, start + len)?;
    }
    // SAFETY: the home is ours, aligned and long enough.
    unsafe { entry.write(Entry::new(T::FORM, lies, layout, base, home)) };
    let from = matches!(lies, Lies::Fixed).then(|| {
        // SAFETY: the home is this long at least.
        let rest = unsafe { base.add(layout.size()) };
        let rest = NonNull::slice_from_raw_parts(rest.cast::<MaybeUninit<u8>>(), len - layout.size());
        // SAFETY: the rest of the caller's bytes, which are the store's until it is destroyed.
        From::fixed(unsafe { &mut *rest.as_ptr() })
    });
    // SAFETY: behind the entry there is room for the store.
    let store = unsafe { base.add(ENTRY) }.cast::<T>();
    // SAFETY: as above, aligned.
    unsafe { store.write(build(entry, from)) };
    let within = match lies {
        // SAFETY: it was just asked for the home.
        Lies::In(host) => Within::Given(Some(unsafe { host.as_ref() })),
        Lies::Process => Within::Given(None),
        Lies::Fixed => Within::Bytes,
    };
    // SAFETY: the entry stays until the store is destroyed.
    if let Err(cond) = unsafe { registry::register(entry.cast(), &within) } {
        // SAFETY: just written, and named nowhere.
        unsafe { go(entry) };
        return Err(cond);
    }
    Ok(store)
}

/// Destroys a store, if nothing holds it.
///
/// # Errors
///
/// `in_use` for the process's own tree too; what the store says when its source refuses a block: it is then still there.
///
/// # Safety
///
/// It is the entry of a live `T`, which the calling thread has.
pub unsafe fn destroy<T: Placed>(
    // No reference: what an argument refers to must be there until the function ends.
    place: NonNull<Entry>,
    tear_down: impl FnOnce(&mut T) -> Result<(), Cond>,
) -> Result<(), Cond> {
    // SAFETY: the caller's promise.
    let entry = unsafe { place.as_ref() };
    entry.at_rest()?;
    if let Lies::In(host) = entry.lies {
        // SAFETY: a store in which another stands is not destroyed.
        unsafe { host.as_ref() }.takes_back()?;
    }
    entry.hosts_take_back()?;
    if entry.layout.align() < MIN_ALIGN {
        return Err(Cond::InUse);
    }
    {
        let _busy = entry.enter();
        // SAFETY: the form was asked, and the thread that has the store is here: nobody else borrows it.
        let store = unsafe { entry.at().cast::<T>().as_mut() };
        tear_down(store)?;
    }
    // What its source still has of it goes too.
    // SAFETY: nobody uses it any more, and it is not dropped again.
    unsafe { entry.at().cast::<T>().drop_in_place() };
    // SAFETY: the store is registered.
    unsafe { registry::forget(place.cast()) };
    // SAFETY: nothing names it any more.
    unsafe { go(place) };
    Ok(())
}

/// Gives a home back.
///
/// # Safety
///
/// It is the entry of a store that nothing uses any more.
unsafe fn go(entry: NonNull<Entry>) {
    // SAFETY: the caller's promise.
    let Entry { base, layout, lies, .. } = *unsafe { entry.as_ref() };
    // What is refused stays with who refused it.
    let _ = match lies {
        Lies::Fixed => Ok(()),
        // SAFETY: it came from there with this layout, and is used no more.
        Lies::Process => unsafe { Source::free(&Global, base, layout) },
        Lies::In(host) => {
            // SAFETY: a store in which another stands is not destroyed.
            let host = unsafe { host.as_ref() };
            // SAFETY: it came from there with this layout, and is used no more.
            unsafe { host.take_back(base, layout) }
        }
    };
}

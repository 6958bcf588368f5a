//! The process's own tree: under its root are the nodes that C makes without a parent.

use core::cell::UnsafeCell;
use core::mem::{self, MaybeUninit, offset_of};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};

use kmem::Tree;
use kmem::platform::Locked;

use crate::entry::{ENTRY, Entry, Form, OwnTree};
use crate::fork;
use crate::nodes::Own;
use crate::registry::{self, Within};

/// A tree in its place behind an entry.
#[repr(C, align(16))]
struct Behind(OwnTree);

#[repr(C)]
struct Home {
    entry: Entry,
    tree: Behind,
}

const _: () = assert!(offset_of!(Home, tree) == ENTRY);

struct Place(UnsafeCell<MaybeUninit<Home>>);

// SAFETY: it is written to once, under a lock; who has the tree then is one thread at a time.
unsafe impl Sync for Place {}

static PLACE: Place = Place(UnsafeCell::new(MaybeUninit::uninit()));
static FIRST: Locked<()> = Locked::new(());
static ENTRY_OF_PROCESS: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());

/// The process's own tree.
#[inline]
pub fn process_tree<'e>() -> &'e Entry {
    // SAFETY: null, or the entry, which stays for good.
    match unsafe { ENTRY_OF_PROCESS.load(Ordering::Acquire).as_ref() } {
        Some(entry) => entry,
        None => begin(),
    }
}

/// Locks for whoever forks.
pub fn lock() {
    mem::forget(FIRST.lock());
}

/// Unlocks again.
///
/// # Safety
///
/// The calling thread has called [`lock`].
pub unsafe fn unlock() {
    // SAFETY: the caller's promise: its guard was forgotten.
    unsafe { FIRST.unlock() };
}

#[cold]
fn begin<'e>() -> &'e Entry {
    fork::prepare();
    let _first = FIRST.lock();
    let home = PLACE.0.get().cast::<Home>();
    let entry = home.cast::<Entry>();
    if ENTRY_OF_PROCESS.load(Ordering::Acquire).is_null() {
        let base = NonNull::from(&PLACE).cast::<u8>();
        // SAFETY: a static is not at null.
        let owner = unsafe { NonNull::new_unchecked(entry) };
        let nodes = Own::new();
        nodes.belong_to(owner);
        let tree: OwnTree = Tree::managed_in(nodes);
        tree.set_context(entry.cast());
        let (start, end) = (entry.addr(), entry.addr() + size_of::<Home>());
        let made = Home { entry: Entry::fixed(Form::OwnTree, base, owner, start, end), tree: Behind(tree) };
        // SAFETY: nobody has seen it yet, and the lock lets nobody else write.
        unsafe { home.write(made) };
        // What is a static of this library holds nothing that is registered.
        // SAFETY: it stays for good.
        let _ = unsafe { registry::register(owner.cast(), &Within::Given(None)) };
        ENTRY_OF_PROCESS.store(entry, Ordering::Release);
    }
    // SAFETY: written, and it stays for good.
    unsafe { &*entry }
}

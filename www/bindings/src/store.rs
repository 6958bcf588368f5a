//! A store of any kind over a source of any kind, so that one can stand in another as the caller chooses.

use core::alloc::Layout;
use core::ptr::NonNull;

use kmem::inspect::{Inspect, Record};
use kmem::{Broken, Cond, Fixed, Found, Grant, Head, Headers, Kind, Pages, Source, Stats, Store};

/// What a store takes its memory from.
#[derive(Debug)]
pub(crate) enum Ground {
    /// The module's pages.
    Pages(Pages),
    /// Bytes of the store's own.
    Bytes(Fixed<'static>),
    /// Another store, which stays where it is and is not destroyed before this one.
    Store(&'static Any),
}

/// A store. All cells have headers.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "stores are few, and each is put in its place once")]
pub(crate) enum Any {
    Heap(kmem::Heap<Ground>),
    Lin(kmem::Lin<Ground, Headers>),
    Pool(kmem::Pool<Ground, Headers>),
    Tree(kmem::Tree<&'static Any>),
}

/// Asks whatever a source or a store is.
macro_rules! ask {
    ($ground:expr, Ground, $it:ident => $answer:expr) => {
        match $ground {
            Ground::Pages($it) => $answer,
            Ground::Bytes($it) => $answer,
            Ground::Store($it) => $answer,
        }
    };
    ($any:expr, Any, $it:ident => $answer:expr) => {
        match $any {
            Any::Heap($it) => $answer,
            Any::Lin($it) => $answer,
            Any::Pool($it) => $answer,
            Any::Tree($it) => $answer,
        }
    };
}

/// A source that is one of several.
macro_rules! source {
    ($these:ident) => {
        // SAFETY: the blocks are those of the one source that this is, which does not change.
        unsafe impl Source for $these {
            fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
                ask!(self, $these, it => Source::alloc(it, layout))
            }

            fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
                ask!(self, $these, it => Source::alloc_zeroed(it, layout))
            }

            fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
                ask!(self, $these, it => it.grant(layout))
            }

            unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
                // SAFETY: the caller's promise, passed on.
                ask!(self, $these, it => unsafe { Source::free(it, block, layout) })
            }

            unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
                // SAFETY: the caller's promise, passed on.
                ask!(self, $these, it => unsafe { Source::resize(it, block, old, new) })
            }

            unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
                // SAFETY: the caller's promise, passed on.
                ask!(self, $these, it => unsafe { Source::shred(it, block, layout) })
            }

            fn least_align(&self) -> usize {
                ask!(self, $these, it => it.least_align())
            }

            fn largest(&self) -> Option<usize> {
                ask!(self, $these, it => it.largest())
            }
        }
    };
}

source!(Ground);
source!(Any);

// SAFETY: the answers are those of the one store that this is, and the head is that store's own.
unsafe impl Store for Any {
    /// Only a tree asks, of what it is to stand in, and that is never a tree: [`World`](crate::World) refuses
    /// it. Who wants to know otherwise asks [`kind`](Inspect::kind).
    const KIND: Kind = Kind::Heap;

    fn head(&self) -> &Head {
        ask!(self, Any, it => it.head())
    }

    fn head_ptr(&self) -> NonNull<Head> {
        ask!(self, Any, it => it.head_ptr())
    }

    fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond> {
        ask!(self, Any, it => it.locate(payload))
    }

    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        // SAFETY: the caller's promise, passed on.
        ask!(self, Any, it => unsafe { it.release(payload, shred) })
    }

    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        ask!(self, Any, it => it.sibling(payload, layout))
    }

    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind) {
        // SAFETY: the caller's promise, passed on.
        ask!(self, Any, it => unsafe { it.set_kind(payload, kind) });
    }

    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        ask!(self, Any, it => it.taint_cell(payload))
    }
}

impl Inspect for Any {
    fn kind(&self) -> Kind {
        ask!(self, Any, it => it.kind())
    }

    fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
        ask!(self, Any, it => it.inspect(visit));
    }
}

impl Any {
    pub(crate) fn stats(&self) -> Stats {
        ask!(self, Any, it => it.stats())
    }

    pub(crate) fn check(&self) -> Result<(), Broken> {
        ask!(self, Any, it => it.check())
    }

    pub(crate) fn taint(&self) {
        ask!(self, Any, it => it.taint());
    }

    pub(crate) fn destroy(&mut self) -> Result<(), Cond> {
        ask!(self, Any, it => it.destroy())
    }
}

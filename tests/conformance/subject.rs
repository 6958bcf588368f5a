//! The stores, as the suite sees them.

use std::alloc::Layout;
use std::ptr::NonNull;

use kmem::inspect::{Inspect, Record};
use kmem::{Bare, Broken, Cond, Grant, Headers, Heap, Kind, Lin, Pool, Source, Stats, Store, Tree};

use crate::common::{Base, Watched, layout};

/// A store of any kind: what the suite acts on.
pub trait Subject: Source {
    fn kind(&self) -> Kind;
    /// Whether `inspect` knows each cell.
    fn tells_cells(&self) -> bool;
    fn check(&self) -> Result<(), Broken>;
    fn stats(&self) -> Stats;
    fn inspect(&self, visit: &mut dyn FnMut(&Record));
    /// Takes every cell back and keeps the blocks, where the kind has that.
    fn reset(&mut self) -> bool;
    fn destroy(&mut self) -> Result<(), Cond>;
    #[cfg(feature = "shred")]
    fn taint(&self);
}

macro_rules! subjects {
    ($($store:ty, $kind:ident, $tells:expr, $reset:expr;)*) => {$(
        impl<S: Source> Subject for $store {
            fn kind(&self) -> Kind {
                assert_eq!(Inspect::kind(self), Kind::$kind);
                Kind::$kind
            }

            fn tells_cells(&self) -> bool {
                $tells
            }

            fn check(&self) -> Result<(), Broken> {
                <$store>::check(self)
            }

            fn stats(&self) -> Stats {
                <$store>::stats(self)
            }

            fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
                Inspect::inspect(self, visit);
            }

            fn reset(&mut self) -> bool {
                let reset: Option<fn(&mut Self)> = $reset;
                reset.map(|reset| reset(self)).is_some()
            }

            fn destroy(&mut self) -> Result<(), Cond> {
                <$store>::destroy(self)
            }

            #[cfg(feature = "shred")]
            fn taint(&self) {
                <$store>::taint(self);
            }
        }
    )*};
}

subjects! {
    Heap<S>, Heap, true, None;
    Lin<S, Bare>, Lin, false, Some(Self::reset);
    Lin<S, Headers>, Lin, true, Some(Self::reset);
    Pool<S, Bare>, Pool, false, Some(Self::reset);
    Pool<S, Headers>, Pool, true, Some(Self::reset);
    Tree<S>, Tree, true, None;
}

/// A store that is only reached as `&S`.
pub struct ByReference<T>(pub T);

/// A tree whose source proves itself too.
pub struct Managed<T: Source>(pub Tree<T>);

macro_rules! reached_by_reference {
    ($($wrapper:ident<$store:ident: $bound:ident>, $inner:ty, $check:expr;)*) => {$(
        // SAFETY: the blocks are those of the store inside, which is reached by its `&S`.
        unsafe impl<$store: $bound> Source for $wrapper<$store> {
            fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
                <&$inner as Source>::alloc(&&self.0, layout)
            }

            fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
                <&$inner as Source>::alloc_zeroed(&&self.0, layout)
            }

            fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
                <&$inner as Source>::grant(&&self.0, layout)
            }

            unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
                unsafe { <&$inner as Source>::free(&&self.0, block, layout) }
            }

            unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
                unsafe { <&$inner as Source>::resize(&&self.0, block, old, new) }
            }

            #[cfg(feature = "shred")]
            unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
                unsafe { <&$inner as Source>::shred(&&self.0, block, layout) }
            }

            fn least_align(&self) -> usize {
                <&$inner as Source>::least_align(&&self.0)
            }

            fn largest(&self) -> Option<usize> {
                <&$inner as Source>::largest(&&self.0)
            }
        }

        impl<$store: $bound> Subject for $wrapper<$store> {
            fn kind(&self) -> Kind {
                Subject::kind(&self.0)
            }

            fn tells_cells(&self) -> bool {
                self.0.tells_cells()
            }

            fn check(&self) -> Result<(), Broken> {
                let check: fn(&Self) -> Result<(), Broken> = $check;
                check(self)
            }

            fn stats(&self) -> Stats {
                Subject::stats(&self.0)
            }

            fn inspect(&self, visit: &mut dyn FnMut(&Record)) {
                Subject::inspect(&self.0, visit);
            }

            fn reset(&mut self) -> bool {
                Subject::reset(&mut self.0)
            }

            fn destroy(&mut self) -> Result<(), Cond> {
                Subject::destroy(&mut self.0)
            }

            #[cfg(feature = "shred")]
            fn taint(&self) {
                Subject::taint(&self.0);
            }
        }
    )*};
}

reached_by_reference! {
    ByReference<T: Subject>, T, |this| this.0.check();
    Managed<T: Subject>, Tree<T>, |this| this.0.check().and_then(|()| this.0.source().check());
}

/// What a store can do over a source.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The largest payload that the suite asks for.
    pub largest: usize,
    /// The largest alignment that the suite asks for.
    pub align: usize,
    /// Whether the room of any freed cell is used again, not only that of the newest.
    pub reuses: bool,
    /// Whether it can be full without anybody refusing.
    pub bounded: bool,
    /// Whether a store that was full and destroyed finds room again.
    pub recovers: bool,
    /// Whether blocks go back when the store is dropped, not before: another store holds them for it.
    pub keeps: bool,
}

impl Shape {
    /// The shape of a store over a source of the tests.
    const fn over<B: Base>(largest: usize, align: usize, reuses: bool) -> Self {
        Self { largest, align, reuses, bounded: B::BOUNDED, recovers: B::REUSES, keeps: false }
    }

    /// The same where another store stands between, which the suite does not destroy.
    const fn keeping(self) -> Self {
        Self { keeps: true, recovers: self.reuses, ..self }
    }
}

/// Makes a store over any source.
pub trait Make {
    type Made<S: Source>: Subject;

    fn make<S: Source>(source: S) -> Self::Made<S>;

    fn shape<S: Base>() -> Shape;
}

macro_rules! makers {
    ($($(#[$doc:meta])* $maker:ident: $made:ty, |$source:ident| $make:expr, $base:ident, $shape:expr;)*) => {$(
        $(#[$doc])*
        pub struct $maker;

        impl Make for $maker {
            type Made<S: Source> = $made;

            fn make<S: Source>($source: S) -> Self::Made<S> {
                $make
            }

            fn shape<$base: Base>() -> Shape {
                $shape
            }
        }
    )*};
}

fn least(a: usize, b: usize) -> usize {
    a.min(b)
}

makers! {
    AHeap: Heap<S>, |source| Heap::new_in(source), B, Shape::over::<B>(4096, 4096, true);
    /// Starts small, so that it has many chunks.
    SmallHeap: Heap<S>, |source| Heap::new_in(source).first_block(1024), B, Shape::over::<B>(4096, 4096, true);
    ALin: Lin<S>, |source| Lin::new_in(source), B, Shape::over::<B>(4096, 4096, false);
    ALinWithHeaders: Lin<S, Headers>, |source| Lin::with_headers_in(source), B,
        Shape::over::<B>(4096, 4096, false);
    APool: Pool<S>, |source| Pool::new_in(layout(800, 32), source), B, Shape::over::<B>(800, 32, true);
    APoolWithHeaders: Pool<S, Headers>, |source| Pool::with_headers_in(layout(800, 32), source), B,
        Shape::over::<B>(800, 32, true);
    APoolOfPages: Pool<S, Headers>, |source| Pool::with_headers_in(layout(100, 4096), source), B,
        Shape::over::<B>(100, 4096, true);
    ATree: Tree<S>, |source| Tree::new_in(source), B, Shape::over::<B>(4096, least(4096, B::ALIGN), B::REUSES);
    AManagedTreeInAHeap: Managed<Heap<S>>, |source| managed(Heap::new_in(source)), B,
        Shape::over::<B>(4096, 4096, true).keeping();
    AManagedTreeInALin: Managed<Lin<S, Headers>>, |source| managed(Lin::with_headers_in(source)), B,
        Shape::over::<B>(4096, 4096, false).keeping();
    AManagedTreeInAPool: Managed<Pool<S, Headers>>, |source| managed(Pool::with_headers_in(layout(640, 64), source)), B,
        Shape::over::<B>(512, 64, true).keeping();
    AHeapByReference: ByReference<Heap<S>>, |source| ByReference(Heap::new_in(source)), B,
        Shape::over::<B>(4096, 4096, true);
    ALinByReference: ByReference<Lin<S, Headers>>, |source| ByReference(Lin::with_headers_in(source)), B,
        Shape::over::<B>(4096, 4096, false);
    APoolByReference: ByReference<Pool<S>>, |source| ByReference(Pool::new_in(layout(800, 32), source)), B,
        Shape::over::<B>(800, 32, true);
}

fn managed<S: Store>(source: S) -> Managed<S> {
    Managed(Tree::managed_in(source))
}

/// The source below a store, as far as the suite must know it.
pub trait Given {
    /// Blocks and bytes that are out; `None` where nobody counts.
    fn out(&self) -> Option<(usize, usize)>;
    fn calls(&self) -> usize;
    fn refuse(&self, refuses: bool);
    #[cfg(feature = "shred")]
    fn keep_returned(&self);
    #[cfg(feature = "shred")]
    fn holds(&self, needle: &[u8]) -> bool;
    fn block_around(&self, at: usize, len: usize) -> Option<(usize, usize)>;
    fn prove(&self);
}

impl<S: Base> Given for Watched<S> {
    fn out(&self) -> Option<(usize, usize)> {
        Some((self.blocks(), self.bytes()))
    }

    fn calls(&self) -> usize {
        Self::calls(self)
    }

    fn refuse(&self, refuses: bool) {
        Self::refuse(self, refuses);
    }

    #[cfg(feature = "shred")]
    fn keep_returned(&self) {
        Self::keep_returned(self);
    }

    #[cfg(feature = "shred")]
    fn holds(&self, needle: &[u8]) -> bool {
        Self::holds(self, needle)
    }

    fn block_around(&self, at: usize, len: usize) -> Option<(usize, usize)> {
        Self::block_around(self, at, len)
    }

    fn prove(&self) {
        self.inner().prove();
    }
}

/// The bytes that a fixed store was made in: nobody stands between.
pub struct Own {
    at: NonNull<u8>,
    len: usize,
}

impl Own {
    pub fn new(bytes: &[std::mem::MaybeUninit<u8>]) -> Self {
        Self { at: NonNull::from(bytes).cast(), len: bytes.len() }
    }
}

impl Given for Own {
    fn out(&self) -> Option<(usize, usize)> {
        None
    }

    fn calls(&self) -> usize {
        0
    }

    fn refuse(&self, _: bool) {}

    #[cfg(feature = "shred")]
    fn keep_returned(&self) {}

    #[cfg(feature = "shred")]
    fn holds(&self, needle: &[u8]) -> bool {
        crate::common::holds(&crate::common::raw_bytes(self.at, self.len), needle)
    }

    fn block_around(&self, at: usize, len: usize) -> Option<(usize, usize)> {
        let start = self.at.addr().get();
        (start <= at && at + len <= start + self.len).then_some((start, self.len))
    }

    fn prove(&self) {}
}

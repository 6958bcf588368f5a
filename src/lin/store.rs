//! The region as a source and as a store.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::Lin;
use crate::cell::{Head, Headers, Layer, State, inside};
use crate::{Cond, Found, Kind, Source, Store};

// SAFETY: the cursor hands out each byte once until it is rewound, which needs the cells to be gone;
// chunks stay where their source put them.
unsafe impl<S: Source, H: Layer> Source for Lin<S, H> {
    #[inline]
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        Lin::alloc(self, layout)
    }

    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        Lin::alloc_zeroed(self, layout)
    }

    #[inline]
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        let shred = H::HEADERS && self.header(block).is_tainted();
        // SAFETY: the caller's promise.
        unsafe { self.give_back(block, layout.size(), shred) };
        Ok(())
    }

    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.change(block, old.size(), new) }
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.give_back(block, layout.size(), true) };
        Ok(())
    }

    fn largest(&self) -> Option<usize> {
        self.largest_cell()
    }
}

// SAFETY: `locate` looks into the map of live payloads of the chunk that holds the address, if one does.
unsafe impl<S: Source> Store for Lin<S, Headers> {
    const KIND: Kind = Kind::Lin;

    fn head(&self) -> &Head {
        // SAFETY: `repr(C)`, and the first fields are those of a head.
        unsafe { &*ptr::from_ref(self).cast() }
    }

    fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond> {
        let chunk = self.chunk_of(payload).ok_or(Cond::BadAddress)?;
        if !chunk.is_live(payload.as_ptr()) {
            return Err(Cond::BadAddress);
        }
        // The caller's pointer has told an address; what is read is read through the chunk's own.
        let payload = inside(chunk.start(), payload.addr().get() - chunk.start().addr().get());
        let header = self.header(payload);
        let (Some(layout), Some(kind), Some(State::Live)) = (header.layout(), header.kind(), header.state()) else {
            return Err(Cond::FailAssert);
        };
        let size = layout.size().checked_sub(Self::HEADER).ok_or(Cond::FailAssert)?;
        let tainted = header.is_tainted() || self.is_tainted();
        Ok(Found { payload, kind, size, align: layout.align(), tainted, destructor: false })
    }

    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        let found = self.locate(payload)?;
        if found.kind != Kind::Lin {
            return Err(Cond::Mismatch);
        }
        // SAFETY: a live cell of this region, used no more.
        unsafe { self.give_back(found.payload, found.size, shred || found.tainted) };
        Ok(())
    }

    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.locate(payload)?;
        self.alloc(layout)
    }

    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind) {
        self.header(payload).set_kind(kind);
    }

    #[cfg(feature = "shred")]
    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        let found = self.locate(payload)?;
        self.header(found.payload).taint();
        Ok(())
    }
}

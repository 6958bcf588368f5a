//! The heap as a source and as a store.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::{HEADER, Heap, chunk};
use crate::cell::{Head, MIN_ALIGN, State, inside};
use crate::seeded::seeded;
use crate::{Cond, Found, Grant, Kind, Source, Store};

// SAFETY: blocks of a chunk do not overlap, a live one is handed out once, and chunks stay where
// their source put them.
unsafe impl<S: Source> Source for Heap<S> {
    #[inline]
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        Heap::alloc(self, layout)
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        let (payload, zeroed) = self.take(layout)?;
        Ok(Grant { bytes: NonNull::slice_from_raw_parts(payload, layout.size()), zeroed })
    }

    #[inline]
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        if unsafe { self.give_hot(block, layout) } {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.give_back(block, false) }
    }

    unsafe fn resize(&self, block: NonNull<u8>, _: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.change(block, new) }
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.give_back(block, true) }
    }

    fn largest(&self) -> Option<usize> {
        let source = self.source.largest()?;
        let fresh = chunk::usable(source);
        Some(fresh.max(self.bins.longest()).saturating_sub(HEADER) & !(MIN_ALIGN - 1))
    }
}

// SAFETY: `locate` looks into the live map of the chunk that holds the address, if one does.
unsafe impl<S: Source> Store for Heap<S> {
    const KIND: Kind = Kind::Heap;

    fn head(&self) -> &Head {
        // SAFETY: `repr(C)`, and the first fields are those of a head.
        unsafe { &*ptr::from_ref(self).cast() }
    }

    fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond> {
        let chunk = self.chunk_of(payload).ok_or(Cond::BadAddress)?;
        if chunk.has_spans() {
            let place = self.place(chunk, payload).ok_or(Cond::BadAddress)?;
            return Ok(Found {
                payload: inside(chunk.start(), payload.addr().get() - chunk.start().addr().get()),
                kind: place.kind(),
                size: place.size(),
                align: MIN_ALIGN,
                tainted: place.is_tainted() || self.id.is_tainted(),
                destructor: false,
            });
        }
        if !chunk.is_live(payload) && !seeded("heap_frees_twice") {
            return Err(Cond::BadAddress);
        }
        // The caller's pointer has told an address; what is read is read through the chunk's own.
        let payload = inside(chunk.start(), payload.addr().get() - chunk.start().addr().get());
        let header = self.header(payload);
        let (Some(layout), Some(kind), Some(State::Live)) = (header.layout(), header.kind(), header.state()) else {
            return Err(Cond::FailAssert);
        };
        let size = layout.size().checked_sub(HEADER).ok_or(Cond::FailAssert)?;
        if size > chunk.room_from(payload) {
            return Err(Cond::FailAssert);
        }
        let tainted = header.is_tainted() || self.id.is_tainted();
        Ok(Found { payload, kind, size, align: layout.align(), tainted, destructor: false })
    }

    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        let found = self.locate(payload)?;
        if found.kind != Kind::Heap {
            return Err(Cond::Mismatch);
        }
        // SAFETY: a live cell of this heap, used no more.
        unsafe { self.give_back(found.payload, shred) }
    }

    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.locate(payload)?;
        self.alloc(layout)
    }

    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind) {
        match self.chunk_of(payload).filter(|chunk| chunk.has_spans()).map(|chunk| self.place(chunk, payload)) {
            Some(place) => place.into_iter().for_each(|place| place.set_kind(kind)),
            None => self.header(payload).set_kind(kind),
        }
    }

    #[cfg(feature = "shred")]
    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        let found = self.locate(payload)?;
        match self.chunk_of(payload).filter(|chunk| chunk.has_spans()).map(|chunk| self.place(chunk, payload)) {
            Some(place) => place.into_iter().for_each(|place| place.taint()),
            None => self.header(found.payload).taint(),
        }
        Ok(())
    }
}

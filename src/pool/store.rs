//! The pool as a source and as a store.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::Pool;
use crate::cell::{Head, Headers, Layer, State};
use crate::{Cond, Found, Grant, Kind, Source, Store};

// SAFETY: a cell is handed out when it leaves the free list or the fresh room and comes back by
// `free`; blocks stay where their source put them.
unsafe impl<S: Source, H: Layer> Source for Pool<S, H> {
    #[inline]
    fn alloc(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.fits(layout)?;
        let (payload, _) = self.take()?;
        Ok(NonNull::slice_from_raw_parts(payload, self.stride - Self::HEADER))
    }

    fn alloc_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.fits(layout)?;
        let (payload, zeroed) = self.take()?;
        if !zeroed {
            // SAFETY: the cell was just handed out to us and `fits` says that it is this long.
            unsafe { payload.write_bytes(0, layout.size()) };
        }
        Ok(NonNull::slice_from_raw_parts(payload, layout.size()))
    }

    fn grant(&self, layout: Layout) -> Result<Grant, Cond> {
        self.fits(layout)?;
        let (payload, zeroed) = self.take()?;
        let bytes = NonNull::slice_from_raw_parts(payload, self.stride - Self::HEADER);
        Ok(Grant { bytes, zeroed })
    }

    #[inline]
    unsafe fn free(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        let shred = H::HEADERS && self.header(block).is_tainted();
        // SAFETY: the caller's promise.
        unsafe { self.give_back(block, shred) };
        Ok(())
    }

    unsafe fn resize(&self, block: NonNull<u8>, _: Layout, new: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.fits(new)?;
        Ok(NonNull::slice_from_raw_parts(block, new.size()))
    }

    #[cfg(feature = "shred")]
    unsafe fn shred(&self, block: NonNull<u8>, _: Layout) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        unsafe { self.give_back(block, true) };
        Ok(())
    }

    fn least_align(&self) -> usize {
        self.align
    }

    fn largest(&self) -> Option<usize> {
        Some(self.stride - Self::HEADER)
    }
}

// SAFETY: `locate` finds the block and the cell's number in it by address, and reads the header only
// of a cell that was handed out.
unsafe impl<S: Source> Store for Pool<S, Headers> {
    const KIND: Kind = Kind::Pool;

    fn head(&self) -> &Head {
        // SAFETY: `repr(C)`, and the first fields are those of a head.
        unsafe { &*ptr::from_ref(self).cast() }
    }

    fn locate(&self, payload: NonNull<u8>) -> Result<Found, Cond> {
        let payload = self.handed_out(payload).ok_or(Cond::BadAddress)?;
        let cell = self.header(payload);
        match cell.state() {
            Some(State::Live) => {}
            Some(State::Free | State::Shredded) => return Err(Cond::BadAddress),
            _ => return Err(Cond::FailAssert),
        }
        let kind = Kind::from_number(cell.kind.get()).ok_or(Cond::FailAssert)?;
        let tainted = cell.is_tainted() || self.is_tainted();
        Ok(Found { payload, kind, size: self.cellsz, align: self.align, tainted, destructor: false })
    }

    unsafe fn release(&self, payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
        let found = self.locate(payload)?;
        if found.kind != Kind::Pool {
            return Err(Cond::Mismatch);
        }
        // SAFETY: a live cell of this pool, used no more.
        unsafe { self.give_back(found.payload, shred || found.tainted) };
        Ok(())
    }

    fn sibling(&self, payload: NonNull<u8>, layout: Layout) -> Result<NonNull<[u8]>, Cond> {
        self.locate(payload)?;
        self.fits(layout)?;
        let (payload, _) = self.take()?;
        Ok(NonNull::slice_from_raw_parts(payload, self.cellsz))
    }

    unsafe fn set_kind(&self, payload: NonNull<u8>, kind: Kind) {
        self.header(payload).kind.set(kind as u8);
    }

    #[cfg(feature = "shred")]
    fn taint_cell(&self, payload: NonNull<u8>) -> Result<(), Cond> {
        let found = self.locate(payload)?;
        self.header(found.payload).shred.set(1);
        Ok(())
    }
}

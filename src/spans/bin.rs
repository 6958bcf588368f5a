//! What a [`Local`](super::Local) has of one class: cells at hand, and the spans that more of them come from.

use core::cell::Cell as Var;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use super::{Class, Mark, NONE, Seen, Span};

/// A cell that is free, but on no list, and its mark.
#[derive(Clone, Copy)]
pub(super) struct Hot {
    pub(super) cell: NonNull<u8>,
    pub(super) mark: *const Mark,
}

/// How many cells of a class are at hand at most, and how many bytes of them, beside those of the current span.
const RACK: usize = 33;
const BYTES: usize = 64 << 10;
/// Of how many at least one is drawn, where there are so many.
#[cfg(feature = "hardened")]
const DRAWN: u32 = 16;

/// All zero, it has nothing. What is asked first is in one line of the cache.
#[repr(C, align(64))]
pub(super) struct Bin {
    /// A cell that was the last to be handed out, of all, when it was freed; null if there is none. A program that
    /// takes and releases one at a time waits for nothing but this.
    slot: Var<*mut u8>,
    slot_mark: Var<*const Mark>,
    /// Cells that were freed while there was room, the latest last: how many, and how many there may be.
    len: Var<u32>,
    room: Var<u32>,
    /// The span that the next cell is taken from, when none is at hand.
    current: Var<*const Span>,
    /// The other spans that have free cells.
    pub(super) partial: Var<*const Span>,
    pub(super) count: Count,
    hot: [Var<MaybeUninit<Hot>>; RACK],
}

/// How many cells are live or at hand, as are those on the list of the current span; and the most there were.
pub(super) struct Count {
    pub(super) out: Var<u32>,
    pub(super) most: Seen<AtomicU32>,
}

impl Count {
    /// Notes that there are more.
    pub(super) fn add(&self, cells: u32) {
        let out = self.out.get() + cells;
        self.out.set(out);
        self.most.set(self.most.get().max(out));
    }

    /// Notes that there are fewer.
    #[inline(always)]
    pub(super) fn sub(&self, cells: u32) {
        self.out.set(self.out.get() - cells);
    }
}

impl Bin {
    /// A cell that is free, if any is at hand.
    #[inline(always)]
    pub(super) fn take(&self, class: Class) -> Option<Hot> {
        if let Some(cell) = NonNull::new(self.slot.get()) {
            self.slot.set(core::ptr::null_mut());
            return Some(Hot { cell, mark: self.slot_mark.get() });
        }
        let Some(left) = self.len.get().checked_sub(1) else { return self.pop(class) };
        self.len.set(left);
        // SAFETY: there were more.
        Some(unsafe { self.hot(left as usize) })
    }

    /// The first cell on the list of the current span.
    #[inline(always)]
    fn pop(&self, class: Class) -> Option<Hot> {
        let span = self.current()?;
        let unit = span.free().get();
        if unit == NONE {
            return None;
        }
        // SAFETY: a free cell of this span.
        let mark = unsafe { span.mark(unit.into(), class) };
        span.free().set(mark.load(Ordering::Relaxed));
        span.used().set(span.used().get() + 1);
        // SAFETY: as above.
        Some(Hot { cell: unsafe { span.cell(unit.into()) }, mark })
    }

    /// Keeps a cell that was freed, which was the last that was handed out or is put with others; whether there was
    /// room.
    #[inline(always)]
    pub(super) fn keep(&self, hot: Hot, is_latest: bool) -> bool {
        if is_latest && self.slot.get().is_null() {
            self.slot.set(hot.cell.as_ptr());
            self.slot_mark.set(hot.mark);
            return true;
        }
        let len = self.len.get();
        if len == self.room.get() {
            return false;
        }
        // SAFETY: there is room for no more than there are places.
        unsafe { self.hot.get_unchecked(len as usize) }.set(MaybeUninit::new(hot));
        self.len.set(len + 1);
        true
    }

    /// One of those that were freed.
    ///
    /// # Safety
    ///
    /// Its number is less than how many there are, or were until just now.
    #[inline(always)]
    unsafe fn hot(&self, number: usize) -> Hot {
        // SAFETY: the caller's promise.
        let hot = unsafe { self.hot.get_unchecked(number) };
        // SAFETY: it was written when it became one of them.
        unsafe { hot.get().assume_init() }
    }

    /// The cells that are at hand, but for those of the current span.
    pub(super) fn all(&self) -> impl Iterator<Item = Hot> {
        let slot = NonNull::new(self.slot.get()).map(|cell| Hot { cell, mark: self.slot_mark.get() });
        // SAFETY: numbers of those there are.
        (0..self.len.get() as usize).map(|number| unsafe { self.hot(number) }).chain(slot)
    }

    /// Forgets those cells: they are on lists.
    #[cfg(feature = "platform")]
    pub(super) fn clear(&self) {
        self.slot.set(core::ptr::null_mut());
        self.len.set(0);
    }

    /// Makes one of those that are at hand, told by any number, the next.
    #[cfg(feature = "hardened")]
    pub(super) fn choose(&self, class: Class, number: u32) {
        // What came back last is the first on the list of its span: it is drawn from together with others.
        while self.len.get() < self.room.get().min(DRAWN)
            && let Some(hot) = self.pop(class)
        {
            // SAFETY: a hot cell's mark is there.
            unsafe { &*hot.mark }.store(NONE, Ordering::Relaxed);
            self.keep(hot, false);
        }
        if let Some(last) = self.len.get().checked_sub(1) {
            self.hot[(number % (last + 1)) as usize].swap(&self.hot[last as usize]);
        }
    }

    #[inline(always)]
    pub(super) fn current<'a>(&self) -> Option<&'a Span> {
        // SAFETY: null or a span of this owner.
        unsafe { self.current.get().as_ref() }
    }

    #[inline(always)]
    pub(super) fn is_current(&self, span: &Span) -> bool {
        core::ptr::eq(self.current.get(), span)
    }

    /// Makes another span the current one, or none.
    #[expect(clippy::cast_possible_truncation, reason = "at most a rack")]
    pub(super) fn set_current(&self, span: Option<&Span>, class: Class) {
        self.current.set(span.map_or(core::ptr::null(), core::ptr::from_ref));
        self.room.set((BYTES / class.size()).min(RACK) as u32);
    }

    /// The free cells on the list of the current span.
    pub(super) fn ready(&self) -> usize {
        self.current().map_or(0, |span| span.on_list() as usize)
    }
}

//! The process heap: what a whole program allocates from, from every thread.
//!
//! ```text
//!   GlobalHeap, Global         the faces: GlobalAlloc; Source and Store
//!        │
//!      here                    which Local the calling thread has
//!        │
//!   spans::Local               up to LONGEST in cells of spans, up to RUN_MOST in slices    solo: the rest, in pages
//!        │                                                                                   │
//!      ground ── map           segments: taken, kept for a while, given back; by address     │
//!        └──────────────────── Pages ────────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants: a segment is in the map from before anything in it is handed out until after its last cell has gone;
//! only the thread that has a `Local` changes what is in it, but for its mail; the lock is held over no other lock.

mod alloc;
mod classes;
mod global;
mod ground;
#[cfg_attr(not(feature = "hardened"), path = "trusting.rs")]
mod hardened;
mod here;
pub(crate) mod map;
mod solo;

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::cell::MIN_ALIGN as UNIT;
use crate::poison::{hide, show};
use crate::report::Broken;
use crate::spans::{
    ALIGNED, Class, Ground, LIVE, LONGEST, LOOSE, Local, SLACK, Segment, Span, Spans, TAINT, kind_of, with_kind,
};
use crate::wipe::wipe_if;
use crate::{Cond, Found, Stats};

pub use classes::{ClassStats, Classes};
pub use global::{Decay, Global, GlobalHeap};

use ground::{Pool, Process, pool};
use hardened::{CANARY, FENCED, is_sealed, seal};
use here::{here, look_after, with};
use solo::Growth;

type Layer = Spans<Process>;

/// The longest cell of a class that this heap has.
const MOST: usize = if cfg!(target_pointer_width = "64") { LONGEST } else { 8 << 10 };
/// The longest block in a segment: where several fit into one.
const RUN_MOST: usize = Process::SEGMENT / if cfg!(target_pointer_width = "64") { 8 } else { 2 };
/// The longest cell that cannot have as much slack as [`LOOSE`] is. A longer one that is loose has no less than that.
const LOOSE_MOST: usize = (LOOSE as usize + 1) * 8;
/// The largest alignment of a cell of a class.
const MOST_ALIGN: usize = 1024;

/// How a layout is met.
enum Way {
    /// By a cell of a class, with this mark.
    Cell(Class, u16),
    /// By a run of slices.
    Run,
    /// By pages of its own.
    Solo,
}

/// The class for a layout that asks for no more alignment than all cells have.
#[inline(always)]
fn plain(layout: Layout) -> Option<Class> {
    (layout.align() <= UNIT && layout.size() <= MOST - CANARY).then(|| Class::of(layout.size() + CANARY))
}

#[expect(clippy::cast_possible_truncation, reason = "a cell is less than 2^11 longer than what is asked of it")]
fn slack(class: Class, size: usize) -> u16 {
    (class.size() - CANARY - size) as u16
}

fn way(layout: Layout) -> Way {
    let (size, align) = (layout.size(), layout.align());
    if let Some(class) = plain(layout) {
        return Way::Cell(class, LIVE | slack(class, size));
    }
    if align > UNIT && align <= MOST_ALIGN && size < MOST / 2 {
        // Room for its alignment, at the end.
        let class = Class::of((size + CANARY + 1).next_multiple_of(align));
        if class.size() <= MOST / 2 {
            return Way::Cell(class, LIVE | ALIGNED | slack(class, size));
        }
    }
    if size <= RUN_MOST && align <= Process::SLICE { Way::Run } else { Way::Solo }
}

/// No object is larger than half the address space; with the rest it must still be a number.
fn possible(layout: Layout) -> Result<(), Cond> {
    let most = isize::MAX as usize;
    if layout.size() > most / 2 || layout.align() > most / 4 { Err(Cond::BadSize) } else { Ok(()) }
}

/// Memory for a layout, and whether it is known to be zero.
fn take(layout: Layout) -> Result<(NonNull<u8>, bool), Cond> {
    possible(layout)?;
    let (cell, zeroed) = match way(layout) {
        Way::Cell(class, mark) => {
            let cell = with(|local| hardened::take(local, class, mark))??;
            show(cell, class.size());
            seal(cell, layout.size());
            hide(last(cell, layout.size()), class.size() - layout.size());
            if mark & ALIGNED != 0 {
                let end = last(cell, class.size() - 1);
                show(end, 1);
                #[expect(clippy::cast_possible_truncation, reason = "a logarithm")]
                // SAFETY: the last byte of a cell that is longer than what was asked.
                unsafe {
                    end.write(layout.align().trailing_zeros() as u8);
                }
            }
            (cell, false)
        }
        Way::Run => {
            let taken = with(|local| local.take_run(&Process, layout.size() + CANARY, layout.align(), LIVE))??;
            seal(taken.0, layout.size());
            taken
        }
        Way::Solo => take_solo(layout, Growth::Unknown)?,
    };
    Ok((cell, zeroed))
}

/// The same in pages of its own.
fn take_solo(layout: Layout, growth: Growth) -> Result<(NonNull<u8>, bool), Cond> {
    let whole = Layout::from_size_align(layout.size() + CANARY, layout.align()).map_err(|_| Cond::BadSize)?;
    let taken = solo::take(whole, LIVE, growth)?;
    seal(taken.0, layout.size());
    Ok(taken)
}

fn last(cell: NonNull<u8>, offset: usize) -> NonNull<u8> {
    crate::cell::inside(cell, offset)
}

/// A live cell in a span.
struct Place<'a> {
    cell: NonNull<u8>,
    span: &'a Span,
    mark: &'a crate::spans::Mark,
    /// What the mark was when it was found. An address that is not the caller's may be freed meanwhile.
    is: u16,
}

impl Place<'_> {
    fn room(&self) -> usize {
        self.span.room::<Process>()
    }

    fn size(&self) -> usize {
        match self.span.class() {
            None => self.span.asked().get() - CANARY,
            Some(class) => {
                let room = class.size() - CANARY;
                match self.is & SLACK {
                    // Only cells that are longer can be so much longer than was asked of them.
                    LOOSE if room <= LOOSE_MOST => room,
                    slack => room - usize::from(slack),
                }
            }
        }
    }

    fn align(&self) -> usize {
        if self.span.is_run() {
            return self.span.run_align().max(UNIT);
        }
        if self.is & ALIGNED == 0 {
            return UNIT;
        }
        // An address that is not the caller's may be freed meanwhile, and its bytes be anything.
        // SAFETY: the last byte of a cell, which lies in memory as long as its span is there.
        let power = unsafe { AtomicU8::from_ptr(last(self.cell, self.room() - 1).as_ptr()) }.load(Ordering::Relaxed);
        1_usize.checked_shl(power.into()).unwrap_or(UNIT).min(MOST_ALIGN)
    }

    /// Notes how much shorter it is than it could be. Another thread may taint it meanwhile.
    fn set_slack(&self, slack: u16) {
        let new = |mark: u16| Some(mark & !SLACK | slack);
        let _ = self.mark.fetch_update(Ordering::Relaxed, Ordering::Relaxed, new);
    }

    /// Takes the cell back.
    ///
    /// # Safety
    ///
    /// It is live, and nothing uses it any more.
    unsafe fn give(&self, shred: bool) {
        let shred = shred || self.mark.load(Ordering::Relaxed) & TAINT != 0;
        show(self.cell, self.room());
        // SAFETY: the cell's own bytes, used no more.
        unsafe { wipe_if(shred, self.cell, self.room()) };
        // SAFETY: the caller's promise.
        unsafe { self.home(here()) };
    }

    /// Hands the cell to its owner: this local, or from here another.
    ///
    /// # Safety
    ///
    /// Nothing uses it any more, and its mark says so or does not matter.
    unsafe fn home(&self, local: Option<&Local>) {
        let owner = self.span.owner();
        let is_own = local.is_some_and(|local| core::ptr::eq(local, owner));
        if !self.span.is_run() {
            hide(self.cell, self.room());
        }
        match (self.span.class(), local) {
            // SAFETY: a run of this local, with its mark, used no more.
            (None, Some(local)) if is_own => unsafe { local.give_run(&Process, self.span, self.mark) },
            // SAFETY: a cell of this local's span, with its mark, used no more.
            (Some(class), Some(local)) if is_own => unsafe {
                local.give(&Process, self.span, class, self.cell, self.mark);
            },
            // SAFETY: a cell of another's span, with its mark, used no more.
            (Some(class), Some(local)) => unsafe { local.post(self.span, class, self.cell, self.mark, look_after) },
            _ => {
                // SAFETY: a span's owner stays for ever.
                let owner = unsafe { &*owner };
                // SAFETY: a cell of its span, with its mark, used no more.
                if unsafe { owner.send(self.span, self.cell, self.mark) } {
                    look_after(owner);
                }
            }
        }
    }
}

/// What an address is, if it is that of a live cell: told without reading what it points to.
enum At<'a> {
    Span(Place<'a>),
    Solo(NonNull<u8>, Found),
}

/// As it is while the lock is held: a span may go right afterwards, unless the cell is live and the caller's.
fn at<'a>(pool: &Pool, payload: NonNull<u8>) -> Result<At<'a>, Cond> {
    let address = payload.addr().get();
    let Some(base) = map::find(address) else {
        let solo = pool.solos.find(address).ok_or(Cond::BadAddress)?;
        let mark = solo.mark.get();
        let found = Found {
            payload: solo.payload(),
            kind: kind_of(mark),
            size: solo.asked() - CANARY,
            align: solo.align().max(UNIT),
            tainted: mark & TAINT != 0,
            destructor: false,
        };
        return Ok(At::Solo(solo.payload(), found));
    };
    // Neither the segment nor a span of it can go while the lock is held.
    // SAFETY: what is in the map is a segment of this ground.
    let segment = unsafe { Layer::segment_of(base.as_ptr()) };
    place_at(segment, address).map(At::Span).map_err(|_| Cond::BadAddress)
}

/// Why there is no live cell at an address in a segment.
enum Miss {
    /// There is no cell at all.
    Nothing,
    /// It is not the first byte of one.
    Inside,
    /// It is not live.
    Free,
}

/// The live cell at an address in a segment.
fn place_at(segment: &Segment, address: usize) -> Result<Place<'_>, Miss> {
    let span = Layer::find(segment, address).ok_or(Miss::Nothing)?;
    let mark = span.mark_at(address).ok_or(Miss::Inside)?;
    let is = mark.load(Ordering::Relaxed);
    if is & LIVE == 0 {
        return Err(Miss::Free);
    }
    // The caller's pointer has told an address; what is used is the segment's own.
    let base = segment.base();
    let cell = crate::cell::inside(base, address - base.addr().get());
    Ok(Place { cell, span, mark, is })
}

/// What is known of the live cell at an address.
fn locate(payload: NonNull<u8>) -> Result<Found, Cond> {
    let pool = pool();
    match at(&pool, payload)? {
        At::Span(place) => Ok(Found {
            payload: place.cell,
            kind: kind_of(place.is),
            size: place.size(),
            align: place.align(),
            tainted: place.is & TAINT != 0,
            destructor: false,
        }),
        At::Solo(_, found) => Ok(found),
    }
}

/// Changes the mark of the live cell at an address.
fn remark(payload: NonNull<u8>, change: impl Fn(u16) -> u16) -> Result<(), Cond> {
    let pool = pool();
    match at(&pool, payload)? {
        // It may have been freed since it was found: only a live cell's mark is changed.
        At::Span(place) => {
            let new = |mark: u16| (mark & LIVE != 0).then(|| change(mark));
            place.mark.fetch_update(Ordering::Relaxed, Ordering::Relaxed, new).map_err(|_| Cond::BadAddress)?;
        }
        At::Solo(payload, _) => {
            if let Some(solo) = pool.solos.find(payload.addr().get()) {
                solo.mark.set(change(solo.mark.get()));
            }
        }
    }
    Ok(())
}

/// Releases the live cell at an address, of whatever kind.
///
/// # Safety
///
/// Nothing uses it any more.
unsafe fn give(payload: NonNull<u8>, shred: bool) -> Result<(), Cond> {
    let at = at(&pool(), payload)?;
    match at {
        // SAFETY: the caller's promise, passed on: the place of a live cell.
        At::Span(place) => unsafe { hardened::release(&place, shred) },
        At::Solo(payload, found) if !is_sealed(payload, found.size) => Err(Cond::FailAssert),
        // SAFETY: the caller's promise, passed on.
        At::Solo(payload, _) => unsafe { solo::give(payload, shred) },
    }
}

/// Gives a live cell another size, in place where it can.
///
/// # Safety
///
/// If the address returned is another, the old one is gone.
unsafe fn change(payload: NonNull<u8>, size: usize) -> Result<NonNull<u8>, Cond> {
    let found = locate(payload)?;
    let new = Layout::from_size_align(size, found.align).map_err(|_| Cond::BadSize)?;
    possible(new)?;
    if !is_sealed(found.payload, found.size) {
        return Err(Cond::FailAssert);
    }
    let at = at(&pool(), payload)?;
    let mut held = found.size;
    match (at, way(new)) {
        (At::Span(place), Way::Cell(class, mark)) if place.span.is_of(class) => {
            settle(&place, found, size);
            place.set_slack(mark & SLACK);
            return Ok(place.cell);
        }
        (At::Span(place), Way::Run) if place.span.is_run() => {
            if size < found.size {
                // Before its slices go to others; a run that shrinks stays where it is.
                // SAFETY: what shrinking leaves over is the cell's own, used no more.
                unsafe { wipe_if(found.tainted, last(place.cell, size), found.size - size) };
            }
            let own = here().filter(|local| core::ptr::eq(*local, place.span.owner()));
            let done = match own {
                // SAFETY: a run of this local.
                Some(local) => unsafe { local.change_run::<Process>(place.span, size + CANARY) },
                // Another's slices are not ours to give back.
                None => size + CANARY <= place.room(),
            };
            if done {
                place.span.asked().set(size + CANARY);
                seal(place.cell, size);
                return Ok(place.cell);
            }
        }
        (At::Solo(payload, _), Way::Solo) => {
            if size < found.size {
                // SAFETY: what shrinking leaves over is the cell's own, used no more.
                unsafe { wipe_if(found.tainted, last(payload, size), found.size - size) };
            }
            // Where the block is copied and not moved, what it leaves is wiped.
            if !found.tainted || cfg!(target_os = "linux") && found.align <= ground::page() {
                // SAFETY: the caller's promise, passed on.
                match unsafe { solo::change(payload, size + CANARY) } {
                    Ok(payload) => {
                        seal(payload, size);
                        return Ok(payload);
                    }
                    // The system does not move what once had a fence in it, if the process was forked since.
                    Err(_) if FENCED => {}
                    Err(cond) => return Err(cond),
                }
            }
        }
        (At::Span(place), _) if CANARY == 0 && !place.span.is_run() => {
            // By the global allocator's face it may have become longer in its class, and nobody noted that.
            held = place.room() - CANARY;
            show(place.cell, place.room());
        }
        _ => {}
    }
    let (moved, _) = take(new)?;
    // SAFETY: both cells are live and distinct; this many bytes are in each.
    unsafe { found.payload.copy_to_nonoverlapping(moved, held.min(size)) };
    remark(moved, |mark| with_kind(mark, found.kind) | if found.tainted { TAINT } else { 0 })?;
    // SAFETY: the caller's promise; the bytes are in the new cell.
    if let Err(cond) = unsafe { give(payload, false) } {
        // SAFETY: just taken, and used by nobody.
        let _ = unsafe { give(moved, true) };
        return Err(cond);
    }
    Ok(moved)
}

/// Wipes what a shorter size leaves over of a tainted cell, and lets a checker know of the new one.
fn settle(place: &Place<'_>, found: Found, size: usize) {
    show(place.cell, place.room());
    if size < found.size {
        // SAFETY: the cell's own bytes, used no more.
        unsafe { wipe_if(found.tainted, last(place.cell, size), found.size - size) };
    }
    seal(place.cell, size);
    hide(last(place.cell, size), place.room() - size);
    if place.mark.load(Ordering::Relaxed) & ALIGNED != 0 {
        // Its alignment stands there.
        show(last(place.cell, place.room() - 1), 1);
    }
}

/// Sums over the whole process; what other threads do meanwhile may be counted or not.
fn stats() -> Stats {
    let pool = pool();
    let (mut live, mut bytes) = (pool.solos.live, pool.solos.bytes);
    pool.each(&mut |segment| {
        Layer::each(segment, &mut |_, slices, span| {
            let Some(span) = span else { return };
            let used = span.used().get() as usize;
            live += used;
            bytes += used * span.class().map_or(slices * Process::SLICE, Class::size);
        });
    });
    // Each part had its most at a time of its own, so that together there may have been less.
    let mut peak = pool.solos.peak;
    here::each(|local| peak += local.peak());
    Stats { live, bytes, peak: peak.max(bytes), held: pool.held() + pool.solos.bytes + pool.solos.kept }
}

fn check() -> Result<(), Broken> {
    pool().check()?;
    here().map_or(Ok(()), Local::check::<Process>)
}

/// Ends the program: to go on would be worse.
#[cold]
#[inline(never)]
fn misuse(what: &str) -> ! {
    #[cfg(feature = "std")]
    {
        extern crate std;
        use std::io::Write;
        let mut out = std::io::stderr();
        // Nobody is left to be told that it cannot be told.
        let _ =
            out.write_all(b"kmem: ").and_then(|()| out.write_all(what.as_bytes())).and_then(|()| out.write_all(b"\n"));
        std::process::abort()
    }
    #[cfg(not(feature = "std"))]
    {
        /// What leaves such a function by a panic ends the program.
        extern "C" fn stop(what: &&str) -> ! {
            panic!("kmem: {what}")
        }
        stop(&what)
    }
}

/// Gives back all that nobody uses, as far as this thread can.
fn purge() {
    // Where there is no local there is nothing to give back.
    let _ = with(ground::purge);
    here::with_vacant(ground::purge);
}

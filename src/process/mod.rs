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
mod global;
mod ground;
mod here;
pub(crate) mod map;
mod solo;

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use crate::cell::MIN_ALIGN as UNIT;
use crate::poison::{hide, show};
use crate::report::Broken;
use crate::spans::{
    ALIGNED, Class, Ground, LIVE, LONGEST, Local, RUN, SLACK, Span, Spans, TAINT, class_of, kind_of, with_kind,
};
use crate::wipe::wipe_if;
use crate::{Cond, Found, Stats};

pub use global::{Decay, Global, GlobalHeap};

use ground::{Process, pool};
use here::{here, with};
use solo::Growth;

type Layer = Spans<Process>;

/// The longest cell of a class that this heap has.
const MOST: usize = if cfg!(target_pointer_width = "64") { LONGEST } else { 8 << 10 };
/// The longest block in a segment.
const RUN_MOST: usize = Process::SEGMENT / 2;
/// The largest alignment of a cell of a class.
const MOST_ALIGN: usize = 1024;

/// How a layout is met.
enum Way {
    /// By a cell of a class, with this mark.
    Cell(usize, u16),
    /// By a run of slices.
    Run,
    /// By pages of its own.
    Solo,
}

/// The class for a layout that asks for no more alignment than all cells have.
#[inline(always)]
fn plain(layout: Layout) -> Option<usize> {
    (layout.align() <= UNIT && layout.size() <= MOST).then(|| class_of(layout.size()))
}

#[expect(clippy::cast_possible_truncation, reason = "a cell is less than 2^11 longer than what is asked of it")]
fn slack(class: usize, size: usize) -> u16 {
    (Class::get(class).size() - size) as u16
}

fn way(layout: Layout) -> Way {
    let (size, align) = (layout.size(), layout.align());
    if let Some(class) = plain(layout) {
        return Way::Cell(class, LIVE | slack(class, size));
    }
    if align > UNIT && align <= MOST_ALIGN && size < MOST / 2 {
        // Room for its alignment, at the end.
        let class = class_of((size + 1).next_multiple_of(align));
        if Class::get(class).size() <= MOST / 2 {
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
            let cell = with(|local| match local.take(class, mark) {
                Some(cell) => Ok(cell),
                None => local.take_more(&Process, class, mark),
            })??;
            show(cell, Class::get(class).size());
            hide(last(cell, layout.size()), Class::get(class).size() - layout.size());
            if mark & ALIGNED != 0 {
                let end = last(cell, Class::get(class).size() - 1);
                show(end, 1);
                #[expect(clippy::cast_possible_truncation, reason = "a logarithm")]
                // SAFETY: the last byte of a cell that is longer than what was asked.
                unsafe {
                    end.write(layout.align().trailing_zeros() as u8);
                }
            }
            (cell, false)
        }
        Way::Run => with(|local| local.take_run(&Process, layout.size(), layout.align(), LIVE))??,
        Way::Solo => solo::take(layout, LIVE, Growth::Unknown)?,
    };
    Ok((cell, zeroed))
}

fn last(cell: NonNull<u8>, offset: usize) -> NonNull<u8> {
    crate::cell::inside(cell, offset)
}

/// A live cell in a span.
struct Place<'a> {
    cell: NonNull<u8>,
    span: &'a Span,
    mark: &'a crate::spans::Mark,
}

impl Place<'_> {
    fn room(&self) -> usize {
        match self.span.class() {
            RUN => self.span.slices() * Process::SLICE,
            class => Class::get(class as usize).size(),
        }
    }

    fn size(&self) -> usize {
        match self.span.class() {
            RUN => self.span.asked().get(),
            class => Class::get(class as usize).size() - usize::from(self.mark.load(Ordering::Relaxed) & SLACK),
        }
    }

    fn align(&self) -> usize {
        if self.span.class() == RUN {
            return self.span.run_align().max(UNIT);
        }
        if self.mark.load(Ordering::Relaxed) & ALIGNED == 0 {
            return UNIT;
        }
        // SAFETY: the last byte of a live cell that has its alignment there.
        let power = unsafe { last(self.cell, self.room() - 1).read() };
        1_usize.checked_shl(u32::from(power)).unwrap_or(UNIT)
    }

    /// Takes the cell back.
    fn give(&self, shred: bool) {
        let shred = shred || self.mark.load(Ordering::Relaxed) & TAINT != 0;
        show(self.cell, self.room());
        // SAFETY: the cell's own bytes, used no more.
        unsafe { wipe_if(shred, self.cell, self.room()) };
        let owner = self.span.owner();
        match here() {
            Some(local) if core::ptr::eq(local, owner) => match self.span.class() {
                RUN => local.give_run(&Process, self.span, self.mark),
                class => {
                    hide(self.cell, self.room());
                    // SAFETY: a cell of this local's span, with its mark, used no more.
                    unsafe { local.give(&Process, class as usize, self.cell, self.mark) };
                }
            },
            _ => {
                if self.span.class() != RUN {
                    hide(self.cell, self.room());
                }
                // SAFETY: a span's owner stays for ever.
                let owner = unsafe { &*owner };
                // SAFETY: a cell of its span, with its mark, used no more.
                if unsafe { owner.send(self.span, self.cell, self.mark) } && owner.is_idle() {
                    here::look_after(owner);
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

fn at<'a>(payload: NonNull<u8>) -> Result<At<'a>, Cond> {
    let address = payload.addr().get();
    let pool = pool();
    let Some(base) = map::find(address) else {
        let solo = pool.solos.find(address).ok_or(Cond::BadAddress)?;
        let mark = solo.mark.get();
        let found = Found {
            payload: solo.payload(),
            kind: kind_of(mark),
            size: solo.asked(),
            align: solo.align().max(UNIT),
            tainted: mark & TAINT != 0,
            destructor: false,
        };
        return Ok(At::Solo(solo.payload(), found));
    };
    // The segment cannot go while the lock is held; and a live cell's not before it is freed.
    // SAFETY: what is in the map is a segment of this ground.
    let segment = unsafe { Layer::segment_of(base.as_ptr()) };
    let span = Layer::find(segment, address).ok_or(Cond::BadAddress)?;
    let mark = span.mark_at(address).ok_or(Cond::BadAddress)?;
    if mark.load(Ordering::Relaxed) & LIVE == 0 {
        return Err(Cond::BadAddress);
    }
    // The caller's pointer has told an address; what is used is the segment's own.
    let cell = crate::cell::inside(base, address - base.addr().get());
    Ok(At::Span(Place { cell, span, mark }))
}

/// What is known of the live cell at an address.
fn locate(payload: NonNull<u8>) -> Result<Found, Cond> {
    match at(payload)? {
        At::Span(place) => {
            let mark = place.mark.load(Ordering::Relaxed);
            Ok(Found {
                payload: place.cell,
                kind: kind_of(mark),
                size: place.size(),
                align: place.align(),
                tainted: mark & TAINT != 0,
                destructor: false,
            })
        }
        At::Solo(_, found) => Ok(found),
    }
}

/// Changes the mark of the live cell at an address.
fn remark(payload: NonNull<u8>, change: impl Fn(u16) -> u16) -> Result<(), Cond> {
    match at(payload)? {
        At::Span(place) => place.mark.store(change(place.mark.load(Ordering::Relaxed)), Ordering::Relaxed),
        At::Solo(payload, _) => {
            if let Some(solo) = pool().solos.find(payload.addr().get()) {
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
    match at(payload)? {
        At::Span(place) => place.give(shred),
        // SAFETY: the caller's promise, passed on.
        At::Solo(payload, _) => unsafe { solo::give(payload, shred)? },
    }
    Ok(())
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
    match (at(payload)?, way(new)) {
        (At::Span(place), Way::Cell(class, mark)) if usize::from(place.span.class()) == class => {
            settle(&place, found, size);
            let old = place.mark.load(Ordering::Relaxed);
            place.mark.store(old & !SLACK | mark & SLACK, Ordering::Relaxed);
            return Ok(place.cell);
        }
        (At::Span(place), Way::Run) if place.span.class() == RUN => {
            let own = here().filter(|local| core::ptr::eq(*local, place.span.owner()));
            let done = match own {
                Some(local) => local.change_run::<Process>(place.span, size),
                // Another's slices are not ours to give back.
                None => size <= place.room(),
            };
            if done {
                place.span.asked().set(size);
                if size < found.size {
                    // SAFETY: what shrinking leaves over was the cell's own, and nobody has had it since.
                    unsafe { wipe_if(found.tainted, last(place.cell, size), found.size.min(place.room()) - size) };
                }
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
                return solo::change(payload, size);
            }
        }
        _ => {}
    }
    let (moved, _) = take(new)?;
    // SAFETY: both cells are live and distinct; this many bytes are in each.
    unsafe { found.payload.copy_to_nonoverlapping(moved, found.size.min(size)) };
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
    hide(last(place.cell, size), place.room() - size);
}

/// Sums over the whole process; what other threads do meanwhile may be counted or not.
fn stats() -> Stats {
    let pool = pool();
    let (mut live, mut bytes) = (pool.solos.live, pool.solos.bytes);
    pool.each(&mut |segment| {
        Layer::each(segment, &mut |_, slices, span| {
            let Some(span) = span else { return };
            match span.class() {
                RUN => {
                    live += 1;
                    bytes += slices * Process::SLICE;
                }
                class => {
                    let used = span.used().get() as usize;
                    live += used;
                    bytes += used * Class::get(class as usize).size();
                }
            }
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

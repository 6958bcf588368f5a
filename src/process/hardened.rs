//! The feature `hardened`: what is wrong with a block is seen when it is freed, and what is handed out next is not
//! to be foretold.
//!
//! ```text
//!  ├ payload, as asked ┤├ canary ┤├ … ┤      a cell, a run or pages: eight bytes, which depend on where they are
//!
//!  freed ──► filled ──► [ oldest … newest ] ──► still as filled? ──► at hand, on the list of its span, or home
//!                        waits, per thread
//! ```
//!
//! - What is freed is looked up in the map by its address, so that it may be anything; its mark says whether it is
//!   live, and is exchanged in one step, so that of two who free it at once one is told.
//! - Its length is known, and must be the one that it is freed with. Behind it stands a canary.
//! - It waits until a number of others, or of bytes, came after it; what is written to it meanwhile is seen.
//! - Which of the free cells is next is drawn: the list of a new span is shuffled, and so is what is at hand.
//! - Pages that nobody may touch are around what is longer than a run, between the head of a segment and its cells, and
//!   at its end. What is kept of a long block that came back is such pages too.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU64, Ordering};

use kmem_platform::{Native, Platform};

use super::ground::{Process, now, pool};
use super::here::{here, with};
use super::{Layer, Miss, Place, Way, change, last, map, misuse, place_at, solo, way};
use crate::Cond;
use crate::poison::{hide, show};
use crate::spans::{Class, LIVE, Local, Mark, Span, TAINT, WAITS, shuffle};
use crate::wipe::wipe_if;

/// Bytes behind what was asked that are the heap's own.
pub(super) const CANARY: usize = size_of::<u64>();
/// Whether there are pages that nobody may touch.
pub(super) const FENCED: bool = cfg!(unix);

/// How many freed cells of a thread wait, and how many bytes.
const MOST: usize = 256;
const BYTES: usize = 512 << 10;
/// The longest that waits.
const LONG: usize = BYTES / 4;
/// What fills a freed cell: as an address it is none.
const FILLING: u8 = 0xdf;

const FOREIGN: &str = "what is freed is no live block of this heap";
const INSIDE: &str = "what is freed is inside a block";
const TWICE: &str = "a block is freed twice";
const SIZE: &str = "a block is freed with another size than it has";
const PAST: &str = "a block was written to past its end";
const AFTER: &str = "a block was written to after it was freed";

/// A freed cell that waits.
#[derive(Clone, Copy)]
struct Waiting {
    cell: NonNull<u8>,
    span: *const Span,
    mark: *const Mark,
}

/// What a [`Local`] has beside.
struct Ward {
    dice: Var<u64>,
    /// Those that wait, in a ring: the place of the oldest, how many, and their bytes.
    oldest: Var<usize>,
    len: Var<usize>,
    bytes: Var<usize>,
    ring: [Var<MaybeUninit<Waiting>>; MOST],
}

impl Ward {
    const fn new(seed: u64) -> Self {
        Self {
            dice: Var::new(seed),
            oldest: Var::new(0),
            len: Var::new(0),
            bytes: Var::new(0),
            ring: [const { Var::new(MaybeUninit::uninit()) }; MOST],
        }
    }

    /// A number (Marsaglia's xorshift, multiplied as Vigna does).
    fn draw(&self) -> u32 {
        let mut dice = self.dice.get();
        dice ^= dice >> 12;
        dice ^= dice << 25;
        dice ^= dice >> 27;
        self.dice.set(dice);
        (dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// A number below another.
    fn below(&self, end: u32) -> u32 {
        ((u64::from(self.draw()) * u64::from(end)) >> 32) as u32
    }

    /// Takes one more in, for which there is room.
    fn push(&self, waiting: Waiting, bytes: usize) {
        let place = (self.oldest.get() + self.len.get()) % MOST;
        self.ring[place].set(MaybeUninit::new(waiting));
        self.len.set(self.len.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
    }

    /// Lets the oldest go, if any waits: it must be as it was left.
    fn pop(&self, local: &Local) -> bool {
        let Some(left) = self.len.get().checked_sub(1) else { return false };
        let oldest = self.oldest.get();
        // SAFETY: it was written when it was taken in.
        let Waiting { cell, span, mark } = unsafe { self.ring[oldest].get().assume_init() };
        self.oldest.set((oldest + 1) % MOST);
        self.len.set(left);
        // SAFETY: a span stays as long as a cell of it is on none of its lists.
        let span = unsafe { &*span };
        // SAFETY: and so do its marks.
        let mark = unsafe { &*mark };
        let place = Place { cell, span, mark, is: WAITS };
        self.bytes.set(self.bytes.get() - place.room());
        show(cell, place.room());
        // SAFETY: a cell's own bytes, all written when it was taken in.
        if !unsafe { is_filled(cell, place.room()) } {
            misuse(AFTER);
        }
        // SAFETY: it waited, so nothing uses it.
        unsafe { place.home(Some(local)) };
        true
    }
}

/// Whether bytes are as a freed cell is left.
///
/// # Safety
///
/// They are whole words, aligned and initialised.
unsafe fn is_filled(start: NonNull<u8>, len: usize) -> bool {
    let words = NonNull::slice_from_raw_parts(start.cast::<u64>(), len / size_of::<u64>());
    // SAFETY: the caller's promise. Nobody changes them who is in the right, and one who is not is what is looked for.
    let words = unsafe { words.as_ref() };
    // Without a branch a word, so that many can be compared at once.
    words.iter().fold(0, |sum, word| sum | (word ^ u64::from_ne_bytes([FILLING; 8]))) == 0
}

/// A number to begin with, as hard to foretell as the machine allows. In WebAssembly nothing is: a module gets what it
/// asks its host for, and this asks for nothing.
fn seed(at: usize) -> u64 {
    let mut seed = (at as u64) ^ now().rotate_left(40) ^ (ptr::from_ref(&SECRET).addr() as u64).rotate_left(20);
    #[cfg(unix)]
    {
        seed ^= Native.random().unwrap_or(0);
    }
    // Steele, Lea and Flood's finalizer: each bit of the seed changes each of the answer.
    seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (seed ^ (seed >> 31)) | 1
}

/// What canaries are made of; 0 until the first is.
static SECRET: AtomicU64 = AtomicU64::new(0);

#[cold]
fn make_secret() -> u64 {
    let new = seed(ptr::from_ref(&SECRET).addr());
    // Of several who are first, one is.
    match SECRET.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => new,
        Err(old) => old,
    }
}

/// What stands behind a block.
fn canary(block: NonNull<u8>) -> u64 {
    let secret = match SECRET.load(Ordering::Relaxed) {
        0 => make_secret(),
        secret => secret,
    };
    (block.addr().get() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ secret
}

/// Notes where a block ends.
pub(super) fn seal(block: NonNull<u8>, size: usize) {
    // SAFETY: behind what was asked of a block there is room for it.
    unsafe { last(block, size).cast::<u64>().write_unaligned(canary(block)) };
}

/// Whether nobody wrote past the end of a block.
pub(super) fn is_sealed(block: NonNull<u8>, size: usize) -> bool {
    show(last(block, size), CANARY);
    // SAFETY: behind what was asked of a block stands its canary.
    unsafe { last(block, size).cast::<u64>().read_unaligned() == canary(block) }
}

/// What a local has beside, if there is room.
fn ward(local: &Local) -> Option<&Ward> {
    // SAFETY: null, or written when it was taken, and it stays as long as the local does: for ever.
    match unsafe { local.beside.get().cast::<Ward>().as_ref() } {
        Some(ward) => Some(ward),
        None => begin(local),
    }
}

#[cold]
fn begin(local: &Local) -> Option<&Ward> {
    let place = Native.map(size_of::<Ward>()).ok()?.start.cast::<Ward>();
    // SAFETY: fresh pages, at least as long and as aligned.
    unsafe { place.write(Ward::new(seed(place.addr().get()))) };
    local.beside.set(place.as_ptr().cast());
    // SAFETY: just written; from now on only shared references are made.
    Some(unsafe { place.as_ref() })
}

/// A cell of a class.
pub(super) fn take(local: &Local, class: Class, mark: u16) -> Result<NonNull<u8>, Cond> {
    local.take_any(&Process, class, mark, ward(local).map_or(0, Ward::draw))
}

/// Gives the cells of a new span another order.
pub(super) fn arrange(local: &Local, span: &Span) {
    if let Some(ward) = ward(local) {
        shuffle(span, |end| ward.below(end));
    }
}

/// Takes back a live cell of a span, or a run. Refused, it is as it was.
///
/// # Safety
///
/// Nothing uses it any more.
pub(super) unsafe fn release(place: &Place<'_>, shred: bool) -> Result<(), Cond> {
    let mut mark = place.mark.load(Ordering::Relaxed);
    loop {
        if mark & LIVE == 0 {
            return Err(Cond::BadAddress);
        }
        if !is_sealed(place.cell, place.size()) {
            return Err(Cond::FailAssert);
        }
        // Another who frees it in this moment finds that it is not live, or lets this one find it. Who only taints it
        // is waited for.
        match place.mark.compare_exchange(mark, WAITS, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => mark = now,
        }
    }
    show(place.cell, place.room());
    // SAFETY: the cell's own bytes, used no more.
    unsafe { wipe_if(shred || mark & TAINT != 0, place.cell, place.room()) };
    // SAFETY: the caller's promise: its mark says that it waits.
    if with(|local| unsafe { wait(local, place) }).is_err() {
        // SAFETY: as above.
        unsafe { place.home(here()) };
    }
    Ok(())
}

/// Lets a cell wait, and those go for which there is no room then.
///
/// # Safety
///
/// Nothing uses it any more, and its mark says that it waits.
unsafe fn wait(local: &Local, place: &Place<'_>) {
    let len = place.room();
    let Some(ward) = ward(local).filter(|_| len <= LONG) else {
        // SAFETY: the caller's promise.
        return unsafe { place.home(Some(local)) };
    };
    while ward.len.get() == MOST || ward.bytes.get() + len > BYTES {
        ward.pop(local);
    }
    // SAFETY: the cell's own bytes, used no more.
    unsafe { place.cell.write_bytes(FILLING, len) };
    if !place.span.is_run() {
        hide(place.cell, len);
    }
    ward.push(Waiting { cell: place.cell, span: place.span, mark: place.mark }, len);
}

/// Lets all go that waits.
pub(super) fn drain(local: &Local) {
    // SAFETY: as in `ward`.
    if let Some(ward) = unsafe { local.beside.get().cast::<Ward>().as_ref() } {
        while ward.pop(local) {}
    }
}

/// The live block at an address, which must have this layout, or the program ends; `None` if it has pages of its own.
fn demand<'a>(block: NonNull<u8>, layout: Layout) -> Option<Place<'a>> {
    let address = block.addr().get();
    let Some(base) = map::find(address) else {
        let pool = pool();
        let Some(solo) = pool.solos.find(address) else {
            let is_inside = pool.solos.holds(address);
            drop(pool);
            misuse(if is_inside { INSIDE } else { FOREIGN });
        };
        let right = solo.asked() - CANARY == layout.size();
        drop(pool);
        if !right {
            misuse(SIZE);
        }
        return None;
    };
    // A live block's segment cannot go, and who frees another block is told so as long as its segment is there.
    // SAFETY: what is in the map is a segment of this ground.
    let segment = unsafe { Layer::segment_of(base.as_ptr()) };
    let place = match place_at(segment, address) {
        Ok(place) => place,
        Err(Miss::Nothing) => misuse(FOREIGN),
        Err(Miss::Inside) => misuse(INSIDE),
        Err(Miss::Free) => misuse(TWICE),
    };
    let fits = match way(layout) {
        Way::Cell(class, _) => place.span.is_of(class),
        Way::Run => place.span.is_run(),
        Way::Solo => false,
    };
    if !fits || place.size() != layout.size() {
        misuse(SIZE);
    }
    Some(place)
}

/// A block goes back that should have this layout; if that is not so, the program ends. `true`: it was taken back.
///
/// # Safety
///
/// If it is one, nothing uses it any more.
pub(super) unsafe fn dealloc(block: NonNull<u8>, layout: Layout) -> bool {
    let answer = match demand(block, layout) {
        // SAFETY: the caller's promise, passed on.
        Some(place) => unsafe { release(&place, false) },
        None if !is_sealed(block, layout.size()) => Err(Cond::FailAssert),
        // SAFETY: it is a live block, and by the caller's promise used no more.
        None => unsafe { solo::give(block, false) },
    };
    match answer {
        Ok(()) => true,
        Err(Cond::FailAssert) => misuse(PAST),
        Err(_) => misuse(TWICE),
    }
}

/// Where a block is that should have this layout and gets another length; null if that cannot be.
///
/// # Safety
///
/// As for `GlobalAlloc::realloc`.
pub(super) unsafe fn realloc(block: NonNull<u8>, layout: Layout, size: usize) -> Option<*mut u8> {
    demand(block, layout);
    if !is_sealed(block, layout.size()) {
        misuse(PAST);
    }
    // SAFETY: the caller's promise, passed on.
    Some(unsafe { change(block, size) }.map_or(ptr::null_mut(), NonNull::as_ptr))
}

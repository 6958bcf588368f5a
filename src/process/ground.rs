//! Where the process heap's segments come from and go to, and when.

use core::alloc::Layout;
use core::cell::Cell as Var;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering};

use kmem_platform::{Locked, Native};

use super::hardened::{self, FENCED};
use super::here::look_after;
use super::map;
use super::solo::Solos;
use crate::cell::inside;
use crate::report::Broken;
use crate::spans::{Ground, Local, Segment, Span, Spans};
use crate::{Cond, Pages, Source};

/// Bytes of a segment.
pub(crate) const SEGMENT: usize = if cfg!(target_pointer_width = "64") { 4 << 20 } else { 256 << 10 };
/// Bytes of a slice.
const SLICE: usize = SEGMENT / if cfg!(target_pointer_width = "64") { 64 } else { 16 };

const LAYOUT: Layout = match Layout::from_size_align(SEGMENT, SEGMENT) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// What the process heap's segments are made of.
pub(crate) struct Process;

/// The front of each segment.
#[repr(C)]
struct Front {
    /// All segments, kept or in use.
    next: Var<*const Front>,
    prev: Var<*const Front>,
    /// The next of those that are kept.
    kept: Var<*const Front>,
    /// Whether it is one of them, and since when.
    idle: Var<bool>,
    stamp: Var<u64>,
}

/// What all threads share, behind a lock.
pub(crate) struct Pool {
    all: Var<*const Front>,
    kept: Var<*const Front>,
    /// Bytes of all segments.
    held: usize,
    pub(super) solos: Solos,
}

// SAFETY: everything in it is the process's; the lock hands it to one thread at a time.
unsafe impl Send for Pool {}

static POOL: Locked<Pool> =
    Locked::new(Pool { all: Var::new(ptr::null()), kept: Var::new(ptr::null()), held: 0, solos: Solos::new() });

pub(super) fn pool() -> kmem_platform::Guard<'static, Pool> {
    POOL.lock()
}

/// Opens the lock.
///
/// # Safety
///
/// The calling thread has locked it, and forgotten the guard.
#[cfg(all(feature = "std", unix))]
pub(super) unsafe fn unlock() {
    // SAFETY: the caller's promise.
    unsafe { POOL.unlock() };
}

/// When memory goes back to the system.
static POLICY: AtomicU32 = AtomicU32::new(DECAY);
/// Milliseconds.
const DECAY: u32 = 250;
/// Never.
pub(super) const NEVER: u32 = u32::MAX;

pub(super) fn set_policy(millis: u32) {
    POLICY.store(millis, Ordering::Relaxed);
}

/// A clock in milliseconds; without one, it counts how often it was asked.
pub(super) fn now() -> u64 {
    #[cfg(all(feature = "std", not(target_arch = "wasm32")))]
    {
        extern crate std;
        use std::time::{SystemTime, UNIX_EPOCH};
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0))
    }
    #[cfg(not(all(feature = "std", not(target_arch = "wasm32"))))]
    {
        static ASKED: AtomicU32 = AtomicU32::new(0);
        // About as often as there is a decision to make in so many milliseconds.
        u64::from(ASKED.fetch_add(1, Ordering::Relaxed)) * 4
    }
}

impl Pool {
    fn link(&self, front: &Front) {
        front.next.set(self.all.get());
        front.prev.set(ptr::null());
        // SAFETY: null or another segment's front.
        if let Some(next) = unsafe { self.all.get().as_ref() } {
            next.prev.set(front);
        }
        self.all.set(front);
    }

    fn unlink(&self, front: &Front) {
        let (next, prev) = (front.next.get(), front.prev.get());
        // SAFETY: null or another segment's front.
        match unsafe { prev.as_ref() } {
            Some(prev) => prev.next.set(next),
            None => self.all.set(next),
        }
        // SAFETY: as above.
        if let Some(next) = unsafe { next.as_ref() } {
            next.prev.set(prev);
        }
    }

    /// Gives a segment to the system; refused, it is kept.
    fn unmap(&mut self, front: &Front) {
        let base = NonNull::from(front).cast::<u8>();
        let Some(base) = map::find(base.addr().get()) else { return };
        map::remove(base);
        self.unlink(front);
        // SAFETY: nothing uses it, and it came from there with this layout.
        if unsafe { Pages::over(Native).free(base, LAYOUT) }.is_ok() {
            self.held -= SEGMENT;
            return;
        }
        // It was in just now, so there is a place for it.
        let _ = map::insert(base);
        self.link(front);
        front.kept.set(self.kept.get());
        self.kept.set(front);
    }

    /// Gives segments to the system that were kept for so long.
    fn expire(&mut self, now: u64, millis: u64) {
        self.solos.expire(now, millis);
        let mut next = self.kept.replace(ptr::null());
        // SAFETY: null or the front of a segment that nothing uses.
        while let Some(front) = unsafe { next.as_ref() } {
            next = front.kept.get();
            if now.saturating_sub(front.stamp.get()) >= millis {
                self.unmap(front);
            } else {
                front.kept.set(self.kept.get());
                self.kept.set(front);
            }
        }
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Visits all segments in use.
    pub(super) fn each(&self, visit: &mut dyn FnMut(&Segment)) {
        self.each_any(&mut |segment, is_idle| {
            if !is_idle {
                visit(segment);
            }
        });
    }

    /// Visits all segments, and says whether nothing is in it.
    pub(super) fn each_any(&self, visit: &mut dyn FnMut(&Segment, bool)) {
        let mut next = self.all.get();
        // SAFETY: null or the front of a segment.
        while let Some(front) = unsafe { next.as_ref() } {
            next = front.next.get();
            // SAFETY: behind the front stands the head, also of one that is kept.
            let segment = unsafe { Spans::<Process>::segment_of(ptr::from_ref(front).cast_mut().cast()) };
            visit(segment, front.idle.get());
        }
    }

    pub(super) fn check(&self) -> Result<(), Broken> {
        let (mut held, mut next) = (0, self.all.get());
        // SAFETY: null or the front of a segment.
        while let Some(front) = unsafe { next.as_ref() } {
            held += SEGMENT;
            let found = map::find(ptr::from_ref(front).addr());
            crate::report::rule(found.is_some(), "a segment is in the map", front)?;
            next = front.next.get();
        }
        crate::report::rule(held == self.held, "segments are counted", ptr::from_ref(self))
    }
}

// SAFETY: a segment is pages of the system's, as long and as aligned, which nobody else has until they are given back.
unsafe impl Ground for Process {
    const SEGMENT: usize = SEGMENT;
    const SLICE: usize = SLICE;
    const FRONT: usize = size_of::<Front>();
    const SHARED: bool = true;
    const FENCED: bool = FENCED;

    fn segment<'a>(&self) -> Result<&'a Segment, Cond> {
        let mut pool = pool();
        // SAFETY: null or the front of a segment that nothing uses.
        if let Some(front) = unsafe { pool.kept.get().as_ref() } {
            pool.kept.set(front.kept.get());
            let base = map::find(ptr::from_ref(front).addr()).ok_or(Cond::FailAssert)?;
            front.idle.set(false);
            // SAFETY: a segment that nothing uses; who looks at it holds the lock.
            return Ok(unsafe { Spans::<Self>::found(base, false) });
        }
        let grant = Pages::over(Native).grant(LAYOUT)?;
        let base = grant.bytes.cast::<u8>();
        let none = || Var::new(ptr::null());
        let front = Front { next: none(), prev: none(), kept: none(), idle: Var::new(false), stamp: Var::new(0) };
        // SAFETY: the segment is ours, aligned, and longer than a front.
        unsafe { base.cast::<Front>().write(front) };
        // SAFETY: just granted, so long and so aligned.
        let segment = unsafe { Spans::<Self>::found(base, grant.zeroed) };
        // Who finds it finds its head: where nothing is believed it is looked at without the lock.
        if let Err(cond) = map::insert(base) {
            // SAFETY: just granted, and used by nobody.
            let _ = unsafe { Pages::over(Native).free(base, LAYOUT) };
            return Err(cond);
        }
        // SAFETY: just written.
        pool.link(unsafe { base.cast().as_ref() });
        pool.held += SEGMENT;
        if FENCED {
            fence(base);
        }
        Ok(segment)
    }

    fn alone<R>(&self, work: impl FnOnce() -> R) -> R {
        let _pool = pool();
        work()
    }

    unsafe fn give_back(&self, segment: NonNull<u8>) -> Result<(), Cond> {
        let mut pool = pool();
        // SAFETY: each segment of this ground begins with a front.
        let front = unsafe { segment.cast::<Front>().as_ref() };
        front.idle.set(true);
        if keeps() {
            front.stamp.set(now());
            front.kept.set(pool.kept.get());
            pool.kept.set(front);
        } else {
            pool.unmap(front);
        }
        Ok(())
    }

    #[inline]
    fn arrange(&self, local: &Local, span: &Span) {
        hardened::arrange(local, span);
    }

    #[inline]
    fn tick(&self, local: &Local) {
        let ticks = local.ticks.get().wrapping_add(1);
        local.ticks.set(ticks);
        if ticks.is_multiple_of(64) {
            local.send_all(look_after);
            due(local);
        }
    }
}

/// Gives back what has not been used for a while.
#[cold]
fn due(local: &Local) {
    let millis = POLICY.load(Ordering::Relaxed);
    if millis == NEVER {
        return;
    }
    let now = now();
    if now.saturating_sub(local.stamp.get()) < u64::from(millis) {
        return;
    }
    local.stamp.set(now);
    clean(local);
    pool().expire(now, u64::from(millis));
}

/// Gives back the pages of a local that hold nothing.
fn clean(local: &Local) {
    for segment in local.segments() {
        let dirty = segment.dirty();
        let mut left = dirty;
        while left != 0 {
            let first = left.trailing_zeros() as usize;
            let len = (left >> first).trailing_ones() as usize;
            let bits = (usize::MAX >> (usize::BITS as usize - len)) << first;
            left &= !bits;
            // SAFETY: free slices, which nothing uses.
            if unsafe { discard(inside(segment.base(), first * SLICE), len * SLICE) } {
                segment.cleaned(bits);
            }
        }
    }
    local.each_hole::<Process>(page(), &mut |start, len| {
        // SAFETY: whole pages of free cells, which nothing uses.
        unsafe { discard(start, len) }
    });
}

/// Whether anything is kept at all.
pub(super) fn keeps() -> bool {
    POLICY.load(Ordering::Relaxed) != 0
}

/// Gives back everything that can be: of a local, and what is kept.
pub(super) fn purge(local: &Local) {
    hardened::drain(local);
    local.send_all(look_after);
    // What the system refuses stays.
    let _ = local.flush(&Process);
    clean(local);
    pool().expire(u64::MAX, 0);
}

pub(super) fn page() -> usize {
    use kmem_platform::Platform;
    Native.page_size()
}

/// Whether the system took the pages; they are then zero when they are used again.
///
/// # Safety
///
/// They are ours, and what they hold is not needed any more.
pub(super) unsafe fn discard(start: NonNull<u8>, len: usize) -> bool {
    #[cfg(unix)]
    {
        use kmem_platform::{Advice, Protect};
        // SAFETY: the caller's promise.
        unsafe { Native.advise(start, len, Advice::Discard) }.is_ok()
    }
    #[cfg(not(unix))]
    {
        let _ = (start, len);
        false
    }
}

/// Lets nobody touch what is behind the head of a segment in its first slice, nor the last.
fn fence(segment: NonNull<u8>) {
    let head = Spans::<Process>::HEAD.next_multiple_of(page());
    // Refused, it is as good as without.
    // SAFETY: no span has them.
    unsafe { protect(inside(segment, head), SLICE.saturating_sub(head), false) };
    // SAFETY: as above.
    unsafe { protect(inside(segment, SEGMENT - SLICE), SLICE, false) };
}

/// Sets whether pages may be touched; whether the system did so.
///
/// # Safety
///
/// They are ours, and nobody uses those that may not be touched.
pub(super) unsafe fn protect(start: NonNull<u8>, len: usize, open: bool) -> bool {
    #[cfg(unix)]
    {
        use kmem_platform::{Access, Protect};
        let access = if open { Access::ReadWrite } else { Access::None };
        // SAFETY: the caller's promise.
        len == 0 || unsafe { Native.protect(start, len, access) }.is_ok()
    }
    #[cfg(not(unix))]
    {
        let _ = (start, len, open);
        true
    }
}

/// Tells the system that a long block is best made of large pages.
pub(super) fn prefer_large_pages(start: NonNull<u8>, len: usize) {
    #[cfg(unix)]
    if len >= 4 << 20 {
        use kmem_platform::{Advice, Protect};
        // Where there are none, it is as good as before.
        // SAFETY: the pages are ours.
        let _ = unsafe { Native.advise(start, len, Advice::HugePage) };
    }
    #[cfg(not(unix))]
    let _ = (start, len);
}

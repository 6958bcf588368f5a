//! Scenes that several threads play at once, over all that kmem lets them share: the machine's pages, the
//! process heap, a store behind its lock, a value with an atomic count.
//!
//! `cargo xtask test --only threads` has them played twice: by threads of this machine under
//! ThreadSanitizer, which reports two that touch the same bytes unordered; and by workers with one
//! WebAssembly memory, which `workers.mjs` starts.
#![no_std]

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use kmem::{AtomicRef, Global, Locked, Owned, Pool, Source, StaticBytes};

/// How many threads play.
pub const THREADS: usize = 4;
const ROUNDS: usize = 200;

/// What each thread does, given its number, and whether all is well when they are done.
pub struct Scene {
    pub name: &'static str,
    pub play: fn(usize),
    pub well: fn() -> bool,
}

pub const SCENES: &[Scene] = &[
    #[cfg(target_arch = "wasm32")]
    Scene { name: "runs of pages are of one thread at a time", play: pages, well: || true },
    Scene { name: "the process heap has a cell for each", play: heap, well: || Global.check().is_ok() },
    Scene { name: "a cell comes home from whoever frees it", play: exchange, well: exchange_is_over },
    Scene { name: "a store behind its lock is seen whole", play: store, well: store_is_whole },
    Scene { name: "the last owner sees what the others did", play: owners, well: || FAREWELLS.get() == ROUNDS },
];

/// Where threads wait for each other.
struct Meeting(AtomicUsize);

impl Meeting {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn wait(&self) {
        let all = (self.0.fetch_add(1, Ordering::AcqRel) / THREADS + 1) * THREADS;
        while self.0.load(Ordering::Acquire) < all {
            spin_loop();
        }
    }
}

/// Takes from a source and gives back, some blocks at a time, each filled with the thread's own number.
fn take_and_give(source: &impl Source, meeting: &Meeting, number: usize, sizes: [usize; 4]) {
    let mine = u8::try_from(number + 1).expect("few threads");
    let mut held: [Option<(NonNull<u8>, Layout)>; 8] = [None; 8];
    meeting.wait();
    for round in 0..ROUNDS {
        let place = &mut held[(round * (number + 3)) % 8];
        if let Some((block, layout)) = place.take() {
            // SAFETY: ours, this long, and written whole below.
            let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), layout.size()) };
            assert!(bytes.iter().step_by(61).all(|byte| *byte == mine), "another thread was here");
            // SAFETY: a block of this source, used no more.
            unsafe { source.free(block, layout) }.expect("taken back");
        }
        let layout = Layout::from_size_align(sizes[round % 4], 16).expect("a layout");
        let block = source.alloc(layout).expect("room").cast::<u8>();
        // SAFETY: ours, and this long.
        unsafe { block.write_bytes(mine, layout.size()) };
        *place = Some((block, layout));
    }
    for (block, layout) in held.into_iter().flatten() {
        // SAFETY: a block of this source that was not given back yet.
        unsafe { source.free(block, layout) }.expect("taken back");
    }
}

/// Natively the system sees to it, and out of the sanitizer's sight.
#[cfg(target_arch = "wasm32")]
fn pages(number: usize) {
    static MEETING: Meeting = Meeting::new();
    take_and_give(&kmem::Pages::new(), &MEETING, number, [1, 70_000, 5_000, 200_000]);
}

fn heap(number: usize) {
    static MEETING: Meeting = Meeting::new();
    take_and_give(&Global, &MEETING, number, [8, 300, 5_000, 150_000]);
}

/// A block on its way to another thread.
struct Sent(NonNull<u8>, Layout);

// SAFETY: a block of the process heap may be freed by any thread.
unsafe impl Send for Sent {}

const SHELVES: usize = 64;
static SHELVED: Locked<[Option<Sent>; SHELVES]> = Locked::new([const { None }; SHELVES]);

fn free(Sent(block, layout): Sent) {
    let filled = u8::try_from(layout.size() % 251).expect("a byte");
    // SAFETY: the block is this long, and was written whole by who took it.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), layout.size()) };
    assert!(bytes.iter().step_by(61).all(|byte| *byte == filled), "another thread was here");
    // SAFETY: a block of this heap, used no more.
    unsafe { Source::free(&Global, block, layout) }.expect("taken back");
}

/// Takes blocks, puts them where others find them, and frees what it finds there.
fn exchange(number: usize) {
    static MEETING: Meeting = Meeting::new();
    MEETING.wait();
    for round in 0..20 * ROUNDS {
        let size = match round % 40 {
            0 => 70_000 + number,
            1 if round % 400 == 1 => 700_000,
            other => 16 * (1 + (other * 7 + number) % 30),
        };
        let layout = Layout::from_size_align(size, 16).expect("a layout");
        let block = Source::alloc(&Global, layout).expect("room").cast::<u8>();
        // SAFETY: ours, and this long.
        unsafe { block.write_bytes(u8::try_from(size % 251).expect("a byte"), size) };
        let shelf = (round * 13 + number * 5) % SHELVES;
        let found = SHELVED.lock()[shelf].replace(Sent(block, layout));
        found.into_iter().for_each(free);
    }
}

fn exchange_is_over() -> bool {
    for shelf in 0..SHELVES {
        let found = SHELVED.lock()[shelf].take();
        found.into_iter().for_each(free);
    }
    Global.check().is_ok()
}

static BYTES: StaticBytes<65536> = StaticBytes::new();
static POOL: Locked<Pool<&StaticBytes<65536>>> = Locked::new(Pool::fixed_in(Layout::new::<[usize; 4]>(), &BYTES));

fn store(number: usize) {
    static MEETING: Meeting = Meeting::new();
    MEETING.wait();
    for round in 0..ROUNDS {
        let pool = POOL.lock();
        let mut cell = Owned::new_in([number; 4], &*pool).expect("room");
        cell[3] = round;
        assert_eq!(*cell, [number, number, number, round]);
    }
}

fn store_is_whole() -> bool {
    let pool = POOL.lock();
    pool.stats().live == 0 && pool.check().is_ok()
}

/// A number that threads use in turn, by other means than its own.
struct Plain(UnsafeCell<usize>);

// SAFETY: whoever uses it is ordered after the others; that it is so, is what is tried.
unsafe impl Sync for Plain {}

impl Plain {
    fn get(&self) -> usize {
        // SAFETY: as above.
        unsafe { self.0.get().read() }
    }

    fn set(&self, number: usize) {
        // SAFETY: as above.
        unsafe { self.0.get().write(number) };
    }
}

static FAREWELLS: Plain = Plain(UnsafeCell::new(0));

/// A word for each thread to leave a message in.
struct Messages([Plain; THREADS]);

impl Drop for Messages {
    fn drop(&mut self) {
        let round = FAREWELLS.get();
        assert!(self.0.iter().all(|message| message.get() == round + 1), "a message is not seen");
        FAREWELLS.set(round + 1);
    }
}

fn owners(number: usize) {
    static MEETING: Meeting = Meeting::new();
    static SHELF: Locked<Option<AtomicRef<'static, Messages, Global>>> = Locked::new(None);
    for round in 0..ROUNDS {
        if number == 0 {
            let messages = Messages([const { Plain(UnsafeCell::new(0)) }; THREADS]);
            let made = AtomicRef::new_in(messages, &Global).map_err(|refused| refused.cond);
            *SHELF.lock() = Some(made.expect("room"));
        }
        MEETING.wait();
        let mine = SHELF.lock().as_ref().expect("it was just put there").clone();
        let weak = (round % 2 == 1).then(|| AtomicRef::downgrade(&mine).expect("countable"));
        MEETING.wait();
        if number == 0 {
            *SHELF.lock() = None;
        }
        mine.0[number].set(round + 1);
        drop(mine);
        // Perhaps it is there still, and this thread is the last again.
        if let Some(again) = weak.and_then(|weak| weak.upgrade()) {
            assert_eq!(again.0[number].get(), round + 1);
        }
    }
    MEETING.wait();
}

/// What `workers.mjs` calls.
#[cfg(target_arch = "wasm32")]
mod exports {
    use kmem::Pages;

    use super::*;

    /// For a thread; the scenes need little.
    const STACK: Layout = Layout::new::<[u128; 4096]>();

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        core::arch::wasm32::unreachable()
    }

    /// The end of a new stack, where it begins to be used. It is never given back.
    #[unsafe(no_mangle)]
    extern "C" fn stack() -> usize {
        Pages::new().alloc(STACK).map_or(0, |stack| stack.cast::<u8>().addr().get() + STACK.size())
    }

    #[unsafe(no_mangle)]
    extern "C" fn threads() -> usize {
        THREADS
    }

    #[unsafe(no_mangle)]
    extern "C" fn scenes() -> usize {
        SCENES.len()
    }

    #[unsafe(no_mangle)]
    extern "C" fn name(scene: usize) -> *const u8 {
        SCENES[scene].name.as_ptr()
    }

    #[unsafe(no_mangle)]
    extern "C" fn name_len(scene: usize) -> usize {
        SCENES[scene].name.len()
    }

    #[unsafe(no_mangle)]
    extern "C" fn play(scene: usize, number: usize) {
        (SCENES[scene].play)(number);
    }

    #[unsafe(no_mangle)]
    extern "C" fn well(scene: usize) -> bool {
        (SCENES[scene].well)()
    }
}

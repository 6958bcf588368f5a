//! The process heap under many threads that come and go, free each other's blocks and fork.
//!
//! Short by itself; `cargo xtask stress` sets how long, and how many threads.
#![cfg(all(target_os = "linux", feature = "std"))]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "each block is freed once by the lines that took it, or by who they sent it to"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kmem::{Decay, Global, GlobalHeap};

#[global_allocator]
static HEAP: GlobalHeap = GlobalHeap::new().decay(Decay::Millis(20));

/// A block, filled with a byte of its address.
struct Block(*mut u8, Layout);

unsafe impl Send for Block {}

struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("less than a number")
    }
}

impl Block {
    fn mark(at: *mut u8) -> u8 {
        at.addr().to_le_bytes()[1] ^ 0x5a
    }

    /// Writes to both ends and some places between, so that long blocks do not take long.
    fn fill(&self) {
        let size = self.1.size();
        for at in (0..size).step_by((size / 64).max(1)).chain(size.checked_sub(1)) {
            unsafe { self.0.add(at).write(Self::mark(self.0)) };
        }
    }

    fn verify(&self, from: *mut u8, len: usize) {
        let size = self.1.size();
        for at in (0..size).step_by((size / 64).max(1)).filter(|at| *at < len) {
            assert_eq!(unsafe { self.0.add(at).read() }, Self::mark(from), "{:?} at {at}", self.1);
        }
    }

    fn new(dice: &mut Dice) -> Self {
        let size = match dice.below(1000) {
            0 if dice.below(20) == 0 => dice.below(1 << 30),
            0 => dice.below(64 << 20),
            1..20 => dice.below(1 << 20),
            20..200 => dice.below(40_000),
            _ => dice.below(600),
        }
        .max(1);
        let align = if dice.below(20) == 0 { 1 << dice.below(22) } else { 8 };
        let layout = Layout::from_size_align(size, align).expect("a layout");
        let zeroed = dice.below(4) == 0;
        let at = unsafe { if zeroed { HEAP.alloc_zeroed(layout) } else { HEAP.alloc(layout) } };
        assert!(!at.is_null() && at.addr().is_multiple_of(align), "{layout:?}");
        if zeroed {
            let zero = (0..size).step_by((size / 64).max(1)).all(|i| unsafe { at.add(i).read() } == 0);
            assert!(zero, "{layout:?} is not zero");
        }
        let block = Self(at, layout);
        block.fill();
        block
    }

    fn regrow(self, dice: &mut Dice) -> Self {
        let size = (self.1.size() / 2 + dice.below(self.1.size() + 100)).max(1);
        let at = unsafe { HEAP.realloc(self.0, self.1, size) };
        assert!(!at.is_null());
        let old = self.1.size();
        let new = Self(at, Layout::from_size_align(size, self.1.align()).expect("a layout"));
        // What was written is where it was: at the places of the old length.
        for place in (0..old).step_by((old / 64).max(1)).filter(|place| *place < size) {
            assert_eq!(unsafe { at.add(place).read() }, Self::mark(self.0), "{old} to {size}");
        }
        new.fill();
        std::mem::forget(self);
        new
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.verify(self.0, self.1.size());
        unsafe { HEAP.dealloc(self.0, self.1) };
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// A thread's life: blocks come, change, go, and are put where others find them.
fn live(seed: u64, shared: &Mutex<Vec<Block>>, until: Instant) -> usize {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut own = Vec::new();
    let mut done = 0;
    let rounds = 2000 + dice.below(20_000);
    while done < rounds && Instant::now() < until {
        for _ in 0..50 {
            done += 1;
            match dice.below(8) {
                0..3 if own.len() < 400 => own.push(Block::new(&mut dice)),
                3..5 if !own.is_empty() => {
                    let at = dice.below(own.len());
                    own.swap_remove(at);
                }
                5 if !own.is_empty() => {
                    let at = dice.below(own.len());
                    let block = own.swap_remove(at).regrow(&mut dice);
                    own.push(block);
                }
                6 if !own.is_empty() => shared.lock().expect("nobody panicked").push(own.pop().expect("one")),
                7 => {
                    let mut shared = shared.lock().expect("nobody panicked");
                    let some = shared.len().min(dice.below(20));
                    let at = shared.len() - some;
                    let taken: Vec<Block> = shared.drain(at..).collect();
                    drop(shared);
                    drop(taken);
                }
                _ => {}
            }
        }
    }
    done
}

/// A child of the whole process proves that it can use the heap.
fn fork(dice: &mut Dice) {
    let child = unsafe { libc::fork() };
    if child == 0 {
        unsafe { libc::alarm(20) };
        for _ in 0..200 {
            drop(Block::new(dice));
        }
        let whole = Global.check().is_ok();
        unsafe { libc::_exit(i32::from(!whole)) };
    }
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child");
}

#[test]
fn threads_that_come_and_go_free_what_others_took() {
    let (seconds, threads) = (setting("KMEM_STRESS_SECONDS", 2), setting("KMEM_STRESS_THREADS", 4));
    let until = Instant::now() + Duration::from_secs(seconds);
    let (done, forks) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let shared = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..threads {
            let (done, shared) = (&done, &shared);
            scope.spawn(move || {
                let mut seed = number + 1;
                while Instant::now() < until {
                    seed += threads;
                    let some = std::thread::scope(|scope| scope.spawn(|| live(seed, shared, until)).join());
                    done.fetch_add(some.expect("it ends well"), Ordering::Relaxed);
                }
            });
        }
        let mut dice = Dice(77);
        let mut told = Instant::now();
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
            fork(&mut dice);
            forks.fetch_add(1, Ordering::Relaxed);
            if told.elapsed() > Duration::from_secs(10) {
                told = Instant::now();
                println!(
                    "{} actions, {} forks, {:?}",
                    done.load(Ordering::Relaxed),
                    forks.load(Ordering::Relaxed),
                    HEAP.stats()
                );
            }
        }
    });
    drop(shared);
    HEAP.purge();
    Global.check().expect("the heap is whole");
    let stats = HEAP.stats();
    assert!(stats.bytes < 8 << 20, "what was freed is not live: {stats:?}");
    println!("{} actions, {} forks, {stats:?}", done.into_inner(), forks.into_inner());
}

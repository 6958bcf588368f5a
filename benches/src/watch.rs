//! What counts of a work: its time on this thread's processor, or its instructions.

use std::ptr::NonNull;

#[cfg(native)]
use crate::callgrind;
#[cfg(not(native))]
pub use crate::wasm::now;

/// Collects what the parts of a work that count have taken.
#[derive(Debug)]
pub struct Watch {
    counting: bool,
    ns: f64,
    ops: u64,
}

impl Watch {
    /// A watch that tells the time.
    pub const fn timing() -> Self {
        Self { counting: false, ns: 0.0, ops: 0 }
    }

    /// A watch that also has callgrind count the instructions.
    #[cfg(native)]
    pub const fn counting() -> Self {
        Self { counting: true, ns: 0.0, ops: 0 }
    }

    /// Runs a part that counts, which is this many operations.
    #[inline(always)]
    pub fn time<R>(&mut self, ops: usize, part: impl FnOnce() -> R) -> R {
        self.ops += ops as u64;
        let start = now();
        #[cfg(native)]
        let result = if self.counting { callgrind::counted(part) } else { part() };
        #[cfg(not(native))]
        let result = part();
        self.ns += now() - start;
        result
    }

    /// Adds what another thread has taken for the same operations.
    #[cfg(native)]
    pub fn also(&mut self, ns: f64) {
        self.ns += ns;
    }

    /// How many a large work is to take: under callgrind, which is fifty times slower, a tenth.
    pub const fn size(&self, full: usize) -> usize {
        if self.counting && full > 100_000 { full / 10 } else { full }
    }

    /// The time of the parts, in nanoseconds.
    pub const fn ns(&self) -> f64 {
        self.ns
    }

    /// How many operations they were.
    pub const fn ops(&self) -> u64 {
        self.ops
    }

    /// The time of one operation, in nanoseconds.
    #[expect(clippy::cast_precision_loss, reason = "far fewer operations than 2^52")]
    pub fn ns_per_op(&self) -> f64 {
        self.ns / self.ops as f64
    }
}

/// Makes the compiler believe that somebody uses what is there, without an instruction of the benchmark's own.
#[inline(always)]
pub fn taken<T>(place: NonNull<T>) {
    #[cfg(native)]
    // SAFETY: no instruction; the compiler must take it to read and write memory.
    unsafe {
        std::arch::asm!("/* {0} */", in(reg) place.as_ptr(), options(nostack, preserves_flags))
    };
    #[cfg(not(native))]
    std::hint::black_box(place);
}

/// Nanoseconds of processor time that this thread has had.
#[cfg(native)]
#[expect(clippy::cast_precision_loss, reason = "only differences of a few seconds matter")]
pub fn now() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to a `timespec` of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

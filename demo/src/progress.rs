//! A sign of life for what takes long.

use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Says nothing for so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// Then says something so often.
const PAUSE: Duration = Duration::from_millis(500);
/// The clock is looked at once in so many values.
const STRIDE: u64 = 4096;

/// Counts values, and tells on the standard error how many there were.
#[derive(Debug)]
pub struct Progress {
    doing: &'static str,
    values: u64,
    started: Instant,
    next: Instant,
    spoken: bool,
}

impl Progress {
    /// Begins something.
    #[must_use]
    pub fn new(doing: &'static str) -> Self {
        let started = Instant::now();
        Self { doing, values: 0, started, next: started + PATIENCE, spoken: false }
    }

    /// One more value.
    pub fn step(&mut self) {
        self.values += 1;
        if self.values.is_multiple_of(STRIDE) {
            self.look_at_the_clock();
        }
    }

    #[cold]
    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        if now >= self.next {
            self.next = now + PAUSE;
            self.spoken = true;
            let Self { doing, values, .. } = self;
            // Who does not want to hear it need not.
            let _ = writeln!(io::stderr(), "{doing}: {values} values so far");
        }
    }

    /// Values so far.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.values
    }

    /// Seconds so far.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

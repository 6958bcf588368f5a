//! Numbers that look random and are the same each time.

/// A xorshift generator.
pub struct Dice(u64);

impl Dice {
    /// Always the same sequence.
    pub const fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `end`.
    #[expect(clippy::cast_possible_truncation, reason = "less than `end`")]
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    /// As many of them, thrown before the work so that it pays only for reading them.
    pub fn throws(mut self, count: usize, end: usize) -> Vec<u32> {
        (0..count).map(|_| u32::try_from(self.below(end)).expect("a small number")).collect()
    }
}

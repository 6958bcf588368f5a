//! Where a model's choices come from: a seeded generator, or words that `proptest` can shrink.

/// Choices, one after the other.
pub enum Dice {
    /// Splitmix64.
    Seeded(u64),
    /// What is written down; after the last word, zeroes.
    #[cfg_attr(target_arch = "wasm32", allow(dead_code, reason = "only proptest writes words down"))]
    Words { words: Vec<u32>, at: usize },
}

impl Dice {
    /// The generator for a test's name, or for `KMEM_SEED`.
    pub fn for_test(name: &str) -> (Self, u64) {
        let named = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let seed = std::env::var("KMEM_SEED").ok().map_or(named, |text| text.parse().expect("KMEM_SEED is a number"));
        (Self::Seeded(seed), seed)
    }

    fn next(&mut self) -> u32 {
        match self {
            Self::Seeded(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut word = *state;
                word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                u32::try_from(word >> 32).expect("the upper half")
            }
            Self::Words { words, at } => {
                *at += 1;
                words.get(*at - 1).copied().unwrap_or(0)
            }
        }
    }

    /// A number below a bound; 0 below 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let scaled = (u64::from(self.next()) * bound as u64) >> 32;
        usize::try_from(scaled).expect("below the bound")
    }

    /// Any address of a unit, mostly none that is mapped.
    pub fn address(&mut self) -> usize {
        (self.next() as usize).wrapping_shl(if usize::BITS == 64 { 15 } else { 4 })
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) + 1 == times
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

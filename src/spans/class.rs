//! Size classes: up to 16 units one a unit, then eight to each power of two.
//!
//! ```text
//! units   1 2 3 … 16 │ 18 20 … 32 │ 36 40 … 64 │ 72 … 128 │ … 2048
//! class   0 1 2 … 15 │ 16 … 23    │ 24 … 31    │ 32 … 39  │ … 71
//! ```
//!
//! The last class is 32 KiB (16 on 32 bit), and what a cell is longer than was asked is at most an eighth of it.
//! A class is a multiple of every alignment that a size rounded up to it is a multiple of, since all classes
//! between two powers of two are multiples of the step between them.

use crate::cell::MIN_ALIGN as UNIT;

/// How many there are.
pub(crate) const CLASSES: usize = 72;

/// The longest cell of a class.
#[cfg_attr(not(feature = "platform"), allow(dead_code, reason = "a heap of one's own has no such long ones"))]
pub(crate) const LONGEST: usize = size_in_units(CLASSES - 1) * UNIT;

/// Bytes of a class, where that is seldom asked: else a table knows more of it.
#[cfg(all(feature = "platform", target_arch = "wasm32", not(target_feature = "atomics")))]
pub(crate) const fn size_of_class(class: usize) -> usize {
    size_in_units(class) * UNIT
}

/// The longest class that is no longer than so many bytes, at least a unit; there is one for every length.
#[cfg(all(feature = "platform", target_arch = "wasm32", not(target_feature = "atomics")))]
pub(crate) const fn class_within(size: usize) -> usize {
    class_of_units(size / UNIT) - 1
}

const fn size_in_units(class: usize) -> usize {
    if class < 16 { class + 1 } else { ((class - 16) % 8 + 9) << ((class - 16) / 8 + 1) }
}

/// A size class: a number that is less than [`CLASSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(u8);

/// What is asked of a class again and again.
#[derive(Clone, Copy)]
struct Facts {
    /// An offset is a multiple of the size if and only if the product, cut to 64 bits, is less than this
    /// (Lemire, Kaser and Kurz: the size is less than 2^16, an offset less than 2^32).
    magic: u64,
    /// Bytes of a cell.
    size: u32,
}

const TABLE: [Facts; CLASSES] = {
    let mut all = [Facts { magic: 0, size: 0 }; CLASSES];
    let mut at = 0;
    while at < CLASSES {
        let units = size_in_units(at);
        let size = units * UNIT;
        #[expect(clippy::cast_possible_truncation, reason = "at most 32 KiB, and a logarithm")]
        {
            all[at] = Facts { magic: u64::MAX / size as u64 + 1, size: size as u32 };
        }
        at += 1;
    }
    all
};

impl Class {
    /// The class for so many bytes, at most [`LONGEST`].
    ///
    /// # Panics
    ///
    /// If they are more.
    #[inline(always)]
    pub(crate) const fn of(size: usize) -> Self {
        // To find the highest bit takes as long as all the rest, where there is no instruction that does only that.
        #[cfg(target_arch = "x86_64")]
        {
            const CLASS: &[Class; LONGEST / UNIT + 1] = &{
                let mut all = [Class(0); LONGEST / UNIT + 1];
                let mut at = 0;
                while at < all.len() {
                    all[at] = Class::by_number(class_of(at * UNIT));
                    at += 1;
                }
                all
            };
            CLASS[size.div_ceil(UNIT)]
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::by_number(class_of(size))
    }

    #[expect(clippy::cast_possible_truncation, reason = "there are 72")]
    const fn by_number(number: usize) -> Self {
        assert!(number < CLASSES, "no class is so long");
        Self(number as u8)
    }

    /// A class by its number, if there is one.
    #[inline(always)]
    pub(crate) const fn at(number: u8) -> Option<Self> {
        if (number as usize) < CLASSES { Some(Self(number)) } else { None }
    }

    /// All of them.
    #[expect(clippy::cast_possible_truncation, reason = "there are 72")]
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..CLASSES as u8).map(Self)
    }

    #[inline(always)]
    pub(crate) const fn number(self) -> u8 {
        self.0
    }

    #[inline(always)]
    fn facts(self) -> &'static Facts {
        // A constant and no static: where the class is known, so is everything of it.
        const FACTS: &[Facts; CLASSES] = &TABLE;
        self.of_each(FACTS)
    }

    /// The one for this class of an array with one for each.
    #[inline(always)]
    pub(crate) fn of_each<T>(self, each: &[T; CLASSES]) -> &T {
        // SAFETY: the number is less than so many.
        unsafe { each.get_unchecked(self.0 as usize) }
    }

    /// Bytes of a cell.
    #[inline(always)]
    pub(crate) fn size(self) -> usize {
        self.facts().size as usize
    }

    /// The logarithm of the largest power of two that is no more than the size in units.
    #[inline(always)]
    pub(super) fn shift(self) -> u8 {
        const SHIFTS: &[u8; CLASSES] = &{
            let mut all = [0; CLASSES];
            let mut at = 0;
            while at < CLASSES {
                #[expect(clippy::cast_possible_truncation, reason = "a logarithm")]
                {
                    all[at] = size_in_units(at).ilog2() as u8;
                }
                at += 1;
            }
            all
        };
        *self.of_each(SHIFTS)
    }

    /// Whether an offset is a multiple of the size. For one that is 2^32 or more the answer means nothing.
    #[inline(always)]
    pub(crate) fn divides(self, offset: usize) -> bool {
        let magic = self.facts().magic;
        (offset as u64).wrapping_mul(magic) < magic
    }
}

/// The class for so many units, less one.
const fn class_of_units(most: usize) -> usize {
    // Up to 16 units the power is the same, so that there is nothing to decide.
    let power = (most | 8).ilog2() as usize - 3;
    power * 8 + (most >> power)
}

/// The number of the class for so many bytes, if they are at most [`LONGEST`].
#[inline(always)]
pub(crate) const fn class_of(size: usize) -> usize {
    // Nothing takes a unit too.
    class_of_units((size.wrapping_add(UNIT - 1) / UNIT).saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_least_that_holds_a_size() {
        for size in 0..=LONGEST {
            let class = Class::of(size);
            assert!(class.size() >= size, "{size}");
            assert!(class.number() == 0 || Class::at(class.number() - 1).unwrap().size() < size, "{size}");
            assert!(size < 16 * UNIT || (class.size() - size) * 8 <= size + 8 * UNIT, "{size}");
        }
    }

    #[test]
    fn a_class_keeps_an_alignment() {
        for align in (0..12).map(|power| UNIT << power) {
            for size in (align..=LONGEST).step_by(align) {
                assert!(Class::of(size).size().is_multiple_of(align), "{size} at {align}");
            }
        }
    }

    #[test]
    fn a_multiple_is_told_from_every_other_offset() {
        for class in Class::all() {
            for offset in 0..3 * LONGEST {
                assert_eq!(class.divides(offset), offset % class.size() == 0);
            }
            for times in 0..u32::MAX as usize / class.size() / 1000 {
                let offset = times * 1000 * class.size();
                assert!(class.divides(offset) && !class.divides(offset + 1));
            }
        }
    }
}

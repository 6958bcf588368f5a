//! A map of bits in a store's own block: one for each unit of [`MIN_ALIGN`] bytes.

use core::cell::Cell as Var;
use core::ptr::NonNull;

use crate::cell::MIN_ALIGN;

const WORD: usize = usize::BITS as usize;

/// Bits in memory that a store set aside for them.
#[derive(Clone, Copy)]
pub(crate) struct Bits {
    words: NonNull<Var<usize>>,
}

impl Bits {
    /// Bytes that a map for a block of `block` bytes takes, whole words; its end has a bit too.
    pub(crate) const fn bytes(block: usize) -> usize {
        (block / MIN_ALIGN + 1).div_ceil(WORD) * size_of::<usize>()
    }

    /// The map that lies at an address.
    ///
    /// # Safety
    ///
    /// `words` are aligned, [`Bits::bytes`] long for the block that indices will be of, initialised
    /// before they are read, and only ever used as a map.
    pub(crate) const unsafe fn at(words: NonNull<u8>) -> Self {
        Self { words: words.cast() }
    }

    /// Clears the map of a block of `block` bytes.
    pub(crate) fn clear_all(self, block: usize) {
        // SAFETY: the maker promised that the words are there and only a map.
        unsafe { self.words.cast::<u8>().write_bytes(0, Self::bytes(block)) };
    }

    pub(crate) fn get(self, index: usize) -> bool {
        self.word(index).get() & Self::mask(index) != 0
    }

    pub(crate) fn set(self, index: usize) {
        let word = self.word(index);
        word.set(word.get() | Self::mask(index));
    }

    pub(crate) fn clear(self, index: usize) {
        let word = self.word(index);
        word.set(word.get() & !Self::mask(index));
    }

    const fn mask(index: usize) -> usize {
        1 << (index % WORD)
    }

    fn word<'a>(self, index: usize) -> &'a Var<usize> {
        let at = self.words.as_ptr().wrapping_add(index / WORD);
        // SAFETY: indices are of units of the block that the map was made for, so the word is in it;
        // words are only read and written through such shared references.
        unsafe { &*at }
    }
}

//! The naive model: a list of what is live, with what was written in it.

use core::alloc::Layout;
use core::ptr::NonNull;

use kmem::MIN_ALIGN;

use super::dice::Dice;

const WORD: usize = size_of::<u64>();

/// The word at a place of a cell that was filled with a tag.
fn word(tag: u32, at: usize) -> u64 {
    (u64::from(tag) << 32 | at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// The byte at a place of a cell that was filled with a tag.
pub fn byte(tag: u32, at: usize) -> u8 {
    word(tag, at / WORD).to_le_bytes()[at % WORD]
}

/// Writes a tag's pattern into a cell from one place to another.
pub fn fill(start: NonNull<u8>, tag: u32, from: usize, to: usize) {
    let mut at = from;
    while at < to {
        let whole = at.is_multiple_of(WORD) && to - at >= WORD;
        // SAFETY: callers name a live cell that is at least `to` long.
        unsafe {
            if whole {
                start.add(at).cast::<u64>().write_unaligned(word(tag, at / WORD).to_le());
            } else {
                start.add(at).write(byte(tag, at));
            }
        }
        at += if whole { WORD } else { 1 };
    }
}

/// The first place where a cell differs from a tag's pattern.
pub fn differs(start: NonNull<u8>, tag: u32, len: usize) -> Option<usize> {
    // SAFETY: callers name a live, filled cell that is this long.
    let of_word = |at: usize| unsafe { start.add(at * WORD).cast::<u64>().read_unaligned() };
    let same = (0..len / WORD).take_while(|at| of_word(*at) == word(tag, *at).to_le()).count();
    // SAFETY: as above.
    (same * WORD..len).find(|at| unsafe { start.add(*at).read() } != byte(tag, *at))
}

/// A live cell.
#[derive(Clone, Debug)]
pub struct Cell<T> {
    pub at: NonNull<u8>,
    /// As it was asked for.
    pub layout: Layout,
    pub tag: u32,
    pub tainted: bool,
    /// What more a model wants to know of it.
    pub more: T,
}

impl<T> Cell<T> {
    pub fn verify(&self) {
        if let Some(at) = differs(self.at, self.tag, self.layout.size()) {
            panic!("cell {:?} of {} bytes differs at {at}", self.at, self.layout.size());
        }
    }

    /// At least one byte, since a cell of size 0 has an address of its own.
    fn end(&self) -> usize {
        self.at.addr().get() + self.layout.size().max(1)
    }
}

/// All live cells, and addresses that were given back and not handed out again.
pub struct Cells<T> {
    pub list: Vec<Cell<T>>,
    gone: Vec<NonNull<u8>>,
    tag: u32,
}

/// Something that is no cell of any store.
static FOREIGN: [u64; 8] = [7; 8];

impl<T> Cells<T> {
    pub const fn new() -> Self {
        Self { list: Vec::new(), gone: Vec::new(), tag: 0 }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Proves what is promised of a new block, and fills it.
    pub fn adopt(&mut self, bytes: NonNull<[u8]>, layout: Layout, zeroed: bool, more: T) -> usize {
        self.tag += 1;
        let cell = Cell { at: bytes.cast(), layout, tag: self.tag, tainted: false, more };
        assert!(bytes.len() >= layout.size(), "{} bytes for {layout:?}", bytes.len());
        self.prove_place(cell.at, layout, None);
        if zeroed {
            // SAFETY: the block was just handed out and is this long.
            let zero = (0..layout.size()).all(|at| unsafe { cell.at.add(at).read() } == 0);
            assert!(zero, "a zeroed cell of {layout:?} is not");
        }
        fill(cell.at, cell.tag, 0, layout.size());
        self.list.push(cell);
        self.list.len() - 1
    }

    /// Proves that a place is aligned and overlaps no cell but one.
    fn prove_place(&mut self, at: NonNull<u8>, layout: Layout, but: Option<usize>) {
        let (start, align) = (at.addr().get(), layout.align().max(MIN_ALIGN));
        let end = start + layout.size().max(1);
        assert!(start.is_multiple_of(align), "{at:?} is not aligned to {align}");
        for (index, other) in self.list.iter().enumerate() {
            let apart = end <= other.at.addr().get() || other.end() <= start;
            assert!(apart || but == Some(index), "{at:?} overlaps {:?} of {:?}", other.at, other.layout);
        }
        self.gone.retain(|gone| *gone != at);
    }

    /// Notes that a cell has another size, perhaps in another place: what fits is as it was.
    pub fn resized(&mut self, index: usize, bytes: NonNull<[u8]>, size: usize) {
        let (old, tag) = (self.list[index].at, self.list[index].tag);
        let kept = self.list[index].layout.size().min(size);
        let layout = Layout::from_size_align(size, self.list[index].layout.align()).expect("a size that was granted");
        let at = bytes.cast();
        assert!(bytes.len() >= size, "{} bytes where {size} were asked for", bytes.len());
        assert_eq!(differs(at, tag, kept), None, "resize from {:?} to {size} lost bytes", self.list[index].layout);
        self.prove_place(at, layout, Some(index));
        fill(at, tag, kept, size);
        if at != old {
            self.forget(old);
        }
        let cell = &mut self.list[index];
        (cell.at, cell.layout) = (at, layout);
    }

    /// Takes a cell off the list that was released.
    pub fn remove(&mut self, index: usize) -> Cell<T> {
        let cell = self.list.swap_remove(index);
        self.forget(cell.at);
        cell
    }

    /// Notes that an address is no live cell's any more.
    pub fn forget(&mut self, at: NonNull<u8>) {
        if self.gone.len() >= 64 {
            self.gone.remove(0);
        }
        self.gone.push(at);
    }

    /// Notes that everything went.
    pub fn clear(&mut self) {
        while !self.list.is_empty() {
            self.remove(self.list.len() - 1);
        }
    }

    pub fn any(&self, dice: &mut Dice) -> Option<usize> {
        (!self.list.is_empty()).then(|| dice.below(self.list.len()))
    }

    pub fn verify_some(&self, dice: &mut Dice) {
        for _ in 0..2 {
            if let Some(index) = self.any(dice) {
                self.list[index].verify();
            }
        }
    }

    pub fn verify_all(&self) {
        self.list.iter().for_each(Cell::verify);
    }

    /// An address that is no live cell's payload: given back, inside a cell, before one, foreign, any number.
    pub fn wild(&self, dice: &mut Dice) -> NonNull<u8> {
        let address = match dice.below(5) {
            0 if !self.gone.is_empty() => dice.pick(&self.gone).as_ptr(),
            1 | 2 => match self.any(dice) {
                Some(index) => {
                    let cell = &self.list[index];
                    let inside = 1 + dice.below(cell.layout.size().saturating_sub(1));
                    let step = dice.pick(&[1, MIN_ALIGN, MIN_ALIGN / 2, inside]);
                    let near = if dice.below(4) == 0 {
                        cell.at.as_ptr().wrapping_sub(step)
                    } else {
                        cell.at.as_ptr().wrapping_add(step)
                    };
                    // Just behind a cell, or before it, another may begin.
                    if self.list.iter().any(|other| other.at.as_ptr() == near) {
                        cell.at.as_ptr().wrapping_add(1)
                    } else {
                        near
                    }
                }
                None => (&raw const FOREIGN).cast_mut().cast(),
            },
            3 => core::ptr::without_provenance_mut(dice.address()),
            _ => (&raw const FOREIGN).cast_mut().cast(),
        };
        NonNull::new(address).unwrap_or(NonNull::dangling())
    }
}

/// The most bytes that a model asks for at once.
#[derive(Clone, Copy)]
pub enum Sizes {
    /// Small ones, for sources of one size.
    Small,
    /// Up to some pages.
    Middle,
    /// Also what has a chunk to itself, and more alignment than a page.
    #[cfg_attr(not(feature = "platform"), allow(dead_code, reason = "only pages have as much"))]
    Large,
}

/// A size and an alignment, mostly small.
pub fn layout(dice: &mut Dice, sizes: Sizes) -> Layout {
    let align = match (dice.below(32), sizes) {
        (0..=27, _) | (_, Sizes::Small) => 1 << dice.below(5),
        (28..=30, _) => 32 << dice.below(4),
        (_, Sizes::Middle) => 512 << dice.below(4),
        (_, Sizes::Large) => 512 << dice.below(9),
    };
    Layout::from_size_align(size(dice, sizes), align).expect("small enough")
}

/// A size, mostly small.
pub fn size(dice: &mut Dice, sizes: Sizes) -> usize {
    match (dice.below(512), sizes) {
        (0..=59, _) => dice.below(17),
        (_, Sizes::Small) => dice.below(200),
        (60..=399, _) => dice.below(200),
        (400..=489, _) => dice.below(1000),
        (490..=509, _) | (_, Sizes::Middle) => dice.below(10_000),
        (_, Sizes::Large) => 100_000 + dice.below(200_000),
    }
}

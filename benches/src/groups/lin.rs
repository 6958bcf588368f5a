//! Regions: one cell after the other, all released at once.

use std::alloc::Layout;
use std::ptr::NonNull;

use blink_alloc::Blink;
use bump_scope::alloc::Global;
use bump_scope::settings::BumpSettings;
use bump_scope::traits::BumpAllocatorTyped;
use bumpalo::Bump;
use kmem::{Lin, Pages};
use typed_arena::Arena;

use crate::dice::Dice;
use crate::row;
use crate::row::{Contender, Row};
use crate::watch::{Watch, taken};

/// Takes one value after the other, and lets go of all.
pub trait Words: Contender {
    /// Places a word.
    fn put(&self, value: u64) -> NonNull<u64>;
    /// Releases all, and keeps the memory where it can.
    fn reset(&mut self);
}

/// A region for values of any type.
pub trait Region: Words {
    /// Memory for the layout.
    fn alloc(&self, layout: Layout) -> NonNull<u8>;
}

/// A bump-scope region, with a constant least alignment.
type Scoped = bump_scope::Bump<Global, BumpSettings<8>>;

/// The rows of regions.
pub fn rows() -> Vec<Row> {
    vec![
        row!("lin", "u64 in L1", words_in_l1;
            Lin<Pages>, Bump, Bump<8>, Scoped, Blink, Arena<u64>),
        row!("lin", "mixed 16–64 B in L1", mixed_in_l1; Lin<Pages>, Bump, Bump<8>, Scoped, Blink),
        row!("lin", "cold 1e6 mixed + drop", cold; Lin<Pages>, Bump, Bump<8>, Scoped, Blink),
    ]
}

/// 1,024 words, which all contenders have in the first-level cache, then a reset.
fn words_in_l1<R: Words>(region: &mut R, times: usize, watch: &mut Watch) {
    const WORDS: usize = 1024;
    watch.time(times * WORDS, || {
        for _ in 0..times {
            for value in 0..WORDS as u64 {
                taken(region.put(value));
            }
            region.reset();
        }
    });
}

/// Sizes of cells: multiples of 8 from 16 to 64.
pub fn mixed(count: usize) -> Vec<u32> {
    let mut sizes = Dice::new().throws(count, 7);
    sizes.iter_mut().for_each(|size| *size = 16 + 8 * *size);
    sizes
}

/// The layout of a cell of a size that [`mixed`] gave.
#[inline(always)]
pub fn words(size: u32) -> Layout {
    // SAFETY: eight is a power of two, and the sizes are small.
    unsafe { Layout::from_size_align_unchecked(size as usize, 8) }
}

#[inline(always)]
fn fill<R: Region>(region: &R, sizes: &[u32]) {
    for &size in sizes {
        let cell = region.alloc(words(size));
        // SAFETY: the cell was just handed out and has room for a word.
        unsafe { cell.cast::<u64>().write(u64::from(size)) };
        taken(cell);
    }
}

/// 512 cells of 40 bytes on average, the first word of each written, then a reset.
fn mixed_in_l1<R: Region>(region: &mut R, times: usize, watch: &mut Watch) {
    let sizes = mixed(512);
    watch.time(times * sizes.len(), || {
        for _ in 0..times {
            fill(region, &sizes);
            region.reset();
        }
    });
}

/// A new region, a million cells, and the end of the region.
fn cold<R: Region>(_: &mut R, times: usize, watch: &mut Watch) {
    let sizes = mixed(watch.size(1_000_000));
    for _ in 0..times {
        watch.time(sizes.len(), || {
            let region = R::new();
            fill(&region, &sizes);
        });
    }
}

impl Contender for Lin<Pages> {
    fn name() -> String {
        "kmem".into()
    }

    fn new() -> Self {
        Self::new_in(Pages::new())
    }
}

impl Words for Lin<Pages> {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        NonNull::from(Lin::put(self, value).expect("memory"))
    }

    #[inline(always)]
    fn reset(&mut self) {
        Lin::reset(self);
    }
}

impl Region for Lin<Pages> {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> NonNull<u8> {
        Lin::alloc(self, layout).expect("memory").cast()
    }
}

impl<const ALIGN: usize> Contender for Bump<ALIGN> {
    fn name() -> String {
        if ALIGN == 1 { "bumpalo".into() } else { format!("bumpalo, least alignment {ALIGN}") }
    }

    fn new() -> Self {
        Self::with_min_align()
    }
}

impl<const ALIGN: usize> Words for Bump<ALIGN> {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        NonNull::from(self.alloc(value))
    }

    #[inline(always)]
    fn reset(&mut self) {
        Bump::reset(self);
    }
}

impl<const ALIGN: usize> Region for Bump<ALIGN> {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> NonNull<u8> {
        self.alloc_layout(layout)
    }
}

impl Contender for Scoped {
    fn name() -> String {
        "bump-scope, least alignment 8".into()
    }

    fn new() -> Self {
        Self::new()
    }
}

impl Words for Scoped {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        self.alloc(value).into_raw()
    }

    #[inline(always)]
    fn reset(&mut self) {
        Scoped::reset(self);
    }
}

impl Region for Scoped {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> NonNull<u8> {
        self.allocate_layout(layout)
    }
}

impl Contender for Blink {
    fn name() -> String {
        "blink-alloc".into()
    }

    fn new() -> Self {
        Self::new()
    }
}

impl Words for Blink {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        NonNull::from(self.put_no_drop(value))
    }

    #[inline(always)]
    fn reset(&mut self) {
        Blink::reset(self);
    }
}

impl Region for Blink {
    #[inline(always)]
    fn alloc(&self, layout: Layout) -> NonNull<u8> {
        self.allocator().allocate(layout).expect("memory").cast()
    }
}

impl Contender for Arena<u64> {
    fn name() -> String {
        "typed-arena".into()
    }

    fn new() -> Self {
        Self::with_capacity(1024)
    }
}

impl Words for Arena<u64> {
    #[inline(always)]
    fn put(&self, value: u64) -> NonNull<u64> {
        NonNull::from(self.alloc(value))
    }

    /// It cannot be emptied, only be made anew.
    #[inline(always)]
    fn reset(&mut self) {
        *self = Self::new();
    }
}

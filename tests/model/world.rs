//! Running a model: one store over one source, and what is counted of it.

use core::alloc::Layout;

use kmem::inspect::{Inspect, What};
use kmem::{Cond, Kind, Source};

use super::dice::Dice;
use crate::say::say;

/// Operations of each store over each source.
pub const OPERATIONS: usize = if cfg!(target_arch = "wasm32") { 10_000 } else { 100_000 };
/// What must be live on average, at the least.
const LIVE: usize = 300;
/// How many cells a model lets live at once.
pub const GOAL: usize = 450;

/// A store beside its model.
pub trait World {
    /// Does one thing to both, and proves that they agree.
    fn step(&mut self, dice: &mut Dice);

    /// Proves the store's structure and figures.
    fn check(&mut self);

    /// Live cells, as the model knows.
    fn live(&self) -> usize;

    /// Proves all contents.
    fn verify_all(&mut self);

    /// Destroys the store.
    fn finish(&mut self);
}

/// Says where a model failed.
struct Watch<'a> {
    name: &'a str,
    seed: u64,
    operation: usize,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: failed at operation {}; KMEM_SEED={} repeats it", self.name, self.operation, self.seed);
        }
    }
}

/// All operations, with a full check after each.
pub fn run(name: &str, mut world: impl World) {
    let (mut dice, seed) = Dice::for_test(name);
    let mut watch = Watch { name, seed, operation: 0 };
    let mut live = 0;
    while watch.operation < OPERATIONS {
        world.step(&mut dice);
        world.check();
        if watch.operation.is_multiple_of(64) {
            world.verify_all();
        }
        live += world.live();
        watch.operation += 1;
    }
    world.verify_all();
    world.finish();
    let average = live / watch.operation;
    say(&format!("{name}: {} operations, average live {average}", watch.operation));
    assert!(average >= LIVE, "{name}: only {average} cells live on average");
}

/// A short sequence that `proptest` found: for each operation the words of its choices.
#[cfg(not(target_arch = "wasm32"))]
pub fn replay(mut world: impl World, operations: Vec<Vec<u32>>) {
    for words in operations {
        world.step(&mut Dice::Words { words, at: 0 });
        world.check();
        world.verify_all();
    }
    world.finish();
}

/// Proves that a refusal of a request is one that the model can understand.
pub fn understand(cond: Cond, layout: Layout, store: &impl Inspect, source: &impl Source) {
    assert_eq!(cond, Cond::NoRoom, "{layout:?}");
    let need = layout.size() + layout.align();
    let mut longest = 0;
    store.inspect(&mut |record| {
        let usable = match store.kind() {
            // Only what lies behind the cursor, which is in the block that is walked first.
            Kind::Lin => record.what == What::Fresh && record.block == 0,
            _ => matches!(record.what, What::Free | What::Shredded | What::Fresh),
        };
        if usable {
            longest = longest.max(record.len);
        }
    });
    // Headers before a cell, a block's own front, and maps of two bits for each unit.
    let with_fronts = need + need / 32 + 1024;
    assert!(longest < need + 64, "no_room for {layout:?}, but {longest} bytes are free in one piece");
    let block = Layout::from_size_align(with_fronts, kmem::MIN_ALIGN).expect("small enough");
    if let Ok(bytes) = source.alloc(block) {
        // SAFETY: just allocated there.
        unsafe { source.free(bytes.cast(), block) }.expect("what was just handed out goes back");
        panic!("no_room for {layout:?}, but the source has room for {with_fronts} bytes");
    }
}

/// A size that no store can grant.
pub fn impossible(dice: &mut Dice) -> Layout {
    let most = isize::MAX as usize;
    let sizes = [most - 31, most - 15, most / 2 + 1, most - (64 << 10)];
    // WebAssembly's memory may have room for half of the largest.
    let size = dice.pick(if cfg!(target_arch = "wasm32") { &sizes[..2] } else { &sizes });
    Layout::from_size_align(size, dice.pick(&[1, 16])).expect("a size that a layout may have")
}

/// Proves that a request for it is refused.
pub fn refused<T: core::fmt::Debug>(answer: Result<T, Cond>) {
    match answer {
        Err(Cond::BadSize | Cond::NoRoom) => {}
        other => panic!("an impossible size gives {other:?}"),
    }
}

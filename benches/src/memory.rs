//! What a general allocator holds of the machine's memory: each in a process of its own, asked of the system.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::dice::Dice;
use crate::groups::heap::{Block, Blocks, Of, any_layout, touch};
use crate::row::Contender;

/// Blocks of 8 to 4096 bytes that are live: about 80 MB.
const LIVE: usize = 40_000;
const MOST: usize = 4096;
/// How long a program goes on until it is asked what it still holds: more than kmem's decay twice.
const AFTER: Duration = Duration::from_millis(600);

/// What one allocator came to.
#[derive(Debug)]
pub struct Held {
    /// Bytes that were asked for in those resident, when half of all blocks had been replaced again and again.
    density: f64,
    /// By how much fewer are resident some time after nine in ten blocks were freed at random.
    thinned: f64,
    /// And after all were.
    freed: f64,
}

/// Bytes of this process that are resident.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
    pages * 4096
}

fn fresh<B: Blocks>(blocks: &B, dice: &mut Dice) -> Block {
    let layout = any_layout::<8, MOST>(dice);
    let block = blocks.take(layout);
    // SAFETY: just taken, and this long.
    unsafe { block.write_bytes(7, layout.size()) };
    touch(block);
    (block, layout)
}

/// A program goes on for a while, with a few blocks that come and go.
fn go_on<B: Blocks>(blocks: &B, dice: &mut Dice) {
    let mut few: Vec<Block> = (0..500).map(|_| fresh(blocks, dice)).collect();
    let start = Instant::now();
    while start.elapsed() < AFTER {
        std::thread::sleep(Duration::from_millis(5));
        for _ in 0..2000 {
            let at = dice.below(few.len());
            blocks.give(few[at]);
            few[at] = fresh(blocks, dice);
        }
    }
    few.into_iter().for_each(|block| blocks.give(block));
}

#[expect(clippy::cast_precision_loss, reason = "bytes, of which there are fewer than 2^52")]
fn hold<B: Blocks>() -> Held {
    let blocks = B::new();
    let mut dice = Dice::new();
    let mut live: Vec<Block> = Vec::with_capacity(LIVE);
    // The table itself is not what is asked about.
    live.resize(LIVE, (std::ptr::NonNull::dangling(), std::alloc::Layout::new::<u8>()));
    let before = resident();
    live.iter_mut().for_each(|block| *block = fresh(&blocks, &mut dice));
    for _ in 0..10 * LIVE {
        let at = dice.below(LIVE);
        blocks.give(live[at]);
        live[at] = fresh(&blocks, &mut dice);
    }
    let full = resident() - before;
    let asked: usize = live.iter().map(|(_, layout)| layout.size()).sum();
    for _ in 0..LIVE / 10 * 9 {
        let at = dice.below(live.len());
        blocks.give(live.swap_remove(at));
    }
    go_on(&blocks, &mut dice);
    let thin = resident().saturating_sub(before);
    live.drain(..).for_each(|block| blocks.give(block));
    go_on(&blocks, &mut dice);
    let none = resident().saturating_sub(before);
    let down = |to: usize| 1.0 - to as f64 / full as f64;
    Held { density: asked as f64 / full as f64, thinned: down(thin), freed: down(none) }
}

type Work = fn() -> Held;

/// The allocators by name.
fn all() -> Vec<(String, Work)> {
    use crate::groups::heap::peers::*;
    use std::alloc::System;

    fn one<A: crate::groups::heap::General>() -> (String, Work) {
        (Of::<A>::name(), hold::<Of<A>>)
    }
    vec![
        one::<kmem::GlobalHeap>(),
        one::<MiMalloc>(),
        one::<SnMalloc>(),
        one::<Jemalloc>(),
        one::<RpMalloc>(),
        one::<System>(),
        one::<GlobalDlmalloc>(),
    ]
}

/// Prints what one allocator holds: three numbers.
///
/// # Errors
///
/// There is none of that name.
pub fn print_one(name: &str) -> Result<(), String> {
    let all = all();
    let (_, work) = all.iter().find(|(one, _)| one == name).ok_or_else(|| format!("no allocator '{name}'"))?;
    let held = work();
    println!("{} {} {}", held.density, held.thinned, held.freed);
    Ok(())
}

/// Runs each allocator in a process of its own, and writes the table.
///
/// # Errors
///
/// A process failed, or the table could not be written.
pub fn table(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::from(
        "Resident memory of a process, asked of the system: 40,000 live blocks of 8-4096 B, each replaced ten times; \
         then nine in ten freed at random, then all, each time 600 ms later.\n\n\
         | who | live bytes / resident | down after 90 % freed | down after all freed |\n|---|---:|---:|---:|\n",
    );
    for (name, _) in all() {
        let output = Command::new(std::env::current_exe()?).args(["memory", &name]).output()?;
        let numbers = String::from_utf8(output.stdout)?;
        let numbers: Vec<f64> = numbers.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [density, thinned, freed] = numbers[..] else {
            return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
        };
        let line = format!("| {name} | {density:.3} | {:.0} % | {:.0} % |", thinned * 100.0, freed * 100.0);
        println!("  memory: {line}");
        writeln!(text, "{line}")?;
    }
    fs::write(folder.join("memory.md"), text)?;
    Ok(())
}

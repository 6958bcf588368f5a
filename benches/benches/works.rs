//! The works for `cargo bench`, with criterion's statistics: each side by itself, one after the other.
//!
//! `cargo bench -p kmem-bench --features criterion -- TEXT` runs those whose names hold a text.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use kmem_bench::allocators::{Allocator, Choice, Mimalloc, with};
use kmem_bench::groups::GROUPS;
use kmem_bench::row::{Player, Row};
use kmem_bench::watch::Watch;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for (_, rows) in GROUPS {
        rows().iter().for_each(|row| works(&mut criterion, row));
    }
    switch(&mut criterion);
    criterion.final_summary();
}

fn works(criterion: &mut Criterion, row: &Row) {
    let mut group = criterion.benchmark_group(format!("{}: {}", row.group, row.work));
    for side in &row.sides {
        // Set up when it is its turn, if ever.
        let mut player: Option<Player<'_>> = None;
        group.bench_function(&side.name, |bencher| {
            let player = player.get_or_insert_with(|| side.play());
            bencher.iter_custom(|times| {
                let mut watch = Watch::timing();
                player.run(usize::try_from(times).expect("not so often"), &mut watch);
                Duration::from_secs_f64(watch.ns() / 1e9)
            });
        });
    }
    group.finish();
}

/// What peers over the global allocator pay for its being a switch.
fn switch(criterion: &mut Criterion) {
    let layout = Layout::new::<[u64; 8]>();
    let mut group = criterion.benchmark_group("the global allocator's switch");
    group.bench_function("mimalloc, directly", |bencher| {
        bencher.iter(|| {
            // SAFETY: the layout has a size.
            let cell = black_box(unsafe { Mimalloc::IT.alloc(layout) });
            // SAFETY: just allocated there.
            unsafe { Mimalloc::IT.dealloc(cell, layout) };
        });
    });
    group.bench_function("mimalloc, through the switch", |bencher| {
        with(Choice::Mimalloc, || {
            bencher.iter(|| {
                // SAFETY: the layout has a size.
                let cell = black_box(unsafe { std::alloc::alloc(layout) });
                // SAFETY: just allocated there.
                unsafe { std::alloc::dealloc(cell, layout) };
            });
        });
    });
    group.finish();
}

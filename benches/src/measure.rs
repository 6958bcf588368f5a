//! Interleaved rounds: kmem, a peer, kmem, the next peer.
//!
//! A machine gets slower and faster as it likes; two runs right after each other meet the same machine. So
//! each round pairs a run of kmem's side with one of a peer's, and the ratio of a row is the median of these
//! pairs' ratios, not the ratio of two medians.

use crate::row::{Player, Row};
use crate::watch::{Watch, now};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Pairs of runs for each peer.
    pub rounds: usize,
    /// What a run is to last at least, in nanoseconds.
    pub slice: f64,
    /// Nanoseconds for a row; if they do not suffice, there are fewer rounds, but five.
    pub budget: f64,
    /// Whether rows that take long to set up are measured.
    pub large: bool,
}

impl Plan {
    /// A few minutes.
    pub const FULL: Self = Self { rounds: 21, slice: 10e6, budget: f64::INFINITY, large: true };
    /// For a look.
    pub const QUICK: Self = Self { rounds: 11, slice: 2e6, budget: 2e9, large: false };
}

/// What separates the words of a line.
pub const SEPARATOR: char = '|';

/// What a row's first side and one of its peers took in each round, in nanoseconds for one operation.
#[derive(Clone, Debug)]
pub struct Duel {
    /// The group of the row.
    pub group: String,
    /// The work of the row.
    pub work: String,
    /// The peer's name.
    pub peer: String,
    /// The first side's times and the peer's, round by round.
    pub rounds: Vec<(f64, f64)>,
}

impl Duel {
    /// As one line of text.
    pub fn line(&self) -> String {
        let rounds: Vec<_> = self.rounds.iter().map(|(ours, theirs)| format!("{ours}:{theirs}")).collect();
        [&self.group, &self.work, &self.peer, &rounds.join(",")].map(String::as_str).join(&SEPARATOR.to_string())
    }
}

/// Measures a row: a duel for each peer.
pub fn measure(row: &Row, plan: Plan) -> Vec<Duel> {
    let mut players: Vec<_> = row.sides.iter().map(|side| warm(side.play(), plan)).collect();
    let (ours, peers) = players.split_first_mut().expect("a row has sides");
    let mut rounds = vec![Vec::new(); peers.len()];
    let start = now();
    for round in 0..plan.rounds {
        if round >= 5 && now() - start > plan.budget {
            break;
        }
        for (peer, rounds) in peers.iter_mut().zip(&mut rounds) {
            // Who goes first finds the caches as the other left them: they take turns.
            let pair = if round % 2 == 0 {
                let first = once(ours);
                (first, once(peer))
            } else {
                let first = once(peer);
                (once(ours), first)
            };
            rounds.push(pair);
        }
    }
    let names = row.sides[1..].iter().map(|side| side.name.clone());
    let duel = |(peer, rounds)| Duel { group: row.group.into(), work: row.work.into(), peer, rounds };
    names.zip(rounds).map(duel).collect()
}

/// A player that has run, and how often it does the work in one run.
type Warm<'r> = (Player<'r>, usize);

/// A run lasts no longer than so many slices with what is set up for it, however short the part that counts is.
const PATIENCE: f64 = 25.0;

/// A part that counts is to last so many nanoseconds, with however much patience: a module's clock goes by microseconds.
const LEAST: f64 = if cfg!(native) { 0.0 } else { 200e3 };

/// Runs a side until a run lasts as long as planned.
fn warm(mut player: Player<'_>, plan: Plan) -> Warm<'_> {
    let mut times = 1;
    // A module's functions are compiled when they are called.
    #[cfg(not(native))]
    player.run(times, &mut Watch::timing());
    loop {
        let (mut watch, start) = (Watch::timing(), now());
        player.run(times, &mut watch);
        let all = (now() - start) / PATIENCE;
        if watch.ns().max(all) >= plan.slice && watch.ns() >= LEAST {
            return (player, times);
        }
        // Neither by a single step, which the first run's cold caches would make too small, nor by many.
        let short =
            if watch.ns() < LEAST { LEAST / watch.ns().max(1.0) } else { plan.slice / watch.ns().max(all).max(1.0) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 2 and 100")]
        let factor = (short * 1.2).ceil().clamp(2.0, 100.0) as usize;
        times *= factor;
    }
}

fn once((player, times): &mut Warm<'_>) -> f64 {
    let mut watch = Watch::timing();
    player.run(*times, &mut watch);
    watch.ns_per_op()
}

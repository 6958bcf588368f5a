//! How the time of an operation grows with what is live: as the caches explain, which a peer shows.

use bumpalo::Bump;
use kmem::{Lin, Pages, Pool};
use slab::Slab;

use super::lin::Words;
use super::pool::{Crowd, Record, churn};
use super::tree::{Boxes, Default, Grove, visit};
use crate::allocators::Standard;
use crate::row;
use crate::row::{Row, side};
use crate::watch::{Watch, taken};

/// Live cells that take seconds to set up.
const LARGE: usize = 1_000_000;

macro_rules! sizes {
    ($($live:literal $lin:literal $pool:literal $tree:literal),+ $(,)?) => {
        vec![$(
            Row::new("sizes", $lin, vec![side(fill::<Lin<Pages>, $live>), side(fill::<Bump, $live>)]).large($live > LARGE),
            row!("sizes", $pool, churn; Crowd<Pool<Pages>, $live>, Crowd<Slab<Record>, $live>).large($live > LARGE),
            row!("sizes", $tree, visit; Grove<Default, $live>, Grove<Boxes<Standard>, $live>).large($live > LARGE),
        )+]
    };
}

/// The rows of sizes.
pub fn rows() -> Vec<Row> {
    sizes! {
        1_000 "lin, 1e3 words" "pool, churn of 1e3" "tree, child among 1e3",
        100_000 "lin, 1e5 words" "pool, churn of 1e5" "tree, child among 1e5",
        10_000_000 "lin, 1e7 words" "pool, churn of 1e7" "tree, child among 1e7",
    }
}

/// As many words, then a reset.
fn fill<R: Words, const LIVE: usize>(region: &mut R, times: usize, watch: &mut Watch) {
    let live = watch.size(LIVE);
    watch.time(times * live, || {
        for _ in 0..times {
            for value in 0..live as u64 {
                taken(region.put(value));
            }
            region.reset();
        }
    });
}

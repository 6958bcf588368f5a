//! Instructions, counted by callgrind.

use std::ffi::CString;

use crate::callgrind::dump;
use crate::measure::SEPARATOR;
use crate::row::Row;
use crate::watch::Watch;

/// Operations that are enough: what each part adds to the count by beginning and ending is then 0.001 of one.
const ENOUGH: f64 = 20_000.0;
/// Nanoseconds under callgrind that are enough for large operations.
const LONG: f64 = 2e8;

/// Runs each side of a row once, after it is warm, and has callgrind write down its instructions. The title says
/// for how many operations.
pub fn count(row: &Row) {
    for side in row.sides.iter().filter(|side| side.is_countable()) {
        let mut player = side.play();
        // What runs for the first time is translated first, which takes longer than all the rest.
        player.run(1, &mut Watch::counting());
        let mut first = Watch::counting();
        player.run(1, &mut first);
        dump(c"warm");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 20,000")]
        let times = (ENOUGH * first.ns_per_op() / first.ns()).min(LONG / first.ns()).max(1.0) as usize;
        let mut watch = Watch::counting();
        player.run(times, &mut watch);
        let words = [row.group, row.work, &side.name, &watch.ops().to_string()];
        let title = words.join(&SEPARATOR.to_string());
        dump(&CString::new(title).expect("no name has a zero in it"));
    }
}

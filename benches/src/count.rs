//! Instructions, counted by callgrind.

use std::ffi::CString;

use crate::row::Row;
use crate::watch::{Watch, dump};

/// What separates the words of a dump's title.
pub const SEPARATOR: char = '|';

/// Runs each side of a row once, after it is warm, and has callgrind write down its instructions. The title says
/// for how many operations.
pub fn count(row: &Row) {
    for side in row.sides.iter().filter(|side| side.is_countable()) {
        let mut player = side.play();
        let mut first = Watch::counting();
        player.run(1, &mut first);
        dump(c"warm");
        let times = usize::try_from(20_000 / first.ops()).map_or(1, |times| times.max(1));
        let mut watch = Watch::counting();
        player.run(times, &mut watch);
        let words = [row.group, row.work, &side.name, &watch.ops().to_string()];
        let title = words.join(&SEPARATOR.to_string());
        dump(&CString::new(title).expect("no name has a zero in it"));
    }
}

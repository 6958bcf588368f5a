//! The benchmark as a module. Who runs it (`wasm.mjs`) gives it a clock, and takes its lines.

use crate::groups::GROUPS;
use crate::measure::{Plan, measure};

#[link(wasm_import_module = "bench")]
unsafe extern "C" {
    /// Nanoseconds since some moment.
    safe fn clock() -> f64;
    /// Takes a line of text.
    fn line(text: *const u8, len: usize);
}

/// Nanoseconds since some moment.
pub fn now() -> f64 {
    clock()
}

fn say(text: &str) {
    // SAFETY: the text is there until the call ends.
    unsafe { line(text.as_ptr(), text.len()) };
}

/// Says the groups' names.
#[unsafe(no_mangle)]
pub extern "C" fn groups() {
    GROUPS.iter().for_each(|(name, _)| say(name));
}

/// Measures a group by its number, and says its duels.
#[unsafe(no_mangle)]
pub extern "C" fn run(group: usize, full: bool) {
    // A module has four gigabytes and never gives any back.
    let plan = Plan { large: false, ..if full { Plan::FULL } else { Plan::QUICK } };
    for row in GROUPS[group].1().iter().filter(|row| plan.large || !row.large) {
        for mut duel in measure(row, plan) {
            duel.group.insert_str(0, "wasm-");
            say(&duel.line());
        }
    }
}

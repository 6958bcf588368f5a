//! The demo, on the checkout's own JSON and on documents made to be hard.

use anyhow::Result;

use super::Tally;
use crate::machine::Machine;
use crate::{demo, documents};

/// Both.
pub fn demo(machine: &Machine, tally: &mut Tally) -> Result<()> {
    tally.check(demo::command(machine, &["--check".to_owned()]));
    documents::check(tally)
}

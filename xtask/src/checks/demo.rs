//! The demo, on the checkout's own JSON and on documents made to be hard.

use anyhow::Result;

use super::Tally;
use crate::machine::Machine;
use crate::{demo, documents};

/// Both.
pub fn demo(_: &Machine, tally: &mut Tally) -> Result<()> {
    tally.check(demo::command(&["--no-serve".to_owned()]));
    documents::check(tally)
}

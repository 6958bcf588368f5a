//! Programs that come from the system.

use anyhow::{Result, bail};

use super::apt;
use crate::run;

/// A program, and Debian's package of it.
const NEEDED: [(&str, &str); 3] = [("strace", "strace"), ("valgrind", "valgrind"), ("nm", "binutils")];

/// Sees that they are all there.
pub fn set_up() -> Result<()> {
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| !run::on_path(program)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        run::say(&format!("programs: installing {} (a few megabytes)", missing.join(", ")));
        apt::install(&missing)?;
    }
    node()
}

/// Node runs the wasm tests. It is not installed from here: people have their own way to get it.
pub fn node() -> Result<()> {
    let Ok(version) = run::read(run::command("node").arg("--version")) else {
        bail!("Node.js is missing: install version 20 or later, from nodejs.org or the system's packages");
    };
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|number| number.parse().ok());
    match major {
        Some(20..=u32::MAX) => Ok(()),
        _ => bail!("Node.js {} is too old: install version 20 or later", version.trim()),
    }
}

//! What the benchmark's peers are built from and measured with.

use anyhow::{Context, Result};

use super::apt;
use crate::run;

/// A program, and Debian's package of it.
const PROGRAMS: [(&str, &str); 4] = [("cc", "gcc"), ("c++", "g++"), ("make", "make"), ("valgrind", "valgrind")];
/// A library, and Debian's package of it.
const LIBRARIES: [(&str, &str); 2] = [("libtalloc.so", "libtalloc-dev"), ("libsodium.so", "libsodium-dev")];

/// Sees that they are all there.
pub fn set_up() -> Result<()> {
    let programs = PROGRAMS.iter().filter(|(program, _)| !run::on_path(program));
    let libraries = LIBRARIES.iter().filter(|(library, _)| !is_linkable(library));
    let missing: Vec<&str> = programs.chain(libraries).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    run::say(&format!("peers: installing {}", missing.join(", ")));
    apt::install(&missing).context("the benchmark needs what its peers are built from")
}

/// Whether the linker finds a library: the compiler then answers with more than its name.
fn is_linkable(library: &str) -> bool {
    let place = run::read(run::command("cc").arg(format!("-print-file-name={library}")));
    place.is_ok_and(|place| place.trim() != library)
}

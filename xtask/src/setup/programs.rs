//! Programs that come from the system.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::apt;
use crate::run;

/// A program, and Debian's package of it.
const NEEDED: [(&str, &str); 6] = [
    ("strace", "strace"),
    ("valgrind", "valgrind"),
    ("nm", "binutils"),
    ("gcc", "gcc"),
    ("g++", "g++"),
    ("clang", "clang"),
];

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

/// The tools that read what an instrumented program notes, of the compiler's own LLVM.
pub struct Llvm {
    /// Where they are and how their names end.
    found: (PathBuf, String),
}

impl Llvm {
    /// One of them.
    pub fn tool(&self, name: &str) -> PathBuf {
        let (folder, suffix) = &self.found;
        folder.join(format!("{name}{suffix}"))
    }
}

/// The toolchain's component `llvm-tools`, or Debian's package of the same LLVM.
pub fn llvm() -> Result<Llvm> {
    let libraries = run::read(run::command("rustc").args(["--print", "target-libdir"]))?;
    let own = PathBuf::from(libraries.trim()).with_file_name("bin");
    if own.join("llvm-cov").is_file() {
        return Ok(Llvm { found: (own, String::new()) });
    }
    let version = run::read(run::command("rustc").arg("-vV"))?;
    let major = version.lines().find_map(|line| line.strip_prefix("LLVM version: ")?.split('.').next());
    let major = major.context("rustc does not say which LLVM it has")?;
    let suffix = format!("-{major}");
    if !run::on_path(&format!("llvm-cov{suffix}")) {
        run::say(&format!("programs: installing llvm{suffix} (80 MB)"));
        apt::install(&[&format!("llvm{suffix}")]).context("or run `rustup component add llvm-tools`")?;
    }
    Ok(Llvm { found: (PathBuf::new(), suffix) })
}

/// A browser, and the program by which another drives it. Whoever has others tells by `CHROMEDRIVER` where that is.
pub fn browser() -> Result<()> {
    if std::env::var_os("CHROMEDRIVER").is_some() || (run::on_path("chromium") && run::on_path("chromedriver")) {
        return Ok(());
    }
    run::say("programs: installing chromium, chromium-driver and a font (130 MB)");
    apt::install(&["chromium", "chromium-driver", "fonts-dejavu-core"])
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

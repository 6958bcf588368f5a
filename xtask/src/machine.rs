//! What this machine offers the checks. Each thing is set up when it is first asked for, and once.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::run;
use crate::setup::{programs, tools, wasm};

/// Something that is set up once, or the reason why it cannot be.
pub type Once<T> = OnceCell<Result<T, String>>;

/// The set-up of one run of xtask.
#[derive(Default)]
pub struct Machine {
    wasm: Once<wasm::Toolchain>,
    tools: Once<PathBuf>,
    programs: Once<()>,
    browser: Once<()>,
    /// The npm package that was built, by `web`.
    pub package: Once<()>,
    /// And the page, where it is.
    pub page: Once<PathBuf>,
}

impl Machine {
    /// The toolchain that builds for wasm.
    pub fn wasm(&self) -> Result<&wasm::Toolchain> {
        once(&self.wasm, wasm::set_up)
    }

    /// The folder of wasm-bindgen's tools.
    pub fn wasm_tools(&self) -> Result<&Path> {
        once(&self.tools, tools::set_up).map(PathBuf::as_path)
    }

    /// The programs that come from the system.
    pub fn programs(&self) -> Result<()> {
        once(&self.programs, programs::set_up).copied()
    }

    /// Chromium and what drives it.
    pub fn browser(&self) -> Result<()> {
        once(&self.browser, programs::browser).copied()
    }

    /// Cargo of the wasm toolchain, in a target folder of its own: two toolchains in one folder would
    /// evict each other's results.
    pub fn wasm_cargo(&self, args: &str) -> Result<Command> {
        let mut cargo = run::command("cargo");
        cargo.args(self.wasm()?.argument());
        cargo.args(args.split_whitespace()).env("CARGO_TARGET_DIR", run::target().join("wasm"));
        Ok(cargo)
    }
}

/// What a cell holds, or what comes of setting it up.
pub fn once<T>(cell: &Once<T>, set_up: impl FnOnce() -> Result<T>) -> Result<&T> {
    let result = cell.get_or_init(|| set_up().map_err(|error| format!("{error:#}")));
    result.as_ref().map_err(|error| anyhow!("{error}"))
}

//! Debian's packages.

use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, bail};

use crate::run;

/// Whether this is a Debian, or one of its descendants.
pub fn present() -> bool {
    run::on_path("apt-get") && run::on_path("dpkg-deb")
}

/// Whether packages can be installed and lists be fetched.
pub fn is_root() -> bool {
    run::read(run::command("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// `apt-get`, asking nothing.
pub fn get(args: &str) -> Command {
    let mut get = run::command("apt-get");
    get.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-y", "-o", "Dpkg::Use-Pty=0"]);
    get.args(args.split_whitespace());
    get
}

/// Fetches the lists of packages, once. Lists that lie since the machine was made name packages
/// that the archive has replaced.
pub fn update() -> Result<()> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    let update = || quietly(&mut get("update")).map_err(|error| format!("{error:#}"));
    DONE.get_or_init(update).clone().map_err(anyhow::Error::msg)
}

/// Installs packages, or says which are missing.
pub fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if !present() {
        bail!("install {names} with this system's package manager");
    }
    if !is_root() {
        bail!("as root, run: apt-get install {names}");
    }
    update()?;
    quietly(get("install --no-install-recommends").args(packages))
}

/// Shows the command; of what it prints, only what it complains of when it fails.
fn quietly(command: &mut Command) -> Result<()> {
    run::say(&format!("$ {}", run::shown(command)));
    run::read(command).map(drop)
}

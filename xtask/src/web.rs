//! The npm package and the page: built with npm's tools around the module that cargo builds.
//!
//! ```text
//! packages ─► module ─► package ─► page ─► site, served
//! npm ci      cargo     build.mjs  vite    the page with a document beside it
//! ```

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::machine::{Machine, once};
use crate::run::{self, say};
use crate::setup::programs;

/// Where the page is tried to be served.
const PORTS: std::ops::Range<u16> = 4173..4273;

fn www() -> PathBuf {
    run::root().join("www")
}

/// The folder of the npm package.
pub fn package_folder() -> PathBuf {
    www().join("kmem")
}

/// The folder of the page's sources.
pub fn visualizer() -> PathBuf {
    www().join("visualizer")
}

/// Node, and what is started from it, of the version that the lock file pins, where it has one for this machine.
pub fn node(folder: &Path) -> Result<Command> {
    let mut node = run::command("node");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(www().join("node_modules/.bin")).chain(std::env::split_paths(&path));
    let paths = std::env::join_paths(paths)?;
    // A command looks for its program in its own path only if that is set before.
    if let Some(pinned) = std::env::split_paths(&paths).map(|dir| dir.join("node")).find(|node| node.is_file()) {
        node = run::command(pinned);
    }
    node.env("PATH", paths).current_dir(folder);
    Ok(node)
}

/// A program of one of the packages.
pub fn tool(folder: &Path, name: &str) -> Result<Command> {
    let mut tool = node(folder)?;
    tool.arg(www().join("node_modules/.bin").join(name));
    Ok(tool)
}

/// Installs what the lock file names, if that has changed.
pub fn packages() -> Result<()> {
    programs::node()?;
    let lock = fs::read(www().join("package-lock.json"))?;
    let stamp = www().join("node_modules/.kmem-lock");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    say("npm packages of the page: installing them (about 15 s, once)");
    let mut npm = run::command("npm");
    run::run(npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(www()))?;
    fs::write(stamp, lock)?;
    Ok(())
}

/// The module and, around it, the npm package.
pub fn package(machine: &Machine) -> Result<()> {
    once(&machine.package, || build_package(machine)).copied()
}

fn build_package(machine: &Machine) -> Result<()> {
    packages()?;
    let target = "wasm32-unknown-unknown";
    let mut module = machine.wasm_cargo(&format!("build --quiet --profile web -p kmem-js --target {target}"))?;
    // Paths of this machine have no business in it.
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let mut flags = format!("--remap-path-prefix={}=kmem", run::root().display());
    if let Ok(home) = home {
        flags += &format!(" --remap-path-prefix={home}=cargo");
    }
    run::run(module.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags))?;
    let built = run::target().join(format!("wasm/{target}/web/kmem_js.wasm"));
    run::run(node(&package_folder())?.arg("build.mjs").arg(built))
}

/// The page, for any host, in `www/visualizer/dist`.
pub fn page(machine: &Machine) -> Result<&Path> {
    let build = || {
        package(machine)?;
        run::run(tool(&visualizer(), "vite")?.args(["build", "--logLevel", "warn"]))?;
        Ok(visualizer().join("dist"))
    };
    once(&machine.page, build).map(PathBuf::as_path)
}

/// A server of the page that ends with this value.
pub struct Site {
    server: Child,
    /// Where the page opens on the document.
    pub address: String,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// `cargo xtask frames`: how long the page takes for a frame while much goes on in it, against the limits.
pub fn frames(machine: &Machine, args: &[String]) -> Result<()> {
    if let Some(arg) = args.first() {
        bail!("frames takes no argument, not '{arg}'");
    }
    machine.browser()?;
    let site = Site::of(page(machine)?, "")?;
    run::run(tool(&visualizer(), "vitest")?.args(["run", "--config", "bench/vitest.config.ts", "--root", "."]))?;
    run::run(node(&visualizer())?.arg("e2e/perf.mjs").arg(&site.address))
}

impl Site {
    /// Builds the page and serves it with a JSON document.
    pub fn open(machine: &Machine, document: &Path) -> Result<Self> {
        let page = page(machine)?;
        let site = run::target().join("site");
        if site.exists() {
            fs::remove_dir_all(&site)?;
        }
        copy(page, &site)?;
        fs::copy(document, site.join("document.json"))
            .with_context(|| format!("cannot copy {}", document.display()))?;
        Self::of(&site, "#json=document.json")
    }

    /// Serves a folder that the page is in.
    fn of(site: &Path, opens: &str) -> Result<Self> {
        let port = PORTS.clone().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let port = port.context("no port is free")?.to_string();
        let mut vite = tool(&visualizer(), "vite")?;
        vite.args(["preview", "--logLevel", "warn", "--port", &port, "--outDir"]).arg(site);
        let server = vite.spawn().with_context(|| format!("cannot start {}", run::shown(&vite)))?;
        let mut site = Self { server, address: format!("http://127.0.0.1:{port}/{opens}") };
        site.wait_for(&port)?;
        Ok(site)
    }

    /// Until the port answers.
    fn wait_for(&mut self, port: &str) -> Result<()> {
        let start = Instant::now();
        while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            if let Some(status) = self.server.try_wait()? {
                bail!("the server ended: {status}");
            }
            if start.elapsed() > Duration::from_secs(20) {
                bail!("the server does not answer");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Until somebody stops the server.
    pub fn serve(mut self) -> Result<()> {
        self.server.wait()?;
        Ok(())
    }
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

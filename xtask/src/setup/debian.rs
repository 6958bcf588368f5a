//! A wasm toolchain from Debian's packages, for where rustup has no targets to offer.
//!
//! Debian carries a recent rustc for building browsers, with its library's source, but without that
//! library for wasm. So: unpack the packages into a folder of our own (nothing of the system
//! changes), build std from the matching source, and tell rustup of the result under the name `wasm`.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

use super::apt;
use super::wasm::{CORE_TARGET, STD_TARGET, in_dir};
use crate::run::{self, say};

/// What chooses the toolchain on a command line.
pub const ARGUMENT: &str = "+wasm";
const NAME: &str = "wasm";
const HOST: &str = "x86_64-unknown-linux-gnu";
/// The first line of the stamp in a finished toolchain. Another number makes everybody build anew.
const RECIPE: &str = "kmem recipe 1";
/// What the recipe unpacks from rust-web-src, which is otherwise large.
const LIBRARY: &str = "./usr/src/rustc-*/library/*";

/// Whether rustup's `wasm` is a sound result of this recipe.
pub fn is_linked() -> bool {
    linked().is_some()
}

/// Finds or makes the toolchain and links it.
pub fn set_up() -> Result<()> {
    let base = base()?;
    fs::create_dir_all(&base).with_context(|| format!("cannot make {}", base.display()))?;
    // Two checkouts on a machine share the result; the second waits for the first.
    let lock = File::create(base.join("rust-wasm.lock"))?;
    lock.lock()?;

    let dir = base.join("rust-wasm-1");
    let version = match linked() {
        Some(version) => version,
        None => {
            let version = match sound(&dir) {
                Some(version) => version,
                None => assemble(&base, &dir)?,
            };
            link(&dir)?;
            version
        }
    };
    say(&format!("wasm toolchain: {version}, as `cargo {ARGUMENT}`"));
    Ok(())
}

/// The folder for what is built once on a machine.
fn base() -> Result<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = var("KMEM_WASM_DIR")
        .or_else(|| Some(var("XDG_CACHE_HOME")?.join("kmem")))
        .or_else(|| Some(var("HOME")?.join(".cache/kmem")))
        .context("no HOME: say by KMEM_WASM_DIR where to keep the wasm toolchain")?;
    Ok(std::path::absolute(base)?)
}

fn linked() -> Option<String> {
    let dir = run::read(run::command("rustc").args([ARGUMENT, "--print", "sysroot"])).ok()?;
    sound(Path::new(dir.trim()))
}

/// The compiler's version, if the folder holds a result of this recipe that works.
fn sound(dir: &Path) -> Option<String> {
    let stamp = fs::read_to_string(dir.join("stamp")).ok()?;
    let (recipe, version) = stamp.split_once('\n')?;
    if recipe != RECIPE {
        return None;
    }
    smoke(dir).ok()?;
    Some(version.trim().to_owned())
}

fn link(dir: &Path) -> Result<()> {
    let Ok(toolchains) = run::read(run::command("rustup").args(["toolchain", "list"])) else {
        bail!("install rustup: the wasm toolchain is made, but `cargo {ARGUMENT}` needs it");
    };
    if toolchains.lines().any(|name| name.split_whitespace().next() == Some(NAME)) {
        say(&format!("wasm toolchain: rustup's '{NAME}' was another one, or not sound; it is replaced"));
    }
    run::read(run::command("rustup").args(["toolchain", "link", NAME]).arg(dir)).map(drop)
}

/// A command that the settings for the project's own code do not reach.
fn tool(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = run::command(program);
    for name in [
        "CARGO_BUILD_RUSTC_WRAPPER",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    command
}

/// Makes something for every target that the toolchain is for.
fn smoke(dir: &Path) -> Result<()> {
    let work = Scratch::new(&std::env::temp_dir(), "kmem-smoke")?;
    let source = |name: &str, text: &str| {
        let file = work.0.join(name);
        fs::write(&file, text).map(|()| file)
    };
    let std = "#[unsafe(no_mangle)] pub extern \"C\" fn f(n: u32) -> usize { format!(\"{n}\").len() }";
    let core = "#![no_std] extern crate alloc; pub fn f(n: u32) -> alloc::string::String { alloc::format!(\"{n}\") }";
    let inputs = [
        (source("std.rs", std)?, vec!["--crate-type=cdylib", "--target", STD_TARGET]),
        (source("core.rs", core)?, vec!["--crate-type=lib", "--target", CORE_TARGET]),
        (source("host.rs", "fn main() {}")?, vec!["--crate-type=bin"]),
    ];
    for (input, args) in inputs {
        let mut rustc = tool(dir.join("bin/rustc"));
        rustc.args(["--edition=2024", "--out-dir"]).arg(&work.0).args(args).arg(input);
        run::read(&mut rustc)?;
    }
    run::read(&mut tool(work.0.join("host")))?;
    run::read(tool(dir.join("bin/cargo")).arg("--version"))?;
    Ok(())
}

/// The whole recipe. The folder appears under its name only when it is finished.
fn assemble(base: &Path, dir: &Path) -> Result<String> {
    if !apt::present() || std::env::consts::ARCH != "x86_64" {
        bail!("the recipe is for Debian on x86-64; elsewhere: `rustup target add {STD_TARGET} {CORE_TARGET}`");
    }
    say("wasm toolchain: from Debian's packages (140 MB to fetch, 600 MB on disk, about a minute, once)");
    let work = Scratch::new(base, "rust-wasm-work")?;
    let toolchain = work.0.join("toolchain");
    let unpacked = work.0.join("unpacked");
    fetch(&work.0, &unpacked)?;
    let version = arrange(&unpacked.join("usr"), &toolchain)?;
    build_std(&work.0, &toolchain)?;
    smoke(&toolchain).context("the toolchain was put together but does not work")?;
    fs::write(toolchain.join("stamp"), format!("{RECIPE}\n{version}\n"))?;
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::rename(&toolchain, dir)?;
    Ok(version)
}

/// Fetches and unpacks the packages.
fn fetch(work: &Path, unpacked: &Path) -> Result<()> {
    if apt::is_root() {
        apt::update()?;
    } else {
        say("wasm toolchain: not root, so Debian's lists are taken as they are");
    }
    let version = field(&shown("rustc-web")?, "Version:")?;
    if !recent_enough(&version) {
        let needed = env!("CARGO_PKG_RUST_VERSION");
        bail!("Debian's rustc-web is {version}, kmem needs {needed}: as root, `apt-get update` may bring it");
    }
    // All parts must come from one build. The names of two of them carry numbers.
    let std = dependency(&shown(&format!("libstd-rust-web-dev={version}"))?, "libstd-rust-web-")?;
    let llvm = dependency(&shown(&format!("{std}={version}"))?, "libllvm")?;
    let lld = llvm.replace("libllvm", "lld-");
    let same = ["rustc-web", &std, "libstd-rust-web-dev", "rust-web-src", "rust-web-clippy"];
    let mut packages: Vec<String> = same.iter().map(|name| format!("{name}={version}")).collect();
    packages.extend([llvm.clone(), lld, "patchelf".to_owned()]);

    say(&format!("wasm toolchain: fetching rustc-web {version}"));
    let debs = work.join("debs");
    fs::create_dir_all(&debs)?;
    fs::create_dir_all(unpacked)?;
    let mut download = apt::get("download");
    run::read(download.args(&packages).current_dir(&debs)).context("the packages could not be fetched")?;

    say("wasm toolchain: unpacking");
    for deb in fs::read_dir(&debs)? {
        let deb = deb?;
        if deb.file_name().to_string_lossy().starts_with("rust-web-src") {
            unpack_library(&deb.path(), unpacked)?;
        } else {
            run::read(run::command("dpkg-deb").arg("-x").arg(deb.path()).arg(unpacked))?;
        }
    }
    // libLLVM's own dependencies are usual ones; where they are not there, its package brings them.
    let needs = run::output(
        run::command("ldd").arg(libraries(&unpacked.join("usr")).and_then(|dir| in_dir(&dir, "libLLVM.so"))?),
    )?;
    if String::from_utf8_lossy(&needs.stdout).contains("not found") {
        apt::install(&[&llvm])?;
    }
    Ok(())
}

/// Unpacks the library's source out of the compiler's.
fn unpack_library(deb: &Path, to: &Path) -> Result<()> {
    let mut reader = run::command("dpkg-deb").arg("--fsys-tarfile").arg(deb).stdout(Stdio::piped()).spawn()?;
    let pipe = reader.stdout.take().expect("stdout is piped");
    let mut tar = run::command("tar");
    // It writes where it stands, and that must never be the checkout.
    tar.current_dir(to).args(["-x", "--wildcards", LIBRARY]).stdin(pipe);
    run::quiet(&mut tar)?;
    if !reader.wait()?.success() {
        bail!("dpkg-deb could not read {}", deb.display());
    }
    Ok(())
}

/// What apt knows of a package, newest version first.
fn shown(package: &str) -> Result<String> {
    run::read(run::command("apt-cache").args(["show", package]))
        .map_err(|_| anyhow!("Debian's lists have no {package}: bookworm or later with its security updates has it"))
}

fn field(package: &str, name: &str) -> Result<String> {
    let value = package.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.with_context(|| format!("a package without {name}"))?.trim().to_owned())
}

/// The dependency whose name is this prefix and a number.
fn dependency(package: &str, prefix: &str) -> Result<String> {
    let depends = field(package, "Depends:")?;
    let numbered = |name: &&str| {
        let number = name.strip_prefix(prefix).unwrap_or_default();
        number.starts_with(|c: char| c.is_ascii_digit())
    };
    let names = depends.split(',').filter_map(|entry| entry.split_whitespace().next());
    let found = names.map(|name| name.trim_end_matches(":any")).find(numbered);
    Ok(found.with_context(|| format!("no {prefix}* among: {depends}"))?.to_owned())
}

/// Whether a version such as `1.96.0+dfsg1-1` satisfies the workspace's rust-version.
fn recent_enough(version: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> { text.split(['.', '+']).map_while(|n| n.parse().ok()).take(2).collect() };
    numbers(version) >= numbers(env!("CARGO_PKG_RUST_VERSION"))
}

fn libraries(usr: &Path) -> Result<PathBuf> {
    in_dir(&usr.join("lib"), "x86_64-linux-gnu")
}

/// Lays the unpacked files out as rustup's toolchains are. Returns the compiler's version.
fn arrange(usr: &Path, toolchain: &Path) -> Result<String> {
    let bin = toolchain.join("bin");
    let lib = toolchain.join("lib");
    let host = lib.join("rustlib").join(HOST);
    let source = lib.join("rustlib/src/rust");
    for dir in [&bin, &host.join("bin"), &source] {
        fs::create_dir_all(dir)?;
    }
    let to_dir = |from: PathBuf, dir: &Path| {
        let name = from.file_name().expect("a file has a name");
        fs::rename(&from, dir.join(name)).with_context(|| format!("cannot move {}", from.display()))
    };
    for library in ["librustc_driver-", "libLLVM.so"] {
        to_dir(in_dir(&libraries(usr)?, library)?, &lib)?;
    }
    for program in ["rustc", "rustdoc", "clippy-driver", "cargo-clippy"] {
        to_dir(usr.join("bin").join(program), &bin)?;
    }
    to_dir(usr.join("lib/rustlib").join(HOST).join("lib"), &host)?;
    to_dir(in_dir(&usr.join("src"), "rustc-")?.join("library"), &source)?;
    let linker = host.join("bin/rust-lld");
    fs::rename(in_dir(&usr.join("lib"), "llvm-")?.join("bin/lld"), &linker)?;

    // The older kind of run path: it also serves the libraries that these programs' libraries need,
    // and goes before LD_LIBRARY_PATH.
    let patchelf = |path: &str, files: &[PathBuf]| {
        let mut patchelf = run::command(usr.join("bin/patchelf"));
        run::read(patchelf.args(["--force-rpath", "--set-rpath", path]).args(files))
    };
    patchelf("$ORIGIN/../lib", &["rustc", "rustdoc", "clippy-driver"].map(|name| bin.join(name)))?;
    patchelf("$ORIGIN/../../..", &[linker])?;

    // Debian's cargo is not needed: the one at hand drives any rustc.
    let current = run::read(run::command("rustc").args(["--print", "sysroot"]))?;
    for program in ["cargo", "rustfmt", "cargo-fmt"] {
        if let Ok(file) = Path::new(current.trim()).join("bin").join(program).canonicalize() {
            symlink(file, bin.join(program))?;
        }
    }
    let sysroot = run::read(tool(bin.join("rustc")).args(["--print", "sysroot"]))?;
    if Path::new(sysroot.trim()) != toolchain {
        bail!("this rustc looks for its libraries in {}", sysroot.trim());
    }
    Ok(run::read(tool(bin.join("rustc")).arg("--version"))?.trim().to_owned())
}

/// Builds the libraries of both targets from source.
fn build_std(work: &Path, toolchain: &Path) -> Result<()> {
    let library = toolchain.join("lib/rustlib/src/rust/library");
    let parts = [(STD_TARGET, "sysroot", None), (CORE_TARGET, "alloc", Some("compiler-builtins-mem"))];
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).unwrap_or_default();
    // As rustc's own build has it, and without this machine's paths in the result.
    let flags = format!(
        "-Zforce-unstable-if-unmarked -Cembed-bitcode=yes --remap-path-prefix={}=/rustc/library --remap-path-prefix={}=/rust/deps",
        library.display(),
        cargo_home.join("registry/src").display(),
    );
    for (target, package, features) in parts {
        say(&format!("wasm toolchain: building {package} for {target}"));
        let mut cargo = tool(toolchain.join("bin/cargo"));
        cargo.args(["build", "--quiet", "--locked", "--release", "--target", target, "--manifest-path"]);
        cargo.arg(library.join(package).join("Cargo.toml"));
        cargo.args(features.into_iter().flat_map(|feature| ["--features", feature]));
        // The checkout's cargo configuration must not reach it either.
        cargo.current_dir(work);
        cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", toolchain.join("bin/rustc")).env("RUSTFLAGS", &flags);
        // Sets std's crates apart from the same crates in a project.
        cargo.env("__CARGO_DEFAULT_LIB_METADATA", "kmem-wasm");
        cargo.env("CARGO_TARGET_DIR", work.join("target"));
        cargo.env("CARGO_PROFILE_RELEASE_DEBUG", "0").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
        run::quiet(&mut cargo)?;
        let to = toolchain.join("lib/rustlib").join(target).join("lib");
        fs::create_dir_all(&to)?;
        for file in fs::read_dir(work.join("target").join(target).join("release/deps"))? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "rlib") {
                fs::copy(&file, to.join(file.file_name().expect("a file has a name")))?;
            }
        }
    }
    Ok(())
}

/// A folder that goes with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(base: &Path, name: &str) -> Result<Self> {
        let dir = base.join(format!("{name}.{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Scratch(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: what stays is only litter.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbered_dependency_is_found() {
        let package = "Package: x\nDepends: libc6 (>= 2.36), libllvm-dev, libllvm22 (>= 1:22.1)\nSection: y\n";
        assert_eq!(dependency(package, "libllvm").unwrap(), "libllvm22");
        assert!(dependency(package, "libstd-rust-web-").is_err());
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(recent_enough("1.100.0+dfsg1-1~deb12u2"));
        assert!(recent_enough(env!("CARGO_PKG_RUST_VERSION")));
        assert!(!recent_enough("1.85.0+dfsg3-1~deb12u3"));
    }
}

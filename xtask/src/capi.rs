//! `cargo xtask c`: the libraries and the header for C programs.
//!
//! ```text
//! capi/src ─► kmem-header (cbindgen) ─► capi/include/kmem.h, committed
//!     └─► cargo, with and without shredding ─► libkmem{,_noshred}.{a,so} ─► target/c, or PREFIX/{lib,include}
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run;

/// The functions that every library has, each a line; those behind `shred` only with shredding.
pub const SYMBOLS: &str = "capi/symbols.txt";

/// A library: its name, and the features that it is built with.
pub struct Library {
    pub name: &'static str,
    pub features: &'static str,
    /// What a program that uses it defines.
    pub define: &'static str,
}

pub const LIBRARIES: [Library; 2] = [
    Library { name: "kmem", features: "", define: "" },
    Library { name: "kmem_noshred", features: "--no-default-features", define: "-DKFmem_noshred" },
];

/// `cargo xtask c [--prefix DIR]`.
pub fn command(args: &[String]) -> Result<()> {
    let places = match args {
        [] => Places::flat(run::target().join("c")),
        [option, prefix] if option == "--prefix" => Places::under(&std::path::absolute(prefix)?),
        _ => bail!("c takes --prefix DIR and nothing else"),
    };
    let header = run::root().join("capi/include/kmem.h");
    fs::write(&header, make_header()?).with_context(|| format!("cannot write {}", header.display()))?;
    build(&places)?;
    run::say(&format!("{}: kmem.h", places.include.display()));
    run::say(&format!("{}: libkmem.a, libkmem.so, the same without shredding", places.lib.display()));
    run::say(&format!("{}: kmem.pc, kmem_noshred.pc", places.pkgconfig.display()));
    Ok(())
}

/// Where everything goes.
pub struct Places {
    prefix: PathBuf,
    pub lib: PathBuf,
    pub include: PathBuf,
    pkgconfig: PathBuf,
}

impl Places {
    /// All in one folder.
    pub fn flat(folder: PathBuf) -> Self {
        Self { prefix: folder.clone(), lib: folder.clone(), include: folder.clone(), pkgconfig: folder }
    }

    fn under(prefix: &Path) -> Self {
        let lib = prefix.join("lib");
        Self { prefix: prefix.to_owned(), include: prefix.join("include"), pkgconfig: lib.join("pkgconfig"), lib }
    }
}

/// The header as the sources of the C face make it.
pub fn make_header() -> Result<String> {
    let folder = run::target().join("header");
    let mut tool = run::cargo("run --quiet --locked --manifest-path xtask/header/Cargo.toml --");
    let out = folder.join("kmem.h");
    fs::create_dir_all(&folder)?;
    run::run(tool.env("CARGO_TARGET_DIR", &folder).arg("capi").arg(&out))?;
    fs::read_to_string(&out).with_context(|| format!("no {}", out.display()))
}

/// Builds both libraries and puts them and the header where they belong.
pub fn build(places: &Places) -> Result<()> {
    for folder in [&places.lib, &places.include, &places.pkgconfig] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    for Library { name, features, define } in LIBRARIES {
        // A folder each, so that none takes the other's place.
        let folder = run::target().join("capi").join(name);
        let mut cargo = run::cargo(&format!("build --quiet --locked --profile capi -p kmem-capi {features}"));
        run::run(cargo.env("CARGO_TARGET_DIR", &folder))?;
        let built = folder.join("capi");
        put(&built.join("libkmem_capi.a"), &places.lib.join(format!("lib{name}.a")))?;
        // A program asks for the library by the name in it, which has the number of what it may be replaced by.
        let shared = places.lib.join(format!("lib{name}.so"));
        put(&built.join("libkmem_capi.so"), &shared.with_extension("so.0"))?;
        if fs::symlink_metadata(&shared).is_ok() {
            fs::remove_file(&shared)?;
        }
        std::os::unix::fs::symlink(format!("lib{name}.so.0"), &shared)?;
        fs::write(places.pkgconfig.join(format!("{name}.pc")), package(places, name, define))?;
    }
    put(&run::root().join("capi/include/kmem.h"), &places.include.join("kmem.h"))
}

fn put(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// What `pkg-config` is told.
fn package(places: &Places, name: &str, define: &str) -> String {
    let (prefix, lib, include) = (places.prefix.display(), places.lib.display(), places.include.display());
    let version = env!("CARGO_PKG_VERSION");
    let cflags = format!("-I${{includedir}} {define}");
    format!(
        "prefix={prefix}\nlibdir={lib}\nincludedir={include}\n\nName: {name}\n\
         Description: Six kinds of memory in one vocabulary, every misuse refused\nVersion: {version}\n\
         Libs: -L${{libdir}} -l{name}\nCflags: {}\n",
        cflags.trim_end()
    )
}

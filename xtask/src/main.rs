//! `cargo xtask`: everything that a person runs in this checkout, and its only script language.
//!
//! ```text
//! main ── setup      what the tests need: wasm toolchain, wasm tools, system programs
//!     ├── test       the list of steps ── checks/   one file a kind of step
//!     ├── demo       the demo on a JSON file, and the page with it
//!     ├── bench      kmem beside its peers
//!     ├── programs   real programs with kmem as their allocator, and with its peers
//!     ├── stress     the process heap under many threads
//!     ├── suites     the test suites of other crates with kmem as their allocator
//!     ├── capi       the libraries and the header for C
//!     ├── fuzz       scripts of calls of the C face
//!     ├── web        building the npm package and the page
//!     └── documents  large JSON files made up for the demo
//!              all of them by run: start a command, show it, read what came of it
//! ```

mod bench;
mod capi;
mod checks;
mod demo;
mod documents;
mod fuzz;
mod machine;
mod programs;
mod run;
mod setup;
mod stress;
mod suites;
mod test;
mod web;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask <command>

  setup                          install what the tests need: wasm toolchain and tools, strace, valgrind, binutils, Chromium
  test [--only NAME]... [--from NAME] [--list]
                                 every check on every target; does its own set-up
  demo [FILE] [--no-serve] [--check]
                                 the demo on FILE, or on the largest JSON file of the checkout, then the page with
                                 the document as a tree; --check loads it in headless Chromium and ends
  c [--prefix DIR]               libkmem.a, libkmem.so, kmem.h and kmem.pc (and the same without shredding) into DIR, or
                                 into target/c
  fuzz [--seconds N] [--seeded]  scripts of calls of the C face beside a model, for a minute; or that each of ten bugs
                                 that are put in is found within a minute
  frames                         how long the page takes for a frame while 2,000 operations are played in each
  documents                      make three large JSON files and a malformed one, and run the demo on each
  bench [GROUP]... [--work TEXT] [--quick] [--resume]
                                 kmem beside its peers, into target/bench: all groups or these (lin, pool, ref, tree,
                                 heap, shred, sizes, in wasm wasm-lin and so on, and wasm-size), of these only the works
                                 whose names hold TEXT; --resume keeps the groups that are there
  bench c                        trees by the C face beside talloc's, in one program of C
  programs [NAME]... [--rounds N] [--quick]
                                 real programs (ripgrep, json, syn) built with kmem and with each peer as their allocator:
                                 processor time and peak memory, into target/bench
  stress [--minutes N] [--threads N] [--resume]
                                 the process heap under threads that come and go, and forks; --resume goes on
  suites [NAME]...               the test suites of well-known crates with kmem as the allocator of all their tests
  help                           this list

Environment:
  KMEM_WASM_TOOLCHAIN=debian     take the wasm toolchain from Debian's packages, not from rustup
  KMEM_WASM_DIR=DIR              where to keep it (else $XDG_CACHE_HOME/kmem or ~/.cache/kmem)
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<ExitCode> {
    let (command, rest) = match args {
        [] => ("help", args),
        [command, rest @ ..] => (command.as_str(), rest),
    };
    match command {
        "setup" => done(setup::command(rest)),
        "test" => test::command(rest),
        "demo" => done(demo::command(&machine::Machine::default(), rest)),
        "bench" => done(bench::command(rest)),
        "programs" => done(programs::command(rest)),
        "stress" => done(stress::command(rest)),
        "suites" => suites::command(rest),
        "c" => done(capi::command(rest)),
        "fuzz" => done(fuzz::command(rest)),
        "documents" => documents::command(rest),
        "frames" => done(web::frames(&machine::Machine::default(), rest)),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("no command '{other}'; `cargo xtask help` lists them"),
    }
}

fn done(result: Result<()>) -> Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

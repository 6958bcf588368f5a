//! The C face: its header, its symbols, and programs in C by two compilers, in two languages, linked in two ways.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Tally, ensure};
use crate::capi::{self, LIBRARIES, Library, Places};
use crate::machine::Machine;
use crate::run;

const STRICT: &str = "-g -O1 -Wall -Wextra -Werror -pedantic";
/// The compilers, and how each is told the language.
const COMPILERS: [&str; 4] = ["gcc -std=c11", "clang -std=c11", "g++ -x c++ -std=c++17", "clang++ -x c++ -std=c++17"];
/// Which tools watch a program, beside running it as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// The sanitizers and valgrind.
    Both,
    /// Valgrind lets one thread run at a time: where some wait for others it takes minutes.
    Sanitizers,
    /// The program counts what it asks the system for, and so do they.
    No,
}

/// Programs in `tests/c`.
const PROGRAMS: [(&str, Watched); 8] = [
    ("kinds", Watched::Both),
    ("misuse", Watched::Both),
    ("headers", Watched::Both),
    ("guests", Watched::Both),
    ("trees", Watched::Both),
    ("threads", Watched::Both),
    ("races", Watched::Sanitizers),
    ("fixed", Watched::No),
];

pub fn c(machine: &Machine, tally: &mut Tally) -> Result<()> {
    machine.programs()?;
    let made = capi::make_header()?;
    let committed = fs::read_to_string(run::root().join("capi/include/kmem.h"))?;
    tally.check(ensure(made == committed, || "kmem.h is not what the sources make: run `cargo xtask c`".to_owned()));
    let places = Places::flat(run::target().join("c"));
    capi::build(&places)?;
    for library in &LIBRARIES {
        tally.check(symbols(&places, library));
    }
    tally.run(&mut run::cargo("test --quiet -p kmem-capi"));
    let build = Build { places, out: run::target().join("c/tests") };
    fs::create_dir_all(&build.out)?;
    build.header(tally)?;
    build.programs(tally)?;
    build.examples(tally)
}

/// That a library has the functions that it had, and no other.
fn symbols(places: &Places, library: &Library) -> Result<()> {
    let listed = fs::read_to_string(run::root().join(capi::SYMBOLS))?;
    let shreds = library.define.is_empty();
    let mut wanted: Vec<&str> = listed
        .lines()
        .filter(|line| shreds || !line.ends_with(" shred"))
        .map(|line| line.trim_end_matches(" shred"))
        .collect();
    wanted.sort_unstable();
    let file = places.lib.join(format!("lib{}.so", library.name));
    let text = run::read(run::command("nm").args(["-D", "--defined-only"]).arg(&file))?;
    let mut found: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().last()).collect();
    found.sort_unstable();
    let missing: Vec<_> = wanted.iter().filter(|name| !found.contains(name)).collect();
    let new: Vec<_> = found.iter().filter(|name| !wanted.contains(name)).collect();
    println!("{}: {} functions", file.display(), found.len());
    ensure(missing.is_empty() && new.is_empty(), || {
        format!("{}: {} is not as it has: missing {missing:?}, new {new:?}", file.display(), capi::SYMBOLS)
    })
}

struct Build {
    places: Places,
    out: std::path::PathBuf,
}

impl Build {
    /// A compiler, told what it must be strict about and where the header is.
    fn compiler(&self, compiler: &str, library: &Library) -> Command {
        let mut words = compiler.split_whitespace();
        let mut command = run::command(words.next().unwrap_or("cc"));
        command.args(words).args(STRICT.split_whitespace()).args(library.define.split_whitespace());
        command.arg("-I").arg(&self.places.include);
        command
    }

    /// The header by itself.
    fn header(&self, tally: &mut Tally) -> Result<()> {
        let source = self.out.join("alone.c");
        fs::write(&source, "#include \"kmem.h\"\n#include \"kmem.h\"\nextern int unused;\n")?;
        let mut all = Vec::new();
        for compiler in COMPILERS {
            for library in &LIBRARIES {
                let mut command = self.compiler(compiler, library);
                command.arg("-fsyntax-only").arg(&source);
                all.push(command);
            }
        }
        tally.run_at_once(all);
        Ok(())
    }

    /// Compiles a program of `tests/c`; the command that runs it.
    fn program(&self, name: &str, compiler: &str, library: &Library, shared: bool, more: &[&str]) -> Result<Command> {
        let how = [compiler, library.name, if shared { "shared" } else { "static" }, &more.concat()].join("-");
        let file = format!("{name}-{how}").replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
        let program = self.out.join(file);
        let mut command = self.compiler(compiler, library);
        command.args(more).arg(run::root().join("tests/c").join(name).with_extension("c"));
        // Of a file without a language by its name, the compiler is told that it is none.
        command.args(["-x", "none", "-o"]).arg(&program);
        let lib = &self.places.lib;
        if shared {
            command.arg("-L").arg(lib).arg(format!("-l{}", library.name));
            command.arg(format!("-Wl,-rpath,{}", lib.display()));
        } else {
            command.arg(lib.join(format!("lib{}.a", library.name)));
        }
        command.args(["-lpthread", "-ldl", "-lm"]);
        run::read(&mut command)?;
        Ok(run::command(program))
    }

    fn programs(&self, tally: &mut Tally) -> Result<()> {
        let mut all = Vec::new();
        for (name, watched) in PROGRAMS {
            for (number, compiler) in COMPILERS.into_iter().enumerate() {
                for library in &LIBRARIES {
                    for shared in [false, true] {
                        // Without shredding once for each way to link.
                        if library.define.is_empty() || number == usize::from(shared) {
                            all.push(self.program(name, compiler, library, shared, &[])?);
                        }
                    }
                }
            }
            if watched != Watched::No {
                let sanitized = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
                all.push(self.program(name, COMPILERS[0], &LIBRARIES[0], false, &sanitized)?);
            }
            if watched == Watched::Both {
                let mut valgrind = run::command("valgrind");
                // One in so many of what is alike.
                valgrind.env("EVERY", "4").args(["--quiet", "--error-exitcode=9", "--trace-children=yes"]);
                valgrind.arg(self.program(name, COMPILERS[0], &LIBRARIES[0], false, &[])?.get_program());
                all.push(valgrind);
            }
        }
        tally.run_at_once(all);
        Ok(())
    }

    /// The examples compile, run, and say what they are to say.
    fn examples(&self, tally: &mut Tally) -> Result<()> {
        let folder = run::root().join("tests/c/examples");
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "c") {
                names.push(path);
            }
        }
        names.sort();
        for path in names {
            tally.check(self.example(&path));
        }
        Ok(())
    }

    fn example(&self, path: &Path) -> Result<()> {
        let stem = path.file_stem().context("a file has a name")?.to_string_lossy().into_owned();
        let said = fs::read_to_string(path.with_extension("out"))?;
        for (compiler, shared) in [(COMPILERS[0], false), (COMPILERS[3], true)] {
            let name = format!("examples/{stem}");
            fs::create_dir_all(self.out.join("examples"))?;
            let mut program = self.program(&name, compiler, &LIBRARIES[0], shared, &[])?;
            let says = run::read(&mut program)?;
            ensure(says == said, || format!("{stem} says:\n{says}"))?;
        }
        println!("{stem}: as it should");
        Ok(())
    }
}

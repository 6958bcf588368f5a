//! `cargo xtask test`: the list of steps, and running it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::checks::{
    Tally, c, coverage, demo, deps, freestanding, lint, native, sanitize, seeded, targets, threads, wasm, web, wipe,
};
use crate::machine::Machine;
use crate::setup;

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&Machine, &mut Tally) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step { name: "setup", about: "install what is missing", run: set_up },
    Step { name: "fmt", about: "formatting", run: lint::fmt },
    Step { name: "clippy", about: "lints on this machine, both backends", run: lint::clippy },
    Step { name: "clippy-wasm", about: "lints for wasm", run: lint::clippy_wasm },
    Step { name: "powerset", about: "lints in every set of features, on both targets", run: lint::powerset },
    Step { name: "doc", about: "documentation without a warning", run: lint::doc },
    Step { name: "native", about: "all tests on this machine", run: native::debug },
    Step { name: "release", about: "kmem's tests, optimized", run: native::release },
    Step { name: "features", about: "kmem's tests with features off", run: native::features },
    Step { name: "libc", about: "the tests over libc's mmap", run: native::libc },
    Step {
        name: "asan",
        about: "the tests under AddressSanitizer, which sees the stores' cells",
        run: sanitize::address,
    },
    Step { name: "valgrind", about: "tests under memcheck, which sees the stores' cells too", run: sanitize::valgrind },
    Step { name: "loom", about: "the atomic count in every order of threads", run: sanitize::loom },
    Step {
        name: "threads",
        about: "threads under ThreadSanitizer, and workers with one memory",
        run: threads::threads,
    },
    Step { name: "seeded", about: "bugs put in on purpose are caught", run: seeded::seeded },
    Step { name: "coverage", about: "which lines the tests run", run: coverage::coverage },
    Step { name: "no-std", about: "builds for targets without std", run: native::no_std },
    Step { name: "targets", about: "type checks for other processors and systems", run: targets::targets },
    Step { name: "deps", about: "few crates, no procedural macro", run: deps::deps },
    Step { name: "freestanding", about: "a program without std or libc's allocator", run: freestanding::freestanding },
    Step { name: "c", about: "the C face: header, symbols, programs in C and C++, under ASan and memcheck", run: c::c },
    Step { name: "wipe", about: "the machine code of a wipe", run: wipe::wipe },
    Step { name: "wasm", about: "the tests in Node", run: wasm::open },
    Step { name: "wasm-capped", about: "the tests in Node in 64 MiB", run: wasm::capped },
    Step { name: "chromium", about: "conformance on a page and in a worker of Chromium", run: wasm::chromium },
    Step { name: "package", about: "the npm package: tests, and installed elsewhere", run: web::package },
    Step { name: "page", about: "the page in headless Chromium", run: web::page },
    Step { name: "demo", about: "the demo on real and on hard documents, and the page with one", run: demo::demo },
];

fn set_up(machine: &Machine, tally: &mut Tally) -> Result<()> {
    tally.check(setup::everything(machine));
    Ok(())
}

/// `cargo xtask test`.
pub fn command(args: &[String]) -> Result<ExitCode> {
    let Some(chosen) = chosen(args)? else {
        for step in STEPS {
            println!("{:<14} {}", step.name, step.about);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let machine = Machine::default();
    let start = Instant::now();
    let mut total = Tally::default();
    let mut report = Vec::new();
    for (i, step) in chosen.iter().enumerate() {
        println!("\n=== step {}/{}: {} ({}), {} so far", i + 1, chosen.len(), step.name, step.about, clock(start));
        let began = Instant::now();
        let mut tally = Tally::default();
        if let Err(error) = (step.run)(&machine, &mut tally) {
            tally.check(Err(error));
        }
        if tally.is_empty() {
            tally.check(Err(anyhow::anyhow!("the step checked nothing")));
        }
        println!("--- {}: {} passed, {} failed, {}", step.name, tally.passed, tally.failed, clock(began));
        report.push((step.name, tally, began.elapsed()));
    }
    println!("\n=== all steps, {}", clock(start));
    for (name, tally, took) in report {
        let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
        println!("{verdict:<7} {name:<14} {:>6} passed {:>4} failed {:>8}", tally.passed, tally.failed, spell(took));
        tally.failures.iter().for_each(|failure| println!("        {failure}"));
        total.add(tally);
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The steps to run; none if they are only to be listed.
fn chosen(args: &[String]) -> Result<Option<Vec<&'static Step>>> {
    let mut steps: Vec<&Step> = STEPS.iter().collect();
    let mut only = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut named = || {
            let name = args.next().with_context(|| format!("{arg} takes a step's name"))?;
            let place = STEPS.iter().position(|step| step.name == name);
            place.with_context(|| format!("no step '{name}'; `cargo xtask test --list` lists them"))
        };
        match arg.as_str() {
            "--list" => return Ok(None),
            "--only" => only.push(&STEPS[named()?]),
            "--from" => steps = STEPS[named()?..].iter().collect(),
            other => bail!("test takes --only NAME, --from NAME and --list, not '{other}'"),
        }
    }
    Ok(Some(if only.is_empty() { steps } else { only }))
}

fn clock(since: Instant) -> String {
    spell(since.elapsed())
}

fn spell(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), (seconds % 60.0).floor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> Option<Vec<&'static str>> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        chosen(&args).unwrap().map(|steps| steps.iter().map(|step| step.name).collect())
    }

    #[test]
    fn steps_are_chosen_by_name() {
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["--only", "wasm", "--only", "fmt"]).unwrap(), ["wasm", "fmt"]);
        assert_eq!(names(&["--from", "wasm"]).unwrap(), ["wasm", "wasm-capped", "chromium", "package", "page", "demo"]);
        assert_eq!(names(&["--list"]), None);
        assert!(chosen(&["--only".to_owned(), "nothing".to_owned()]).is_err());
        assert!(chosen(&["--only".to_owned()]).is_err());
    }

    #[test]
    fn times_are_spelled() {
        assert_eq!(spell(Duration::from_millis(1250)), "1.2 s");
        assert_eq!(spell(Duration::from_secs(125)), "2 min 05 s");
    }
}

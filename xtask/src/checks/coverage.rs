//! Which lines of src and platform the native tests run, and which they do not.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Tally, ensure};
use crate::machine::Machine;
use crate::run;
use crate::setup::programs;

/// Lines in a hundred that must be run.
const LEAST: f64 = 93.0;
/// What is looked at.
const FOLDERS: [&str; 2] = ["src/", "platform/src/"];
/// Not part of these programs, and what runs them: `docs/checks.md` names the tests.
const ELSEWHERE: [(&str, &str); 6] = [
    ("platform/src/wasm32.rs", "wasm"),
    ("platform/src/unix.rs", "libc"),
    ("src/lone/mod.rs", "wasm"),
    ("src/lone/solo.rs", "wasm"),
    ("src/lone/tags.rs", "wasm"),
    ("src/process/hardened.rs", "features"),
];
/// Every suite but the random models, which need long, and those that only compile.
const SUITES: &str = "--lib --test conformance --test regressions --test faults --test shred --test inspect \
                      --test depth --test typed --test collections --test global --test kept \
                      --test reuse --test teardown --test stress --test stale --test exhausted --test flat \
                      --features std,allocator-api2,allocator-api2-04";

/// Measures, names the gaps, and wants the least.
pub fn coverage(_: &Machine, tally: &mut Tally) -> Result<()> {
    let llvm = programs::llvm()?;
    let dir = run::target().join("coverage");
    let profiles = dir.join("profiles");
    if profiles.exists() {
        fs::remove_dir_all(&profiles)?;
    }
    let programs = programs()?;
    // All threads of a program write to the same counters, and would wait for each other.
    let tests = programs.iter().map(|program| {
        let mut test = run::command(program);
        test.arg("--test-threads=1").env("LLVM_PROFILE_FILE", profiles.join("%p.profraw"));
        test
    });
    tally.tests_at_once(tests.collect());
    let merged = dir.join("merged.profdata");
    let raw = fs::read_dir(&profiles)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    run::quiet(run::command(llvm.tool("llvm-profdata")).args(["merge", "--sparse", "-o"]).arg(&merged).args(raw))?;
    let mut files = Files::new();
    for program in &programs {
        // One by one: of several, the tool believes the first that has a function, though it may only have it unused.
        let mut export = run::command(llvm.tool("llvm-cov"));
        export.args(["export", "--format=lcov", "--instr-profile"]).arg(&merged).arg(program);
        count(&mut files, &run::read(&mut export)?)?;
    }
    let (mut run_lines, mut all_lines) = (0, 0);
    for (file, lines) in &files {
        let run = lines.values().filter(|count| **count > 0).count();
        println!("{:>6.1} %  {file}{}", percent(run, lines.len()), gaps(lines));
        run_lines += run;
        all_lines += lines.len();
    }
    for (file, step) in ELSEWHERE {
        println!("   none  {file}, which the step `{step}` runs");
        tally.check(ensure(!files.contains_key(file), || format!("{file} is in these programs")));
    }
    let covered = percent(run_lines, all_lines);
    println!("{covered:>6.1} %  of {all_lines} lines in src and platform");
    tally.check(ensure(covered >= LEAST, || format!("less than {LEAST} % of the lines are run")));
    Ok(())
}

/// Builds the tests.
pub fn programs() -> Result<Vec<PathBuf>> {
    Ok([build(&format!("-p kmem {SUITES}"))?, build("-p kmem-platform --lib")?].concat())
}

/// Builds tests so that they count the lines they run, with the bugs of the step `seeded` in them, asleep, and with
/// what the stores tell valgrind: three builds of the largest suites would take three times as long.
pub fn build(tests: &str) -> Result<Vec<PathBuf>> {
    let mut build = run::cargo(&format!("test {tests} --no-run --message-format=json-render-diagnostics"));
    build.env("CARGO_TARGET_DIR", run::target().join("coverage"));
    build.env("RUSTFLAGS", "-Cinstrument-coverage --cfg kmem_seeded --cfg kmem_valgrind");
    Ok(run::read(&mut build)?.lines().filter_map(executable).collect())
}

/// The program that one of cargo's messages names.
pub fn executable(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once("\"executable\":\"")?;
    Some(rest.split_once('"')?.0.into())
}

/// How often each line was run.
type Lines = BTreeMap<usize, u64>;
type Files = BTreeMap<String, Lines>;

/// Adds what a report in lcov's format tells of the lines of files.
fn count(files: &mut Files, report: &str) -> Result<()> {
    let root = format!("{}/", run::root().display());
    let mut file = None;
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            let path = path.strip_prefix(&root).unwrap_or(path);
            file = FOLDERS.iter().any(|folder| path.starts_with(folder)).then(|| path.to_owned());
        } else if let (Some(counts), Some(file)) = (line.strip_prefix("DA:"), &file) {
            let (line, count) = counts.split_once(',').context("a line and its count")?;
            let known = files.entry(file.clone()).or_default().entry(line.parse()?).or_default();
            *known += count.parse::<u64>()?;
        }
    }
    Ok(())
}

/// The lines that were never run, as ranges.
fn gaps(lines: &Lines) -> String {
    let mut gaps: Vec<RangeInclusive<usize>> = Vec::new();
    let mut before_was_run = true;
    for (line, count) in lines {
        match gaps.last_mut() {
            _ if *count > 0 => {}
            Some(gap) if !before_was_run => *gap = *gap.start()..=*line,
            _ => gaps.push(*line..=*line),
        }
        before_was_run = *count > 0;
    }
    let shown = |gap: RangeInclusive<usize>| match (gap.start(), gap.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}–{last}"),
    };
    let gaps: Vec<_> = gaps.into_iter().map(shown).collect();
    if gaps.is_empty() { String::new() } else { format!(", but for {}", gaps.join(", ")) }
}

#[expect(clippy::cast_precision_loss, reason = "lines of code are few")]
fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_told_as_ranges_of_lines_that_can_be_run() {
        let counts = [(1, 1), (3, 0), (4, 0), (7, 0), (8, 2), (9, 0)];
        assert_eq!(gaps(&counts.into_iter().collect()), ", but for 3–7, 9");
        assert_eq!(gaps(&Lines::new()), "");
    }

    #[test]
    fn programs_are_found_in_messages() {
        assert_eq!(executable(r#"{"fresh":true,"executable":"/a/b-12"}"#), Some("/a/b-12".into()));
        assert_eq!(executable(r#"{"fresh":true,"executable":null}"#), None);
    }
}

//! The checks behind the steps of `cargo xtask test`.

pub mod c;
pub mod coverage;
pub mod demo;
pub mod deps;
pub mod freestanding;
pub mod lint;
pub mod native;
pub mod sanitize;
pub mod seeded;
pub mod targets;
pub mod threads;
pub mod wasm;
pub mod web;
pub mod wipe;

use std::process::{Command, Output};
use std::sync::Mutex;

use anyhow::{Result, bail};

use crate::run;

/// What the checks of one step, or of all, came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Tests, and checks of one command, that passed.
    pub passed: u64,
    /// And that failed.
    pub failed: u64,
    /// What failed, as far as the output has a name for it: told again at the end, where a reader of a long log looks.
    pub failures: Vec<String>,
}

impl Tally {
    /// Counts one check.
    pub fn check(&mut self, result: Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(error) => {
                println!("FAILED: {error:#}");
                self.failed += 1;
                self.failures.push(format!("{error:#}").lines().next().unwrap_or_default().to_owned());
            }
        }
    }

    /// Runs a command and counts it as one check.
    pub fn run(&mut self, command: &mut Command) {
        self.check(run::run(command));
    }

    /// Runs a command that runs tests, and counts those. A failure that no test accounts for, and a
    /// run without a test, count as one failed.
    pub fn tests(&mut self, command: &mut Command) {
        let mut sum = Tally::default();
        let result = run::watch(command, |line| sum.read(line));
        self.judge(command, sum, result);
    }

    /// The same for several commands that keep one processor busy each: as many at once as there are, and what
    /// each prints is shown when it ends.
    pub fn tests_at_once(&mut self, commands: Vec<Command>) {
        self.at_once(commands, |tally, command, output| {
            let (sum, result) = Self::of(output);
            tally.judge(command, sum, result);
        });
    }

    /// The same where some of the commands may have no test, as long as another has.
    pub fn tests_of_some_at_once(&mut self, commands: Vec<Command>) {
        let mut all = Tally::default();
        all.at_once(commands, |tally, command, output| match Self::of(output) {
            (sum, Ok(true)) if sum.is_empty() => {}
            (sum, result) => tally.judge(command, sum, result),
        });
        if all.is_empty() {
            self.check(Err(anyhow::anyhow!("none of the programs has a test")));
        }
        self.add(all);
    }

    /// What a command's tests came to, by what it printed, and whether it succeeded.
    fn of(output: Result<Output>) -> (Self, Result<bool>) {
        let mut sum = Tally::default();
        let result = output.map(|output| {
            let text = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&text).lines().for_each(|line| sum.read(line));
            output.status.success()
        });
        (sum, result)
    }

    /// Runs several commands at once and counts each as one check.
    pub fn run_at_once(&mut self, commands: Vec<Command>) {
        self.at_once(commands, |tally, command, output| {
            let good = |output: Output| {
                ensure(output.status.success(), || format!("{}: {}", run::shown(command), output.status))
            };
            tally.check(output.and_then(good));
        });
    }

    fn at_once(&mut self, commands: Vec<Command>, judge: impl Fn(&mut Self, &Command, Result<Output>) + Sync) {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let total = Mutex::new((self, commands.into_iter()));
        let work = || {
            loop {
                let next = total.lock().expect("no worker panics").1.next();
                let Some(mut command) = next else { return };
                run::say(&format!("$ {}", run::shown(&command)));
                let output = run::output(&mut command);
                let mut total = total.lock().expect("no worker panics");
                if let Ok(output) = &output {
                    print!("{}", String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()));
                }
                judge(total.0, &command, output);
            }
        };
        std::thread::scope(|scope| (0..processors).for_each(|_| drop(scope.spawn(work))));
    }

    /// Adds the results that a line of output tells, if it tells any.
    fn read(&mut self, line: &str) {
        if let Some((passed, failed)) = summary(line) {
            self.passed += passed;
            self.failed += failed;
        }
        self.failures.extend(failure(line).map(str::to_owned));
    }

    /// Counts what a command's tests came to, and whether it ended as they say.
    fn judge(&mut self, command: &Command, sum: Self, result: Result<bool>) {
        let unexplained = match result {
            Err(error) => Some(error),
            Ok(false) if sum.failed == 0 => Some(anyhow::anyhow!("{} failed", run::shown(command))),
            Ok(true) if sum.failed > 0 => Some(anyhow::anyhow!("tests failed, but {} did not", run::shown(command))),
            Ok(_) if sum.is_empty() => Some(anyhow::anyhow!("{} ran no test", run::shown(command))),
            Ok(_) => None,
        };
        self.add(sum);
        if let Some(error) = unexplained {
            self.check(Err(error));
        }
    }

    /// Adds what another came to.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
    }

    /// Whether nothing was checked.
    pub fn is_empty(&self) -> bool {
        self.passed + self.failed == 0
    }
}

/// Reads what a test program says at its end, libtest's or wasm-bindgen-test's, Vitest's, Playwright's:
///
/// ```text
/// test result: ok. 5 passed; 0 failed; ...
///       Tests  1 failed | 45 passed (46)
///   17 passed (25.0s)
/// ```
///
/// Gives how many passed, and how many failed.
fn summary(line: &str) -> Option<(u64, u64)> {
    let counts: Vec<&str> =
        if let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) {
            counts.split("; ").collect()
        } else if let Some(counts) = line.trim_start().strip_prefix("Tests  ") {
            counts.split(" | ").collect()
        } else if line.starts_with("  ") && line.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
            vec![line.trim_start()]
        } else {
            return None;
        };
    let count = |what: &str| {
        counts.iter().find_map(|part| {
            let mut words = part.split_whitespace();
            let number = words.next()?.parse().ok()?;
            (words.next()? == what && words.all(|word| word.starts_with('('))).then_some(number)
        })
    };
    let (passed, failed) = (count("passed"), count("failed"));
    (passed.is_some() || failed.is_some()).then(|| (passed.unwrap_or_default(), failed.unwrap_or_default()))
}

/// The name of the test that a line says has failed:
///
/// ```text
/// test actions::shrink ... FAILED
///   ✘  12 e2e/views.spec.ts:36:1 › every view draws its store (1.9s)
///  FAIL  test/lin.test.ts > marks > rewind
/// ```
fn failure(line: &str) -> Option<&str> {
    if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix("FAILED")) {
        return Some(name.trim_end().trim_end_matches('.').trim_end());
    }
    let rest = line.trim_start();
    rest.strip_prefix("✘ ").or_else(|| rest.strip_prefix("FAIL  ")).map(str::trim)
}

/// An error unless the condition holds.
fn ensure(condition: bool, complaint: impl Fn() -> String) -> Result<()> {
    if !condition {
        bail!(complaint());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_rust_are_read() {
        let native = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(summary(native), Some((12, 0)));
        let wasm = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 filtered out; finished in 0.05s";
        assert_eq!(summary(wasm), Some((3, 2)));
        assert_eq!(summary("test result"), None);
        assert_eq!(summary("test a::b ... ok"), None);
    }

    #[test]
    fn summaries_of_the_web_are_read() {
        assert_eq!(summary("      Tests  46 passed (46)"), Some((46, 0)));
        assert_eq!(summary("      Tests  1 failed | 45 passed (46)"), Some((45, 1)));
        assert_eq!(summary(" Test Files  4 passed (4)"), None);
        assert_eq!(summary("  17 passed (25.0s)"), Some((17, 0)));
        assert_eq!(summary("  2 failed"), Some((0, 2)));
        assert_eq!(summary("  2 failed to say what"), None);
    }

    #[test]
    fn a_failed_test_is_named() {
        assert_eq!(failure("test actions::shrink ... FAILED"), Some("actions::shrink"));
        assert_eq!(failure("test actions::shrink ... ok"), None);
        assert_eq!(failure("test result: FAILED. 3 passed; 2 failed"), None);
        assert_eq!(
            failure("  ✘  12 e2e/a.spec.ts:3:1 › a title (1.9s)"),
            Some("12 e2e/a.spec.ts:3:1 › a title (1.9s)")
        );
        assert_eq!(failure("  ✓  12 e2e/a.spec.ts:3:1 › a title (1.9s)"), None);
        assert_eq!(failure(" FAIL  test/lin.test.ts > marks"), Some("test/lin.test.ts > marks"));
    }

    #[test]
    fn a_run_without_tests_has_failed() {
        let mut tally = Tally::default();
        tally.tests(&mut run::command("true"));
        assert_eq!((tally.passed, tally.failed), (0, 1));
    }

    #[test]
    fn a_failure_is_counted_once() {
        let mut tally = Tally::default();
        let print = "echo 'test result: FAILED. 3 passed; 2 failed; 0 ignored'; exit 101";
        tally.tests(run::command("sh").args(["-c", print]));
        tally.tests(run::command("sh").args(["-c", "exit 101"]));
        assert_eq!((tally.passed, tally.failed), (3, 3));
    }

    #[test]
    fn commands_at_once_are_counted_like_one_by_one() {
        let mut tally = Tally::default();
        let sh = |script: &str| {
            let mut sh = run::command("sh");
            sh.args(["-c", script]);
            sh
        };
        let good = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'";
        tally.tests_at_once(vec![sh(good), sh("exit 1"), sh(good), sh("true")]);
        assert_eq!((tally.passed, tally.failed), (4, 2));
        tally.tests_of_some_at_once(vec![sh(good), sh("true"), sh("exit 1")]);
        assert_eq!((tally.passed, tally.failed), (6, 3));
        tally.tests_of_some_at_once(vec![sh("true")]);
        assert_eq!((tally.passed, tally.failed), (6, 4));
    }
}

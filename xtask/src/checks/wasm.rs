//! The tests in WebAssembly, run by Node and by a browser.

use std::process::Command;

use anyhow::Result;

use super::native::QUICK;
use super::{Tally, coverage};
use crate::machine::Machine;
use crate::run;

/// 64 MiB.
const CAP: u32 = 64 << 20;

/// The tests, with as much memory as Node gives. A program runs in one thread.
pub fn open(machine: &Machine, tally: &mut Tally) -> Result<()> {
    tally.tests_of_some_at_once(programs(machine, "wasm-bindgen-test-runner", "-p kmem -p kmem-platform --tests")?);
    Ok(())
}

/// kmem's tests, the same files, in a memory that may not grow beyond a cap. All tests of a file share it,
/// and the random models over a region, which gives nothing back, need more at once.
pub fn capped(machine: &Machine, tally: &mut Tally) -> Result<()> {
    let suites = format!("-p kmem {QUICK} --test faults --test conformance --test depth");
    let mut programs = programs(machine, "capped-test-runner", &suites)?;
    for program in &mut programs {
        program.env("KMEM_CAP", CAP.to_string());
    }
    tally.tests_of_some_at_once(programs);
    Ok(())
}

/// Builds tests, and gives how each of the programs is run; those of native suites have nothing in them.
fn programs(machine: &Machine, runner: &str, packages: &str) -> Result<Vec<Command>> {
    let runner = machine.wasm_tools()?.join(runner);
    let mut build = test(machine, "wasm-bindgen-test-runner", packages)?;
    build.args(["--no-run", "--message-format=json-render-diagnostics"]);
    run::say(&format!("$ {}", run::shown(&build)));
    let programs = run::read(&mut build)?;
    let run = |program| {
        let mut run = run::command(&runner);
        run.arg(program);
        run
    };
    Ok(programs.lines().filter_map(coverage::executable).map(run).collect())
}

/// The conformance suite, the bugs of old and the platform's own tests in a headless Chromium: on a page, and in a
/// worker. They are the files that Node runs.
pub fn chromium(machine: &Machine, tally: &mut Tally) -> Result<()> {
    machine.browser()?;
    let suites = "-p kmem -p kmem-platform --test conformance --test regressions";
    let places = ["WASM_BINDGEN_USE_BROWSER", "WASM_BINDGEN_USE_DEDICATED_WORKER"].map(|place| {
        let mut test = test(machine, "wasm-bindgen-test-runner", suites)?;
        test.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", run::root().join("xtask/webdriver.json"));
        // Seconds: it is not the page's fault if the machine has much else to do.
        test.env(place, "1").env("WASM_BINDGEN_TEST_TIMEOUT", "300").env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60");
        Ok(test)
    });
    tally.tests_at_once(places.into_iter().collect::<Result<_>>()?);
    Ok(())
}

fn test(machine: &Machine, runner: &str, packages: &str) -> Result<Command> {
    let runner = machine.wasm_tools()?.join(runner);
    let args = format!("test {packages} --lib --target wasm32-unknown-unknown --no-fail-fast");
    let mut cargo = machine.wasm_cargo(&args)?;
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner);
    Ok(cargo)
}

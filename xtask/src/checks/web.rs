//! The npm package and the page: form, types, tests, the package as a stranger installs it, the page in a browser.

use std::path::Path;

use anyhow::Result;

use super::Tally;
use crate::machine::Machine;
use crate::{run, web};

/// The package: built, looked at, tested, packed and installed elsewhere.
pub fn package(machine: &Machine, tally: &mut Tally) -> Result<()> {
    web::package(machine)?;
    let (www, package, page) = (run::root().join("www"), web::package_folder(), web::visualizer());
    // Biome is a program of its own, not a script.
    tally.run(run::command(www.join("node_modules/.bin/biome")).args(["ci", "."]).current_dir(&www));
    tally.run(web::tool(&package, "tsc")?.args(["--project", "test"]));
    tally.run(web::tool(&page, "tsc")?.args(["--project", "."]));
    for folder in [&package, &page] {
        tally.tests(web::tool(folder, "vitest")?.arg("run").env("NO_COLOR", "1"));
    }
    tally.run(web::node(&package)?.arg("test/packed.mjs"));
    Ok(())
}

/// The page: what a person does with it, in headless Chromium, and how much of it there is to load.
pub fn page(machine: &Machine, tally: &mut Tally) -> Result<()> {
    machine.browser()?;
    web::page(machine)?;
    let page = web::visualizer();
    let e2e = Path::new("e2e");
    tally.tests(web::tool(&page, "playwright")?.args(["test", "--reporter=list"]).env("NO_COLOR", "1"));
    tally.run(web::node(&page)?.arg(e2e.join("weight.mjs")));
    Ok(())
}

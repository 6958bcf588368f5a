//! Measures kmem's stores beside their peers. `cargo xtask bench` runs it.

use std::path::Path;
use std::process::ExitCode;

use kmem_bench::count::count;
use kmem_bench::groups::GROUPS;
use kmem_bench::measure::{Plan, measure};
use kmem_bench::memory;
use kmem_bench::report::{best, keep, report};
use kmem_bench::row::Row;

const HELP: &str = "\
kmem-bench groups                            the names of the groups
kmem-bench measure full|quick DIR GROUP [WORK]
                                             measures a group's rows (whose names hold WORK) and keeps the times in DIR
kmem-bench count GROUP [WORK]                runs every side once, for callgrind
kmem-bench memory DIR|ALLOCATOR              what general allocators hold of the machine's memory, or one of them
kmem-bench report DIR                        writes the tables of what DIR holds
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    match args {
        ["groups"] => GROUPS.iter().for_each(|(name, _)| println!("{name}")),
        ["measure", plan @ ("full" | "quick"), folder, group, work @ ..] => {
            let plan = if *plan == "full" { Plan::FULL } else { Plan::QUICK };
            let (name, rows) = find(group, work)?;
            let mut duels = Vec::new();
            for row in rows.iter().filter(|row| plan.large || !row.large) {
                let measured = measure(row, plan);
                let best = best(&measured).ok_or("no peer")?;
                let (ours, theirs, ratio) = (best.ours(), best.theirs(), best.ratio());
                println!("  {name}: {:<48} {ours:>9.2} ns {theirs:>9.2} {} {ratio:.2}", row.work, best.peer);
                duels.extend(measured);
            }
            keep(Path::new(folder), name, &duels)?;
        }
        ["count", group, work @ ..] => find(group, work)?.1.iter().filter(|row| !row.large).for_each(count),
        ["memory", folder] if Path::new(folder).is_dir() => memory::table(Path::new(folder))?,
        ["memory", name] => memory::print_one(name)?,
        ["report", folder] => {
            let native = GROUPS.iter().map(|(name, _)| (*name).to_owned());
            let wasm = GROUPS.iter().map(|(name, _)| format!("wasm-{name}"));
            print!("{}", report(Path::new(folder), native.chain(wasm))?);
        }
        _ => print!("{HELP}"),
    }
    Ok(())
}

/// A group's name and its rows, of which perhaps only those whose names hold a text.
fn find(name: &str, work: &[&str]) -> Result<(&'static str, Vec<Row>), String> {
    let group = GROUPS.iter().find(|(group, _)| *group == name);
    let (group, rows) = group.ok_or_else(|| format!("no group '{name}'"))?;
    Ok((group, rows().into_iter().filter(|row| row.work.contains(&work.concat())).collect()))
}

//! `cargo xtask programs`: real programs, each with kmem and with its peers as the allocator of all it does.
//!
//! ```text
//! sources ─► what to read ─► each program with each allocator ─► rounds of one run of each ─► tables
//! ```
//!
//! Everything is in `target/programs`, but for the tables, which are in `target/bench`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write as _};
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{self, say};
use crate::setup::peers;
use crate::{documents, web};

/// The allocators, kmem first: features of `benches/programs`. For the last, the C library's, there is none.
const WHO: [&str; 6] = ["kmem", "mimalloc", "snmalloc", "jemalloc", "rpmalloc", "glibc"];
/// The programs.
const PROGRAMS: [&str; 3] = ["ripgrep", "json", "syn"];
/// As `benches/programs` has it.
const RIPGREP: &str = "ripgrep-15.2.0";
/// What ripgrep looks for: anything that is called, which is in every third line.
const PATTERN: &str = r"\w+\(";
/// How long the document at least is.
const DOCUMENT: usize = 100_000_000;

#[derive(Debug, PartialEq)]
struct Choice {
    programs: Vec<&'static str>,
    rounds: usize,
}

/// What a run took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cost {
    /// Processor time, the program's own and the system's for it.
    seconds: f64,
    /// Of it, the system's.
    system: f64,
    /// The most memory that was there at once.
    bytes: f64,
}

/// A program with an allocator, and what came of it.
#[derive(Debug, PartialEq)]
struct Row {
    program: &'static str,
    who: &'static str,
    seconds: f64,
    system: f64,
    /// Its time by kmem's: the median of the rounds.
    ratio: f64,
    bytes: f64,
}

/// `cargo xtask programs`.
pub fn command(args: &[String]) -> Result<()> {
    let choice = chosen(args)?;
    peers::set_up()?;
    let place = run::target().join("programs");
    fs::create_dir_all(place.join("bin"))?;
    let sources = sources(&place)?;
    let document = document(&place)?;
    build(&place, &choice.programs)?;
    let folder = run::target().join("bench");
    fs::create_dir_all(&folder)?;
    let mut rows = Vec::new();
    for program in choice.programs {
        let command = |who: &str| {
            let mut command = run::command(binary(&place, program, who));
            match program {
                "ripgrep" => {
                    command.args(["-j", "2", "--no-config", "--no-ignore", "-n", PATTERN]).arg(&sources);
                }
                "json" => {
                    command.arg(&document);
                }
                _ => {
                    command.arg(&sources);
                }
            }
            command
        };
        rows.extend(measure(program, choice.rounds, command)?);
        // After each: who ends a long run early has what was measured.
        fs::write(folder.join("programs.md"), table(&rows))?;
        fs::write(folder.join("programs.json"), json(&rows, choice.rounds))?;
    }
    println!("\n{}", table(&rows));
    say(&format!("in {}: programs.md, programs.json", folder.display()));
    Ok(())
}

fn chosen(args: &[String]) -> Result<Choice> {
    let mut choice = Choice { programs: Vec::new(), rounds: 21 };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => choice.rounds = 5,
            "--rounds" => {
                let rounds = args.next().and_then(|number| number.parse().ok()).filter(|rounds| *rounds > 0);
                choice.rounds = rounds.context("--rounds takes how many")?;
            }
            option if option.starts_with('-') => bail!("programs has no option {option}"),
            name => {
                let program = PROGRAMS.into_iter().find(|program| *program == name);
                choice.programs.push(program.with_context(|| format!("no program '{name}': {}", PROGRAMS.join(", ")))?);
            }
        }
    }
    if choice.programs.is_empty() {
        choice.programs.extend(PROGRAMS);
    }
    Ok(choice)
}

/// The sources of all that the programs are made of, by the lock file: the same for everybody.
fn sources(place: &Path) -> Result<PathBuf> {
    let sources = place.join("vendor");
    say(&format!("sources of the programs' crates into {}", sources.display()));
    // It also tells how to build from them, which nobody here wants to.
    let vendor = "vendor --quiet --locked --versioned-dirs --manifest-path";
    run::read(run::cargo(vendor).arg(manifest()).arg(&sources))?;
    Ok(sources)
}

fn manifest() -> PathBuf {
    run::root().join("benches/programs/Cargo.toml")
}

/// A long document: records again and again. It is made piece by piece, since a program whose starter was ever large
/// is told to have been as large itself.
fn document(place: &Path) -> Result<PathBuf> {
    let file = place.join("document.json");
    // `serde_json` refuses the one number that is too large for it.
    let records = documents::records().replace("1e400", "1e300");
    let mut length = 0;
    let mut out = BufWriter::new(File::create(&file)?);
    while length < DOCUMENT {
        out.write_all(if length == 0 { b"[" } else { b"," })?;
        out.write_all(records.as_bytes())?;
        length += records.len() + 1;
    }
    out.write_all(b"]")?;
    out.flush()?;
    say(&format!("{}: {length} bytes", file.display()));
    Ok(file)
}

fn binary(place: &Path, program: &str, who: &str) -> PathBuf {
    place.join("bin").join(format!("{program}-{who}"))
}

/// Builds the programs with each allocator, and keeps them beside each other.
fn build(place: &Path, programs: &[&str]) -> Result<()> {
    say("building the programs with each allocator (the first time five minutes)");
    let (ours, ripgrep) = (manifest(), ripgrep(place)?);
    let target = place.join("build");
    for who in WHO {
        for program in programs {
            let (manifest, bin, features) = match *program {
                "ripgrep" => (&ripgrep, "rg", format!("kmem-programs/{who}")),
                name => (&ours, name, format!("{name},{who}")),
            };
            let mut build = run::cargo(&format!("build --quiet --release --bin {bin} --features {features}"));
            build.arg("--manifest-path").arg(manifest).env("CARGO_TARGET_DIR", &target);
            // What `perf` and callgrind tell of a program then has lines.
            run::run(build.env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only"))?;
            fs::copy(target.join("release").join(bin), binary(place, program, who))?;
        }
    }
    Ok(())
}

/// ripgrep as it is published, but for its allocator; its manifest. Its crates are those of our lock file.
fn ripgrep(place: &Path) -> Result<PathBuf> {
    let folder = place.join(RIPGREP);
    let manifest = folder.join("Cargo.toml");
    if folder.is_dir() {
        return Ok(manifest);
    }
    // So that a copy that was ended half way is not taken for one.
    let half = place.join("half");
    web::copy(&place.join("vendor").join(RIPGREP), &half)?;
    let change = |file: &str, change: &dyn Fn(String) -> Result<String>| {
        let file = half.join(file);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        fs::write(&file, change(text)?).with_context(|| format!("cannot write {}", file.display()))
    };
    change("crates/core/main.rs", &other_allocator)?;
    change("Cargo.toml", &|text| {
        let allocator = run::root().join("benches/programs");
        Ok(format!("{text}\n[workspace]\n\n[dependencies.kmem-programs]\npath = {allocator:?}\n"))
    })?;
    fs::copy(run::root().join("benches/programs/Cargo.lock"), half.join("Cargo.lock"))?;
    fs::rename(half, folder)?;
    Ok(manifest)
}

/// ripgrep's main file without the allocator that it takes on some systems, and with ours.
fn other_allocator(main: String) -> Result<String> {
    let lines: Vec<&str> = main.lines().collect();
    let own = lines.iter().position(|line| *line == "#[global_allocator]").context("ripgrep names no allocator")?;
    let condition = own - 1;
    if !lines[condition].starts_with("#[cfg(") || !lines[own + 1].starts_with("static ") {
        bail!("ripgrep names its allocator in another way");
    }
    let rest = [&lines[..condition], &["use kmem_programs as _;"], &lines[own + 2..]].concat();
    Ok(rest.join("\n") + "\n")
}

/// Runs a program with each allocator once to see that they print the same, and then in turns.
fn measure(program: &'static str, rounds: usize, command: impl Fn(&str) -> Command) -> Result<Vec<Row>> {
    say(&format!("$ {}", run::shown(&command(WHO[0]))));
    let prints = WHO.into_iter().map(|who| digest(&mut command(who))).collect::<Result<Vec<_>>>()?;
    say(&format!("{program}: all print the same, {} bytes", prints[0].0));
    if let Some(other) = prints.iter().position(|print| *print != prints[0]) {
        bail!("{program} prints with {} what it does not with {}", WHO[other], WHO[0]);
    }
    let mut costs = [const { Vec::new() }; WHO.len()];
    for round in 0..rounds {
        // Who is first changes.
        for who in (0..WHO.len()).map(|turn| (turn + round) % WHO.len()) {
            costs[who].push(cost(&mut command(WHO[who]))?);
        }
        let seconds = WHO.iter().zip(&costs).map(|(who, costs)| format!("{who} {:.2}", costs[round].seconds));
        say(&format!("{program}: round {} of {rounds}: {} s", round + 1, seconds.collect::<Vec<_>>().join(", ")));
    }
    Ok(rows(program, &costs))
}

/// How long what a command prints is, and the sum of its bytes: the same for the same lines in any order.
fn digest(command: &mut Command) -> Result<(u64, u64)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut out = child.stdout.take().expect("stdout is piped");
    let (mut length, mut sum) = (0, 0);
    // Piece by piece: see `document`.
    let mut piece = [0; 1 << 16];
    loop {
        let bytes = out.read(&mut piece)?;
        if bytes == 0 {
            break;
        }
        length += bytes as u64;
        sum += piece[..bytes].iter().map(|byte| u64::from(*byte)).sum::<u64>();
    }
    ended(command, child.wait()?)?;
    Ok((length, sum))
}

/// Runs a command that nobody reads, and what it took.
fn cost(command: &mut Command) -> Result<Cost> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let id = child.id().try_into().context("no process has such a number")?;
    let (mut status, mut usage) = (0, MaybeUninit::uninit());
    // SAFETY: both places can be written to; the process is ours, and nobody else waits for it.
    let ended_one = unsafe { libc::wait4(id, &raw mut status, 0, usage.as_mut_ptr()) };
    if ended_one != id {
        bail!("{}: {}", run::shown(command), std::io::Error::last_os_error());
    }
    ended(command, ExitStatus::from_raw(status))?;
    // SAFETY: it is written where the call tells of a process.
    let usage: libc::rusage = unsafe { usage.assume_init() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let system = seconds(usage.ru_stime);
    Ok(Cost { seconds: seconds(usage.ru_utime) + system, system, bytes: usage.ru_maxrss as f64 * 1024.0 })
}

/// Sees that a program ended well.
fn ended(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { bail!("{}: {status}", run::shown(command)) }
}

/// What the costs of the rounds come to.
fn rows(program: &'static str, costs: &[Vec<Cost>; WHO.len()]) -> Vec<Row> {
    let row = |(who, own): (&'static str, &Vec<Cost>)| Row {
        program,
        who,
        seconds: median(own.iter().map(|cost| cost.seconds)),
        system: median(own.iter().map(|cost| cost.system)),
        ratio: median(own.iter().zip(&costs[0]).map(|(own, kmem)| own.seconds / kmem.seconds)),
        bytes: median(own.iter().map(|cost| cost.bytes)),
    };
    WHO.into_iter().zip(costs).map(row).collect()
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    let half = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[half] } else { f64::midpoint(numbers[half - 1], numbers[half]) }
}

const MIB: f64 = 1024.0 * 1024.0;

fn table(rows: &[Row]) -> String {
    let mut table = String::from("| program | who | CPU s | ratio to kmem | peak MiB |\n|---|---|--:|--:|--:|\n");
    for Row { program, who, seconds, ratio, bytes, .. } in rows {
        writeln!(table, "| {program} | {who} | {seconds:.3} | {ratio:.3} | {:.1} |", bytes / MIB)
            .expect("a String takes any text");
    }
    table
}

fn json(rows: &[Row], rounds: usize) -> String {
    let row = |Row { program, who, seconds, system, ratio, bytes }: &Row| {
        format!(
            "    {{\"program\": \"{program}\", \"who\": \"{who}\", \"cpu_s\": {seconds:.6}, \
             \"of_it_system_s\": {system:.6}, \"ratio_to_kmem\": {ratio:.4}, \"peak_mib\": {:.3}}}",
            bytes / MIB
        )
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!("{{\n  \"rounds\": {rounds},\n  \"rows\": [\n{}\n  ]\n}}\n", rows.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(args: &str) -> Result<Choice> {
        chosen(&args.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn programs_and_rounds_are_chosen() {
        assert_eq!(choice("").unwrap(), Choice { programs: PROGRAMS.to_vec(), rounds: 21 });
        assert_eq!(choice("syn --quick").unwrap(), Choice { programs: vec!["syn"], rounds: 5 });
        assert_eq!(choice("--rounds 3 json syn").unwrap(), Choice { programs: vec!["json", "syn"], rounds: 3 });
        for bad in ["--rounds", "--rounds 0", "--rounds x", "--fast", "emacs"] {
            assert!(choice(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_allocator_of_ripgrep_is_replaced() {
        let main = "mod a;\n\n#[cfg(musl)]\n#[global_allocator]\nstatic ALLOC: Jemalloc = Jemalloc;\n\nfn main() {}\n";
        let other = other_allocator(main.to_owned()).unwrap();
        assert_eq!(other, "mod a;\n\nuse kmem_programs as _;\n\nfn main() {}\n");
        assert!(other_allocator(other).is_err());
    }

    #[test]
    fn rows_are_medians_of_rounds() {
        let cost = |seconds| Cost { seconds, system: seconds / 2.0, bytes: seconds * MIB };
        let mut costs = [const { Vec::new() }; WHO.len()];
        costs.fill(vec![cost(1.0), cost(2.0), cost(4.0)]);
        costs[5] = vec![cost(2.0), cost(6.0), cost(4.0)];
        let rows = rows("syn", &costs);
        assert_eq!(rows.len(), WHO.len());
        assert_eq!(
            rows[0],
            Row { program: "syn", who: "kmem", seconds: 2.0, system: 1.0, ratio: 1.0, bytes: 2.0 * MIB }
        );
        assert_eq!(
            rows[5],
            Row { program: "syn", who: "glibc", seconds: 4.0, system: 2.0, ratio: 2.0, bytes: 4.0 * MIB }
        );
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(table(&rows[5..]).lines().last().unwrap(), "| syn | glibc | 4.000 | 2.000 | 4.0 |");
        let row = [
            r#"    {"program": "syn", "who": "kmem", "cpu_s": 2.000000, "of_it_system_s": 1.000000, "#,
            r#""ratio_to_kmem": 1.0000, "peak_mib": 2.000}"#,
        ]
        .concat();
        assert_eq!(json(&rows[..1], 3), format!("{{\n  \"rounds\": 3,\n  \"rows\": [\n{row}\n  ]\n}}\n"));
    }

    #[test]
    fn a_run_takes_time_and_memory() {
        let cost = cost(run::command("sh").args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"])).unwrap();
        assert!(cost.seconds > 0.0 && cost.bytes > 100_000.0, "{cost:?}");
        assert!(super::cost(&mut run::command("false")).is_err());
        assert_eq!(digest(run::command("printf").arg("ab")).unwrap(), (2, 195));
    }
}

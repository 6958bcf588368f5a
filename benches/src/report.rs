//! What was measured, as Markdown, JSON and a picture.
//!
//! A folder holds `GROUP.times`, a line a duel, in `callgrind/` a dump for each side that was counted, and
//! `wasm-size.bytes`, a line a module.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::io::{Error, Result};
use std::path::Path;

use crate::measure::{Duel, SEPARATOR};

/// Peers that have rows of their own, beside those against the best.
const MODELS: [&str; 2] = ["talloc", "zeroize"];

/// Instructions of one operation, by group, work and side.
type Counts = HashMap<(String, String, String), f64>;

/// A row of the table.
#[derive(Debug)]
struct Line<'d> {
    group: &'d str,
    work: String,
    ours: f64,
    peer: &'d str,
    theirs: f64,
    ratio: f64,
    our_instructions: Option<f64>,
    their_instructions: Option<f64>,
}

/// Writes a group's duels to the folder.
pub fn keep(folder: &Path, group: &str, duels: &[Duel]) -> Result<()> {
    let lines: Vec<_> = duels.iter().map(Duel::line).collect();
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{group}.times")), lines.join("\n") + "\n")
}

/// One line of a `.times` file.
fn duel(line: &str) -> Option<Duel> {
    let mut words = line.split(SEPARATOR).map(str::to_owned);
    let (group, work, peer, rounds) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let pair = |pair: &str| {
        let (ours, theirs) = pair.split_once(':')?;
        Some((ours.parse().ok()?, theirs.parse().ok()?))
    };
    let rounds = rounds.split(',').map(pair).collect::<Option<Vec<_>>>()?;
    Some(Duel { group, work, peer, rounds })
}

/// The instructions in one dump of callgrind's, and of what.
fn counted(dump: &str) -> Option<((String, String, String), f64)> {
    let after = |key: &str| dump.lines().find_map(|line| line.strip_prefix(key));
    let mut title = after("desc: Trigger: Client Request: ")?.split(SEPARATOR).map(str::to_owned);
    let key = (title.next()?, title.next()?, title.next()?);
    let ops: f64 = title.next()?.parse().ok()?;
    let total: f64 = after("totals: ")?.trim().parse().ok()?;
    Some((key, total / ops))
}

/// The middle one.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Duel {
    /// The first side's time.
    pub fn ours(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.0))
    }

    /// The peer's time.
    pub fn theirs(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.1))
    }

    /// The first side's time in those of the peer.
    pub fn ratio(&self) -> f64 {
        median(self.rounds.iter().map(|(ours, theirs)| ours / theirs))
    }
}

/// The duel with the best peer: where kmem's ratio is highest. Times of different duels are of different moments.
pub fn best(row: &[Duel]) -> Option<&Duel> {
    row.iter().max_by(|a, b| a.ratio().total_cmp(&b.ratio()))
}

/// Reads a folder and writes `results.md`, `results.json` and `results.svg` beside it; the first is returned.
pub fn report(folder: &Path, groups: impl Iterator<Item = String>) -> Result<String> {
    let mut duels = Vec::new();
    for group in groups {
        let Ok(text) = fs::read_to_string(folder.join(format!("{group}.times"))) else { continue };
        for line in text.lines() {
            duels.push(duel(line).ok_or_else(|| Error::other(format!("not a duel: {line}")))?);
        }
    }
    let mut counts = Counts::new();
    if let Ok(dumps) = fs::read_dir(folder.join("callgrind")) {
        for dump in dumps {
            counts.extend(counted(&fs::read_to_string(dump?.path())?));
        }
    }
    let rows: Vec<_> = duels.chunk_by(|a, b| (&a.group, &a.work) == (&b.group, &b.work)).collect();
    let lines: Vec<_> = rows.iter().flat_map(|row| lines(row, &counts)).collect();
    let sizes = fs::read_to_string(folder.join("wasm-size.bytes")).unwrap_or_default();
    let memory = fs::read_to_string(folder.join("memory.md")).map(|table| format!("\n## Memory\n\n{table}"));
    let text = markdown(&lines, &sizes) + &memory.unwrap_or_default() + &everybody(&rows, &counts);
    fs::write(folder.join("results.md"), &text)?;
    fs::write(folder.join("results.json"), json(&lines))?;
    fs::write(folder.join("results.svg"), picture(&lines))?;
    Ok(text)
}

/// A row against its best peer, and against a model.
fn lines<'d>(row: &'d [Duel], counts: &Counts) -> Vec<Line<'d>> {
    let line = |duel: &'d Duel, work: String| {
        let of = |side: &str| counts.get(&(duel.group.clone(), duel.work.clone(), side.to_owned())).copied();
        Line {
            group: &duel.group,
            work,
            ours: duel.ours(),
            peer: &duel.peer,
            theirs: duel.theirs(),
            ratio: duel.ratio(),
            our_instructions: of("kmem"),
            their_instructions: of(&duel.peer),
        }
    };
    let best = best(row).expect("a row has a peer");
    let models = row.iter().filter(|duel| MODELS.contains(&duel.peer.as_str()) && row.len() > 1);
    let models = models.map(|duel| line(duel, format!("{}, against {}", duel.work, duel.peer)));
    std::iter::once(line(best, best.work.clone())).chain(models).collect()
}

fn time(ns: f64) -> String {
    match ns {
        ..10.0 => format!("{ns:.2}"),
        ..100.0 => format!("{ns:.1}"),
        ..10_000.0 => format!("{ns:.0}"),
        _ => format!("{:.1} µs", ns / 1000.0),
    }
}

fn instructions(count: Option<f64>) -> String {
    count.map_or("–".into(), |count| if count < 100.0 { format!("{count:.1}") } else { format!("{count:.0}") })
}

/// The table of rows, and that of the modules' sizes.
fn markdown(lines: &[Line<'_>], sizes: &str) -> String {
    let mut text = String::from(
        "Nanoseconds of processor time and instructions for one operation. The ratio is kmem's time in the peer's: \
         the median of pairs of runs, one right after the other. Under 1 kmem is ahead. The best peer is the one against \
         which the ratio is highest.\n\n",
    );
    for lines in lines.chunk_by(|a, b| a.group == b.group) {
        writeln!(text, "## {}\n", lines[0].group).expect("a string takes all");
        text += "| work | kmem | best peer | which | ratio | instructions |\n|---|---:|---:|---|---:|---:|\n";
        for line in lines {
            let count = [line.our_instructions, line.their_instructions].map(instructions).join(" / ");
            let (ours, theirs) = (time(line.ours), time(line.theirs));
            let Line { work, peer, ratio, .. } = line;
            writeln!(text, "| {work} | {ours} | {theirs} | {peer} | {ratio:.2} | {count} |").expect("as above");
        }
        text.push('\n');
    }
    if !sizes.is_empty() {
        text += "## wasm-size\n\n| module with nothing but | bytes |\n|---|---:|\n";
        for (name, bytes) in sizes.lines().filter_map(|line| line.split_once(SEPARATOR)) {
            writeln!(text, "| {name} | {bytes} |").expect("as above");
        }
        text.push('\n');
    }
    text
}

/// The table of all peers.
fn everybody(rows: &[&[Duel]], counts: &Counts) -> String {
    let mut text = String::from("## Everybody\n\n| work | who | time | kmem's ratio | instructions |\n");
    text += "|---|---|---:|---:|---:|\n";
    for duel in rows.iter().copied().flatten() {
        let key = (duel.group.clone(), duel.work.clone(), duel.peer.clone());
        let count = instructions(counts.get(&key).copied());
        let (theirs, ratio) = (time(duel.theirs()), duel.ratio());
        let Duel { group, work, peer, .. } = duel;
        writeln!(text, "| {group}: {work} | {peer} | {theirs} | {ratio:.2} | {count} |").expect("a string takes all");
    }
    text
}

fn json(lines: &[Line<'_>]) -> String {
    let number = |value: Option<f64>| value.map_or("null".into(), |value| format!("{value:.3}"));
    let object = |line: &Line<'_>| {
        let Line { group, work, peer, ours, theirs, ratio, .. } = line;
        let (ours_count, theirs_count) = (number(line.our_instructions), number(line.their_instructions));
        format!(
            r#"  {{"group": "{group}", "work": "{work}", "kmem_ns": {ours:.3}, "peer": "{peer}", "peer_ns": {theirs:.3}, "ratio": {ratio:.4}, "kmem_instr": {ours_count}, "peer_instr": {theirs_count}}}"#
        )
    };
    let objects: Vec<_> = lines.iter().map(object).collect();
    format!("[\n{}\n]\n", objects.join(",\n"))
}

/// Where the bars begin that have the ratio 1, how long one is that has the ratio 10, and how far apart they are.
const ONE: f64 = 620.0;
const TENFOLD: f64 = 160.0;
const STEP: f64 = 18.0;

/// Bars of the ratios, on a logarithmic scale around 1: to the left kmem is ahead.
fn picture(lines: &[Line<'_>]) -> String {
    let mut bars = String::new();
    let mut y = 40.0;
    for lines in lines.chunk_by(|a, b| a.group == b.group) {
        writeln!(bars, r#"<text x="8" y="{y}" font-weight="bold">{}</text>"#, lines[0].group)
            .expect("a string takes all");
        y += STEP;
        for line in lines {
            let length = (line.ratio.log10() * TENFOLD).clamp(-2.0 * TENFOLD, 2.0 * TENFOLD);
            let (x, width) = (ONE + length.min(0.0), length.abs().max(1.0));
            let colour = if line.ratio <= 1.0 { "#2a78b8" } else { "#c8553d" };
            let Line { work, peer, ratio, .. } = line;
            let top = y - 11.0;
            let end = ONE + length.max(0.0) + 6.0;
            write!(
                bars,
                "<text x=\"16\" y=\"{y}\">{work}</text>\n\
                 <rect x=\"{x:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"13\" fill=\"{colour}\"/>\n\
                 <text x=\"{end:.1}\" y=\"{y}\" fill=\"#555\">{ratio:.2} {peer}</text>\n"
            )
            .expect("as above");
            y += STEP;
        }
        y += STEP / 2.0;
    }
    let (width, height) = (ONE + 3.0 * TENFOLD, y + 10.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"18\">kmem's time in the best peer's, logarithmic; to the left of the line kmem is ahead</text>\n\
         <line x1=\"{ONE}\" x2=\"{ONE}\" y1=\"26\" y2=\"{height}\" stroke=\"#555\"/>\n{bars}</svg>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duel_is_read_as_it_was_kept() {
        let line = "pool|64 B, LIFO pair|slab|1:2,2.5:3,1:1";
        let read = duel(line).unwrap();
        assert_eq!(read.line(), line);
        assert_eq!((read.group.as_str(), read.work.as_str(), read.peer.as_str()), ("pool", "64 B, LIFO pair", "slab"));
        assert_eq!((read.ours(), read.theirs()), (1.0, 2.0));
        assert_eq!(read.ratio(), 2.5 / 3.0);
    }

    #[test]
    fn a_dump_says_what_was_counted() {
        let dump = "version: 1\ndesc: Trigger: Client Request: lin|u64|kmem|200\nsummary: 2000\n\ntotals: 2000\n";
        assert_eq!(counted(dump), Some((("lin".into(), "u64".into(), "kmem".into()), 10.0)));
        assert_eq!(counted("desc: Trigger: Client Request: warm\ntotals: 7\n"), None);
    }
}

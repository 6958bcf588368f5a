//! What is printed.

use std::io::{self, Write};

use kmem::inspect::{self, Inspect, What};
use kmem::platform::Platform;
use kmem::{Source, Stats, Tree};

use crate::document::{At, Document, Value};
use crate::stores::{Counts, Stores};
use crate::survey::{Path, Short, Survey};

/// Nodes of the tree that are drawn.
const NODES: usize = 12;
/// Blocks of a store that are drawn.
const BLOCKS: usize = 2;

/// A number with its thousands apart.
pub fn number(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun.
pub fn count(of: impl TryInto<u64>, noun: &str) -> String {
    let of = of.try_into().unwrap_or(u64::MAX);
    format!("{} {noun}{}", number(of), if of == 1 { "" } else { "s" })
}

/// What there is in the document.
pub fn survey<P: Platform>(out: &mut dyn Write, found: &Survey<'_, '_, P>) -> io::Result<()> {
    let types = found.types.map(|(name, of)| count(of, name));
    writeln!(out, "  {}", types.join(", "))?;
    let (deepest, depth) = found.deepest;
    writeln!(out, "  deepest   {} down, {}: {}", count(depth, "level"), deepest.place(), Path(deepest))?;
    if let Some(at) = found.widest {
        writeln!(out, "  widest    {}, {}: {}", count(at.size().members, "member"), at.place(), Path(at))?;
    }
    if let Some(at) = found.longest
        && let Value::String(text) = at.value()
    {
        writeln!(out, "  longest   {}, {}: {}", count(text.len(), "byte"), at.place(), Path(at))?;
    }
    match found.secret {
        Some(at) => writeln!(
            out,
            "  secret    {} by the look of the keys, {}: {}",
            count(found.secrets, "value"),
            at.place(),
            Path(at)
        ),
        None => writeln!(out, "  secret    no value, by the look of the keys"),
    }
}

/// How the texts are held.
pub fn texts<P: Platform>(out: &mut dyn Write, found: &Survey<'_, '_, P>, shared: usize) -> io::Result<()> {
    writeln!(out, "\nTexts: keys, strings, and numbers as they are written")?;
    writeln!(out, "  seen first, secret  {}, each in its own cell of the linear region", number(found.own))?;
    writeln!(
        out,
        "  seen again          {}, as references to {} ({} if copied)",
        number(found.shared.0),
        count(shared, "counted cell"),
        count(found.shared.1, "byte")
    )?;
    writeln!(out, "  looked for          in a hash table in the heap, released when all was read")?;
    let Some((text, cell)) = found.favourite else { return Ok(()) };
    let mut answer = Ok(());
    cell.inspect(&mut |record| {
        let (header, payload, refs) = (record.header, record.payload, count(record.refs, "reference"));
        answer =
            writeln!(out, "  most used           \"{}\", {refs} ({header} B header + {payload} B)", Short(text, 32));
    });
    answer
}

/// What each store holds, and what it asked of the machine.
pub fn stores<P: Platform>(out: &mut dyn Write, document: &Document<'_, P>, counts: &Counts<P>) -> io::Result<()> {
    let holds = ["values", "texts of one value", "array, object summaries", "counted texts (ref)"];
    writeln!(
        out,
        "\n{:<32}{:>11}{:>14}{:>14}{:>14}{:>7}",
        "What each store holds", "live cells", "live bytes", "peak bytes", "from source", "calls"
    )?;
    let mut sum = Stats::default();
    let (mut mapped, mut calls) = (0, 0);
    for (((name, count), stats), holds) in counts.each().into_iter().zip(figures(document)).zip(holds) {
        row(out, name, holds, stats, count.peak(), count.calls())?;
        sum.live += stats.live;
        sum.bytes += stats.bytes;
        sum.peak += stats.peak;
        mapped += count.peak();
        calls += count.calls();
    }
    row(out, "all", "", sum, mapped, calls)
}

fn row(out: &mut dyn Write, name: &str, holds: &str, stats: Stats, mapped: usize, calls: usize) -> io::Result<()> {
    let [live, bytes, peak, mapped, calls] = [stats.live, stats.bytes, stats.peak, mapped, calls].map(number);
    writeln!(out, "  {name:<5}{holds:<25}{live:>11}{bytes:>14}{peak:>14}{mapped:>14}{calls:>7}")
}

/// Figures of the stores, in the order of their counts.
pub fn figures<P: Platform>(document: &Document<'_, P>) -> [Stats; 4] {
    let Stores { texts, summaries, shared, .. } = document.stores();
    [document.stats(), texts.stats(), summaries.stats(), shared.stats()]
}

/// A value in one short line, with its key.
fn line<P: Platform>(at: At<'_, '_, P>) -> String {
    match at.key() {
        Some(_) if at.parent().is_some_and(At::is_secret) => format!("***: {}", value(at)),
        Some(key) => format!("{}: {}", Short(key, 32), value(at)),
        None => value(at),
    }
}

/// A value in a few words.
pub fn value<P: Platform>(at: At<'_, '_, P>) -> String {
    match at.value() {
        Value::Object(sum) => format!("object of {}", number(sum.members)),
        Value::Array(sum) => format!("array of {}", number(sum.members)),
        Value::String(text) | Value::Number(text) if at.is_secret() => {
            format!("secret, {}", count(text.len(), "byte"))
        }
        _ if at.is_secret() => "secret".to_owned(),
        Value::String(text) => format!("\"{}\"", Short(text, 40)),
        Value::Number(text) => Short(text, 40).to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Null => "null".to_owned(),
    }
}

/// The first nodes of the tree, by their own links.
pub fn tree<P: Platform>(out: &mut dyn Write, document: &Document<'_, P>) -> io::Result<()> {
    let nodes = document.stats().live;
    writeln!(out, "\nThe tree now: the first of {}, from the nodes' own links", count(nodes, "node"))?;
    draw(out, document.tree(), document.top())
}

fn draw<P: Platform>(out: &mut dyn Write, tree: &Tree<impl Source>, top: Option<At<'_, '_, P>>) -> io::Result<()> {
    let mut values = top.into_iter().flat_map(At::walk);
    let mut lines = Vec::new();
    tree.inspect(&mut |record| {
        if lines.len() >= NODES {
            return;
        }
        let label = match record.depth {
            0 => "(root)".to_owned(),
            // The records come in the same order as the values that they are the headers of.
            _ => values
                .next()
                .filter(|(at, _)| at.address() == record.at + record.header)
                .map_or_else(String::new, |(at, _)| line(at)),
        };
        let [.., next] = record.links;
        let branch = if next == 0 { '└' } else { '├' };
        lines.push(format!("{:indent$}{branch} {label}", "", indent = record.depth * 2));
    });
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// A picture of each store's memory.
pub fn layouts<P: Platform>(out: &mut dyn Write, stores: &Stores<'_, P>) -> io::Result<()> {
    writeln!(out, "\nThe layouts now   h header  # used  . free  x shredded  o hole  _ fresh")?;
    layout(out, "tree (its nodes' pool)", &stores.nodes)?;
    layout(out, "lin", &stores.texts)?;
    layout(out, "pool", &stores.summaries)?;
    layout(out, "heap", &stores.shared)
}

fn layout(out: &mut dyn Write, name: &str, store: &dyn Inspect) -> io::Result<()> {
    let mut blocks = 0;
    store.inspect(&mut |record| blocks += usize::from(record.what == What::Block));
    let mut text = String::new();
    if inspect::text(store, &mut text).is_err() {
        return Err(io::Error::other("a String takes any text"));
    }
    let heading = if blocks > BLOCKS { format!(", {BLOCKS} of its {blocks} blocks") } else { String::new() };
    writeln!(out, "  {name}{heading}")?;
    let lines: Vec<_> = text.lines().collect();
    let (sum, pictures) = lines.split_last().unwrap_or((&"", &[]));
    for line in pictures.iter().take(BLOCKS).chain([sum]) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// What is mapped after everything was released.
pub fn released<P>(out: &mut dyn Write, counts: &Counts<P>) -> io::Result<()> {
    writeln!(out, "{:<57}{:>14}{:>14}{:>7}", "Released, one call a store", "mapped now", "from source", "calls")?;
    for (name, count) in counts.each() {
        let [mapped, peak, calls] = [count.mapped(), count.peak(), count.calls()].map(number);
        writeln!(out, "  {name:<55}{mapped:>14}{peak:>14}{calls:>7}")?;
    }
    Ok(())
}

//! What kmem brings into a program: at most six crates, none of them a procedural macro.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{Tally, ensure};
use crate::machine::Machine;
use crate::run;

const MOST: usize = 6;

/// Counts the crates, for whatever target.
pub fn deps(_: &Machine, tally: &mut Tally) -> Result<()> {
    let all = crates("normal")?;
    let plain = crates("normal,no-proc-macro")?;
    println!("kmem needs {} crates: {}", all.len(), all.iter().cloned().collect::<Vec<_>>().join(", "));
    tally.check(ensure(all.len() <= MOST, || format!("more than {MOST} crates")));
    let macros: Vec<_> = all.difference(&plain).cloned().collect();
    tally.check(ensure(macros.is_empty(), || format!("procedural macros: {}", macros.join(", "))));
    Ok(())
}

/// The crates beside kmem, by these kinds of edges.
fn crates(edges: &str) -> Result<BTreeSet<String>> {
    let mut tree = run::cargo("tree -p kmem --target all --prefix none --format {p} --no-dedupe");
    let tree = run::read(tree.args(["-e", edges]))?;
    Ok(tree.lines().filter_map(name).filter(|name| name != "kmem").collect())
}

/// `kmem-platform v0.1.0 (path)` without the path.
fn name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    let (name, version) = (words.next()?, words.next()?);
    Some(if name == "kmem" { name.to_owned() } else { format!("{name} {version}") })
}

//! `cargo xtask stress`: the process heap under many threads, for as long as asked.
//!
//! Each minute is a run of `tests/stress.rs` of its own; how many went well is kept in `target/stress`, from where
//! `--resume` goes on.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::run::{self, say};

/// `cargo xtask stress`.
pub fn command(args: &[String]) -> Result<()> {
    let (mut minutes, mut threads, mut resume) = (1_u64, 8_u64, false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || args.next().context("a number")?.parse::<u64>().context("a number");
        match arg.as_str() {
            "--minutes" => minutes = number()?,
            "--threads" => threads = number()?,
            "--resume" => resume = true,
            other => bail!("stress has no option {other}"),
        }
    }
    let kept = run::target().join("stress");
    let before = if resume { fs::read_to_string(&kept).ok().and_then(|text| text.trim().parse().ok()) } else { None };
    for minute in before.unwrap_or(0)..minutes {
        say(&format!("stress: minute {} of {minutes}, {threads} threads", minute + 1));
        let mut test = run::cargo("test -q --release -p kmem --features std --test stress -- --nocapture");
        test.env("KMEM_STRESS_SECONDS", "60").env("KMEM_STRESS_THREADS", threads.to_string());
        run::run(&mut test)?;
        fs::write(&kept, (minute + 1).to_string())?;
    }
    say(&format!("stress: {minutes} minutes without a failure"));
    Ok(())
}

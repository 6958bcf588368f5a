//! Starting commands: where they run, what they inherit, how they are shown.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, Result, bail};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Whole seconds since the program's first word.
pub fn elapsed() -> u64 {
    START.elapsed().as_secs()
}

/// Prints a line of progress, with the seconds that have gone by.
pub fn say(line: &str) {
    println!("[{:>4}s] {line}", elapsed());
}

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the checkout")
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A command in the checkout.
///
/// It inherits nothing of what cargo tells a program that it runs: those variables name xtask's own
/// package and libraries, which other toolchains would take for theirs. Nor does it compile by increments: each
/// of the many cells is compiled once, and what the next time would save costs half as much again.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    if std::env::var_os("CARGO_INCREMENTAL").is_none() {
        command.env("CARGO_INCREMENTAL", "0");
    }
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || matches!(name, "CARGO" | "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "LD_LIBRARY_PATH")
        });
        if told {
            command.env_remove(name);
        }
    }
    command
}

/// `cargo` with these arguments, separated by blanks.
pub fn cargo(args: &str) -> Command {
    let mut cargo = command("cargo");
    cargo.args(args.split_whitespace());
    cargo
}

/// The command as one would type it.
pub fn shown(command: &Command) -> String {
    let told = command.get_envs().filter(|(name, _)| *name != "CARGO_INCREMENTAL" && *name != "PATH");
    let vars = told.filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        Some(format!("{}={}", name.to_string_lossy(), quoted(&relative(&value))))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| quoted(&relative(&word.to_string_lossy())));
    vars.chain(words).collect::<Vec<_>>().join(" ")
}

fn relative(word: &str) -> String {
    let root = format!("{}/", root().display());
    word.strip_prefix(&root).unwrap_or(word).to_owned()
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

/// Shows and runs a command whose output the reader sees; an error if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    say(&format!("$ {}", shown(command)));
    quiet(command)
}

/// The same, without showing the command.
pub fn quiet(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{}: {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and returns both of its outputs, whether it fails or not.
pub fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))
}

/// What a command prints; an error, with what it complains of, if it fails.
pub fn read(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}\n{}", shown(command), output.status, complaint.trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Shows and runs a command, passing its output through and each line of it to `see`.
/// Returns whether it succeeded.
pub fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<bool> {
    say(&format!("$ {}", shown(command)));
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut line = Vec::new();
    // By bytes: a test may print what is not UTF-8.
    while lines.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        see(text.trim_end());
        line.clear();
    }
    Ok(child.wait()?.success())
}

/// Whether a program is on the path.
pub fn on_path(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = cargo("test -p kmem");
        command.env("RUSTFLAGS", "--cfg x=\"y\"").env("CARGO_TARGET_DIR", root().join("target/libc"));
        let line = shown(&command);
        assert_eq!(line, "CARGO_TARGET_DIR=target/libc RUSTFLAGS='--cfg x=\"y\"' cargo test -p kmem");
    }

    #[test]
    fn a_watched_command_passes_its_lines() {
        let mut seen = Vec::new();
        let good = watch(command("printf").arg("a\nb"), |line| seen.push(line.to_owned())).unwrap();
        assert!(good);
        assert_eq!(seen, ["a", "b"]);
        assert!(!watch(&mut command("false"), |_| {}).unwrap());
    }
}

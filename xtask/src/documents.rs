//! `cargo xtask documents`: JSON documents made to be hard in one way each, and the demo on them.
//! The same bytes on every machine and in every run.

use std::fmt::Write;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::checks::Tally;
use crate::{demo, run};

const RECORDS: usize = 6_000;
const DEPTH: usize = 100_000;
const KEYS: usize = 50_000;

/// `cargo xtask documents`.
pub fn command(args: &[String]) -> Result<ExitCode> {
    if let Some(arg) = args.first() {
        bail!("documents takes no argument, not '{arg}'");
    }
    let mut tally = Tally::default();
    check(&mut tally)?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the documents and runs the demo on each.
pub fn check(tally: &mut Tally) -> Result<()> {
    let dir = run::target().join("documents");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (name, text) in [("records", records()), ("nested", nested()), ("wide", wide())] {
        let file = dir.join(name).with_extension("json");
        fs::write(&file, &text)?;
        run::say(&format!("{name}: {} bytes", text.len()));
        tally.run(demo::program().arg(file));
    }
    let (text, line) = malformed();
    let file = dir.join("malformed.json");
    fs::write(&file, text)?;
    tally.check(refused(demo::program().arg(file), line));
    Ok(())
}

/// The demo must fail and say where.
fn refused(demo: &mut std::process::Command, line: usize) -> Result<()> {
    run::say(&format!("$ {} (must fail)", run::shown(demo)));
    let output = run::output(demo)?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    print!("{said}");
    if output.status.success() {
        bail!("a malformed document was accepted");
    }
    if output.status.code().is_none_or(|code| code == 101) {
        bail!("the demo did not refuse, it broke down: {}", output.status);
    }
    if !names_place(&said.to_lowercase(), line) {
        bail!("the refusal does not name line {line} and a column");
    }
    Ok(())
}

fn names_place(said: &str, line: usize) -> bool {
    let number_after = |word: &str| {
        let (_, rest) = said.split_once(word)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    number_after("line ") == Some(line) && number_after("column ").is_some()
}

/// An array of objects with the same keys: values that repeat, text that needs escapes, numbers in
/// every spelling.
pub fn records() -> String {
    const TEXTS: [&str; 8] = [
        r#""plain""#,
        r#""""#,
        r#""quote \" slash \/ backslash \\ line \n tab \t feed \f back \b return \r""#,
        r#""\u0000\u001f\u007f\u00e9\ud83d\ude00""#,
        "\"Ærøskøbing, Żółć, Ελλάδα, Ωmega\"",
        "\"日本語と한국어和中文\"",
        "\"👩\u{200d}👩\u{200d}👧, e\u{301}, \u{202e}right to left\"",
        r#""a rather longer text that comes back again and again, as the same description does in real data""#,
    ];
    const NUMBERS: [&str; 14] = [
        "0",
        "-0",
        "1e-7",
        "1E+7",
        "-0.0",
        "1.50",
        "12345678901234567890123",
        "-9223372036854775808",
        "18446744073709551615",
        "0.1",
        "1e400",
        "-2.2250738585072014e-308",
        "3.141592653589793238462643383279",
        "100000000000000000000e-20",
    ];
    let mut out = String::from("[\n");
    for i in 0..RECORDS {
        let text = TEXTS[i * 5 % TEXTS.len()];
        let number = NUMBERS[i * 3 % NUMBERS.len()];
        let flag = ["true", "false", "null"][i % 3];
        let comma = if i + 1 == RECORDS { "" } else { "," };
        put(
            &mut out,
            format_args!(
                "  {{\"id\": {i}, \"text\": {text}, \"number\": {number}, \"flag\": {flag}, \
                 \"group\": \"group {}\", \"tags\": [{text}, \"t{}\", []], \
                 \"inner\": {{\"x\": {}.{:03}, \"y\": {number}, \"none\": {{}}}}}}{comma}\n",
                i % 17,
                i % 5,
                i / 7,
                i % 1000,
            ),
        );
    }
    out.push_str("]\n");
    out
}

/// Arrays and objects in each other, deeper than any stack of calls, something in each.
fn nested() -> String {
    let mut out = String::new();
    for level in 0..DEPTH {
        if level % 2 == 0 {
            put(&mut out, format_args!("[{level},"));
        } else {
            put(&mut out, format_args!("{{\"at\":\"{level}\",\"in\":"));
        }
    }
    out.push_str("\"bottom\"");
    for level in (0..DEPTH).rev() {
        out.push_str(if level % 2 == 0 { ",0]" } else { "}" });
    }
    out
}

/// One object with very many keys, some of which name secrets.
fn wide() -> String {
    const SECRETS: [&str; 4] = ["password", "token", "secret", "api_key"];
    let mut out = String::from("{\n");
    for i in 0..KEYS {
        let comma = if i + 1 == KEYS { "" } else { "," };
        match i % 10 {
            0 => put(
                &mut out,
                format_args!("\"{} {i}\": \"not to be seen {i}\"{comma}\n", SECRETS[i / 10 % SECRETS.len()]),
            ),
            1 => put(&mut out, format_args!("\"ключ {i}\": [{i}, -{i}, {i}e-3]{comma}\n")),
            2 => put(&mut out, format_args!("\"key\\t{i}\": {{\"of\": {i}, \"password\": \"hidden {i}\"}}{comma}\n")),
            3 => put(&mut out, format_args!("\"{i}\": null{comma}\n")),
            4 => put(&mut out, format_args!("\"key {i}\": {}{comma}\n", i % 4 == 0)),
            _ => put(&mut out, format_args!("\"key {i}\": \"value {}\"{comma}\n", i % 1000)),
        }
    }
    out.push_str("}\n");
    out
}

/// A document that goes wrong late, and the line where it does.
fn malformed() -> (String, usize) {
    let good = 200;
    let mut out = String::from("[\n");
    for i in 0..good {
        put(&mut out, format_args!("  {{\"id\": {i}, \"password\": \"never kept {i}\"}},\n"));
    }
    out.push_str("  {\"id\": 201, \"flag\": tru!}\n]\n");
    (out, good + 2)
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_are_large_and_made_alike() {
        for make in [records, nested, wide] {
            let text = make();
            assert!(text.len() > 1 << 20, "only {} bytes", text.len());
            assert_eq!(text, make());
        }
    }

    #[test]
    fn the_nested_one_is_as_deep_as_it_says() {
        let mut depth = 0_usize;
        let mut most = 0;
        for byte in nested().bytes() {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            most = most.max(depth);
        }
        assert_eq!((depth, most), (0, DEPTH));
    }

    #[test]
    fn the_malformed_one_is_wrong_where_it_says() {
        let (text, line) = malformed();
        assert!(text.lines().nth(line - 1).unwrap().contains("tru!"));
    }

    #[test]
    fn a_place_is_a_line_and_a_column() {
        assert!(names_place("x.json: line 202, column 26: no value", 202));
        assert!(!names_place("x.json: line 20, column 26", 202));
        assert!(!names_place("x.json: line 202", 202));
    }
}

//! The program as it is called.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kmem-demo")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file for a test of its own.
fn file(name: &str, content: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, content).unwrap();
    file
}

/// The mapped bytes at the end, one number a store.
fn mapped(said: &str) -> Vec<&str> {
    let table = said.lines().skip_while(|line| !line.starts_with("Released"));
    table.skip(1).filter_map(|line| line.split_whitespace().nth(1)).take(4).collect()
}

#[test]
fn a_document_is_shown() {
    let file = file(
        "shown.json",
        "{\"name\":\"kmem\",\"password\":\"hunter2\",\"list\":[1,2,{\"name\":\"kmem\"}],\"name\":null,\"o\":{\"list\":[]}}",
    );
    let output = demo(&[file.to_str().unwrap()]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    for part in [
        "11 values",
        "equal in 11 values and 7 keys",
        "/password: 7 bytes, all zero",
        "counted cell",
        "The tree now",
        "1 shredded",
    ] {
        assert!(said.contains(part), "no '{part}' in:\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    assert!(!said.contains("NOT ZERO"), "{said}");
    assert_eq!(mapped(&said), ["0"; 4], "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 120), "{said}");
}

#[test]
fn the_smallest_documents_are_shown() {
    for content in ["0", "\"x\"", "[]", "{}", "[[]]", "{\"token\":\"\"}", " null "] {
        let file = file("small.json", content);
        let output = demo(&[file.to_str().unwrap()]);
        assert!(output.status.success(), "{content}: {}{}", text(&output.stdout), text(&output.stderr));
    }
}

#[test]
fn what_is_malformed_is_refused_with_its_place() {
    let file = file("malformed.json", "[1,\n {\"password\": \"x\", \"b\": tru!}]\n");
    let output = demo(&[file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.starts_with(&format!("{}:2:25: line 2, column 25: ", file.display())), "{said}");
    assert_eq!(mapped(&said), ["0"; 4], "{said}");
}

#[test]
fn what_is_no_file_is_refused_in_words() {
    let empty = file("empty.json", "");
    for (arg, words) in [
        ("no such file.json", "No such file"),
        ("/", "no regular file"),
        ("/dev/null", "no regular file"),
        (empty.to_str().unwrap(), "the file is empty"),
    ] {
        let output = demo(&[arg]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn arguments_are_understood_or_refused() {
    assert!(text(&demo(&["--help"]).stdout).starts_with("Usage"));
    assert_eq!(demo(&["--nonsense"]).status.code(), Some(2));
    assert_eq!(demo(&["a", "b"]).status.code(), Some(2));
}

#[test]
fn without_a_file_it_says_what_it_takes() {
    let output = demo(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("kmem-demo: name a JSON file\n\nUsage:"), "{}", text(&output.stderr));
}

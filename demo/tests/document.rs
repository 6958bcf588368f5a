//! Documents through the library: what is kept, moved, released, shredded, and given back.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use kmem::platform::{Counted, Native, Platform, Run, Unmapped};
use kmem::{Cond, inspect};
use kmem_demo::compare::{Equal, compare};
use kmem_demo::document::{At, Summary, is_wiped};
use kmem_demo::load::load;
use kmem_demo::progress::Progress;
use kmem_demo::survey::{find, half, pointer, survey};
use kmem_demo::write::write;
use kmem_demo::{Counts, Document, Error, Stores, Value};

fn progress() -> Progress {
    Progress::new("testing")
}

/// Hands a document to a test, and sees that everything is given back after it.
fn with<R>(text: impl AsRef<[u8]>, test: impl FnOnce(&Document<'_>) -> R) -> R {
    let counts: Counts = Counts::default();
    let mut stores = Stores::over(&counts);
    let document = load(&stores, text.as_ref(), &mut progress()).expect("the text is good");
    let answer = test(&document);
    check(&document);
    document.destroy().expect("nothing is refused");
    stores.destroy().expect("nothing is refused");
    assert_eq!(counts.mapped(), 0);
    answer
}

/// All structures are whole, and all summaries say what is there.
fn check<P: Platform>(document: &Document<'_, P>) {
    let stores = document.stores();
    document.tree().check().unwrap();
    stores.nodes.check().unwrap();
    stores.texts.check().unwrap();
    stores.summaries.check().unwrap();
    stores.shared.check().unwrap();
    let (mut own, mut values, mut containers) = (0, 0, 0);
    for (at, _) in document.top().into_iter().flat_map(At::walk) {
        values += 1;
        own += at.texts().filter(|(_, counted)| counted.is_none()).count();
        containers += usize::from(at.is_container());
        if let Value::Array(summary) | Value::Object(summary) = at.value() {
            let members = at.children().count() as u64;
            let below = at.children().map(|child| match child.value() {
                Value::Array(below) | Value::Object(below) => below.values + 1,
                _ => 1,
            });
            let bytes = at.children().map(|child| child.size().bytes).sum();
            assert_eq!(summary, Summary { members, values: below.sum(), bytes });
        }
    }
    assert_eq!(stores.texts.stats().live, own);
    assert_eq!(stores.summaries.stats().live, containers);
    assert_eq!(document.stats().live, values + 1);
    assert_eq!(stores.nodes.stats().live, values + 1);
}

fn written(document: &Document<'_>) -> String {
    let mut out = Vec::new();
    write(document, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_written_is_what_was_read() {
    for text in [
        "0",
        "-0",
        "true",
        "null",
        "\"\"",
        "[]",
        "{}",
        "[[],{},[[]],{\"\":{}}]",
        "[1e-7,-0,-0.0,1E+7,12345678901234567890123,1e4000,0.10,123456789.123456789e-123456789]",
        "{\"a\":1,\"b\":2,\"a\":3,\"a\":{\"a\":[\"a\",\"a\"]}}",
        "[\"a\",\"b\",\"a\",\"b\",\"a\",\"\",\"\",\"\"]",
        "[\"é\",\"日本語\",\"😀\",\"\u{7f}\u{202e}\"]",
        "{\"token\":\"t\",\"password\":[1,{\"a\":\"t\",\"b\":\"t\"}],\"c\":\"t\",\"d\":\"t\",\"e\":\"t\"}",
        "[\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001F\"]",
    ] {
        with(text, |document| assert_eq!(written(document), text));
    }
}

#[test]
fn escapes_and_spaces_need_not_come_back() {
    let text = " [ \"\\u0041\\/\\uD83D\\uDE00\" ,\r\n\t{ \"\\u0061\" : 1 } ] \n";
    with(text, |document| {
        let back = written(document);
        assert_eq!(back, "[\"A/😀\",{\"a\":1}]");
        assert_eq!(compare(text.as_bytes(), back.as_bytes(), &mut progress()).unwrap(), Equal { values: 4, keys: 1 });
    });
}

#[test]
fn differences_are_found() {
    let text = "{\"a\": [1, \"x\", null],\n \"b\": {\"c\": false}}";
    for (other, line, column) in [
        ("{\"a\":[1.0,\"x\",null],\"b\":{\"c\":false}}", 1, 8),
        ("{\"a\":[1,\"y\",null],\"b\":{\"c\":false}}", 1, 11),
        ("{\"a\":[1,\"x\",0],\"b\":{\"c\":false}}", 1, 16),
        ("{\"a\":[1,\"x\"],\"b\":{\"c\":false}}", 1, 16),
        ("{\"a\":[1,\"x\",null,0],\"b\":{\"c\":false}}", 1, 20),
        ("{\"a\":[1,\"x\",null],\"c\":{\"c\":false}}", 2, 2),
        ("{\"b\":{\"c\":false},\"a\":[1,\"x\",null]}", 1, 2),
        ("{\"a\":[1,\"x\",null],\"b\":{\"c\":true}}", 2, 13),
        ("{\"a\":[1,\"x\",null]}", 2, 2),
    ] {
        let error = compare(text.as_bytes(), other.as_bytes(), &mut progress()).unwrap_err();
        let place = error.place().unwrap_or_else(|| panic!("{error}"));
        assert!(matches!(error, Error::Differs { .. }), "{other}: {error}");
        // A reader that has read a value or key stands behind it.
        assert!(place.line == line && place.column >= column, "{other}: {place}");
    }
    let cut = compare(text.as_bytes(), &b"{\"a\":[1,"[..], &mut progress()).unwrap_err();
    assert!(matches!(cut, Error::Io(_)), "{cut}");
}

#[test]
fn any_depth_needs_little_stack() {
    const DEPTH: usize = 200_000;
    let test = || {
        let arrays = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
        let objects = "{\"a\":".repeat(DEPTH) + "1" + &"}".repeat(DEPTH);
        for text in [arrays, objects] {
            with(&text, |document| {
                let mut out = Vec::new();
                write(document, &mut out).unwrap();
                assert!(out == text.as_bytes(), "what is written is what was read");
                let found = survey(document).unwrap();
                assert!(found.deepest.1 >= DEPTH - 1);
                let part = half(document, false).unwrap();
                // SAFETY: the value is used no more.
                unsafe { document.free(part) }.unwrap();
                assert!(document.stats().live <= DEPTH / 2 + 2);
            });
            let error = refused(&text[..text.len() - 1]);
            assert_eq!(error.place().map(|place| (place.line, place.column)), Some((1, text.len() as u64)));
        }
    };
    thread::Builder::new().stack_size(64 << 10).spawn(test).unwrap().join().unwrap();
}

#[test]
fn any_width_is_fast() {
    let members: Vec<_> = (0..60_000).map(|i| format!("\"key {i}\":{i}")).collect();
    let text = format!("{{{}}}", members.join(","));
    with(&text, |document| {
        assert_eq!(written(document), text);
        assert_eq!(find(document, "/key 59999").map(At::value), Some(Value::Number("59999")));
    });
}

fn refused(text: impl AsRef<[u8]>) -> Error {
    let counts: Counts = Counts::default();
    let mut stores = Stores::over(&counts);
    let error = load(&stores, text.as_ref(), &mut progress()).map(drop).expect_err("the text is bad");
    stores.destroy().expect("nothing is refused");
    assert_eq!(counts.mapped(), 0);
    error
}

#[test]
fn malformed_text_is_refused_with_its_place() {
    for (text, line, column) in [
        (&b" \n "[..], 2, 2),
        (b"[1,\n 2,\n  tru]", 3, 3),
        (b"[1 2]", 1, 4),
        (b"[1,]", 1, 3),
        (b"{\"a\" 1}", 1, 6),
        (b"{\"a\":1,}", 1, 7),
        (b"{a:1}", 1, 2),
        (b"[01]", 1, 2),
        (b"[1.]", 1, 2),
        (b"[\n\"\xc3\xa9\xc3\xa9\", !]", 2, 7),
        (b"{\"password\":\"s3cret\",\n\"b\":[\"x\"", 2, 9),
        (b"[\"a\nb\"]", 1, 4),
        (b"[\"\\x\"]", 1, 3),
        (b"[\"\\ud800\"]", 1, 3),
        (b"[\"\\ud800\\u0041\"]", 1, 3),
        (b"1 2", 1, 3),
        (b"{}\n{}", 2, 1),
        (b"]", 1, 1),
        (b"[}", 1, 2),
        (b"// no", 1, 1),
        (b"\xef\xbb\xbf1", 1, 1),
    ] {
        let error = refused(text);
        let place = error.place().unwrap_or_else(|| panic!("{error}"));
        assert_eq!((place.line, place.column), (line, column), "{}: {error}", text.escape_ascii());
        assert!(matches!(error, Error::Malformed { .. }));
    }
    assert!(matches!(refused(b"[\"\xff\"]"), Error::Malformed { place, .. } if place.line == 1));
}

#[test]
fn an_input_that_breaks_is_told() {
    struct Breaks;
    impl std::io::Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let counts: Counts = Counts::default();
    let stores = Stores::over(&counts);
    let error = load(&stores, Breaks, &mut progress()).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
}

#[test]
fn repeated_texts_are_counted() {
    with("[\"a\",\"a\",{\"a\":\"a\",\"b\":\"a\"},\"b\"]", |document| {
        let references = |pointer: &str| {
            let at = find(document, pointer).unwrap();
            at.texts().map(|(text, cell)| (text, cell.map_or(0, |cell| cell.refs()))).collect::<Vec<_>>()
        };
        assert_eq!(references("/0"), [("a", 0)]);
        assert_eq!(references("/1"), [("a", 4)]);
        assert_eq!(references("/2/a"), [("a", 4), ("a", 4)]);
        assert_eq!(references("/2/b"), [("b", 0), ("a", 4)]);
        assert_eq!(references("/3"), [("b", 1)]);
        assert_eq!(document.stores().shared.stats().live, 2);
        // SAFETY: the value is used no more.
        unsafe { document.free(find(document, "/2").unwrap()) }.unwrap();
        assert_eq!(references("/1"), [("a", 1)]);
        // SAFETY: the values are used no more.
        unsafe { document.free(find(document, "/1").unwrap()) }.unwrap();
        // SAFETY: as above.
        unsafe { document.free(find(document, "/1").unwrap()) }.unwrap();
        assert_eq!(document.stores().shared.stats().live, 0);
        assert_eq!(written(document), "[\"a\"]");
    });
}

#[test]
fn a_secret_is_zero_while_its_chunk_is_mapped() {
    let text =
        "{\"user\":\"ann\",\"API-Key\":\"k-123\",\"auth\":{\"clientSecret\":[\"s-1\",42,\"s-1\"]},\"p\":\"k-123\"}";
    with(text, |document| {
        let texts = &document.stores().texts;
        let secret = |pointer: &str| {
            let at = find(document, pointer).unwrap();
            assert!(at.is_secret(), "{pointer}");
            at.text_place().expect("a secret is never shared")
        };
        let places = ["/API-Key", "/auth/clientSecret/0", "/auth/clientSecret/1", "/auth/clientSecret/2"].map(secret);
        let plain = find(document, "/user").unwrap();
        let other = plain.text_place().unwrap();
        assert!(!plain.is_secret() && !find(document, "/auth").unwrap().is_secret());
        // The same bytes under a harmless key are another cell.
        assert!(!find(document, "/p").unwrap().is_secret());
        let wiped = |places: &[NonNull<[u8]>]| {
            // SAFETY: the stores are there; what was not released is only read.
            places.iter().map(|place| unsafe { is_wiped(*place) }).collect::<Vec<_>>()
        };
        assert_eq!(wiped(&places), [false; 4]);
        for pointer in ["/API-Key", "/auth"] {
            // SAFETY: the value is used no more.
            unsafe { document.free(find(document, pointer).unwrap()) }.unwrap();
        }
        assert!(document.stores().texts.stats().held > 0, "nothing was unmapped");
        assert_eq!(wiped(&places), [true; 4]);
        assert_eq!(wiped(&[other]), [false]);
        let mut picture = String::new();
        inspect::text(texts, &mut picture).unwrap();
        assert!(picture.contains("4 shredded"), "{picture}");
        assert_eq!(written(document), "{\"user\":\"ann\",\"p\":\"k-123\"}");
    });
}

#[test]
fn parts_move() {
    with("{\"a\":{\"x\":[1,2,[3]]},\"b\":{\"y\":null},\"c\":[]}", |document| {
        let at = |pointer: &str| find(document, pointer).unwrap();
        let part = at("/a/x");
        document.move_to(part, None).unwrap();
        assert_eq!(document.top().map(|top| top.size().values), Some(4));
        assert_eq!(written(document), "{\"a\":{},\"b\":{\"y\":null},\"c\":[]}");
        document.move_to(part, Some(at("/b"))).unwrap();
        check(document);
        assert_eq!(written(document), "{\"a\":{},\"b\":{\"y\":null,\"x\":[1,2,[3]]},\"c\":[]}");
        assert_eq!(pointer(at("/b/x/2/0")), "/b/x/2/0");
        document.move_to(at("/b/x/2"), Some(at("/c"))).unwrap();
        assert_eq!(written(document), "{\"a\":{},\"b\":{\"y\":null,\"x\":[1,2]},\"c\":[[3]]}");
        assert_eq!(document.move_to(at("/c"), Some(at("/c/0"))), Err(Cond::Mismatch));
        assert_eq!(document.move_to(at("/b"), Some(at("/b"))), Err(Cond::InUse));
        assert_eq!(document.move_to(at("/b"), Some(at("/c"))), Err(Cond::Mismatch));
        assert_eq!(document.move_to(at("/b/x/0"), Some(at("/a"))), Err(Cond::Mismatch));
        let last = half(document, true).unwrap();
        let (home, before) = (last.parent(), written(document));
        document.move_to(last, None).unwrap();
        document.move_to(last, home).unwrap();
        assert_eq!(written(document), before);
    });
}

#[test]
fn pointers_find_what_they_name() {
    with("{\"\":0,\"a/b\":{\"m~n\":[10,[11]]},\"x\":1,\"x\":2}", |document| {
        for (at, _) in document.top().unwrap().walk().take(6) {
            assert_eq!(find(document, &pointer(at)), Some(at));
        }
        let value = |pointer| find(document, pointer).map(At::value);
        assert_eq!(value("/"), Some(Value::Number("0")));
        assert_eq!(value("/a~1b/m~0n/1/0"), Some(Value::Number("11")));
        assert_eq!(value("/x"), Some(Value::Number("1")));
        for nothing in ["/y", "/a", "/a~1b/m~0n/2", "/a~1b/m~0n/x", "/x/0"] {
            assert_eq!(value(nothing), None);
        }
    });
}

/// The machine, until it has been asked for pages so many times.
struct Fails<'a>(&'a AtomicUsize);

// SAFETY: the pages are those of the machine.
unsafe impl Platform for Fails<'_> {
    fn page_size(&self) -> usize {
        Native.page_size()
    }

    fn map(&self, len: usize) -> Result<Run, Cond> {
        let left = self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        left.map_err(|_| Cond::NoRoom)?;
        Native.map(len)
    }

    unsafe fn unmap(&self, start: NonNull<u8>, len: usize) -> Result<Unmapped, Cond> {
        // SAFETY: the caller's promise, passed on.
        unsafe { Native.unmap(start, len) }
    }
}

#[test]
fn running_out_of_memory_anywhere_gives_everything_back() {
    let items: Vec<_> = (0..2000).map(|i| format!("{{\"id\":{i},\"token\":\"t{i}\",\"s\":\"s{}\"}}", i / 2)).collect();
    let text = format!("[{}]", items.join(","));
    let mut refusals = 0;
    loop {
        let left = AtomicUsize::new(refusals);
        let count = || Counted::new(Fails(&left));
        let counts = Counts { tree: count(), lin: count(), pool: count(), heap: count() };
        let mut stores = Stores::over(&counts);
        let answer = load(&stores, text.as_bytes(), &mut progress()).map(|document| check(&document));
        stores.destroy().unwrap();
        assert_eq!(counts.mapped(), 0, "after {refusals} calls");
        match answer {
            Ok(()) => break,
            Err(error) => assert!(matches!(error, Error::Memory(Cond::NoRoom)), "{error}"),
        }
        refusals += 1;
    }
    assert!(refusals > 20, "only {refusals} calls");
}

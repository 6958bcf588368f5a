//! The table of actions: every ✓ has a test here, found by `kmem::ACTIONS`; the table is that of the
//! specification, and the README's.

use kmem::{ACTIONS, Action, Face, Kind};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::action_any as any;
use crate::action_cells::{refs, tree};
use crate::action_more as more;
use crate::action_stores::{heap, lin, pool};

/// The test of each action, by kind and letter; of the functions on any pointer, by verb.
fn action_tests() -> &'static [(Kind, &'static str, fn())] {
    &[
        (Kind::Heap, "i", heap::initialise),
        (Kind::Heap, "if", heap::initialise_fixed),
        (Kind::Heap, "a", heap::allocate),
        (Kind::Heap, "o", heap::allocate_pointer),
        (Kind::Heap, "z", heap::zero),
        (Kind::Heap, "zo", heap::zero_pointer),
        (Kind::Heap, "f", heap::free),
        #[cfg(feature = "shred")]
        (Kind::Heap, "s", heap::shred),
        (Kind::Heap, "x", heap::destroy),
        (Kind::Heap, "r", more::heap_resize),
        (Kind::Lin, "i", lin::initialise),
        (Kind::Lin, "if", lin::initialise_fixed),
        (Kind::Lin, "a", lin::allocate),
        (Kind::Lin, "o", lin::allocate_pointer),
        (Kind::Lin, "z", lin::zero),
        (Kind::Lin, "zo", lin::zero_pointer),
        (Kind::Lin, "f", || both(lin::free, more::lin_free_bare)),
        #[cfg(feature = "shred")]
        (Kind::Lin, "s", || both(lin::shred, more::lin_shred_bare)),
        (Kind::Lin, "x", lin::destroy),
        (Kind::Lin, "r", || both(more::lin_resize, more::lin_resize_bare)),
        (Kind::Pool, "i", pool::initialise),
        (Kind::Pool, "if", || both(pool::initialise_fixed, more::pool_in_a_static)),
        (Kind::Pool, "a", pool::allocate),
        (Kind::Pool, "o", pool::allocate_pointer),
        (Kind::Pool, "z", pool::zero),
        (Kind::Pool, "zo", pool::zero_pointer),
        (Kind::Pool, "f", || both(pool::free, more::pool_free_bare)),
        #[cfg(feature = "shred")]
        (Kind::Pool, "s", || both(pool::shred, more::pool_shred_bare)),
        (Kind::Pool, "x", pool::destroy),
        (Kind::Pool, "r", || both(more::pool_resize, more::pool_resize_bare)),
        (Kind::Ref, "a", refs::allocate),
        (Kind::Ref, "o", refs::allocate_pointer),
        (Kind::Ref, "z", refs::zero),
        (Kind::Ref, "zo", refs::zero_pointer),
        (Kind::Ref, "f", refs::free),
        #[cfg(feature = "shred")]
        (Kind::Ref, "s", refs::shred),
        (Kind::Ref, "u", refs::upref),
        (Kind::Ref, "d", refs::downref),
        (Kind::Tree, "i", tree::initialise),
        (Kind::Tree, "if", tree::initialise_fixed),
        (Kind::Tree, "a", tree::allocate),
        (Kind::Tree, "o", tree::allocate_pointer),
        (Kind::Tree, "z", tree::zero),
        (Kind::Tree, "zo", tree::zero_pointer),
        (Kind::Tree, "f", tree::free),
        #[cfg(feature = "shred")]
        (Kind::Tree, "s", tree::shred),
        (Kind::Tree, "x", tree::destroy),
        (Kind::Tree, "r", tree::resize),
        (Kind::None, "free", any::free),
        #[cfg(feature = "shred")]
        (Kind::None, "shred", any::shred),
        (Kind::None, "wrap", any::stat),
        #[cfg(feature = "shred")]
        (Kind::None, "taint", any::taint),
        (Kind::None, "zero", any::zero),
        (Kind::None, "zero object", any::zero_object),
        (Kind::None, "copy", any::copy),
        (Kind::None, "duplicate", any::dup),
    ]
}

/// An action of stores with headers, and of those without.
fn both(with_headers: fn(), bare: fn()) {
    with_headers();
    bare();
}

fn key(action: &Action) -> (Kind, &'static str) {
    (action.kind, if action.letter.is_empty() { action.verb } else { action.letter })
}

fn rust_name(action: &Action) -> &'static str {
    let (Face::Ready(name) | Face::Planned(name)) = action.rust;
    name
}

/// Whether an action is there without the feature `shred`.
fn is_there(action: &Action) -> bool {
    cfg!(feature = "shred") || !matches!(action.verb, "shred" | "taint")
}

#[test]
fn every_action_has_a_test_that_passes() {
    let mut wanted = Vec::new();
    for action in ACTIONS.iter().filter(|action| is_there(action)) {
        let key = key(action);
        let tests: Vec<_> = action_tests().iter().filter(|(kind, name, _)| (*kind, *name) == key).collect();
        let [(_, _, test)] = tests[..] else { panic!("{} tests for {action:?}", tests.len()) };
        println!("{} {} {}", action.kind, action.verb, rust_name(action));
        test();
        wanted.push(key);
    }
    for (kind, name, _) in action_tests() {
        assert!(wanted.contains(&(*kind, *name)), "{kind} {name} is tested and in no table");
    }
    assert_eq!(wanted.len(), action_tests().len());
}

/// The ✓ marks of the specification's table, by the letters of the kinds that have them.
const SPECIFIED: &str = "
    initialise                | i  | h l p . t
    initialise fixed          | if | h l p . t
    allocate                  | a  | h l p r t
    allocate pointer object   | o  | h l p r t
    zero                      | z  | h l p r t
    zero pointer object       | zo | h l p r t
    free                      | f  | h l p r t
    shred                     | s  | h l p r t
    destroy                   | x  | h l p . t
    up-reference              | u  | . . . r .
    down-reference            | d  | . . . r .
    resize                    | r  | h l p . t
";

/// Its functions on managed pointers and raw bytes.
const SPECIFIED_FOR_ANY: [&str; 8] = ["free", "shred", "stat", "taint", "zero", "zero_object", "copy", "dup"];

const KINDS: [(Kind, char); 5] =
    [(Kind::Heap, 'h'), (Kind::Lin, 'l'), (Kind::Pool, 'p'), (Kind::Ref, 'r'), (Kind::Tree, 't')];

/// The rows of the specification's table: verb, letter, marks.
fn specified() -> Vec<[&'static str; 3]> {
    let row = |line: &'static str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        <[_; 3]>::try_from(cells).expect("a row has three cells")
    };
    SPECIFIED.lines().filter(|line| !line.trim().is_empty()).map(row).collect()
}

#[test]
fn the_actions_are_those_of_the_specification() {
    let mut marks = 0;
    for [verb, letter, row] in specified() {
        for (kind, mark) in KINDS {
            let actions: Vec<_> =
                ACTIONS.iter().filter(|action| (action.kind, action.letter) == (kind, letter)).collect();
            assert_eq!(actions.len(), usize::from(row.contains(mark)), "{kind} {verb}: {actions:?}");
            assert!(actions.iter().all(|action| action.verb == verb), "{actions:?} is {verb}");
            marks += actions.len();
        }
    }
    let any: Vec<_> = ACTIONS.iter().filter(|action| action.kind == Kind::None).map(rust_name).collect();
    assert_eq!(any, SPECIFIED_FOR_ANY);
    assert_eq!(ACTIONS.len(), marks + any.len(), "and there is no other");
    assert!(ACTIONS.iter().all(|action| matches!(action.rust, Face::Ready(_))), "each can be had in Rust");
}

/// libk's names: its prefix, the kind, the letter.
#[test]
fn the_c_names_are_kind_and_letter() {
    let mut names = Vec::new();
    for action in ACTIONS {
        let (Face::Ready(name) | Face::Planned(name)) = action.c;
        if action.kind != Kind::None {
            assert_eq!(name, format!("km{}{}", action.kind, action.letter));
        }
        assert!(name.starts_with("km") && !names.contains(&name), "{name}");
        names.push(name);
    }
}

/// The README's table, as Markdown.
#[cfg(not(target_arch = "wasm32"))]
fn markdown() -> String {
    let mut text = String::from("| verb | letter | heap | lin | pool | ref | tree |\n|---|---|---|---|---|---|---|\n");
    for [verb, letter, _] in specified() {
        text += &format!("| {verb} | `{letter}` |");
        for (kind, _) in KINDS {
            let action = ACTIONS.iter().find(|action| (action.kind, action.letter) == (kind, letter));
            text += &action.map_or("  |".into(), |action| format!(" `{}` |", rust_name(action)));
        }
        text += "\n";
    }
    text += "\n| on any pointer | Rust |\n|---|---|\n";
    for action in ACTIONS.iter().filter(|action| action.kind == Kind::None) {
        text += &format!("| {} | `kmem::{}` |\n", action.verb, rust_name(action));
    }
    text
}

/// `UPDATE=1 cargo test the_readme_holds_the_table` writes it.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn the_readme_holds_the_table() {
    const MARKERS: [&str; 2] = ["<!-- actions -->\n", "<!-- /actions -->"];
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let halves = readme.split_once(MARKERS[0]).and_then(|(before, rest)| {
        let (table, after) = rest.split_once(MARKERS[1])?;
        Some((before, table, after))
    });
    let Some((before, table, after)) = halves else {
        panic!("{path} has no lines {MARKERS:?} for the table of actions to stand between");
    };
    let wanted = markdown();
    if table != wanted && std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        let text = format!("{before}{}{wanted}{}{after}", MARKERS[0], MARKERS[1]);
        std::fs::write(path, text).unwrap_or_else(|error| panic!("{path}: {error}"));
        return;
    }
    assert!(table == wanted, "the table of actions in {path} is old: run this test with UPDATE=1\n{wanted}");
}

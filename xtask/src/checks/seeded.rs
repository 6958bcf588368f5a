//! Bugs put in on purpose, to see that each is caught by the test that claims to catch its like.
//!
//! `src/seeded.rs` says how they get in. One build has them all; `KMEM_BUG` names the one that is there.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Tally, coverage, ensure, sanitize};
use crate::machine::Machine;
use crate::{fuzz, run};

/// A bug, the program that catches it, and the test in that program.
struct Bug {
    name: &'static str,
    program: &'static str,
    test: &'static str,
}

const fn bug(name: &'static str, program: &'static str, test: &'static str) -> Bug {
    Bug { name, program, test }
}

const BUGS: [Bug; 17] = [
    bug("quota_forgets_resize", "teardown", "quotas_hold_whatever_comes_grows_moves_and_goes"),
    bug("heap_frees_twice", "conformance", "actions::every_action_has_a_test_that_passes"),
    bug("cell_is_a_byte_short", "conformance", "matrix::heap::over_pages"),
    bug("resize_loses_a_byte", "conformance", "matrix::heap::over_pages"),
    bug("chunk_is_lost", "conformance", "matrix::heap::over_pages"),
    bug("rewound_memory_passes_for_zero", "conformance", "marks::what_was_rewound_over_is_known_to_be_no_longer_zero"),
    bug("kept_pages_pass_for_zero", "kept", "what_was_kept_is_zeroed_where_zeroes_are_asked_for"),
    bug("mark_outlives_its_rewind", "conformance", "marks::marks_nest_and_pass"),
    bug("region_forgets_alignment", "conformance", "matrix::lin::over_pages"),
    bug("pool_forgets_a_free_cell", "conformance", "matrix::pool::over_pages"),
    bug("reset_keeps_its_free_cells", "conformance", "fixed::a_fixed_pool_passes_the_suite"),
    bug("next_sibling_keeps_its_link", "conformance", "matrix::tree::over_pages"),
    bug("guards_are_not_asked", "conformance", "trees::a_guard_that_refuses_keeps_the_whole_subtree"),
    bug("nothing_is_wiped", "shred", "secrets::nodes_go_wiped"),
    bug("taint_is_lost_when_a_cell_moves", "shred", "secrets::heap_cells_move_and_shrink_wiped"),
    bug("last_owner_does_not_look", "kmem_loom", "the_last_owner_sees_what_the_others_did_and_drops_once"),
    bug("dropped_value_comes_back", "kmem_loom", "a_weak_handle_gets_the_value_whole_or_not_at_all"),
];

/// What catches the bugs that are there for the fuzzer, too.
const SCRIPTS: &str = "random_scripts_are_answered_as_the_model_says";

/// Runs each bug's test without it, where it is to pass, and with it, where it is to fail.
pub fn seeded(_: &Machine, tally: &mut Tally) -> Result<()> {
    let mut programs = coverage::programs()?;
    let mut loom = sanitize::loom_tests();
    loom.args(["--no-run", "--message-format=json-render-diagnostics"]);
    programs.extend(run::read(&mut loom)?.lines().filter_map(coverage::executable));
    programs.extend(coverage::build("-p kmem-capi --test scripts")?);
    let mut passes = HashMap::new();
    for Bug { name, program, test } in BUGS.into_iter().chain(fuzz::BUGS.map(|name| bug(name, "scripts", SCRIPTS))) {
        let file = |path: &&PathBuf| file_name(path).starts_with(&format!("{program}-"));
        let program = programs.iter().find(file).with_context(|| format!("no program {program}"))?;
        let verdict = |bug: &str| -> Result<&'static str> {
            // A bug may also make the test run for ever, or take all memory.
            let mut run = run::command("timeout");
            run.args(["60", "prlimit", "--as=8589934592"]).arg(program);
            run.args(["--exact", test]).env("KMEM_BUG", bug).env("LLVM_PROFILE_FILE", "/dev/null");
            let output = run::output(&mut run)?;
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(match output.status.code() {
                Some(0) if text.contains("1 passed; 0 failed") => "passes",
                Some(101) if text.contains("0 passed; 1 failed") => "fails",
                // A signal: the memory is in such a state that not even the test could go on.
                None => "crashes",
                _ => "does not come to a verdict",
            })
        };
        let without = match passes.get(test) {
            Some(verdict) => *verdict,
            None => verdict("")?,
        };
        passes.insert(test, without);
        let with = verdict(name)?;
        println!("{name:<40} {test}: {without} without, {with} with");
        let caught = without == "passes" && matches!(with, "fails" | "crashes");
        tally.check(ensure(caught, || format!("{name} is not caught")));
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

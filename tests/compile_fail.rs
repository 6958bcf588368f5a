//! No safe program misuses memory: each case in `tests/ui` is a small one that would, and does not
//! compile; the `.stderr` beside it says why. `TRYBUILD=overwrite` writes those anew: then read them.
//!
//! The texts are those of the compiler that Cargo.toml states.
#![cfg(all(not(target_arch = "wasm32"), feature = "platform", feature = "shred"))]

#[test]
fn what_would_misuse_memory_does_not_compile() {
    let cases = trybuild::TestCases::new();
    // With a case that runs, all are built, so that a refusal after type checking is seen.
    cases.pass("tests/ui/fine/*.rs");
    cases.compile_fail("tests/ui/*.rs");
    #[cfg(feature = "allocator-api2")]
    cases.compile_fail("tests/ui/allocator/*.rs");
}

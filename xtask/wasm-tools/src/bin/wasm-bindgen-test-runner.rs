//! `wasm-bindgen-test-runner`: what cargo runs a wasm test module with, in Node or a browser.

use wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args;

fn main() {
    if let Err(error) = run_cli_with_args(std::env::args_os()) {
        eprintln!("error: {error:?}");
        std::process::exit(1);
    }
}

//! The same as `wasm-bindgen-test-runner`, for a copy of the module whose memory may not grow beyond
//! `KMEM_CAP` bytes. Capping what is built spares building it all again with another linker flag.

use std::env;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};
use walrus::Module;
use wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args;

const PAGE: u64 = 64 << 10;

fn main() -> Result<()> {
    let mut args: Vec<OsString> = env::args_os().collect();
    let cap: u64 = env::var("KMEM_CAP").context("KMEM_CAP: bytes")?.parse().context("KMEM_CAP")?;
    let module = args.get_mut(1).context("which module?")?;
    *module = capped(Path::new(module), cap)?.into();
    run_cli_with_args(args)
}

fn capped(file: &Path, cap: u64) -> Result<std::path::PathBuf> {
    let mut module = Module::from_file(file)?;
    for memory in module.memories.iter_mut() {
        memory.maximum = Some(cap / PAGE);
    }
    let copy = file.with_extension("capped.wasm");
    module.emit_wasm_file(&copy)?;
    Ok(copy)
}

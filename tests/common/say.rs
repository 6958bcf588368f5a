//! Figures that a test is asked for, shown also where it passes: the test harness keeps what is printed in the usual way.

/// Shows a line.
pub fn say(line: &str) {
    #[cfg(target_arch = "wasm32")]
    wasm_bindgen_test::console_log!("{line}");
    #[cfg(not(target_arch = "wasm32"))]
    {
        use std::io::Write;
        writeln!(std::io::stdout(), "{line}").expect("standard output takes it");
    }
}

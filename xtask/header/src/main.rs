//! Writes `kmem.h` from the sources of the C face: `kmem-header CRATE OUT`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [crate_dir, out] = args.as_slice() else {
        eprintln!("usage: kmem-header CRATE OUT");
        return ExitCode::FAILURE;
    };
    let config = cbindgen::Config::from_file(Path::new(crate_dir).join("cbindgen.toml"));
    let made = config.and_then(|config| {
        let builder = cbindgen::Builder::new().with_crate(crate_dir).with_config(config);
        builder.generate().map_err(|error| error.to_string())
    });
    match made {
        Ok(bindings) => {
            let mut text = Vec::new();
            bindings.write(&mut text);
            let text = String::from_utf8_lossy(&text);
            // What Rust calls so is what the caller owes; and a field that is not there leaves no semicolon.
            let text = text
                .replace(" * # Safety\n *\n * None: ", " * Owed: nothing: ")
                .replace(" * # Safety\n *\n * ", " * Owed: ")
                .replace("\n#endif\n    ;", ";\n#endif");
            if let Err(error) = std::fs::write(out, text) {
                eprintln!("{out}: {error}");
                return ExitCode::FAILURE;
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

//! dmctl: parses, runs, exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("Error: {error}");
            return ExitCode::from(2);
        }
    };
    let code = runtime.block_on(dmctl::run(std::env::args().skip(1).collect()));
    // Standard input may still be waited for by a thread of its own: don't wait for it.
    runtime.shutdown_background();
    ExitCode::from(code)
}

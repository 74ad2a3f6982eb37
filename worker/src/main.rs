//! `dm-worker`: parses, loads the configuration, starts logging, runs.
use std::process::ExitCode;

use clap::Parser;
use dm_worker::runtime::{Args, LAST_RESORT, bound_driver_memory, init_logging, run, watch_signals};

fn main() -> ExitCode {
    let args = Args::parse();
    if args.version {
        println!("Release Version: v{}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %format!("{error:#}"), "dm-worker ends");
            eprintln!("dm-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings()?;
    if args.print_config {
        println!("{settings:#?}");
        return Ok(());
    }
    let bounded = bound_driver_memory();
    init_logging(&settings.log)?;
    if let Err(error) = bounded {
        tracing::warn!(%error, "this program can't be started again with MYSQL_ASYNC_BUFFER_SIZE_CAP set: it may take more memory");
    }
    #[cfg(feature = "test-switches")]
    dm_worker::test_switches::install(&settings.name)?;
    let stop = watch_signals(LAST_RESORT, || std::process::exit(1))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(run(settings, stop));
    // A thread that hangs, on a disk or on a name server, must not keep the process: what has to be waited for has been.
    runtime.shutdown_background();
    result
}

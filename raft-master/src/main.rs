//! dm-master: parse, load the configuration, start logging, run.
use std::{process::ExitCode, time::Duration};

use clap::Parser;
use dm_consensus::EXIT_FATAL;
use dm_master::{
    logging,
    options::{Options, as_toml},
    server::Server,
    settings::Settings,
    signals,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// Exit code for a wrong command line or file, as clap has it.
const EXIT_USAGE: u8 = 2;
/// A stop that was asked for takes no longer than this, whatever hangs.
const LAST_RESORT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let options = Options::parse();
    let print = options.print_config;
    let config = match options.load() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    if print {
        return match as_toml(&config) {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => failed(&error),
        };
    }
    if let Err(error) = logging::start(&config.log) {
        eprintln!("the log can't be written: {error}");
        return ExitCode::from(EXIT_USAGE);
    }
    info!(version = env!("CARGO_PKG_VERSION"), ?config, "dm-master starts");
    let settings = Settings::from_config(&config);
    #[cfg(feature = "test-switches")]
    let settings = match dm_master::test_switches::install(settings) {
        Ok(settings) => settings,
        Err(error) => return failed(error.as_ref()),
    };
    let stop = match signals::watch(LAST_RESORT, || std::process::exit(EXIT_FATAL.into())) {
        Ok(stop) => stop,
        Err(error) => return failed(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let code = runtime.block_on(run(settings, stop));
    // Threads that hang on a dead disk must not keep the process; what was done in order has been waited for.
    runtime.shutdown_background();
    code
}

async fn run(settings: Settings, stop: CancellationToken) -> ExitCode {
    match Server::start(settings).await {
        Ok(server) => match server.run(stop.cancelled_owned()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(fatal) => {
                eprintln!("{fatal}");
                ExitCode::from(fatal.exit_code())
            }
        },
        Err(error) => {
            error!(%error, "dm-master does not start");
            eprintln!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}

//! dm-master: parse, load the configuration, start logging, run.
use std::process::ExitCode;

use clap::Parser;
use dm_master::{
    logging,
    options::{Options, as_toml},
    server::Server,
    settings::Settings,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info};

/// Exit code for a wrong command line or file, as clap has it.
const EXIT_USAGE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
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
    let stop = match stop_signal() {
        Ok(stop) => stop,
        Err(error) => return failed(&error),
    };
    match Server::start(Settings::from_config(&config)).await {
        Ok(server) => match server.run(stop).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(fatal) => {
                eprintln!("{fatal}");
                // Threads that hang on a dead disk must not keep the process.
                std::process::exit(i32::from(fatal.exit_code()));
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

/// Ends with the first TERM, INT or HUP.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut signals: Vec<Signal> = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()]
        .into_iter()
        .map(signal)
        .collect::<Result<_, _>>()?;
    Ok(async move {
        let received = signals.iter_mut().map(|s| Box::pin(s.recv()));
        futures::future::select_all(received).await;
    })
}

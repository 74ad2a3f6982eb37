//! `dm-chaos`: the demo and the benchmarks on real servers and processes.
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "dm-chaos",
    version,
    about = "Breaks a real cluster on purpose and proves that nothing was lost"
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Copies and follows a sample database, kills the leader and a worker, and compares every row.
    Demo {
        /// Leave everything running at the end, also after a failure, until SIGINT or SIGTERM; says how to connect.
        #[arg(long)]
        keep: bool,
    },
    /// Failover times after SIGKILL of the leader and of the worker, under write load.
    BenchFailover {
        /// Kills of each kind.
        #[arg(long, default_value_t = 20)]
        kills: u32,
        /// Transactions per second that the writers try to keep up at the source; fewer than 500 are a failure.
        #[arg(long, default_value_t = 600)]
        tps: u32,
    },
    /// Load and sync in rows per second, beside mariadb-dump and MariaDB's own replica on the same data.
    BenchSpeed {
        /// Rows to load, and row changes to follow.
        #[arg(long, default_value_t = 200_000)]
        rows: u32,
    },
    /// Backlogs of several shapes and the lag at a steady rate, beside MariaDB's own replica with 1 and 4 threads; with the
    /// worker's CPU time and memory.
    BenchSync {
        /// Row changes of each backlog; a tenth of it with durable flush.
        #[arg(long, default_value_t = 1_000_000)]
        rows: u32,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Demo { keep } => dm_chaos::demo::run(keep).await,
        Command::BenchFailover { kills, tps } => {
            dm_chaos::bench::failover::run(kills, tps).await.map(|()| true)
        }
        Command::BenchSpeed { rows } => dm_chaos::bench::speed::run(rows).await.map(|()| true),
        Command::BenchSync { rows } => dm_chaos::bench::sync::run(rows).await.map(|()| true),
    };
    match done {
        Ok(true) => {
            println!("OK");
            ExitCode::SUCCESS
        }
        Ok(false) => {
            println!("FAILED: source and target differ");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

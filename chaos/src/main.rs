//! `dm-chaos`: the demo and the benchmarks on real servers and processes.
use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use dm_chaos::run::{Options, Scenario};

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
    /// Injects faults drawn from a seed, one or two at a time, while writers and operators work; checks afterwards that nothing
    /// was lost and nothing came twice, and writes a report.
    Run {
        /// `mixed`, a part (`leader`, `masters`, `worker`, `target`, `source`), or one fault by its name.
        #[arg(long, default_value = "mixed")]
        scenario: Scenario,
        /// Decides which faults come, whom they meet and how long they last; drawn and printed when absent.
        #[arg(long)]
        seed: Option<u64>,
        /// Time in which faults are injected.
        #[arg(long, default_value_t = 5.0)]
        minutes: f64,
        /// Folder for `report.json` and `report.html`.
        #[arg(long, default_value = "chaos-report")]
        out: PathBuf,
    },
    /// Failover times, under write load: leader killed and frozen, worker killed, frozen, and apart from the masters.
    BenchFailover {
        /// Faults of each kind.
        #[arg(long, default_value_t = 50)]
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
        /// Only the backlogs whose name holds this, and no lag.
        #[arg(long)]
        only: Option<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Demo { keep } => dm_chaos::demo::run(keep).await,
        Command::Run { scenario, seed, minutes, out } => {
            let seed = seed.unwrap_or_else(rand::random);
            let time = Duration::try_from_secs_f64(minutes * 60.0);
            match time {
                Ok(time) => dm_chaos::run::run(Options { scenario, seed, time, out }).await,
                Err(error) => Err(anyhow::anyhow!("--minutes {minutes}: {error}")),
            }
        }
        Command::BenchFailover { kills, tps } => {
            dm_chaos::bench::failover::run(kills, tps).await.map(|()| true)
        }
        Command::BenchSpeed { rows } => dm_chaos::bench::speed::run(rows).await.map(|()| true),
        Command::BenchSync { rows, only } => {
            dm_chaos::bench::sync::run(rows, only.as_deref()).await.map(|()| true)
        }
    };
    match done {
        Ok(true) => {
            println!("OK");
            ExitCode::SUCCESS
        }
        Ok(false) => {
            println!("FAILED: see above");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

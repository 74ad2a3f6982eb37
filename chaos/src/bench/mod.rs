//! Benchmarks that print a table, each figure beside its rival where there is one.
pub mod failover;
mod lag;
mod replica;
pub mod speed;
pub mod sync;
mod usage;
mod workload;

use std::time::Duration;

use dm_tests::DatabaseOptions;

/// Servers sized as in production for the data at hand: in the 32 MiB of log of a test's server, both sides would measure
/// how fast its pages are written out.
fn database() -> DatabaseOptions {
    DatabaseOptions::default().line("innodb-buffer-pool-size=512M").line("innodb-log-file-size=512M")
}

/// The value below or at which so many percent of the times are (nearest rank); `None` without a value.
fn percentile(times: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

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

/// Median and maximum in milliseconds; `-` without a value.
fn median_max(times: &[Duration]) -> (String, String) {
    let mut sorted = times.to_vec();
    sorted.sort();
    let show = |time: Option<&Duration>| time.map_or("-".to_owned(), |t| t.as_millis().to_string());
    (show(sorted.get(sorted.len() / 2)), show(sorted.last()))
}

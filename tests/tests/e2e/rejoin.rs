//! A worker that was removed while it was frozen comes back by itself.

use std::time::Duration;

use anyhow::{Context as _, Result};
use dm_tests::{Cluster, wait_until};

const LONG: Duration = Duration::from_secs(60);

/// Stage of the worker in `list-member`; none when it is not known.
async fn stage(cluster: &Cluster, worker: &str) -> Result<Option<String>> {
    let members = cluster.list_member().await?;
    let sections = members["members"].as_array().cloned().unwrap_or_default();
    let workers = sections.iter().find_map(|section| section["worker"]["workers"].as_array());
    let found = workers.into_iter().flatten().find(|w| w["name"] == worker);
    Ok(found.and_then(|w| w["stage"].as_str()).map(str::to_owned))
}

#[tokio::test]
async fn a_worker_removed_while_it_was_frozen_registers_again() -> Result<()> {
    let mut cluster = Cluster::start(1, 1).await?;
    let outcome = scenario(&mut cluster).await;
    outcome.with_context(|| cluster.last_words())
}

async fn scenario(cluster: &mut Cluster) -> Result<()> {
    let worker = cluster.names(false).remove(0);
    cluster.freeze(&worker)?;
    wait_until(LONG, "the frozen worker to be offline", async || {
        Ok(stage(cluster, &worker).await?.as_deref() == Some("offline"))
    })
    .await?;
    cluster.dmctl(&["offline-member", "--worker", "--name", &worker]).await?.success()?;
    wait_until(LONG, "the worker to be forgotten", async || Ok(stage(cluster, &worker).await?.is_none()))
        .await?;
    cluster.thaw(&worker)?;
    wait_until(LONG, "the worker to be back", async || {
        Ok(stage(cluster, &worker).await?.as_deref() == Some("free"))
    })
    .await
}

//! What happens to a worker and its target at random points of a history.
use std::time::Duration;

use anyhow::Result;
use dm_proto::worker::MetaStage;
use mysql_async::prelude::Queryable;
use rand::{Rng, rngs::StdRng};

use crate::{
    leader::Leader,
    scene::{CLUSTER, Scene},
};

/// Lanes of the task's next binding.
pub fn set_lanes(scene: &mut Scene, merges: bool, lanes: u32) {
    let route = if merges { "    route-rules: [merge]\n" } else { "" };
    let routes = if merges {
        "routes:\n  merge:\n    schema-pattern: d\n    table-pattern: s*\n    target-schema: d\n    target-table: m\n"
    } else {
        ""
    };
    scene.with_rules(
        &format!("{route}    syncer-config-name: s\n"),
        &format!("{routes}syncers:\n  s:\n    worker-count: {lanes}\n    strict: true\n"),
    );
}

/// One owner after the other.
pub struct Owners {
    pub term: u64,
    pub leader: Option<Leader>,
}

impl Owners {
    /// A new binding of the first worker process.
    pub async fn bind(&mut self, scene: &Scene) -> Result<()> {
        self.term += 1;
        self.leader = None;
        let leader = scene.leader(self.term).await?;
        leader.assign(scene.bound(self.term, MetaStage::MetaCreated)).await?;
        self.leader = Some(leader);
        Ok(())
    }

    /// Another process takes over while this one still writes.
    async fn bind_second(&mut self, scene: &mut Scene) -> Result<()> {
        self.term += 1;
        let address = scene.start_second()?;
        let second = Leader::open(&address, "w2", CLUSTER, self.term).await?;
        second.assign(scene.bound(self.term, MetaStage::MetaCreated)).await?;
        second
            .until("the second owner works", Duration::from_secs(60), |s| {
                s.sync.as_ref().is_some_and(|p| p.transactions > 5)
            })
            .await?;
        self.leader = Some(second);
        Ok(())
    }
}

async fn kill_sessions(scene: &Scene) -> Result<()> {
    let mut conn = scene.target.conn().await?;
    let sql = "SELECT id FROM information_schema.processlist WHERE user = 'root' AND id <> CONNECTION_ID()";
    let ids: Vec<u64> = conn.query(sql).await?;
    for id in ids {
        match conn.query_drop(format!("KILL {id}")).await {
            // It has ended by itself.
            Err(mysql_async::Error::Server(e)) if e.code == 1094 => {}
            other => other?,
        }
    }
    Ok(conn.disconnect().await?)
}

/// One trouble; what it was.
pub async fn trouble(
    scene: &mut Scene,
    merges: bool,
    owners: &mut Owners,
    random: &mut StdRng,
) -> Result<&'static str> {
    Ok(match random.random_range(0..6) {
        0 | 1 => {
            scene.worker().kill9()?;
            scene.start_worker()?;
            set_lanes(scene, merges, random.random_range(1..=8));
            owners.bind(scene).await?;
            "the worker was killed"
        }
        2 => {
            set_lanes(scene, merges, random.random_range(1..=8));
            owners.bind(scene).await?;
            "it took over from itself"
        }
        3 => {
            // Where it gets no time meanwhile, it learns of the second one by being refused.
            let frozen = random.random_bool(0.5);
            if frozen {
                scene.worker().freeze()?;
            }
            owners.bind_second(scene).await?;
            if frozen {
                scene.worker().thaw()?;
            }
            scene.kill_second()?;
            // The first one was fenced off, or is about to be.
            scene.worker().kill9()?;
            scene.start_worker()?;
            owners.bind(scene).await?;
            "a second worker took over"
        }
        4 => {
            kill_sessions(scene).await?;
            "its sessions were killed"
        }
        _ => {
            scene.target.kill9()?;
            scene.target.restart().await?;
            "the target lost commits"
        }
    })
}

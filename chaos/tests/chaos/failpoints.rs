//! Processes that are killed at a failpoint of the list (`dm_failpoints`).

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use dm_chaos::rig::TASK;
use dm_failpoints::Failpoint;
use dm_tests::wait_until_value;

use crate::scene::{LONG, Scene};

/// Where a process was killed so far.
#[derive(Default)]
pub struct Killed(BTreeSet<Failpoint>);

impl Killed {
    /// One more.
    pub fn at(&mut self, failpoint: Failpoint) {
        self.0.insert(failpoint);
    }

    /// Nothing of the list may be left out.
    pub fn are_all(&self, rooms: &[&str]) -> Result<()> {
        let all = Failpoint::ALL.iter().filter(|f| rooms.contains(&f.room()));
        let left: Vec<_> = all.filter(|f| !self.0.contains(f)).collect();
        ensure!(left.is_empty(), "nobody was killed at {left:?}");
        println!("killed at {} failpoints of {rooms:?}", self.0.len());
        Ok(())
    }
}

/// Lets things go on as they do.
pub async fn nothing(_: &Scene) -> Result<()> {
    Ok(())
}

impl Scene {
    /// Arms a failpoint for several members, lets `cause` run until one of them stays there, and kills it there. It is down
    /// then; the others go on.
    pub async fn killed_at(
        &mut self,
        members: &[&str],
        at: Failpoint,
        cause: impl AsyncFnOnce(&Self) -> Result<()>,
    ) -> Result<String> {
        for member in members {
            self.arm(member, at.place())?;
        }
        let dead = {
            let held = self.held_one(members, at);
            tokio::pin!(held);
            tokio::select! {
                biased;
                held = &mut held => held?,
                // A command fails where whoever carries it out is held: only in vain if nobody is.
                caused = cause(self) => held.await.with_context(|| format!("what was done for it: {caused:?}"))?,
            }
        };
        self.rig.cluster.kill9(&dead)?;
        for member in members {
            self.disarm(member, at.place())?;
        }
        println!("{dead} killed at {}", at.name());
        Ok(dead)
    }

    /// Waits until one of them stays at the failpoint.
    async fn held_one(&self, members: &[&str], at: Failpoint) -> Result<String> {
        wait_until_value(LONG, format!("one of {members:?} to come to {}", at.name()), async || {
            let held = members.iter().find(|m| self.hold_files(m, at.place()).1.exists());
            Ok(held.map(|m| (*m).to_owned()))
        })
        .await
    }

    /// Nobody stays at the failpoint any more.
    pub fn disarm(&self, member: &str, place: &str) -> Result<()> {
        let (armed, held) = self.hold_files(member, place);
        // In this order: who has not renamed the first one by now never will.
        for file in [armed, held] {
            match std::fs::remove_file(file) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// `dmctl binlog VERB TASK MORE --binlog-pos mysql-bin.999990:POS`: what a person says of an event far away changes the
    /// masters' state, and nothing else. Whether it was refused is told.
    pub async fn far_operator(&self, verb: &str, pos: u64) -> Result<bool> {
        let place = format!("--binlog-pos=mysql-bin.999990:{pos}");
        Ok(self.rig.cluster.dmctl(&["binlog", verb, TASK, &place]).await?.success().is_ok())
    }
}

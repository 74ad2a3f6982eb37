//! Workers that get no time at a chosen moment.

use anyhow::Result;
use dm_tests::wait_until;

use crate::scene::{LONG, Scene};

/// What a worker logs when the target refuses a packet.
pub const REFUSED: &[&str] = &["packet refused by the target's fence (error 1242)", "of lane "];
/// What a worker logs when it finds another owner at the target.
pub const FENCED: &[&str] = &["another owner has taken over"];

impl Scene {
    /// From now on the first one of this worker to reach the failpoint stays there.
    pub fn arm(&self, worker: &str, failpoint: &str) -> Result<()> {
        Ok(std::fs::write(self.hold_files(worker, failpoint).0, b"")?)
    }

    /// Freezes a worker and holds whatever the masters send it from now on: thawed, it goes on as if it still owned the
    /// source, and only the target can tell it otherwise.
    pub fn freeze_unaware(&self, worker: &str) -> Result<()> {
        self.session(worker).black_hole();
        self.rig.cluster.freeze(worker)
    }

    /// Waits until somebody stays at the failpoint.
    pub async fn held(&self, worker: &str, failpoint: &str) -> Result<()> {
        let held = self.hold_files(worker, failpoint).1;
        wait_until(LONG, &format!("{worker} to come to {failpoint}"), async || Ok(held.exists())).await
    }

    /// Lets whoever stays at the failpoint go on.
    pub fn release(&self, worker: &str, failpoint: &str) -> Result<()> {
        Ok(std::fs::remove_file(self.hold_files(worker, failpoint).1)?)
    }

    /// The target has refused a worker: these words are in its log behind byte `from`, and its metric counts. The
    /// masters reach it again then.
    pub async fn refused(&self, worker: &str, from: usize, words: &[&str]) -> Result<()> {
        let line = self.logged(worker, from, words).await?;
        println!("the thawed worker: {line}");
        wait_until(LONG, "the refusal in the metric", async || {
            Ok(self.rig.cluster.member(worker)?.metric("dm_target_refused_packets_total", "").await? >= 1.0)
        })
        .await?;
        self.session(worker).heal();
        Ok(())
    }
}

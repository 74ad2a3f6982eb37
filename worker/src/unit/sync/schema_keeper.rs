//! Writes the checkpoint each second, always with table definitions that fit the executed set.
use std::time::Duration;

use dm_target::{Attachment, CheckpointUpdate, TargetError};
use tokio::{sync::Mutex, time::MissedTickBehavior};

use super::{dm_row::DmRow, witness::Witness};

/// How often the executed set is merged into the checkpoint row.
const EVERY: Duration = Duration::from_secs(1);
/// How often progress and metrics are brought up to date: a person reads from them that a backlog has ended.
const OBSERVE_EVERY: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    schemas: Option<Vec<u8>>,
    identity: Option<String>,
}

/// What the next checkpoint has to store. The lock is held while it is written, so that an older text never follows a
/// newer one.
#[derive(Default)]
pub struct SchemaKeeper {
    state: Mutex<State>,
    /// Gives the proof.
    pub witness: Witness,
    /// Gives DM's form of it.
    pub dm: DmRow,
}

impl SchemaKeeper {
    /// Stored with the next checkpoint.
    pub async fn set_schemas(&self, schemas: Vec<u8>) {
        self.state.lock().await.schemas = Some(schemas);
    }

    /// Stored with the next checkpoint.
    pub async fn set_identity(&self, identity: String) {
        self.state.lock().await.identity = Some(identity);
    }

    /// Writes now.
    pub async fn write(&self, attachment: &Attachment) -> Result<(), TargetError> {
        let mut state = self.state.lock().await;
        let update = CheckpointUpdate {
            source_identity: state.identity.clone(),
            // Never ahead of the executed set that is written with it.
            position_proof: self.witness.applied(&attachment.low()).map(|p| p.to_text()),
            schemas: state.schemas.clone(),
            // Neither is this; sets grow meanwhile.
            beside: self.dm.statements(&attachment.low(), &attachment.executed()),
        };
        attachment.checkpoint(update).await?;
        *state = State::default();
        Ok(())
    }

    /// Waits until nothing is being written. While this is held, `run` may be dropped: a write that is cut in the middle
    /// costs the attachment.
    pub async fn pause(&self) -> impl Drop + '_ {
        self.state.lock().await
    }

    /// Writes for ever; gives the error that ends it.
    pub async fn run(&self, attachment: &Attachment, mut observe: impl FnMut()) -> TargetError {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = tokio::time::interval(OBSERVE_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => observe(),
                _ = ticks.tick() => {
                    if let Err(error) = self.write(attachment).await {
                        return error;
                    }
                }
            }
        }
    }
}

//! The replicated state machine as consensus runs it: bytes in, bytes out.
use dm_consensus::{Incompatible, Machine, RestoreError};
use dm_proto::raft::Command;
use dm_state::State;
use prost::Message;

/// [`dm_state::State`] behind the interface of consensus.
#[derive(Default)]
pub struct ClusterMachine {
    state: State,
}

impl ClusterMachine {
    /// The applied state.
    pub fn state(&self) -> &State {
        &self.state
    }
}

impl Machine for ClusterMachine {
    fn apply(&mut self, _index: u64, command: &[u8]) -> Result<Vec<u8>, Incompatible> {
        let command = Command::decode(command)
            .map_err(|e| dm_state::Incompatible::Undecodable(e.to_string()))
            .map_err(|e| Incompatible::new(e.to_string()))?;
        let outcome =
            dm_state::apply(&mut self.state, &command).map_err(|e| Incompatible::new(e.to_string()))?;
        Ok(outcome.encode_to_vec())
    }

    fn snapshot(&self) -> Vec<u8> {
        #[cfg(feature = "simulation")]
        if simulation::BROKEN.load(std::sync::atomic::Ordering::Relaxed) {
            let mut state = self.state.clone();
            state.epoch_counter = 0;
            return dm_state::encode(&state);
        }
        dm_state::encode(&self.state)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        self.state = dm_state::decode(snapshot).map_err(|e| RestoreError::new(e.to_string()))?;
        Ok(())
    }
}

/// Switches of simulations.
#[cfg(feature = "simulation")]
pub mod simulation {
    use std::sync::atomic::{AtomicBool, Ordering};

    pub(super) static BROKEN: AtomicBool = AtomicBool::new(false);

    /// Breaks a promise, to prove that the simulation notices: a snapshot lacks a field.
    pub fn lose_a_field() {
        BROKEN.store(true, Ordering::Relaxed);
    }
}

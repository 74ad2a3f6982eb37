//! The state as a snapshot holds it.
use std::collections::BTreeMap;

use dm_proto::{
    raft::{BindingImage, SourceImage, StateImage, SubtaskImage, TaskImage, WorkerImage},
    worker::{MetaStage, Stage},
};
use prost::Message;

use crate::operators::Operators;
use crate::requests::Requests;
use crate::state::{Binding, CLUSTER_VERSION, Source, State, Subtask, Task, Worker};

/// Layout of [`StateImage`] that this program writes.
pub const FORMAT: u64 = 1;

/// A snapshot that can't be taken as the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// No message.
    #[error("the snapshot cannot be decoded: {0}")]
    Undecodable(String),
    /// Written by a later version.
    #[error(
        "the snapshot has format {format} and cluster version {cluster_version}; this version reads up to {FORMAT} and {CLUSTER_VERSION}"
    )]
    Later {
        /// Format found.
        format: u64,
        /// Cluster version found.
        cluster_version: u64,
    },
    /// A field with a value that no version of this format writes.
    #[error("the snapshot has {field} = {value}")]
    BadValue {
        /// Name of the field.
        field: &'static str,
        /// Number found.
        value: i32,
    },
}

/// The state as bytes; equal states give equal bytes.
pub fn encode(state: &State) -> Vec<u8> {
    image(state).encode_to_vec()
}

/// The inverse of [`encode`].
pub fn decode(bytes: &[u8]) -> Result<State, RestoreError> {
    restore(StateImage::decode(bytes).map_err(|e| RestoreError::Undecodable(e.to_string()))?)
}

fn image(state: &State) -> StateImage {
    StateImage {
        format: FORMAT,
        cluster_id: state.cluster_id.clone(),
        epoch_counter: state.epoch_counter,
        cluster_version: state.cluster_version,
        revision_counter: state.revision_counter,
        requests: state.requests.iter().cloned().collect(),
        workers: state.workers.iter().map(|(name, w)| worker_image(name, w)).collect(),
        sources: state.sources.iter().map(|(id, s)| source_image(id, s)).collect(),
        tasks: state.tasks.iter().map(|(name, t)| task_image(name, t)).collect(),
    }
}

fn worker_image(name: &str, worker: &Worker) -> WorkerImage {
    WorkerImage { name: name.to_owned(), address: worker.address.clone(), incarnation: worker.incarnation }
}

fn source_image(id: &str, source: &Source) -> SourceImage {
    let binding = source.binding.as_ref().map(|b| BindingImage {
        worker: b.worker.clone(),
        incarnation: b.incarnation,
        epoch: b.epoch,
    });
    SourceImage {
        source_id: id.to_owned(),
        config: source.config.clone(),
        binding,
        created_at_ms: source.created_at_ms,
    }
}

fn task_image(name: &str, task: &Task) -> TaskImage {
    let subtasks = task.subtasks.iter().map(|(source_id, s)| SubtaskImage {
        source_id: source_id.clone(),
        desired: s.desired.into(),
        meta: s.meta.into(),
        adopt_meta: s.adopt_meta,
        resume_serial: s.resume_serial,
        config: s.config.clone(),
        revision: s.revision,
        remove_meta: s.remove_meta,
        start_time: s.start_time.clone(),
        created_at_ms: s.created_at_ms,
        operators: s.operators.iter().cloned().collect(),
    });
    TaskImage { name: name.to_owned(), subtasks: subtasks.collect() }
}

/// Takes an image as the state; what a later version wrote is refused.
pub fn restore(image: StateImage) -> Result<State, RestoreError> {
    if image.format != FORMAT || image.cluster_version > CLUSTER_VERSION {
        return Err(RestoreError::Later { format: image.format, cluster_version: image.cluster_version });
    }
    let mut state = State {
        cluster_id: image.cluster_id,
        cluster_version: image.cluster_version,
        epoch_counter: image.epoch_counter,
        revision_counter: image.revision_counter,
        requests: Requests::restore(image.requests),
        ..State::default()
    };
    for w in image.workers {
        state.workers.insert(w.name, Worker { address: w.address, incarnation: w.incarnation });
    }
    for s in image.sources {
        let binding =
            s.binding.map(|b| Binding { worker: b.worker, incarnation: b.incarnation, epoch: b.epoch });
        state
            .sources
            .insert(s.source_id, Source { config: s.config, binding, created_at_ms: s.created_at_ms });
    }
    for t in image.tasks {
        let subtasks: Result<BTreeMap<_, _>, _> = t.subtasks.into_iter().map(subtask).collect();
        state.tasks.insert(t.name, Task { subtasks: subtasks? });
    }
    Ok(state)
}

fn subtask(s: SubtaskImage) -> Result<(String, Subtask), RestoreError> {
    let desired = Stage::try_from(s.desired)
        .map_err(|_| RestoreError::BadValue { field: "desired", value: s.desired })?;
    let meta =
        MetaStage::try_from(s.meta).map_err(|_| RestoreError::BadValue { field: "meta", value: s.meta })?;
    let operators = Operators::restore(s.operators)
        .map_err(|value| RestoreError::BadValue { field: "operator kind", value })?;
    let subtask = Subtask {
        config: s.config,
        revision: s.revision,
        desired,
        meta,
        adopt_meta: s.adopt_meta,
        remove_meta: s.remove_meta,
        start_time: s.start_time,
        resume_serial: s.resume_serial,
        created_at_ms: s.created_at_ms,
        operators,
    };
    Ok((s.source_id, subtask))
}

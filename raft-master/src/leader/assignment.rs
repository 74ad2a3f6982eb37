//! From the replicated state to what one worker process is told.
use dm_proto::worker::{Assignment, BoundSource, Subtask};
use dm_state::State;

/// Everything that this worker process has to do, whole. Sources bound to another incarnation are not in it.
pub fn assignment(state: &State, worker: &str, incarnation: u64, master_loss_grace_ms: u64) -> Assignment {
    let sources = state.sources_of(worker).filter_map(|(id, source)| {
        let binding = source.binding.as_ref().filter(|b| b.incarnation == incarnation)?;
        let subtasks = state.tasks_of(id).map(|(task, s)| Subtask {
            task: task.clone(),
            config: s.config.clone(),
            task_revision: s.revision,
            desired: s.desired.into(),
            meta: s.meta.into(),
            adopt_meta: s.adopt_meta,
            resume_serial: s.resume_serial,
            remove_meta: s.remove_meta,
            start_time: s.start_time.clone(),
            operators: s.operators.iter().cloned().collect(),
        });
        Some(BoundSource {
            source_id: id.clone(),
            epoch: binding.epoch,
            config: source.config.clone(),
            subtasks: subtasks.collect(),
        })
    });
    Assignment { worker: worker.to_owned(), incarnation, sources: sources.collect(), master_loss_grace_ms }
}

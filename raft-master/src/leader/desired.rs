//! Wishes of workers that the leader turns into commands.
use dm_proto::{
    raft::{RemoveOperator, SetMeta, command::Body},
    worker::{MetaStage, Report},
};
use dm_state::State;

/// Meta stages that the present owner of a source asks to have committed and that are not yet.
pub fn meta_wishes(state: &State, worker: &str, incarnation: u64, report: &Report) -> Vec<Body> {
    let mut wishes = Vec::new();
    for source in &report.sources {
        let binding = state.sources.get(&source.source_id).and_then(|s| s.binding.as_ref());
        let owner = binding
            .is_some_and(|b| b.worker == worker && b.incarnation == incarnation && b.epoch == source.epoch);
        if !owner {
            continue;
        }
        for subtask in &source.subtasks {
            let stored = state.tasks.get(&subtask.task).and_then(|t| t.subtasks.get(&source.source_id));
            let Some(stored) = stored.filter(|s| s.revision == subtask.task_revision) else { continue };
            let next = match stored.meta {
                MetaStage::MetaNone => MetaStage::MetaCreating,
                MetaStage::MetaCreating => MetaStage::MetaCreated,
                MetaStage::MetaCreated => continue,
            };
            if subtask.meta_wanted == next as i32 {
                wishes.push(Body::SetMeta(SetMeta {
                    task: subtask.task.clone(),
                    source_id: source.source_id.clone(),
                    meta: next.into(),
                    epoch: source.epoch,
                    task_revision: subtask.task_revision,
                }));
            }
        }
    }
    wishes
}

/// Operators that the present owner has consumed and that are still stored.
pub fn consumed_operators(state: &State, worker: &str, incarnation: u64, report: &Report) -> Vec<Body> {
    let mut consumed = Vec::new();
    for source in report.sources.iter().filter(|s| s.subtasks.iter().any(|t| !t.operators_done.is_empty())) {
        let binding = state.sources.get(&source.source_id).and_then(|s| s.binding.as_ref());
        let owner = binding
            .is_some_and(|b| b.worker == worker && b.incarnation == incarnation && b.epoch == source.epoch);
        for subtask in source.subtasks.iter().filter(|_| owner) {
            let stored = state.tasks.get(&subtask.task).and_then(|t| t.subtasks.get(&source.source_id));
            let Some(stored) = stored else { continue };
            consumed.extend(subtask.operators_done.iter().filter(|id| stored.operators.has(**id)).map(
                |id| {
                    Body::RemoveOperator(RemoveOperator {
                        task: subtask.task.clone(),
                        source_id: source.source_id.clone(),
                        id: *id,
                        ..RemoveOperator::default()
                    })
                },
            ));
        }
    }
    consumed
}

#[cfg(test)]
mod tests {
    use dm_proto::{
        raft,
        worker::{ErrorOperator, OperatorKind, SourceReport, SubtaskReport},
    };
    use dm_state::{apply, command};

    use super::*;

    fn report(epoch: u64, task_revision: u64, wanted: MetaStage) -> Report {
        let subtask = SubtaskReport {
            task: "t".into(),
            task_revision,
            meta_wanted: wanted.into(),
            ..Default::default()
        };
        let source = SourceReport { source_id: "s".into(), epoch, subtasks: vec![subtask], error: None };
        Report { sources: vec![source], ..Default::default() }
    }

    #[test]
    fn only_the_present_owner_and_only_the_next_stage() {
        let mut state = State::default();
        let bodies = [
            Body::RegisterWorker(raft::RegisterWorker {
                name: "w".into(),
                address: "a:1".into(),
                incarnation: 5,
            }),
            Body::PutSource(raft::PutSource { source_id: "s".into(), config: String::new() }),
            Body::StartTask(raft::StartTask {
                task: "t".into(),
                sources: vec!["s".into()],
                ..Default::default()
            }),
            Body::Bind(raft::Bind {
                source_id: "s".into(),
                worker: "w".into(),
                incarnation: 5,
                expected_epoch: 0,
                epoch_floor: 0,
            }),
        ];
        for body in bodies {
            apply(&mut state, &command(0, body)).unwrap();
        }
        let ask = |state: &State, inc, r: Report| meta_wishes(state, "w", inc, &r).len();
        assert_eq!(ask(&state, 5, report(1, 1, MetaStage::MetaCreating)), 1);
        assert_eq!(ask(&state, 6, report(1, 1, MetaStage::MetaCreating)), 0, "another process");
        assert_eq!(ask(&state, 5, report(2, 1, MetaStage::MetaCreating)), 0, "another epoch");
        assert_eq!(ask(&state, 5, report(1, 2, MetaStage::MetaCreating)), 0, "another start");
        assert_eq!(ask(&state, 5, report(1, 1, MetaStage::MetaCreated)), 0, "not before CREATING");
        let wish = meta_wishes(&state, "w", 5, &report(1, 1, MetaStage::MetaCreating)).remove(0);
        apply(&mut state, &command(0, wish)).unwrap();
        assert_eq!(ask(&state, 5, report(1, 1, MetaStage::MetaCreating)), 0, "done already");
        assert_eq!(ask(&state, 5, report(1, 1, MetaStage::MetaCreated)), 1);
    }

    #[test]
    fn a_consumed_operator_is_removed_once_and_only_on_the_present_owners_word() {
        let mut state = State::default();
        let operator = ErrorOperator {
            kind: OperatorKind::OperatorSkip.into(),
            file: "b.1".into(),
            pos: 4,
            ..Default::default()
        };
        let sources = vec!["s".to_owned()];
        for body in [
            Body::RegisterWorker(raft::RegisterWorker {
                name: "w".into(),
                address: "a:1".into(),
                incarnation: 5,
            }),
            Body::PutSource(raft::PutSource { source_id: "s".into(), config: String::new() }),
            Body::StartTask(raft::StartTask { task: "t".into(), sources, ..Default::default() }),
            Body::Bind(raft::Bind {
                source_id: "s".into(),
                worker: "w".into(),
                incarnation: 5,
                ..Default::default()
            }),
            Body::SetOperator(raft::SetOperator {
                task: "t".into(),
                source_id: "s".into(),
                operator: Some(operator),
            }),
        ] {
            apply(&mut state, &command(0, body)).unwrap();
        }
        let id = state.tasks["t"].subtasks["s"].operators.iter().next().unwrap().id;
        let mut said = report(1, 1, MetaStage::MetaNone);
        said.sources[0].subtasks[0].operators_done = vec![id, id + 1];
        assert!(consumed_operators(&state, "w", 6, &said).is_empty(), "another process");
        let commands = consumed_operators(&state, "w", 5, &said);
        assert_eq!(commands.len(), 1);
        for body in commands {
            apply(&mut state, &command(0, body)).unwrap();
        }
        assert!(consumed_operators(&state, "w", 5, &said).is_empty(), "done already");
    }
}

//! Pending error operators in the replicated state.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use dm_proto::{
    raft::{self, command::Body, outcome::Result as Res},
    worker::{ErrorOperator, OperatorKind, Stage},
};
use dm_state::{Incompatible, State, apply, command, decode, encode};

fn started() -> State {
    let mut state = State::default();
    for body in [
        Body::PutSource(raft::PutSource { source_id: "s".into(), config: String::new() }),
        Body::StartTask(raft::StartTask {
            task: "t".into(),
            sources: vec!["s".into()],
            ..Default::default()
        }),
    ] {
        apply(&mut state, &command(0, body)).unwrap();
    }
    state
}

fn operator(kind: OperatorKind, file: &str, pos: u64, sqls: &[&str]) -> Body {
    let operator = ErrorOperator {
        kind: kind.into(),
        file: file.into(),
        pos,
        sqls: sqls.iter().map(|s| (*s).to_owned()).collect(),
        ..Default::default()
    };
    Body::SetOperator(raft::SetOperator { task: "t".into(), source_id: "s".into(), operator: Some(operator) })
}

fn go(state: &mut State, body: Body) -> Res {
    apply(state, &command(0, body)).unwrap().result.unwrap()
}

fn ids(state: &State) -> Vec<(u64, u64)> {
    state.tasks["t"].subtasks["s"].operators.iter().map(|o| (o.pos, o.id)).collect()
}

#[test]
fn an_operator_resumes_its_subtask_and_survives_a_snapshot() {
    let mut state = started();
    let pause = raft::SetStage { task: "t".into(), sources: vec![], stage: Stage::Paused.into() };
    go(&mut state, Body::SetStage(pause));
    assert!(matches!(go(&mut state, operator(OperatorKind::OperatorSkip, "b.999999", 4, &[])), Res::Done(_)));
    go(&mut state, operator(OperatorKind::OperatorInject, "b.1000000", 9, &["ALTER TABLE a.b ADD c INT"]));
    go(&mut state, operator(OperatorKind::OperatorSkip, "b.999999", 400, &[]));
    let subtask = &state.tasks["t"].subtasks["s"];
    assert_eq!((subtask.desired, subtask.resume_serial), (Stage::Running, 3));
    // File numbers compare as numbers.
    assert_eq!(ids(&state).iter().map(|i| i.0).collect::<Vec<_>>(), [4, 400, 9]);
    assert_eq!(decode(&encode(&state)).unwrap(), state);
}

#[test]
fn setting_again_keeps_the_id_and_another_wish_at_the_same_place_gets_a_new_one() {
    let mut state = started();
    let skip = operator(OperatorKind::OperatorSkip, "b.1", 4, &[]);
    go(&mut state, skip.clone());
    let first = ids(&state);
    assert!(matches!(go(&mut state, skip), Res::Done(_)));
    assert_eq!(ids(&state), first);
    go(&mut state, operator(OperatorKind::OperatorReplace, "b.1", 4, &["DROP TABLE a.b"]));
    let second = ids(&state);
    assert_eq!(second.len(), 1);
    assert!(second[0].1 > first[0].1);
    // The report that the first one was consumed comes late: the second one stays.
    let remove = |id, pos| {
        Body::RemoveOperator(raft::RemoveOperator {
            task: "t".into(),
            source_id: "s".into(),
            id,
            file: "b.1".into(),
            pos,
        })
    };
    assert_eq!(
        go(&mut state, remove(first[0].1, 0)),
        Res::Done(raft::Done { changed: false, ..Default::default() })
    );
    assert_eq!(ids(&state), second);
    assert_eq!(
        go(&mut state, remove(second[0].1, 0)),
        Res::Done(raft::Done { changed: true, ..Default::default() })
    );
    assert!(ids(&state).is_empty());
    go(&mut state, operator(OperatorKind::OperatorSkip, "b.1", 4, &[]));
    assert!(ids(&state)[0].1 > second[0].1, "ids are never used twice");
    go(&mut state, remove(0, 4));
    assert!(ids(&state).is_empty(), "revert goes by place");
}

#[test]
fn what_makes_no_sense_is_refused_and_an_unknown_kind_stops_the_replica() {
    let mut state = started();
    let before = state.clone();
    for body in [
        operator(OperatorKind::OperatorSkip, "b.1", 4, &["DROP TABLE a.b"]),
        operator(OperatorKind::OperatorReplace, "b.1", 4, &[]),
        operator(OperatorKind::OperatorInject, "b.1", 4, &["x"; 256]),
        operator(OperatorKind::OperatorSkip, "", 4, &[]),
        operator(OperatorKind::OperatorSkip, "b.1", 0, &[]),
        operator(OperatorKind::OperatorInvalid, "b.1", 4, &[]),
    ] {
        assert!(matches!(go(&mut state, body.clone()), Res::Refused(_)), "{body:?}");
    }
    let Body::SetOperator(mut other) = operator(OperatorKind::OperatorSkip, "b.1", 4, &[]) else { panic!() };
    other.task = "u".into();
    assert!(matches!(go(&mut state, Body::SetOperator(other.clone())), Res::Refused(_)));
    other.operator.as_mut().unwrap().kind = 77;
    assert_eq!(
        apply(&mut state, &command(0, Body::SetOperator(other))),
        Err(Incompatible::UnknownValue { field: "operator kind", value: 77 })
    );
    assert_eq!(state, before);
}

/// A snapshot written before there were operators.
const BEFORE: &[u8] = b"\x08\x01\x12\x01c\x2a\x06\x0a\x01s\x12\x01y\x32\x13\x0a\x01t\x22\x0e\x0a\x01s\x10\x02\x18\x02\x28\x03\x32\x01x\x38\x01\x38\x01\x40\x01";

#[test]
fn a_snapshot_from_before_is_still_read() {
    let state = decode(BEFORE).unwrap();
    let subtask = &state.tasks["t"].subtasks["s"];
    assert_eq!((subtask.desired, subtask.resume_serial, subtask.revision), (Stage::Running, 3, 1));
    assert_eq!(subtask.operators.iter().count(), 0);
    assert_eq!(encode(&state), BEFORE, "and written the same while there are none");
}

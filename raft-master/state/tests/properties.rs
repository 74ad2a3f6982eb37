//! Random logs and random beliefs about the workers.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeMap;

use dm_proto::{
    raft::{self, Command, Outcome, command::Body, outcome::Result as Res},
    worker::{ErrorOperator, MetaStage, Stage},
};
use dm_state::{
    CLUSTER_VERSION, Condition, Incompatible, Liveness, State, WorkerLiveness, apply, code, command, decode,
    encode, plan,
};
use proptest::{prelude::*, sample::subsequence};
use prost::Message;

const WORKERS: [&str; 3] = ["w1", "w2", "w3"];
const SOURCES: [&str; 4] = ["s1", "s2", "s3", "s4"];
const TASKS: [&str; 2] = ["t1", "t2"];

fn worker() -> impl Strategy<Value = String> {
    prop::sample::select(&WORKERS[..]).prop_map(str::to_owned)
}
fn source() -> impl Strategy<Value = String> {
    prop::sample::select(&SOURCES[..]).prop_map(str::to_owned)
}
fn task() -> impl Strategy<Value = String> {
    prop::sample::select(&TASKS[..]).prop_map(str::to_owned)
}
fn sources() -> impl Strategy<Value = Vec<String>> {
    subsequence(SOURCES.map(str::to_owned).to_vec(), 0..=SOURCES.len())
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        1 => ("[ab]", 0..2u64).prop_map(|(cluster_id, cluster_version)| Body::InitCluster(
            raft::InitCluster { cluster_id, cluster_version })),
        4 => (worker(), "[ab]", 0..4u64).prop_map(|(name, address, incarnation)| Body::RegisterWorker(
            raft::RegisterWorker { incarnation: incarnation * 10 + name.as_bytes()[1] as u64 % 10, name, address })),
        2 => (worker(), 1..40u64).prop_map(|(name, incarnation)| Body::WorkerGone(raft::WorkerGone { name, incarnation })),
        1 => (worker(), 0..40u64).prop_map(|(name, incarnation)| Body::RemoveWorker(
            raft::RemoveWorker { name, incarnation })),
        4 => (source(), "[ab]").prop_map(|(source_id, config)| Body::PutSource(raft::PutSource { source_id, config })),
        1 => source().prop_map(|source_id| Body::RemoveSource(raft::RemoveSource { source_id })),
        8 => (source(), worker(), 0..40u64, 0..12u64, prop_oneof![9 => Just(0), 1 => 0..50u64]).prop_map(
            |(source_id, worker, incarnation, expected_epoch, epoch_floor)| Body::Bind(
                raft::Bind { source_id, worker, incarnation, expected_epoch, epoch_floor })),
        1 => (source(), 0..12u64).prop_map(|(source_id, expected_epoch)| Body::Unbind(
            raft::Unbind { source_id, expected_epoch })),
        4 => (task(), "[ab]", sources(), any::<bool>()).prop_map(|(task, config, sources, remove_meta)|
            Body::StartTask(raft::StartTask { task, config, sources, remove_meta, ..Default::default() })),
        3 => (task(), sources(), 0..9i32).prop_map(|(task, sources, stage)| Body::SetStage(
            raft::SetStage { task, sources, stage })),
        1 => (task(), sources()).prop_map(|(task, sources)| Body::RemoveSubtasks(
            raft::RemoveSubtasks { task, sources })),
        2 => (task(), source(), 0..4i32, 1..4u64, "[x]{0,1}").prop_map(|(task, source_id, kind, pos, sql)| {
            let sqls = if sql.is_empty() { vec![] } else { vec![sql] };
            let operator = ErrorOperator { kind, file: "b.1".into(), pos, sqls, ..Default::default() };
            Body::SetOperator(raft::SetOperator { task, source_id, operator: Some(operator) })
        }),
        1 => (task(), source(), 0..9u64, 1..4u64).prop_map(|(task, source_id, id, pos)| Body::RemoveOperator(
            raft::RemoveOperator { task, source_id, id, file: "b.1".into(), pos })),
        3 => (task(), source(), 0..3i32, 0..12u64, 0..4u64).prop_map(
            |(task, source_id, meta, epoch, task_revision)| Body::SetMeta(
                raft::SetMeta { task, source_id, meta, epoch, task_revision })),
    ]
}

fn log() -> impl Strategy<Value = Vec<Command>> {
    prop::collection::vec((0..1000u64, body()).prop_map(|(at, b)| command(at, b)), 0..120)
}

fn run(state: &mut State, log: &[Command]) -> Vec<Outcome> {
    log.iter().map(|c| apply(state, c).unwrap()).collect()
}

fn epochs(state: &State) -> BTreeMap<String, u64> {
    state.sources.iter().filter_map(|(id, s)| s.binding.as_ref().map(|b| (id.clone(), b.epoch))).collect()
}

fn condition() -> impl Strategy<Value = Condition> {
    prop::sample::select(vec![
        Condition::Unknown,
        Condition::Live,
        Condition::Live,
        Condition::Leaving,
        Condition::Released,
        Condition::Dead,
    ])
}

/// Lets the scheduler run until it has nothing to say; panics when it never ends.
fn settle(state: &mut State, liveness: &Liveness) -> usize {
    for round in 0..20 {
        let commands = plan(state, liveness);
        if commands.is_empty() {
            return round;
        }
        for c in commands {
            let outcome = apply(state, &command(0, c.clone())).unwrap();
            assert!(matches!(outcome.result, Some(Res::Done(_))), "{c:?}: {outcome:?}");
        }
    }
    panic!("the scheduler does not come to rest: {state:?} {liveness:?}");
}

fn liveness_of(state: &State, conditions: &[Condition]) -> Liveness {
    let mut liveness = Liveness::default();
    for ((name, w), c) in state.workers.iter().zip(conditions) {
        liveness.workers.insert(name.clone(), WorkerLiveness { incarnation: w.incarnation, condition: *c });
    }
    liveness
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn same_log_same_state_and_a_snapshot_at_any_index_changes_nothing(log in log(), cut in 0..120usize) {
        let mut one = State::default();
        let outcomes = run(&mut one, &log);
        let cut = cut.min(log.len());
        let mut two = State::default();
        let mut others = run(&mut two, &log[..cut]);
        let mut three = decode(&encode(&two)).unwrap();
        prop_assert_eq!(&two, &three);
        // Commands travel as bytes.
        let bytes: Vec<Vec<u8>> = log[cut..].iter().map(|c| c.encode_to_vec()).collect();
        let rest: Vec<Command> = bytes.iter().map(|b| Command::decode(&b[..]).unwrap()).collect();
        others.extend(run(&mut three, &rest));
        prop_assert_eq!(outcomes, others);
        prop_assert_eq!(encode(&one), encode(&three));
    }

    #[test]
    fn epochs_only_grow_and_no_two_bindings_share_one(log in log()) {
        let mut state = State::default();
        let mut greatest: BTreeMap<String, u64> = BTreeMap::new();
        let mut counter = 0;
        for c in &log {
            let before = epochs(&state);
            apply(&mut state, c).unwrap();
            prop_assert!(state.epoch_counter >= counter);
            for (source, epoch) in epochs(&state) {
                if before.get(&source) != Some(&epoch) {
                    prop_assert!(epoch > counter, "a new binding has an epoch above all before it");
                }
                let g = greatest.entry(source).or_default();
                prop_assert!(epoch >= *g);
                *g = epoch;
            }
            counter = state.epoch_counter;
            let all = epochs(&state);
            let distinct: std::collections::BTreeSet<_> = all.values().collect();
            prop_assert_eq!(distinct.len(), all.len());
        }
    }

    #[test]
    fn a_repeated_command_is_answered_as_done_and_changes_nothing(log in log()) {
        let mut state = State::default();
        for c in &log {
            let first = apply(&mut state, c).unwrap();
            let after = state.clone();
            let second = apply(&mut state, c).unwrap();
            if matches!(first.result, Some(Res::Done(_))) {
                prop_assert!(matches!(second.result, Some(Res::Done(_))), "{c:?}: {first:?} then {second:?}");
            }
            // A resume may be counted twice; nothing else may change.
            let resumes = match &c.body {
                Some(Body::SetStage(s)) => s.stage == Stage::Running as i32,
                Some(Body::SetOperator(_)) => true,
                _ => false,
            };
            if !resumes {
                prop_assert_eq!(&state, &after);
            }
        }
    }

    #[test]
    fn a_refusal_changes_nothing(log in log()) {
        let mut state = State::default();
        for c in &log {
            let before = state.clone();
            if matches!(apply(&mut state, c).unwrap().result, Some(Res::Refused(_))) {
                prop_assert_eq!(&state, &before);
            }
        }
    }

    #[test]
    fn the_scheduler_rests_binds_all_that_it_can_and_moves_nobody_without_need(
        log in log(), conditions in prop::collection::vec(condition(), 3), found in prop::option::of(0..99u64),
    ) {
        let mut state = State::default();
        run(&mut state, &log);
        let mut liveness = liveness_of(&state, &conditions);
        if let (Some(found), Some((id, epoch))) = (found, epochs(&state).iter().next()) {
            liveness.epochs_found.insert(id.clone(), (*epoch, found));
        }
        let before = state.clone();
        settle(&mut state, &liveness);
        let live: Vec<_> = before.workers.iter()
            .filter(|(n, w)| w.incarnation != 0 && liveness.condition(n, w.incarnation) == Condition::Live).collect();
        for (id, source) in &state.sources {
            let old = before.sources[id].binding.as_ref();
            if let Some(b) = old {
                let w = before.workers.get(&b.worker).map_or(0, |w| w.incarnation);
                let c = if w == 0 { Condition::Dead } else { liveness.condition(&b.worker, w) };
                let new = source.binding.as_ref();
                match c {
                    Condition::Live => prop_assert_eq!(&new.unwrap().worker, &b.worker, "sticky"),
                    Condition::Unknown => prop_assert_eq!(new, Some(b), "nobody is declared dead for being unknown"),
                    _ => {}
                }
                if c == Condition::Live && w == b.incarnation
                    && liveness.epochs_found.get(id).is_none_or(|f| f.1 < b.epoch) {
                    prop_assert_eq!(new, Some(b), "no new epoch without need");
                }
                if let Some((_, f)) = liveness.epochs_found.get(id)
                    && c == Condition::Live && w == b.incarnation {
                    prop_assert!(new.unwrap().epoch > *f, "above what was found in the target");
                }
            }
            if !live.is_empty() && old.is_none() {
                prop_assert!(source.binding.is_some(), "a free source is bound while somebody lives");
            }
        }
        // The scheduler is a function: asked again it says the same, and now nothing.
        prop_assert!(plan(&state, &liveness).is_empty());
    }

    #[test]
    fn a_dead_workers_sources_spread_over_the_least_loaded(n in 1..30usize) {
        let mut state = State::default();
        for (i, w) in WORKERS.iter().enumerate() {
            let c = raft::RegisterWorker { name: (*w).into(), address: "a:1".into(), incarnation: i as u64 + 1 };
            apply(&mut state, &command(0, Body::RegisterWorker(c))).unwrap();
        }
        for i in 0..n {
            let c = raft::PutSource { source_id: format!("s{i:02}"), config: String::new() };
            apply(&mut state, &command(0, Body::PutSource(c))).unwrap();
        }
        let all_live = liveness_of(&state, &[Condition::Live; 3]);
        settle(&mut state, &all_live);
        let kept = state.clone();
        let first_dead = liveness_of(&state, &[Condition::Dead, Condition::Live, Condition::Live]);
        settle(&mut state, &first_dead);
        let count = |w: &str| state.sources_of(w).count();
        prop_assert_eq!(count("w1"), 0);
        prop_assert!(count("w2").abs_diff(count("w3")) <= 1);
        for w in ["w2", "w3"] {
            for (id, s) in kept.sources_of(w) {
                prop_assert_eq!(&state.sources[id], s, "sources of the living stay");
            }
        }
    }
}

#[test]
fn an_unknown_command_stops_the_replica() {
    let mut state = State::default();
    // Field 99 of the oneof: a kind that a later version may define.
    let later = Command::decode(&[0x9a, 0x06, 0x00][..]).unwrap();
    assert_eq!(apply(&mut state, &later), Err(Incompatible::UnknownKind));
    let stage = raft::SetStage { task: "t".into(), sources: vec![], stage: 77 };
    let unknown = apply(&mut state, &command(0, Body::SetStage(stage)));
    assert_eq!(unknown, Err(Incompatible::UnknownValue { field: "stage", value: 77 }));
    assert_eq!(state, State::default());
}

#[test]
fn meta_moves_one_step_at_a_time_and_only_for_the_present_owner() {
    let mut state = State::default();
    let mut go = |body| apply(&mut state, &command(0, body)).unwrap().result.unwrap();
    go(Body::RegisterWorker(raft::RegisterWorker {
        name: "w".into(),
        address: "a:1".into(),
        incarnation: 7,
    }));
    go(Body::PutSource(raft::PutSource { source_id: "s".into(), config: "c".into() }));
    go(Body::StartTask(raft::StartTask {
        task: "t".into(),
        sources: vec!["s".into()],
        ..Default::default()
    }));
    let bind = raft::Bind {
        source_id: "s".into(),
        worker: "w".into(),
        incarnation: 7,
        expected_epoch: 0,
        epoch_floor: 41,
    };
    assert_eq!(go(Body::Bind(bind)), Res::Done(raft::Done { changed: true, epoch: 42 }));
    let mut set = |meta: MetaStage, epoch, task_revision| {
        let c = raft::SetMeta {
            task: "t".into(),
            source_id: "s".into(),
            meta: meta.into(),
            epoch,
            task_revision,
        };
        matches!(go(Body::SetMeta(c)), Res::Done(_))
    };
    assert!(!set(MetaStage::MetaCreated, 42, 1), "CREATING first");
    assert!(!set(MetaStage::MetaCreating, 41, 1), "a former owner");
    assert!(!set(MetaStage::MetaCreating, 42, 9), "another start of the task");
    assert!(set(MetaStage::MetaCreating, 42, 1));
    assert!(set(MetaStage::MetaCreated, 42, 1));
    assert!(set(MetaStage::MetaCreating, 42, 1), "an old wish is done already");
    assert_eq!(state.tasks["t"].subtasks["s"].meta, MetaStage::MetaCreated);
}

/// A golden log: bytes as versions before and after the field `cluster_version` write them, and the bytes of the state.
#[test]
fn the_founding_command_gives_the_same_state_on_every_version() {
    // Command { proposed_at_ms: 7, init_cluster: { cluster_id: "c1" } } and the same with cluster_version: 1.
    let before: &[u8] = b"\x08\x07\x52\x04\x0a\x02c1";
    let after: &[u8] = b"\x08\x07\x52\x06\x0a\x02c1\x10\x01";
    // format 1, cluster_id "c1", cluster_version 1.
    let golden: &[u8] = b"\x08\x01\x12\x02c1\x38\x01";
    for bytes in [before, after] {
        let mut state = State::default();
        apply(&mut state, &Command::decode(bytes).unwrap()).unwrap();
        assert_eq!(encode(&state), golden);
    }
    let written = raft::InitCluster { cluster_id: "c1".into(), cluster_version: CLUSTER_VERSION };
    let today: &[u8] = b"\x08\x07\x52\x06\x0a\x02c1\x10\x02";
    assert_eq!(command(7, Body::InitCluster(written)).encode_to_vec(), today);
    // A later version than this program's: the replica stops, as it would diverge.
    let mut state = State::default();
    let later = raft::InitCluster { cluster_id: "c1".into(), cluster_version: CLUSTER_VERSION + 1 };
    let outcome = apply(&mut state, &command(7, Body::InitCluster(later)));
    assert_eq!(outcome, Err(Incompatible::LaterCluster { found: CLUSTER_VERSION + 1 }));
    assert_eq!(state, State::default());
}

#[test]
fn a_request_that_is_sent_again_is_carried_out_once() {
    let named = |request: &[u8], body| Command { request: request.to_vec(), ..command(5, body) };
    let put = || Body::PutSource(raft::PutSource { source_id: "s".into(), config: "c".into() });
    let remove = || Body::RemoveSource(raft::RemoveSource { source_id: "s".into() });
    for version in [1, 2] {
        let mut state = State::default();
        let init = raft::InitCluster { cluster_id: "c1".into(), cluster_version: version };
        apply(&mut state, &command(1, Body::InitCluster(init))).unwrap();
        apply(&mut state, &named(b"mine", put())).unwrap();
        apply(&mut state, &named(b"somebody else's", remove())).unwrap();
        // Also by a master that has it from a snapshot.
        let mut state = decode(&encode(&state)).unwrap();
        let again = apply(&mut state, &named(b"mine", put())).unwrap().result.unwrap();
        assert_eq!(state.sources.contains_key("s"), version == 1, "version 1 remembers nothing");
        assert!(matches!(again, Res::Done(d) if d.changed == (version == 1)));
        // Another one is another one, and one without a name is never the same.
        apply(&mut state, &named(b"later", put())).unwrap();
        assert!(state.sources.contains_key("s"));
        apply(&mut state, &command(6, remove())).unwrap();
        apply(&mut state, &command(6, put())).unwrap();
        assert!(state.sources.contains_key("s"));
    }
    // An attempt that was overtaken by its own repetition does nothing either, though the repetition found nothing to do.
    let mut state = State { cluster_version: 2, ..State::default() };
    apply(&mut state, &named(b"repeated", remove())).unwrap();
    apply(&mut state, &named(b"another", put())).unwrap();
    apply(&mut state, &named(b"repeated", remove())).unwrap();
    assert!(state.sources.contains_key("s"));
    // A bounded number of them.
    for n in 0..5000u32 {
        apply(&mut state, &named(&n.to_be_bytes(), if n % 2 == 0 { put() } else { remove() })).unwrap();
    }
    assert_eq!(state.requests.iter().count(), 1000);
    assert!(
        state.requests.contains(&4999u32.to_be_bytes()) && !state.requests.contains(&3999u32.to_be_bytes())
    );
}

#[test]
fn only_the_process_that_was_found_offline_is_forgotten() {
    let registered = |incarnation| {
        let mut state = State::default();
        let c = raft::RegisterWorker { name: "w".into(), address: "a:1".into(), incarnation };
        apply(&mut state, &command(0, Body::RegisterWorker(c))).unwrap();
        state
    };
    let remove = |state: &mut State, incarnation| {
        let c = raft::RemoveWorker { name: "w".into(), incarnation };
        apply(state, &command(0, Body::RemoveWorker(c))).unwrap().result.unwrap()
    };
    let mut state = registered(8);
    assert!(matches!(remove(&mut state, 7), Res::Refused(r) if r.code == code::WORKER_ONLINE));
    assert_eq!(state, registered(8), "another process has registered since");
    assert!(matches!(remove(&mut state, 8), Res::Done(d) if d.changed));
    assert!(matches!(remove(&mut state, 8), Res::Done(d) if !d.changed), "repeated");
    // As a version without the field wrote it: Command { remove_worker: { name: "w" } }.
    let mut state = registered(9);
    apply(&mut state, &Command::decode(&b"\xaa\x01\x03\x0a\x01w"[..]).unwrap()).unwrap();
    assert!(state.workers.is_empty());
    // It left by itself after it was looked at.
    let mut state = registered(7);
    let gone = raft::WorkerGone { name: "w".into(), incarnation: 7 };
    apply(&mut state, &command(0, Body::WorkerGone(gone))).unwrap();
    assert!(matches!(remove(&mut state, 7), Res::Done(d) if d.changed));
}

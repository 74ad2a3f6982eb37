//! Who dies, and what moves.
use std::time::{Duration, Instant};

use dm_proto::pb::TaskOp;

use crate::{cluster::Cluster, fake_worker::FakeWorker, files, wait::until};

async fn with_a_running_task(cluster: &Cluster) {
    assert!(cluster.create_source(files::source("s1")).await.0);
    let answer = cluster.start_task(files::task("t1", &["s1"]), &[]).await;
    assert!(answer.result && answer.sources[0].result, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_killed_and_nobody_moves() {
    let mut cluster = Cluster::start(3).await;
    let worker = FakeWorker::join(&cluster, "w1", 101).await;
    let _idle = FakeWorker::join(&cluster, "w2", 102).await;
    with_a_running_task(&cluster).await;
    let owner = if worker.epoch("s1").is_some() { &worker } else { &_idle };
    let (term, epoch) = owner.with(|s| (s.seen.term, s.assignment.sources[0].epoch));
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    let mut rpc = cluster.masters[follower].rpc().await.unwrap();
    cluster.masters[leader].kill9();
    let killed = Instant::now();
    // A call that meets the election rides it out.
    let answer =
        rpc.query_status(dm_proto::pb::QueryStatusListRequest::default()).await.unwrap().into_inner();
    println!("a follower answered {} ms after the leader was killed", killed.elapsed().as_millis());
    assert!(answer.result && answer.sources[0].result, "{answer:?}");
    until("the new leader to speak to the worker", || async {
        owner.with(|s| s.seen.term > term).then_some(())
    })
    .await;
    let paused = cluster.operate(TaskOp::Pause, "t1").await;
    assert!(paused.sources[0].result, "{paused:?}");
    assert_eq!(owner.epoch("s1"), Some(epoch), "a change of the leader moves nobody");
    assert!(owner.with(|s| s.stale.is_empty()));
    cluster.masters[leader].restart();
    until("the killed one to follow", || async {
        cluster.masters[leader].get("/health").await.filter(|t| t.contains("\"true\""))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leader_killed_while_start_task_waits_and_the_caller_gets_its_answer() {
    let mut cluster = Cluster::start(3).await;
    let worker = FakeWorker::join(&cluster, "w1", 101).await;
    assert!(cluster.create_source(files::source("s1")).await.0);
    worker.with(|s| s.hold = true);
    let leader = cluster.leader().await;
    let mut rpc = cluster.via_follower().await;
    let request = dm_proto::pb::StartTaskRequest { task: files::task("t1", &["s1"]), ..Default::default() };
    let call = tokio::spawn({
        let request = request.clone();
        let mut rpc = rpc.clone();
        async move { rpc.start_task(request).await.unwrap().into_inner() }
    });
    until("the task to be committed", || async {
        worker.with(|s| s.assignment.sources.first().is_some_and(|x| !x.subtasks.is_empty())).then_some(())
    })
    .await;
    cluster.masters[leader].kill9();
    let new = cluster.leader().await;
    assert_ne!(new, leader);
    worker.with(|s| s.hold = false);
    let answer = call.await.unwrap();
    assert!(answer.result && answer.sources[0].result, "{answer:?}");
    let revision = worker.with(|s| s.assignment.sources[0].subtasks[0].task_revision);
    assert_eq!(revision, 1, "started once");
    let twice = rpc.start_task(request).await.unwrap().into_inner();
    assert!(!twice.result && twice.msg.contains("code=46014"), "it has been answered now: {twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_worker_is_replaced_at_once_and_a_restarted_one_keeps_its_source() {
    let cluster = Cluster::start(3).await;
    let mut one = FakeWorker::join(&cluster, "w1", 101).await;
    with_a_running_task(&cluster).await;
    let two = FakeWorker::join(&cluster, "w2", 102).await;
    let first = one.epoch("s1").unwrap();
    one.kill();
    let killed = Instant::now();
    let second = two.wait_epoch_above("s1", first).await;
    let took = killed.elapsed();
    println!("rebound {} ms after the kill", took.as_millis());
    assert!(took < Duration::from_millis(2500), "faster than any lease: {took:?}");
    // Killed and back under the same name and address at once: the same worker, a new epoch.
    let (address, mut two) = (two.address.clone(), two);
    two.kill();
    let again = until("the port to be free", || async {
        std::net::TcpListener::bind(&address).ok().map(drop)?;
        Some(FakeWorker::start("w2", Some(address.clone()), 202))
    })
    .await;
    assert!(again.register(&cluster).await.result);
    let third = again.wait_epoch_above("s1", second).await;
    assert!(third > second);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_worker_loses_its_source_after_the_lease_and_learns_it() {
    let cluster = Cluster::start(3).await;
    let one = FakeWorker::join(&cluster, "w1", 101).await;
    with_a_running_task(&cluster).await;
    let two = FakeWorker::join(&cluster, "w2", 102).await;
    let first = one.epoch("s1").unwrap();
    one.with(|s| s.silent = true);
    let frozen = Instant::now();
    let second = two.wait_epoch_above("s1", first).await;
    let took = frozen.elapsed();
    println!("rebound {} ms after the freeze", took.as_millis());
    assert!(took >= Duration::from_millis(2500), "not before the lease: {took:?}");
    let status = cluster.status("t1").await;
    assert_eq!(status.sources[0].source_status.as_ref().unwrap().worker, "w2", "{status:?}");
    one.with(|s| s.silent = false);
    one.wait_without("s1").await;
    assert_eq!(two.epoch("s1"), Some(second), "the thawed one gets nothing back");
    cluster.wait_stage("w1", "free").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_leader_is_replaced_and_says_nothing_after_it_thaws() {
    let cluster = Cluster::start(3).await;
    let worker = FakeWorker::join(&cluster, "w1", 101).await;
    with_a_running_task(&cluster).await;
    let term = worker.with(|s| s.seen.term);
    let old = cluster.leader().await;
    let follower = cluster.follower().await;
    cluster.masters[old].signal("-STOP");
    until("another leader", || async {
        for (i, master) in cluster.masters.iter().enumerate().filter(|(i, _)| *i != old) {
            if master.is_leader().await {
                return Some(i);
            }
        }
        None
    })
    .await;
    until("its assignment", || async { worker.with(|s| s.seen.term > term).then_some(()) }).await;
    let mut rpc = cluster.masters[follower].rpc().await.unwrap();
    let pause =
        dm_proto::pb::OperateTaskRequest { op: TaskOp::Pause.into(), name: "t1".into(), sources: vec![] };
    let paused = rpc.operate_task(pause).await.unwrap().into_inner();
    assert!(paused.sources[0].result, "{paused:?}");
    let seen = worker.with(|s| s.seen.clone());
    cluster.masters[old].signal("-CONT");
    until("the old leader to follow", || async { (!cluster.masters[old].is_leader().await).then_some(()) })
        .await;
    let mut old_rpc = cluster.masters[old].rpc().await.unwrap();
    let resume =
        dm_proto::pb::OperateTaskRequest { op: TaskOp::Resume.into(), name: "t1".into(), sources: vec![] };
    let resumed = old_rpc.operate_task(resume).await.unwrap().into_inner();
    assert!(resumed.sources[0].result, "the old leader forwards now: {resumed:?}");
    worker.with(|s| {
        assert!((s.seen.term, s.seen.revision) > (seen.term, seen.revision));
        assert!(s.stale.is_empty(), "a leader without a quorum says nothing: {:?}", s.stale);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_the_writing_worker_was_not_told_of_says_so() {
    let cluster = Cluster::start(1).await;
    let one = FakeWorker::join(&cluster, "w1", 101).await;
    with_a_running_task(&cluster).await;
    let two = FakeWorker::join(&cluster, "w2", 102).await;
    let first = one.epoch("s1").unwrap();
    // Cut off from the masters; for all they know it goes on writing.
    one.with(|s| s.silent = true);
    let stopped = cluster.operate(TaskOp::Delete, "t1").await;
    let row = &stopped.sources[0];
    assert!(stopped.result && row.result && row.worker == "w2", "{stopped:?}");
    assert!(row.msg.contains("the former worker w1 of this source could not be told"), "{stopped:?}");
    assert!(two.epoch("s1").unwrap() > first);
    // The new owner runs the next task itself: nothing to say.
    one.with(|s| s.silent = false);
    let answer = cluster.start_task(files::task("t2", &["s1"]), &[]).await;
    assert!(answer.result && answer.sources[0].result, "{answer:?}");
    let stopped = cluster.operate(TaskOp::Delete, "t2").await;
    assert!(stopped.sources[0].result && stopped.sources[0].msg.is_empty(), "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_gives_no_name_away_before_a_lease_has_passed() {
    let mut cluster = Cluster::start(1).await;
    let frozen = FakeWorker::join(&cluster, "w1", 101).await;
    frozen.with(|s| s.silent = true);
    cluster.masters[0].kill9();
    let restarted = Instant::now();
    cluster.masters[0].restart();
    cluster.leader().await;
    let other = FakeWorker::start("w1", None, 999);
    until("the name to be free", || async {
        let answer = other.register(&cluster).await;
        assert!(
            answer.result || answer.msg.contains("code=51021"),
            "the worker has to try again: {answer:?}"
        );
        answer.result.then_some(())
    })
    .await;
    let took = restarted.elapsed();
    assert!(took >= Duration::from_secs(3), "a lease had not passed: {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assignment_that_no_message_can_hold_moves_nobody() {
    let mut cluster = Cluster::start(1).await;
    let one = FakeWorker::join(&cluster, "w1", 101).await;
    let names: Vec<String> = (0..75).map(|i| format!("s{i:02}")).collect();
    for name in &names {
        assert!(cluster.create_source(files::source(name)).await.0);
    }
    until("all sources", || async { one.with(|s| s.assignment.sources.len() == 75).then_some(()) }).await;
    let two = FakeWorker::join(&cluster, "w2", 102).await;
    // 75 times 950 kB: more than the 64 MiB of a message.
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let task = format!("{}# {}\n", files::task("t1", &all), "x".repeat(950_000));
    let mut rpc = cluster.masters[0].rpc().await.unwrap();
    let starting = tokio::spawn(async move {
        let request = dm_proto::pb::StartTaskRequest { task, ..Default::default() };
        rpc.start_task(request).await.map(|answer| answer.into_inner().result)
    });
    until("the log to say it", || async { cluster.logs().contains("code=51022").then_some(()) }).await;
    stays(&one, &two).await;
    // A new leader, whose first assignment is too large.
    cluster.masters[0].kill9();
    let _ = starting.await.unwrap();
    cluster.masters[0].restart();
    cluster.leader().await;
    stays(&one, &two).await;
    // The way out.
    let stopped = cluster.operate(TaskOp::Delete, "t1").await;
    assert!(stopped.result && stopped.sources.iter().all(|row| row.result), "{stopped:?}");
    assert!(one.with(|s| s.assignment.sources.len() == 75 && s.assignment.sources[0].subtasks.is_empty()));
}

/// For more than two leases' worth of pings the first keeps all and the second gets nothing.
async fn stays(one: &FakeWorker, two: &FakeWorker) {
    let pings = one.with(|s| s.pings);
    until("pings", || async { one.with(|s| s.pings >= pings + 14).then_some(()) }).await;
    assert!(two.with(|s| s.epochs.is_empty()), "{:?}", two.with(|s| s.epochs.clone()));
}

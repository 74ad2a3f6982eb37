//! The ordinary life of sources and tasks, always through a master that is no leader.
use dm_proto::{
    pb::{
        OperateSourceRequest, OperateTaskRequest, SourceOp, Stage, TaskOp, UnitType,
        sub_task_status::Status as Detail,
    },
    worker::{MetaStage, ProcessError},
};

use crate::{cluster::Cluster, fake_worker::FakeWorker, files, wait::until};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_from_registration_to_stop() {
    let cluster = Cluster::start(3).await;
    let worker = FakeWorker::join(&cluster, "w1", 101).await;

    let (result, msg, rows) = cluster.create_source(files::source("s1")).await;
    assert!(result, "{msg}");
    assert_eq!((rows[0].result, rows[0].source.as_str(), rows[0].worker.as_str()), (true, "s1", "w1"));
    assert_eq!(worker.with(|s| (s.checks.len(), s.checks[0].task_config.is_empty())), (1, true));
    let epoch = worker.wait_epoch_above("s1", 0).await;
    cluster.wait_stage("w1", "bound").await;

    let answer = cluster.start_task(files::task("t1", &["s1"]), &[]).await;
    assert!(answer.result, "{answer:?}");
    assert_eq!(answer.check_result, "pre-check is passed. ");
    assert!(answer.sources[0].result, "{answer:?}");
    assert_eq!(answer.sources[0].worker, "w1");
    let metas = worker.with(|s| s.metas.clone());
    assert_eq!(metas, [MetaStage::MetaNone, MetaStage::MetaCreating, MetaStage::MetaCreated]);
    assert_eq!(worker.epoch("s1"), Some(epoch), "starting a task moves nobody");

    let status = cluster.status("t1").await;
    let row = &status.sources[0];
    assert!(status.result && row.result, "{status:?}");
    assert_eq!(row.source_status.as_ref().unwrap().worker, "w1");
    let subtask = &row.sub_task_status[0];
    assert_eq!((subtask.stage(), subtask.unit()), (Stage::Running, UnitType::Sync));
    assert!(matches!(&subtask.status, Some(Detail::Sync(sync)) if sync.synced && sync.total_rows == 7));

    let paused = cluster.operate(TaskOp::Pause, "t1").await;
    assert!(paused.result && paused.sources[0].result, "{paused:?}");
    assert_eq!(cluster.status("t1").await.sources[0].sub_task_status[0].stage(), Stage::Paused);
    let resumed = cluster.operate(TaskOp::Resume, "t1").await;
    assert!(resumed.result && resumed.sources[0].result, "{resumed:?}");

    let error = ProcessError { code: 10006, message: "no".into(), ..Default::default() };
    worker.with(|s| s.fail = Some(error));
    let failed = cluster.operate(TaskOp::Resume, "t1").await;
    assert!(failed.result && !failed.sources[0].result, "{failed:?}");
    assert!(failed.sources[0].msg.contains("code=38032") && failed.sources[0].msg.contains("ErrCode:10006"));
    let status = cluster.status("t1").await;
    assert_eq!(status.sources[0].sub_task_status[0].result.as_ref().unwrap().errors[0].err_code, 10006);
    worker.with(|s| s.fail = None);

    let stop = OperateSourceRequest {
        op: SourceOp::StopSource.into(),
        source_id: vec!["s1".into()],
        ..Default::default()
    };
    let refused = cluster.via_follower().await.operate_source(stop.clone()).await.unwrap().into_inner();
    assert!(!refused.result && refused.msg.contains("code=46010"), "{refused:?}");
    let stopped = cluster.operate(TaskOp::Delete, "t1").await;
    assert!(stopped.result && stopped.sources[0].result, "{stopped:?}");
    assert!(worker.with(|s| s.assignment.sources[0].subtasks.is_empty()));
    let gone = cluster.status("t1").await;
    assert!(!gone.result && gone.msg.contains("task t1 has no source or not exist"), "{gone:?}");
    let removed = cluster.via_follower().await.operate_source(stop).await.unwrap().into_inner();
    assert!(removed.result && removed.sources[0].result, "{removed:?}");
    worker.wait_without("s1").await;

    assert!(!cluster.logs().contains("hunter2"), "no password in any log");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_spread_over_workers_and_a_leaving_worker_hands_over() {
    let cluster = Cluster::start(1).await;
    let one = FakeWorker::join(&cluster, "w1", 101).await;
    let two = FakeWorker::join(&cluster, "w2", 102).await;
    for id in ["s1", "s2", "s3", "s4"] {
        let (result, msg, _) = cluster.create_source(files::source(id)).await;
        assert!(result, "{msg}");
    }
    let count = |w: &FakeWorker| w.with(|s| s.assignment.sources.len());
    until("two sources each", || async { ((count(&one), count(&two)) == (2, 2)).then_some(()) }).await;
    let mine = one.with(|s| s.assignment.sources[0].clone());
    one.with(|s| s.leaving = true);
    let epoch = two.wait_epoch_above(&mine.source_id, mine.epoch).await;
    assert!(epoch > mine.epoch);
    until("all on the other", || async { (count(&two) == 4).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_epoch_in_a_target_is_overtaken_by_the_same_worker() {
    let cluster = Cluster::start(1).await;
    let worker = FakeWorker::join(&cluster, "w1", 101).await;
    assert!(cluster.create_source(files::source("s1")).await.0);
    let answer = cluster.start_task(files::task("t1", &["s1"]), &[]).await;
    assert!(answer.result, "{answer:?}");
    worker.with(|s| s.epoch_in_target = 5000);
    assert_eq!(worker.wait_epoch_above("s1", 5000).await, 5001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_sent_again_after_a_lost_answer_is_done() {
    let cluster = Cluster::start(1).await;
    let _worker = FakeWorker::join(&cluster, "w1", 101).await;
    assert!(cluster.create_source(files::source("s1")).await.0);
    assert!(cluster.start_task(files::task("t1", &["s1"]), &[]).await.result);
    assert!(cluster.operate(TaskOp::Delete, "t1").await.result);
    let mut rpc = cluster.via_follower().await;
    let stop =
        OperateTaskRequest { op: TaskOp::Delete.into(), name: "t1".into(), sources: vec!["s1".into()] };
    let new = rpc.operate_task(stop.clone()).await.unwrap().into_inner();
    assert!(!new.result && new.msg.contains("has no source or not exist"), "{new:?}");
    let again = rpc.operate_task(repeated(stop)).await.unwrap().into_inner();
    assert!(again.result && again.sources.len() == 1 && again.sources[0].result, "{again:?}");
    let stop = OperateSourceRequest {
        op: SourceOp::StopSource.into(),
        source_id: vec!["s1".into()],
        ..Default::default()
    };
    assert!(rpc.operate_source(stop.clone()).await.unwrap().into_inner().result);
    assert!(!rpc.operate_source(stop.clone()).await.unwrap().into_inner().result);
    let again = rpc.operate_source(repeated(stop)).await.unwrap().into_inner();
    assert!(again.result && again.sources[0].result, "{again:?}");
}

/// As dmctl marks a request that it sends a second time.
fn repeated<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("raftdm-repeated", tonic::metadata::MetadataValue::from_static("true"));
    request
}

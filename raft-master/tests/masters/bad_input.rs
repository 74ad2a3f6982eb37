//! One clear error, nothing half created.
use dm_proto::{
    pb::{
        CheckTaskRequest, ListMemberRequest, OperateSourceRequest, SourceOp, TaskOp, TransferSourceRequest,
    },
    worker::{Authority, CheckItem, ProcessError},
};
use tonic::Code;

use crate::{cluster::Cluster, fake_worker::FakeWorker, files};

fn failing_check() -> CheckItem {
    CheckItem {
        name: "connection".into(),
        state: "failure".into(),
        message: "can't connect".into(),
        error: Some(ProcessError {
            code: 10001,
            class: "database".into(),
            message: "no way in".into(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources() {
    let cluster = Cluster::start(3).await;
    let (result, msg, _) = cluster.create_source(files::source("s1")).await;
    assert!(!result && msg.contains("code=46009"), "nobody can check it: {msg}");
    let worker = FakeWorker::join(&cluster, "w1", 101).await;
    worker.with(|s| s.check = vec![failing_check()]);
    let (result, msg, _) = cluster.create_source(files::source("s1")).await;
    assert!(!result && msg.contains("code=10001") && msg.contains("no way in"), "{msg}");
    let show = OperateSourceRequest { op: SourceOp::ShowSource.into(), ..Default::default() };
    let shown = cluster.via_follower().await.operate_source(show).await.unwrap().into_inner();
    assert!(shown.result && shown.sources.is_empty(), "nothing half created: {shown:?}");
    worker.with(|s| s.check.clear());
    let (result, msg, _) = cluster.create_source(format!("{}\nno-such-key: 1\n", files::source("s1"))).await;
    assert!(!result && msg.contains("no-such-key"), "{msg}");
    assert!(cluster.create_source(files::source("s1")).await.0);
    let (result, msg, _) = cluster.create_source(files::source("s1")).await;
    assert!(!result && msg.contains("code=46007") && msg.contains("already exists"), "{msg}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_another_cluster_gets_nothing() {
    let cluster = Cluster::start(1).await;
    let stranger = FakeWorker::start("w1", None, 101);
    stranger.with(|s| s.seen = Authority { cluster_id: "another".into(), term: 1, revision: 1 });
    assert!(stranger.register(&cluster).await.result);
    let (result, msg, _) = cluster.create_source(files::source("s1")).await;
    assert!(!result && msg.contains("code=46009"), "{msg}");
    cluster.wait_stage("w1", "offline").await;
    assert!(stranger.with(|s| s.assignment.sources.is_empty()));
    assert!(cluster.logs().contains("belongs to another cluster"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_and_commands() {
    let cluster = Cluster::start(3).await;
    let worker = FakeWorker::join(&cluster, "w1", 101).await;
    assert!(cluster.create_source(files::source("s1")).await.0);
    let task = files::task("t1", &["s1"]);

    let unknown = cluster.start_task(files::task("t1", &["s1", "nobody"]), &[]).await;
    assert!(!unknown.result && unknown.msg.contains("code=20031"), "{unknown:?}");
    let foreign = cluster.start_task(task.clone(), &["s9"]).await;
    assert!(!foreign.result && foreign.sources[0].msg == "source not found in task's config", "{foreign:?}");
    worker.with(|s| s.check = vec![failing_check()]);
    let failed = cluster.start_task(task.clone(), &[]).await;
    assert!(
        !failed.result && failed.msg.is_empty() && failed.check_result.contains("code=26005"),
        "{failed:?}"
    );
    let absent = cluster.operate(TaskOp::Pause, "t1").await;
    assert!(!absent.result && absent.msg.contains("has no source or not exist"), "{absent:?}");
    worker.with(|s| s.check.clear());

    let checked = task.clone();
    assert!(cluster.start_task(task.clone(), &[]).await.result);
    let twice = cluster.start_task(task, &[]).await;
    assert!(
        !twice.result && twice.msg.contains("code=46014") && twice.msg.contains("already exist"),
        "{twice:?}"
    );
    let invalid = cluster.operate(TaskOp::Start, "t1").await;
    assert!(!invalid.result && invalid.msg.contains("code=38041"), "{invalid:?}");

    let mut master = cluster.via_follower().await;
    let later = master.transfer_source(TransferSourceRequest::default()).await.unwrap_err();
    assert!(later.code() == Code::Unimplemented && later.message().contains("transfer-source"), "{later:?}");
    let empty = master.check_task(CheckTaskRequest::default()).await.unwrap().into_inner();
    assert!(!empty.result && empty.msg.contains("code=20019"), "{empty:?}");
    let request = CheckTaskRequest { task: checked, ..CheckTaskRequest::default() };
    let good = master.check_task(request).await.unwrap().into_inner();
    assert!(good.result, "{good:?}");

    let all = master.list_member(ListMemberRequest::default()).await.unwrap().into_inner();
    assert_eq!(all.members.len(), 3);
    let text = format!("{all:?}");
    assert_eq!(text.matches("alive: true").count(), 3, "{text}");

    // Another process of the same name at another address, while the first one lives.
    let other = FakeWorker::start("w1", None, 999);
    let taken = other.register(&cluster).await;
    assert!(!taken.result && taken.msg.contains("code=46003"), "{taken:?}");
}

//! Planned stops, lost majorities, refused directories.
use std::{
    fs::File,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    process::Command,
    time::{Duration, Instant},
};

use dm_proto::pb::{ListMemberRequest, OfflineMemberRequest, members};

use crate::{
    cluster::{Cluster, free_port},
    fake_worker::FakeWorker,
    files,
    wait::until,
};

#[tokio::test(flavor = "multi_thread")]
async fn term_hands_leadership_over_and_frees_the_port() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    // An idle client must not keep the port.
    let _idle = cluster.masters[leader].rpc().await.unwrap();
    for signal in ["-TERM", "-HUP", "-INT"] {
        let asked = Instant::now();
        let stopping = cluster.leader().await;
        let address = cluster.masters[stopping].client.clone();
        cluster.masters[stopping].signal(signal);
        let status = cluster.masters[stopping].ended().await;
        assert!(status.success(), "{signal}: {status:?}");
        assert!(asked.elapsed() < Duration::from_secs(20), "{signal}: {:?}", asked.elapsed());
        std::net::TcpListener::bind(&address).expect("the port is free");
        let next = cluster.leader().await;
        assert_ne!(next, stopping);
        cluster.masters[stopping].restart();
        until("it to be back", || async { cluster.masters[stopping].get("/health").await }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_hangs_does_not_keep_a_process_that_has_to_stop() {
    const O_NONBLOCK: i32 = 0o4000;
    let folder = tempfile::tempdir().unwrap();
    let (fifo, client) = (folder.path().join("log"), format!("127.0.0.1:{}", free_port()));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _reader = File::options().read(true).custom_flags(O_NONBLOCK).open(&fifo).unwrap();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_dm-master"))
        .args(["--name", "m1", "--master-addr", &client])
        .args(["--peer-urls", &format!("http://127.0.0.1:{}", free_port())])
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .arg("--log-file")
        .arg(&fifo)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until("the port", || async { tokio::net::TcpStream::connect(&client).await.ok() }).await;
    // Nobody reads the log: the next line hangs, as on a dead disk.
    let mut filler = File::options().write(true).custom_flags(O_NONBLOCK).open(&fifo).unwrap();
    while filler.write(&[b'x'; 512]).is_ok() {}
    while filler.write(b"x").is_ok() {}
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = until("the end of the process", || {
        let ended = child.try_wait().unwrap();
        async move { ended }
    })
    .await;
    assert_eq!(status.code(), Some(3), "by force, and it says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_a_follower_says_no_leader() {
    let cluster = Cluster::start(3).await;
    let left = cluster.follower().await;
    no_leader(cluster, left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_a_leader_says_no_leader() {
    let cluster = Cluster::start(3).await;
    let left = cluster.leader().await;
    no_leader(cluster, left).await;
}

/// All but one are killed: the answer is "no leader", within a second once an election is no longer likely.
async fn no_leader(mut cluster: Cluster, left: usize) {
    let mut rpc = cluster.masters[left].rpc().await.unwrap();
    assert!(rpc.list_member(ListMemberRequest::default()).await.unwrap().into_inner().result);
    for i in (0..3).filter(|i| *i != left) {
        cluster.masters[i].kill9();
    }
    let killed = Instant::now();
    loop {
        let asked = Instant::now();
        let status = rpc.list_member(ListMemberRequest::default()).await.unwrap_err();
        let took = asked.elapsed();
        println!("no leader after {} ms", took.as_millis());
        assert_eq!(status.code(), tonic::Code::Unknown);
        assert!(status.message().contains("[code=38043:class=dm-master:scope=internal:level=high], Message: master is not leader, and can't forward request to leader"), "{status:?}");
        if took < Duration::from_secs(1) {
            break;
        }
        assert!(killed.elapsed() < Duration::from_secs(20), "still {took:?} for one answer");
    }
    for i in (0..3).filter(|i| *i != left) {
        cluster.masters[i].restart();
    }
    cluster.leader().await;
    let answer = until("an answer", || {
        let mut rpc = rpc.clone();
        async move { rpc.list_member(ListMemberRequest::default()).await.ok() }
    })
    .await;
    assert!(answer.into_inner().result);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_status_are_on_the_client_port() {
    let cluster = Cluster::start(1).await;
    let text = cluster.masters[0].get("/metrics").await.unwrap();
    assert!(text.contains("dm_master_start_leader_counter 1"), "{text}");
    assert!(cluster.masters[0].get("/status").await.unwrap().contains("\"is_leader\":true"));
    let progress = cluster.masters[0].get("/api/v1/progress").await.unwrap();
    assert!(progress.contains("\"leader\":\"m1\""), "{progress}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_joins_by_the_client_address_of_another() {
    let mut cluster = Cluster::start(1).await;
    cluster.join().await;
    let mut rpc = cluster.masters[1].rpc().await.unwrap();
    let members = until("two masters", || {
        let mut rpc = rpc.clone();
        async move {
            let request = ListMemberRequest { master: true, ..Default::default() };
            let text = format!("{:?}", rpc.list_member(request).await.ok()?.into_inner());
            (text.matches("alive: true").count() == 2).then_some(text)
        }
    })
    .await;
    assert!(members.contains("m1") && members.contains("m2"), "{members}");
    assert!(rpc.list_member(ListMemberRequest::default()).await.unwrap().into_inner().result);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_directory_is_refused_with_its_own_exit_code() {
    let mut cluster = Cluster::start(3).await;
    let victim = cluster.follower().await;
    cluster.masters[victim].kill9();
    std::fs::remove_dir_all(&cluster.masters[victim].data).unwrap();
    cluster.masters[victim].restart();
    let status = cluster.masters[victim].ended().await;
    assert_eq!(status.code(), Some(78), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_master_is_shown_as_not_alive_and_delays_nobody() {
    let cluster = Cluster::start(3).await;
    let (leader, frozen) = (cluster.leader().await, cluster.follower().await);
    let rpc = cluster.masters[leader].rpc().await.unwrap();
    cluster.masters[frozen].signal("-STOP");
    let name = format!("m{}", frozen + 1);
    // Any answer that is quick will do: a busy machine may make a single one slow.
    until("a quick answer that shows it", || {
        let asked = Instant::now();
        let (mut rpc, name) = (rpc.clone(), name.clone());
        async move {
            let request = ListMemberRequest { master: true, ..Default::default() };
            let answer = rpc.list_member(request).await.ok()?.into_inner();
            let masters = answer.members.into_iter().find_map(|section| match section.member {
                Some(members::Member::Master(list)) => Some(list.masters),
                _ => None,
            })?;
            let dead: Vec<&str> = masters.iter().filter(|m| !m.alive).map(|m| m.name.as_str()).collect();
            (dead == [name.as_str()] && asked.elapsed() < Duration::from_millis(500)).then_some(())
        }
    })
    .await;
    cluster.masters[frozen].signal("-CONT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_master_is_not_removed_while_the_rest_would_be_no_majority() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let others: Vec<usize> = (0..3).filter(|i| *i != leader).collect();
    let (dead, live) = (others[0], others[1]);
    cluster.masters[dead].kill9();
    let mut rpc = cluster.masters[leader].rpc().await.unwrap();
    let mut offline = async |master: usize| {
        let request = OfflineMemberRequest { r#type: "master".to_owned(), name: format!("m{}", master + 1) };
        rpc.offline_member(request).await.unwrap().into_inner()
    };
    // At once: a master that died a moment ago has been heard within any time limit.
    let refused = offline(live).await;
    assert!(!refused.result, "the change could never be committed");
    assert!(
        refused.msg.contains("without it the members that answer are no majority; remove the dead one first"),
        "{}",
        refused.msg
    );
    let worker = FakeWorker::join(&cluster, "w1", 101).await;
    assert!(cluster.create_source(files::source("s1")).await.0, "writes are still accepted");
    let removed = offline(dead).await;
    assert!(removed.result, "{}", removed.msg);
    assert!(cluster.create_source(files::source("s2")).await.0);
    worker.wait_epoch_above("s2", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_disk_is_replaced_under_a_new_id() {
    let mut cluster = Cluster::start(3).await;
    let lost = cluster.follower().await;
    let name = format!("m{}", lost + 1);
    cluster.masters[lost].kill9();
    std::fs::remove_dir_all(&cluster.masters[lost].data).unwrap();
    let leader = cluster.leader().await;
    let mut rpc = cluster.masters[leader].rpc().await.unwrap();
    let request = OfflineMemberRequest { r#type: "master".to_owned(), name: name.clone() };
    let answer = rpc.offline_member(request).await.unwrap().into_inner();
    assert!(answer.result, "{}", answer.msg);
    cluster.replace(lost).await;
    // It votes: with another one gone, it is needed for a majority.
    let third = (0..3).find(|i| *i != lost && *i != leader).unwrap();
    until("three masters alive", || {
        let mut rpc = rpc.clone();
        async move {
            let request = ListMemberRequest { master: true, ..Default::default() };
            let text = format!("{:?}", rpc.list_member(request).await.ok()?.into_inner());
            (text.matches("alive: true").count() == 3).then_some(())
        }
    })
    .await;
    cluster.masters[third].kill9();
    let mut rpc = cluster.masters[lost].rpc().await.unwrap();
    until("an answer of the two that are left", || {
        let mut rpc = rpc.clone();
        async move { rpc.list_member(ListMemberRequest::default()).await.ok().filter(|a| a.get_ref().result) }
    })
    .await;
    assert!(rpc.list_member(ListMemberRequest::default()).await.unwrap().into_inner().result);
}

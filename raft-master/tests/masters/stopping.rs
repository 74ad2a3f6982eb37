//! Planned stops, lost majorities, refused directories.
use std::time::{Duration, Instant};

use dm_proto::pb::{ListMemberRequest, OfflineMemberRequest};

use crate::{cluster::Cluster, wait::until};

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

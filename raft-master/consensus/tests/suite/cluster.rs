//! Three members in one process.
use std::time::{Duration, Instant};

use dm_consensus::{Consensus, FatalError, MembershipError, ProposeError, ReadError, StartError};

use crate::{
    ledger::{Ledger, POISON},
    nodes::{applied, configs, eventually, holds, leader, ledger, put, refused, start, start_all, stop_all},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn three_members_elect_apply_and_survive_the_leader() {
    let temp = tempfile::tempdir().unwrap();
    let configs = configs(temp.path(), &["m1", "m2", "m3"]);
    let nodes = start_all(&configs).await;
    let first = leader(&nodes).await;
    let done = first.propose(b"one".to_vec()).await.unwrap();
    assert_eq!(done.response, 1_u64.to_be_bytes());
    let term = first.leadership().borrow().term;
    assert_eq!(done.term, term);
    assert!(first.quorum_fresh());
    assert!(first.read_barrier().await.unwrap() >= done.index);

    // Everybody applies it, knows the same cluster, members and leader; followers point at the leader.
    let cluster = first.cluster_id().unwrap();
    assert_eq!(cluster.len(), 32);
    for node in &nodes {
        applied(node, done.index).await;
        assert!(holds(node, b"one"));
        assert_eq!(node.cluster_id().as_deref(), Some(cluster.as_str()));
        let members = node.members();
        let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["m1", "m2", "m3"]);
        assert!(members.iter().all(|member| member.voter && member.client_addr.starts_with("127.0.0.1:")));
        eventually("the leader is known", async || {
            node.leadership()
                .borrow()
                .leader
                .as_ref()
                .is_some_and(|known| known.id == first.node_id())
                .then_some(())
        })
        .await;
        if node.node_id() != first.node_id() {
            let known = |leader: Option<dm_consensus::Member>| {
                leader.is_some_and(|known| known.id == first.node_id())
            };
            match node.propose(b"no".to_vec()).await {
                Err(ProposeError::NotLeader { leader }) => assert!(known(leader)),
                other => panic!("{other:?}"),
            }
            assert!(matches!(node.read_barrier().await, Err(ReadError::NotLeader { .. })));
            assert!(matches!(node.transfer_leader(None).await, Err(MembershipError::NotLeader { .. })));
            assert!(!node.quorum_fresh());
        }
    }

    // A command of 200 KiB, and one that is too large.
    let large: Vec<u8> = (0..200 * 1024_u32).map(|at| (at % 251) as u8).collect();
    let done = first.propose(large.clone()).await.unwrap();
    for node in &nodes {
        applied(node, done.index).await;
        assert!(holds(node, &large));
    }
    let max = (1 << 20) + 1;
    assert!(matches!(first.propose(vec![0; max]).await, Err(ProposeError::TooLarge { .. })));

    // The leader goes; the others go on in a higher term; it comes back and catches up.
    let gone = configs.iter().find(|config| config.name == first.name()).unwrap();
    first.shutdown().await;
    assert!(!first.leadership().borrow().is_leader);
    assert!(matches!(first.propose(b"late".to_vec()).await, Err(ProposeError::Fatal(_))));
    let mut rest: Vec<_> = nodes.iter().filter(|node| node.node_id() != first.node_id()).cloned().collect();
    let id = first.node_id();
    drop((first, nodes));
    let index = put(&rest, b"two").await;
    let second = leader(&rest).await;
    assert!(second.leadership().borrow().term > term);
    let back = start(gone).await;
    assert_eq!(back.node_id(), id);
    applied(&back, index).await;
    assert!(holds(&back, b"one") && holds(&back, &large) && holds(&back, b"two"));

    // Planned hand-over to a named member, at once.
    second.transfer_leader(Some(back.node_id())).await.unwrap();
    assert_eq!(leader(std::slice::from_ref(&back)).await.node_id(), id);
    rest.push(back);
    put(&rest, b"three").await;
    stop_all(rest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_whole_cluster_restarts_and_a_wiped_member_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let configs = configs(temp.path(), &["a", "b", "c"]);
    let nodes = start_all(&configs).await;
    let index = put(&nodes, b"kept").await;
    let term = leader(&nodes).await.leadership().borrow().term;
    for node in &nodes {
        applied(node, index).await;
    }
    stop_all(nodes).await;
    let nodes = start_all(&configs).await;
    let now = leader(&nodes).await;
    assert!(now.leadership().borrow().term > term, "a restart never reuses a term");
    assert!(holds(&now, b"kept"));

    // Member `a` (which founded the cluster) loses its disk and comes back under its old name.
    nodes[0].shutdown().await;
    let mut rest = nodes.clone();
    rest.remove(0);
    drop((now, nodes));
    std::fs::remove_dir_all(&configs[0].data_dir).unwrap();
    let wiped = start(&configs[0]).await;
    let fatal = tokio::time::timeout(crate::nodes::PATIENCE, wiped.fatal()).await.unwrap();
    assert!(matches!(&fatal, FatalError::Refused(text) if text.contains("--join")), "{fatal}");
    assert_eq!(fatal.exit_code(), 78);
    wiped.shutdown().await;
    drop(wiped);

    // Half-emptied directories are refused at once.
    rest[1].shutdown().await;
    let gone = rest.remove(1);
    drop(gone);
    std::fs::remove_file(configs[2].data_dir.join("sentinel")).unwrap();
    assert!(refused(&configs[2]).await.contains("wipe"));
    stop_all(rest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_isolated_leader_does_not_pass_for_fresh() {
    let temp = tempfile::tempdir().unwrap();
    let mut configs = configs(temp.path(), &["a", "b", "c"]);
    for config in &mut configs {
        config.request_timeout = Duration::from_secs(3);
    }
    let nodes = start_all(&configs).await;
    let first = leader(&nodes).await;
    put(&nodes, b"x").await;
    for node in nodes.iter().filter(|node| node.node_id() != first.node_id()) {
        node.shutdown().await;
    }
    eventually("quorum no longer fresh", async || (!first.quorum_fresh()).then_some(())).await;
    assert!(first.read_barrier().await.is_err());
    assert!(first.propose(b"lost".to_vec()).await.is_err());
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_unknown_command_stops_the_node_loudly() {
    let temp = tempfile::tempdir().unwrap();
    let configs = configs(temp.path(), &["alone"]);
    let node = start(&configs[0]).await;
    put(std::slice::from_ref(&node), b"good").await;
    let outcome = node.propose(POISON.to_vec()).await;
    assert!(matches!(outcome, Err(ProposeError::Unknown(_))), "{outcome:?}");
    let fatal = tokio::time::timeout(crate::nodes::PATIENCE, node.fatal()).await.unwrap();
    assert!(matches!(&fatal, FatalError::Incompatible(text) if text.contains("newer version")), "{fatal}");
    assert!(matches!(node.propose(b"more".to_vec()).await, Err(ProposeError::Fatal(_))));
    assert_eq!(ledger(&node).entries.len(), 1);
    node.leadership().wait_for(|now| !now.is_leader).await.unwrap();
    node.shutdown().await;
    drop(node);
    // It is never skipped: the next life meets it again, at the latest when it leads.
    match Consensus::start(configs[0].clone(), Ledger::default()).await {
        Err(StartError::Refused(text)) => assert!(text.contains("newer version"), "{text}"),
        Err(other) => panic!("{other}"),
        Ok(node) => {
            let fatal = tokio::time::timeout(crate::nodes::PATIENCE, node.fatal()).await.unwrap();
            assert!(matches!(fatal, FatalError::Incompatible(_)), "{fatal}");
            node.shutdown().await;
        }
    }
}

/// A measurement, not a test: `cargo test -p dm-consensus --test suite failover -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement"]
async fn failover_times_with_default_timing() {
    let temp = tempfile::tempdir().unwrap();
    let mut configs = configs(temp.path(), &["m1", "m2", "m3"]);
    let default = dm_consensus::ConsensusConfig::new("x", "/x");
    for config in &mut configs {
        config.heartbeat = default.heartbeat;
        config.election_min = default.election_min;
        config.election_max = default.election_max;
        config.request_timeout = Duration::from_millis(500);
    }
    let mut nodes = start_all(&configs).await;
    let mut times = Vec::new();
    for round in 0..10_u32 {
        put(&nodes, &round.to_be_bytes()).await;
        let first = leader(&nodes).await;
        let at = nodes.iter().position(|node| node.node_id() == first.node_id()).unwrap();
        nodes.remove(at);
        let gone = configs.iter().find(|config| config.name == first.name()).unwrap();
        let started = Instant::now();
        first.shutdown().await;
        put(&nodes, b"after").await;
        times.push(started.elapsed().as_millis());
        drop(first);
        nodes.push(start(gone).await);
    }
    times.sort_unstable();
    println!("leader stopped -> first commit by another, ms: {times:?}");
    stop_all(nodes).await;
}

//! Members that lag, come, move and go.
use dm_consensus::FatalError;

use crate::nodes::{
    PATIENCE, applied, config, configs, eventually, free_addr, leader, ledger, put, start, start_all,
    stop_all,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_lagging_follower_gets_a_snapshot() {
    let temp = tempfile::tempdir().unwrap();
    let mut configs = configs(temp.path(), &["m1", "m2", "m3"]);
    for config in &mut configs {
        config.snapshot_every = 50;
        config.log_keep = 10;
    }
    let mut nodes = start_all(&configs).await;
    let first = leader(&nodes).await;
    let lagging = nodes.iter().position(|node| node.node_id() != first.node_id()).unwrap();
    nodes.remove(lagging).shutdown().await;
    let mut index = 0;
    for number in 0..200_u32 {
        index = put(std::slice::from_ref(&first), &number.to_be_bytes()).await;
    }
    eventually("the log is purged", async || first.purged_index().filter(|purged| *purged > 100)).await;
    let back = start(&configs[lagging]).await;
    applied(&back, index).await;
    assert_eq!(ledger(&back), ledger(&first));
    assert!(back.snapshot_index().is_some_and(|snapshot| snapshot > 100), "came by log, not by snapshot");
    // What was installed survives a restart.
    back.shutdown().await;
    drop(back);
    let back = start(&configs[lagging]).await;
    applied(&back, index).await;
    assert_eq!(ledger(&back), ledger(&first));
    nodes.push(back);
    stop_all(nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_fourth_member_joins_moves_and_is_removed() {
    let temp = tempfile::tempdir().unwrap();
    let configs = configs(temp.path(), &["m1", "m2", "m3"]);
    let mut nodes = start_all(&configs).await;
    put(&nodes, b"before").await;
    let mut fourth = config("m4", &temp.path().join("m4"));
    // Any member may be asked; followers name the leader.
    fourth.join = vec!["127.0.0.1:1".into(), configs[1].advertise_peer.clone()];
    let joined = start(&fourth).await;
    let id = joined.node_id();
    eventually("a fourth voter", async || {
        joined.members().into_iter().find(|member| member.id == id && member.voter)
    })
    .await;
    let index = put(&nodes, b"after").await;
    applied(&joined, index).await;
    assert_eq!(joined.cluster_id(), nodes[0].cluster_id());
    assert_eq!(ledger(&joined).entries.len(), 2);

    // A name that is taken is refused for good.
    let mut twin = config("m4", &temp.path().join("twin"));
    twin.join = fourth.join.clone();
    let node = start(&twin).await;
    let fatal = tokio::time::timeout(PATIENCE, node.fatal()).await.unwrap();
    assert!(matches!(&fatal, FatalError::Refused(text) if text.contains("m4")), "{fatal}");
    node.shutdown().await;

    // It comes back at another address, which all the others learn.
    joined.shutdown().await;
    drop(joined);
    fourth.peer_listen = free_addr();
    fourth.advertise_peer = fourth.peer_listen.clone();
    let joined = start(&fourth).await;
    assert_eq!(joined.node_id(), id);
    eventually("the new address is known", async || {
        nodes[0]
            .members()
            .into_iter()
            .find(|member| member.id == id && member.peer_addr == fourth.peer_listen)
    })
    .await;
    let index = put(&nodes, b"moved").await;
    applied(&joined, index).await;

    // Removed for good.
    let first = leader(&[nodes.clone(), vec![joined.clone()]].concat()).await;
    let first = if first.node_id() == id {
        first.transfer_leader(None).await.unwrap();
        leader(&nodes).await
    } else {
        first
    };
    first.remove_member(id).await.unwrap();
    assert_eq!(first.members().len(), 3);
    put(&nodes, b"without").await;
    nodes.push(joined);
    stop_all(nodes).await;
}

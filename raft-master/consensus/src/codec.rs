//! Between the engine's types and the typed messages of `peer.proto`, on the wire and on disk.
use std::collections::{BTreeMap, BTreeSet};

use dm_proto::peer as pb;
use openraft::EntryPayload;

use crate::types::{
    Command, Entry, LogId, Membership, PeerNode, SnapshotMeta, StoredMembership, Vote, log_id,
};

/// A message that lacks a part or contradicts itself.
#[derive(Debug, thiserror::Error)]
#[error("malformed message: {0}")]
pub struct Malformed(pub &'static str);

pub fn log_id_to_pb(id: &LogId) -> pb::LogId {
    pb::LogId { term: id.leader_id.term, index: id.index }
}

pub fn log_id_from_pb(id: pb::LogId) -> LogId {
    log_id(id.term, id.index)
}

pub fn vote_to_pb(vote: &Vote) -> pb::Vote {
    pb::Vote { term: vote.leader_id.term, voted_for: vote.leader_id.voted_for, committed: vote.committed }
}

pub fn vote_from_pb(vote: Option<pb::Vote>) -> Result<Vote, Malformed> {
    let vote = vote.ok_or(Malformed("no vote"))?;
    Ok(match vote.committed {
        true => Vote::new_committed(vote.term, vote.voted_for),
        false => Vote::new(vote.term, vote.voted_for),
    })
}

pub fn node_to_pb(node: &PeerNode) -> pb::Node {
    pb::Node {
        name: node.name.clone(),
        peer_addr: node.peer_addr.clone(),
        client_addr: node.client_addr.clone(),
    }
}

pub fn node_from_pb(node: pb::Node) -> PeerNode {
    PeerNode { name: node.name, peer_addr: node.peer_addr, client_addr: node.client_addr }
}

fn membership_to_pb(membership: &Membership) -> pb::Membership {
    pb::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|set| pb::VoterSet { ids: set.iter().copied().collect() })
            .collect(),
        nodes: membership.nodes().map(|(id, node)| (*id, node_to_pb(node))).collect(),
    }
}

fn membership_from_pb(membership: pb::Membership) -> Result<Membership, Malformed> {
    let configs: Vec<BTreeSet<u64>> =
        membership.configs.into_iter().map(|set| set.ids.into_iter().collect()).collect();
    let nodes: BTreeMap<u64, PeerNode> =
        membership.nodes.into_iter().map(|(id, node)| (id, node_from_pb(node))).collect();
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|_| Malformed("membership with a voter that has no node"))
}

pub fn stored_membership_to_pb(stored: &StoredMembership) -> pb::StoredMembership {
    pb::StoredMembership {
        log_id: stored.log_id().as_ref().map(log_id_to_pb),
        membership: Some(membership_to_pb(stored.membership())),
    }
}

pub fn stored_membership_from_pb(stored: pb::StoredMembership) -> Result<StoredMembership, Malformed> {
    let membership = membership_from_pb(stored.membership.unwrap_or_default())?;
    Ok(StoredMembership::new(stored.log_id.map(log_id_from_pb), membership))
}

pub fn entry_to_pb(entry: &Entry) -> pb::Entry {
    let payload = match &entry.payload {
        EntryPayload::Blank => pb::entry::Payload::Blank(true),
        EntryPayload::Normal(command) => pb::entry::Payload::Command(command.0.clone()),
        EntryPayload::Membership(membership) => pb::entry::Payload::Membership(membership_to_pb(membership)),
    };
    pb::Entry { log_id: Some(log_id_to_pb(&entry.log_id)), payload: Some(payload) }
}

pub fn entry_from_pb(entry: pb::Entry) -> Result<Entry, Malformed> {
    let id = entry.log_id.map(log_id_from_pb).ok_or(Malformed("entry without log id"))?;
    // An unknown kind of entry decodes to no payload: it must stop us, never be skipped.
    let payload = match entry.payload.ok_or(Malformed("entry of a kind this version does not know"))? {
        pb::entry::Payload::Blank(_) => EntryPayload::Blank,
        pb::entry::Payload::Command(bytes) => EntryPayload::Normal(Command(bytes)),
        pb::entry::Payload::Membership(membership) => {
            EntryPayload::Membership(membership_from_pb(membership)?)
        }
    };
    Ok(Entry { log_id: id, payload })
}

/// The data's length and checksum are filled in by whoever has the data.
pub fn snapshot_meta_to_pb(meta: &SnapshotMeta, cluster_id: &str, data: &[u8]) -> pb::SnapshotMeta {
    pb::SnapshotMeta {
        last_log_id: meta.last_log_id.as_ref().map(log_id_to_pb),
        membership: Some(stored_membership_to_pb(&meta.last_membership)),
        cluster_id: cluster_id.to_owned(),
        data_bytes: data.len() as u64,
        data_crc: crc32fast::hash(data),
    }
}

pub fn snapshot_meta_from_pb(meta: pb::SnapshotMeta) -> Result<SnapshotMeta, Malformed> {
    Ok(SnapshotMeta {
        last_log_id: meta.last_log_id.map(log_id_from_pb),
        last_membership: stored_membership_from_pb(meta.membership.unwrap_or_default())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> Membership {
        let nodes: BTreeMap<u64, PeerNode> = [(1, PeerNode::default()), (7, PeerNode::default())].into();
        Membership::new(vec![[1].into(), [1, 7].into()], nodes).unwrap()
    }

    #[test]
    fn entries_survive_the_round_trip() {
        for payload in [
            EntryPayload::Blank,
            EntryPayload::Normal(Command(vec![])),
            EntryPayload::Normal(Command(vec![1, 2])),
            EntryPayload::Membership(membership()),
        ] {
            let entry = Entry { log_id: log_id(3, 9), payload };
            assert_eq!(entry_from_pb(entry_to_pb(&entry)).unwrap(), entry);
        }
    }

    /// The bytes of released versions: what is on disk must stay readable. Never change these, only add.
    #[test]
    fn bytes_on_disk_stay_as_they_are() {
        use prost::Message;
        let hex = |message: Vec<u8>| message.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let entry = |payload| hex(entry_to_pb(&Entry { log_id: log_id(3, 300), payload }).encode_to_vec());
        assert_eq!(entry(EntryPayload::Blank), "0a05080310ac021001");
        assert_eq!(entry(EntryPayload::Normal(Command(b"hi".to_vec()))), "0a05080310ac021a026869");
        let node = PeerNode { name: "m1".into(), peer_addr: "h:1".into(), client_addr: "h:2".into() };
        let alone = Membership::new(vec![[7].into()], BTreeMap::from([(7, node)])).unwrap();
        assert_eq!(
            entry(EntryPayload::Membership(alone)),
            "0a05080310ac0222270a0a0a0807000000000000001219090700000000000000120e0a026d311203683a311a03683a32"
        );
        let vote = vote_to_pb(&Vote::new_committed(5, 7)).encode_to_vec();
        assert_eq!(hex(vote), "08051107000000000000001801");
    }

    #[test]
    fn unknown_payload_is_an_error() {
        let entry = pb::Entry { log_id: Some(pb::LogId { term: 1, index: 1 }), payload: None };
        assert!(entry_from_pb(entry).is_err());
    }

    #[test]
    fn snapshot_meta_survives_the_round_trip() {
        let meta = SnapshotMeta {
            last_log_id: Some(log_id(2, 5)),
            last_membership: StoredMembership::new(Some(log_id(1, 2)), membership()),
        };
        assert_eq!(snapshot_meta_from_pb(snapshot_meta_to_pb(&meta, "c", b"x")).unwrap(), meta);
        let empty = SnapshotMeta::default();
        assert_eq!(snapshot_meta_from_pb(snapshot_meta_to_pb(&empty, "c", b"")).unwrap(), empty);
    }
}

//! openraft on sled: log, vote, snapshots, peer network.

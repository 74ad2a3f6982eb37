//! What a run breaks on purpose, to prove that it would be noticed.

/// Promises that a run breaks on purpose, or circumstances that it makes worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    None,
    NoEpoch,
    NoSeq,
    VoteNotFlushed,
    StaleLeaderObeyed,
    SnapshotLosesField,
    PositionFirst,
    /// Not a promise: sources move all the time for no reason.
    LeaseIgnored,
    /// Not a promise: clocks run at half or double speed and jump by hours.
    ClocksWrong,
}

impl Switch {
    pub const ALL: [(&'static str, Self); 9] = [
        ("none", Self::None),
        ("no_epoch", Self::NoEpoch),
        ("no_seq", Self::NoSeq),
        ("vote_not_flushed", Self::VoteNotFlushed),
        ("stale_leader_obeyed", Self::StaleLeaderObeyed),
        ("snapshot_loses_field", Self::SnapshotLosesField),
        ("position_first", Self::PositionFirst),
        ("lease_ignored", Self::LeaseIgnored),
        ("clocks_wrong", Self::ClocksWrong),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, switch)| *switch == self).map_or("", |(name, _)| name)
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, switch)| *switch)
    }
}

//! Who belongs to the group, and who leads it.

/// One member of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Identity of the member's *data directory*: random, made with the directory, never used again.
    pub id: u64,
    /// The operator's name for it; unique in the group.
    pub name: String,
    /// `host:port` for the other members.
    pub peer_addr: String,
    /// `host:port` for clients.
    pub client_addr: String,
    /// Whether it counts for majorities; a learner only receives the log.
    pub voter: bool,
}

/// Who leads, seen from this member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leadership {
    /// The newest term this member knows. At most one leader exists per term, so the term fences older ones.
    pub term: u64,
    /// Whether this member leads in `term`. An isolated leader still says `true`: ask `quorum_fresh` before
    /// acting on anything outside, and `read_barrier` before relying on the state.
    pub is_leader: bool,
    /// The leader of `term`, when known.
    pub leader: Option<Member>,
}

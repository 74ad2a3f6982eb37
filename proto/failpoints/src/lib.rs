//! Failpoints: places where a test holds a process, and kills it there.
//!
//! There is one before and one after every step that makes something durable, and between its parts where it has several.
//! This is the whole list: `tests/used.rs` compares it with the code, and `chaos/tests/chaos/failpoints*.rs` kill a process
//! at each.
//!
//! The product has no relay log and no locks of shards yet: whoever brings them adds their steps.

#[cfg(feature = "failpoints")]
mod armed;

#[cfg(feature = "failpoints")]
pub use armed::hold_in;

/// Makes the enum, so that no name is written down twice.
macro_rules! failpoints {
    ($( $(#[$doc:meta])* $variant:ident = $name:literal, )*) => {
        /// A place where a process may be held.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Failpoint { $( $(#[$doc])* $variant, )* }

        impl Failpoint {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// `ROOM::PLACE`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

failpoints! {
    // A worker's own file.
    /// A newer authority (term, revision) is about to be written.
    BeforeAuthority = "worker::before_authority",
    /// It is on disk, and not obeyed yet.
    AfterAuthority = "worker::after_authority",

    // The meta tables of a task at the target.
    /// None of them is created.
    BeforeMeta = "target::before_meta",
    /// All are there, and the leader does not know.
    AfterMeta = "target::after_meta",
    /// `--remove-meta`: everything is about to be removed in one transaction.
    BeforeRemove = "target::before_remove",
    /// It is committed, and the leader does not know.
    AfterRemove = "target::after_remove",

    // Take-over.
    /// The connections of the former owner are about to be killed.
    BeforeKill = "target::before_kill",
    /// All lane rows carry the new epoch and attempt, in a transaction that is not committed.
    BeforeTakeOver = "target::before_take_over",
    /// It is committed.
    AfterTakeOver = "target::after_take_over",
    /// Rows of more lanes are about to be inserted.
    BeforeLaneRows = "target::before_lane_rows",
    /// They are.
    AfterLaneRows = "target::after_lane_rows",

    // Load.
    /// The plan of a load is about to be stored.
    BeforePlan = "target::before_plan",
    /// An earlier plan is removed, and it does not say yet that it is whole.
    HalfPlan = "target::half_plan",
    /// It is stored.
    AfterPlan = "target::after_plan",
    /// Rows of a chunk are about to be sent.
    BeforeChunk = "target::before_chunk",
    /// They are committed, together with the chunk's record.
    AfterChunk = "target::after_chunk",
    /// "The main stream starts here" is about to be sent (and that the load has finished).
    BeforeBegin = "target::before_begin",
    /// It is committed.
    AfterBegin = "target::after_begin",

    // Lanes.
    /// A packet is built and not sent.
    BeforeSend = "target::before_send",
    /// It is acknowledged, and nobody knows yet.
    AfterSend = "target::after_send",
    /// The same of one part of a large transaction.
    BeforePart = "target::before_part",
    /// And of this.
    AfterPart = "target::after_part",
    /// The executed set is about to be merged into the checkpoint (with table definitions, proof and DM's form of it).
    BeforeCheckpoint = "target::before_checkpoint",
    /// It is.
    AfterCheckpoint = "target::after_checkpoint",

    // DDL.
    /// The intent's packet is built and not sent.
    BeforeIntent = "target::before_intent",
    /// The intent is committed.
    AfterIntent = "target::after_intent",
    /// The statement is about to be sent.
    BeforeDdl = "target::before_ddl",
    /// The statement has run, and "done" is not sent.
    AfterStatement = "target::after_statement",
    /// "Done" is committed.
    AfterDone = "target::after_done",
    /// A person skips a transaction: it is about to join the executed set.
    BeforeSkip = "target::before_skip",
    /// It has.
    AfterSkip = "target::after_skip",
    /// The intent of an undecided statement is about to be removed: it is met again, or a person has others run in its place.
    BeforeForget = "target::before_forget",
    /// It is.
    AfterForget = "target::after_forget",

    // A master's log.
    /// Entries have come and are not written.
    BeforeAppend = "master::before_append",
    /// They are written and not flushed.
    BeforeFlush = "master::before_flush",
    /// They are durable, and the sentinel does not know.
    AfterFlush = "master::after_flush",
    /// The sentinel knows, and the engine does not.
    AfterAppend = "master::after_append",
    /// The commit index is about to be written.
    BeforeCommitted = "master::before_committed",
    /// It is written (it is never flushed by itself).
    AfterCommitted = "master::after_committed",
    /// Entries that another leader has not got are about to be removed.
    BeforeTruncate = "master::before_truncate",
    /// The sentinel no longer counts them, and they are there.
    HalfTruncate = "master::half_truncate",
    /// They are gone for good.
    AfterTruncate = "master::after_truncate",
    /// Entries that a snapshot has are about to be removed.
    BeforePurge = "master::before_purge",
    /// The log begins later, and they are there.
    HalfPurge = "master::half_purge",
    /// They are removed.
    AfterPurge = "master::after_purge",

    // A master's vote.
    /// A vote is about to be written.
    BeforeVote = "master::before_vote",
    /// The log store has it durably, and the sentinel has not.
    HalfVote = "master::half_vote",
    /// Both have it, and nobody was told.
    AfterVote = "master::after_vote",

    // A master's state.
    /// A committed entry is about to be applied (in memory).
    BeforeApply = "master::before_apply",
    /// It is applied, and whoever proposed it was not told.
    AfterApply = "master::after_apply",
    /// A snapshot is about to be written, the member's own or the leader's.
    BeforeSnapshot = "master::before_snapshot",
    /// It is written, and older ones are not removed.
    AfterSnapshot = "master::after_snapshot",
    /// A leader's snapshot has come.
    BeforeInstall = "master::before_install",
    /// It is the state in memory, and not written.
    HalfInstall = "master::half_install",
    /// It is written.
    AfterInstall = "master::after_install",

    // A master's folder.
    /// A small file (`member.json`, a snapshot) is written beside the old one.
    BeforeRename = "master::before_rename",
    /// `member.json` is about to be written.
    BeforeStamp = "master::before_stamp",
    /// It is written.
    AfterStamp = "master::after_stamp",
    /// A new folder has all its parts, and is not said to be ready.
    HalfMade = "master::half_made",
}

impl Failpoint {
    /// The room it is in: `worker`, `target` (both in a worker's process) or `master`.
    pub fn room(self) -> &'static str {
        self.name().split_once("::").map_or("", |(room, _)| room)
    }

    /// Its name without the room, which is the name of the file that arms it.
    pub fn place(self) -> &'static str {
        self.name().split_once("::").map_or(self.name(), |(_, place)| place)
    }
}

/// A failpoint; nothing without the feature `failpoints`.
#[inline]
pub fn hold(at: Failpoint) {
    fail::fail_point!(at.name());
    let _ = at;
}

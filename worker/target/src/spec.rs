//! What a caller says about the target.

use std::fmt;
use std::time::Duration;

use crate::txn::Mode;

/// Stream of the binlog's main line.
pub const MAIN_STREAM: u32 = 0;
/// Stream of the full load: one lane per writer, its set is the `_load` table.
pub const LOAD_STREAM: u32 = 1;

/// Where the target is and how to log in.
#[derive(Clone)]
pub struct TargetAddress {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password; never printed.
    pub password: String,
    /// Session variables of the task's `target-database.session`, set before ours.
    pub session: Vec<(String, String)>,
}

impl fmt::Debug for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

/// Everything a take-over needs to know.
#[derive(Debug, Clone)]
pub struct TargetSpec {
    /// Where the target is.
    pub address: TargetAddress,
    /// Database of the meta tables, `dm_meta` unless configured.
    pub meta_schema: String,
    /// Task name: prefix of the meta tables.
    pub task: String,
    /// Source id: first part of every key.
    pub source_id: String,
    /// [`MAIN_STREAM`] or [`LOAD_STREAM`].
    pub stream: u32,
    /// Id of our cluster.
    pub cluster_id: String,
    /// Epoch of our binding.
    pub epoch: u64,
    /// How many lanes write rows, at least 1.
    pub lanes: u32,
    /// Meta stage CREATING: [`crate::create_meta`] may create tables and the bare lane -1 row.
    pub may_create: bool,
    /// Take over rows of another cluster (`start-task --adopt-meta`).
    pub adopt: bool,
    /// How transactions are named.
    pub mode: Mode,
    /// Whether the sessions check foreign keys.
    pub foreign_key_checks: bool,
    /// Deadlines and bounds.
    pub limits: Limits,
    /// Promises to break, for tests of the tests.
    #[cfg(feature = "broken")]
    pub broken: crate::Broken,
}

impl TargetSpec {
    /// A specification with the usual limits: stream 0, no creation, no adoption, foreign keys unchecked.
    #[allow(clippy::too_many_arguments)] // one place that names every mandatory part
    pub fn new(
        address: TargetAddress,
        meta_schema: &str,
        task: &str,
        source_id: &str,
        cluster_id: &str,
        epoch: u64,
        lanes: u32,
        mode: Mode,
    ) -> Self {
        Self {
            address,
            meta_schema: meta_schema.to_owned(),
            task: task.to_owned(),
            source_id: source_id.to_owned(),
            stream: MAIN_STREAM,
            cluster_id: cluster_id.to_owned(),
            epoch,
            lanes,
            may_create: false,
            adopt: false,
            mode,
            foreign_key_checks: false,
            limits: Limits::default(),
            #[cfg(feature = "broken")]
            broken: crate::Broken::default(),
        }
    }

    #[cfg(feature = "broken")]
    fn switches(&self) -> crate::broken::Broken {
        self.broken
    }

    #[cfg(not(feature = "broken"))]
    #[allow(clippy::unused_self)] // the test-only variant reads it
    fn switches(&self) -> crate::broken::Broken {
        crate::broken::Broken::default()
    }

    pub(crate) fn breaks_epoch(&self) -> bool {
        self.switches().no_epoch
    }

    pub(crate) fn breaks_seq(&self) -> bool {
        self.switches().no_seq
    }

    pub(crate) fn breaks_kill(&self) -> bool {
        self.switches().no_kill
    }

    pub(crate) fn breaks_ddl_wait(&self) -> bool {
        self.switches().no_ddl_wait
    }

    pub(crate) fn breaks_ddl_kill(&self) -> bool {
        self.switches().no_ddl_kill
    }

    pub(crate) fn breaks_done(&self) -> bool {
        self.switches().done_forgotten
    }

    pub(crate) fn breaks_ddl_order(&self) -> bool {
        self.switches().ddl_overtakes
    }

    pub(crate) fn breaks_position(&self) -> bool {
        self.switches().position_first
    }

    pub(crate) fn breaks_intent(&self) -> bool {
        self.switches().no_intent
    }

    pub(crate) fn breaks_roster(&self) -> bool {
        self.switches().roster_ignored
    }

    pub(crate) fn breaks_begin(&self) -> bool {
        self.switches().begin_swallowed
    }

    pub(crate) fn breaks_rollback(&self) -> bool {
        self.switches().reused_after_error
    }

    pub(crate) fn breaks_ddl_set(&self) -> bool {
        self.switches().ddl_missing
    }
}

/// Deadlines and bounds of one attachment.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of batches that were submitted and not yet acknowledged; [`crate::Attachment::submit`] waits past it.
    pub queue_bytes: usize,
    /// Opening one connection, with its session settings.
    pub connect: Duration,
    /// One statement of a packet, from the answer before it to its own.
    pub packet: Duration,
    /// All retries of one packet after deadlocks and lock waits.
    pub retry: Duration,
    /// One DDL statement.
    pub ddl: Duration,
    /// The take-over's transaction, with its waits for row locks of the former owner.
    pub take_over: Duration,
    /// Waiting for the former owner's DDL connection to be gone.
    pub former_ddl: Duration,
    /// Draining in [`crate::Attachment::close`].
    pub close: Duration,
    /// Interval of pings on idle connections; `wait_timeout` is 10 s.
    pub ping: Duration,
    /// Bytes of a lane's `done` text, past which it waits for a checkpoint.
    pub done_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_bytes: 16 << 20,
            connect: Duration::from_secs(10),
            packet: Duration::from_secs(60),
            retry: Duration::from_secs(120),
            ddl: Duration::from_secs(7 * 24 * 3600),
            // Both below wait_timeout: the lanes wait without a ping. The caller tries again.
            take_over: Duration::from_secs(7),
            former_ddl: Duration::from_secs(7),
            close: Duration::from_secs(30),
            ping: Duration::from_secs(3),
            done_bytes: 16 << 10,
        }
    }
}

//! The command line as typed.

use clap::{Args, Parser, Subcommand};

/// Long flags of the root that DM's dmctl also takes with one dash.
const ONE_DASH: [&str; 7] =
    ["master-addr", "config", "rpc-timeout", "ssl-ca", "ssl-cert", "ssl-key", "version"];

/// Operates a raft-dm cluster.
#[derive(Debug, Parser)]
#[command(name = "dmctl", disable_version_flag = true, infer_long_args = false)]
pub struct Root {
    #[command(flatten)]
    pub connection: Connection,
    /// MySQL source ids; may be repeated or comma separated
    #[arg(short, long, global = true, value_delimiter = ',')]
    pub source: Vec<String>,
    /// Print the version and exit
    #[arg(short = 'V', long)]
    pub version: bool,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How to reach the masters.
#[derive(Debug, Args)]
pub struct Connection {
    /// Addresses of masters, comma separated (or environment variable DM_MASTER_ADDR)
    #[arg(long, global = true, value_name = "ADDRESSES")]
    pub master_addr: Option<String>,
    /// Longest wait for an answer to query-status
    #[arg(long, global = true, default_value = "10m", value_name = "DURATION")]
    pub rpc_timeout: String,
    /// TOML file; as in DM, only flags and environment count for the addresses
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<String>,
    /// Not supported by this version
    #[arg(long, global = true, value_name = "FILE")]
    pub ssl_ca: Option<String>,
    /// Not supported by this version
    #[arg(long, global = true, value_name = "FILE")]
    pub ssl_cert: Option<String>,
    /// Not supported by this version
    #[arg(long, global = true, value_name = "FILE")]
    pub ssl_key: Option<String>,
}

/// One line of the interactive mode: no root flags there.
#[derive(Debug, Parser)]
#[command(name = "dmctl", no_binary_name = true, disable_version_flag = true)]
pub struct Line {
    /// MySQL source ids; may be repeated or comma separated
    #[arg(short, long, global = true, value_delimiter = ',')]
    pub source: Vec<String>,
    #[command(subcommand)]
    pub command: Command,
}

/// What dmctl can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create, update, stop or show upstream sources
    OperateSource(OperateSource),
    /// Start a task described by a configuration file
    StartTask(StartTask),
    /// Check a task's configuration file and show which table goes where; nothing is changed
    CheckTask(CheckTask),
    /// Stop a task, or all tasks of one source
    StopTask(TaskArgs),
    /// Pause a running task, or all tasks of one source
    PauseTask(TaskArgs),
    /// Resume a paused task, or all tasks of one source
    ResumeTask(TaskArgs),
    /// Query the status of tasks
    QueryStatus(QueryStatus),
    /// List the members of the cluster
    ListMember(ListMember),
    /// Skip, replace, or put statements before, one event of the binlog; list or revert what is pending
    #[command(arg_required_else_help = true)]
    Binlog(Binlog),
    /// Show, set or delete the table definitions by which a paused task reads the binlog
    #[command(arg_required_else_help = true)]
    BinlogSchema(BinlogSchema),
    /// Older name of `binlog`
    #[command(hide = true)]
    HandleError(HandleError),
    /// Older name of `binlog-schema`
    #[command(hide = true)]
    OperateSchema(OperateSchema),
    /// Remove a master for good, or a worker that is offline
    OfflineMember(OfflineMember),
}

/// `operate-source`.
#[derive(Debug, Args)]
pub struct OperateSource {
    /// create, update, stop or show, then configuration files (stop: files or source ids)
    #[arg(required_unless_present = "print_sample_config", value_name = "OPERATION [FILE]...")]
    pub words: Vec<String>,
    /// Print a sample configuration of a source
    #[arg(short, long)]
    pub print_sample_config: bool,
    /// Bind the source to this worker (create only)
    #[arg(short, long)]
    pub worker: Option<String>,
}

/// `start-task`.
#[derive(Debug, Args)]
pub struct StartTask {
    /// The task's configuration file
    pub config_file: String,
    /// Drop the task's own tables at the target and begin anew
    #[arg(long)]
    pub remove_meta: bool,
    /// Take over progress tables that another cluster wrote
    #[arg(long)]
    pub adopt_meta: bool,
    /// Where the binlog begins: "2021-01-01 00:00:00"
    #[arg(long, default_value = "", hide_default_value = true)]
    pub start_time: String,
}

/// `check-task`.
#[derive(Debug, Args)]
pub struct CheckTask {
    /// The task's configuration file
    pub config_file: String,
    /// Most errors that are shown; 0: none, negative: all
    #[arg(short, long, default_value_t = 10, value_name = "COUNT", allow_negative_numbers = true)]
    pub error: i64,
    /// Most warnings that are shown; 0: none, negative: all
    #[arg(short, long, default_value_t = 10, value_name = "COUNT", allow_negative_numbers = true)]
    pub warn: i64,
    /// Where the binlog begins: "2021-01-01 00:00:00"
    #[arg(long, default_value = "", hide_default_value = true)]
    pub start_time: String,
}

/// `stop-task`, `pause-task`, `resume-task`.
#[derive(Debug, Args)]
pub struct TaskArgs {
    /// The task's name or its file; without it all tasks of one source (-s)
    pub task: Option<String>,
    /// How many tasks at once when a whole source is operated
    #[arg(long, default_value_t = 5)]
    pub batch_size: usize,
}

/// `query-status`.
#[derive(Debug, Args)]
pub struct QueryStatus {
    /// The task's name or its file
    pub task: Option<String>,
    /// Details even without a task
    #[arg(long)]
    pub more: bool,
}

/// `list-member`.
#[derive(Debug, Args)]
pub struct ListMember {
    /// Only the leader
    #[arg(short, long)]
    pub leader: bool,
    /// Only masters
    #[arg(short, long)]
    pub master: bool,
    /// Only workers
    #[arg(short, long)]
    pub worker: bool,
    /// Only members of these names
    #[arg(short, long, value_delimiter = ',')]
    pub name: Vec<String>,
}

/// `offline-member`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("kind").required(true).args(["master", "worker"]))]
pub struct OfflineMember {
    /// The member is a master
    #[arg(short, long)]
    pub master: bool,
    /// The member is a worker
    #[arg(short, long)]
    pub worker: bool,
    /// Its name
    #[arg(short, long)]
    pub name: String,
}

/// `binlog`.
#[derive(Debug, Args)]
pub struct Binlog {
    /// Where the event begins, FILE:POS; without it, where the task stands still
    #[arg(short, long, global = true, default_value = "", hide_default_value = true)]
    pub binlog_pos: String,
    #[command(subcommand)]
    pub verb: BinlogVerb,
}

/// What to do with the event.
#[derive(Debug, Subcommand)]
pub enum BinlogVerb {
    /// Leave the event, or the whole transaction, out
    Skip {
        /// The task's name or its file
        task: String,
    },
    /// Run other DDL statements in its place
    Replace {
        /// The task's name or its file
        task: String,
        /// Statements with the names of databases in them, `;` between them
        #[arg(required = true)]
        sql: Vec<String>,
    },
    /// Run DDL statements before it
    Inject {
        /// The task's name or its file
        task: String,
        /// Statements with the names of databases in them, `;` between them
        #[arg(required = true)]
        sql: Vec<String>,
    },
    /// Withdraw what is pending
    Revert {
        /// The task's name or its file
        task: String,
        #[arg(hide = true)]
        more: Vec<String>,
    },
    /// Show what is pending
    List {
        /// The task's name or its file
        task: String,
    },
}

/// `handle-error`.
#[derive(Debug, Args)]
pub struct HandleError {
    /// Where the event begins, FILE:POS; without it, where the task stands still
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub binlog_pos: String,
    /// The task's name or its file
    pub task: String,
    /// skip, replace or revert
    pub operation: String,
    /// For replace
    pub sql: Vec<String>,
}

/// `binlog-schema`.
#[derive(Debug, Args)]
pub struct BinlogSchema {
    #[command(subcommand)]
    pub verb: SchemaVerb,
}

/// Which table.
#[derive(Debug, Args)]
pub struct TableArgs {
    /// The task's name or its file
    pub task: String,
    /// Database at the source
    pub database: String,
    /// Table at the source
    pub table: String,
}

/// What to do with the definition.
#[derive(Debug, Subcommand)]
pub enum SchemaVerb {
    /// Show it
    List(TableArgs),
    /// Set it, from a file or from one of the servers
    Update {
        #[command(flatten)]
        table: TableArgs,
        /// File with one CREATE TABLE statement
        schema_file: Option<String>,
        /// Store it at once (always done)
        #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
        flush: bool,
        /// Also for the other shards (nothing to do)
        #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
        sync: bool,
        /// As the source has it now
        #[arg(long)]
        from_source: bool,
        /// As the target has it now
        #[arg(long)]
        from_target: bool,
    },
    /// Delete it: it is read at the source when rows come
    Delete(TableArgs),
}

/// `operate-schema`.
#[derive(Debug, Args)]
pub struct OperateSchema {
    /// get, set or remove
    pub operation: String,
    /// The task's name or its file
    pub task: String,
    /// For set: file with one CREATE TABLE statement
    pub schema_file: Option<String>,
    /// Database at the source
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub database: String,
    /// Table at the source
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub table: String,
    /// Store it at once (always done)
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub flush: bool,
    /// Also for the other shards (nothing to do)
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub sync: bool,
}

/// Gives the root's long flags their second dash.
pub fn two_dashes(words: impl IntoIterator<Item = String>) -> Vec<String> {
    let known = |word: &str| {
        let name = word.split('=').next().unwrap_or(word);
        ONE_DASH.contains(&name)
    };
    let fix = |word: String| match word.strip_prefix('-') {
        Some(rest) if known(rest) => format!("-{word}"),
        _ => word,
    };
    words.into_iter().map(fix).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Root::command().debug_assert();
        Line::command().debug_assert();
    }

    #[test]
    fn one_dash_is_enough_for_the_roots_flags() {
        let words =
            two_dashes(["-master-addr=a:1", "-master-addr", "-s", "-x", "--config"].map(str::to_owned));
        assert_eq!(words, ["--master-addr=a:1", "--master-addr", "-s", "-x", "--config"]);
    }
}

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

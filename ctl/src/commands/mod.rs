//! The commands: each checks its words, asks a master, and gives the text to print.

mod binlog;
mod binlog_schema;
mod compact;
mod member;
mod source;
mod split;
mod status;
mod task;
mod whole_source;

use crate::args::Command;
use crate::client::Masters;
use crate::failure::Failure;
use dm_proto::config::TaskConfig;
use std::time::Duration;

/// What every command has at hand.
#[derive(Debug)]
pub struct Context {
    /// The cluster.
    pub masters: Masters,
    /// Deadline of query-status.
    pub rpc_timeout: Duration,
}

impl Context {
    /// Runs one command; `sources` are those of `-s`. Gives what goes to standard output.
    pub async fn execute(&mut self, command: Command, sources: Vec<String>) -> Result<String, Failure> {
        use dm_proto::pb::TaskOp;
        let mut text = match command {
            Command::OperateSource(args) => source::operate(self, args, sources).await,
            Command::StartTask(args) => task::start(self, args, sources).await,
            Command::CheckTask(args) => task::check(self, args).await,
            Command::StopTask(args) => task::operate(self, TaskOp::Delete, args, sources).await,
            Command::PauseTask(args) => task::operate(self, TaskOp::Pause, args, sources).await,
            Command::ResumeTask(args) => task::operate(self, TaskOp::Resume, args, sources).await,
            Command::QueryStatus(args) => status::query(self, args, sources).await,
            Command::ListMember(args) => member::list(self, args).await,
            Command::Binlog(args) => binlog::operate(self, args, sources).await,
            Command::HandleError(args) => binlog::handle_error(self, args, sources).await,
            Command::BinlogSchema(args) => binlog_schema::operate(self, args, sources).await,
            Command::OperateSchema(args) => binlog_schema::operate_old(self, args, sources).await,
            Command::OfflineMember(args) => member::offline(self, args).await,
        }?;
        text.push('\n');
        Ok(text)
    }
}

/// A task's name, given as itself or as a file that holds it.
fn task_name(word: String) -> String {
    if !word.ends_with(".yaml") && !word.ends_with(".yml") {
        return word;
    }
    let text = std::fs::read_to_string(&word).ok();
    text.and_then(|text| TaskConfig::check_yaml(&text).ok().flatten()).unwrap_or(word)
}

fn read_file(path: &str) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::message(format!("open {path}: {error}")))
}

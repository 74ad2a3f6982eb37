//! The target database for reading: definitions and settings. Everything that writes goes through `dm-target`.
mod definitions;

pub use definitions::TargetDefinitions;

use std::time::Duration;

use dm_proto::{
    config::{Endpoint, SubtaskConfig},
    error::{Code, Scope},
};
use mysql_async::{Conn, Opts, OptsBuilder};

use crate::failure::{Failure, Next, from_mysql};

/// What every reading session needs, whatever the server's own defaults are: definitions in back quotes above all.
pub const SETTINGS: &str = "SET SESSION time_zone = '+00:00', sql_mode = '', sql_quote_show_create = 1";

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Opens one reading connection, within a deadline.
pub async fn connect(subtask: &SubtaskConfig) -> Result<Conn, Failure> {
    let target = &subtask.target;
    let doing = format!("fail to open a connection to the target at {}:{}", target.host, target.port);
    match tokio::time::timeout(CONNECT_DEADLINE, Conn::new(opts(target))).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(from_mysql(&error, Scope::Downstream, doing)),
        Err(_) => Err(Failure::new(Code::DatabaseOpen, doing)
            .scope(Scope::Downstream)
            .cause(format!("no answer within {CONNECT_DEADLINE:?}"))
            .next(Next::Unreachable)),
    }
}

/// Options of a reading connection.
pub fn opts(target: &Endpoint) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(target.host.clone())
        .tcp_port(target.port)
        .user(Some(target.user.clone()))
        .pass(Some(target.password.expose().to_owned()))
        .prefer_socket(false)
        .stmt_cache_size(0)
        .setup(vec!["SET NAMES utf8mb4", SETTINGS])
        .into()
}

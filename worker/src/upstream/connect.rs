//! SQL connections to a source.
use std::time::Duration;

use dm_proto::{
    config::SourceConfig,
    error::{Code, Scope},
};
use mysql_async::{Conn, Opts, OptsBuilder};

use crate::{
    downstream::SETTINGS,
    failure::{Failure, Next, from_mysql},
};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Options for the source's account; without a default schema.
pub fn opts(source: &SourceConfig) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname(source.from.host.clone())
        .tcp_port(source.from.port)
        .user(Some(source.from.user.clone()))
        .pass(Some(source.from.password.expose().to_owned()))
        .prefer_socket(false)
        .tcp_keepalive(Some(Duration::from_secs(5)))
        .stmt_cache_size(0)
        .setup(vec!["SET NAMES utf8mb4", SETTINGS])
        .into()
}

/// Opens one connection, within a deadline.
pub async fn connect(source: &SourceConfig) -> Result<Conn, Failure> {
    let place = format!("{}:{}", source.from.host, source.from.port);
    match tokio::time::timeout(CONNECT_DEADLINE, Conn::new(opts(source))).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(from_mysql(
            &error,
            Scope::Upstream,
            format!("fail to open a connection to source {} at {place}", source.source_id),
        )),
        Err(_) => Err(Failure::new(
            Code::DatabaseOpen,
            format!("fail to open a connection to source {} at {place}", source.source_id),
        )
        .scope(Scope::Upstream)
        .cause(format!("no answer within {CONNECT_DEADLINE:?}"))
        .next(Next::Unreachable)),
    }
}

//! `binlog skip, replace, inject, revert, list`, and `handle-error`.

use super::{Context, split::statements, task_name};
use crate::args::{Binlog, BinlogVerb, HandleError};
use crate::client::CallOptions;
use crate::failure::Failure;
use crate::jsonpb;
use dm_proto::pb::{ErrorOp, HandleErrorRequest};

pub(super) async fn operate(
    context: &mut Context,
    args: Binlog,
    sources: Vec<String>,
) -> Result<String, Failure> {
    let (op, task, sql) = match args.verb {
        BinlogVerb::Skip { task } => (ErrorOp::Skip, task, Vec::new()),
        BinlogVerb::Replace { task, sql } => (ErrorOp::Replace, task, sql),
        BinlogVerb::Inject { task, sql } => (ErrorOp::Inject, task, sql),
        BinlogVerb::Revert { task, more: _ } => (ErrorOp::Revert, task, Vec::new()),
        BinlogVerb::List { task } => (ErrorOp::List, task, Vec::new()),
    };
    send(context, op, task, &args.binlog_pos, &sql, sources).await
}

pub(super) async fn handle_error(
    context: &mut Context,
    args: HandleError,
    sources: Vec<String>,
) -> Result<String, Failure> {
    let op = match args.operation.as_str() {
        "skip" => ErrorOp::Skip,
        "replace" => ErrorOp::Replace,
        "revert" => ErrorOp::Revert,
        other => {
            return Err(Failure::message(format!(
                "invalid operation '{other}', please use `skip`, `replace` or `revert`"
            )));
        }
    };
    if (op == ErrorOp::Replace) == args.sql.is_empty() {
        let message = if op == ErrorOp::Replace {
            "must specify the replace SQLs for replace operation"
        } else {
            "only replace operation takes SQLs"
        };
        return Err(Failure::message(message));
    }
    send(context, op, args.task, &args.binlog_pos, &args.sql, sources).await
}

async fn send(
    context: &mut Context,
    op: ErrorOp,
    task: String,
    place: &str,
    sql: &[String],
    sources: Vec<String>,
) -> Result<String, Failure> {
    let binlog_pos = position(place)?;
    let sqls = match sql {
        [] => Vec::new(),
        words => statements(words).map_err(Failure::message)?,
    };
    let request = HandleErrorRequest { op: op.into(), task: task_name(task), sources, binlog_pos, sqls };
    let answer = context
        .masters
        .call(request, CallOptions::default(), async |mut c, r| c.handle_error(r).await)
        .await?;
    jsonpb::print(&answer, "HandleErrorResponse")
}

/// `FILE:NUMBER`, quotes around it taken off.
fn position(text: &str) -> Result<String, Failure> {
    let bare = text.trim().trim_matches(['"', '\'']);
    if bare.is_empty() {
        return Ok(String::new());
    }
    let parts = bare.rsplit_once(':').filter(|(file, pos)| !file.is_empty() && pos.parse::<u64>().is_ok());
    match parts {
        Some(_) => Ok(bare.to_owned()),
        None => Err(Failure::message(format!(
            "invalid --binlog-pos '{text}': the form is binlog-file:binlog-pos, as in mysql-bin.000001:4"
        ))),
    }
}

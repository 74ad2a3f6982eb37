//! `start-task`, `check-task`, `stop-task`, `pause-task`, `resume-task`.

use super::{Context, read_file, task_name, whole_source};
use crate::args::{CheckTask, StartTask, TaskArgs};
use crate::client::CallOptions;
use crate::failure::Failure;
use crate::jsonpb;
use crate::say;
use dm_proto::config::TaskConfig;
use dm_proto::pb::{
    CheckTaskRequest, CheckTaskResponse, OperateTaskRequest, OperateTaskResponse, StartTaskRequest,
    StartTaskResponse, TaskOp,
};

/// A pre-check text with this sentence is printed raw, as DM's dmctl does.
const RAW_IF: &str = "fail to check synchronization configuration with type";

pub(super) async fn start(
    context: &mut Context,
    args: StartTask,
    sources: Vec<String>,
) -> Result<String, Failure> {
    let task = read_file(&args.config_file)?;
    TaskConfig::check_yaml(&task)?;
    sharding_keys_agree(&task)?;
    let (remove_meta, start_time) = (args.remove_meta, args.start_time);
    let request = StartTaskRequest { task, sources, remove_meta, start_time };
    let options = CallOptions { adopt_meta: args.adopt_meta, ..Default::default() };
    let answer = context.masters.call(request, options, async |mut c, r| c.start_task(r).await).await?;
    print_started(answer)
}

/// The master says what is wrong with the file.
pub(super) async fn check(context: &mut Context, args: CheckTask) -> Result<String, Failure> {
    let task = read_file(&args.config_file)?;
    sharding_keys_agree(&task)?;
    let request =
        CheckTaskRequest { task, err_cnt: args.error, warn_cnt: args.warn, start_time: args.start_time };
    let options = CallOptions::default();
    let answer = context.masters.call(request, options, async |mut c, r| c.check_task(r).await).await?;
    print_checked(answer)
}

/// As [`print_started`].
fn print_checked(mut answer: CheckTaskResponse) -> Result<String, Failure> {
    if !answer.msg.contains(RAW_IF) {
        return jsonpb::print(&answer, "CheckTaskResponse");
    }
    let text = std::mem::take(&mut answer.msg);
    let json = jsonpb::print(&answer, "CheckTaskResponse")?;
    let raw = json.replacen("\"msg\": \"\"", &format!("\"msg\": \"{text}\""), 1);
    Ok(raw.replacen("detail: {", "   \tdetail: {", 1))
}

/// The answer; a pre-check's list keeps its lines, so that people can read it (it is no longer JSON then).
fn print_started(mut answer: StartTaskResponse) -> Result<String, Failure> {
    if !answer.check_result.contains(RAW_IF) {
        return jsonpb::print(&answer, "StartTaskResponse");
    }
    let text = std::mem::take(&mut answer.check_result);
    let json = jsonpb::print(&answer, "StartTaskResponse")?;
    let raw = json.replacen("\"checkResult\": \"\"", &format!("\"checkResult\": \"{text}\""), 1);
    Ok(raw.replacen("detail: {", "   \tdetail: {", 1))
}

/// `is-sharding` and `shard-mode` written at the beginning of a line must not contradict each other.
fn sharding_keys_agree(task: &str) -> Result<(), Failure> {
    let value = |key: &str| {
        let text = task.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'))?;
        let text = text.split('#').next().unwrap_or(text);
        Some(text.trim().trim_matches(['"', '\'']).to_owned())
    };
    match (value("is-sharding").as_deref(), value("shard-mode").as_deref()) {
        (Some("true"), Some("")) => {
            Err(Failure::message("is-sharding is true, but shard-mode is empty: please keep one of them"))
        }
        (Some("false"), Some(mode)) if !mode.is_empty() => Err(Failure::message(format!(
            "is-sharding is false, but shard-mode is {mode}: please keep one of them"
        ))),
        _ => Ok(()),
    }
}

pub(super) async fn operate(
    context: &mut Context,
    op: TaskOp,
    args: TaskArgs,
    sources: Vec<String>,
) -> Result<String, Failure> {
    let Some(word) = args.task else {
        return match sources.as_slice() {
            [source] => whole_source::operate(context, op, source.clone(), args.batch_size).await,
            _ => Err(Failure::message(
                "can only operate one source at a time: give a task name, or exactly one `-s source`",
            )),
        };
    };
    let name = task_name(word);
    match send(context, op, name.clone(), sources).await {
        Ok(answer) => jsonpb::print(&answer, "OperateTaskResponse"),
        Err(failure) => {
            say(&format!("can not {} task {name}\n", op.as_str_name().to_lowercase()));
            Err(failure)
        }
    }
}

/// One request for one task.
pub(super) async fn send(
    context: &mut Context,
    op: TaskOp,
    name: String,
    sources: Vec<String>,
) -> Result<OperateTaskResponse, Failure> {
    let request = OperateTaskRequest { op: op.into(), name, sources };
    context.masters.call(request, CallOptions::default(), async |mut c, r| c.operate_task(r).await).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pre_checks_list_is_printed_raw() {
        let check_result =
            format!("{RAW_IF}: no errors but some warnings\n detail: {{\n\t\t\"results\": []\n\t}}");
        let text =
            print_started(StartTaskResponse { result: true, check_result, ..Default::default() }).unwrap();
        let want = format!(
            "\"{RAW_IF}: no errors but some warnings\n    \tdetail: {{\n\t\t\"results\": []\n\t}}\"\n}}"
        );
        assert!(text.ends_with(&want), "{text}");
    }

    #[test]
    fn contradicting_sharding_keys_are_refused() {
        assert!(sharding_keys_agree("is-sharding: true\nshard-mode: \"\" # x\n").is_err());
        assert!(sharding_keys_agree("is-sharding: false\nshard-mode: pessimistic\n").is_err());
        assert!(sharding_keys_agree("is-sharding: true\nshard-mode: pessimistic\n").is_ok());
        assert!(sharding_keys_agree("# is-sharding: true\nshard-mode: ''\n").is_ok());
    }
}

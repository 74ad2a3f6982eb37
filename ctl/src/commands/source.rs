//! `operate-source`.

use super::{Context, read_file};
use crate::args::OperateSource;
use crate::client::CallOptions;
use crate::failure::Failure;
use crate::jsonpb;
use dm_proto::config::SourceConfig;
use dm_proto::pb::{OperateSourceRequest, SourceOp};

const SAMPLE: &str = include_str!("sample-source.yaml");

pub(super) async fn operate(
    context: &mut Context,
    args: OperateSource,
    sources: Vec<String>,
) -> Result<String, Failure> {
    if args.print_sample_config {
        return Ok(SAMPLE.trim_end().to_owned());
    }
    let mut words = args.words.into_iter();
    let word = words.next().unwrap_or_default();
    let op = match word.as_str() {
        "create" => SourceOp::StartSource,
        "update" => SourceOp::UpdateSource,
        "stop" => SourceOp::StopSource,
        "show" => SourceOp::ShowSource,
        other => return Err(Failure::message(format!("invalid operate '{other}' on source"))),
    };
    let mut request = OperateSourceRequest { op: op.into(), source_id: sources, ..Default::default() };
    for file in words {
        match read_file(&file) {
            Err(_) if op == SourceOp::StopSource => request.source_id.push(file),
            Err(failure) => return Err(failure),
            Ok(text) => {
                SourceConfig::check_yaml(&text)?;
                request.config.push(text);
            }
        }
    }
    let nothing = request.config.is_empty() && (request.source_id.is_empty() || op != SourceOp::StopSource);
    if nothing && op != SourceOp::ShowSource {
        return Err(Failure::message("operate-source create/update/stop should specify config-file(s)"));
    }
    let mut before = String::new();
    if let Some(worker) = args.worker {
        if op != SourceOp::StartSource {
            return Err(Failure::message(
                "operate-source create should specify worker-name, others should not",
            ));
        }
        if request.config.len() > 1 {
            before.push_str("[warn] only one source can be bound to a worker; give one file with --worker\n");
        }
        request.worker_name = worker;
    }
    let answer = context
        .masters
        .call(request, CallOptions::default(), async |mut c, r| c.operate_source(r).await)
        .await?;
    Ok(before + &jsonpb::print(&answer, "OperateSourceResponse")?)
}

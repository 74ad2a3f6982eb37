//! `binlog-schema list, update, delete`, and `operate-schema`.

use super::{Context, read_file, task_name};
use crate::args::{BinlogSchema, OperateSchema, SchemaVerb, TableArgs};
use crate::client::CallOptions;
use crate::failure::Failure;
use crate::jsonpb;
use dm_proto::pb::{OperateSchemaRequest, SchemaOp};

pub(super) async fn operate(
    context: &mut Context,
    args: BinlogSchema,
    sources: Vec<String>,
) -> Result<String, Failure> {
    let of = |op: SchemaOp, table: TableArgs| OperateSchemaRequest {
        op: op.into(),
        task: task_name(table.task),
        sources,
        database: table.database,
        table: table.table,
        ..Default::default()
    };
    let request = match args.verb {
        SchemaVerb::List(table) => of(SchemaOp::GetSchema, table),
        SchemaVerb::Delete(table) => of(SchemaOp::RemoveSchema, table),
        SchemaVerb::Update { table, schema_file, flush, sync, from_source, from_target } => {
            if from_source && from_target {
                return Err(Failure::message("--from-source and --from-target exclude each other"));
            }
            let schema = match (&schema_file, from_source || from_target) {
                (Some(file), false) => read_file(file)?,
                (None, true) => String::new(),
                (None, false) => {
                    return Err(Failure::message(
                        "a schema file is needed, or --from-source or --from-target",
                    ));
                }
                (Some(_), true) => {
                    return Err(Failure::message(
                        "a schema file is given, and --from-source or --from-target too",
                    ));
                }
            };
            let request = of(SchemaOp::SetSchema, table);
            OperateSchemaRequest { schema, flush, sync, from_source, from_target, ..request }
        }
    };
    send(context, request).await
}

pub(super) async fn operate_old(
    context: &mut Context,
    args: OperateSchema,
    sources: Vec<String>,
) -> Result<String, Failure> {
    let op = match args.operation.as_str() {
        "get" => SchemaOp::GetSchema,
        "set" => SchemaOp::SetSchema,
        "remove" => SchemaOp::RemoveSchema,
        other => {
            return Err(Failure::message(format!(
                "invalid operation '{other}', please use `get`, `set` or `remove`"
            )));
        }
    };
    if args.database.is_empty() || args.table.is_empty() {
        return Err(Failure::message("must specify 'database' and 'table'"));
    }
    if sources.is_empty() {
        return Err(Failure::message("must specify at least one source (`-s` / `--source`)"));
    }
    let schema = match (&args.schema_file, op) {
        (Some(file), SchemaOp::SetSchema) => read_file(file)?,
        (None, SchemaOp::SetSchema) => {
            return Err(Failure::message("must specify the schema file for set operation"));
        }
        _ => String::new(),
    };
    let request = OperateSchemaRequest {
        op: op.into(),
        task: task_name(args.task),
        sources,
        database: args.database,
        table: args.table,
        schema,
        flush: args.flush,
        sync: args.sync,
        ..Default::default()
    };
    send(context, request).await
}

async fn send(context: &mut Context, request: OperateSchemaRequest) -> Result<String, Failure> {
    let answer = context
        .masters
        .call(request, CallOptions::default(), async |mut c, r| c.operate_schema(r).await)
        .await?;
    jsonpb::print(&answer, "OperateSchemaResponse")
}

//! A master on the wire that answers from a script and remembers what it was asked.

use dm_proto::pb::master_server::{Master, MasterServer};
use dm_proto::pb::{self, Stage, UnitType};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tonic::{Request, Response, Status};

/// One scripted master; it serves until the test's runtime ends.
#[derive(Clone, Default)]
pub struct FakeMaster {
    /// What it was asked, in words.
    pub calls: Arc<Mutex<Vec<String>>>,
    /// So many of the next calls are refused as unavailable.
    pub unavailable: Arc<Mutex<u32>>,
    /// It hears no leader.
    pub leaderless: Arc<Mutex<bool>>,
    /// Answer no call at all from now on; told to whoever watches.
    pub never: Arc<Mutex<Option<tokio::sync::watch::Sender<bool>>>>,
    /// What the last operation was called.
    pub request: Arc<Mutex<String>>,
}

impl FakeMaster {
    pub async fn serve(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let service = MasterServer::new(self.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        address
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    async fn note(&self, call: String) -> Result<(), Status> {
        self.calls.lock().unwrap().push(call);
        let hang = self.never.lock().unwrap().as_ref().map(|freeze| freeze.send_replace(true)).is_some();
        if hang {
            std::future::pending::<()>().await;
        }
        let mut left = self.unavailable.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Err(Status::unavailable("going away"));
        }
        if *self.leaderless.lock().unwrap() {
            return Err(Status::unknown("[code=38043] no leader"));
        }
        Ok(())
    }
}

fn row(source: &str) -> pb::CommonWorkerResponse {
    pb::CommonWorkerResponse {
        result: true,
        msg: String::new(),
        source: source.into(),
        worker: "worker1".into(),
    }
}

macro_rules! master {
    ({ $($real:item)* } $($name:ident($request:ty) -> $response:ty;)*) => {
        #[tonic::async_trait]
        impl Master for FakeMaster {
            $($real)*
            $(async fn $name(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(Status::unimplemented(stringify!($name)))
            })*
        }
    };
}

master! {
    {
        async fn start_task(
            &self,
            request: Request<pb::StartTaskRequest>,
        ) -> Result<Response<pb::StartTaskResponse>, Status> {
            let adopt = request.metadata().contains_key("raftdm-adopt-meta");
            let r = request.into_inner();
            let text = format!("start {:?} remove={} adopt={adopt} {}", r.sources, r.remove_meta, r.start_time);
            self.note(text).await?;
            let check_result = "pre-check is passed. ".to_owned();
            let sources = vec![row("mysql-replica-01")];
            Ok(Response::new(pb::StartTaskResponse { result: true, msg: String::new(), sources, check_result }))
        }

        async fn operate_task(
            &self,
            request: Request<pb::OperateTaskRequest>,
        ) -> Result<Response<pb::OperateTaskResponse>, Status> {
            let name = request.metadata().get("raftdm-request").unwrap().to_str().unwrap().to_owned();
            let before = std::mem::replace(&mut *self.request.lock().unwrap(), name.clone());
            let repeated = match request.metadata().contains_key("raftdm-repeated") {
                true if before == name => " again",
                true => " again, as another one",
                false => "",
            };
            let r = request.into_inner();
            self.note(format!("{:?} {} {:?}{repeated}", r.op(), r.name, r.sources)).await?;
            if r.name == "boom" {
                return Err(Status::unknown("[code=38043] no leader"));
            }
            let sources = vec![row("mysql-replica-01")];
            Ok(Response::new(pb::OperateTaskResponse { op: r.op, result: true, msg: String::new(), sources }))
        }

        async fn query_status(
            &self,
            request: Request<pb::QueryStatusListRequest>,
        ) -> Result<Response<pb::QueryStatusListResponse>, Status> {
            let deadline = request.metadata().contains_key("grpc-timeout");
            let r = request.into_inner();
            self.note(format!("query {:?} {:?} deadline={deadline}", r.name, r.sources)).await?;
            if r.name == "missing" {
                let msg = "task missing has no source or not exist".to_owned();
                return Ok(Response::new(pb::QueryStatusListResponse { msg, ..Default::default() }));
            }
            let subtask = |name: &str| pb::SubTaskStatus {
                name: name.into(),
                stage: Stage::Running.into(),
                unit: UnitType::Sync.into(),
                ..Default::default()
            };
            let status = pb::SourceStatus { source: "mysql-replica-01".into(), ..Default::default() };
            let source = pb::QueryStatusResponse {
                result: true,
                msg: String::new(),
                source_status: Some(status),
                sub_task_status: vec![subtask("task2"), subtask("task1")],
            };
            let sources = vec![source];
            Ok(Response::new(pb::QueryStatusListResponse { result: true, msg: String::new(), sources }))
        }

        async fn operate_source(
            &self,
            request: Request<pb::OperateSourceRequest>,
        ) -> Result<Response<pb::OperateSourceResponse>, Status> {
            let r = request.into_inner();
            let text = format!("{:?} {} {:?} {}", r.op(), r.config.len(), r.source_id, r.worker_name);
            self.note(text).await?;
            let sources = vec![row("mysql-replica-01")];
            Ok(Response::new(pb::OperateSourceResponse { result: true, msg: String::new(), sources }))
        }

        async fn list_member(
            &self,
            request: Request<pb::ListMemberRequest>,
        ) -> Result<Response<pb::ListMemberResponse>, Status> {
            let r = request.into_inner();
            self.note(format!("members {} {} {} {:?}", r.leader, r.master, r.worker, r.names)).await?;
            Ok(Response::new(pb::ListMemberResponse { result: true, ..Default::default() }))
        }

        async fn offline_member(
            &self,
            request: Request<pb::OfflineMemberRequest>,
        ) -> Result<Response<pb::OfflineMemberResponse>, Status> {
            let r = request.into_inner();
            self.note(format!("offline {} {}", r.r#type, r.name)).await?;
            let result = r.name != "busy";
            let msg = if result { String::new() } else { "still online".to_owned() };
            Ok(Response::new(pb::OfflineMemberResponse { result, msg }))
        }

        async fn handle_error(
            &self,
            request: Request<pb::HandleErrorRequest>,
        ) -> Result<Response<pb::HandleErrorResponse>, Status> {
            let r = request.into_inner();
            self.note(format!("{:?} {} {:?} [{}] {:?}", r.op(), r.task, r.sources, r.binlog_pos, r.sqls)).await?;
            let mut sources = vec![row("mysql-replica-01")];
            if r.op() == pb::ErrorOp::List {
                sources[0].msg = "[{\"op\":1,\"task\":\"t\",\"binlogPos\":\"(b.000001, 4)\"}]".to_owned();
            }
            Ok(Response::new(pb::HandleErrorResponse { result: true, msg: String::new(), sources }))
        }

        async fn operate_schema(
            &self,
            request: Request<pb::OperateSchemaRequest>,
        ) -> Result<Response<pb::OperateSchemaResponse>, Status> {
            let r = request.into_inner();
            self.note(format!(
                "{:?} {} {:?} {}.{} [{}] flush={} sync={} from={}{}",
                r.op(), r.task, r.sources, r.database, r.table, r.schema, r.flush, r.sync, r.from_source, r.from_target
            ))
            .await?;
            let sources = vec![row("mysql-replica-01")];
            Ok(Response::new(pb::OperateSchemaResponse { result: true, msg: String::new(), sources }))
        }
    }
    update_task(pb::UpdateTaskRequest) -> pb::UpdateTaskResponse;
    show_ddl_locks(pb::ShowDdlLocksRequest) -> pb::ShowDdlLocksResponse;
    unlock_ddl_lock(pb::UnlockDdlLockRequest) -> pb::UnlockDdlLockResponse;
    operate_worker_relay_task(pb::OperateWorkerRelayRequest) -> pb::OperateWorkerRelayResponse;
    purge_worker_relay(pb::PurgeWorkerRelayRequest) -> pb::PurgeWorkerRelayResponse;
    check_task(pb::CheckTaskRequest) -> pb::CheckTaskResponse;
    register_worker(pb::RegisterWorkerRequest) -> pb::RegisterWorkerResponse;
    operate_leader(pb::OperateLeaderRequest) -> pb::OperateLeaderResponse;
    get_sub_task_cfg(pb::GetSubTaskCfgRequest) -> pb::GetSubTaskCfgResponse;
    get_cfg(pb::GetCfgRequest) -> pb::GetCfgResponse;
    get_master_cfg(pb::GetMasterCfgRequest) -> pb::GetMasterCfgResponse;
    transfer_source(pb::TransferSourceRequest) -> pb::TransferSourceResponse;
    operate_relay(pb::OperateRelayRequest) -> pb::OperateRelayResponse;
    start_validation(pb::StartValidationRequest) -> pb::StartValidationResponse;
    stop_validation(pb::StopValidationRequest) -> pb::StopValidationResponse;
    get_validation_status(pb::GetValidationStatusRequest) -> pb::GetValidationStatusResponse;
    get_validation_error(pb::GetValidationErrorRequest) -> pb::GetValidationErrorResponse;
    operate_validation_error(pb::OperateValidationErrorRequest) -> pb::OperateValidationErrorResponse;
    update_validation(pb::UpdateValidationRequest) -> pb::UpdateValidationResponse;
    encrypt(pb::EncryptRequest) -> pb::EncryptResponse;
    list_task_configs(()) -> pb::ListTaskConfigsResponse;
    list_source_configs(()) -> pb::ListSourceConfigsResponse;
}

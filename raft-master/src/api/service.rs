//! `pb.Master`: one line of translation per rpc.
use std::sync::Arc;

use dm_proto::pb::{self, master_server::Master};
use tonic::{Request, Response, Status, async_trait};

use super::{
    REPORT_AGE, binlog_schema, check_task, forward::Forwarder, handle_error, list_member, offline_member,
    operate_source, operate_task, query_status, register, show_locks, start_task,
};
use crate::{node::Node, problem::Problem};

/// The service on the client port of every master.
pub struct MasterService {
    forwarder: Forwarder,
}

impl MasterService {
    /// For one process.
    pub fn new(node: Arc<Node>) -> Self {
        Self { forwarder: Forwarder::new(node) }
    }
}

/// What a method that comes later answers.
fn later(command: &str) -> Status {
    Status::unimplemented(format!("dmctl command `{command}` is not available in this version of dm-master"))
}

fn answered<T>(answer: Result<T, Problem>) -> Result<Response<T>, Problem> {
    answer.map(Response::new)
}

async fn status(
    desk: super::Desk,
    message: pb::QueryStatusListRequest,
) -> Result<Response<pb::QueryStatusListResponse>, Problem> {
    let (answer, age) = query_status::handle(desk, message).await?;
    let mut response = Response::new(answer);
    response.metadata_mut().insert(REPORT_AGE, u64::try_from(age.as_millis()).unwrap_or(u64::MAX).into());
    Ok(response)
}

#[async_trait]
impl Master for MasterService {
    async fn start_task(
        &self,
        request: Request<pb::StartTaskRequest>,
    ) -> Result<Response<pb::StartTaskResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, call, message| {
                    Box::pin(async move { answered(start_task::handle(desk, call, message).await) })
                },
                |mut master, request| Box::pin(async move { master.start_task(request).await }),
            )
            .await
    }

    async fn operate_task(
        &self,
        request: Request<pb::OperateTaskRequest>,
    ) -> Result<Response<pb::OperateTaskResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, call, message| {
                    Box::pin(async move { answered(operate_task::handle(desk, call, message).await) })
                },
                |mut master, request| Box::pin(async move { master.operate_task(request).await }),
            )
            .await
    }

    async fn query_status(
        &self,
        request: Request<pb::QueryStatusListRequest>,
    ) -> Result<Response<pb::QueryStatusListResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, _, message| Box::pin(status(desk, message)),
                |mut master, request| Box::pin(async move { master.query_status(request).await }),
            )
            .await
    }

    async fn show_ddl_locks(
        &self,
        request: Request<pb::ShowDdlLocksRequest>,
    ) -> Result<Response<pb::ShowDdlLocksResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, _, _| Box::pin(async move { answered(show_locks::handle(desk).await) }),
                |mut master, request| Box::pin(async move { master.show_ddl_locks(request).await }),
            )
            .await
    }

    async fn operate_source(
        &self,
        request: Request<pb::OperateSourceRequest>,
    ) -> Result<Response<pb::OperateSourceResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, call, message| {
                    Box::pin(async move { answered(operate_source::handle(desk, call, message).await) })
                },
                |mut master, request| Box::pin(async move { master.operate_source(request).await }),
            )
            .await
    }

    async fn register_worker(
        &self,
        request: Request<pb::RegisterWorkerRequest>,
    ) -> Result<Response<pb::RegisterWorkerResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, call, message| {
                    Box::pin(async move { answered(register::handle(desk, call, message).await) })
                },
                |mut master, request| Box::pin(async move { master.register_worker(request).await }),
            )
            .await
    }

    async fn offline_member(
        &self,
        request: Request<pb::OfflineMemberRequest>,
    ) -> Result<Response<pb::OfflineMemberResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, _, message| {
                    Box::pin(async move { answered(offline_member::handle(desk, message).await) })
                },
                |mut master, request| Box::pin(async move { master.offline_member(request).await }),
            )
            .await
    }

    async fn list_member(
        &self,
        request: Request<pb::ListMemberRequest>,
    ) -> Result<Response<pb::ListMemberResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, _, message| {
                    Box::pin(async move { answered(list_member::handle(desk, message).await) })
                },
                |mut master, request| Box::pin(async move { master.list_member(request).await }),
            )
            .await
    }

    async fn update_task(
        &self,
        _: Request<pb::UpdateTaskRequest>,
    ) -> Result<Response<pb::UpdateTaskResponse>, Status> {
        Err(later("update-task"))
    }

    async fn unlock_ddl_lock(
        &self,
        _: Request<pb::UnlockDdlLockRequest>,
    ) -> Result<Response<pb::UnlockDdlLockResponse>, Status> {
        Err(later("shard-ddl-lock unlock"))
    }

    async fn operate_worker_relay_task(
        &self,
        _: Request<pb::OperateWorkerRelayRequest>,
    ) -> Result<Response<pb::OperateWorkerRelayResponse>, Status> {
        Err(later("pause-relay, resume-relay"))
    }

    async fn purge_worker_relay(
        &self,
        _: Request<pb::PurgeWorkerRelayRequest>,
    ) -> Result<Response<pb::PurgeWorkerRelayResponse>, Status> {
        Err(later("purge-relay"))
    }

    async fn check_task(
        &self,
        request: Request<pb::CheckTaskRequest>,
    ) -> Result<Response<pb::CheckTaskResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, _, message| Box::pin(async move { answered(check_task::handle(desk, message).await) }),
                |mut master, request| Box::pin(async move { master.check_task(request).await }),
            )
            .await
    }

    async fn operate_leader(
        &self,
        _: Request<pb::OperateLeaderRequest>,
    ) -> Result<Response<pb::OperateLeaderResponse>, Status> {
        Err(later("operate-leader"))
    }

    async fn operate_schema(
        &self,
        request: Request<pb::OperateSchemaRequest>,
    ) -> Result<Response<pb::OperateSchemaResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, _, message| {
                    Box::pin(async move { answered(binlog_schema::handle(desk, message).await) })
                },
                |mut master, request| Box::pin(async move { master.operate_schema(request).await }),
            )
            .await
    }

    async fn get_sub_task_cfg(
        &self,
        _: Request<pb::GetSubTaskCfgRequest>,
    ) -> Result<Response<pb::GetSubTaskCfgResponse>, Status> {
        Err(later("config (subtask)"))
    }

    async fn get_cfg(&self, _: Request<pb::GetCfgRequest>) -> Result<Response<pb::GetCfgResponse>, Status> {
        Err(later("config"))
    }

    async fn handle_error(
        &self,
        request: Request<pb::HandleErrorRequest>,
    ) -> Result<Response<pb::HandleErrorResponse>, Status> {
        self.forwarder
            .serve(
                request,
                |desk, call, message| {
                    Box::pin(async move { answered(handle_error::handle(desk, call, message).await) })
                },
                |mut master, request| Box::pin(async move { master.handle_error(request).await }),
            )
            .await
    }

    async fn get_master_cfg(
        &self,
        _: Request<pb::GetMasterCfgRequest>,
    ) -> Result<Response<pb::GetMasterCfgResponse>, Status> {
        Err(later("config master"))
    }

    async fn transfer_source(
        &self,
        _: Request<pb::TransferSourceRequest>,
    ) -> Result<Response<pb::TransferSourceResponse>, Status> {
        Err(later("transfer-source"))
    }

    async fn operate_relay(
        &self,
        _: Request<pb::OperateRelayRequest>,
    ) -> Result<Response<pb::OperateRelayResponse>, Status> {
        Err(later("start-relay, stop-relay"))
    }

    async fn start_validation(
        &self,
        _: Request<pb::StartValidationRequest>,
    ) -> Result<Response<pb::StartValidationResponse>, Status> {
        Err(later("validation start"))
    }

    async fn stop_validation(
        &self,
        _: Request<pb::StopValidationRequest>,
    ) -> Result<Response<pb::StopValidationResponse>, Status> {
        Err(later("validation stop"))
    }

    async fn get_validation_status(
        &self,
        _: Request<pb::GetValidationStatusRequest>,
    ) -> Result<Response<pb::GetValidationStatusResponse>, Status> {
        Err(later("validation status"))
    }

    async fn get_validation_error(
        &self,
        _: Request<pb::GetValidationErrorRequest>,
    ) -> Result<Response<pb::GetValidationErrorResponse>, Status> {
        Err(later("validation show-error"))
    }

    async fn operate_validation_error(
        &self,
        _: Request<pb::OperateValidationErrorRequest>,
    ) -> Result<Response<pb::OperateValidationErrorResponse>, Status> {
        Err(later("validation ignore-error, resolve-error, clear-error"))
    }

    async fn update_validation(
        &self,
        _: Request<pb::UpdateValidationRequest>,
    ) -> Result<Response<pb::UpdateValidationResponse>, Status> {
        Err(later("validation update"))
    }

    async fn encrypt(&self, _: Request<pb::EncryptRequest>) -> Result<Response<pb::EncryptResponse>, Status> {
        Err(later("encrypt"))
    }

    async fn list_task_configs(
        &self,
        _: Request<()>,
    ) -> Result<Response<pb::ListTaskConfigsResponse>, Status> {
        Err(later("config export"))
    }

    async fn list_source_configs(
        &self,
        _: Request<()>,
    ) -> Result<Response<pb::ListSourceConfigsResponse>, Status> {
        Err(later("config export"))
    }
}

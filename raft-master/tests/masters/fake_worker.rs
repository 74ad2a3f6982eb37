//! A scripted worker: the protocol's other end without any database.
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use dm_proto::{
    pb::{RegisterWorkerRequest, RegisterWorkerResponse},
    worker::{
        Assignment, Authority, CheckItem, CheckRequest, CheckResponse, DefinitionRequest, DefinitionResponse,
        Down, Hello, MetaStage, Pong, Report, SourceReport, Stage, SubtaskReport, SyncProgress, Up, down, up,
        worker_session_server::{WorkerSession, WorkerSessionServer},
    },
};
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::{
    cluster::{Cluster, free_port},
    wait::until,
};

#[derive(Default)]
pub struct Script {
    /// Neither hears nor speaks, as under SIGSTOP.
    pub silent: bool,
    /// What every check answers.
    pub check: Vec<CheckItem>,
    pub checks: Vec<CheckRequest>,
    /// Greatest authority seen.
    pub seen: Authority,
    /// Messages of a smaller authority, or of another cluster.
    pub stale: Vec<Authority>,
    /// In force.
    pub assignment: Assignment,
    /// Every (source, epoch) in the order it came, with its time.
    pub epochs: Vec<(String, u64, Instant)>,
    /// A higher epoch than ours that the target shows.
    pub epoch_in_target: u64,
    /// Error that subtasks stop with.
    pub fail: Option<dm_proto::worker::ProcessError>,
    pub leaving: bool,
    /// Subtasks never get beyond New.
    pub hold: bool,
    /// Pings that were heard.
    pub pings: u64,
    /// Meta stages that were seen committed, in order.
    pub metas: Vec<MetaStage>,
}

pub struct FakeWorker {
    pub name: String,
    pub address: String,
    pub incarnation: u64,
    pub script: Arc<Mutex<Script>>,
    runtime: Option<Runtime>,
}

#[derive(Clone)]
struct Service {
    name: String,
    incarnation: u64,
    script: Arc<Mutex<Script>>,
}

impl Drop for FakeWorker {
    fn drop(&mut self) {
        self.kill();
    }
}

impl FakeWorker {
    /// Listens; registers nowhere yet.
    pub fn start(name: &str, address: Option<String>, incarnation: u64) -> Self {
        let address = address.unwrap_or_else(|| format!("127.0.0.1:{}", free_port()));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let service = Service { name: name.to_owned(), incarnation, script: script.clone() };
        let std_listener = std::net::TcpListener::bind(&address).unwrap();
        std_listener.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(std_listener).unwrap();
            let server = tonic::transport::Server::builder().add_service(WorkerSessionServer::new(service));
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { name: name.to_owned(), address, incarnation, script, runtime: Some(runtime) }
    }

    pub async fn register(&self, cluster: &Cluster) -> RegisterWorkerResponse {
        let mut request =
            Request::new(RegisterWorkerRequest { name: self.name.clone(), address: self.address.clone() });
        request.metadata_mut().insert("raftdm-incarnation", self.incarnation.to_string().parse().unwrap());
        cluster.via_follower().await.register_worker(request).await.unwrap().into_inner()
    }

    /// Listens, registers through a follower, and is seen free.
    pub async fn join(cluster: &Cluster, name: &str, incarnation: u64) -> Self {
        let worker = Self::start(name, None, incarnation);
        let answer = worker.register(cluster).await;
        assert!(answer.result, "{}", answer.msg);
        cluster.wait_stage(name, "free").await;
        worker
    }

    /// The process is gone: its port refuses, its connections are cut.
    pub fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    pub fn with<R>(&self, f: impl FnOnce(&mut Script) -> R) -> R {
        f(&mut self.script.lock().unwrap())
    }

    /// Epoch under which it owns a source now.
    pub fn epoch(&self, source: &str) -> Option<u64> {
        self.with(|s| s.assignment.sources.iter().find(|x| x.source_id == source).map(|x| x.epoch))
    }

    pub async fn wait_epoch_above(&self, source: &str, above: u64) -> u64 {
        until(format!("{} to own {source} with an epoch above {above}", self.name), || async {
            self.epoch(source).filter(|e| *e > above)
        })
        .await
    }

    pub async fn wait_without(&self, source: &str) {
        until(format!("{} to be told that {source} is not its own", self.name), || async {
            self.epoch(source).is_none().then_some(())
        })
        .await;
    }
}

impl Script {
    fn take(&mut self, authority: Authority, assignment: Assignment, incarnation: u64) {
        let older = (authority.term, authority.revision) < (self.seen.term, self.seen.revision);
        let foreign = !self.seen.cluster_id.is_empty() && self.seen.cluster_id != authority.cluster_id;
        if older || foreign || assignment.incarnation != incarnation {
            self.stale.push(authority);
            return;
        }
        self.seen = authority;
        let known: BTreeMap<String, u64> =
            self.assignment.sources.iter().map(|s| (s.source_id.clone(), s.epoch)).collect();
        for source in &assignment.sources {
            if known.get(&source.source_id) != Some(&source.epoch) {
                self.epochs.push((source.source_id.clone(), source.epoch, Instant::now()));
            }
            for subtask in &source.subtasks {
                if self.metas.last() != Some(&subtask.meta()) {
                    self.metas.push(subtask.meta());
                }
            }
        }
        self.assignment = assignment;
    }

    fn report(&self) -> Report {
        let sources = self.assignment.sources.iter().map(|source| {
            let subtasks = source.subtasks.iter().map(|subtask| {
                let (stage, wanted) = match subtask.meta() {
                    MetaStage::MetaNone => (Stage::New, MetaStage::MetaCreating),
                    MetaStage::MetaCreating => (Stage::New, MetaStage::MetaCreated),
                    MetaStage::MetaCreated => (subtask.desired(), MetaStage::MetaCreated),
                };
                let stage = match (&self.fail, self.hold) {
                    (Some(_), _) => Stage::Paused,
                    (None, true) => Stage::New,
                    (None, false) => stage,
                };
                SubtaskReport {
                    task: subtask.task.clone(),
                    task_revision: subtask.task_revision,
                    resume_serial: subtask.resume_serial,
                    stage: stage.into(),
                    unit: "Sync".into(),
                    meta_wanted: wanted.into(),
                    errors: self.fail.iter().cloned().collect(),
                    epoch_found: if self.epoch_in_target > source.epoch { self.epoch_in_target } else { 0 },
                    sync: Some(SyncProgress { synced: true, total_rows: 7, ..Default::default() }),
                    ..Default::default()
                }
            });
            SourceReport {
                source_id: source.source_id.clone(),
                epoch: source.epoch,
                subtasks: subtasks.collect(),
                error: None,
            }
        });
        Report { obeyed: Some(self.seen.clone()), sources: sources.collect(), leaving: self.leaving }
    }
}

#[tonic::async_trait]
impl WorkerSession for Service {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<Up, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<Down>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut down = request.into_inner();
        let (up, outgoing) = mpsc::channel(16);
        let this = self.clone();
        tokio::spawn(async move {
            let say = |body| Ok(Up { incarnation: this.incarnation, body: Some(body) });
            let seen = this.script.lock().unwrap().seen.clone();
            let hello = Hello { worker: this.name.clone(), seen: Some(seen) };
            if up.send(say(up::Body::Hello(hello))).await.is_err() {
                return;
            }
            let mut tick = tokio::time::interval(Duration::from_millis(200));
            loop {
                let message = tokio::select! {
                    _ = tick.tick() => None,
                    message = down.next() => match message {
                        Some(Ok(message)) => Some(message),
                        _ => return,
                    },
                };
                while this.script.lock().unwrap().silent {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let mut answers = Vec::new();
                {
                    let mut script = this.script.lock().unwrap();
                    match message.map(|m| (m.authority.unwrap_or_default(), m.body)) {
                        Some((authority, Some(down::Body::Assignment(a)))) => {
                            script.take(authority, a, this.incarnation);
                        }
                        Some((_, Some(down::Body::Ping(ping)))) => {
                            script.pings += 1;
                            answers.push(up::Body::Pong(Pong { id: ping.id }));
                        }
                        _ => {}
                    }
                    answers.push(up::Body::Report(script.report()));
                }
                for answer in answers {
                    if up.send(say(answer)).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let mut script = self.script.lock().unwrap();
        script.checks.push(request.into_inner());
        Ok(Response::new(CheckResponse { items: script.check.clone() }))
    }

    async fn definition(
        &self,
        _: Request<DefinitionRequest>,
    ) -> Result<Response<DefinitionResponse>, Status> {
        Err(Status::unimplemented("definition"))
    }
}

//! dm-master processes on free ports, in a folder of their own.
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use dm_proto::pb::{
    CommonWorkerResponse, ListMemberRequest, OperateSourceRequest, OperateTaskRequest, OperateTaskResponse,
    QueryStatusListRequest, QueryStatusListResponse, SourceOp, StartTaskRequest, StartTaskResponse, TaskOp,
    WorkerInfo, master_client::MasterClient, members,
};
use tonic::transport::{Channel, Endpoint};

use crate::wait::until;

pub use dm_tests::free_port;

pub struct Master {
    pub client: String,
    args: Vec<String>,
    log: PathBuf,
    pub data: PathBuf,
    child: Option<Child>,
}

pub struct Cluster {
    pub masters: Vec<Master>,
    folder: Option<tempfile::TempDir>,
}

impl Master {
    fn new(folder: &Path, name: &str, client: u16, peer: u16, how: [&str; 2]) -> Self {
        let client = format!("127.0.0.1:{client}");
        let peer = format!("http://127.0.0.1:{peer}");
        let data = folder.join(name);
        let data_dir = data.display().to_string();
        let common = [
            "--name",
            name,
            "--master-addr",
            &client,
            "--peer-urls",
            &peer,
            "--data-dir",
            &data_dir,
            "-L",
            "debug",
        ];
        let args = common.into_iter().chain(how).map(str::to_owned).collect();
        let log = folder.join(format!("{name}.log"));
        let mut master = Self { client, args, log, data, child: None };
        master.start();
        master
    }

    fn start(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dm-master"));
        command.args(&self.args).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    fn pid(&self) -> String {
        self.child.as_ref().unwrap().id().to_string()
    }

    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.pid()]).status().unwrap().success());
    }

    pub fn kill9(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.start();
    }

    /// Waits for the end of a process that has been told to end.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        until("the process to end", || {
            let status = child.try_wait().unwrap();
            async move { status }
        })
        .await
    }

    pub async fn rpc(&self) -> Option<MasterClient<Channel>> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.client)).unwrap();
        let endpoint = endpoint.connect_timeout(Duration::from_secs(1)).timeout(Duration::from_secs(60));
        let channel = endpoint.connect().await.ok()?;
        Some(MasterClient::new(channel))
    }

    /// Body of a GET, or nothing.
    pub async fn get(&self, path: &str) -> Option<String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let exchange = async {
            let mut stream = tokio::net::TcpStream::connect(&self.client).await.ok()?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.ok()?;
            Some(text.split_once("\r\n\r\n")?.1.to_owned())
        };
        tokio::time::timeout(Duration::from_secs(2), exchange).await.ok()?
    }

    pub async fn is_leader(&self) -> bool {
        if self.child.is_none() {
            return false;
        }
        self.get("/status").await.is_some_and(|text| text.contains("\"is_leader\":true"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for master in &mut self.masters {
            if let Some(mut child) = master.child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            eprintln!("logs are kept in {}", folder.keep().display());
        }
    }
}

impl Cluster {
    pub async fn start(n: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("dm-master-").tempdir().unwrap();
        let ports: Vec<(u16, u16)> = (0..n).map(|_| (free_port(), free_port())).collect();
        let members: Vec<String> =
            ports.iter().enumerate().map(|(i, p)| format!("m{}=http://127.0.0.1:{}", i + 1, p.1)).collect();
        let initial = members.join(",");
        let mut masters = Vec::new();
        for (i, (client, peer)) in ports.iter().enumerate() {
            let name = format!("m{}", i + 1);
            masters.push(Master::new(folder.path(), &name, *client, *peer, ["--initial-cluster", &initial]));
        }
        let cluster = Self { masters, folder: Some(folder) };
        cluster.leader().await;
        cluster
    }

    /// One more master, which knows only the client address of the first.
    pub async fn join(&mut self) {
        let name = format!("m{}", self.masters.len() + 1);
        let address = self.masters[0].client.clone();
        let new = self.joining(&name, &address).await;
        self.masters.push(new);
    }

    /// A master in the place of one that was removed, under its name, in an empty directory.
    pub async fn replace(&mut self, lost: usize) {
        let (name, address) = (format!("m{}", lost + 1), self.masters[(lost + 1) % 3].client.clone());
        self.masters[lost] = self.joining(&name, &address).await;
    }

    async fn joining(&self, name: &str, address: &str) -> Master {
        let folder = self.folder.as_ref().unwrap().path();
        let new = Master::new(folder, name, free_port(), free_port(), ["--join", address]);
        until("the new master to answer", || async {
            new.get("/health").await.filter(|t| t.contains("\"true\""))
        })
        .await;
        new
    }

    /// Index of the master that leads and acts as leader.
    pub async fn leader(&self) -> usize {
        until("a leader", || async {
            for (i, master) in self.masters.iter().enumerate() {
                if master.is_leader().await {
                    return Some(i);
                }
            }
            None
        })
        .await
    }

    pub async fn follower(&self) -> usize {
        let leader = self.leader().await;
        // Alone, the leader has to do.
        (0..self.masters.len()).find(|i| *i != leader && self.masters[*i].child.is_some()).unwrap_or(leader)
    }

    /// A client of some master that is no leader.
    pub async fn via_follower(&self) -> MasterClient<Channel> {
        self.masters[self.follower().await].rpc().await.unwrap()
    }

    pub async fn create_source(&self, yaml: String) -> (bool, String, Vec<CommonWorkerResponse>) {
        let request = OperateSourceRequest {
            op: SourceOp::StartSource.into(),
            config: vec![yaml],
            ..Default::default()
        };
        let answer = self.via_follower().await.operate_source(request).await.unwrap().into_inner();
        (answer.result, answer.msg, answer.sources)
    }

    pub async fn start_task(&self, yaml: String, sources: &[&str]) -> StartTaskResponse {
        let sources = sources.iter().map(|s| (*s).to_owned()).collect();
        let request = StartTaskRequest { task: yaml, sources, ..Default::default() };
        self.via_follower().await.start_task(request).await.unwrap().into_inner()
    }

    pub async fn operate(&self, op: TaskOp, name: &str) -> OperateTaskResponse {
        let request = OperateTaskRequest { op: op.into(), name: name.into(), sources: Vec::new() };
        self.via_follower().await.operate_task(request).await.unwrap().into_inner()
    }

    pub async fn status(&self, task: &str) -> QueryStatusListResponse {
        let request = QueryStatusListRequest { name: task.into(), sources: Vec::new() };
        self.via_follower().await.query_status(request).await.unwrap().into_inner()
    }

    pub async fn workers(&self) -> Vec<WorkerInfo> {
        let request = ListMemberRequest { worker: true, ..Default::default() };
        let answer = self.via_follower().await.list_member(request).await.unwrap().into_inner();
        match answer.members.into_iter().next().unwrap().member.unwrap() {
            members::Member::Worker(list) => list.workers,
            other => panic!("{other:?}"),
        }
    }

    pub async fn wait_stage(&self, worker: &str, stage: &str) {
        until(format!("{worker} to be {stage}"), || async {
            let workers = self.workers().await;
            workers.iter().any(|w| w.name == worker && w.stage == stage).then_some(())
        })
        .await;
    }

    pub fn logs(&self) -> String {
        self.masters.iter().map(|m| std::fs::read_to_string(&m.log).unwrap()).collect()
    }
}

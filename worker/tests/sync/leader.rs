//! A leader as a worker sees one: a session, an authority, an assignment.
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result};
use dm_proto::worker::{
    Assignment, Authority, BoundSource, CheckRequest, CheckResponse, DefinitionRequest, DefinitionResponse,
    Down, MetaStage, Ping, Report, Stage, Subtask, SubtaskReport, Up, down, up,
    worker_session_client::WorkerSessionClient,
};
use dm_tests::wait_until_value;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

const CONNECT: Duration = Duration::from_secs(20);

struct State {
    authority: Authority,
    assignment: Assignment,
}

/// One open session; commits meta stages by itself as a leader does.
pub struct Leader {
    state: Arc<Mutex<State>>,
    down: mpsc::Sender<Down>,
    pub reports: watch::Receiver<Report>,
    task: JoinHandle<()>,
    ended: watch::Receiver<Option<String>>,
}

async fn channel(address: &str) -> Result<Channel> {
    wait_until_value(CONNECT, "the worker's port", || async {
        Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await.ok())
    })
    .await
}

impl Leader {
    /// Opens a session; the incarnation is learned from the worker's hello.
    pub async fn open(address: &str, worker: &str, cluster: &str, term: u64) -> Result<Self> {
        let mut client = WorkerSessionClient::new(channel(address).await?);
        let (down, stream) = mpsc::channel(64);
        let opening = async {
            let mut ups = client.session(ReceiverStream::new(stream)).await?.into_inner();
            let hello = ups.message().await?.context("no hello")?;
            anyhow::Ok((ups, hello))
        };
        let (mut ups, hello) = tokio::time::timeout(CONNECT, opening).await.context("no session")??;
        let revision = match &hello.body {
            Some(up::Body::Hello(h)) => {
                h.seen.as_ref().filter(|s| s.term == term).map_or(1, |s| s.revision + 1)
            }
            _ => 1,
        };
        let state = Arc::new(Mutex::new(State {
            authority: Authority { cluster_id: cluster.to_owned(), term, revision },
            assignment: Assignment {
                worker: worker.to_owned(),
                incarnation: hello.incarnation,
                sources: Vec::new(),
                master_loss_grace_ms: 0,
            },
        }));
        let (report, reports) = watch::channel(Report::default());
        let (end, ended) = watch::channel(None);
        let task = tokio::spawn({
            let (state, down) = (Arc::clone(&state), down.clone());
            async move {
                let mut pings = tokio::time::interval(Duration::from_millis(200));
                let mut id = 0;
                loop {
                    tokio::select! {
                        up = ups.message() => match up {
                            Ok(Some(Up { body: Some(up::Body::Report(new)), .. })) => {
                                commit_meta(&state, &new, &down).await;
                                report.send_replace(new);
                            }
                            Ok(Some(_)) => {}
                            Ok(None) => { end.send_replace(Some("closed".to_owned())); return }
                            Err(status) => { end.send_replace(Some(status.message().to_owned())); return }
                        },
                        _ = pings.tick() => {
                            id += 1;
                            let authority = state.lock().unwrap().authority.clone();
                            let ping = Down { authority: Some(authority), body: Some(down::Body::Ping(Ping { id })) };
                            if down.send(ping).await.is_err() { return }
                        }
                    }
                }
            }
        });
        Ok(Self { state, down, reports, task, ended })
    }

    /// Sends what is wanted now, under the next revision.
    pub async fn assign(&self, sources: Vec<BoundSource>) -> Result<()> {
        let message = {
            let mut state = self.state.lock().unwrap();
            state.assignment.sources = sources;
            state.message()
        };
        Ok(self.down.send_timeout(message, CONNECT).await?)
    }

    /// Changes the only subtask's wish.
    pub async fn change(&self, with: impl FnOnce(&mut Subtask)) -> Result<()> {
        let message = {
            let mut state = self.state.lock().unwrap();
            with(&mut state.assignment.sources[0].subtasks[0]);
            state.message()
        };
        Ok(self.down.send_timeout(message, CONNECT).await?)
    }

    /// Waits until the only subtask's report satisfies `wanted`.
    pub async fn until(
        &self,
        what: &str,
        deadline: Duration,
        wanted: impl Fn(&SubtaskReport) -> bool,
    ) -> Result<SubtaskReport> {
        let mut reports = self.reports.clone();
        let seen = tokio::time::timeout(deadline, async {
            loop {
                let found = reports
                    .borrow_and_update()
                    .sources
                    .iter()
                    .flat_map(|s| s.subtasks.clone())
                    .find(|s| wanted(s));
                if let Some(found) = found {
                    return Ok::<_, anyhow::Error>(found);
                }
                reports.changed().await.context("the session has ended")?;
            }
        })
        .await;
        match seen {
            Ok(found) => found,
            Err(_) => {
                anyhow::bail!("waited {deadline:?} in vain for: {what}; last report: {:?}", *reports.borrow())
            }
        }
    }

    /// Asks the worker about a table definition, under the present authority.
    pub async fn definition(
        &self,
        address: &str,
        mut request: DefinitionRequest,
    ) -> Result<DefinitionResponse> {
        request.authority = Some(self.state.lock().unwrap().authority.clone());
        let mut client = WorkerSessionClient::new(channel(address).await?);
        let answer = tokio::time::timeout(Duration::from_secs(60), client.definition(request)).await;
        Ok(answer.context("no answer about the definition")??.into_inner())
    }

    pub async fn until_stage(&self, stage: Stage) -> Result<SubtaskReport> {
        self.until(stage.as_str_name(), Duration::from_secs(60), |s| s.stage() == stage).await
    }

    /// Why the worker ended the session.
    pub async fn refusal(mut self) -> Result<String> {
        let ended =
            tokio::time::timeout(Duration::from_secs(20), self.ended.wait_for(Option::is_some)).await??;
        Ok(ended.clone().unwrap_or_default())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn message(&mut self) -> Down {
        self.authority.revision += 1;
        Down {
            authority: Some(self.authority.clone()),
            body: Some(down::Body::Assignment(self.assignment.clone())),
        }
    }
}

/// Commits the meta stage that a subtask asks for, and resends.
async fn commit_meta(state: &Mutex<State>, report: &Report, down: &mpsc::Sender<Down>) {
    let message = {
        let mut state = state.lock().unwrap();
        let mut changed = false;
        for source in &report.sources {
            for subtask in &source.subtasks {
                let wanted = subtask.meta_wanted();
                let ours = state
                    .assignment
                    .sources
                    .iter_mut()
                    .filter(|s| s.source_id == source.source_id)
                    .flat_map(|s| s.subtasks.iter_mut())
                    .find(|s| s.task == subtask.task);
                if let Some(ours) = ours
                    && wanted != MetaStage::MetaNone
                    && (wanted as i32) > ours.meta
                {
                    ours.set_meta(wanted);
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
        state.message()
    };
    // The worker may be gone already: the test kills it.
    let _ = down.send(message).await;
}

/// Runs the pre-checks as a leader does.
pub async fn check(address: &str, request: CheckRequest) -> Result<CheckResponse> {
    let mut client = WorkerSessionClient::new(channel(address).await?);
    let answer = tokio::time::timeout(Duration::from_secs(60), client.check(request)).await;
    Ok(answer.context("no answer to the pre-check")??.into_inner())
}

//! One client.
use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use anyhow::Result;
use dm_proto::pb::{
    CommonWorkerResponse, OperateSourceRequest, OperateSourceResponse, SourceOp, master_client::MasterClient,
};
use dm_tests::{SourceFile, wait_until};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use tonic::transport::Channel;

use super::{
    Shared,
    check::{Action, Operation},
};
use crate::run::{house::CALM, members};

/// How long a client waits for an answer. A master gives up earlier, unless it is frozen.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between two operations of a client, in milliseconds.
const REST: std::ops::Range<u64> = 10..200;

/// What the names of these sources begin with.
pub const PREFIX: &str = "operators-";

/// Name of the source with this number.
pub fn name(number: u64) -> String {
    format!("{PREFIX}{number}")
}

/// It asks any master, whichever leads.
pub struct Client {
    masters: Vec<MasterClient<Channel>>,
    file: SourceFile,
    random: StdRng,
    shared: Arc<Shared>,
}

/// What an answer says.
enum Told {
    Done,
    /// It was there already, or is; or it was not.
    There(bool),
    /// Refused for another reason; nothing has changed.
    Refused,
    /// No answer.
    Nothing,
}

impl Client {
    pub fn new(masters: &str, file: SourceFile, random: StdRng, shared: Arc<Shared>) -> Result<Self> {
        Ok(Self { masters: members::clients(masters, PATIENCE)?, file, random, shared })
    }

    pub async fn rest(&mut self) {
        let pause = self.random.random_range(REST);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    /// One drawn operation on the source that is used now.
    pub async fn act(&mut self) {
        let number = self.shared.current.load(Ordering::Acquire);
        let op = match self.random.random_range(0..10) {
            0..4 => SourceOp::ShowSource,
            4..7 => SourceOp::StartSource,
            _ => SourceOp::StopSource,
        };
        self.ask(number, op).await;
    }

    /// Looks once more, and removes it.
    pub async fn finish(&mut self, number: u64) -> Result<()> {
        let client = tokio::sync::Mutex::new(self);
        wait_until(CALM, &format!("{} to be removed", name(number)), async || {
            let mut client = client.lock().await;
            Ok(match client.ask(number, SourceOp::ShowSource).await {
                Told::There(false) => true,
                Told::There(true) => {
                    client.ask(number, SourceOp::StopSource).await;
                    false
                }
                _ => false,
            })
        })
        .await
    }

    async fn ask(&mut self, number: u64, op: SourceOp) -> Told {
        self.file.id = name(number);
        let create = op == SourceOp::StartSource;
        let request = OperateSourceRequest {
            op: op.into(),
            config: if create { vec![self.file.yaml()] } else { Vec::new() },
            source_id: if create { Vec::new() } else { vec![name(number)] },
            worker_name: String::new(),
        };
        let Some(mut master) = self.masters.choose(&mut self.random).cloned() else { return Told::Nothing };
        let begun = self.shared.now();
        let answer = tokio::time::timeout(PATIENCE, master.operate_source(request)).await;
        let ended = self.shared.now();
        let told = match answer {
            Ok(Ok(answer)) => told(op, answer.get_ref()),
            Ok(Err(_)) | Err(_) => Told::Nothing,
        };
        let action = match (op, &told) {
            (_, Told::There(there)) => Some((Action::Saw(*there), Some(ended))),
            (SourceOp::StartSource, Told::Done) => Some((Action::Set(true), Some(ended))),
            (SourceOp::StopSource, Told::Done) => Some((Action::Set(false), Some(ended))),
            (SourceOp::StartSource, Told::Nothing) => Some((Action::Set(true), None)),
            (SourceOp::StopSource, Told::Nothing) => Some((Action::Set(false), None)),
            _ => None,
        };
        if let Some((action, ended)) = action {
            self.shared.note(number, Operation { action, begun, ended });
        }
        told
    }
}

fn told(op: SourceOp, answer: &OperateSourceResponse) -> Told {
    let says = |text: &str| answer.msg.contains(text);
    match (op, answer.result) {
        (SourceOp::StartSource, false) if says("already exists") => Told::There(true),
        (SourceOp::StopSource, false) if says("not exists") => Told::There(false),
        (_, false) => Told::Refused,
        (SourceOp::ShowSource, true) => {
            let unknown = |source: &CommonWorkerResponse| source.msg.contains("not exists");
            // It was asked for one source.
            answer.sources.first().map_or(Told::Refused, |source| Told::There(!unknown(source)))
        }
        (_, true) => Told::Done,
    }
}

//! Clients of the control plane, at every master at once, and whether what they were told is one history.
mod check;
mod client;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::Result;
use dm_tests::{SourceFile, within};
use futures::future::try_join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::{
    check::{Operation, is_linearizable, last_before_contradiction},
    client::Client,
};
use super::house::{CALM, House};

const CLIENTS: usize = 3;
/// Operations that a finding shows.
const STORY: usize = 12;

/// What all clients share.
struct Shared {
    began: Instant,
    /// The source that they create, remove and look for; another one after an operation without an answer, since nobody knows
    /// when that has its effect.
    current: AtomicU64,
    operations: Mutex<BTreeMap<u64, Vec<Operation>>>,
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn note(&self, number: u64, operation: Operation) {
        if operation.ended.is_none() {
            self.current.fetch_max(number + 1, Ordering::AcqRel);
        }
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(number)
            .or_default()
            .push(operation);
    }
}

/// A source of the operators, which no task uses.
pub fn is_operators(source: &str) -> bool {
    source.starts_with(client::PREFIX)
}

/// Clients that create, remove and look for sources which no task uses.
pub struct Operators {
    stop: CancellationToken,
    clients: Vec<AbortOnDropHandle<Client>>,
    shared: Arc<Shared>,
}

/// What the clients did.
pub struct History {
    operations: BTreeMap<u64, Vec<Operation>>,
}

impl Operators {
    pub fn start(house: &House, random: &mut StdRng) -> Result<Self> {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            current: AtomicU64::new(0),
            operations: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let file = SourceFile::new("", &house.origins[0].database);
            let random = StdRng::seed_from_u64(random.random());
            let mut client = Client::new(&house.cluster.master_addrs(), file, random, Arc::clone(&shared))?;
            let stop = stop.clone();
            clients.push(AbortOnDropHandle::new(tokio::spawn(async move {
                while stop.run_until_cancelled(client.rest()).await.is_some() {
                    client.act().await;
                }
                client
            })));
        }
        Ok(Self { stop, clients, shared })
    }

    /// Ends them, looks once more at every source that they used, and removes it.
    pub async fn stop(self) -> Result<History> {
        self.stop.cancel();
        let clients = within(CALM, "end the operators", try_join_all(self.clients)).await?;
        if let Some(mut client) = clients.into_iter().next() {
            let last = self.shared.current.load(Ordering::Acquire);
            for number in 0..=last {
                within(CALM, "remove an operator's source", client.finish(number)).await?;
            }
        }
        let operations =
            std::mem::take(&mut *self.shared.operations.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(History { operations })
    }
}

impl History {
    /// How many operations were answered, and how many not.
    pub fn counts(&self) -> (usize, usize) {
        let all = self.operations.values().flatten();
        let answered = all.clone().filter(|o| o.ended.is_some()).count();
        (answered, all.count() - answered)
    }

    /// The sources whose operations no order explains.
    pub fn findings(&self) -> Vec<String> {
        let wrong = self.operations.iter().filter(|(_, operations)| !is_linearizable(operations));
        wrong
            .map(|(number, operations)| {
                let story = last_before_contradiction(operations, STORY);
                format!(
                    "the control plane's history is not linearizable: the last operations on {} (nanoseconds): {story:?}",
                    client::name(*number)
                )
            })
            .collect()
    }
}

//! The simulated source: transactions in an order that never changes, streamed to whoever asks, and what stands for the
//! sync unit: it cuts them into batches for the real target protocol.
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dm_binlog::{Flavor, GtidSet};
use dm_proto::error::Code;
use dm_target::{Attachment, Batch, CheckpointUpdate, ExecutedSet, Mode, Resume, StartPoint, TxnId};
use dm_worker::{
    failure::{Failure, Next},
    subtask::SubtaskContext,
    unit::{Unit, UnitEnd, target_failure},
    upstream::SourceIdentity,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

use crate::net::{self, Listener, Stream};

pub const ADDRESS: &str = "source:3306";
/// Transactions of one batch.
const BATCH: usize = 5;
/// Keys whose rows change over and over.
pub const HOT: u64 = 4;
const LEDGER: &str = "`db`.`ledger`";
const HOT_TABLE: &str = "`db`.`hot`";

/// What has been committed at the sources: of each source id the hot key of every transaction, in order. Transaction
/// number `n` (from 1) inserts `n` into a table without a key; one with a hot key moves that row from the number before
/// to its own.
#[derive(Default)]
pub struct Sources {
    pub committed: BTreeMap<String, Vec<Option<u64>>>,
    /// The name of each.
    pub names: BTreeMap<String, Vec<TxnId>>,
    news: Arc<Notify>,
}

static SOURCES: LazyLock<Mutex<Sources>> = LazyLock::new(Mutex::default);

pub fn sources() -> MutexGuard<'static, Sources> {
    SOURCES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sources {
    pub fn commit(&mut self, source: &str, key: Option<u64>) {
        let names = self.names.entry(source.to_owned()).or_default();
        names.push(txn(source, names.len() as u64 + 1));
        self.committed.entry(source.to_owned()).or_default().push(key);
        self.news.notify_waiters();
    }

    /// The number that the hot row had before a transaction.
    fn before(&self, source: &str, n: usize) -> u64 {
        let all = self.committed.get(source).map(Vec::as_slice).unwrap_or_default();
        let key = all[n - 1];
        all[..n - 1].iter().rposition(|k| *k == key).map_or(0, |at| at as u64 + 1)
    }

    fn get(&self, source: &str, n: usize) -> Option<(u64, u64)> {
        match *self.committed.get(source)?.get(n - 1)? {
            Some(key) => Some((key, self.before(source, n))),
            None => Some((HOT, 0)),
        }
    }
}

/// Serves until the process ends.
pub async fn serve() {
    let listener = Listener::bind(ADDRESS);
    loop {
        let stream = listener.next().await;
        // Whoever hangs up is no matter of the source's.
        tokio::spawn(async move { drop(dump(stream).await) });
    }
}

/// A request is a length, a source id and the first number wanted; then numbers with key and number before.
async fn dump(mut stream: Stream) -> io::Result<()> {
    let length = stream.read_u32().await?;
    let mut name = vec![0; length as usize];
    stream.read_exact(&mut name).await?;
    let source = String::from_utf8_lossy(&name).into_owned();
    let mut n = usize::try_from(stream.read_u64().await?).map_err(io::Error::other)?;
    loop {
        let news = sources().news.clone();
        let news = news.notified();
        let next = sources().get(&source, n);
        let Some((key, before)) = next else {
            // A heartbeat, so that a reader without one knows that something is wrong.
            if tokio::time::timeout(Duration::from_millis(500), news).await.is_err() {
                write(&mut stream, [0, 0, 0]).await?;
            }
            continue;
        };
        write(&mut stream, [n as u64, key, before]).await?;
        n += 1;
    }
}

async fn write(stream: &mut Stream, numbers: [u64; 3]) -> io::Result<()> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
    stream.write_all(&bytes).await
}

async fn read(stream: &mut Stream) -> io::Result<[u64; 3]> {
    let reading =
        async { Ok([stream.read_u64().await?, stream.read_u64().await?, stream.read_u64().await?]) };
    match tokio::time::timeout(Duration::from_secs(3), reading).await {
        Ok(numbers) => numbers,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn server_uuid(source: &str) -> String {
    format!("3e11fa47-71ca-11e1-9e33-{:012x}", crc32fast::hash(source.as_bytes()))
}

/// What the product learns of the server by its variables.
pub fn identity(source: &str) -> SourceIdentity {
    let variables = [
        ("version", "9.7.0"),
        ("server_id", "1"),
        ("gtid_mode", "ON"),
        ("server_uuid", &server_uuid(source)),
    ];
    SourceIdentity::of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

fn txn(source: &str, n: u64) -> TxnId {
    TxnId::parse(Mode::MySqlGtid, &format!("{}:{n}", server_uuid(source))).unwrap()
}

/// Stands for the sync unit.
pub struct SimulatedSync;

pub fn unit() -> Box<dyn Unit> {
    Box::new(SimulatedSync)
}

#[tonic::async_trait]
impl Unit for SimulatedSync {
    fn name(&self) -> &'static str {
        "Sync"
    }

    async fn run(
        self: Box<Self>,
        context: &SubtaskContext,
        attachment: Attachment,
        resume: Resume,
    ) -> Result<UnitEnd, Failure> {
        let failed = |e: &dm_target::TargetError| {
            target_failure(&context.process, &context.task, &context.source_id, e)
        };
        if resume.checkpoint.is_none() {
            let start = StartPoint {
                executed: ExecutedSet::from_gtid_set(GtidSet::parse(Flavor::MySql, "").unwrap()),
                source_identity: context.identity.text(),
                position_proof: String::new(),
                schemas: Vec::new(),
                windows: String::new(),
                beside: Vec::new(),
            };
            attachment.begin(start).await.map_err(|e| failed(&e))?;
        }
        let streaming = stream(&context.source_id, &attachment, &resume.executed, &failed);
        let checkpointing = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                attachment.checkpoint(CheckpointUpdate::default()).await.map_err(|e| failed(&e))?;
            }
        };
        tokio::select! {
            biased;
            () = context.drain.cancelled() => {}
            error = attachment.failed() => return Err(failed(&error)),
            ended = streaming => return ended,
            ended = checkpointing => return ended,
        }
        attachment.close().await.map_err(|e| failed(&e))?;
        Ok(UnitEnd::Drained)
    }
}

/// From before the first hole of what is applied; members are skipped.
async fn stream(
    source: &str,
    attachment: &Attachment,
    executed: &ExecutedSet,
    failed: &(dyn Fn(&dm_target::TargetError) -> Failure + Sync),
) -> Result<UnitEnd, Failure> {
    let lost = |e: io::Error| {
        Failure::new(Code::BinlogRead, "the simulated source is gone").cause(e).next(Next::Unreachable)
    };
    let first = (1..).find(|n| !executed.contains(&txn(source, *n))).unwrap_or(1);
    let connecting = tokio::time::timeout(Duration::from_secs(2), net::connect(ADDRESS.to_owned()));
    let mut stream =
        connecting.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(lost)?;
    let mut request = u32::try_from(source.len()).unwrap_or(0).to_be_bytes().to_vec();
    request.extend_from_slice(source.as_bytes());
    request.extend_from_slice(&first.to_be_bytes());
    stream.write_all(&request).await.map_err(lost)?;
    let mut batch = Batch::new();
    loop {
        let [n, key, before] = read(&mut stream).await.map_err(lost)?;
        if n > 0 && !executed.contains(&txn(source, n)) {
            change(source, [n, key, before], &mut batch);
        }
        // Cut when it is full, or when a lane has nothing to do.
        if batch.txns.len() >= BATCH || (!batch.txns.is_empty() && attachment.stats().in_flight < 2) {
            attachment.submit(std::mem::take(&mut batch)).await.map_err(|e| failed(&e))?;
        }
    }
}

fn change(source: &str, [n, key, before]: [u64; 3], batch: &mut Batch) {
    let insert = format!("INSERT INTO {LEDGER} (`source`, `n`) VALUES ('{source}', {n})");
    batch.push_statement(insert.as_bytes(), Some(1), true);
    batch.txns.push(txn(source, n));
    if key == HOT {
        batch.rows += 1;
        return;
    }
    let hot = match before {
        0 => format!("INSERT INTO {HOT_TABLE} (`source`, `k`, `n`) VALUES ('{source}', {key}, {n})"),
        before => format!(
            "UPDATE {HOT_TABLE} SET `n` = {n} WHERE `source` = '{source}' AND `k` = {key} AND `n` = {before}"
        ),
    };
    batch.push_statement(hot.as_bytes(), Some(1), true);
    batch.tokens.push(key + 1);
    batch.rows += 2;
}

/// The tables that the rows go to.
pub fn create_tables() {
    let mut database = crate::target::database();
    database.tables.create("db.ledger", Vec::new());
    database.tables.create("db.hot", vec!["source".to_owned(), "k".to_owned()]);
}

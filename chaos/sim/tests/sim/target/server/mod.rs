//! The simulated server: what it keeps, and who is connected.
mod session;
mod words;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use session::Session;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    sql::Value,
    tables::{Tables, number},
    wire,
};
use crate::{
    machine::Dice,
    net::{Listener, Stream},
};

/// Table, source, stream and lane.
type LaneKey = (String, Vec<u8>, i128, i128);

/// What the server knows; it outlives the server's process.
pub struct Database {
    pub tables: Tables,
    /// What a crash that loses commits leaves.
    flushed: Tables,
    next_session: u64,
    /// Named locks and who holds them.
    locks: BTreeMap<String, u64>,
    sessions: BTreeMap<u64, CancellationToken>,
    changed: Arc<Notify>,
    dice: Dice,
    /// A packet in so many is carried out twice, as if something between had sent it again; 0 = none.
    pub twice: u64,
    /// What no commit may do, found as it was done.
    pub violations: Vec<String>,
    /// Commits so far.
    pub commits: u64,
    /// Epoch and seq of each lane row as last committed.
    seen: BTreeMap<LaneKey, (i128, i128)>,
}

static DATABASE: LazyLock<Mutex<Database>> = LazyLock::new(|| {
    Mutex::new(Database {
        tables: Tables::default(),
        flushed: Tables::default(),
        next_session: 1,
        locks: BTreeMap::new(),
        sessions: BTreeMap::new(),
        changed: Arc::default(),
        dice: Dice::new(0),
        twice: 0,
        violations: Vec::new(),
        commits: 0,
        seen: BTreeMap::new(),
    })
});

pub fn database() -> MutexGuard<'static, Database> {
    DATABASE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Database {
    pub fn seed(&mut self, seed: u64) {
        self.dice = Dice::new(seed ^ 0x7461_7267_6574_0000);
    }

    /// Everything committed so far survives a crash.
    pub fn flush(&mut self) {
        self.flushed = self.tables.clone();
        self.flushed.end_all();
    }

    /// The server's process has ended; `losing` takes the commits since the last flush with it.
    pub fn crash(&mut self, losing: bool) {
        if losing {
            self.tables = self.flushed.clone();
            self.seen.clear();
        }
        self.tables.end_all();
        self.locks.clear();
        self.sessions.clear();
    }

    /// The commit of a session: looks at every lane row as a reader of the target's binlog would.
    fn commit(&mut self, session: u64) {
        self.tables.end(session, true);
        self.commits += 1;
        for table in self.tables.names_ending("_lane") {
            for row in self.tables.committed(&table) {
                let Some(Value::Text(source)) = row.get("source_id") else { continue };
                let key = (table.clone(), source.clone(), number(row, "stream"), number(row, "lane"));
                let now = (number(row, "epoch"), number(row, "seq"));
                let before = self.seen.insert(key.clone(), now);
                let Some((epoch, seq)) = before else { continue };
                if now.0 < epoch {
                    self.violations
                        .push(format!("epoch of lane {key:?} went back from {epoch} to {}", now.0));
                }
                if now.1 != seq && now.1 != seq + 1 {
                    self.violations.push(format!("seq of lane {key:?} went from {seq} to {}", now.1));
                }
            }
        }
        self.changed.notify_waiters();
    }

    fn rollback(&mut self, session: u64) {
        self.tables.end(session, false);
        self.changed.notify_waiters();
    }

    fn close(&mut self, session: u64) {
        self.rollback(session);
        self.locks.retain(|_, holder| *holder != session);
        self.sessions.remove(&session);
        self.changed.notify_waiters();
    }
}

/// Serves on the port until the process ends.
pub async fn serve(address: &'static str) {
    let listener = Listener::bind(address);
    loop {
        let stream = listener.next().await;
        let killed = CancellationToken::new();
        let id = {
            let mut database = database();
            database.next_session += 1;
            let id = database.next_session;
            database.sessions.insert(id, killed.clone());
            id
        };
        tokio::spawn(async move {
            killed.run_until_cancelled(talk(stream, id)).await;
            database().close(id);
        });
    }
}

async fn talk(mut stream: Stream, id: u64) {
    let mut session = Session::new(id);
    // `wait_timeout` of the sessions; a client that is gone without a word is gone after it.
    while let Ok(Ok(text)) = tokio::time::timeout(Duration::from_secs(10), wire::receive(&mut stream)).await {
        let twice = {
            let mut database = database();
            let twice = database.twice;
            text.starts_with(b"ROLLBACK;BEGIN;UPDATE") && twice > 0 && database.dice.once_in(twice)
        };
        let answer = session.packet(&text).await;
        if twice {
            let _ = session.packet(&text).await;
            session.rollback();
        }
        let Ok(bytes) = serde_json::to_vec(&answer) else { return };
        if wire::send(&mut stream, &bytes).await.is_err() {
            return;
        }
    }
}

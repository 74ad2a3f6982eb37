//! What happened when, from the run's beginning.
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use dm_tests::within;
use mysql_async::{Conn, Opts, prelude::Queryable};
use serde::Serialize;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    house::{House, Load, TASK},
    leaders::{self, Office},
    members,
};
use crate::probe::Gauge;

/// Pause between two looks at the target's owner rows.
const LOOK: Duration = Duration::from_millis(20);
/// Pause between two samples of lag and throughput.
const SAMPLE: Duration = Duration::from_millis(250);
/// How long the target may take to answer a look before the connection is made anew.
const ANSWER: Duration = Duration::from_secs(5);

/// What an event means for the fault before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The cluster has noticed it.
    Detected,
    /// A source has another worker.
    Reassigned,
    /// The target has another owner.
    Fence,
    Other,
}

/// One event.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Seconds from the beginning.
    pub at: f64,
    pub kind: Kind,
    pub what: String,
}

/// Events of one run.
#[derive(Debug, Clone)]
pub struct Timeline {
    began: Instant,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Timeline {
    pub fn start() -> Self {
        Self { began: Instant::now(), events: Arc::default() }
    }

    /// Seconds from the beginning.
    pub fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.began).as_secs_f64()
    }

    /// Notes and prints an event of now.
    pub fn note(&self, what: String) {
        self.note_as(Kind::Other, what);
    }

    /// The same for one that says how far the failover is.
    pub fn note_as(&self, kind: Kind, what: String) {
        let at = self.seconds(Instant::now());
        println!("{at:>8.3} s  {what}");
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(Event { at, kind, what });
    }

    /// Everything so far.
    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Lag and throughput of one source at one moment.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    pub at: f64,
    /// Age of the oldest row of the probe that the target lacks, in seconds.
    pub lag: f64,
    /// Transactions per second at the source.
    pub written: f64,
    /// Rows of the probe that arrived per second.
    pub arrived: f64,
}

/// Looks at a run from outside: who leads, who owns each lane of the target, how far behind it is.
pub struct Watch {
    stop: CancellationToken,
    owners: AbortOnDropHandle<()>,
    members: AbortOnDropHandle<Result<()>>,
    samples: AbortOnDropHandle<Vec<Vec<Sample>>>,
    leaders: AbortOnDropHandle<Vec<Office>>,
}

impl Watch {
    pub fn start(house: &House, load: &Load, timeline: Timeline) -> Self {
        let stop = CancellationToken::new();
        let members = members::watch(house.cluster.master_addrs(), timeline.clone(), stop.clone());
        let owners = owners(house.target.opts(), timeline.clone(), stop.clone());
        let gauges = load.probes.iter().map(crate::probe::Probe::gauge).collect();
        let leaders = leaders::watch(&house.cluster, timeline.clone(), stop.clone());
        let samples = samples(gauges, timeline, stop.clone());
        Self {
            stop,
            owners: AbortOnDropHandle::new(tokio::spawn(owners)),
            members: AbortOnDropHandle::new(tokio::spawn(members)),
            samples: AbortOnDropHandle::new(tokio::spawn(samples)),
            leaders: AbortOnDropHandle::new(tokio::spawn(leaders)),
        }
    }

    /// Ends it; gives the samples of each source, and who began to lead.
    pub async fn stop(self) -> Result<(Vec<Vec<Sample>>, Vec<Office>)> {
        self.stop.cancel();
        within(2 * ANSWER, "end the watch of the owners", self.owners).await?;
        within(2 * ANSWER, "end the watch of the members", self.members).await??;
        let leaders = within(2 * ANSWER, "end the watch of the leaders", self.leaders).await?;
        Ok((within(2 * ANSWER, "end the sampling", self.samples).await?, leaders))
    }
}

type Owner = (String, u64, u64);

/// Notes every take-over, as the target's own row says it.
async fn owners(target: Opts, timeline: Timeline, stop: CancellationToken) {
    let sql = format!("SELECT source_id, epoch, attempt FROM dm_meta.{TASK}_lane WHERE stream=0 AND lane=-1");
    let mut conn: Option<Conn> = None;
    let mut known: HashMap<String, (u64, u64)> = HashMap::new();
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        // The target may be away on purpose: then there is nothing to see.
        let looked = within(ANSWER, "look", async {
            let mut used = match conn.take() {
                Some(conn) => conn,
                None => Conn::new(target.clone()).await?,
            };
            let rows: Vec<Owner> = used.query(&sql).await?;
            conn = Some(used);
            anyhow::Ok(rows)
        })
        .await;
        for (source, epoch, attempt) in looked.unwrap_or_default() {
            if known.insert(source.clone(), (epoch, attempt)) != Some((epoch, attempt)) {
                timeline
                    .note_as(Kind::Fence, format!("fence taken: {source}, epoch {epoch}, attempt {attempt}"));
            }
        }
    }
}

async fn samples(gauges: Vec<Gauge>, timeline: Timeline, stop: CancellationToken) -> Vec<Vec<Sample>> {
    let mut samples = vec![Vec::new(); gauges.len()];
    let mut before: Vec<(u64, u64, Instant)> =
        gauges.iter().map(|g| (g.written(), g.seen(), Instant::now())).collect();
    while stop.run_until_cancelled(tokio::time::sleep(SAMPLE)).await.is_some() {
        for ((gauge, samples), before) in gauges.iter().zip(&mut samples).zip(&mut before) {
            let now = Instant::now();
            let (written, seen) = (gauge.written(), gauge.seen());
            let seconds = (now - before.2).as_secs_f64();
            let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
            samples.push(Sample {
                at: timeline.seconds(now),
                lag: gauge.lag(now).as_secs_f64(),
                written: rate(written, before.0),
                arrived: rate(seen, before.1),
            });
            *before = (written, seen, now);
        }
    }
    samples
}

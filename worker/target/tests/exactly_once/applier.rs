//! The child process: applies the history with one epoch until it is done, killed or superseded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dm_target::{
    Attachment, Batch, Broken, CheckpointUpdate, DdlBeside, DdlDecision, ExecutedSet, Mode, StartPoint,
    TargetAddress, TargetError, TargetSpec, Verdict,
};
use rustix::process::{Signal, getpid, kill_process};

use crate::history::{Change, History};

fn var(name: &str) -> String {
    std::env::var(format!("APPLIER_{name}")).unwrap()
}

/// `name:nth:action`: at the nth time the process kills or stops itself; stopped, it goes on once it is thawed and the
/// file `APPLIER_GO` exists.
fn arm(hold: &str) {
    let mut fields = hold.rsplitn(3, ':');
    let (Some(action), Some(nth), Some(name)) = (fields.next(), fields.next(), fields.next()) else { return };
    let (nth, signal) =
        (nth.parse::<u64>().unwrap(), if action == "stop" { Signal::STOP } else { Signal::KILL });
    let seen = AtomicU64::new(0);
    let (label, go, action_is_stop) = (hold.to_owned(), var("GO"), action == "stop");
    fail::cfg_callback(name, move || {
        if seen.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            println!("HELD {label}");
            kill_process(getpid(), signal).unwrap();
            // The signal stops the threads one after another; this one has to stay here whenever its turn comes.
            while action_is_stop && !std::path::Path::new(&go).exists() {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    })
    .unwrap();
}

#[test]
#[ignore = "the child process of the other tests"]
fn applier_process() {
    let mode = match var("MODE").as_str() {
        "MySqlGtid" => Mode::MySqlGtid,
        "MariaDbGtid" => Mode::MariaDbGtid,
        _ => Mode::Position,
    };
    let address = TargetAddress {
        host: "127.0.0.1".to_owned(),
        port: var("PORT").parse().unwrap(),
        user: "root".to_owned(),
        password: var("PASSWORD"),
        session: Vec::new(),
    };
    let schema = var("SCHEMA");
    let epoch = var("EPOCH").parse().unwrap();
    let mut spec = TargetSpec::new(address, "dm_meta", &schema, "source-1", "cluster-a", epoch, 4, mode);
    let broken = var("BROKEN");
    spec.broken = Broken {
        no_epoch: broken.contains("fence"),
        no_seq: broken.contains("fence"),
        no_kill: broken.contains("kill"),
        no_ddl_kill: false,
        no_ddl_wait: broken.contains("nowait"),
        done_forgotten: broken.contains("done"),
        ddl_overtakes: broken.contains("overtakes"),
        ddl_missing: broken.contains("ddl"),
        no_intent: broken.contains("intent"),
        roster_ignored: broken.contains("roster"),
        ..Broken::default()
    };
    if broken.contains("noping") {
        // A frozen process must not notice by a ping that its lane -1 connection is gone, before its lanes have sent.
        spec.limits.ping = Duration::from_secs(3600);
    }
    let history = History::new(7, var("COUNT").parse().unwrap(), var("DDL").parse().unwrap());
    arm(&var("HOLD"));
    println!("START epoch={epoch}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let result = runtime.block_on(async {
        let mut failures = 0;
        loop {
            match apply(&spec, &schema, &history, u64::MAX).await {
                Ok(()) => return format!("done epoch={epoch}"),
                Err(e) => {
                    println!("ERROR epoch={epoch} {e:?}");
                    failures += 1;
                    match e.verdict() {
                        Verdict::Superseded => return format!("superseded epoch={epoch}"),
                        Verdict::NeedsPerson => return format!("stopped epoch={epoch}"),
                        Verdict::Retryable if failures > 200 => return format!("gave up epoch={epoch}"),
                        Verdict::Retryable => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            }
        }
    });
    println!("RESULT {result}");
}

/// One attachment: from what the target says to the end of the history, or to transaction `until`.
pub async fn apply(
    spec: &TargetSpec,
    schema: &str,
    history: &History,
    until: u64,
) -> Result<(), TargetError> {
    let (attachment, resume) = Attachment::take_over(spec.clone()).await?;
    let mut generation = resume.generation;
    if resume.checkpoint.is_none() {
        let start = StartPoint {
            executed: ExecutedSet::empty(spec.mode, 1),
            source_identity: "synthetic".to_owned(),
            position_proof: String::new(),
            schemas: b"\x00\xff".to_vec(),
            windows: String::new(),
            beside: Vec::new(),
        };
        generation = attachment.begin(start).await?;
    }
    if let Some(record) = &resume.undecided_ddl {
        let decision = attachment.decide_ddl(record).await?;
        println!("UNDECIDED {} -> {decision:?}", String::from_utf8_lossy(&record.sql));
        match decision {
            // By turns: run here, or met again below.
            Some(DdlDecision::Run) if spec.epoch.is_multiple_of(2) => attachment.forget_ddl(record).await?,
            decision => attachment.resolve_ddl(record, decision.unwrap_or(DdlDecision::Skip)).await?,
        }
    }
    // What the set says after settling.
    let executed = attachment.executed();
    let mut batch = Batch::new();
    let mut size = 1 + spec.epoch % 3;
    let mut batches = 0_u64;
    // The table of the DDL that is executed beside rows.
    let mut busy = None;
    for (change, i) in history.changes.iter().zip(1..=until) {
        let txn = History::txn(spec.mode, generation, i);
        if executed.contains(&txn) {
            // Batches are contiguous runs.
            if !batch.txns.is_empty() {
                attachment.submit(std::mem::take(&mut batch)).await?;
            }
            continue;
        }
        match change {
            Change::Rows(ops) => {
                if busy.is_some_and(|table| ops.iter().any(|op| op.table() == table)) {
                    if !batch.txns.is_empty() {
                        attachment.submit(std::mem::take(&mut batch)).await?;
                    }
                    attachment.ddl_ended().await?;
                    busy = None;
                }
                History::add_rows(&mut batch, schema, ops, i % 2 == 0);
                batch.txns.push(txn);
                if batch.txns.len() as u64 >= size {
                    attachment.submit(std::mem::take(&mut batch)).await?;
                    size = 1 + (size * 7 + i) % 4;
                    batches += 1;
                    if batches.is_multiple_of(25) {
                        attachment.checkpoint(CheckpointUpdate::default()).await?;
                    }
                }
            }
            ddl => {
                if !batch.txns.is_empty() {
                    attachment.submit(std::mem::take(&mut batch)).await?;
                }
                let Some(step) = History::ddl(ddl, schema, txn.clone()) else { continue };
                busy = History::ddl_table(ddl);
                match busy {
                    Some(table) => {
                        let start = History::start(&txn);
                        let beside = DdlBeside { txn, start, tables: vec![table], steps: vec![step] };
                        attachment.begin_ddl(beside).await?;
                    }
                    None => attachment.ddl(step).await?,
                }
            }
        }
    }
    if !batch.txns.is_empty() {
        attachment.submit(batch).await?;
    }
    attachment.drain().await?;
    let stats = attachment.stats();
    println!("STATS {stats:?}");
    assert_eq!(stats.rows_missed, 0);
    attachment.close().await
}

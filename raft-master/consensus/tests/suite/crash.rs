//! kill -9 at random moments: nothing that was acknowledged is lost, no term is ever used twice.
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rand::Rng;

use crate::{
    ledger::mark,
    nodes::{configs, leader, start},
};

const CHILD_DIR: &str = "RAFTDM_CRASH_TEST_DIR";
const RUNS: usize = 20;

/// Not a test by itself: the process that gets killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crash_child() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let mut config = configs(Path::new(&dir), &["m1"]).remove(0);
    config.heartbeat = Duration::from_millis(20);
    config.election_min = Duration::from_millis(50);
    config.election_max = Duration::from_millis(100);
    config.snapshot_every = 100;
    config.log_keep = 20;
    // The founder's list has to stay the same over all lives; a cluster of one calls nobody.
    config.initial_cluster = vec![("m1".into(), "127.0.0.1:1".into())];
    let node = start(&config).await;
    let node = leader(&[node]).await;
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "@{line}").unwrap();
        out.flush().unwrap();
    };
    say(format!("term {}", node.leadership().borrow().term));
    let held = node.with_state(|ledger, _| ledger.entries.clone());
    say(format!("held {}", held.len()));
    for (number, found) in held.iter().enumerate() {
        assert_eq!(*found, mark(format!("command {number}").as_bytes()), "wrong order");
    }
    for number in held.len().. {
        node.propose(format!("command {number}").into_bytes()).await.unwrap();
        say(format!("acked {}", number + 1));
    }
}

fn spawn(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::crash_child", "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let temp = tempfile::tempdir().unwrap();
    let (mut acked, mut last_term) = (0_u64, 0_u64);
    for run in 0..RUNS {
        let mut child = spawn(temp.path());
        let pid = child.id() as i32;
        let stdout = child.stdout.take().unwrap();
        // Some are killed while still starting, most while writing.
        let patience =
            Duration::from_millis(rand::rng().random_range(if run % 5 == 4 { 1..400 } else { 50..600 }));
        let from_start = run % 5 == 4;
        let killer = std::thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            let (mut term, mut held, mut seen) = (None, None, 0);
            let mut deadline = from_start.then(|| Instant::now() + patience);
            let (sender, lines_of) = std::sync::mpsc::channel();
            let reader = std::thread::spawn(move || {
                for line in lines {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
            let limit = Instant::now() + Duration::from_secs(60);
            loop {
                let until = deadline.unwrap_or(limit);
                match lines_of.recv_timeout(until.saturating_duration_since(Instant::now())) {
                    Ok(line) => {
                        let Some((_, line)) = line.split_once('@') else { continue };
                        let (what, value) = line.split_once(' ').unwrap();
                        let value: u64 = value.parse().unwrap();
                        match what {
                            "term" => term = Some(value),
                            "held" => {
                                held = Some(value);
                                deadline.get_or_insert(Instant::now() + patience);
                            }
                            _ => seen = value,
                        }
                    }
                    Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                        let pid = rustix::process::Pid::from_raw(pid).unwrap();
                        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
                        // What was in the pipe still counts: drain until it closes.
                        for line in lines_of.iter() {
                            if let Some((_, acked)) = line.split_once("@acked ") {
                                seen = acked.parse().unwrap();
                            } else if let Some((_, value)) = line.split_once("@held ") {
                                held = Some(value.parse().unwrap());
                            } else if let Some((_, value)) = line.split_once("@term ") {
                                term = Some(value.parse().unwrap());
                            }
                        }
                        break;
                    }
                    Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                        panic!("the child ended by itself")
                    }
                }
            }
            reader.join().unwrap();
            (term, held, seen)
        });
        let (term, held, seen) = killer.join().unwrap();
        child.wait().unwrap();
        if let Some(held) = held {
            assert!(held >= acked, "run {run}: {acked} were acknowledged, {held} are left");
            acked = acked.max(held);
        } else {
            assert!(from_start, "run {run}: the member never came up");
        }
        if let Some(term) = term {
            assert!(term > last_term, "run {run}: term {term} after {last_term}");
            last_term = term;
        }
        acked = acked.max(seen);
    }
    println!("{acked} commands over {RUNS} kills, last term {last_term}");
    assert!(acked > RUNS as u64, "hardly anything was written");
}

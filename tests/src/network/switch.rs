//! A switch in user space.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tun::Tun;

use super::link::{Fate, Links};

/// Frames on their way from one port to another; more are lost, as in a switch.
const QUEUE: usize = 512;
/// Longest frame: an interface's MTU of 1500 bytes and the header, with room for a tag.
const FRAME: usize = 1600;
/// What a write answers while an interface is not up (EIO).
const DOWN: i32 = 5;

/// One TAP interface per port, and the thread that carries frames between them. The interfaces belong to no file and
/// vanish with the process, however it ends.
#[derive(Debug)]
pub(super) struct Switch {
    links: Arc<Mutex<Links>>,
    // Dropped to stop the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Switch {
    /// Makes an interface for each name; an error when the machine does not let us, or when one is there already.
    pub async fn start(names: Vec<String>, seed: u64) -> Result<Self> {
        let links = Arc::new(Mutex::new(Links::new(names.len(), seed)));
        let (stop, stopped) = oneshot::channel();
        let (made, ready) = oneshot::channel();
        let shared = Arc::clone(&links);
        // A thread of its own: the network is not to be slower because writers are busy.
        let thread = std::thread::Builder::new().name("switch".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(e) => return drop(made.send(Err(e.into()))),
            };
            runtime.block_on(async {
                match interfaces(&names) {
                    Ok(taps) => {
                        if made.send(Ok(())).is_ok() {
                            let mut carriers = carry(&taps, &shared);
                            // Whoever ends it drops its half; a carrier ends only by an error.
                            tokio::select! {
                                _ = stopped => {}
                                Some(ended) = carriers.join_next() => eprintln!("the switch: {ended:?}"),
                            }
                        }
                    }
                    Err(e) => drop(made.send(Err(e))),
                }
            });
        })?;
        let switch = Self { links, stop: Some(stop), thread: Some(thread) };
        ready.await.map_err(|_| anyhow!("the switch has ended"))??;
        Ok(switch)
    }

    /// Changes links.
    pub fn links(&self, change: impl FnOnce(&mut Links)) {
        change(&mut self.links.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the switch has panicked");
        }
    }
}

fn interfaces(names: &[String]) -> Result<Vec<Arc<Tun>>> {
    let tap = |name: &String| -> Result<Arc<Tun>> {
        let made = Tun::builder().name(name).tap().close_on_exec().build();
        let made = made.with_context(|| format!("cannot make the TAP interface {name}"))?;
        Ok(Arc::new(made.into_iter().next().context("no interface")?))
    };
    names.iter().map(tap).collect()
}

/// One task per port that reads, and one per pair of ports that writes.
fn carry(taps: &[Arc<Tun>], links: &Arc<Mutex<Links>>) -> JoinSet<Result<()>> {
    let mut tasks = JoinSet::new();
    for (from, tap) in taps.iter().enumerate() {
        let mut ways = Vec::new();
        for to in taps {
            let (way, frames) = mpsc::channel(QUEUE);
            tasks.spawn(deliver(Arc::clone(to), frames));
            ways.push(way);
        }
        tasks.spawn(accept(Arc::clone(tap), from, ways, Arc::clone(links)));
    }
    tasks
}

type Frame = (Instant, Vec<u8>);

async fn accept(
    tap: Arc<Tun>,
    from: usize,
    ways: Vec<mpsc::Sender<Frame>>,
    links: Arc<Mutex<Links>>,
) -> Result<()> {
    let mut buffer = vec![0; FRAME];
    loop {
        let n = tap.recv(&mut buffer).await.context("cannot read from a TAP interface")?;
        let fate = links.lock().unwrap_or_else(PoisonError::into_inner).fate(from, &buffer[..n]);
        if let Fate::Arrives { port, after } = fate
            && let Some(way) = ways.get(port)
        {
            // A full queue loses the frame, as a switch does.
            drop(way.try_send((Instant::now() + after, buffer[..n].to_vec())));
        }
    }
}

async fn deliver(tap: Arc<Tun>, mut frames: mpsc::Receiver<Frame>) -> Result<()> {
    while let Some((due, frame)) = frames.recv().await {
        tokio::time::sleep_until(due).await;
        match tap.send(&frame).await {
            Ok(_) => {}
            Err(e) if e.raw_os_error() == Some(DOWN) => {}
            Err(e) => return Err(e).context("cannot write to a TAP interface"),
        }
    }
    Ok(())
}

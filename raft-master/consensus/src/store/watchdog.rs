//! Times writes to the log: a leader that can't write its disk must not stay leader, nor stay at all.
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{FatalError, fatal::Fatality};

/// Since when a write is going on, if one is.
#[derive(Debug, Clone)]
pub struct Watch {
    base: Instant,
    /// Milliseconds after `base`, plus one; zero while nothing is being written.
    since: Arc<AtomicU64>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { base: Instant::now(), since: Arc::default() }
    }
}

impl Watch {
    /// Runs `write` under observation.
    pub fn time<R>(&self, write: impl FnOnce() -> R) -> R {
        let now = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.since.store(now + 1, Ordering::Release);
        let result = write();
        self.since.store(0, Ordering::Release);
        result
    }

    /// For how long the current write has been going on.
    pub fn pending(&self) -> Duration {
        match self.since.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            since => self.base.elapsed().saturating_sub(Duration::from_millis(since - 1)),
        }
    }
}

/// A process that must end has this long to do it by itself.
const LAST_RESORT_AFTER: Duration = Duration::from_secs(5);

/// A thread of its own, because a hung disk may block the runtime's threads. It writes no log lines, because they may go
/// to the disk that hangs.
#[derive(Debug)]
pub struct Watchdog {
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Raises a fatal error once one of `watches` has been pending for longer than `bound`. Calls `last_resort` with
    /// the exit code when the watchdog still runs a while after any fatal error.
    pub fn start(
        watches: Vec<Watch>,
        bound: Duration,
        fatality: Fatality,
        last_resort: Option<fn(u8)>,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let tick = (bound / 10).clamp(Duration::from_millis(10), Duration::from_secs(1));
        let watch = move || {
            let mut since: Option<Instant> = None;
            while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(tick) {
                if let Some(fatal) = fatality.get() {
                    if since.get_or_insert_with(Instant::now).elapsed() < LAST_RESORT_AFTER {
                        continue;
                    }
                    if let Some(end) = last_resort {
                        end(fatal.exit_code());
                    }
                    return;
                }
                if let Some(pending) = watches.iter().map(Watch::pending).find(|pending| *pending > bound) {
                    fatality.raise(FatalError::Storage(format!(
                        "a write to the log has been hanging for {} ms, longer than the bound of {} ms; \
                         check the disk of the data directory",
                        pending.as_millis(),
                        bound.as_millis()
                    )));
                }
            }
        };
        let thread = std::thread::Builder::new().name("raft-watchdog".into()).spawn(watch)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // An error only says that the thread has ended by itself.
        self.stop.send(()).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hanging_write_is_fatal_and_a_quick_one_is_not() {
        let fatality = Fatality::new();
        let watch = Watch::default();
        let dog =
            Watchdog::start(vec![watch.clone()], Duration::from_millis(100), fatality.clone(), None).unwrap();
        watch.time(|| ());
        assert_eq!(watch.pending(), Duration::ZERO);
        assert_eq!(fatality.get(), None);
        let deadline = Instant::now() + Duration::from_secs(20);
        watch.time(|| {
            while fatality.get().is_none() && Instant::now() < deadline {
                std::thread::yield_now();
            }
        });
        assert!(matches!(fatality.get(), Some(FatalError::Storage(_))));
        drop(dog);
    }

    static ENDED_WITH: AtomicU64 = AtomicU64::new(0);

    #[test]
    fn a_process_that_does_not_end_by_itself_is_ended() {
        fn end(code: u8) {
            ENDED_WITH.store(code.into(), Ordering::Release);
        }
        let fatality = Fatality::new();
        let bound = Duration::from_secs(60);
        // One that ends in order in time, although it must end.
        fatality.raise(FatalError::Refused("x".into()));
        drop(Watchdog::start(Vec::new(), bound, fatality.clone(), Some(end)).unwrap());
        assert_eq!(ENDED_WITH.load(Ordering::Acquire), 0);
        let dog = Watchdog::start(Vec::new(), bound, fatality, Some(end)).unwrap();
        let begun = Instant::now();
        while ENDED_WITH.load(Ordering::Acquire) == 0 && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(ENDED_WITH.load(Ordering::Acquire), 78, "with the code of the error");
        assert!(begun.elapsed() >= LAST_RESORT_AFTER);
        drop(dog);
    }
}

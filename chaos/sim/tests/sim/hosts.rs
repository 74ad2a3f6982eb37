//! Hosts: each runs one process, on a runtime and clocks of its own. One thread lets all of them run in turn.
use std::{future::Future, time::Duration};

use tokio::runtime::{Builder, Runtime};

use crate::{machine, net};

/// Time that passes in one turn.
pub const STEP: Duration = Duration::from_millis(2);
const NANO: u64 = 1_000_000_000;
/// The simulation begins here on every wall clock, in seconds since 1970.
const EPOCH: u64 = 1_800_000_000;

/// One host.
pub struct Host {
    pub name: String,
    process: Option<Runtime>,
    monotonic: u64,
    /// Wall clock minus monotonic clock, in nanoseconds.
    offset: i64,
    /// How fast its clocks run, in percent.
    pub rate: u64,
    /// Stopped as by SIGSTOP; its clocks go on.
    pub frozen: bool,
    owed: u64,
}

impl Host {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            process: None,
            monotonic: 1000 * NANO,
            offset: (EPOCH * NANO) as i64,
            rate: 100,
            frozen: false,
            owed: 0,
        }
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    fn enter(&self, silent: bool) {
        machine::set_clock(self.monotonic, self.monotonic.saturating_add_signed(self.offset));
        net::enter(&self.name, silent);
    }

    /// Starts a process.
    pub fn start(&mut self, main: impl Future<Output = ()> + Send + 'static) {
        self.enter(false);
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.spawn(main);
        self.frozen = false;
        self.owed = 0;
        self.process = Some(runtime);
    }

    /// Ends the process at once. With `silent` not even its connections are closed: the power is gone.
    pub fn kill(&mut self, silent: bool) {
        self.enter(silent);
        if let Some(runtime) = self.process.take() {
            drop(runtime);
        }
        net::enter("", false);
    }

    /// Lets its wall clock jump.
    pub fn jump(&mut self, seconds: i64) {
        self.offset += seconds * NANO as i64;
    }

    /// Lets a step's time pass.
    pub fn step(&mut self) {
        let passing = STEP * u32::try_from(self.rate).unwrap() / 100;
        let nanos = u64::try_from(passing.as_nanos()).unwrap();
        if self.frozen {
            self.monotonic += nanos;
            self.owed += nanos;
            return;
        }
        self.enter(false);
        let owed = std::mem::take(&mut self.owed);
        if let Some(runtime) = &self.process {
            runtime.block_on(async {
                if owed > 0 {
                    // Nothing ran meanwhile: all timers are late at once.
                    tokio::time::advance(Duration::from_nanos(owed)).await;
                }
                tokio::time::sleep(passing).await;
            });
        }
        self.monotonic += nanos;
    }
}

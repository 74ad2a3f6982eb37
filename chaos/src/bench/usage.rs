//! What a process has used, as Linux tells.
use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};

/// A running process.
pub struct Usage(PathBuf);

impl Usage {
    pub fn of(pid: u32) -> Self {
        Self(PathBuf::from(format!("/proc/{pid}")))
    }

    fn read(&self, name: &str) -> Result<String> {
        let path = self.0.join(name);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// CPU time of all its threads so far.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = self.read("stat")?;
        // The name may hold blanks; it ends with the last bracket.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok()).context("a time in `stat`");
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64((ticks(11)? + ticks(12)?) as f64 / per_second as f64))
    }

    /// Forgets the peak of its memory.
    pub fn forget_peak(&self) -> Result<()> {
        let path = self.0.join("clear_refs");
        std::fs::write(&path, "5").with_context(|| path.display().to_string())
    }

    /// The most resident memory since the peak was forgotten, in MiB.
    pub fn peak_mib(&self) -> Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmHWM")?;
        Ok(kib.div_ceil(1024))
    }
}

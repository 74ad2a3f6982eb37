//! Who leads, as the masters' own logs say it: those can be read also while nobody hears a master.
use std::{
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
    time::{Duration, Instant},
};

use dm_tests::Cluster;
use tokio_util::sync::CancellationToken;

use super::timeline::Timeline;

/// Pause between two looks at the logs.
const LOOK: Duration = Duration::from_millis(20);
/// What a master logs when its office begins and ends.
const BEGINS: &str = "taking up the duties of the leader";
const ENDS: &str = "laid down the duties of the leader";

/// A master's log, read up to some line.
struct Log {
    master: String,
    path: PathBuf,
    read: u64,
}

/// A master that has begun to lead.
#[derive(Debug, Clone)]
pub struct Office {
    /// Seconds from the run's beginning.
    pub at: f64,
    pub master: String,
}

/// Notes who begins and who ends to lead, from now on; ends when told to.
pub fn watch(
    cluster: &Cluster,
    timeline: Timeline,
    stop: CancellationToken,
) -> impl Future<Output = Vec<Office>> + use<> {
    let logs = cluster.names(true).into_iter().filter_map(|master| {
        let path = cluster.member(&master).ok()?.log();
        let read = std::fs::metadata(&path).map_or(0, |m| m.len());
        Some(Log { master, path, read })
    });
    let mut logs: Vec<Log> = logs.collect();
    async move {
        let mut offices = Vec::new();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            for log in &mut logs {
                // Not there yet, or being turned over: looked at again.
                let text = log.new_lines().unwrap_or_default();
                for line in text.lines() {
                    if line.contains(BEGINS) {
                        timeline.note(format!("{} leads", log.master));
                        let at = timeline.seconds(Instant::now());
                        offices.push(Office { at, master: log.master.clone() });
                    } else if line.contains(ENDS) {
                        timeline.note(format!("{} has stopped leading", log.master));
                    }
                }
            }
        }
        offices
    }
}

impl Log {
    /// Whole lines that were not read before.
    fn new_lines(&mut self) -> std::io::Result<String> {
        let mut file = std::fs::File::open(&self.path)?;
        let length = file.metadata()?.len();
        if length == self.read {
            return Ok(String::new());
        }
        // A shorter one is a new one.
        self.read = if length < self.read { 0 } else { self.read };
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.take(length - self.read).read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        self.read += u64::try_from(whole).unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_line_by_line_and_anew_when_it_is_shorter() {
        let scratch = dm_tests::Scratch::new("leaders").unwrap();
        let path = scratch.path().join("log");
        std::fs::write(&path, "one\ntw").unwrap();
        let mut log = Log { master: "m1".to_owned(), path: path.clone(), read: 0 };
        assert_eq!(log.new_lines().unwrap(), "one\n");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(log.new_lines().unwrap(), "two\n");
        assert_eq!(log.new_lines().unwrap(), "");
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(log.new_lines().unwrap(), "new\n");
    }
}

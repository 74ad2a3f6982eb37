//! Failpoints that are armed from outside, by files.
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::Failpoint;

/// From now on whoever comes first to a failpoint while the file `DIR/PLACE` exists renames it to `PLACE.held` and goes on
/// when that file is gone. The error names the failpoint.
pub fn hold_in(dir: &Path) -> Result<(), String> {
    for &failpoint in Failpoint::ALL {
        let place = failpoint.place();
        let (armed, held): (PathBuf, PathBuf) = (dir.join(place), dir.join(format!("{place}.held")));
        fail::cfg_callback(failpoint.name(), move || hold(&armed, &held))
            .map_err(|error| format!("{}: {error}", failpoint.name()))?;
    }
    Ok(())
}

/// Blocks the thread, as a process that gets no time does.
fn hold(armed: &Path, held: &Path) {
    // Of several threads only one succeeds.
    if armed.exists() && std::fs::rename(armed, held).is_ok() {
        tracing::warn!(at = %held.display(), "held by a test");
        while held.exists() {
            std::thread::sleep(Duration::from_micros(200));
        }
        tracing::warn!(at = %held.display(), "goes on");
    }
}

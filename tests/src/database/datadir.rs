//! Copies of a server's data folder: putting a target back into its past.

use std::fs;

use anyhow::{Context as _, Result, bail};

use super::Database;
use super::template::{copy_tree, instances_dir};
use crate::Scratch;

/// A copy of a data folder as it was at one moment; removed when dropped.
#[derive(Debug)]
pub struct DataCopy {
    scratch: Scratch,
}

impl Database {
    /// Copies the data folder. A running server is frozen meanwhile and thawed afterwards: the copy is what a
    /// `kill -9` at that moment would have left.
    pub fn copy_datadir(&mut self) -> Result<DataCopy> {
        let copy = DataCopy { scratch: Scratch::new_in(&instances_dir(self.flavor)?, "copy")? };
        let running = self.is_running()?;
        if running {
            self.freeze()?;
        }
        let copied = copy_tree(&self.scratch.path().join("data"), &copy.scratch.path().join("data"));
        if running {
            self.thaw()?;
        }
        copied.map(|()| copy)
    }

    /// Replaces the data folder of a stopped or killed server by a copy; [`Database::restart`] starts from it.
    pub fn restore_datadir(&mut self, copy: &DataCopy) -> Result<()> {
        if self.is_running()? {
            bail!("stop or kill the server before its data folder is replaced");
        }
        let data = self.scratch.path().join("data");
        fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
        copy_tree(&copy.scratch.path().join("data"), &data)
    }
}

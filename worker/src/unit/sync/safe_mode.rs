//! Safe mode: changes that may have been applied before, written so that it does not matter.
//!
//! We apply nothing twice ourselves. What was applied by somebody else is: by DM, whose checkpoint was the start, or by a
//! person who chose a start position before what the target has.
use std::sync::{Arc, atomic::Ordering};

use dm_binlog::{GtidSet, RowsKind};
use dm_proto::error::Code;
use dm_schema::{RowChange, WriteError};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{assembler::Transaction, changes::Changes, stats::Place, tables::Table};
use crate::{failure::Failure, subtask::SubtaskContext};

/// Whether the changes of a transaction may have been applied before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Replay {
    /// They have not.
    #[default]
    No,
    /// A person wants it. Tables without a key stay as they are: nothing could be done again there.
    Asked,
    /// They may have, and a table where that would show has to stop the task.
    Window,
}

/// Everything from the start to here may have been applied before. Its field names are part of the checkpoint's format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Server whose positions these are.
    pub server: String,
    pub file: String,
    pub pos: u64,
    /// Transactions that may have been applied; empty where the source names none.
    #[serde(default)]
    pub gtids: String,
    /// A table without a key stops the task.
    pub strict: bool,
}

impl Window {
    pub fn to_text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// `None` for the empty text.
    pub fn parse(text: &str) -> Result<Option<Self>, Failure> {
        if text.is_empty() {
            return Ok(None);
        }
        serde_json::from_str(text).map(Some).map_err(|e| {
            Failure::new(Code::CheckpointBroken, format!("the window {text:?} can't be read")).cause(e)
        })
    }
}

/// Decides for each transaction.
pub struct SafeMode {
    asked: bool,
    window: Option<(Window, Option<GtidSet>)>,
    server: String,
    on: Option<bool>,
    task: String,
    source: String,
}

impl SafeMode {
    pub fn new(context: &SubtaskContext, window: Option<Window>) -> Result<Self, Failure> {
        let window = match window {
            Some(window) if window.gtids.is_empty() => Some((window, None)),
            Some(window) => {
                let gtids = GtidSet::parse(context.identity.flavor, &window.gtids).map_err(|e| {
                    Failure::new(Code::CheckpointBroken, "the GTIDs of the safe mode window").cause(e)
                })?;
                Some((window, Some(gtids)))
            }
            None => None,
        };
        Ok(Self {
            asked: context.subtask.syncer.safe_mode,
            window,
            server: context.identity.text(),
            on: None,
            task: context.task.clone(),
            source: context.source_id.clone(),
        })
    }

    /// How this transaction is written. It is decided by what it is and not by when it comes: a restart, or a source that
    /// sends another order, changes nothing.
    pub fn of(&mut self, transaction: &Transaction) -> Replay {
        let replay = match &self.window {
            Some((window, gtids)) if self.inside(window, gtids.as_ref(), transaction) => {
                match window.strict {
                    true => Replay::Window,
                    false => Replay::Asked,
                }
            }
            _ if self.asked => Replay::Asked,
            _ => Replay::No,
        };
        let on = replay != Replay::No;
        if self.on != Some(on) {
            if on || self.on.is_some() {
                info!(task = %self.task, source = %self.source, on, place = %transaction.start.text(), "safe mode");
            }
            self.on = Some(on);
        }
        replay
    }

    fn inside(&self, window: &Window, gtids: Option<&GtidSet>, transaction: &Transaction) -> bool {
        if let (Some(gtids), Some(gtid)) = (gtids, &transaction.gtid) {
            return gtids.contains(gtid);
        }
        let end = Place { file: window.file.clone(), pos: window.pos };
        let start = &transaction.start;
        // Another server's positions say nothing: whatever comes from there may have been applied.
        window.server != self.server || (start.file_number(), start.pos) < (end.file_number(), end.pos)
    }
}

impl Changes {
    /// Whether a table's changes are written so that they may come again.
    pub(super) fn replays(&self, table: &Table) -> bool {
        self.replay != Replay::No && !table.writer.is_keyless()
    }

    /// Refuses what can't be done again without a difference.
    pub(super) fn may_replay(&self, kind: RowsKind, table: &Table) -> Result<(), Failure> {
        if self.replay == Replay::No {
            return Ok(());
        }
        if table.writer.is_keyless() {
            return match self.replay {
                Replay::Window => Err(impossible(table, "it has no key that tells its rows apart")),
                _ => {
                    if !table.noted.swap(true, Ordering::Relaxed) {
                        warn!(table = %table.source, "safe mode does not help a table without a key: its rows come twice where they have been applied before");
                    }
                    Ok(())
                }
            };
        }
        if table.joined && table.checked && kind != RowsKind::Delete {
            let why =
                "foreign keys are checked, and replacing its rows would delete those that refer to them";
            return Err(impossible(table, why));
        }
        Ok(())
    }

    /// Writes a change so that it may come again.
    pub(super) fn again(
        &mut self,
        change: RowChange<'_, '_>,
        table: &Arc<Table>,
        cascades: bool,
    ) -> Result<(), WriteError> {
        let (gone, row) = match change {
            RowChange::Insert { after } => (None, Some(after)),
            RowChange::Delete { before } => (Some(before), None),
            RowChange::Update { before, after }
                if table.cascades && !table.writer.same_keys(before, after) =>
            {
                return Err(WriteError::CascadingKey { table: table.writer.target().quoted() });
            }
            RowChange::Update { before, after } if table.writer.same_unique_keys(before, after) => {
                (None, Some(after))
            }
            RowChange::Update { before, after } => (Some(before), Some(after)),
        };
        if let Some(before) = gone {
            let pieces = table.writer.again(&mut self.pieces, RowChange::Delete { before })?;
            // Where a row takes its place the rules have nothing to do.
            self.push(table, pieces, cascades && row.is_none());
        }
        if let Some(after) = row {
            let pieces = table.writer.again(&mut self.pieces, RowChange::Insert { after })?;
            self.push(table, pieces, false);
        }
        Ok(())
    }
}

fn impossible(table: &Table, why: &str) -> Failure {
    Failure::new(
        Code::ReplayNotPossible,
        format!(
            "changes of {} may have been applied already and can't be applied again: {why}",
            table.source
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is stored in targets must be read for ever.
    #[test]
    fn stored_forms_are_read() {
        let golden = r#"{"server":"mysql:u","file":"b.000002","pos":4711,"gtids":"u:1-5","strict":true}"#;
        let window = Window::parse(golden).unwrap().unwrap();
        assert_eq!((window.file.as_str(), window.pos, window.strict), ("b.000002", 4711, true));
        let again = Window::parse(&window.to_text()).unwrap().unwrap();
        assert_eq!(again, window);
        assert_eq!(Window::parse("").unwrap(), None);
        assert!(Window::parse("x").is_err());
    }
}

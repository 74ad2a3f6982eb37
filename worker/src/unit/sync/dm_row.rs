//! Places in the source's binlog up to which everything is applied; and DM's form of the checkpoint, kept up to date beside
//! ours, so that a user can go back to DM.
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dm_schema::{TableName, quote_string};
use dm_target::{ExecutedSet, TxnId};
use tracing::warn;

use super::stats::Place;
use crate::subtask::SubtaskContext;

/// More ends than this are merged: the place that is written lags a little, memory stays bounded.
const MOST_ENDS: usize = 8192;
/// What DM's columns hold.
const LONGEST_ID: usize = 32;
const LONGEST_NAME: usize = 128;
const LONGEST_GTIDS: usize = 65_535;

/// Where a transaction ends.
#[derive(Debug)]
struct End {
    /// None: everything up to there was applied when the stream began.
    txn: Option<TxnId>,
    place: Place,
    /// Later ones pass it in the set: that they are applied says nothing of it.
    hole: bool,
    /// Ends before it are left out.
    merged: bool,
}

#[derive(Debug, Default)]
struct State {
    /// Quoted name of the table; empty: nothing is written.
    table: String,
    source: String,
    /// In the source's order, from the first one that `low` lacks.
    ends: VecDeque<End>,
    /// Where the source's binlog ended when the stream began, and its GTIDs: until the stream has passed there, it may meet
    /// transactions that are applied already. None: it has passed.
    until: Option<(Place, String)>,
    /// End of the last transaction before the first hole.
    low: Place,
    written: String,
    warned: bool,
}

impl State {
    /// Forgets the ends below the first hole.
    fn trim(&mut self, low: &ExecutedSet) {
        let below = |end: &End| end.txn.as_ref().is_none_or(|txn| low.contains(txn));
        while self.ends.front().is_some_and(below) {
            if let Some(end) = self.ends.pop_front() {
                self.low = end.place;
            }
        }
    }
}

/// Knows where transactions end, and from that makes DM's row.
#[derive(Debug, Default)]
pub struct DmRow {
    state: Mutex<State>,
}

impl DmRow {
    /// Where the stream begins.
    pub fn start(&self, start: Place) {
        self.lock().low = start;
    }

    /// Begins to write; `until` is where the source's binlog ends, if something above the start may be applied already.
    pub fn begin(&self, context: &SubtaskContext, until: Option<(Place, String)>) {
        let mut state = self.lock();
        let name = TableName::new(
            context.subtask.meta_schema.as_str(),
            format!("{}_syncer_checkpoint", context.task),
        );
        state.table = name.quoted();
        state.source.clone_from(&context.source_id);
        state.until = until;
    }

    /// A transaction ends here; told for each one, in the source's order, before it can be applied.
    pub fn ended(&self, txn: &TxnId, end: &Place) {
        self.push(Some(txn.clone()), end);
    }

    /// The transaction, one that has just ended, is passed by what comes after it.
    pub fn hold(&self, txn: &TxnId) {
        let mut state = self.lock();
        if let Some(end) = state.ends.iter_mut().rev().find(|end| end.txn.as_ref() == Some(txn)) {
            end.hole = true;
        }
    }

    /// The end of the last transaction before the first one that the set lacks; empty where it is not known.
    pub fn applied(&self, low: &ExecutedSet) -> Place {
        let mut state = self.lock();
        state.trim(low);
        state.low.clone()
    }

    /// The source has sent everything up to here; what it left out (`skips`: it may) was applied when the stream began.
    pub fn passed(&self, place: &Place, skips: bool) {
        if self.lock().until.is_none() {
            return;
        }
        if skips {
            self.push(None, place);
        } else {
            self.reach(place);
        }
    }

    fn reach(&self, place: &Place) {
        let mut state = self.lock();
        if state.until.as_ref().is_some_and(|(until, _)| key(place) >= key(until)) {
            state.until = None;
        }
    }

    fn push(&self, txn: Option<TxnId>, end: &Place) {
        self.reach(end);
        let mut state = self.lock();
        if end.file.is_empty() {
            return;
        }
        // Once the later one is below every hole, so is the earlier one; unless it is a hole, of which there are few.
        let merged = state.ends.len() >= MOST_ENDS && state.ends.back().is_some_and(|last| !last.hole);
        if merged {
            state.ends.pop_back();
        }
        state.ends.push_back(End { txn, place: end.clone(), hole: false, merged });
    }

    /// What to write beside a checkpoint of these sets; nothing when it is written already.
    ///
    /// `low` is everything below the first hole: DM goes on there. `applied` is everything: up to its highest place DM
    /// runs in safe mode.
    pub fn statements(&self, low: &ExecutedSet, applied: &ExecutedSet) -> Vec<String> {
        let mut state = self.lock();
        state.trim(low);
        if state.table.is_empty() || state.low.file.is_empty() {
            return Vec::new();
        }
        let there = |end: &&End| end.merged || end.txn.as_ref().is_some_and(|txn| applied.contains(txn));
        let highest = state.ends.iter().rev().find(there);
        let gtids = match low {
            // DM would begin behind the hole where it reads of runs above it.
            ExecutedSet::MariaDb(set) => set.low().to_string(),
            other => dm_gtids(other),
        };
        let (exit, exit_gtids) = match &state.until {
            None => (highest.map_or(&state.low, |end| &end.place), dm_gtids(applied)),
            // How high is not known; not higher than this.
            Some((until, gtids)) => (until, gtids.clone()),
        };
        if !fits(&state.source, &[&state.low, exit], &[&gtids, &exit_gtids]) {
            if !state.warned {
                warn!(source = %state.source, "DM's form of the checkpoint has no room for this position: it is not kept up to date");
                state.warned = true;
            }
            return Vec::new();
        }
        let text = |value: &str| format!("_utf8mb4{}", quote_string(value));
        let values = format!(
            "binlog_name = {}, binlog_pos = {}, binlog_gtid = {}, exit_safe_binlog_name = {}, \
             exit_safe_binlog_pos = {}, exit_safe_binlog_gtid = {}, table_info = {}, is_global = 1",
            text(&state.low.file),
            state.low.pos,
            text(&gtids),
            text(&exit.file),
            exit.pos,
            text(&exit_gtids),
            text("null"),
        );
        if state.written == values {
            return Vec::new();
        }
        let (table, id) = (&state.table, text(&state.source));
        let mut statements = Vec::new();
        if state.written.is_empty() {
            // Definitions as of an older point, which would no longer fit. DM takes those of the target then.
            statements
                .push(format!("DELETE FROM {table} WHERE id = {id} AND (cp_schema <> '' OR cp_table <> '')"));
        }
        // Both times are the same in a row that we wrote last, and DM's own writing renews one of them.
        statements.push(format!(
            "INSERT INTO {table} SET id = {id}, cp_schema = '', cp_table = '', {values} \
             ON DUPLICATE KEY UPDATE {values}, update_time = create_time"
        ));
        state.written = values;
        statements
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(place: &Place) -> (i64, u64) {
    (place.file_number(), place.pos)
}

fn fits(source: &str, places: &[&Place], gtids: &[&str]) -> bool {
    source.len() <= LONGEST_ID
        && places.iter().all(|p| p.file.len() <= LONGEST_NAME && u32::try_from(p.pos).is_ok())
        && gtids.iter().all(|g| g.len() <= LONGEST_GTIDS)
}

/// A set as DM writes it: for MariaDB the last transaction of each domain.
fn dm_gtids(set: &ExecutedSet) -> String {
    match set {
        ExecutedSet::MySql(set) => set.to_string(),
        ExecutedSet::MariaDb(set) => set.last().map(|g| g.to_string()).collect::<Vec<_>>().join(","),
        ExecutedSet::Position(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> DmRow {
        let row = DmRow::default();
        *row.lock() = State {
            table: "`m`.`t_syncer_checkpoint`".to_owned(),
            source: "s1".to_owned(),
            low: Place { file: "b.000001".to_owned(), pos: 4 },
            ..State::default()
        };
        row
    }

    fn txn(pos: u64) -> TxnId {
        TxnId::Position { generation: 1, file: "b.000001".to_owned(), pos }
    }

    fn ends(row: &DmRow, places: &[u64]) {
        for &pos in places {
            row.ended(&txn(pos), &Place { file: "b.000001".to_owned(), pos });
        }
    }

    /// DM's names and values, byte for byte.
    #[test]
    fn the_global_row_says_where_the_first_hole_is_and_what_is_applied_above_it() {
        let row = row();
        ends(&row, &[10, 20, 30, 40]);
        let low = ExecutedSet::up_to_position(1, "b.000001", 10);
        let mut applied = low.clone();
        applied.insert(&txn(30)).unwrap();
        let written = row.statements(&low, &applied);
        assert_eq!(
            written[0],
            "DELETE FROM `m`.`t_syncer_checkpoint` WHERE id = _utf8mb4's1' AND (cp_schema <> '' OR cp_table <> '')"
        );
        let values = "binlog_name = _utf8mb4'b.000001', binlog_pos = 10, binlog_gtid = _utf8mb4'', \
                      exit_safe_binlog_name = _utf8mb4'b.000001', exit_safe_binlog_pos = 30, \
                      exit_safe_binlog_gtid = _utf8mb4'', table_info = _utf8mb4'null', is_global = 1";
        assert_eq!(
            written[1],
            format!(
                "INSERT INTO `m`.`t_syncer_checkpoint` SET id = _utf8mb4's1', cp_schema = '', cp_table = '', {values} \
                 ON DUPLICATE KEY UPDATE {values}, update_time = create_time"
            )
        );
        assert!(row.statements(&low, &applied).is_empty(), "no news");
        let all = ExecutedSet::up_to_position(1, "b.000001", 40);
        let written = row.statements(&all, &all);
        assert_eq!(written.len(), 1);
        assert!(written[0].contains("SET id") && written[0].contains("binlog_pos = 40"), "{written:?}");
        assert!(written[0].contains("exit_safe_binlog_pos = 40"), "a clean stop: both are the same");
    }

    /// After a restart nobody knows how high is applied until the stream has passed where the source ended.
    #[test]
    fn an_exit_point_that_is_not_known_is_the_end_of_the_source() {
        let row = row();
        row.lock().until = Some((Place { file: "b.000001".to_owned(), pos: 30 }, String::new()));
        ends(&row, &[10, 20]);
        let low = ExecutedSet::up_to_position(1, "b.000001", 20);
        let written = row.statements(&low, &low).concat();
        assert!(
            written.contains("binlog_pos = 20") && written.contains("exit_safe_binlog_pos = 30"),
            "{written}"
        );
        row.passed(&Place { file: "b.000001".to_owned(), pos: 30 }, true);
        let written = row.statements(&low, &low).concat();
        assert!(
            written.contains("binlog_pos = 30") && written.contains("exit_safe_binlog_pos = 30"),
            "{written}"
        );
    }

    /// What is applied behind a hole is above the place where DM begins.
    #[test]
    fn dm_begins_before_a_hole() {
        let gtid = |seq| TxnId::Gtid(dm_binlog::Gtid::MariaDb { domain: 0, server: 1, seq });
        let row = row();
        let mut low = ExecutedSet::parse("mariadb=0-1-3").unwrap();
        for seq in 4..=9 {
            row.ended(&gtid(seq), &Place { file: "b.000001".to_owned(), pos: 10 * seq });
            match seq {
                5 => low.hold(&gtid(5), ("b.000001", 40)).unwrap(),
                other => low.advance(&gtid(other)).unwrap(),
            }
        }
        let written = row.statements(&low, &low).concat();
        for value in ["binlog_pos = 40", "binlog_gtid = _utf8mb4'0-1-4',", "exit_safe_binlog_pos = 90"] {
            assert!(written.contains(&format!(" {value}")), "{value}: {written}");
        }
    }

    /// Neither a DDL beside rows nor a prepared XA transaction goes with what comes after it, however much that is.
    #[test]
    fn a_hole_stays_one_where_many_ends_are_merged() {
        let row = row();
        let end = |n: u64| 10 * n;
        let mut low = ExecutedSet::up_to_position(1, "b.000001", end(30_000));
        for n in 1..=30_000 {
            ends(&row, &[end(n)]);
            if [1, 20_000].contains(&n) {
                row.hold(&txn(end(n)));
                low.hold(&txn(end(n)), ("b.000001", end(n - 1))).unwrap();
            }
        }
        row.statements(&low, &low);
        assert!(row.lock().low.pos < end(1), "{:?}", row.lock().low);
        low.advance(&txn(end(1))).unwrap();
        row.statements(&low, &low);
        assert!(row.lock().low.pos < end(20_000), "{:?}", row.lock().low);
        low.advance(&txn(end(20_000))).unwrap();
        row.statements(&low, &low);
        assert_eq!(row.lock().low.pos, end(30_000));
    }

    /// Of the ends that were merged any may be applied.
    #[test]
    fn what_is_applied_among_merged_ends_is_below_the_exit_point() {
        let row = row();
        ends(&row, &(1..=20_000).map(|n| 10 * n).collect::<Vec<_>>());
        let low = ExecutedSet::up_to_position(1, "b.000001", 10);
        let mut applied = low.clone();
        applied.insert(&txn(150_000)).unwrap();
        let written = row.statements(&low, &applied).concat();
        assert!(written.contains("exit_safe_binlog_pos = 200000"), "{written}");
    }

    #[test]
    fn a_row_that_dm_could_not_read_is_not_written() {
        let row = row();
        ends(&row, &[u64::from(u32::MAX) + 1]);
        let all = ExecutedSet::up_to_position(1, "b.000001", u64::MAX);
        assert!(row.statements(&all, &all).is_empty());
    }

    #[test]
    fn many_ends_are_merged_and_never_go_beyond_the_hole() {
        let row = row();
        ends(&row, &(1..=20_000).map(|n| 10 * n).collect::<Vec<_>>());
        assert!(row.lock().ends.len() <= MOST_ENDS);
        let low = ExecutedSet::up_to_position(1, "b.000001", 150_000);
        row.statements(&low, &low);
        assert!(row.lock().low.pos <= 150_000);
        let low = ExecutedSet::up_to_position(1, "b.000001", 200_000);
        row.statements(&low, &low);
        assert_eq!(row.lock().low.pos, 200_000);
    }
}

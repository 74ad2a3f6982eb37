//! The checkpoint that DM wrote for a task of this name and a source of this id, if there is one.
use std::time::Duration;

use dm_binlog::{Flavor, GtidSet, MariaDbGtidPos};
use dm_proto::{
    config::StartPosition,
    error::{Code, Scope},
};
use dm_schema::quote_string;
use dm_target::{ExecutedSet, TxnId};
use mysql_async::{Conn, Row, prelude::Queryable};

use super::stats::Place;
use crate::{
    failure::{Failure, Next, from_mysql},
    subtask::SubtaskContext,
    upstream,
};

const ANSWER: Duration = Duration::from_secs(30);
const DOING: &str = "read DM's checkpoint from the target";

/// A place in the source's binlog as DM stores it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DmPoint {
    pub place: Place,
    pub gtids: String,
}

/// What DM says of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmCheckpoint {
    /// Everything before it is applied.
    pub global: DmPoint,
    /// Nothing after it is.
    pub exact: bool,
    /// DM has written it since it was written for DM.
    pub touched: bool,
}

/// DM's tables in the meta schema.
#[derive(Debug, Clone, Default)]
pub struct DmTables {
    /// There is a table to keep up to date.
    pub present: bool,
    pub checkpoint: Option<DmCheckpoint>,
}

/// One row: id, schema, table, point, exit point.
struct Stored {
    id: String,
    of_table: bool,
    point: DmPoint,
    exit: DmPoint,
    touched: bool,
}

impl DmTables {
    /// `first`: the task has not begun here, and a checkpoint that says something else than where to begin must stop it.
    pub async fn read(context: &SubtaskContext, first: bool) -> Result<Self, Failure> {
        match tokio::time::timeout(ANSWER, ask(context, first)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::new(Code::DatabaseQuery, DOING)
                .scope(Scope::Downstream)
                .cause(format!("no answer within {ANSWER:?}"))
                .next(Next::Unreachable)),
        }
    }
}

impl DmTables {
    /// Says that DM's row of this source is known now: DM's next writing will set it apart.
    pub fn mark(&self, context: &SubtaskContext) -> Vec<String> {
        if self.checkpoint.is_none() {
            return Vec::new();
        }
        let name = format!("{}_syncer_checkpoint", context.task);
        let table = dm_schema::TableName::new(context.subtask.meta_schema.as_str(), name).quoted();
        let id = quote_string(&context.source_id);
        vec![format!(
            "UPDATE {table} SET update_time = create_time WHERE id = _utf8mb4{id} AND cp_schema = '' AND cp_table = ''"
        )]
    }
}

async fn ask(context: &SubtaskContext, first: bool) -> Result<DmTables, Failure> {
    let mut conn = upstream::connect_target(&context.subtask).await?;
    let found = look(context, &mut conn, first).await;
    // A reading connection: how it ends changes nothing.
    let _ = conn.disconnect().await;
    found
}

async fn look(context: &SubtaskContext, conn: &mut Conn, first: bool) -> Result<DmTables, Failure> {
    let failed = |e: mysql_async::Error| from_mysql(&e, Scope::Downstream, DOING);
    let (task, schema) = (&context.task, &context.subtask.meta_schema);
    let name = |suffix: &str| format!("{task}_{suffix}");
    let present: Vec<String> = conn
        .query(format!(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = {}",
            quote_string(schema)
        ))
        .await
        .map_err(failed)?;
    let has = |suffix: &str| present.contains(&name(suffix));
    let quoted = |suffix: &str| dm_schema::TableName::new(schema.as_str(), name(suffix)).quoted();
    let mut rows = Vec::new();
    if has("syncer_checkpoint") {
        let sql = format!(
            "SELECT id, cp_table <> '' OR cp_schema <> '', binlog_name, binlog_pos, binlog_gtid, exit_safe_binlog_name, \
             exit_safe_binlog_pos, exit_safe_binlog_gtid, update_time <> create_time FROM {}",
            quoted("syncer_checkpoint")
        );
        let found: Vec<Row> = conn.query(sql).await.map_err(failed)?;
        rows = found
            .iter()
            .map(stored)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| unusable(format!("{} can't be read", quoted("syncer_checkpoint"))))?;
    }
    let checkpoint = match of_source(&rows, &context.source_id) {
        Ok(checkpoint) => checkpoint,
        Err(why) if first => return Err(unusable(why)),
        Err(_) => None,
    };
    if first && checkpoint.is_none() {
        let ours = |id: &str| id == context.source_id || context.others.iter().any(|o| o.source_id == id);
        if let Some(row) = rows.iter().find(|r| !ours(&r.id)) {
            return Err(unusable(format!(
                "{} is of source {}, and this source is called {}: the names must be the same",
                quoted("syncer_checkpoint"),
                row.id,
                context.source_id
            )));
        }
        let loads = [("loader_checkpoint", "id"), ("lightning_checkpoint_list", "source_name")];
        for (suffix, column) in loads.into_iter().filter(|(suffix, _)| has(suffix)) {
            let sql = format!(
                "SELECT 1 FROM {} WHERE {column} = {} LIMIT 1",
                quoted(suffix),
                quote_string(&context.source_id)
            );
            if conn.query_first::<u8, _>(sql).await.map_err(failed)?.is_some() {
                return Err(unusable(format!(
                    "{} has records of source {}: DM has begun to load it and has not begun to sync",
                    quoted(suffix),
                    context.source_id
                )));
            }
        }
    }
    Ok(DmTables { present: has("syncer_checkpoint"), checkpoint })
}

fn stored(row: &Row) -> Option<Stored> {
    let text = |i: usize| row.get_opt::<Option<String>, _>(i)?.ok().map(Option::unwrap_or_default);
    let number = |i: usize| row.get_opt::<Option<u64>, _>(i)?.ok().map(Option::unwrap_or_default);
    let point = |i: usize| {
        let place = Place { file: without_relay_suffix(&text(i)?), pos: number(i + 1)? };
        Some(DmPoint { place, gtids: text(i + 2)?.replace(['\n', ' '], "") })
    };
    Some(Stored {
        id: text(0)?,
        of_table: number(1)? != 0,
        point: point(2)?,
        exit: point(5)?,
        touched: number(8)? != 0,
    })
}

/// What the rows say of a source; an error says why they can't be used.
fn of_source(rows: &[Stored], source: &str) -> Result<Option<DmCheckpoint>, String> {
    let ours = || rows.iter().filter(|r| r.id == source);
    let Some(global) = ours().find(|r| !r.of_table) else {
        return match ours().next() {
            Some(_) => Err(format!("DM's checkpoint of source {source} has tables and no global position")),
            None => Ok(None),
        };
    };
    let point = global.point.clone();
    if point.place.file.is_empty() && point.gtids.is_empty() {
        return Err(format!("DM's checkpoint of source {source} has an empty position"));
    }
    let after = |p: &Place| (p.file_number(), p.pos) > (point.place.file_number(), point.place.pos);
    // DM writes both alike when it stops between two transactions with everything applied.
    let exact = global.exit == point && !ours().any(|r| r.of_table && after(&r.point.place));
    Ok(Some(DmCheckpoint { global: point, exact, touched: global.touched }))
}

/// With a relay log DM puts the number of its folder into the name: `binlog|000001.000003`.
fn without_relay_suffix(file: &str) -> String {
    match file.rsplit_once('.').and_then(|(base, number)| Some((base.rsplit_once('|')?, number))) {
        Some(((base, folder), number)) if folder.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{base}.{number}")
        }
        _ => file.to_owned(),
    }
}

impl DmCheckpoint {
    /// Where to begin. As in DM `enable-gtid` of the source says which half of the point counts; without it the GTIDs may
    /// be incomplete.
    pub fn start(&self, by_gtid: bool) -> StartPosition {
        let DmPoint { place, gtids } = &self.global;
        let gtid = Some(gtids.clone()).filter(|g| !g.is_empty() && (by_gtid || place.file.is_empty()));
        // A GTID set needs no file, and that may be a former server's.
        let file = Some(place.file.clone()).filter(|_| gtid.is_none());
        StartPosition { file, pos: place.pos, gtid }
    }

    /// DM has gone on after we had written the row for it: it wrote the row itself, or has applied more than this.
    pub fn is_ahead_of(&self, executed: &ExecutedSet) -> bool {
        if self.touched {
            return true;
        }
        let gtids = &self.global.gtids;
        match executed {
            ExecutedSet::Position(set) => set.low().is_some_and(|(file, pos)| {
                let low = Place { file: file.to_owned(), pos };
                let here = &self.global.place;
                (here.file_number(), here.pos) > (low.file_number(), low.pos)
            }),
            ExecutedSet::MySql(set) => {
                GtidSet::parse(Flavor::MySql, gtids).is_ok_and(|gtids| !gtids.is_subset_of(set))
            }
            ExecutedSet::MariaDb(_) => MariaDbGtidPos::parse(gtids)
                .is_ok_and(|pos| pos.iter().any(|gtid| !executed.contains(&TxnId::Gtid(gtid)))),
        }
    }
}

fn unusable(why: String) -> Failure {
    Failure::new(Code::DmCheckpointUnusable, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, of_table: bool, at: u64, exit: u64) -> Stored {
        let point = |pos: u64| DmPoint {
            place: Place { file: if pos > 0 { "b.000002".to_owned() } else { String::new() }, pos },
            gtids: String::new(),
        };
        Stored { id: id.to_owned(), of_table, point: point(at), exit: point(exit), touched: false }
    }

    #[test]
    fn only_a_clean_stop_is_exact() {
        let exact = |rows: &[Stored]| of_source(rows, "s").unwrap().unwrap().exact;
        assert!(exact(&[row("s", false, 9, 9), row("s", true, 5, 0), row("other", true, 99, 0)]));
        assert!(!exact(&[row("s", false, 9, 12)]));
        assert!(!exact(&[row("s", false, 9, 0)]), "DM was killed");
        assert!(!exact(&[row("s", false, 9, 9), row("s", true, 10, 0)]), "a table is ahead");
        assert_eq!(of_source(&[row("other", false, 9, 9)], "s").unwrap(), None);
        assert!(of_source(&[row("s", true, 9, 9)], "s").is_err());
        assert!(of_source(&[row("s", false, 0, 0)], "s").is_err());
    }

    #[test]
    fn the_number_of_a_relay_folder_is_no_part_of_the_name() {
        assert_eq!(without_relay_suffix("mysql-bin|000001.000003"), "mysql-bin.000003");
        assert_eq!(without_relay_suffix("mysql-bin.000003"), "mysql-bin.000003");
        assert_eq!(without_relay_suffix("a|b.000003"), "a|b.000003");
        assert_eq!(without_relay_suffix(""), "");
    }

    #[test]
    fn ahead_is_what_we_have_not_applied() {
        let at = |pos: u64, gtids: &str| DmCheckpoint {
            global: DmPoint { place: Place { file: "b.000002".to_owned(), pos }, gtids: gtids.to_owned() },
            exact: true,
            touched: false,
        };
        let low = ExecutedSet::up_to_position(1, "b.000002", 100);
        assert!(at(101, "").is_ahead_of(&low) && !at(100, "").is_ahead_of(&low));
        assert!(DmCheckpoint { touched: true, ..at(100, "") }.is_ahead_of(&low));
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let set = ExecutedSet::parse(&format!("mysql={uuid}:1-5")).unwrap();
        assert!(at(1, &format!("{uuid}:1-6")).is_ahead_of(&set));
        assert!(!at(1, &format!("{uuid}:1-5")).is_ahead_of(&set));
        let set = ExecutedSet::parse("mariadb=0-1-5").unwrap();
        assert!(at(1, "0-1-6").is_ahead_of(&set) && !at(1, "0-1-5").is_ahead_of(&set));
    }
}

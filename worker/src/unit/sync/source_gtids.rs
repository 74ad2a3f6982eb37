//! Which transactions the source has, as it says itself.
use std::time::Duration;

use dm_binlog::{Flavor, Gtid, GtidSet, MariaDbGtidPos};
use dm_proto::error::{Code, Scope};
use dm_target::ExecutedSet;
use mysql_async::prelude::Queryable;

use crate::{
    failure::{Failure, Next, from_mysql},
    subtask::SubtaskContext,
    upstream,
};

const DEADLINE: Duration = Duration::from_secs(10);
const DOING: &str = "fail to read the GTIDs of the source";

/// GTIDs of the source at one moment.
#[derive(Debug)]
pub enum SourceGtids {
    MySql {
        executed: GtidSet,
        purged: GtidSet,
    },
    MariaDb {
        /// End of its binlog.
        end: MariaDbGtidPos,
        /// The last one of each server in each domain of its binlog.
        state: Vec<Gtid>,
        /// What it has applied as a replica; a new one's binlog begins after it.
        replicated: MariaDbGtidPos,
    },
}

impl SourceGtids {
    pub async fn read(context: &SubtaskContext) -> Result<Self, Failure> {
        match tokio::time::timeout(DEADLINE, Self::ask(context)).await {
            Ok(read) => read,
            Err(_) => Err(Failure::new(Code::DatabaseQuery, DOING)
                .scope(Scope::Upstream)
                .cause(format!("no answer within {DEADLINE:?}"))
                .next(Next::Unreachable)),
        }
    }

    async fn ask(context: &SubtaskContext) -> Result<Self, Failure> {
        let sql = match context.identity.flavor {
            Flavor::MySql => "SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged, ''",
            Flavor::MariaDb => {
                "SELECT @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_binlog_state, @@GLOBAL.gtid_slave_pos"
            }
        };
        let mut conn = upstream::connect(&context.source).await?;
        let row: Option<(String, String, String)> =
            conn.query_first(sql).await.map_err(|e| from_mysql(&e, Scope::Upstream, DOING))?;
        // Nothing was changed on it.
        let _ = conn.disconnect().await;
        let (first, second, third) = row.ok_or_else(|| Failure::internal("the source gave no row"))?;
        let unreadable =
            |e: dm_binlog::GtidParseError| Failure::new(Code::GtidUnparseable, "the source's GTIDs").cause(e);
        Ok(match context.identity.flavor {
            Flavor::MySql => Self::MySql {
                executed: GtidSet::parse(Flavor::MySql, &first).map_err(unreadable)?,
                purged: GtidSet::parse(Flavor::MySql, &second).map_err(unreadable)?,
            },
            Flavor::MariaDb => Self::MariaDb {
                end: MariaDbGtidPos::parse(&first).map_err(unreadable)?,
                state: second
                    .split(',')
                    .filter(|g| !g.trim().is_empty())
                    .map(|g| Gtid::parse(Flavor::MariaDb, g))
                    .collect::<Result<_, _>>()
                    .map_err(unreadable)?,
                replicated: MariaDbGtidPos::parse(&third).map_err(unreadable)?,
            },
        })
    }

    /// What is applied and not there, in the server's own form; empty when nothing is.
    pub fn missing(&self, applied: &ExecutedSet) -> String {
        match (self, applied) {
            (Self::MySql { executed, .. }, ExecutedSet::MySql(applied)) => {
                let mut missing = applied.clone();
                missing.subtract(executed);
                missing.to_string()
            }
            (Self::MariaDb { .. }, ExecutedSet::MariaDb(applied)) => {
                let lacks = |gtid: &Gtid| !self.has(gtid);
                let missing: Vec<String> =
                    applied.last().filter(lacks).map(|gtid| gtid.to_string()).collect();
                missing.join(",")
            }
            _ => String::new(),
        }
    }

    fn has(&self, gtid: &Gtid) -> bool {
        match (self, gtid) {
            (Self::MySql { executed, .. }, gtid) => executed.contains(gtid),
            (Self::MariaDb { state, replicated, .. }, Gtid::MariaDb { domain, server, seq }) => {
                let in_binlog = state.iter().any(|last| {
                    matches!(last, Gtid::MariaDb { domain: d, server: s, seq: n } if (d, s) == (domain, server) && n >= seq)
                });
                in_binlog || replicated.contains(*domain, *seq)
            }
            (Self::MariaDb { .. }, Gtid::MySql { .. }) => false,
        }
    }

    /// MySQL: the transaction has been in a binlog that is purged, or in the backup that the server was made of.
    pub fn purged(&self, gtid: &Gtid) -> bool {
        matches!(self, Self::MySql { purged, .. } if purged.contains(gtid))
    }

    /// Asked for the stream after this set, the source sends this transaction and, at most, what has come since.
    pub fn all_but(&self, gtid: &Gtid, before: Option<&Gtid>) -> GtidSet {
        match self {
            Self::MySql { executed, .. } => {
                let mut only = GtidSet::new(Flavor::MySql);
                only.add(gtid);
                let mut set = executed.clone();
                set.subtract(&only);
                set
            }
            Self::MariaDb { end, .. } => {
                let mut set = GtidSet::new(Flavor::MariaDb);
                for last in end.iter().filter(|last| domain_of(last) != domain_of(gtid)) {
                    set.add(&last);
                }
                if let Some(before) = before {
                    set.add(before);
                }
                set
            }
        }
    }
}

/// Domain of a MariaDB GTID.
pub fn domain_of(gtid: &Gtid) -> Option<u32> {
    match gtid {
        Gtid::MariaDb { domain, .. } => Some(*domain),
        Gtid::MySql { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mariadb_source_lacks_is_named_by_domain_and_server() {
        let parse = |text: &str| MariaDbGtidPos::parse(text).unwrap();
        let gtid = |text: &str| Gtid::parse(Flavor::MariaDb, text).unwrap();
        let source = SourceGtids::MariaDb {
            end: parse("0-1-60,1-2-9"),
            state: ["0-3-50", "0-1-60", "1-2-9"].map(gtid).to_vec(),
            replicated: parse("2-5-30"),
        };
        let missing = |text: &str| source.missing(&ExecutedSet::from_gtid_set(GtidSet::MariaDb(parse(text))));
        assert_eq!(missing("0-1-60,1-2-9,2-5-30"), "");
        assert_eq!(missing("0-3-50,1-2-3"), "");
        assert_eq!(missing("0-3-51,1-2-9"), "0-3-51", "of another server with that number");
        assert_eq!(missing("0-1-5,1-2-10,7-1-1"), "1-2-10,7-1-1");
        let mut applied = ExecutedSet::from_gtid_set(GtidSet::MariaDb(parse("0-1-60")));
        applied.insert(&dm_target::TxnId::Gtid(gtid("0-1-62"))).unwrap();
        assert_eq!(source.missing(&applied), "0-1-62", "above a hole");
        assert_eq!(source.all_but(&gtid("0-1-60"), Some(&gtid("0-3-59"))).to_string(), "0-3-59,1-2-9");
        assert_eq!(source.all_but(&gtid("1-2-1"), None).to_string(), "0-1-60");
    }
}

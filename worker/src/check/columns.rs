//! Pre-checks of the columns: whether the target's can hold what the source's may.
use dm_binlog::Flavor;
use dm_proto::{
    config::{SubtaskConfig, TaskMode},
    error::{Code, Scope},
};
use dm_schema::{SqlMode, TableDefaults, TableModel, TableName, TypeKind, extract_misfits, misfits};
use mysql_async::{Conn, Row, prelude::Queryable};

use super::Items;
use crate::{
    failure::{Failure, from_mysql},
    unit::{load::no_extract_target, rules::Rules},
};

const ITEM: &str = "target_columns";
/// Tables that are compared within the check's deadline; the others are compared at their first row.
const MOST_TABLES: usize = 1000;
/// Lines of one message.
const MOST_LINES: usize = 20;

/// What is at the other end.
struct Target {
    flavor: Flavor,
    version: Vec<u32>,
}

/// Compares each table with the one at the target; for one that is not there, says what could not be created.
pub async fn check(
    subtask: &SubtaskConfig,
    rules: &Rules,
    pairs: &[(TableName, TableName)],
    source: &mut Conn,
    target: &mut Conn,
    items: &mut Items,
) {
    if let Err(failure) = compare(subtask, rules, pairs, source, target, items).await {
        items.fail(ITEM, &failure);
    }
}

async fn compare(
    subtask: &SubtaskConfig,
    rules: &Rules,
    pairs: &[(TableName, TableName)],
    source: &mut Conn,
    target: &mut Conn,
    items: &mut Items,
) -> Result<(), Failure> {
    let at = Target::look(target).await?;
    let (mut bad, mut lost) = (Vec::new(), Vec::new());
    for (name, to) in pairs.iter().take(MOST_TABLES) {
        let extracted = rules.extracted(name)?;
        let Some(model) = definition(source, name, Scope::Upstream).await? else { continue };
        match definition(target, to, Scope::Downstream).await? {
            Some(other) => {
                let other = other.renamed(to.clone());
                bad.extend(misfits(&model, &other).iter().map(ToString::to_string));
                bad.extend(extract_misfits(&model, &other, &extracted).iter().map(ToString::to_string));
            }
            None if !extracted.is_empty() => {
                bad.push(no_extract_target(name, to, &extracted).error.message.clone());
            }
            None => {
                let missing = at.lacks(&model);
                // Without a load the table comes from the person, or with a DDL of the binlog.
                if subtask.task_mode == TaskMode::Incremental {
                    lost.extend(missing)
                } else {
                    bad.extend(missing)
                }
                lost.extend(at.shows(&model));
            }
        }
    }
    if pairs.len() > MOST_TABLES {
        lost.push(format!(
            "only the first {MOST_TABLES} of {} tables were compared; the others are at their first row",
            pairs.len()
        ));
    }
    if !lost.is_empty() {
        items.warn(ITEM, lines(&lost), "Please create the tables at the target by hand where that matters.");
    }
    items.expect(ITEM, bad.is_empty(), || {
        Failure::new(Code::CheckFailed, lines(&bad)).scope(Scope::Downstream).workaround(
            "Please give the columns at the target the types that they have at the source, or wider ones (ALTER TABLE ... MODIFY), or exclude the tables with block-allow-list.",
        )
    });
    Ok(())
}

fn lines(all: &[String]) -> String {
    let mut text = all.iter().take(MOST_LINES).cloned().collect::<Vec<_>>().join("; ");
    if all.len() > MOST_LINES {
        text.push_str(&format!("; and {} more", all.len() - MOST_LINES));
    }
    text
}

impl Target {
    async fn look(conn: &mut Conn) -> Result<Self, Failure> {
        let version: Option<String> = conn
            .query_first("SELECT VERSION()")
            .await
            .map_err(|e| from_mysql(&e, Scope::Downstream, "fail to read the target's version"))?;
        let version = version.unwrap_or_default();
        let maria = version.to_lowercase().contains("mariadb");
        Ok(Self {
            flavor: if maria { Flavor::MariaDb } else { Flavor::MySql },
            version: version.split(['.', '-']).map_while(|part| part.parse().ok()).take(2).collect(),
        })
    }

    /// What of a definition the target can't create.
    fn lacks(&self, model: &TableModel) -> Vec<String> {
        let server = match self.flavor {
            Flavor::MySql => "MySQL",
            Flavor::MariaDb => "MariaDB",
        };
        let version = self.version.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
        let unknown = |kind: TypeKind| match (self.flavor, kind) {
            (Flavor::MariaDb, TypeKind::Vector) => self.version.as_slice() < &[11, 7],
            (Flavor::MySql, TypeKind::Vector) => self.version.as_slice() < &[9, 0],
            (Flavor::MySql, kind) => {
                matches!(kind, TypeKind::Uuid | TypeKind::Inet4 | TypeKind::Inet6 | TypeKind::Xml)
            }
            _ => false,
        };
        let columns = model.columns.iter().filter(|c| unknown(c.ty.kind)).map(|c| {
            let kind = format!("{:?}", c.ty.kind).to_uppercase();
            format!(
                "{server} {version} at the target has no type {kind}: column {} of {}",
                c.name, model.name
            )
        });
        let expression = |k: &&dm_schema::Key| {
            self.flavor == Flavor::MariaDb && k.parts.iter().any(|p| p.column.is_none())
        };
        let keys = model.keys.iter().filter(expression).map(|k| {
            format!(
                "{server} {version} at the target has no keys of expressions: key {} of {}",
                k.name, model.name
            )
        });
        columns.chain(keys).collect()
    }

    /// What comes out differently, with the same values.
    fn shows(&self, model: &TableModel) -> Vec<String> {
        // MySQL writes the word into a comment that MariaDB skips.
        let visible =
            |c: &&dm_schema::Column| self.flavor == Flavor::MariaDb && c.invisible && !c.is_generated();
        model
            .columns
            .iter()
            .filter(visible)
            .map(|c| {
                format!("invisible column {} of {} may be visible at a MariaDB target", c.name, model.name)
            })
            .collect()
    }
}

/// The definition of a table; `None` when it is not there.
pub(super) async fn definition(
    conn: &mut Conn,
    name: &TableName,
    scope: Scope,
) -> Result<Option<TableModel>, Failure> {
    let doing = || format!("fail to read the definition of {name}");
    let create = match conn.query_first::<Row, _>(format!("SHOW CREATE TABLE {}", name.quoted())).await {
        Ok(row) => row.and_then(|r| r.get_opt::<String, _>(1)).and_then(Result::ok),
        // No such table or schema.
        Err(mysql_async::Error::Server(e)) if matches!(e.code, 1146 | 1049) => None,
        Err(e) => return Err(from_mysql(&e, scope, doing())),
    };
    let Some(create) = create else { return Ok(None) };
    TableModel::parse_create(&create, SqlMode::default(), &name.schema, &TableDefaults::default())
        .map(Some)
        .map_err(|e| {
            Failure::new(Code::DdlUnparseable, doing()).scope(scope).cause(e).workaround(
                "Please exclude the table with block-allow-list, or report its SHOW CREATE TABLE.",
            )
        })
}

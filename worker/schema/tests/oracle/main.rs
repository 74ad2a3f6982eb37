//! Both servers judge the corpus: what they accept we read, under other names it does the same, and after each change
//! our model is what they show.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod collations;
mod compare;
mod corpus;
mod expression_computed;
mod expression_corpus;
mod expression_draw;
mod expressions;
mod weights;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result};
use dm_schema::ddl::{DdlKind, DdlStatement, parse};
use dm_schema::{SqlMode, TableDefaults, TableModel, TableName};
use dm_tests::{Database, DatabaseOptions, Flavor};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Row};

use compare::difference;
use corpus::{Case, corpus};

/// Connections at a time. The first also has the statements that name schemas, one after the other.
const CONNECTIONS: usize = 6;

/// Schemas that statements of the corpus name.
const SCHEMAS: [&str; 5] = ["d", "x", "o", "y", "nope"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_servers_agree_with_us() -> Result<()> {
    let options = DatabaseOptions { gtid: false, binlog: false, ..DatabaseOptions::default() };
    let (mysql, mariadb) = tokio::try_join!(
        Database::start(Flavor::MySql, options.clone()),
        Database::start(Flavor::MariaDb, options)
    )?;
    let cases = Arc::new(corpus());
    assert!(cases.len() >= 400, "{}", cases.len());
    let (one, two) = tokio::try_join!(run(&mysql, &cases), run(&mariadb, &cases))?;
    let mut wrong = one.wrong;
    wrong.extend(two.wrong);
    for (index, case) in cases.iter().enumerate().filter(|(_, c)| c.demanded) {
        if !one.accepted.contains(&index) && !two.accepted.contains(&index) {
            wrong.push(format!("{} no server accepts: {}", case.place, case.sql));
        }
    }
    println!("{} statements, MySQL took {}, MariaDB {}", cases.len(), one.accepted.len(), two.accepted.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

#[derive(Default)]
struct Outcome {
    accepted: BTreeSet<usize>,
    wrong: Vec<String>,
}

async fn run(database: &Database, cases: &Arc<Vec<Case>>) -> Result<Outcome> {
    let mut workers = Vec::new();
    for number in 0..CONNECTIONS {
        let mut judge = Judge { conn: database.conn().await?, flavor: database.flavor() };
        let cases = cases.clone();
        workers.push(tokio::spawn(async move {
            let mut outcome = Outcome::default();
            for (index, case) in cases.iter().enumerate() {
                if (if names_schemas(case) { 0 } else { index % CONNECTIONS }) != number {
                    continue;
                }
                match judge.case(index, case).await {
                    Ok(true) => drop(outcome.accepted.insert(index)),
                    Ok(false) => {}
                    Err(error) => {
                        outcome.accepted.insert(index);
                        let what = format!("{} {:?}: {}", case.place, judge.flavor, case.sql);
                        outcome.wrong.push(format!("{what}\n    {error:#}"));
                    }
                }
            }
            anyhow::Ok(outcome)
        }));
    }
    let mut all = Outcome::default();
    for worker in workers {
        let outcome = worker.await??;
        all.accepted.extend(outcome.accepted);
        all.wrong.extend(outcome.wrong);
    }
    Ok(all)
}

/// The statement or what it stands on names a schema, so that it can't have one of its own.
fn names_schemas(case: &Case) -> bool {
    case.names.iter().flatten().any(|n| !n.starts_with("d."))
        || case.sql.contains("`d`")
        || case.setup.iter().any(|s| s.contains("x."))
}

/// Where a statement is sent to be compared with the one that stayed.
fn moved(name: &TableName) -> TableName {
    let add = |part: &str| if part.is_empty() { String::new() } else { format!("{part}_moved") };
    TableName::new(add(&name.schema), add(&name.table))
}

fn back(name: &TableName) -> TableName {
    let cut = |part: &str| part.strip_suffix("_moved").unwrap_or(part).to_owned();
    TableName::new(cut(&name.schema), cut(&name.table))
}

struct Judge {
    conn: Conn,
    flavor: Flavor,
}

impl Judge {
    /// True when the server accepts the statement.
    async fn case(&mut self, index: usize, case: &Case) -> Result<bool> {
        // In a schema of its own nothing needs to be removed before the next.
        let shared = names_schemas(case);
        let schema = if shared { "d".to_owned() } else { format!("c{index}") };
        let parsed = parse(&case.sql, case.mode, &schema);
        never_panics(case);
        // (A table whose rows follow leaves the session in the middle of a transaction.)
        if !parsed.as_ref().map_or(true, |all| all.iter().all(|s| s.kind.is_ddl() && !s.rows_follow)) {
            return Ok(false);
        }
        self.drop("SET sql_mode = 'NO_ENGINE_SUBSTITUTION'").await?;
        for name in if shared { &SCHEMAS[..] } else { &[] } {
            self.drop(&format!("DROP DATABASE IF EXISTS {name}")).await?;
            self.drop(&format!("DROP DATABASE IF EXISTS {name}_moved")).await?;
        }
        let own = [schema.as_str()];
        for name in if shared { &["d", "x", "o"][..] } else { &own } {
            self.drop(&format!("CREATE DATABASE {name}")).await?;
            self.drop(&format!("CREATE DATABASE {name}_moved")).await?;
        }
        self.drop(&format!("USE {schema}")).await?;
        for sql in &case.setup {
            if let Err(error) = self.drop(sql).await {
                // A type or clause of the other family only; the statements on it are for that.
                return if case.demanded { Ok(false) } else { Err(error) };
            }
            for statement in parse(sql, SqlMode::default(), &schema)? {
                self.drop(&statement.rewrite(moved)).await?;
            }
        }
        let before = match parsed.as_deref() {
            Ok([statement]) => self.shown(statement.subject()).await?,
            _ => None,
        };
        let mode = format!(
            "SET sql_mode = 'NO_ENGINE_SUBSTITUTION{}{}'",
            if case.mode.ansi_quotes() { ",ANSI_QUOTES" } else { "" },
            if case.mode.no_backslash_escapes() { ",NO_BACKSLASH_ESCAPES" } else { "" }
        );
        self.drop(&mode).await?;
        let accepted = self.drop(&case.sql).await.is_ok();
        self.drop("SET sql_mode = 'NO_ENGINE_SUBSTITUTION'").await?;
        if !accepted {
            return Ok(false);
        }
        let statements = parsed.context("the server accepts it, we do not")?;
        for statement in &statements {
            let sql = statement.rewrite(moved);
            self.drop(&sql).await.with_context(|| format!("refused under other names: {sql}"))?;
        }
        for name in statements.iter().flat_map(|s| &s.tables) {
            self.same(name).await?;
        }
        if let [statement] = statements.as_slice() {
            self.model(statement, before).await?;
        }
        Ok(true)
    }

    async fn drop(&mut self, sql: &str) -> Result<()> {
        let mut result = self.conn.query_drop(sql).await;
        // NOWAIT meets the server's own threads now and then.
        for _ in 0..50 {
            match &result {
                Err(mysql_async::Error::Server(e)) if e.code == 1205 => {
                    result = self.conn.query_drop(sql).await;
                }
                _ => break,
            }
        }
        result.with_context(|| sql.to_owned())
    }

    /// SHOW CREATE of a table or schema; None where there is none.
    async fn shown(&mut self, name: Option<&TableName>) -> Result<Option<String>> {
        let Some(name) = name else { return Ok(None) };
        let what = if name.is_schema() { "DATABASE" } else { "TABLE" };
        match self.conn.query_first::<Row, _>(format!("SHOW CREATE {what} {name}")).await {
            Ok(row) => Ok(row.and_then(|r| r.get(1))),
            // No such table, no such schema.
            Err(mysql_async::Error::Server(e)) if [1146, 1049].contains(&e.code) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("SHOW CREATE {what} {name}")),
        }
    }

    /// The object and the one under the other name differ in names only.
    async fn same(&mut self, name: &TableName) -> Result<()> {
        let stayed = self.shown(Some(name)).await?;
        let moved_one = self.shown(Some(&moved(name))).await?;
        let plain = |sql: Option<String>, schema: &str| -> Result<Option<String>> {
            let Some(sql) = sql else { return Ok(None) };
            let all = parse(&sql, SqlMode::default(), schema)?;
            // Names that the server makes of the table's.
            let text = all[0].rewrite(back).replace("_moved_ibfk_", "_ibfk_").replace("_moved_chk_", "_chk_");
            Ok(Some(text))
        };
        let (one, two) = (plain(stayed, &name.schema)?, plain(moved_one, &moved(name).schema)?);
        anyhow::ensure!(one == two, "under another name it became\n{two:?}\nnot\n{one:?}");
        Ok(())
    }

    /// Our model after the statement is what the server shows.
    async fn model(&mut self, statement: &DdlStatement, before: Option<String>) -> Result<()> {
        let subject = statement.subject().context("no subject")?;
        let read = |sql: &str, schema: &str, defaults: &TableDefaults| {
            TableModel::parse_create(sql, SqlMode::default(), schema, defaults)
                .with_context(|| sql.to_owned())
        };
        let none = TableDefaults::default();
        let ours = match (statement.kind, before) {
            (DdlKind::CreateTable, None) => {
                let row: Option<(String, String)> =
                    self.conn.query_first("SELECT @@character_set_database, @@collation_database").await?;
                let (charset, collation) = row.context("no answer")?;
                let defaults = TableDefaults { charset: Some(charset), collation: Some(collation) };
                read(statement.canonical(), &subject.schema, &defaults)?
            }
            (DdlKind::AlterTable | DdlKind::CreateIndex | DdlKind::DropIndex, Some(before)) => {
                let mut model = read(&before, &subject.schema, &none)?;
                let change = model.apply_alter(statement.canonical(), SqlMode::default());
                change.context("the change can't be followed")?;
                model
            }
            _ => return Ok(()),
        };
        let after = self.shown(Some(&ours.name)).await?.context("there is no such table after it")?;
        let shown = read(&after, &ours.name.schema, &none)?;
        match difference(&ours, &shown, self.flavor) {
            Some(what) => anyhow::bail!("{what}\n    {after}"),
            None => Ok(()),
        }
    }
}

/// Every reader, whatever the servers say.
fn never_panics(case: &Case) {
    let defaults = TableDefaults::default();
    let _ = TableModel::parse_create(&case.sql, case.mode, "d", &defaults);
    let table = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b TEXT, KEY i (a))";
    let mut model = TableModel::parse_create(table, SqlMode::default(), "d", &defaults).unwrap();
    let _ = model.apply_alter(&case.sql, case.mode);
}

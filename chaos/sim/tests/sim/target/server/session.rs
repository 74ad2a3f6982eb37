//! One session: statements, transactions and waits.
use std::time::Duration;

use super::{
    Database, database,
    words::{ended, key_of, known, lock_name, whole},
};
use crate::target::{
    Failed,
    sql::{Reader, Row, Token, Value, statements},
    tables::{Busy, Tables},
    wire::Answer,
};

#[derive(Default)]
struct Outcome {
    affected: u64,
    rows: Vec<Vec<Value>>,
}

pub struct Session {
    id: u64,
    in_transaction: bool,
    row_count: u64,
}

enum Stop {
    Failed(Failed),
    Busy,
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<Busy> for Stop {
    fn from(_: Busy) -> Self {
        Self::Busy
    }
}

impl Session {
    pub fn new(id: u64) -> Self {
        Self { id, in_transaction: false, row_count: 0 }
    }

    pub fn rollback(&mut self) {
        self.in_transaction = false;
        database().rollback(self.id);
    }

    /// Carries out a text of statements, up to the first that fails.
    pub async fn packet(&mut self, text: &[u8]) -> Answer {
        let mut answer = Answer::default();
        let all = match statements(text) {
            Ok(all) => all,
            Err(failed) => {
                answer.error = Some((failed.code, failed.message));
                return answer;
            }
        };
        for statement in all {
            match self.statement(&statement).await {
                Ok(outcome) => {
                    self.row_count = outcome.affected;
                    answer.answers.push((outcome.affected, 0));
                    answer.rows = outcome.rows;
                }
                Err(failed) => {
                    answer.error = Some((failed.code, failed.message));
                    break;
                }
            }
        }
        answer
    }

    /// Waits for rows of others as long as `innodb_lock_wait_timeout` says.
    async fn statement(&mut self, tokens: &[Token]) -> Result<Outcome, Failed> {
        let until = tokio::time::Instant::now() + Duration::from_secs(2);
        loop {
            let changed = database().changed.clone();
            let changed = changed.notified();
            let tried = self.attempt(tokens);
            if !self.in_transaction {
                let failed = tried.is_err();
                let mut database = database();
                if failed { database.rollback(self.id) } else { database.tables.end(self.id, true) }
            }
            match tried {
                Ok(outcome) => return Ok(outcome),
                Err(Stop::Failed(failed)) => return Err(failed),
                Err(Stop::Busy) => {
                    if tokio::time::timeout_at(until, changed).await.is_err() {
                        let message = "Lock wait timeout exceeded; try restarting transaction".to_owned();
                        return Err(Failed { code: 1205, message });
                    }
                }
            }
        }
    }

    fn attempt(&mut self, tokens: &[Token]) -> Result<Outcome, Stop> {
        let mut reader = Reader::new(tokens);
        let done = |affected| Ok(Outcome { affected, rows: Vec::new() });
        if reader.take("PING") || reader.take("CREATE DATABASE") {
            return done(0);
        }
        if reader.take("BEGIN") {
            self.in_transaction = true;
            return done(0);
        }
        if reader.take("ROLLBACK") {
            self.rollback();
            return done(0);
        }
        if reader.take("COMMIT") {
            self.in_transaction = false;
            database().commit(self.id);
            return done(0);
        }
        if reader.take("SET @dm") {
            return self.guard(&mut reader).and_then(|()| done(0));
        }
        if reader.take("SET") {
            return done(0);
        }
        let mut guard = database();
        let database = &mut *guard;
        if reader.take("KILL CONNECTION") {
            let Value::Number(id) = reader.literal()? else { return Err(Failed::syntax("KILL").into()) };
            return match database.sessions.get(&u64::try_from(id).unwrap_or(0)) {
                Some(session) => {
                    session.cancel();
                    done(0)
                }
                None => Err(Failed { code: 1094, message: "Unknown thread id".to_owned() }.into()),
            };
        }
        if reader.take("SELECT") {
            return self.select(database, &mut reader);
        }
        if reader.take("CREATE TABLE IF NOT EXISTS") {
            let table = reader.table()?;
            database.tables.create(&table, key_of(tokens));
            // A DDL makes the servers write their log.
            database.flush();
            return done(0);
        }
        let tables = &mut database.tables;
        if reader.take("UPDATE") {
            let table = known(tables, reader.table()?)?;
            reader.expect("SET")?;
            let mut sets = Vec::new();
            loop {
                let column = reader.name()?;
                reader.need(b'=')?;
                sets.push((column, reader.expression()?));
                if !reader.sign(b',') {
                    break;
                }
            }
            let condition = whole(&mut reader)?;
            return done(tables.update(self.id, &table, &condition, &sets)?);
        }
        if reader.take("DELETE FROM") {
            let table = known(tables, reader.table()?)?;
            let condition = whole(&mut reader)?;
            return done(tables.delete(self.id, &table, &condition)?);
        }
        let ignore = reader.take("INSERT IGNORE INTO");
        let replace = !ignore && reader.take("REPLACE INTO");
        if ignore || replace || reader.take("INSERT INTO") {
            return done(self.insert(tables, &mut reader, ignore, replace)?);
        }
        Err(Failed::syntax(&format!("{tokens:?}")).into())
    }

    /// `= IF(ROW_COUNT() = n, 1, (SELECT 1 UNION ALL SELECT 2))`.
    fn guard(&self, reader: &mut Reader<'_>) -> Result<(), Stop> {
        reader.need(b'=')?;
        reader.expect("IF")?;
        reader.need(b'(')?;
        reader.expect("ROW_COUNT")?;
        reader.need(b'(')?;
        reader.need(b')')?;
        reader.need(b'=')?;
        if reader.literal()? == Value::Number(self.row_count.into()) {
            return Ok(());
        }
        Err(Failed { code: 1242, message: "Subquery returns more than 1 row".to_owned() }.into())
    }

    fn select(&self, database: &mut Database, reader: &mut Reader<'_>) -> Result<Outcome, Stop> {
        let text = |text: &str| Value::Text(text.as_bytes().to_vec());
        let one = |row: Vec<Value>| Ok(Outcome { affected: 0, rows: vec![row] });
        if reader.take("GET_LOCK") {
            reader.need(b'(')?;
            let name = lock_name(reader)?;
            let holder = *database.locks.entry(name).or_insert(self.id);
            return one(vec![Value::Number((holder == self.id).into())]);
        }
        if reader.take("IS_USED_LOCK") {
            reader.need(b'(')?;
            let name = lock_name(reader)?;
            return one(vec![
                database.locks.get(&name).map_or(Value::Null, |id| Value::Number((*id).into())),
            ]);
        }
        if reader.take("VERSION") {
            return one(vec![text("9.7.0"), text("target|3306|1|/data"), Value::Number(64 << 20)]);
        }
        if reader.take("@@server_uuid") {
            return one(vec![text("5e11fa47-71ca-11e1-9e33-c80aa9429562")]);
        }
        if reader.take("engine FROM information_schema") {
            reader.need(b'.')?;
            reader.expect("tables")?;
            let condition = whole(reader)?;
            let part = |column: &str| match condition.of(column) {
                Some(Value::Text(name)) => String::from_utf8_lossy(name).into_owned(),
                _ => String::new(),
            };
            let name = format!("{}.{}", part("table_schema"), part("table_name"));
            let rows = if database.tables.exists(&name) { vec![vec![text("InnoDB")]] } else { Vec::new() };
            return Ok(Outcome { affected: 0, rows });
        }
        if let Ok(Value::Number(1)) = reader.literal() {
            return one(vec![Value::Number(1)]);
        }
        let columns = reader.names()?;
        reader.expect("FROM")?;
        let table = known(&database.tables, reader.table()?)?;
        let condition = reader.condition()?;
        let order = if reader.take("ORDER BY") { reader.names()? } else { Vec::new() };
        let lock = reader.take("FOR UPDATE");
        ended(reader)?;
        if lock {
            database.tables.lock(self.id, &table, &condition)?;
        }
        let mut rows = database.tables.select(self.id, &table, &condition);
        let key = |row: &Row| order.iter().map(|c| row.get(c).cloned()).collect::<Vec<_>>();
        rows.sort_by_key(key);
        let values = |row: Row| columns.iter().map(|c| row.get(c).cloned().unwrap_or(Value::Null)).collect();
        Ok(Outcome { affected: 0, rows: rows.into_iter().map(values).collect() })
    }

    fn insert(
        &self,
        tables: &mut Tables,
        reader: &mut Reader<'_>,
        ignore: bool,
        replace: bool,
    ) -> Result<u64, Stop> {
        let table = known(tables, reader.table()?)?;
        reader.need(b'(')?;
        let columns = reader.names()?;
        reader.need(b')')?;
        reader.expect("VALUES")?;
        let mut inserted = 0;
        loop {
            reader.need(b'(')?;
            let mut row = Row::new();
            for (n, column) in columns.iter().enumerate() {
                if n > 0 {
                    reader.need(b',')?;
                }
                row.insert(column.clone(), reader.literal()?);
            }
            reader.need(b')')?;
            let was_there = tables.insert(self.id, &table, row, replace)?;
            if was_there && !ignore && !replace {
                return Err(Failed { code: 1062, message: "Duplicate entry".to_owned() }.into());
            }
            inserted += u64::from(!was_there || replace);
            if !reader.sign(b',') {
                ended(reader)?;
                return Ok(inserted);
            }
        }
    }
}

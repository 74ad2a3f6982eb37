//! One classified statement.

use super::canonical::NameSpan;
use crate::name::TableName;

/// Verb of an XA statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XaVerb {
    /// `XA START` or `XA BEGIN`.
    Start,
    /// `XA END`.
    End,
    /// `XA PREPARE`.
    Prepare,
    /// `XA COMMIT`.
    Commit,
    /// `XA ROLLBACK`.
    Rollback,
}

/// What a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DdlKind {
    /// `CREATE DATABASE` or `CREATE SCHEMA`.
    CreateDatabase,
    /// `ALTER DATABASE` or `ALTER SCHEMA`.
    AlterDatabase,
    /// `DROP DATABASE` or `DROP SCHEMA`.
    DropDatabase,
    /// `CREATE TABLE` with columns.
    CreateTable,
    /// `CREATE TABLE .. LIKE`; the tables are the new one and the model.
    CreateTableLike,
    /// `CREATE TABLE .. SELECT` as text: its rows depend on data that we may not have. Must stop the task.
    CreateTableSelect,
    /// `ALTER TABLE`.
    AlterTable,
    /// `DROP TABLE` of one table.
    DropTable,
    /// `TRUNCATE TABLE`.
    TruncateTable,
    /// `RENAME TABLE` of one pair; the tables are the old and the new name.
    RenameTable,
    /// `CREATE INDEX`.
    CreateIndex,
    /// `DROP INDEX`.
    DropIndex,
    /// `BEGIN` or `START TRANSACTION`.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK` of the whole transaction.
    Rollback,
    /// `SAVEPOINT`, `RELEASE SAVEPOINT` or `ROLLBACK TO`: no effect on row events that were logged.
    Savepoint,
    /// `XA ..`.
    Xa(XaVerb),
    /// INSERT, UPDATE, DELETE and the like as text: the source does not log in ROW format. Must stop the task.
    StatementDml,
    /// Not replicated, as DM does it; the string names the kind of object.
    Skip(&'static str),
    /// Nothing that we have a name for. See [`DdlStatement::decide_unknown`].
    Unknown,
    /// Understood but not supported; the string says what. Must stop the task unless a filter or an operator
    /// skips it.
    Unsupported(&'static str),
}

impl DdlKind {
    /// True for the kinds that are executed at the target.
    pub fn is_ddl(self) -> bool {
        use DdlKind::*;
        matches!(
            self,
            CreateDatabase
                | AlterDatabase
                | DropDatabase
                | CreateTable
                | CreateTableLike
                | AlterTable
                | DropTable
                | TruncateTable
                | RenameTable
                | CreateIndex
                | DropIndex
        )
    }
}

/// How an undecided execution (sent, answer unknown) is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DdlClass {
    /// The definitions before and after differ, or running again changes nothing: compare the definitions with those
    /// stored in the intent; still the same means not executed (or without effect): run again.
    Decidable,
    /// May run again as long as nothing was applied after it and no other source feeds the table.
    Repeatable,
    /// Only a person can tell.
    Neither,
}

/// A table's new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewName {
    /// The name.
    pub name: TableName,
    /// The statement does nothing else.
    pub only: bool,
}

/// One statement, after splitting: DROP, RENAME and TRUNCATE of several tables give one each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DdlStatement {
    /// What it is.
    pub kind: DdlKind,
    /// Every table named, the subject first; for databases one name without a table; empty for other kinds.
    pub tables: Vec<TableName>,
    /// How to settle an unknown outcome.
    pub class: DdlClass,
    /// `IF EXISTS` of the statement (not of a clause inside).
    pub if_exists: bool,
    /// `IF NOT EXISTS` of the statement.
    pub if_not_exists: bool,
    /// MySQL's atomic CREATE TABLE .. SELECT: the rows follow as row events in the same transaction. The canonical
    /// text is without the `START TRANSACTION` clause, which only a replica may use.
    pub rows_follow: bool,
    /// The name that a RENAME TABLE, or an ALTER TABLE with RENAME TO, gives to the subject.
    pub new_name: Option<NewName>,
    pub(super) text: String,
    pub(super) names: Vec<NameSpan>,
}

impl DdlStatement {
    /// The statement with back-quoted, schema-qualified table names, readable without ANSI_QUOTES and
    /// NO_BACKSLASH_ESCAPES whatever the event's sql_mode was.
    pub fn canonical(&self) -> &str {
        &self.text
    }

    /// The canonical text of this statement with every table or schema name replaced by what `map` makes of it.
    /// Only the names change. The name of a schema is passed with an empty table.
    pub fn rewrite(&self, mut map: impl FnMut(&TableName) -> TableName) -> String {
        let mut out = String::with_capacity(self.text.len() + 32);
        let mut at = 0;
        for span in &self.names {
            out.push_str(&self.text[at..span.start]);
            out.push_str(&map(&self.tables[span.table]).quoted());
            at = span.end;
        }
        out.push_str(&self.text[at..]);
        out
    }

    /// The table or schema that the statement is about.
    pub fn subject(&self) -> Option<&TableName> {
        self.tables.first()
    }
}

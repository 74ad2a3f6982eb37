//! Types of binlog events, as event filters name them.

use crate::ddl::{DdlKind, DdlStatement};
use crate::lex::{Cursor, tokenize};
use crate::model::{Column, TableModel, TypeKind};
use crate::sql_mode::SqlMode;

/// Every name that `events` may hold.
pub const EVENT_NAMES: &[&str] = &[
    "all",
    "all dml",
    "all ddl",
    "none",
    "none dml",
    "none ddl",
    "incompatible ddl changes",
    "insert",
    "update",
    "delete",
    "create database",
    "create schema",
    "drop database",
    "drop schema",
    "alter database",
    "alter schema",
    "create table",
    "drop table",
    "truncate table",
    "rename table",
    "create index",
    "drop index",
    "create view",
    "drop view",
    "alter table",
    "add column",
    "drop column",
    "modify column",
    "rename column",
    "value range decrease",
    "precision decrease",
    "modify default value",
    "set default value",
    "modify columns order",
    "modify charset",
    "modify collation",
    "remove auto increment",
    "rename index",
    "alter index visibility",
    "add primary key",
    "drop primary key",
    "drop unique key",
    "add foreign key",
    "drop foreign key",
    "modify constraint",
    "modify storage engine",
    "rebase auto id",
    "add table partition",
    "drop table partition",
    "truncate table partition",
    "reorganize table partition",
    "rebuild table partition",
    "coalesce table partition",
    "split table partition",
    "exchange table partition",
    "modify schema charset and collation",
    "modify schema charset and collate",
    "modify table charset and collate",
    "modify table comment",
    "multi schema change",
    "alter table partitioning",
    "remove table partitioning",
    "recover table",
    "alter ttl info",
    "alter ttl remove",
];

/// Names that no event of this version has.
pub const NEVER: [&str; 6] = [
    "create view",
    "drop view",
    "split table partition",
    "recover table",
    "alter ttl info",
    "alter ttl remove",
];

/// Names that need the table's definition before and after the statement.
pub(super) const COMPARED: [&str; 9] = [
    "value range decrease",
    "precision decrease",
    "modify default value",
    "modify columns order",
    "modify charset",
    "modify collation",
    "remove auto increment",
    "drop unique key",
    "incompatible ddl changes",
];

/// The class `incompatible ddl changes`.
const INCOMPATIBLE: &[&str] = &[
    "value range decrease",
    "precision decrease",
    "rename column",
    "rename index",
    "drop column",
    "drop index",
    "drop table",
    "drop database",
    "truncate table",
    "rename table",
    "truncate table partition",
    "drop table partition",
    "drop primary key",
    "drop unique key",
    "modify default value",
    "modify constraint",
    "modify columns order",
    "modify charset",
    "modify collation",
    "remove auto increment",
    "modify storage engine",
    "reorganize table partition",
    "rebuild table partition",
    "coalesce table partition",
    "split table partition",
    "exchange table partition",
    "modify schema charset and collation",
];

/// One change with all names that it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTypes {
    pub(super) ddl: bool,
    names: Vec<&'static str>,
    /// Names that need the definitions were left out: those are not known.
    pub(super) uncompared: bool,
}

impl EventTypes {
    /// A change of rows: `insert`, `update` or `delete`.
    pub fn dml(name: &'static str) -> Self {
        EventTypes { ddl: false, names: vec![name], uncompared: false }
    }

    fn ddl(names: &[&'static str]) -> Self {
        EventTypes { ddl: true, names: names.to_vec(), uncompared: false }
    }

    fn add(&mut self, name: &'static str) {
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }

    /// Whether an entry of `events` covers it, `None` if the entry says nothing about it.
    pub(super) fn covered_by(&self, entry: &str) -> Option<bool> {
        match entry {
            "all" => Some(true),
            "none" => Some(false),
            "all ddl" | "none ddl" => self.ddl.then_some(entry == "all ddl"),
            "all dml" | "none dml" => (!self.ddl).then_some(entry == "all dml"),
            "incompatible ddl changes" => self.names.iter().any(|n| INCOMPATIBLE.contains(n)).then_some(true),
            "create schema" => self.covered_by("create database"),
            "drop schema" => self.covered_by("drop database"),
            "alter schema" => self.covered_by("alter database"),
            "modify schema charset and collate" => self.covered_by("modify schema charset and collation"),
            "modify table charset and collate" => {
                let either = ["modify charset", "modify collation"].map(|n| self.covered_by(n));
                (!self.names.contains(&"modify column") && either.contains(&Some(true))).then_some(true)
            }
            "set default value" => self.covered_by("modify default value"),
            name => self.names.contains(&name).then_some(true),
        }
    }

    /// What a statement does, one entry for each specification of an ALTER TABLE. Empty for what is no DDL of tables or
    /// schemas. `models` are the table's definitions before and after the statement.
    pub fn of_statement(part: &DdlStatement, models: Option<(&TableModel, &TableModel)>) -> Vec<EventTypes> {
        let one = |names: &[&'static str]| vec![EventTypes::ddl(names)];
        match part.kind {
            DdlKind::CreateDatabase => one(&["create database"]),
            DdlKind::AlterDatabase => one(&["alter database", "modify schema charset and collation"]),
            DdlKind::DropDatabase => one(&["drop database"]),
            DdlKind::CreateTable | DdlKind::CreateTableLike | DdlKind::CreateTableSelect => {
                one(&["create table"])
            }
            DdlKind::DropTable => one(&["drop table"]),
            DdlKind::TruncateTable => one(&["truncate table"]),
            DdlKind::RenameTable => one(&["rename table"]),
            DdlKind::CreateIndex => one(&["create index"]),
            DdlKind::DropIndex => {
                let mut event = EventTypes::ddl(&["drop index"]);
                if let Ok(tokens) = tokenize(part.canonical(), SqlMode::default()) {
                    let mut c = Cursor::new(&tokens);
                    c.eat_words(&["DROP", "INDEX"]);
                    c.eat_words(&["IF", "EXISTS"]);
                    dropped_key(&mut event, c.eat_identifier().as_deref(), models);
                }
                vec![event]
            }
            DdlKind::AlterTable => alter(part.canonical(), models),
            _ => Vec::new(),
        }
    }
}

fn alter(sql: &str, models: Option<(&TableModel, &TableModel)>) -> Vec<EventTypes> {
    let whole = || vec![EventTypes::ddl(&["alter table"])];
    let Ok(tokens) = tokenize(sql, SqlMode::default()) else { return whole() };
    let mut c = Cursor::new(&tokens);
    while !c.at_end() && !c.eat_word("TABLE") {
        c.take();
    }
    c.eat_words(&["IF", "EXISTS"]);
    c.eat_identifier();
    if c.eat_punct('.') {
        c.eat_identifier();
    }
    let mut all = Vec::new();
    while !c.at_end() {
        let mut event = EventTypes::ddl(&["alter table"]);
        specification(&mut c, &mut event, models);
        all.push(event);
        c.skip_item();
        if !c.eat_punct(',') {
            c.take();
        }
    }
    if all.len() > 1 {
        all.iter_mut().for_each(|event| event.add("multi schema change"));
    }
    if all.is_empty() { whole() } else { all }
}

fn specification(c: &mut Cursor<'_, '_>, event: &mut EventTypes, models: Option<(&TableModel, &TableModel)>) {
    const INDEX: [&str; 6] = ["INDEX", "KEY", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"];
    const OPTIONS: [(&[&str], &str); 16] = [
        (&["TRUNCATE", "PARTITION"], "truncate table partition"),
        (&["REORGANIZE", "PARTITION"], "reorganize table partition"),
        (&["REBUILD", "PARTITION"], "rebuild table partition"),
        (&["COALESCE", "PARTITION"], "coalesce table partition"),
        (&["EXCHANGE", "PARTITION"], "exchange table partition"),
        (&["REMOVE", "PARTITIONING"], "remove table partitioning"),
        (&["PARTITION", "BY"], "alter table partitioning"),
        (&["COMMENT"], "modify table comment"),
        (&["ENGINE"], "modify storage engine"),
        (&["AUTO_INCREMENT"], "rebase auto id"),
        (&["CONVERT", "TO"], "modify charset"),
        (&["CHARACTER"], "modify charset"),
        (&["CHARSET"], "modify charset"),
        (&["COLLATE"], "modify collation"),
        (&["DEFAULT", "COLLATE"], "modify collation"),
        (&["DEFAULT"], "modify charset"),
    ];
    if c.eat_word("ADD") {
        if c.eat_word("CONSTRAINT") && !c.is_any_word(&["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]) {
            c.eat_identifier();
        }
        match () {
            () if c.is_word("PARTITION") => event.add("add table partition"),
            () if c.is_word("PRIMARY") => event.add("add primary key"),
            () if c.is_word("FOREIGN") => event.add("add foreign key"),
            () if c.is_word("CHECK") => event.add("modify constraint"),
            () if c.is_any_word(&INDEX) => event.add("create index"),
            () => event.add("add column"),
        }
    } else if c.eat_word("DROP") {
        match () {
            () if c.is_word("PARTITION") => event.add("drop table partition"),
            () if c.is_word("PRIMARY") => event.add("drop primary key"),
            () if c.is_word("FOREIGN") => event.add("drop foreign key"),
            () if c.is_any_word(&["CHECK", "CONSTRAINT"]) => event.add("modify constraint"),
            () if c.eat_any_word(&["INDEX", "KEY"]) => {
                event.add("drop index");
                c.eat_words(&["IF", "EXISTS"]);
                dropped_key(event, c.eat_identifier().as_deref(), models);
            }
            () => event.add("drop column"),
        }
    } else if c.eat_word("RENAME") {
        match () {
            () if c.is_word("COLUMN") => event.add("rename column"),
            () if c.is_any_word(&["INDEX", "KEY"]) => event.add("rename index"),
            () => event.add("rename table"),
        }
    } else if c.is_any_word(&["MODIFY", "CHANGE"]) {
        let change = c.eat_word("CHANGE") || !c.eat_word("MODIFY");
        c.eat_word("COLUMN");
        c.eat_words(&["IF", "EXISTS"]);
        event.add("modify column");
        let old = c.eat_identifier();
        let new = if change { c.eat_identifier() } else { old.clone() };
        if let (Some(old), Some(new)) = (old, new) {
            if old.to_lowercase() != new.to_lowercase() {
                event.add("rename column");
            }
            compare(event, &old, &new, models);
        }
    } else if c.eat_word("ALTER") {
        if c.is_any_word(&["INDEX", "KEY"]) {
            event.add("alter index visibility");
        } else if c.is_any_word(&["CHECK", "CONSTRAINT"]) {
            event.add("modify constraint");
        } else {
            event.add("modify default value");
        }
    } else if let Some((_, name)) = OPTIONS.iter().find(|(words, _)| c.is_words(words)) {
        event.add(name);
    }
}

fn dropped_key(event: &mut EventTypes, name: Option<&str>, models: Option<(&TableModel, &TableModel)>) {
    match (models, name) {
        (Some((before, _)), Some(name)) => {
            if before.keys.iter().any(|k| k.unique && k.name.eq_ignore_ascii_case(name)) {
                event.add("drop unique key");
            }
        }
        _ => event.uncompared = true,
    }
}

fn compare(event: &mut EventTypes, old: &str, new: &str, models: Option<(&TableModel, &TableModel)>) {
    let columns = models.and_then(|(before, after)| {
        let place = |m: &TableModel, n: &str| m.columns.iter().position(|c| c.is_named(n));
        let (i, j) = (place(before, old)?, place(after, new)?);
        Some((&before.columns[i], &after.columns[j], i != j && before.columns.len() == after.columns.len()))
    });
    let Some((a, b, moved)) = columns else {
        event.uncompared = true;
        return;
    };
    if narrower(a, b) {
        event.add("value range decrease");
    }
    let digits = |c: &Column| match c.ty.kind {
        TypeKind::Decimal => c.ty.decimals.unwrap_or(0),
        TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp => c.ty.length.unwrap_or(0),
        TypeKind::Double => 2,
        TypeKind::Float => 1,
        _ => 0,
    };
    if digits(a) > digits(b) {
        event.add("precision decrease");
    }
    let facts = [
        (a.default != b.default, "modify default value"),
        (moved, "modify columns order"),
        (a.charset != b.charset, "modify charset"),
        (a.collation != b.collation, "modify collation"),
        (a.auto_increment && !b.auto_increment, "remove auto increment"),
    ];
    facts.into_iter().filter(|(holds, _)| *holds).for_each(|(_, name)| event.add(name));
}

/// Some value of the column before has no place in it after, as far as types tell.
fn narrower(a: &Column, b: &Column) -> bool {
    use TypeKind::*;
    let rank = |kind| match kind {
        TinyInt => 1u64,
        SmallInt => 2,
        MediumInt => 3,
        Int => 4,
        BigInt => 8,
        TinyText | TinyBlob => 0xff,
        Text | Blob => 0xffff,
        MediumText | MediumBlob => 0xff_ffff,
        LongText | LongBlob => u64::from(u32::MAX),
        _ => 0,
    };
    let (ka, kb) = (a.ty.kind, b.ty.kind);
    let sized = |k: TypeKind| rank(k) > 8;
    match () {
        () if ka.is_integer() && kb.is_integer() => a.ty.unsigned != b.ty.unsigned || rank(ka) > rank(kb),
        () if sized(ka) && sized(kb) => rank(ka) > rank(kb),
        () if ka != kb && !matches!((ka, kb), (Char, VarChar) | (Binary, VarBinary) | (Float, Double)) => {
            true
        }
        () if matches!(ka, Enum | Set) => a.ty.labels.iter().any(|l| !b.ty.labels.contains(l)),
        () if matches!(ka, Decimal) => {
            let whole = |c: &Column| c.ty.length.unwrap_or(10).saturating_sub(c.ty.decimals.unwrap_or(0));
            a.ty.unsigned != b.ty.unsigned || whole(a) > whole(b)
        }
        () if matches!(ka, Time | DateTime | Timestamp) => false,
        () => a.ty.length.unwrap_or(1) > b.ty.length.unwrap_or(1),
    }
}

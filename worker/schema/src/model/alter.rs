//! Changes to a model: ALTER TABLE, CREATE INDEX, DROP INDEX.

use super::column_parser::{charset_word, name, syntax};
use super::error::ModelError;
use super::table::TableModel;
use super::types_parser::to_binary;
use crate::charset::{charset_of_collation, longest_character, normalise_charset, normalise_collation};
use crate::lex::{Cursor, tokenize};
use crate::name::TableName;
use crate::sql_mode::SqlMode;

/// First words of specifications that change nothing the model holds.
const SKIPPED: [&str; 54] = [
    "ALGORITHM",
    "LOCK",
    "FORCE",
    "ORDER",
    "ENABLE",
    "DISABLE",
    "COMMENT",
    "AUTO_INCREMENT",
    "ROW_FORMAT",
    "KEY_BLOCK_SIZE",
    "STATS_PERSISTENT",
    "STATS_AUTO_RECALC",
    "STATS_SAMPLE_PAGES",
    "PARTITION",
    "REORGANIZE",
    "COALESCE",
    "TRUNCATE",
    "REMOVE",
    "REBUILD",
    "OPTIMIZE",
    "ANALYZE",
    "CHECK",
    "REPAIR",
    "MAX_ROWS",
    "MIN_ROWS",
    "AVG_ROW_LENGTH",
    "CHECKSUM",
    "PACK_KEYS",
    "DELAY_KEY_WRITE",
    "COMPRESSION",
    "ENCRYPTION",
    "INSERT_METHOD",
    "TABLESPACE",
    "CONNECTION",
    "WITH",
    "WITHOUT",
    "SECONDARY_LOAD",
    "SECONDARY_UNLOAD",
    "SECONDARY_ENGINE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "ENGINE_ATTRIBUTE",
    "AUTOEXTEND_SIZE",
    "PAGE_CHECKSUM",
    "PAGE_COMPRESSED",
    "PAGE_COMPRESSION_LEVEL",
    "TRANSACTIONAL",
    "ENCRYPTED",
    "ENCRYPTION_KEY_ID",
    "ITEF_QUOTES",
    "DATA",
    "INDEX",
    "PASSWORD",
    "STORAGE",
    "UNION",
];

/// An ALTER TABLE is one change, whatever the order of its specifications. The server takes them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Keys and constraints go, so that others can have their names.
    Drops,
    /// Options: new columns inherit from them. The table's own name.
    Options,
    /// Columns that are there: all of them are named as they were before the statement.
    Columns,
    /// New columns, and those that move; `AFTER` names columns as they are now.
    Places,
    /// Keys, and the foreign keys that they may serve.
    Keys,
    ForeignKeys,
}

impl Pass {
    const ALL: [Pass; 6] =
        [Pass::Drops, Pass::Options, Pass::Columns, Pass::Places, Pass::Keys, Pass::ForeignKeys];

    /// The pass of the specification that starts here.
    fn of(c: &Cursor<'_, '_>) -> Pass {
        let mut c = c.clone();
        if c.eat_word("DROP") {
            let keys = ["INDEX", "KEY", "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK"];
            return if c.is_any_word(&keys) { Pass::Drops } else { Pass::Columns };
        }
        if c.is_any_word(&["MODIFY", "CHANGE"]) || c.is_words(&["RENAME", "COLUMN"]) {
            return Pass::Columns;
        }
        if c.is_any_word(&["ADD", "ALTER"])
            || c.is_words(&["RENAME", "INDEX"])
            || c.is_words(&["RENAME", "KEY"])
        {
            return Pass::Keys;
        }
        Pass::Options
    }
}

impl TableModel {
    /// Applies ALTER TABLE, CREATE INDEX or DROP INDEX to the model. A clause that is not known is an error and leaves
    /// the model as it was. RENAME TO changes the name.
    pub fn apply_alter(&mut self, sql: &str, mode: SqlMode) -> Result<(), ModelError> {
        let tokens = tokenize(sql, mode)?;
        let mut next = self.clone();
        next.apply(sql, &mut Cursor::new(&tokens), mode)?;
        *self = next;
        Ok(())
    }

    fn apply(&mut self, sql: &str, c: &mut Cursor<'_, '_>, mode: SqlMode) -> Result<(), ModelError> {
        if c.eat_word("CREATE") {
            return self.create_index(c);
        }
        if c.eat_word("DROP") {
            c.eat_any_word(&["ONLINE", "OFFLINE"]);
            if !c.eat_word("INDEX") {
                return Err(syntax(c, "DROP INDEX was expected"));
            }
            let if_exists = c.eat_words(&["IF", "EXISTS"]);
            let key = name(c)?;
            return self.drop_key(&key, if_exists);
        }
        if !c.eat_word("ALTER") {
            return Err(syntax(c, "ALTER TABLE was expected"));
        }
        c.eat_any_word(&["ONLINE", "OFFLINE"]);
        c.eat_word("IGNORE");
        if !c.eat_word("TABLE") {
            return Err(syntax(c, "ALTER TABLE was expected"));
        }
        c.eat_words(&["IF", "EXISTS"]);
        name(c)?;
        if c.eat_punct('.') {
            name(c)?;
        }
        if c.eat_word("WAIT") {
            c.take();
        } else {
            c.eat_word("NOWAIT");
        }
        let start = c.index();
        let mut changes = super::alter_columns::Changes::of(self);
        for pass in Pass::ALL {
            if pass == Pass::Places {
                changes.settle(self)?;
            }
            c.go_to(start);
            while !c.at_end() && !c.is_punct(';') {
                if names_list(c) {
                    break;
                }
                self.specification(sql, c, mode, pass, &mut changes)?;
                c.skip_item();
                if !c.eat_punct(',') {
                    break;
                }
            }
        }
        Ok(())
    }

    fn specification(
        &mut self,
        sql: &str,
        c: &mut Cursor<'_, '_>,
        mode: SqlMode,
        pass: Pass,
        changes: &mut super::alter_columns::Changes,
    ) -> Result<(), ModelError> {
        let own = Pass::of(c);
        match pass {
            Pass::Drops | Pass::Options if own != pass => Ok(()),
            Pass::Drops => {
                c.take();
                self.drop_named(c)
            }
            Pass::Options => self.options_changed(c),
            Pass::Columns if own == pass => changes.existing(self, sql, c, mode),
            Pass::Places if c.is_any_word(&["MODIFY", "CHANGE"]) => changes.place(self, c),
            Pass::Places if c.is_word("ADD") => changes.add(self, sql, c, mode),
            Pass::Keys if own == pass && !c.is_word("ADD") => {
                if c.eat_word("RENAME") {
                    return self.rename_key(c);
                }
                c.take();
                self.alter_part(sql, c)
            }
            Pass::Keys | Pass::ForeignKeys => changes.keys(self, pass == Pass::ForeignKeys),
            _ => Ok(()),
        }
    }

    /// Options may follow one another without commas.
    fn options_changed(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        if c.eat_word("RENAME") {
            return self.rename_to(c);
        }
        if c.is_words(&["CONVERT", "TO"]) {
            self.convert(c)?;
        } else if c.is_any_word(&["EXCHANGE", "DISCARD", "IMPORT"]) || c.is_word("CONVERT") {
            return Ok(());
        }
        while !c.at_end() && !c.is_punct(',') {
            if self.option(c)? {
                continue;
            }
            // `name = value` of an engine, as MariaDB has it, means nothing to rows either.
            if c.is_any_word(&SKIPPED) || c.peek_at(1).is_some_and(|t| t.is_punct('=')) {
                c.skip_item_options();
            } else {
                return Err(syntax(c, "a change that is not known"));
            }
        }
        Ok(())
    }

    fn rename_to(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        if !c.eat_any_word(&["TO", "AS"]) {
            c.eat_punct('=');
        }
        let mut target = TableName::new(self.name.schema.clone(), name(c)?);
        if c.eat_punct('.') {
            target = TableName::new(target.table, name(c)?);
        }
        self.name = target;
        Ok(())
    }

    /// `CONVERT TO CHARACTER SET x [COLLATE y]`: every string column follows.
    fn convert(&mut self, c: &mut Cursor<'_, '_>) -> Result<(), ModelError> {
        c.go_to(c.index() + 2);
        if !c.eat_words(&["CHARACTER", "SET"]) && !c.eat_word("CHARSET") {
            return Err(syntax(c, "CHARACTER SET was expected"));
        }
        let charset = normalise_charset(&charset_word(c)?);
        let mut collation = None;
        if c.eat_word("COLLATE") {
            c.eat_punct('=');
            collation = Some(normalise_collation(&charset_word(c)?));
        }
        // DEFAULT means the schema's, which the model does not know.
        let charset = match (&collation, charset.as_str()) {
            (Some(collation), _) => charset_of_collation(collation).map(str::to_owned).or(Some(charset)),
            (None, "default") => None,
            (None, _) => Some(charset),
        };
        for column in self.columns.iter_mut().filter(|c| c.ty.kind.has_charset()) {
            if let (Some(old), Some(new)) = (&column.charset, &charset) {
                column.ty.kind = column.ty.kind.converted(longest_character(old), longest_character(new));
            }
            column.charset.clone_from(&charset);
            column.collation.clone_from(&collation);
            if charset.as_deref() == Some("binary") {
                to_binary(column);
            }
        }
        self.charset = charset;
        self.collation = collation;
        Ok(())
    }
}

/// Operations on partitions, and ORDER BY, go on to the end with lists of their own and change nothing here.
fn names_list(c: &Cursor<'_, '_>) -> bool {
    const VERBS: [&str; 13] = [
        "ADD",
        "DROP",
        "TRUNCATE",
        "REORGANIZE",
        "COALESCE",
        "REBUILD",
        "OPTIMIZE",
        "ANALYZE",
        "CHECK",
        "REPAIR",
        "EXCHANGE",
        "DISCARD",
        "IMPORT",
    ];
    let partition = c.peek_at(1).is_some_and(|t| t.is_word("PARTITION"));
    (c.is_any_word(&VERBS) && partition) || c.is_words(&["PARTITION", "BY"]) || c.is_words(&["ORDER", "BY"])
}

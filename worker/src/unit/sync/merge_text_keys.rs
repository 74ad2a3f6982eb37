//! Keys of text as a server tells them apart, and the few statements that the writer has, as a server carries them out.
use dm_schema::collation::{Coding, Fold};

/// What keys are made of. Under collations that fold, each of 'ss', 'ß', 'SS' and 'sS ' may be one key, and so may the
/// rest of each line; of the prefixes too.
pub const TEXTS: [&str; 22] = [
    "", " ", "  ", //
    "a", "A", "á", "a ", "Á ", //
    "ss", "ß", "SS", "sS ", //
    "ssa", "ßa", "ßA", "sß", //
    "s", "s ", //
    "a b", "ab", "áB", "abc",
];

/// A row: id (the key), u (a unique key, or NULL), v.
pub type Row = (&'static str, Option<&'static str>, i64);

/// How a server tells keys apart.
#[derive(Debug, Clone, Copy)]
pub struct Collation {
    pub name: &'static str,
    /// Case and accents count, as do all differences in [`TEXTS`].
    exact: bool,
    /// Spaces at the end do not.
    pads: bool,
}

const UNICODE: Collation = Collation { name: "utf8mb4_unicode_ci", exact: false, pads: true };
const UCA_0900: Collation = Collation { name: "utf8mb4_0900_ai_ci", exact: false, pads: false };
const UCA_0900_CS: Collation = Collation { name: "utf8mb4_0900_as_cs", exact: true, pads: false };
const GENERAL: Collation = Collation { name: "utf8mb4_general_ci", exact: false, pads: true };
const BINARY: Collation = Collation { name: "utf8mb4_bin", exact: true, pads: true };

impl Collation {
    /// Equal for equal strings, and only for them: the folds keep all letters here, and say nothing of spaces.
    fn key(self, text: &str, prefix: usize) -> Vec<Vec<u8>> {
        let first: String = text.chars().take(prefix).collect();
        let text = if self.pads { first.trim_end_matches(' ') } else { first.as_str() };
        let word = |word: &str| {
            if self.exact {
                return word.as_bytes().to_vec();
            }
            let mut kept = Vec::new();
            Fold::of(self.name).unwrap().push(Coding::Utf8, word.as_bytes(), &mut kept);
            kept
        };
        text.split(' ').map(word).collect()
    }
}

/// Keys of a table: the id, and of `u` so many characters.
#[derive(Debug, Clone, Copy)]
pub struct Keys {
    pub id: Collation,
    pub u: Collation,
    pub prefix: usize,
}

/// No prefix.
pub const ALL: usize = 99;
pub const KEYS: [Keys; 5] = [
    Keys { id: UNICODE, u: UNICODE, prefix: 2 },
    Keys { id: UCA_0900, u: UCA_0900_CS, prefix: 1 },
    Keys { id: UCA_0900_CS, u: UCA_0900, prefix: ALL },
    Keys { id: GENERAL, u: BINARY, prefix: 2 },
    Keys { id: BINARY, u: GENERAL, prefix: ALL },
];

impl Keys {
    pub fn same_id(&self, a: &str, b: &str) -> bool {
        self.id.key(a, ALL) == self.id.key(b, ALL)
    }

    fn same_u(&self, a: Option<&str>, b: Option<&str>) -> bool {
        a.zip(b).is_some_and(|(a, b)| self.u.key(a, self.prefix) == self.u.key(b, self.prefix))
    }

    /// Adds a row, as a server does: refused where it meets a key in use.
    pub fn insert(&self, rows: &mut Vec<Row>, row: Row) -> Result<(), String> {
        if let Some(other) = rows.iter().find(|r| self.same_id(r.0, row.0) || self.same_u(r.1, row.1)) {
            return Err(format!("{row:?} meets {other:?}"));
        }
        rows.push(row);
        Ok(())
    }
}

/// A literal; `None` for NULL.
fn text(literal: &str) -> Option<&'static str> {
    let (_, rest) = literal.split_once('\'')?;
    let (inner, _) = rest.split_once('\'').unwrap();
    Some(TEXTS.into_iter().find(|t| *t == inner).unwrap_or_else(|| panic!("{literal}")))
}

/// Carries out the few forms that the writer has, as a server would.
pub fn execute(target: &mut [Vec<Row>], sql: &str) -> Result<usize, String> {
    let number = sql.split_once("`d`.`t").unwrap().1.chars().next().unwrap();
    let number = number.to_digit(10).unwrap() as usize;
    let (keys, rows) = (&KEYS[number], &mut target[number]);
    let failed = |why: String| format!("{why}: {sql}");
    if let Some(values) = sql.split(") VALUES ").nth(1).filter(|_| sql.starts_with("INSERT")) {
        let tuples: Vec<Vec<&str>> =
            values.trim_matches(['(', ')']).split("),(").map(|t| t.split(',').collect()).collect();
        for t in &tuples {
            let row = (text(t[0]).unwrap(), text(t[1]), t[2].parse().unwrap());
            keys.insert(rows, row).map_err(failed)?;
        }
        return Ok(tuples.len());
    }
    let (head, condition) = sql.split_once(" WHERE ").unwrap();
    // A column is compared as its collation says, unless both sides are cast to bytes.
    let meets = |row: &Row, condition: &str| {
        let inner = condition.strip_prefix('(').and_then(|c| c.strip_suffix(')')).unwrap_or(condition);
        inner.split(" AND ").all(|c| match c.split_once('=').unwrap_or((c, "")) {
            ("`id`", v) => keys.same_id(row.0, text(v).unwrap()),
            ("CAST(`id` AS BINARY)", v) => row.0 == text(v).unwrap(),
            ("CAST(`u` AS BINARY)", v) => row.1 == text(v),
            ("`u` IS NULL", _) => row.1.is_none(),
            ("`v`", v) => v.parse() == Ok(row.2),
            other => panic!("{other:?}"),
        })
    };
    let any = |row: &Row| condition.split(" OR ").any(|c| meets(row, c));
    let found: Vec<Row> = rows.iter().copied().filter(any).collect();
    if sql.starts_with("DELETE") {
        rows.retain(|row| !any(row));
        return Ok(found.len());
    }
    let sets = head.split_once(" SET ").unwrap().1;
    for row in &found {
        rows.retain(|r| r != row);
        let mut new = *row;
        for set in sets.split(",`") {
            let (name, value) = set.split_once('=').unwrap();
            let value = match value.strip_prefix("CASE WHEN ") {
                Some(case) => {
                    let mut whens = case
                        .trim_end_matches(" END")
                        .split(" WHEN ")
                        .map(|when| when.split_once(" THEN ").unwrap());
                    whens.find(|(when, _)| meets(row, when)).unwrap().1
                }
                None => value,
            };
            match name.trim_matches('`') {
                "id" => new.0 = text(value).unwrap(),
                "u" => new.1 = text(value),
                _ => new.2 = value.parse().unwrap(),
            }
        }
        keys.insert(rows, new).map_err(failed)?;
    }
    Ok(found.len())
}

/// The keys of the test are what is said of them.
#[test]
fn keys_are_told_apart_as_servers_do() {
    let same = |c: Collation, a: &str, b: &str, prefix| c.key(a, prefix) == c.key(b, prefix);
    for (collation, a, b, equal) in [
        (UNICODE, "ß", "SS", true),
        (UNICODE, "a", "Á ", true),
        (UCA_0900, "a", "a ", false),
        (UCA_0900, "ß", "sS", true),
        (UCA_0900_CS, "ß", "ss", false),
        (GENERAL, "ß", "s ", true),
        (GENERAL, "ß", "ss", false),
        (BINARY, "a", "a ", true),
        (BINARY, "a", "A", false),
        (UNICODE, "a b", "ab", false),
    ] {
        assert_eq!(same(collation, a, b, ALL), equal, "{collation:?} {a:?} {b:?}");
    }
    assert!(same(UNICODE, "ßab", "ssab", ALL) && !same(UNICODE, "ßab", "ssab", 2));
    assert!(same(UNICODE, "ssa", "ssb", 2) && !same(UNICODE, "ssa", "ssb", ALL));
}

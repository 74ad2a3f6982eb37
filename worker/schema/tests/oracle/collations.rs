//! Both servers are asked for the weight of every character under every collation that conflict tokens know, and what
//! [`Fold`] keeps has to follow from the weights.
//!
//! `RAFT_DM_WRITE_FOLDS=1` writes `src/collation/folds.tsv` anew from the servers' answers.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use dm_schema::collation::{COLLATIONS, Coding, Fold};
use dm_tests::{Database, DatabaseOptions, Flavor};
use mysql_async::Conn;
use mysql_async::prelude::Queryable as _;
use rand::{Rng as _, SeedableRng as _};

use crate::weights::{Kept, Weights, charset, is_ideograph, kept_of, table_text, unit, units};

/// Of each family of folds: a collation with primary weights only, and who has it.
const FAMILIES: [(Fold, &str, Flavor); 7] = [
    (Fold::Uca900, "utf8mb4_0900_ai_ci", Flavor::MySql),
    (Fold::Uca1400, "utf8mb4_uca1400_ai_ci", Flavor::MariaDb),
    (Fold::Uca520, "utf8mb4_unicode_520_ci", Flavor::MySql),
    (Fold::Uca400, "utf8mb4_unicode_ci", Flavor::MySql),
    (Fold::General, "utf8mb4_general_ci", Flavor::MySql),
    (Fold::Swedish, "latin1_swedish_ci", Flavor::MySql),
    (Fold::German1, "latin1_german1_ci", Flavor::MySql),
];

/// Signs that may melt with the letter before them.
const MARKS: [(u32, u32); 10] = [
    (0xb7, 0xb7),
    (0x300, 0x36f),
    (0x387, 0x387),
    (0x483, 0x489),
    (0x1ab0, 0x1aff),
    (0x1dc0, 0x1dff),
    (0x20d0, 0x20ff),
    (0x3099, 0x309a),
    (0xfe20, 0xfe2f),
    (0x1d165, 0x1d169),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folds_follow_from_the_weights() -> Result<()> {
    let options = DatabaseOptions { gtid: false, binlog: false, ..DatabaseOptions::default() };
    let (mysql, mariadb) = tokio::try_join!(
        Database::start(Flavor::MySql, options.clone()),
        Database::start(Flavor::MariaDb, options)
    )?;
    let (mut my, mut maria) = (Asked::open(&mysql).await?, Asked::open(&mariadb).await?);
    tokio::try_join!(my.fill(), maria.fill())?;
    let mut columns = Vec::new();
    for (_, collation, flavor) in FAMILIES {
        let asked = if flavor == Flavor::MySql { &mut my } else { &mut maria };
        columns.push(kept_of(&asked.weights(collation).await?, unit(collation)));
    }
    let table = table_text(&columns);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/collation/folds.tsv");
    if std::env::var_os("RAFT_DM_WRITE_FOLDS").is_some() {
        std::fs::write(path, &table)?;
    }
    ensure!(
        table == include_str!("../../src/collation/folds.tsv"),
        "the servers' weights give another table"
    );
    let (one, two) = tokio::try_join!(my.judge(), maria.judge())?;
    let never: Vec<_> = names().filter(|n| !one.contains(n) && !two.contains(n)).collect();
    ensure!(never.is_empty(), "no server has {never:?}");
    // It would be seen: 'á' is 'a', 'ß' is one letter or two, and what UCA 9 knows UCA 4 does not.
    for (fold, collation) in [
        (Fold::Ascii, "utf8mb4_general_ci"),
        (Fold::General, "utf8mb4_unicode_520_ci"),
        (Fold::Uca900, "utf8mb4_unicode_ci"),
        (Fold::Swedish, "latin1_german1_ci"),
        (Fold::Ascii, "gbk_chinese_ci"),
    ] {
        ensure!(my.judge_one(fold, collation).await.is_err(), "{fold:?} passes for {collation}");
    }
    println!("{} collations on MySQL, {} on MariaDB", one.len(), two.len());
    Ok(())
}

fn names() -> impl Iterator<Item = &'static str> {
    COLLATIONS.iter().flat_map(|(_, names)| names.iter().copied())
}

/// One server, and what it was asked already.
struct Asked {
    conn: Conn,
    flavor: Flavor,
}

impl Asked {
    async fn open(database: &Database) -> Result<Self> {
        let mut conn = database.conn().await?;
        conn.query_drop("SET NAMES utf8mb4").await?;
        Ok(Asked { conn, flavor: database.flavor() })
    }

    /// All characters of the first three planes that have some, and the tags.
    async fn fill(&mut self) -> Result<()> {
        for sql in [
            "CREATE DATABASE w",
            "USE w",
            "CREATE TABLE chars (n INT PRIMARY KEY, c VARCHAR(1) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL)",
            "CREATE TABLE pairs (n INT PRIMARY KEY, a VARCHAR(60) CHARACTER SET utf8mb4, b VARCHAR(60) CHARACTER SET utf8mb4)",
        ] {
            self.conn.query_drop(sql).await?;
        }
        let all: Vec<u32> = (0..0xd800).chain(0xe000..0x32000).chain(0xe0000..0xe0200).collect();
        for some in all.chunks(5000) {
            let rows: Vec<String> = some.iter().map(|n| format!("({n},CHAR({n} USING utf32))")).collect();
            self.conn.query_drop(format!("INSERT INTO chars VALUES {}", rows.join(","))).await?;
        }
        Ok(())
    }

    /// Weights in hexadecimal, of the characters that the charset has.
    async fn weights(&mut self, collation: &str) -> Result<Weights> {
        let charset = charset(collation);
        let text = format!("CONVERT(c USING {charset})");
        let sql = format!(
            "SELECT n, HEX(WEIGHT_STRING({text} COLLATE {collation})) FROM chars \
             WHERE CONVERT({text} USING utf8mb4) COLLATE utf8mb4_bin = c"
        );
        let rows: Vec<(u32, String)> = self.conn.query(sql).await.with_context(|| collation.to_owned())?;
        Ok(rows.into_iter().collect())
    }

    async fn has(&mut self, collation: &str) -> Result<bool> {
        let sql = format!("SELECT CONVERT('a' USING {}) COLLATE {collation}", charset(collation));
        match self.conn.query_drop(sql).await {
            Ok(()) => Ok(true),
            // Unknown collation.
            Err(mysql_async::Error::Server(e)) if e.code == 1273 => Ok(false),
            Err(error) => Err(error).context(collation.to_owned()),
        }
    }

    /// Tries every collation that the server has; gives them.
    async fn judge(&mut self) -> Result<Vec<&'static str>> {
        let mut had = Vec::new();
        for (fold, names) in COLLATIONS {
            for name in *names {
                if !self.has(name).await? {
                    continue;
                }
                had.push(*name);
                self.judge_one(*fold, name).await.with_context(|| format!("{name} of {:?}", self.flavor))?;
            }
        }
        Ok(had)
    }

    async fn judge_one(&mut self, fold: Fold, collation: &'static str) -> Result<()> {
        let weights = self.weights(collation).await?;
        ensure!(weights.len() >= 128, "{} characters", weights.len());
        let kept = |n: u32| fold_text(fold, collation, &char::from_u32(n).unwrap().to_string());
        // Equal characters keep the same.
        let mut by_weight: HashMap<&str, (u32, String)> = HashMap::new();
        for (n, weight) in &weights {
            let (other, text) = by_weight.entry(weight).or_insert_with(|| (*n, kept(*n)));
            ensure!(
                *text == kept(*n),
                "U+{n:04X} equals U+{other:04X} and keeps {:?}, not {text:?}",
                kept(*n)
            );
        }
        // Accents and case come after the letters: they only tell more apart.
        let levels = collation.contains("_as_") || collation.ends_with("_cs");
        if levels && charset(collation).starts_with("utf8") {
            let letters = collation.replace("_as_", "_ai_").replace("_cs", "_ci");
            let first = self.weights(&letters).await?;
            for (n, weight) in &weights {
                ensure!(weight.starts_with(&first[n]), "U+{n:04X}: {weight}, letters {}", first[n]);
            }
        } else if fold != Fold::Gbk {
            self.expansions(fold, collation, &weights).await?;
        }
        self.random_pairs(fold, collation).await
    }

    /// Characters of several weights keep what each of these keeps; so do texts of two characters whose weights are not
    /// those of the two.
    async fn expansions(&mut self, fold: Fold, collation: &str, weights: &Weights) -> Result<()> {
        let unit = unit(collation);
        let kept = |n: u32| fold_text(fold, collation, &char::from_u32(n).unwrap().to_string());
        let single = |n: &u32, w: &str| is_ideograph(*n) || units(w, unit).len() == 1;
        let known = weights
            .iter()
            .filter(|(n, w)| single(n, w))
            .map(|(n, w)| (units(w, unit), kept(*n)))
            .collect::<HashMap<_, _>>();
        let all = Kept { unit, known };
        for (n, weight) in weights {
            ensure!(
                all.of(weight) == kept(*n),
                "U+{n:04X} keeps {:?}, its weights {:?}",
                kept(*n),
                all.of(weight)
            );
        }
        // (The others differ from these in padding or in the charset.)
        if !FAMILIES.iter().any(|(_, name, _)| *name == collation) || unit == 0 {
            return Ok(());
        }
        let marks: Vec<String> = MARKS.iter().map(|(a, b)| format!("y.n BETWEEN {a} AND {b}")).collect();
        let letters: Vec<String> = weights
            .keys()
            .filter(|n| **n > 0x7f && !is_ideograph(**n) && !kept(**n).is_empty())
            .map(u32::to_string)
            .collect();
        let ascii = "x.n BETWEEN 48 AND 57 OR x.n BETWEEN 97 AND 122".to_owned();
        for (x, y) in
            [(ascii, "1".to_owned()), (format!("x.n IN ({})", letters.join(",")), marks.join(" OR "))]
        {
            let w = |text: &str| format!("WEIGHT_STRING({text} COLLATE {collation})");
            let (wx, wy) = (w("x.c"), w("y.c"));
            for (text, apart) in [
                ("CONCAT(x.c, y.c)", format!("CONCAT({wx}, {wy})")),
                ("CONCAT(y.c, x.c)", format!("CONCAT({wy}, {wx})")),
            ] {
                let sql = format!(
                    "SELECT {text}, HEX({both}) FROM chars x STRAIGHT_JOIN chars y \
                     WHERE ({x}) AND ({y}) AND {both} <> {apart}",
                    both = w(text)
                );
                let melted: Vec<(String, String)> = self.conn.query(sql).await?;
                for (text, weight) in &melted {
                    let ours = fold_text(fold, collation, text);
                    let theirs = all.of(weight);
                    ensure!(ours == theirs, "{text:?} keeps {ours:?}, its weights {theirs:?}");
                }
            }
        }
        Ok(())
    }

    /// The servers compare longer texts.
    async fn random_pairs(&mut self, fold: Fold, collation: &str) -> Result<()> {
        const ALPHABET: [&str; 40] = [
            "a", "A", "á", "Ä", "å", "æ", "ae", "s", "ss", "ß", "ẞ", "S", "o", "ø", "ö", "œ", "oe", "1", "١",
            "¹", "i", "ı", "İ", "ü", "y", "~", "-", "_", " ", "\u{ad}", "\u{301}", "中", "国", "é", "E", "l",
            "ł", "l\u{b7}", "n", "ñ",
        ];
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        let mut texts = Vec::new();
        for _ in 0..6000 {
            let length = random.random_range(1..4);
            let mut text =
                || (0..length).map(|_| ALPHABET[random.random_range(0..ALPHABET.len())]).collect::<String>();
            texts.push((text(), text()));
        }
        self.conn.query_drop("TRUNCATE pairs").await?;
        let rows: Vec<String> =
            texts.iter().enumerate().map(|(n, (a, b))| format!("({n},'{a}','{b}')")).collect();
        self.conn.query_drop(format!("INSERT INTO pairs VALUES {}", rows.join(","))).await?;
        let as_charset = |c| format!("CONVERT({c} USING {})", charset(collation));
        let there = |c| format!("CONVERT({} USING utf8mb4) COLLATE utf8mb4_bin = {c}", as_charset(c));
        let sql = format!(
            "SELECT n FROM pairs WHERE {} = {} COLLATE {collation} AND {} AND {}",
            as_charset("a"),
            as_charset("b"),
            there("a"),
            there("b")
        );
        let equal: Vec<usize> = self.conn.query(sql).await?;
        ensure!(!equal.is_empty(), "no pair is equal");
        for n in equal {
            let (a, b) = &texts[n];
            let (one, two) = (fold_text(fold, collation, a), fold_text(fold, collation, b));
            ensure!(one == two, "{a:?} equals {b:?}, and they keep {one:?} and {two:?}");
        }
        Ok(())
    }
}

/// Through the bytes that a column of the collation's charset has.
fn fold_text(fold: Fold, collation: &str, text: &str) -> String {
    let mut kept = Vec::new();
    match charset(collation) {
        // The oracle has no table of gbk: what is above ASCII is as good as any two bytes, and kept.
        "gbk" => text.chars().for_each(|c| match c {
            '\0'..='\x7f' => fold.push(Coding::Gbk, &[c as u8], &mut kept),
            _ => kept.extend_from_slice(c.to_string().as_bytes()),
        }),
        _ => fold.push(Coding::Utf8, text.as_bytes(), &mut kept),
    }
    String::from_utf8(kept).unwrap()
}

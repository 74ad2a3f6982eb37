//! Both servers evaluate expressions of filters over rows, and we the same over the rows' values.
use anyhow::{Context, Result};
use dm_binlog::Value;
use dm_schema::{Expression, SqlMode, TableDefaults, TableModel};
use dm_tests::{Database, DatabaseOptions, Flavor};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Row, Value as Sql};

use super::expression_computed::COMPUTED;
use super::expression_corpus::{COLUMNS, MORE, PATTERNS};
use super::expression_draw::Draw;

const OPERATORS: [&str; 8] = ["=", "<>", "!=", "<", "<=", ">", ">=", "<=>"];
/// Of 1000 answers, at most so many may be "undecided"; fewer are measured.
const MOST_UNDECIDED: usize = 140;
/// Expressions that are drawn; those that we refuse are not compared.
const DRAWN: usize = 4000;
/// At least so many of them are taken.
const LEAST_TAKEN: usize = 1000;

fn all() -> Vec<String> {
    let mut all: Vec<String> = MORE.iter().map(|e| (*e).to_owned()).collect();
    for column in COLUMNS {
        let name = column.name;
        for (n, literal) in column.literals.iter().enumerate() {
            for op in [OPERATORS[n % 8], OPERATORS[(n + 3) % 8], OPERATORS[(n + 5) % 8]] {
                all.push(format!("{name} {op} {literal}"));
            }
            all.push(format!("{literal} {} {name}", OPERATORS[(n + 4) % 8]));
        }
        // (Of other types it is refused.)
        let strings = column.literals.iter().all(|l| l.starts_with('\'') || *l == "NULL");
        let moment = ["da", "dt", "d3", "ti", "dz"].contains(&name);
        for (n, pattern) in PATTERNS.iter().enumerate().filter(|_| strings && !moment) {
            // Characters above ASCII are compared with utf8mb4 and bytes only.
            if ["l1", "lb", "bi"].contains(&name) && !pattern.is_ascii() {
                continue;
            }
            all.push(format!("{name} LIKE {pattern}"));
            if n % 3 == 0 {
                all.push(format!("{name} NOT LIKE {pattern}"));
            }
        }
        let texts = column.literals.iter().filter(|l| l.starts_with('\'')).copied();
        let numbers = column.literals.iter().filter(|l| !l.starts_with('\'')).copied();
        for list in [texts.collect::<Vec<_>>(), numbers.collect()] {
            for some in list.chunks(3).filter(|s| s.len() > 1) {
                all.push(format!("{name} IN ({})", some.join(", ")));
                all.push(format!("{name} NOT IN ({})", some.join(", ")));
                all.push(format!("{name} BETWEEN {} AND {}", some[0], some[1]));
                all.push(format!("{name} NOT BETWEEN {} AND {}", some[1], some[0]));
            }
        }
    }
    all
}

fn names(text: &str, flavor: Flavor) -> String {
    let [ci, nopad, cs] = match flavor {
        Flavor::MySql => ["utf8mb4_0900_ai_ci", "utf8mb4_0900_bin", "utf8mb4_0900_as_cs"],
        Flavor::MariaDb => ["utf8mb4_uca1400_ai_ci", "utf8mb4_nopad_bin", "utf8mb4_uca1400_as_cs"],
    };
    text.replace("@0900@", ci).replace("@nopad_bin@", nopad).replace("@as_cs@", cs)
}

/// As the decoder of row events gives it.
fn logged<'a>(column: &dm_schema::Column, value: &'a Sql) -> Result<Value<'a>> {
    use dm_schema::TypeKind::*;
    let fsp = column.ty.length.unwrap_or(0) as u8;
    Ok(match (column.ty.kind, value) {
        (_, Sql::NULL) => Value::Null,
        (Year, Sql::Int(y)) => Value::Year(u16::try_from(*y)?),
        (Year, Sql::UInt(y)) => Value::Year(u16::try_from(*y)?),
        (_, Sql::Int(n)) if column.ty.unsigned => Value::UInt(u64::try_from(*n)?),
        (_, Sql::Int(n)) => Value::Int(*n),
        (_, Sql::UInt(n)) => Value::UInt(*n),
        (_, Sql::Float(x)) => Value::Float(*x),
        (_, Sql::Double(x)) => Value::Double(*x),
        (Bit, Sql::Bytes(b)) => Value::Bit(b.iter().fold(0, |n, b| n << 8 | u64::from(*b))),
        (Enum, Sql::Bytes(b)) => {
            let at =
                column.ty.labels.iter().position(|l| l.as_bytes() == b.as_slice()).context("no member")?;
            Value::Enum(at as u16 + 1)
        }
        // (Trailing zeros are not logged.)
        (Binary, Sql::Bytes(b)) => Value::Bytes(&b[..b.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1)]),
        (_, Sql::Bytes(b)) => Value::Bytes(b),
        (Date, Sql::Date(y, m, d, ..)) => Value::Date { y: *y, m: *m, d: *d },
        (_, Sql::Date(y, mo, d, h, mi, s, micros)) => {
            Value::DateTime { y: *y, mo: *mo, d: *d, h: *h, mi: *mi, s: *s, micros: *micros, fsp }
        }
        (_, Sql::Time(negative, days, h, m, s, micros)) => Value::Time {
            negative: *negative,
            h: u16::try_from(*days * 24 + u32::from(*h))?,
            m: *m,
            s: *s,
            micros: *micros,
            fsp,
        },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions_are_what_the_servers_make_of_them() -> Result<()> {
    let options = DatabaseOptions { gtid: false, binlog: false, ..DatabaseOptions::default() };
    let (mysql, mariadb) = tokio::try_join!(
        Database::start(Flavor::MySql, options.clone()),
        Database::start(Flavor::MariaDb, options)
    )?;
    for database in [&mysql, &mariadb] {
        compared(database).await?;
    }
    Ok(())
}

async fn compared(database: &Database) -> Result<()> {
    let flavor = database.flavor();
    let mut conn = database.conn().await?;
    conn.query_drop("SET NAMES utf8mb4").await?;
    conn.query_drop("SET sql_mode = ''").await?;
    let maria_11 =
        "SELECT COUNT(*) FROM information_schema.COLLATIONS WHERE COLLATION_NAME LIKE '%uca1400_ai_ci'";
    let uca1400: Option<u64> = conn.query_first(maria_11).await?;
    anyhow::ensure!(flavor == Flavor::MySql || uca1400 > Some(0), "a MariaDB without uca1400");
    conn.query_drop("CREATE DATABASE expressions").await?;
    conn.query_drop("USE expressions").await?;
    let columns: Vec<String> =
        COLUMNS.iter().map(|c| format!("{} {}", c.name, names(c.definition, flavor))).collect();
    conn.query_drop(format!("CREATE TABLE t (id INT PRIMARY KEY, {})", columns.join(", "))).await?;
    let rows = COLUMNS.iter().map(|c| c.values.len()).max().unwrap_or(0);
    for row in 0..rows {
        // (Another step for each column, so that values meet.)
        let values: Vec<&str> = COLUMNS
            .iter()
            .enumerate()
            .map(|(n, c)| c.values[(row + row / c.values.len() * n) % c.values.len()])
            .collect();
        conn.query_drop(format!("INSERT INTO t VALUES ({row}, {})", values.join(", "))).await?;
    }
    let create: Row = conn.query_first("SHOW CREATE TABLE t").await?.context("no table")?;
    let create: String = create.get(1).context("no text")?;
    let model =
        TableModel::parse_create(&create, SqlMode::default(), "expressions", &TableDefaults::default())?;
    let list: Vec<String> = model
        .columns
        .iter()
        // As stored, not in the session's character set.
        .map(|c| match c.charset.as_deref() {
            Some("latin1") => format!("CAST({} AS BINARY) AS {}", c.name, c.name),
            _ => c.name.clone(),
        })
        .collect();
    let stored: Vec<Row> = conn.exec(format!("SELECT {} FROM t ORDER BY id", list.join(", ")), ()).await?;
    let (mut answers, mut undecided, mut wrong) = (0, 0, Vec::new());
    let mut expressions = all();
    expressions.extend(COMPUTED.iter().map(|e| (*e).to_owned()));
    let sure = expressions.len();
    let mut draw = Draw::new();
    expressions.extend((0..DRAWN).map(|n| draw.condition(n % 3)));
    let (mut taken, mut errors, mut decided) = (0, 0, 0);
    for (number, text) in expressions.iter().enumerate() {
        let bound =
            Expression::parse(text).and_then(|e| e.bind(&model)).map_err(|e| anyhow::anyhow!("{text}: {e}"));
        let bound = match bound {
            Ok(bound) => {
                taken += usize::from(number >= sure);
                bound
            }
            Err(_) if number >= sure => continue,
            // One column of one's own type is no truth value for us.
            Err(error) if text == "dc" => {
                anyhow::ensure!(error.to_string().contains("neither true"));
                continue;
            }
            Err(error) => {
                wrong.push(format!("refused {error}"));
                continue;
            }
        };
        let select = format!("SELECT IF(({text}) IS NULL, NULL, IF(({text}), 1, 0)) FROM t");
        let theirs: Vec<Result<Option<i64>, String>> =
            match conn.query::<Option<i64>, _>(format!("{select} ORDER BY id")).await {
                Ok(all) => all.into_iter().map(Ok).collect(),
                // Such as an overflow of one row.
                Err(mysql_async::Error::Server(_)) => {
                    let mut each = Vec::new();
                    for id in 0..rows {
                        let one = conn.query_first(format!("{select} WHERE id = {id}")).await;
                        each.push(match one {
                            Ok(value) => Ok(value.context("no row")?),
                            Err(mysql_async::Error::Server(error)) => Err(error.message),
                            Err(error) => return Err(error.into()),
                        });
                    }
                    each
                }
                Err(error) => return Err(error.into()),
            };
        anyhow::ensure!(theirs.len() == rows && stored.len() == rows, "{text}: rows");
        for (theirs, row) in theirs.iter().zip(&stored) {
            let values: Vec<Option<Value<'_>>> = model
                .columns
                .iter()
                .enumerate()
                .map(|(n, c)| logged(c, row.as_ref(n).context("no value")?).map(Some))
                .collect::<Result<_>>()?;
            answers += 1;
            match (bound.value(&values), theirs) {
                (Err(_), Err(_)) => errors += 1,
                (Err(_), Ok(_)) => undecided += 1,
                // Where one side decides, we do not care for an overflow in the other.
                (Ok(_), Err(_)) if text.contains(" AND ") || text.contains(" OR ") => decided += 1,
                (Ok(ours), Ok(theirs)) if ours == theirs.map(|n| n == 1) => {}
                (ours, theirs) => {
                    let id = &values[0];
                    wrong.push(format!("{flavor:?} {text} of row {id:?} is {theirs:?}, not {ours:?}"));
                }
            }
        }
    }
    conn.disconnect().await?;
    println!(
        "{flavor:?}: {} expressions, {taken} of {DRAWN} drawn ones taken, {answers} answers, {undecided} undecided, {errors} \
         errors on both sides, {decided} of the server only",
        sure + taken
    );
    wrong.dedup();
    assert!(wrong.is_empty(), "{flavor:?}: {} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(taken >= LEAST_TAKEN && errors > 0, "{taken} taken, {errors} errors");
    assert!(
        expressions.len() > 900 && undecided * 1000 <= answers * MOST_UNDECIDED,
        "{undecided} of {answers}"
    );
    Ok(())
}

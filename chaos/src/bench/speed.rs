//! Rows per second of load and sync, beside `mariadb-dump | mariadb` and MariaDB's own replica, on the same data in one run.
use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use dm_tests::{Cluster, Database, Flavor, compare_databases, wait_until, within};
use mysql_async::{Conn, prelude::Queryable};
use tokio::process::Command;

use super::replica::{follow, position, replicate};
use crate::rig::{Rig, SOURCE, TASK};

const SCHEMA: &str = "bench";
const DEADLINE: Duration = Duration::from_secs(1200);
const TABLES: u32 = 4;
const CONNECTIONS: u32 = 4;
const CREATE: &str = "(id INT NOT NULL PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL, KEY k (k)) \
     ENGINE=InnoDB DEFAULT CHARSET=latin1";

/// One line of the table.
struct Figure {
    what: String,
    rows: u64,
    time: Duration,
}

/// Loads `rows` rows and follows as many row changes, ours and each rival one after another.
pub async fn run(rows: u32) -> Result<()> {
    // The same settings everywhere: relaxed flush, binlog on at every target.
    let rig = Rig::start_with((Flavor::MariaDb, Flavor::MariaDb), 3, 2, super::database()).await?;
    let logging = super::database().line("log-slave-updates=ON");
    let dump_target = Database::start(Flavor::MariaDb, logging).await?;
    let result = measure(&rig, &dump_target, rows).await;
    if result.is_err() {
        rig.cluster.keep();
    }
    let figures = result.with_context(|| rig.cluster.last_words())?;
    println!("{:<62} {:>10} {:>9} {:>12}", "", "rows", "seconds", "rows/s");
    for f in figures {
        let seconds = f.time.as_secs_f64();
        println!("{:<62} {:>10} {:>9.2} {:>12.0}", f.what, f.rows, seconds, f.rows as f64 / seconds);
    }
    Ok(())
}

async fn measure(rig: &Rig, replica: &Database, rows: u32) -> Result<Vec<Figure>> {
    let mut conn = rig.source.conn().await?;
    within(DEADLINE, "fill the source", fill(&mut conn, rows)).await?;
    let mut figures = Vec::new();

    let began = Instant::now();
    dump(&rig.source, replica).await?;
    figures.push(Figure {
        what: "load: mariadb-dump | mariadb".into(),
        rows: rows.into(),
        time: began.elapsed(),
    });
    // The rival's replica starts from this copy.
    let at = position(&mut conn, DEADLINE).await?;

    let began = Instant::now();
    rig.start_task(&[SCHEMA]).await?;
    rig.wait_syncing(DEADLINE).await?;
    figures.push(Figure {
        what: "load: ours, start-task to sync".into(),
        rows: rows.into(),
        time: began.elapsed(),
    });

    within(DEADLINE, "start MariaDB's replica", replicate(&rig.source, replica, &at)).await?;
    // Each backlog once with us and once with the rival.
    for (name, per_transaction, threads) in [("1 row", 1, 4), ("100 rows", 100, 1), ("100 rows", 100, 4)] {
        rig.cluster.dmctl(&["pause-task", TASK]).await?.success()?;
        let mut replica_conn = replica.conn().await?;
        within(DEADLINE, "stop MariaDB's replica", replica_conn.query_drop("STOP SLAVE")).await?;
        within(DEADLINE, "write the backlog", backlog(&rig.source, rows, per_transaction)).await?;
        let end = position(&mut conn, DEADLINE).await?;

        let began = Instant::now();
        rig.cluster.dmctl(&["resume-task", TASK]).await?.success()?;
        applied(&rig.cluster, &end).await?;
        figures.push(Figure {
            what: format!("sync, transactions of {name}: ours, 4 lanes"),
            rows: rows.into(),
            time: began.elapsed(),
        });
        let following = follow(&mut replica_conn, threads, &end, DEADLINE);
        let time = within(2 * DEADLINE, "MariaDB's replica", following).await?;
        let plural = if threads == 1 { "" } else { "s" };
        figures.push(Figure {
            what: format!("sync, transactions of {name}: MariaDB replica, {threads} thread{plural}"),
            rows: rows.into(),
            time,
        });
    }
    for target in [&rig.target, replica] {
        let compared = compare_databases(&rig.source, target, &[SCHEMA]);
        let diff = within(DEADLINE, "compare the databases", compared).await?;
        ensure!(diff.is_equal(), "not equal after the benchmark: {diff}");
    }
    Ok(figures)
}

async fn fill(conn: &mut Conn, rows: u32) -> Result<()> {
    conn.query_drop(format!("CREATE DATABASE {SCHEMA}")).await?;
    // The sequence engine's tables are looked for in the default database.
    conn.query_drop(format!("USE {SCHEMA}")).await?;
    for table in 0..TABLES {
        conn.query_drop(format!("CREATE TABLE {SCHEMA}.t{table} {CREATE}")).await?;
        conn.query_drop(format!(
            "INSERT INTO {SCHEMA}.t{table} SELECT seq, seq * 7 % 100003, REPEAT(MD5(seq), 3), MD5(seq + 1) FROM seq_1_to_{}",
            rows / TABLES
        ))
        .await?;
    }
    Ok(())
}

/// Updates by key, over several connections, `rows` row changes in all.
async fn backlog(source: &Database, rows: u32, per_transaction: u32) -> Result<()> {
    let writers = (0..CONNECTIONS).map(|writer| async move {
        let mut conn = source.conn().await?;
        let mut left = rows / CONNECTIONS;
        let mut first = 1;
        while left > 0 {
            let count = per_transaction.min(left);
            let last = first + count - 1;
            conn.query_drop(format!(
                "UPDATE {SCHEMA}.t{writer} SET k = k + 1, pad = MD5(k) WHERE id BETWEEN {first} AND {last}"
            ))
            .await?;
            left -= count;
            first = last + 1;
        }
        conn.disconnect().await?;
        anyhow::Ok(())
    });
    futures::future::try_join_all(writers).await.map(drop)
}

async fn applied(cluster: &Cluster, end: &str) -> Result<()> {
    wait_until(DEADLINE, "the backlog to be applied", || async {
        let status = cluster.subtask(TASK, SOURCE).await?;
        Ok(status.is_some_and(|s| s["sync"]["syncerBinlogGtid"] == end))
    })
    .await
}

async fn dump(source: &Database, target: &Database) -> Result<()> {
    let login = |db: &Database| {
        ["--protocol=tcp".into(), "-h127.0.0.1".into(), format!("-P{}", db.port()), "-uroot".into()]
    };
    let mut dump = Command::new("mariadb-dump")
        .args(login(source))
        .args(["--single-transaction", "--databases", SCHEMA])
        .env("MYSQL_PWD", source.root_password())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("run mariadb-dump")?;
    let out: Stdio = dump.stdout.take().context("no output of mariadb-dump")?.try_into()?;
    let mut load = Command::new("mariadb")
        .args(login(target))
        .env("MYSQL_PWD", target.root_password())
        .stdin(out)
        .kill_on_drop(true)
        .spawn()
        .context("run mariadb")?;
    let ended =
        tokio::time::timeout(DEADLINE, async { anyhow::Ok((dump.wait().await?, load.wait().await?)) });
    let (dumped, loaded) = ended.await.context("mariadb-dump takes too long")??;
    ensure!(dumped.success() && loaded.success(), "mariadb-dump ended with {dumped}, mariadb with {loaded}");
    Ok(())
}

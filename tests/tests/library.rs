//! The test library tested: real servers start, survive, are compared and cut off.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Result;
use dm_tests::{
    Database, DatabaseOptions, Flavor, HOST, Link, Network, Program, Proxy, Workload, WorkloadOptions,
    check_workload, compare_databases, wait_until, within,
};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder};

async fn survives_kill9(flavor: Flavor) -> Result<()> {
    let started = Instant::now();
    let mut db = Database::start(flavor, DatabaseOptions::default()).await?;
    println!("{} started in {:?}", flavor.name(), started.elapsed());
    db.run(&[
        "CREATE DATABASE a",
        "CREATE TABLE a.t (id INT PRIMARY KEY)",
        "INSERT INTO a.t VALUES (1), (2)",
    ])
    .await?;
    db.create_user("dm", "secret", "ALL").await?;
    mysql_async::Conn::new(db.opts_for("dm", "secret")).await?.disconnect().await?;
    let before = db.copy_datadir()?;
    db.run(&["INSERT INTO a.t VALUES (3)"]).await?;
    let old = db.pid()?;
    db.kill9()?;
    assert!(!std::path::Path::new(&format!("/proc/{old}")).exists());
    let started = Instant::now();
    db.restart().await?;
    println!("{} restarted in {:?}", flavor.name(), started.elapsed());
    let mut conn = db.conn().await?;
    assert_eq!(conn.query_first::<u64, _>("SELECT COUNT(*) FROM a.t").await?, Some(3));
    let format: (String, String) =
        conn.query_first("SELECT @@binlog_format, @@binlog_row_image").await?.unwrap();
    assert_eq!(format, ("ROW".to_owned(), "FULL".to_owned()));
    db.freeze()?;
    assert!(tokio::time::timeout(std::time::Duration::from_millis(200), conn.ping()).await.is_err());
    db.thaw()?;
    drop(conn);
    db.stop().await?;
    db.restore_datadir(&before)?;
    db.restart().await?;
    let mut conn = db.conn().await?;
    assert_eq!(conn.query_first::<u64, _>("SELECT COUNT(*) FROM a.t").await?, Some(2));
    Ok(())
}

#[tokio::test]
async fn mariadb_survives_kill9() -> Result<()> {
    survives_kill9(Flavor::MariaDb).await
}

#[tokio::test]
async fn mysql_survives_kill9() -> Result<()> {
    survives_kill9(Flavor::MySql).await
}

/// Whoever else has been given the port says nothing, or is another server: both are noticed.
#[tokio::test]
async fn a_stolen_port_is_noticed() -> Result<()> {
    let mut db = Database::start(Flavor::MariaDb, DatabaseOptions::default()).await?;
    db.kill9()?;
    let thief = std::net::TcpListener::bind(("127.0.0.1", db.port()))?;
    let error = tokio::time::timeout(Duration::from_secs(60), db.restart()).await?.unwrap_err();
    assert!(format!("{error:#}").contains("ended at start"), "{error:#}");
    drop(thief);
    db.restart().await?;
    let mut ports = std::collections::HashSet::new();
    assert!((0..200).all(|_| ports.insert(dm_tests::free_port())), "a port is given twice");
    Ok(())
}

/// Two servers with the same rows in another order.
async fn pair(a: Flavor, b: Flavor) -> Result<(Database, Database)> {
    let (source, target) = tokio::try_join!(
        Database::start(a, DatabaseOptions::default()),
        Database::start(b, DatabaseOptions { binlog: false, gtid: false, ..DatabaseOptions::default() })
    )?;
    let make = "CREATE TABLE c.t (a INT, b VARCHAR(20) CHARSET utf8mb4, f FLOAT, d DOUBLE, j JSON, y YEAR, t TIME(3), \
                x BIT(9), e ENUM('p','q'), n DECIMAL(20,5), g GEOMETRY)";
    let rows = [
        "(1,'a',0.1,1e-300,'{\"k\": 1, \"a\": [1,2]}',2020,'-10:00:00.5',b'101','p',1.5,ST_GeomFromText('POINT(1 2)'))",
        "(1,'a',0.1,1e-300,'{\"a\":[1,2],\"k\":1}',2020,'-10:00:00.5',b'101','p',1.5,ST_GeomFromText('POINT(1 2)'))",
        "(2,'A',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL)",
    ];
    let (there, back) = (rows.join(","), rows.iter().rev().copied().collect::<Vec<_>>().join(","));
    source.run(&["CREATE DATABASE c", make, &format!("INSERT INTO c.t VALUES {there}")]).await?;
    target.run(&["CREATE DATABASE c", make, &format!("INSERT INTO c.t VALUES {back}")]).await?;
    Ok((source, target))
}

#[tokio::test]
async fn comparison_finds_what_was_planted() -> Result<()> {
    let (source, target) = pair(Flavor::MariaDb, Flavor::MySql).await?;
    let diff = compare_databases(&source, &target, &["c"]).await?;
    assert!(diff.is_equal(), "{diff}");
    assert_eq!((diff.tables_compared, diff.rows_compared), (1, 3));
    for (change, source_rows, target_rows) in [
        ("UPDATE c.t SET b='á' WHERE a=2", 1, 1),
        ("UPDATE c.t SET b='A ', f=0.1 WHERE a=2", 1, 1),
        ("UPDATE c.t SET b='A', f=NULL WHERE a=2", 0, 0),
        ("DELETE FROM c.t WHERE a=1 LIMIT 1", 1, 0),
        ("INSERT INTO c.t SELECT * FROM c.t WHERE a=1", 0, 0),
        ("UPDATE c.t SET f=0.10000001, d=d*1.0000000001 WHERE a=1 LIMIT 1", 1, 1),
    ] {
        target.run(&[change]).await?;
        let diff = compare_databases(&source, &target, &["c"]).await?;
        let found = diff.tables.first().map_or((0, 0), |t| (t.only_in_source, t.only_in_target));
        assert_eq!(found, (source_rows, target_rows), "{change}\n{diff}");
    }
    target.run(&["CREATE TABLE c.more (a INT)", "ALTER TABLE c.t ADD COLUMN z INT"]).await?;
    let diff = compare_databases(&source, &target, &["c"]).await?;
    assert_eq!(diff.only_in_target, ["c.more"]);
    assert!(diff.tables[0].columns.is_some(), "{diff}");
    Ok(())
}

#[tokio::test]
async fn workload_writes_what_it_says() -> Result<()> {
    for flavor in Flavor::ALL {
        let mut db = Database::start(flavor, DatabaseOptions::default()).await?;
        let load = Workload::start(db.opts(), WorkloadOptions::default()).await?;
        wait_until(Duration::from_secs(60), "200 transactions", async || Ok(load.committed() >= 200)).await?;
        db.kill9()?;
        db.restart().await?;
        let before = load.committed();
        wait_until(Duration::from_secs(60), "more transactions", async || {
            Ok(load.committed() >= before + 200)
        })
        .await?;
        let counts = load.stop().await?;
        println!("{}: {counts:?}", flavor.name());
        assert_eq!(check_workload(db.opts(), "work").await?, Vec::<String>::new());
        let mut conn = db.conn().await?;
        let rows: u64 = conn.query_first("SELECT COUNT(*) FROM work.ledger").await?.unwrap();
        assert_eq!(rows, counts.ledger.iter().sum::<u64>());
        // A commit whose answer was lost is in the ledger and not among the answered ones.
        assert!(rows >= counts.transactions);
        db.run(&[
            "UPDATE work.accounts SET balance=balance+1 LIMIT 1",
            "DELETE FROM work.ledger WHERE serial=3",
        ])
        .await?;
        assert_eq!(check_workload(db.opts(), "work").await?.len(), 1 + counts.ledger.len());
    }
    Ok(())
}

#[tokio::test]
async fn proxy_fails_like_a_network() -> Result<()> {
    let db = Database::start(Flavor::MariaDb, DatabaseOptions::default()).await?;
    let proxy = Proxy::start(db.port()).await?;
    let opts: Opts = OptsBuilder::from_opts(db.opts()).tcp_port(proxy.port()).into();
    let mut conn = Conn::new(opts.clone()).await?;
    let quick = Duration::from_millis(300);

    proxy.black_hole();
    let mut held = Box::pin(conn.query_first::<u32, _>("SELECT 7"));
    assert!(tokio::time::timeout(quick, &mut held).await.is_err(), "a black hole answers");
    proxy.heal();
    assert_eq!(held.await?, Some(7), "what was held arrives");

    proxy.delay(Duration::from_millis(100));
    let asked = Instant::now();
    conn.ping().await?;
    assert!(asked.elapsed() >= Duration::from_millis(200));
    proxy.heal();

    let id = conn.id();
    proxy.abandon_server_side();
    assert!(conn.ping().await.is_err(), "the client's half is reset");
    let mut other = Conn::new(opts.clone()).await?;
    let mut alive = async || -> Result<bool> {
        let sql = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id={id}");
        Ok(other.query_first::<u32, _>(sql).await? == Some(1))
    };
    assert!(alive().await?, "the server's half stays");
    proxy.heal();
    let gone = Instant::now() + Duration::from_secs(20);
    while alive().await? {
        assert!(Instant::now() < gone, "the server's half ends when the proxy heals");
    }

    proxy.cut();
    assert!(other.ping().await.is_err());
    assert!(Conn::new(opts.clone()).await.is_err(), "a cut refuses new connections");
    proxy.heal();
    Conn::new(opts).await?.disconnect().await?;
    Ok(())
}

/// Connects from a member's namespace to ourselves, and gives how long a line took to come; an error after the deadline.
async fn line_from(network: &Network, member: &str, deadline: Duration) -> Result<Duration> {
    let listener = tokio::net::TcpListener::bind((network.host(), 0)).await?;
    let to = listener.local_addr()?;
    let words = network.enter(member)?;
    // It stays until it is answered, which nobody does: the line is enough.
    let script = format!("exec 3<>/dev/tcp/{}/{}; echo hello >&3; read -r _ <&3", to.ip(), to.port());
    let began = Instant::now();
    let _process = Program::new(&words[0]).args(&words[1..]).args(["bash", "-c", script.as_str()]).start()?;
    within(deadline, "a line", async {
        let (stream, from) = listener.accept().await?;
        assert_eq!(from.ip(), network.address(member)?);
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut tokio::io::BufReader::new(stream), &mut line).await?;
        assert_eq!(line, "hello\n");
        anyhow::Ok(began.elapsed())
    })
    .await
}

#[tokio::test]
async fn network_of_namespaces() -> Result<()> {
    let network = Network::start(2, 1).await?;
    let second = Network::start(2, 1).await?;
    assert_ne!(network.host(), second.host());
    let (soon, long) = (Duration::from_millis(700), Duration::from_secs(20));
    println!("a line in {:?}", line_from(&network, "m1", long).await?);
    network.set("m1", HOST, Link::CUT)?;
    assert!(line_from(&network, "m1", soon).await.is_err(), "m1 is heard");
    line_from(&network, "m2", long).await?;
    network.heal();
    network.set(HOST, "m1", Link::CUT)?;
    assert!(line_from(&network, "m1", soon).await.is_err(), "m1 hears");
    network.heal();
    line_from(&network, "m1", long).await?;
    let delay = Duration::from_millis(150);
    network.set_both(HOST, "m1", Link { delay, ..Link::default() })?;
    let took = line_from(&network, "m1", long).await?;
    // There, back, and there again with the line.
    assert!(took >= 3 * delay, "{took:?}");
    network.set_both(HOST, "m1", Link { loss: 0.3, ..Link::default() })?;
    line_from(&network, "m1", long).await?;
    let (first, other) = (network.host(), second.host());
    let ours = async |ip: Ipv4Addr| tokio::net::TcpListener::bind((ip, 0)).await.is_ok();
    assert!(ours(first).await && ours(other).await);
    drop(network);
    wait_until(long, "the network to be gone", async || Ok(!ours(first).await)).await?;
    assert!(ours(other).await);
    Ok(())
}

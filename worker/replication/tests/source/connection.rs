//! Authentication, silence, errors.

use std::time::{Duration, Instant};

use dm_binlog::GtidSet;
use dm_replication::{BinlogClient, Connection, Password, ReplicationErrorKind, StartAt, Verdict};
use dm_tests::{DatabaseOptions, Flavor, Proxy};

use crate::support::{Stream, config, executed, of, source};

#[tokio::test]
async fn passwords_of_every_kind() {
    for flavor in Flavor::ALL {
        let db = source(flavor, DatabaseOptions::default()).await;
        db.create_user("repl", "p@ss \u{e9}", "REPLICATION SLAVE").await.unwrap();
        db.create_user("open", "", "REPLICATION SLAVE").await.unwrap();
        db.create_user("weak", "w", "SELECT").await.unwrap();
        let start = StartAt::Gtid(executed(&db).await);
        let with = |user: &str, password: &str| {
            let mut c = config(&db, start.clone());
            c.user = user.to_owned();
            c.password = Password::from(password);
            c
        };
        // Twice: with a cold cache of the server (RSA), then with a warm one.
        for flush in [true, false, true] {
            if flush {
                db.run(&["FLUSH PRIVILEGES"]).await.unwrap();
            }
            let mut client = BinlogClient::connect(&with("repl", "p@ss \u{e9}")).await.unwrap();
            client.next().await.unwrap();
            client.close().await;
        }
        BinlogClient::connect(&with("open", "")).await.unwrap().next().await.unwrap();
        for (user, password) in [("repl", "wrong"), ("repl", ""), ("nobody", "x")] {
            let e = BinlogClient::connect(&with(user, password)).await.unwrap_err();
            assert_eq!(e.kind, ReplicationErrorKind::Auth, "{e}");
            assert_eq!(e.verdict(), Verdict::NeedsPerson);
            assert!(!format!("{e} {e:?}").contains("wrong"));
        }
        let e = BinlogClient::connect(&with("weak", "w")).await.unwrap_err();
        assert!(matches!(e.kind, ReplicationErrorKind::Privilege | ReplicationErrorKind::Auth), "{e}");

        let mut conn = Connection::open(&with("repl", "p@ss \u{e9}")).await.unwrap();
        let rows =
            conn.query("SELECT 1, NULL, 'a\u{e9}' UNION ALL SELECT 2, '', REPEAT('x', 300)").await.unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][0].as_deref(), Some(&b"1"[..]));
        assert_eq!((rows[0][1].as_deref(), rows[1][1].as_deref()), (None, Some(&b""[..])));
        assert_eq!(rows[1][2].as_ref().unwrap().len(), 300);
        assert_eq!(conn.query("SELEC").await.unwrap_err().code, Some(1064));
        assert!(conn.query("SET @a=1").await.unwrap().is_empty());
        conn.close().await;
        assert!(!format!("{:?}", with("repl", "hidden")).contains("hidden"));

        let mut wrong = with("repl", "p@ss \u{e9}");
        wrong.flavor = of(if flavor == Flavor::MySql { Flavor::MariaDb } else { Flavor::MySql });
        let e = BinlogClient::connect(&wrong).await.unwrap_err();
        assert_eq!(e.kind, ReplicationErrorKind::WrongFlavor);
    }
}

#[tokio::test]
async fn silence_is_a_lost_connection_and_heartbeats_are_not_silence() {
    let db = source(Flavor::MariaDb, DatabaseOptions::default()).await;
    let proxy = Proxy::start(db.port()).await.unwrap();
    let mut c = config(&db, StartAt::Gtid(executed(&db).await));
    c.port = proxy.port();
    c.heartbeat = Duration::from_millis(200);
    c.read_timeout = Duration::from_secs(2);
    let mut client = BinlogClient::connect(&c).await.unwrap();
    // An idle source, longer than the limit of silence: heartbeats keep the connection.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        client.next().await.unwrap();
    }
    proxy.black_hole();
    let begin = Instant::now();
    let e = loop {
        match client.next().await {
            Ok(_) => {}
            Err(e) => break e,
        }
    };
    assert_eq!((e.kind, e.verdict()), (ReplicationErrorKind::Lost, Verdict::Retry), "{e}");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    // Connecting has its limit too.
    c.connect_timeout = Duration::from_secs(1);
    let e = BinlogClient::connect(&c).await.unwrap_err();
    assert_eq!(e.kind, ReplicationErrorKind::Lost, "{e}");
}

#[tokio::test]
async fn what_the_source_refuses() {
    for flavor in Flavor::ALL {
        let db = source(flavor, DatabaseOptions::default()).await;
        let before = executed(&db).await;
        db.run(&["CREATE DATABASE a", "FLUSH BINARY LOGS", "CREATE TABLE a.x (a INT)"]).await.unwrap();
        let refused = async |start: StartAt, kind: ReplicationErrorKind| {
            let mut client = BinlogClient::connect(&config(&db, start)).await.unwrap();
            let e = loop {
                match client.next().await {
                    Ok(_) => {}
                    Err(e) => break e,
                }
            };
            assert_eq!(e.kind, kind, "{flavor:?}: {e}");
        };
        use ReplicationErrorKind as K;
        refused(StartAt::Position { file: "binlog.000099".into(), pos: 4 }, K::Purged).await;
        refused(StartAt::Position { file: "binlog.000001".into(), pos: 1 << 30 }, K::BadPosition).await;
        let ahead = match flavor {
            Flavor::MySql => {
                let uuid: String = {
                    use mysql_async::prelude::Queryable as _;
                    db.conn().await.unwrap().query_first("SELECT @@server_uuid").await.unwrap().unwrap()
                };
                format!("{uuid}:1-1000000")
            }
            Flavor::MariaDb => format!("0-{}-1000000", db.server_id()),
        };
        refused(StartAt::Gtid(GtidSet::parse(of(flavor), &ahead).unwrap()), K::Diverged).await;

        // A second replica with our id throws the first one out.
        let mut first = Stream::open(&db, StartAt::Gtid(before.clone())).await.unwrap();
        first.until("a.x").await.unwrap();
        let mut second = Stream::open(&db, StartAt::Gtid(before.clone())).await.unwrap();
        second.until("a.x").await.unwrap();
        let e = loop {
            match first.client.next().await {
                Ok(_) => {}
                Err(e) => break e,
            }
        };
        assert_eq!(e.kind, K::DuplicateServerId, "{flavor:?}: {e}");
        second.client.close().await;

        // KILL of our connection and the server's end are a lost connection.
        let mut killed = Stream::open(&db, StartAt::Gtid(before.clone())).await.unwrap();
        killed.until("a.x").await.unwrap();
        db.run(&[&format!("KILL {}", killed.client.connection_id())]).await.unwrap();
        let e = killed.until("never").await.unwrap_err();
        assert_eq!(e.verdict(), Verdict::Retry, "{flavor:?}: {e}");

        db.run(&["FLUSH BINARY LOGS"]).await.unwrap();
        db.run(&["PURGE BINARY LOGS TO 'binlog.000003'"]).await.unwrap();
        refused(StartAt::Gtid(before), K::Purged).await;
        refused(StartAt::Position { file: "binlog.000001".into(), pos: 4 }, K::Purged).await;
    }
}

#[tokio::test]
async fn the_end_of_the_server_is_a_lost_connection() {
    for flavor in Flavor::ALL {
        let mut db = source(flavor, DatabaseOptions::default()).await;
        let mut stream = Stream::open(&db, StartAt::Gtid(executed(&db).await)).await.unwrap();
        db.run(&["CREATE DATABASE a", "CREATE TABLE a.x (a INT)"]).await.unwrap();
        stream.until("a.x").await.unwrap();
        let (stopped, ended) = tokio::join!(db.stop(), stream.until("never"));
        stopped.unwrap();
        let e = ended.unwrap_err();
        assert_eq!((e.kind, e.verdict()), (ReplicationErrorKind::Lost, Verdict::Retry), "{flavor:?}: {e}");
    }
}

/// Why a worker takes a new server id for every connection (docs/decisions/005-replica-identity.md): with the id of a former
/// client that is frozen with a full socket, MariaDB lets the new one wait for `net_write_timeout`.
#[tokio::test]
async fn an_id_of_its_own_does_not_wait_for_a_frozen_client() {
    const TIMEOUT: Duration = Duration::from_secs(15);
    let db = source(Flavor::MariaDb, DatabaseOptions::default()).await;
    let start = StartAt::Gtid(executed(&db).await);
    db.run(&[
        &format!("SET GLOBAL net_write_timeout = {}", TIMEOUT.as_secs()),
        "CREATE DATABASE a",
        "CREATE TABLE a.x (a INT, b LONGTEXT)",
        "INSERT INTO a.x VALUES (1, REPEAT('x', 16000000)), (2, REPEAT('x', 16000000))",
        "INSERT INTO a.x SELECT * FROM a.x",
    ])
    .await
    .unwrap();
    let end = StartAt::Gtid(executed(&db).await);
    let frozen = BinlogClient::connect(&config(&db, start)).await.unwrap();
    dm_tests::wait_until(Duration::from_secs(30), "the dump thread sends", || async {
        use mysql_async::prelude::Queryable as _;
        let mut conn = db.conn().await?;
        let states: Vec<(Option<String>, u64)> = conn
            .query("SELECT STATE, TIME_MS DIV 1000 FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'")
            .await?;
        // It has had time and is not done: its socket is full.
        let done = |state: &Option<String>| state.as_deref().is_some_and(|s| s.starts_with("Master has sent all"));
        Ok(states.iter().any(|(state, seconds)| *seconds >= 2 && !done(state)))
    })
    .await
    .unwrap();
    let first_event = async |server_id: u32| {
        let begin = Instant::now();
        let mut c = config(&db, end.clone());
        c.server_id = server_id;
        let mut client = BinlogClient::connect(&c).await.unwrap();
        client.next().await.unwrap();
        begin.elapsed()
    };
    let own = first_event(78).await;
    let same = first_event(77).await;
    eprintln!("first event: {own:?} with an id of its own, {same:?} with the frozen client's");
    assert!(own < TIMEOUT / 2 && same > own, "{own:?}, {same:?}");
    assert!(same > TIMEOUT / 3, "{same:?}: the server no longer waits, the decision can be looked at again");
    frozen.close().await;
}

//! The tables of random histories.
use anyhow::Result;
use dm_tests::Database;

/// Tables that are the same on both sides.
pub const SAME: [&str; 8] = ["k", "p", "ch", "n", "la", "lb", "e1", "e2"];

/// Creates the tables on one side; `merged`: both shards are one table there.
pub async fn create(database: &Database, collation: &str, merged: bool) -> Result<()> {
    let text = |n: u32| format!("VARCHAR({n}) CHARACTER SET utf8mb4 COLLATE {collation}");
    let shard = |name: &str| {
        format!(
            "CREATE TABLE d.{name} (id INT PRIMARY KEY, a {} NOT NULL UNIQUE, v INT) ENGINE=InnoDB",
            text(20)
        )
    };
    let mut all = vec![
        "CREATE DATABASE d".to_owned(),
        format!(
            "CREATE TABLE d.k (id INT PRIMARY KEY, u INT NOT NULL UNIQUE, a {a} NULL UNIQUE, b INT NULL, c {c} NULL, t {t}, \
             v INT NOT NULL, UNIQUE KEY bc (b, c), UNIQUE KEY pre (t(4))) ENGINE=InnoDB",
            a = text(20),
            c = text(10),
            t = format!("TEXT CHARACTER SET utf8mb4 COLLATE {collation}")
        ),
        format!("CREATE TABLE d.p (id INT PRIMARY KEY, a {} NOT NULL UNIQUE) ENGINE=InnoDB", text(20)),
        "CREATE TABLE d.ch (id INT PRIMARY KEY, pid INT NULL, u INT UNIQUE, CONSTRAINT to_p FOREIGN KEY (pid) REFERENCES d.p (id) \
         ON DELETE CASCADE ON UPDATE CASCADE) ENGINE=InnoDB"
            .to_owned(),
        "CREATE TABLE d.n (w INT, v INT) ENGINE=InnoDB".to_owned(),
        "CREATE TABLE d.la (serial INT, i INT, PRIMARY KEY (serial, i)) ENGINE=InnoDB".to_owned(),
        "CREATE TABLE d.lb (serial INT PRIMARY KEY, n INT) ENGINE=InnoDB".to_owned(),
    ];
    for name in ["e1", "e2"] {
        all.push(format!("CREATE TABLE d.{name} (id INT PRIMARY KEY, v INT NOT NULL) ENGINE=InnoDB"));
    }
    if merged {
        all.push(shard("m"));
    } else {
        all.extend([shard("s1"), shard("s2")]);
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    database.run(&all).await
}

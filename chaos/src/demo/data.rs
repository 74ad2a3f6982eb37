//! The sample databases of the demo.
use anyhow::{Context, Result};
use mysql_async::{Conn, prelude::Queryable};

/// Databases that the demo migrates.
pub const SCHEMAS: [&str; 2] = ["shop", "audit"];

const TABLES: [&str; 5] = [
    "CREATE TABLE shop.customer (
        id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
        email VARCHAR(120) NOT NULL,
        name VARCHAR(80) NOT NULL,
        credit DECIMAL(12,2) NOT NULL DEFAULT 0,
        rating FLOAT NULL,
        born DATE NULL,
        tags SET('new','vip','blocked') NOT NULL DEFAULT '',
        avatar VARBINARY(64) NULL,
        changed TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
        UNIQUE KEY by_email (email)
     ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    "CREATE TABLE shop.purchase (
        customer INT UNSIGNED NOT NULL,
        line BIGINT NOT NULL,
        item SMALLINT UNSIGNED NOT NULL,
        price DOUBLE NOT NULL,
        state ENUM('open','paid','sent') NOT NULL,
        note TEXT NULL,
        details JSON NULL,
        at DATETIME(6) NOT NULL,
        PRIMARY KEY (customer, line), KEY by_state (state)
     ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    // No key, repeated identical rows, and values that only their bytes tell apart.
    "CREATE TABLE shop.click (
        who VARCHAR(20) NULL,
        page VARCHAR(40) NOT NULL,
        weight FLOAT NOT NULL,
        KEY by_who (who)
     ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    "CREATE TABLE audit.account (id INT NOT NULL PRIMARY KEY, balance BIGINT NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE audit.entry (
        writer INT NOT NULL, serial BIGINT NOT NULL, what VARCHAR(60) NOT NULL, amount BIGINT NOT NULL,
        PRIMARY KEY (writer, serial)
     ) ENGINE=InnoDB DEFAULT CHARSET=latin1",
];

/// Numbers 1 to 100,000 on any server, without a recursive query's depth limit.
const NUMBERS: &str = "(SELECT a.n + 10*b.n + 100*c.n + 1000*d.n + 10000*e.n + 1 AS n FROM
    (SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) a,
    (SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) b,
    (SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) c,
    (SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) d,
    (SELECT 0 n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) e) numbers";

/// Creates both databases and fills them with about 200,000 rows.
pub async fn create(conn: &mut Conn) -> Result<()> {
    for schema in SCHEMAS {
        conn.query_drop(format!("CREATE DATABASE {schema} CHARACTER SET utf8mb4")).await?;
    }
    for table in TABLES {
        conn.query_drop(table).await.with_context(|| format!("create a sample table: {table}"))?;
    }
    let fill = [
        format!(
            "INSERT INTO shop.customer (id, email, name, credit, rating, born, tags, avatar)
             SELECT n, CONCAT('c', n, '@example.org'), CONCAT('Zoë ', n), n / 7, n / 3, DATE('1950-01-01') + INTERVAL n % 20000 DAY,
                    n % 8, UNHEX(SHA1(n)) FROM {NUMBERS} WHERE n <= 50000"
        ),
        format!(
            "INSERT INTO shop.purchase SELECT 1 + n % 50000, n, n % 60000, n / 11, 1 + n % 3, IF(n % 5 = 0, NULL, CONCAT('note \\\\ \\'', n)),
                    JSON_OBJECT('n', n, 'list', JSON_ARRAY(1, 'two', NULL)), '2026-01-01 00:00:00.000001' + INTERVAL n SECOND
             FROM {NUMBERS}"
        ),
        format!(
            "INSERT INTO shop.click SELECT ELT(1 + n % 5, 'a', 'A', 'é', 'e', NULL), CONCAT('/page/', n % 50), (n % 10) / 3
             FROM {NUMBERS} WHERE n <= 30000"
        ),
        format!("INSERT INTO audit.account SELECT n, 1000 FROM {NUMBERS} WHERE n <= 100"),
        format!("INSERT INTO audit.entry SELECT 0, n, 'opening balance', n FROM {NUMBERS} WHERE n <= 20000"),
    ];
    for sql in fill {
        conn.query_drop(&sql).await.with_context(|| format!("fill the sample tables: {sql:.80}"))?;
    }
    Ok(())
}

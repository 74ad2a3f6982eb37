//! Models of both servers' SHOW CREATE TABLE, and changes to them.

use super::*;
use crate::name::TableName;
use crate::sql_mode::SqlMode;

fn create(sql: &str) -> TableModel {
    TableModel::parse_create(sql, SqlMode::default(), "d", &TableDefaults::default()).unwrap()
}

fn alter(model: &mut TableModel, sql: &str) {
    model.apply_alter(sql, SqlMode::default()).unwrap_or_else(|e| panic!("{sql}: {e}"));
}

fn names(model: &TableModel) -> Vec<&str> {
    model.columns.iter().map(|c| c.name.as_str()).collect()
}

fn keys(model: &TableModel) -> Vec<String> {
    let parts = |k: &Key| {
        k.parts
            .iter()
            .map(|p| {
                let prefix = p.prefix.map_or(String::new(), |n| format!("({n})"));
                format!("{}{prefix}", p.column.as_deref().unwrap_or("<expression>"))
            })
            .collect::<Vec<_>>()
            .join(",")
    };
    model
        .keys
        .iter()
        .map(|k| format!("{}{} {}", if k.unique { "U " } else { "" }, k.name, parts(k)))
        .collect()
}

#[test]
fn mysql_show_create() {
    let m = create(
        "CREATE TABLE `t` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT COMMENT 'a, ) b',
  `a` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL DEFAULT 'x',
  `b` char(5) COLLATE utf8mb4_bin DEFAULT NULL,
  `c` decimal(10,2) unsigned zerofill DEFAULT '00000001.00',
  `e` enum('a','it''s','c,)') NOT NULL,
  `s` set('x','y') DEFAULT NULL,
  `j` json DEFAULT (json_object(_utf8mb4'k',1)),
  `g` int GENERATED ALWAYS AS ((`id` + 1)) VIRTUAL,
  `h` int GENERATED ALWAYS AS ((`id` + 2)) STORED NOT NULL,
  `i` int DEFAULT NULL /*!80023 INVISIBLE */,
  `ts` timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  `p` point NOT NULL /*!80003 SRID 4326 */,
  `v` vector(3) DEFAULT NULL,
  `bi` bit(1) DEFAULT b'0',
  `year` year DEFAULT NULL,
  PRIMARY KEY (`id`,`a`),
  UNIQUE KEY `u` (`e`,`b`(3)),
  KEY `f` ((lower(`a`))),
  KEY `k` (`c` DESC) /*!80000 INVISIBLE */ USING BTREE COMMENT 'x',
  FULLTEXT KEY `ft` (`a`) /*!50100 WITH PARSER `ngram` */ ,
  SPATIAL KEY `sp` (`p`),
  CONSTRAINT `fk` FOREIGN KEY (`i`) REFERENCES `o`.`p` (`id`) ON DELETE CASCADE ON UPDATE SET NULL,
  CONSTRAINT `ck` CHECK ((`id` > 0)) /*!80016 NOT ENFORCED */
) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='c'
/*!50100 PARTITION BY HASH (`id`)
PARTITIONS 4 */",
    );
    assert_eq!(m.columns.len(), 15);
    let column = |n: &str| m.column(n).unwrap();
    assert!(column("id").ty.unsigned && column("id").auto_increment && !column("id").nullable);
    assert_eq!(column("a").collation.as_deref(), Some("latin1_bin"));
    assert_eq!(column("b").charset.as_deref(), Some("utf8mb4"));
    assert_eq!(column("b").collation.as_deref(), Some("utf8mb4_bin"));
    assert_eq!((column("c").ty.length, column("c").ty.decimals), (Some(10), Some(2)));
    assert!(column("c").ty.unsigned);
    assert_eq!(column("e").ty.labels, ["a", "it's", "c,)"]);
    assert_eq!(column("e").collation.as_deref(), Some("utf8mb4_0900_ai_ci"));
    assert_eq!(column("g").generated, Generated::Virtual);
    assert_eq!(column("h").generated, Generated::Stored);
    assert!(column("i").invisible && column("ts").on_update_now);
    assert_eq!(column("ts").ty.length, Some(3));
    assert_eq!(column("ts").default.as_deref(), Some("CURRENT_TIMESTAMP(3)"));
    assert_eq!(keys(&m), ["U PRIMARY id,a", "U u e,b(3)", "f <expression>", "k c", "ft a", "sp p", "fk i",]);
    assert!(m.foreign_keys[0].cascades);
    assert_eq!(m.foreign_keys[0].parent_schema.as_deref(), Some("o"));
    assert_eq!(m.engine.as_deref(), Some("InnoDB"));
    assert_eq!(m.identity_key().unwrap().1, [0, 1]);
}

#[test]
fn mariadb_show_create() {
    let m = create(
        "CREATE TABLE `t` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `j` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`j`)),
  `g` int(11) GENERATED ALWAYS AS (`id` + 1) VIRTUAL,
  `h` int(11) GENERATED ALWAYS AS (`id` + 2) STORED,
  `u` uuid DEFAULT uuid(),
  `i6` inet6 DEFAULT NULL,
  `d` datetime DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `c` varchar(10) /*M!100301 COMPRESSED*/ DEFAULT concat('a','b'),
  `n` double NOT NULL DEFAULT -1.5e0 INVISIBLE,
  `row_start` timestamp(6) GENERATED ALWAYS AS ROW START,
  `row_end` timestamp(6) GENERATED ALWAYS AS ROW END,
  PRIMARY KEY (`id`,`row_end`),
  UNIQUE KEY `n` (`n`) USING HASH,
  KEY `ig` (`d`) IGNORED,
  PERIOD FOR SYSTEM_TIME (`row_start`, `row_end`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb3 COLLATE=utf8mb3_uca1400_ai_ci `PAGE_COMPRESSED`='ON' WITH SYSTEM VERSIONING",
    );
    assert!(m.system_versioned);
    assert_eq!(m.columns.len(), 11);
    assert_eq!(m.column("c").unwrap().charset.as_deref(), Some("utf8mb3"));
    assert_eq!(m.column("j").unwrap().ty.kind, TypeKind::LongText);
    assert_eq!(m.column("row_end").unwrap().generated, Generated::RowPeriod);
    assert_eq!(m.column("n").unwrap().default.as_deref(), Some("-1.5e0"));
    assert_eq!(keys(&m), ["U PRIMARY id,row_end", "U n n", "ig d"]);
}

#[test]
fn ordinary_create() {
    let m = create(
        "create table if not exists x.t (a serial, b int key, c real, d double precision, e float(30), f float(10,2), \
         g long varchar, h national char varying(5), i text(70000), j blob(10), k dec, l char(3) byte, m bool, \
         n varchar(5) character set binary, o nchar, p text charset utf8, constraint q unique (c, d), unique (c), index (c), \
         key `vector` (c)) default charset latin1",
    );
    assert_eq!(m.name, TableName::new("x", "t"));
    use TypeKind::*;
    let kinds: Vec<_> = m.columns.iter().map(|c| c.ty.kind).collect();
    assert_eq!(
        kinds,
        [
            BigInt, Int, Double, Double, Double, Float, MediumText, VarChar, MediumText, TinyBlob, Decimal,
            Binary, TinyInt, VarBinary, Char, Text
        ]
    );
    assert_eq!(keys(&m), ["U a a", "U PRIMARY b", "U q c,d", "U c c", "c_2 c", "vector c"]);
    assert_eq!(m.column("p").unwrap().charset.as_deref(), Some("utf8mb3"));
    assert_eq!(m.column("i").unwrap().charset.as_deref(), Some("latin1"));
    assert!(!m.column("b").unwrap().nullable);
}

#[test]
fn alters() {
    let mut m =
        create("CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(10), KEY i (a, b)) CHARSET utf8mb4");
    alter(&mut m, "ALTER TABLE d.t ADD COLUMN c INT AFTER id, ADD (x INT, y INT UNIQUE), ADD z INT FIRST");
    assert_eq!(names(&m), ["z", "id", "c", "a", "b", "x", "y"]);
    alter(
        &mut m,
        "ALTER TABLE t DROP COLUMN z, DROP x, CHANGE a aa BIGINT UNSIGNED NOT NULL, MODIFY b TEXT FIRST",
    );
    assert_eq!(names(&m), ["b", "id", "c", "aa", "y"]);
    assert_eq!(keys(&m), ["U PRIMARY id", "i aa,b", "U y y"]);
    assert!(m.column("aa").unwrap().ty.unsigned);
    alter(
        &mut m,
        "ALTER TABLE t ADD UNIQUE INDEX i (c), DROP KEY i, RENAME COLUMN aa TO a, ALGORITHM=INPLACE, LOCK=NONE",
    );
    assert_eq!(keys(&m), ["U PRIMARY id", "U y y", "U i c"]);
    alter(
        &mut m,
        "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a, id), RENAME INDEX y TO yy, COMMENT='x' ENGINE=InnoDB",
    );
    assert_eq!(m.identity_key().unwrap().1, [3, 1]);
    alter(&mut m, "ALTER TABLE t CONVERT TO CHARACTER SET latin1 COLLATE latin1_bin");
    assert_eq!(m.column("b").unwrap().collation.as_deref(), Some("latin1_bin"));
    alter(&mut m, "ALTER TABLE t DEFAULT CHARACTER SET utf8mb4, ADD n CHAR(5)");
    assert_eq!(m.column("n").unwrap().charset.as_deref(), Some("utf8mb4"));
    alter(
        &mut m,
        "ALTER TABLE t RENAME TO e.u, ALTER COLUMN n SET DEFAULT 'q', ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES p (id)",
    );
    assert_eq!(m.name, TableName::new("e", "u"));
    alter(&mut m, "CREATE INDEX w ON e.u (n(2) DESC)");
    alter(&mut m, "DROP INDEX w ON e.u");
    alter(&mut m, "ALTER TABLE u ADD PARTITION (PARTITION p3 VALUES LESS THAN (30))");
    alter(&mut m, "ALTER TABLE u DROP PARTITION p0, p1");
    alter(&mut m, "ALTER TABLE u ADD COLUMN IF NOT EXISTS n INT, DROP COLUMN IF EXISTS nope");
    assert_eq!(m.column("n").unwrap().ty.kind, TypeKind::Char);
}

#[test]
fn unknown_clauses_are_errors_and_change_nothing() {
    let mut m = create("CREATE TABLE t (id INT)");
    let before = m.clone();
    for sql in [
        "ALTER TABLE t ADD b INT, ADD c GIZMO",
        "ALTER TABLE t ADD b INT SPARKLING",
        "ALTER TABLE t FROBNICATE COLUMN id",
        "ALTER TABLE t DROP nope",
        "ALTER TABLE t ADD id INT",
        "ALTER TABLE t DROP INDEX nope",
        "ALTER TABLE t ADD KEY (nope)",
    ] {
        assert!(m.apply_alter(sql, SqlMode::default()).is_err(), "{sql}");
        assert_eq!(m, before);
    }
    for sql in [
        "CREATE TABLE t LIKE u",
        "CREATE TABLE t (a INT) SELECT 1",
        "CREATE TABLE t (a NOTYPE)",
        "DROP TABLE t",
    ] {
        let defaults = TableDefaults::default();
        assert!(TableModel::parse_create(sql, SqlMode::default(), "d", &defaults).is_err(), "{sql}");
    }
}

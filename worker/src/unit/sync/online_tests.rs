use dm_proto::config::TaskConfig;

use super::*;
use crate::unit::sync::stored_tables::StoredStatement;

fn rules(lists: &str) -> Rules {
    let task = TaskConfig::parse(&format!(
        "name: t\ntask-mode: all\ntarget-database:\n  host: h\n  port: 1\n  user: u\nmysql-instances:\n  - source-id: s\n{lists}"
    ))
    .unwrap();
    Rules::new(&task.subtasks[0]).unwrap()
}

fn judge(sql: &str, rules: &Rules, open: &[StoredChange]) -> Vec<Handling> {
    handlings(&parse(sql, SqlMode::default(), "shop").unwrap(), rules, open).unwrap()
}

fn change(statements: &[&str]) -> StoredChange {
    StoredChange {
        schema: "shop".to_owned(),
        table: "_t_gho".to_owned(),
        real: "t".to_owned(),
        statements: statements
            .iter()
            .map(|sql| StoredStatement { sql: (*sql).to_owned(), ..StoredStatement::default() })
            .collect(),
    }
}

fn refused(handlings: &[Handling]) -> bool {
    handlings.iter().any(|h| matches!(h, Handling::Refuse(..)))
}

#[test]
fn every_statement_of_the_tools_has_its_meaning() {
    let rules = rules("");
    for (sql, handling) in [
        ("create /* gh-ost */ table `shop`.`_t_ghc` (id int)", Handling::Nothing),
        ("drop /* gh-ost */ table if exists `shop`.`_t_del`", Handling::Nothing),
        ("create /* gh-ost */ table `shop`.`_t_gho` like `shop`.`t`", Handling::Begin),
        ("CREATE TABLE `shop`.`_t_new` (id int)", Handling::Begin),
        ("CREATE TABLE IF NOT EXISTS `shop`.`_t_new` (id int)", Handling::Nothing),
        ("alter /* gh-ost */ table `shop`.`_t_gho` add v int", Handling::Remember),
        ("CREATE INDEX i ON _t_gho (v)", Handling::Remember),
        ("DROP INDEX i ON _t_gho", Handling::Remember),
        ("ALTER TABLE _t_gho UNION = (a, b)", Handling::Forget),
        ("TRUNCATE TABLE _t_gho", Handling::Nothing),
        ("DROP TABLE IF EXISTS `shop`.`_t_new`", Handling::Forget),
        ("RENAME TABLE _t_gho TO _t_del", Handling::Forget),
        ("RENAME TABLE _t_del TO _t_old", Handling::Nothing),
        ("ALTER TABLE t ADD v INT", Handling::Ordinary),
        ("RENAME TABLE t TO u", Handling::Ordinary),
        ("DROP DATABASE shop", Handling::Ordinary),
    ] {
        assert_eq!(judge(sql, &rules, &[]), [handling], "{sql}");
    }
    let real = TableName::new("shop", "t");
    for swap in [
        "rename /* gh-ost */ table `shop`.`t` to `shop`.`_t_del`, `shop`.`_t_gho` to `shop`.`t`",
        "RENAME TABLE `shop`.`t` TO `shop`.`_t_old`, `shop`.`_t_new` TO `shop`.`t`",
        "RENAME TABLE t TO _t_20260102030405_del, _t_gho TO t",
    ] {
        assert_eq!(judge(swap, &rules, &[]), [Handling::PutAside, Handling::CutOver(real.clone())], "{swap}");
    }
}

#[test]
fn a_persons_rename_is_no_swap() {
    let rules = rules("");
    let open = [change(&["ALTER TABLE `shop`.`_t_gho` ADD v int"])];
    for sql in [
        "RENAME TABLE t TO _t_del",
        "RENAME TABLE _t_gho TO t",
        "RENAME TABLE _t_gho TO other",
        "RENAME TABLE _t_gho TO _u_gho",
        "RENAME TABLE t TO _t_gho",
        "RENAME TABLE _t_old TO t",
        "RENAME TABLE _t_old TO _t_gho",
        "ALTER TABLE _t_gho RENAME TO t",
        "ALTER TABLE t ADD v INT, RENAME TO _t_old",
        "RENAME TABLE t TO _t_del, _u_gho TO t",
        "RENAME TABLE t TO backup, _t_gho TO t",
        "RENAME TABLE t TO _t_del, _t_gho TO t, u TO w",
        "RENAME TABLE t TO _t_del, other._t_gho TO t",
        "RENAME TABLE u TO _t_del, _t_gho TO t",
    ] {
        assert!(refused(&judge(sql, &rules, &open)), "{sql}");
    }
    let Some(Handling::Refuse(_, workaround)) = judge("RENAME TABLE _t_gho TO t", &rules, &open).pop() else {
        panic!("it is refused");
    };
    assert!(workaround.contains("ADD v int") && workaround.contains("online-ddl: false"), "{workaround}");
    // pt-online-schema-change's way of swapping with foreign keys.
    assert!(refused(&judge("DROP TABLE IF EXISTS `shop`.`t`", &rules, &open)));
    assert!(!refused(&judge("DROP TABLE IF EXISTS `shop`.`t`", &rules, &[])));
}

#[test]
fn rules_say_what_a_shadow_is() {
    let swap = "RENAME TABLE t TO _t_del, _t_gho TO t";
    let off = rules("online-ddl: false\n");
    assert_eq!(judge(swap, &off, &[]), [Handling::Ordinary, Handling::Ordinary]);
    let scheme = rules("online-ddl: false\nonline-ddl-scheme: pt\n");
    assert!(matches!(judge(swap, &scheme, &[])[1], Handling::CutOver(_)));
    let own = rules("shadow-table-rules: ['(.+)__shadow']\ntrash-table-rules: ['(.+)__trash']\n");
    assert_eq!(judge(swap, &own, &[]), [Handling::Ordinary, Handling::Ordinary]);
    let theirs = "RENAME TABLE t TO t__trash, t__shadow TO t";
    assert!(matches!(judge(theirs, &own, &[])[1], Handling::CutOver(_)));
    // The table that it would belong to is not migrated.
    let list = "    block-allow-list: l\nblock-allow-list:\n  l:\n    do-tables:\n      - {db-name: shop, tbl-name: _orders_new}\n";
    let listed = rules(list);
    let name = TableName::new("shop", "_orders_new");
    assert_eq!(listed.online(&name), Online::No);
    assert_eq!(listed.target_of(&name).unwrap(), Some(name));
    // Shadows follow the table that they belong to, whatever the list says of their own names.
    let list = "    block-allow-list: l\nblock-allow-list:\n  l:\n    do-tables:\n      - {db-name: shop, tbl-name: t}\n";
    assert!(matches!(judge(swap, &rules(list), &[])[1], Handling::CutOver(_)));
}

#[test]
fn remembered_statements_are_made_for_the_table_itself() {
    let change = change(&[
        "ALTER TABLE `shop`.`_t_gho` ADD `_t_gho` int, ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES `shop`.`_t_gho` (id), \
         ADD FOREIGN KEY (q) REFERENCES `b`.`u` (id)",
        "CREATE INDEX i ON `shop`.`_t_gho` (v)",
    ]);
    let made: Vec<String> = on_real(&change).unwrap().iter().map(|(s, _)| s.canonical().to_owned()).collect();
    assert_eq!(
        made,
        [
            "ALTER TABLE `shop`.`t` ADD `_t_gho` int, ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES `shop`.`t` (id), \
             ADD FOREIGN KEY (q) REFERENCES `b`.`u` (id)",
            "CREATE INDEX i ON `shop`.`t` (v)"
        ]
    );
}

#[test]
fn columns_are_compared_as_servers_show_them() {
    let model = |columns: &str| {
        let sql = format!("CREATE TABLE t ({columns})");
        TableModel::parse_create(&sql, SqlMode::default(), "shop", &dm_schema::TableDefaults::default())
            .unwrap()
    };
    let of = |columns: &str, other: &str| same_columns(&model(columns), &model(other));
    assert!(of(
        "id INT, d DECIMAL, v VARCHAR(9)",
        "`ID` int(11), `d` decimal(10,0), `v` varchar(9) DEFAULT NULL"
    ));
    assert!(of("j JSON", "j LONGTEXT"));
    for (one, other) in [
        ("id INT", "id BIGINT"),
        ("id INT", "id INT UNSIGNED"),
        ("id INT", "ib INT"),
        ("id INT", "id INT, v INT"),
        ("a INT, b INT", "b INT, a INT"),
        ("v VARCHAR(9)", "v VARCHAR(10)"),
        ("d DECIMAL(10,2)", "d DECIMAL(10,3)"),
        ("e ENUM('a','b')", "e ENUM('a','c')"),
    ] {
        assert!(!of(one, other), "{one} and {other}");
    }
}

#[test]
fn keys_are_compared_without_their_names() {
    let model = |keys: &str| {
        let sql = format!("CREATE TABLE t (a INT, b INT, {keys})");
        TableModel::parse_create(&sql, SqlMode::default(), "shop", &dm_schema::TableDefaults::default())
            .unwrap()
    };
    let of = |keys: &str, other: &str| same_keys(&model(keys), &model(other));
    assert!(of("PRIMARY KEY (a), KEY x (b)", "KEY y (b), PRIMARY KEY (a)"));
    assert!(!of("PRIMARY KEY (a), KEY x (b)", "PRIMARY KEY (a)"));
    assert!(!of("KEY x (b)", "UNIQUE KEY x (b)"));
    assert!(!of("KEY x (a, b)", "KEY x (b, a)"));
}

//! Pre-checks of the tables: engines and columns at the target.
use dm_proto::{
    config::SubtaskConfig,
    error::{Code, Scope},
};
use dm_schema::TableName;
use mysql_async::{Conn, prelude::Queryable};

use super::{Items, columns, expressions, table_map};
use crate::{
    failure::{Failure, from_mysql},
    unit::rules::{Online, Rules},
};

const SOURCE_TABLES: &str = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = \
     'BASE TABLE' AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')";
const OTHER_ENGINES: &str = "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE \
     TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', \
     'performance_schema', 'sys')";

/// Tables that exist at the target must be transactional; at least one table must be there to replicate.
pub async fn check(subtask: &SubtaskConfig, source: &mut Conn, target: &mut Conn, items: &mut Items) {
    let rules = match Rules::new(subtask) {
        Ok(rules) => rules,
        Err(failure) => return items.fail("table_schema", &failure),
    };
    let tables: Vec<(String, String)> = match source.query(SOURCE_TABLES).await {
        Ok(rows) => rows,
        Err(error) => {
            let failure = from_mysql(&error, Scope::Upstream, "fail to list the source's tables");
            return items.fail("table_schema", &failure);
        }
    };
    let names: Vec<TableName> = tables.iter().map(|(schema, table)| TableName::new(schema, table)).collect();
    table_map::check(subtask, &rules, &names, items);
    let pairs: Result<Vec<(TableName, TableName)>, Failure> = names
        .into_iter()
        .filter_map(|name| rules.target_of(&name).transpose().map(|to| to.map(|to| (name, to))))
        .collect();
    let pairs = match pairs {
        Ok(pairs) => pairs,
        Err(failure) => return items.fail("table_schema", &failure),
    };
    if pairs.is_empty() {
        items.warn(
            "table_schema",
            "no table of the source passes the block-allow-list",
            "Please check the patterns; tables that are created later are replicated if they match.",
        );
    }
    left_out(&tables, &rules, items);
    let others: Vec<(String, String, String)> = match target.query(OTHER_ENGINES).await {
        Ok(rows) => rows,
        Err(error) => {
            let failure = from_mysql(&error, Scope::Downstream, "fail to list the target's tables");
            return items.fail("target_table_engine", &failure);
        }
    };
    let bad: Vec<String> = others
        .into_iter()
        .filter(|(schema, table, _)| {
            let name = TableName::new(schema, table);
            pairs.iter().any(|(_, to)| *to == name)
        })
        .map(|(schema, table, engine)| format!("`{schema}`.`{table}` ({engine})"))
        .collect();
    items.expect("target_table_engine", bad.is_empty(), || {
        Failure::new(
            Code::CheckFailed,
            format!("tables of the target are not transactional: {}", bad.join(", ")),
        )
        .scope(Scope::Downstream)
        .workaround("Please convert them with 'ALTER TABLE ... ENGINE=InnoDB;'.")
    });
    expressions::check(subtask, &rules, &pairs, source, items).await;
    columns::check(subtask, &rules, &pairs, source, target, items).await;
}

/// Tables that are taken for those of an online schema change, which nobody may have meant.
fn left_out(tables: &[(String, String)], rules: &Rules, items: &mut Items) {
    let names: Vec<String> = tables
        .iter()
        .map(|(schema, table)| TableName::new(schema, table))
        .filter(|name| rules.online(name) != Online::No)
        .map(|name| name.to_string())
        .collect();
    if names.is_empty() {
        return items.pass("online_ddl");
    }
    items.warn(
        "online_ddl",
        format!(
            "tables are left out, for their names are those of online schema changes (`shadow-table-rules`, \
             `trash-table-rules`): {}",
            names.join(", ")
        ),
        "If a schema change is running, please wait until it is done: how its table was altered before the task began is \
         not known. If these are tables like any other, please set `online-ddl: false` or give narrower rules.",
    );
}

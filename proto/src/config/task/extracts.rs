//! Routes that lead to one table and fill different columns of it.
use std::collections::BTreeMap;

use super::SubtaskConfig;
use crate::config::RouteConfig;

/// One warning for every two such routes: rows of one have no value in the other's columns.
pub(super) fn differences(subtasks: &[SubtaskConfig]) -> Vec<String> {
    let mut routes: BTreeMap<&str, &RouteConfig> = BTreeMap::new();
    for route in subtasks.iter().flat_map(|s| &s.routes) {
        routes.insert(&route.name, route);
    }
    // The first route to each table, beside its columns.
    let mut first: BTreeMap<(String, String), (&str, Vec<String>)> = BTreeMap::new();
    let mut warnings = Vec::new();
    for route in routes.values() {
        let Some(table) = &route.target_table else { continue };
        let mut columns: Vec<String> = route.extract.iter().map(|e| e.column.to_lowercase()).collect();
        columns.sort();
        let target = (route.target_schema.to_lowercase(), table.to_lowercase());
        let Some((name, others)) = first.get(&target) else {
            first.insert(target, (&route.name, columns));
            continue;
        };
        if *others != columns {
            warnings.push(format!(
                "routes `{name}` and `{}` lead to one table, `{}`.`{table}`, and fill different columns of it ({} and {}): rows \
                 of one have no value in the columns of the other",
                route.name,
                route.target_schema,
                list(others),
                list(&columns)
            ));
        }
    }
    warnings
}

fn list(columns: &[String]) -> String {
    match columns {
        [] => "none".to_owned(),
        columns => format!("`{}`", columns.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::TaskConfig;

    fn warnings(second: &str) -> Vec<String> {
        let text = format!(
            "name: t\ntask-mode: incremental\ntarget-database: {{host: h, port: 4000, user: root}}\nmysql-instances:\n  - \
             {{source-id: a, route-rules: [one], meta: {{binlog-name: binlog.000001, binlog-pos: 4}}}}\n  - {{source-id: b, \
             route-rules: [two], meta: {{binlog-name: binlog.000001, binlog-pos: 4}}}}\nroutes:\n  one:\n    schema-pattern: s1\n    \
             table-pattern: \"t*\"\n    target-schema: d\n    target-table: t\n    extract-table: {{table-regexp: \"t(.*)\", \
             target-column: c_table}}\n  two:\n    schema-pattern: s2\n    table-pattern: \"t*\"\n{second}"
        );
        TaskConfig::parse(&text).unwrap().warnings
    }

    #[test]
    fn two_routes_to_one_table_that_fill_other_columns_are_a_warning_that_names_both() {
        let to = |table: &str| format!("    target-schema: D\n    target-table: {table}\n");
        let from = |column: &str| {
            format!("    extract-table: {{table-regexp: \"t(.*)\", target-column: {column}}}\n")
        };
        let none = warnings(&to("t"));
        assert_eq!(none.len(), 1, "{none:?}");
        for words in ["`one`", "`two`", "`D`.`t`", "`c_table` and none"] {
            assert!(none[0].contains(words), "{words}: {none:?}");
        }
        let other = warnings(&(to("t") + &from("c_other")));
        assert!(other.len() == 1 && other[0].contains("(`c_table` and `c_other`)"), "{other:?}");
        assert_eq!(warnings(&(to("t") + &from("C_TABLE"))), Vec::<String>::new());
        assert_eq!(warnings(&to("u")), Vec::<String>::new());
    }
}

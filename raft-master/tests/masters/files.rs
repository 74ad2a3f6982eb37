//! Files as people write them.

pub fn source(id: &str) -> String {
    format!(
        "source-id: {id}\nenable-gtid: true\nfrom:\n  host: 127.0.0.1\n  port: 3306\n  user: dm\n  password: \"hunter2\"\n"
    )
}

pub fn task(name: &str, sources: &[&str]) -> String {
    let instances: String =
        sources.iter().map(|id| format!("  - source-id: {id}\n    block-allow-list: all\n")).collect();
    format!(
        "name: {name}\ntask-mode: all\ntarget-database:\n  host: 127.0.0.1\n  port: 4000\n  user: root\n  password: \"\"\n\
         mysql-instances:\n{instances}block-allow-list:\n  all:\n    do-dbs: [\"*\"]\n"
    )
}

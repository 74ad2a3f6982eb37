//! Pre-checks of the target.
use dm_proto::{
    config::SubtaskConfig,
    error::{Code, Scope},
};
use mysql_async::{Conn, prelude::Queryable};

use super::{Items, grants::Grants};
use crate::{
    downstream,
    failure::{Failure, from_mysql},
};

/// Gives the connection for further checks when the target could be reached.
pub async fn check(subtask: &SubtaskConfig, items: &mut Items) -> Option<Conn> {
    let mut conn = match downstream::connect(subtask).await {
        Ok(conn) => conn,
        Err(failure) => {
            items.fail("target_connection", &failure);
            return None;
        }
    };
    items.pass("target_connection");
    if let Err(error) = server(&mut conn, subtask, items).await {
        items.fail(
            "target_server",
            &from_mysql(&error, Scope::Downstream, "fail to read the target's settings"),
        );
    }
    Some(conn)
}

/// Without these not one packet can be sent: each writes rows and its own record.
const ALWAYS: [&str; 5] = ["CREATE", "SELECT", "INSERT", "UPDATE", "DELETE"];
/// Needed by the source's DDL only.
const FOR_DDL: [&str; 3] = ["ALTER", "DROP", "INDEX"];

fn privileges(grants: &Grants, user: &str, items: &mut Items) {
    let lacks = |names: &[&'static str]| {
        names.iter().copied().filter(|p| !grants.somewhere(&[*p])).collect::<Vec<_>>()
    };
    let (always, for_ddl) = (lacks(&ALWAYS), lacks(&FOR_DDL));
    let all = [always.clone(), for_ddl].concat().join(", ");
    if all.is_empty() {
        items.pass("target_privilege");
        return;
    }
    let message = format!("account {user} lacks {all} at the target");
    let remedy = format!("Please execute 'GRANT {all} ON *.* TO {user};' at the target.");
    // What a role gives is not seen here.
    if always.is_empty() || grants.roles() {
        items.warn("target_privilege", message, remedy);
    } else {
        let failure = Failure::new(Code::CheckFailed, message).scope(Scope::Downstream).workaround(remedy);
        items.fail("target_privilege", &failure);
    }
}

async fn server(
    conn: &mut Conn,
    subtask: &SubtaskConfig,
    items: &mut Items,
) -> Result<(), mysql_async::Error> {
    let failed = |message: String, remedy: &str| {
        Failure::new(Code::CheckFailed, message).scope(Scope::Downstream).workaround(remedy)
    };
    let innodb: Option<String> =
        conn.query_first("SELECT SUPPORT FROM information_schema.ENGINES WHERE ENGINE = 'InnoDB'").await?;
    items.expect("target_engine", matches!(innodb.as_deref(), Some("YES" | "DEFAULT")), || {
        failed("the target has no InnoDB".to_owned(), "Please switch InnoDB on at the target.")
    });
    let variables: Vec<(String, String)> = conn
        .query("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'read_only')")
        .await?;
    let value = |name: &str| {
        variables.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v.as_str())
    };
    let logs_statements = value("log_bin").eq_ignore_ascii_case("ON")
        && value("binlog_format").eq_ignore_ascii_case("STATEMENT");
    items.expect("target_binlog_format", !logs_statements, || {
        failed(
            "binlog_format of the target is STATEMENT: its replicas could differ from it".to_owned(),
            "Please execute 'SET GLOBAL binlog_format=ROW;' at the target.",
        )
    });
    if matches!(value("read_only").to_ascii_uppercase().as_str(), "ON" | "1") {
        items.warn(
            "target_read_only",
            "the target is read_only; only an account that may ignore it can write",
            "Please check that this is the right server.",
        );
    }
    let grants = Grants::read(conn).await?;
    privileges(&grants, &subtask.target.user, items);
    Ok(())
}

//! Pre-checks of the source.
use dm_binlog::Flavor;
use dm_proto::{
    config::{SourceConfig, SubtaskConfig, TaskMode},
    error::{Code, Scope},
};
use mysql_async::Conn;

use super::{Items, grants::Grants};
use crate::{
    failure::{Failure, from_mysql},
    upstream::{self, SourceIdentity},
};

/// Gives the connection for further checks when the source could be reached.
pub async fn check(
    source: &SourceConfig,
    subtask: Option<&SubtaskConfig>,
    items: &mut Items,
) -> Option<Conn> {
    let mut conn = match upstream::connect(source).await {
        Ok(conn) => conn,
        Err(failure) => {
            items.fail("source_connection", &failure);
            return None;
        }
    };
    items.pass("source_connection");
    let identity = match SourceIdentity::read(&mut conn).await {
        Ok(identity) => identity,
        Err(failure) => {
            items.fail("version", &failure);
            return None;
        }
    };
    version(&identity, items);
    let syncs = subtask.is_none_or(|s| s.task_mode != TaskMode::Full);
    if syncs {
        binlog(&identity, subtask, items);
        gtids(source, &identity, items);
    }
    match Grants::read(&mut conn).await {
        Ok(grants) => privileges(source, subtask, &grants, syncs, items),
        Err(error) => {
            items.fail(
                "replication_privilege",
                &from_mysql(&error, Scope::Upstream, "fail to read the grants"),
            );
        }
    }
    Some(conn)
}

fn failed(message: String, remedy: &str) -> Failure {
    Failure::new(Code::CheckFailed, message).scope(Scope::Upstream).workaround(remedy)
}

fn version(identity: &SourceIdentity, items: &mut Items) {
    let number: Vec<u32> =
        identity.version.split(['.', '-']).map_while(|part| part.parse().ok()).take(2).collect();
    let oldest: &[u32] = match identity.flavor {
        Flavor::MySql => &[5, 7],
        Flavor::MariaDb => &[10, 2],
    };
    if number.as_slice() < oldest {
        items.warn(
            "version",
            format!("version {} of the source is older than those that are tested", identity.version),
            "Please use MySQL 5.7 or later, or MariaDB 10.2 or later.",
        );
    } else {
        items.pass("version");
    }
    items.expect("server_id", identity.server_id != 0, || {
        failed("server_id of the source is 0".to_owned(), "Please set server_id to a unique number.")
    });
}

fn binlog(identity: &SourceIdentity, subtask: Option<&SubtaskConfig>, items: &mut Items) {
    let on = identity.is_on("log_bin");
    items.expect("binlog_enable", on, || {
        failed(
            format!("log_bin is {}, and should be ON", identity.variable("log_bin")),
            "Please switch the binlog on (log-bin in the server's configuration) and restart the source.",
        )
    });
    if !on {
        return;
    }
    let format = identity.variable("binlog_format");
    // A server without the variable knows ROW only.
    items.expect("binlog_format", format.is_empty() || format.eq_ignore_ascii_case("ROW"), || {
        failed(
            format!("binlog_format is {format}, and should be ROW"),
            "Please execute 'SET GLOBAL binlog_format=ROW;' and let all sessions of the source reconnect.",
        )
    });
    row_image(identity, subtask, items);
}

/// Whole images are needed where only the whole row says which one is meant: tables may merge.
fn row_image(identity: &SourceIdentity, subtask: Option<&SubtaskConfig>, items: &mut Items) {
    const ITEM: &str = "binlog_row_image";
    const REMEDY: &str =
        "Please execute 'SET GLOBAL binlog_row_image=FULL;' and let all sessions of the source reconnect.";
    let image = identity.variable(ITEM);
    let is = |name: &str| image.eq_ignore_ascii_case(name);
    let partial = is("MINIMAL") || is("NOBLOB");
    if is("FULL") {
        items.pass(ITEM);
    } else if partial && subtask.is_some_and(|s| s.routes.is_empty()) {
        items.warn(
            ITEM,
            format!(
                "binlog_row_image is {image}: changes of tables with several unique keys are applied one after the other, and a table that several sources feed, or one with a default that is no plain literal, stops the task"
            ),
            REMEDY,
        );
    } else {
        let why =
            if partial { ", and tables with another name at the target are found by whole rows" } else { "" };
        items.fail(ITEM, &failed(format!("binlog_row_image is {image}, and should be FULL{why}"), REMEDY));
    }
}

fn gtids(source: &SourceConfig, identity: &SourceIdentity, items: &mut Items) {
    if source.enable_gtid && !identity.has_gtids() {
        let failure = match identity.flavor {
            Flavor::MySql => Failure::new(
                Code::CheckGtidMode,
                format!(
                    "enable-gtid is set and gtid_mode of the source is {}",
                    identity.variable("gtid_mode")
                ),
            ),
            Flavor::MariaDb => Failure::new(
                Code::GtidStrictModeOff,
                "enable-gtid is set and gtid_strict_mode of the source is OFF",
            ),
        };
        items.fail("gtid_mode", &failure);
    } else {
        items.pass("gtid_mode");
    }
}

fn privileges(
    source: &SourceConfig,
    subtask: Option<&SubtaskConfig>,
    grants: &Grants,
    syncs: bool,
    items: &mut Items,
) {
    let user = &source.from.user;
    let mut missing = Vec::new();
    if syncs && !grants.global(&["REPLICATION SLAVE", "REPLICATION REPLICA"]) {
        missing.push("REPLICATION SLAVE");
    }
    if syncs && !grants.global(&["REPLICATION CLIENT", "BINLOG MONITOR", "SUPER"]) {
        missing.push("REPLICATION CLIENT");
    }
    report(items, "replication_privilege", user, &missing, "*.*", grants.roles());
    let loads = subtask.is_some_and(|s| s.task_mode != TaskMode::Incremental);
    let missing: &[&str] = if grants.somewhere(&["SELECT"]) { &[] } else { &["SELECT"] };
    let name = if loads { "dump_privilege" } else { "select_privilege" };
    report(items, name, user, missing, "the migrated schemas", grants.roles());
}

fn report(items: &mut Items, name: &str, user: &str, missing: &[&str], object: &str, roles: bool) {
    if missing.is_empty() {
        return items.pass(name);
    }
    let message = format!("account {user} lacks {} on {object}", missing.join(", "));
    let remedy = format!("Please execute 'GRANT {} ON ... TO {user};' at the source.", missing.join(", "));
    if roles {
        items.warn(name, format!("{message}, unless a role grants it"), remedy);
    } else {
        items.fail(name, &Failure::new(Code::CheckFailed, message).scope(Scope::Upstream).workaround(remedy));
    }
}

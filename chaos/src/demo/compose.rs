//! What the demo's screen says, from dmctl's own answers.
use std::fmt::Write as _;

use serde_json::Value;

const BAR: usize = 30;

/// The lines of one screen: members, the subtask's unit, and the load per table or the sync's lag.
pub fn compose(members: &Value, status: &Value, written: u64) -> Vec<String> {
    let mut lines = vec![members_line(members)];
    let source = &status["sources"][0];
    let subtask = &source["subTaskStatus"][0];
    lines.push(format!(
        "task     {} on {}: {} {}   ({written} transactions written at the source)",
        text(&subtask["name"]),
        text(&source["sourceStatus"]["worker"]),
        text(&subtask["unit"]),
        text(&subtask["stage"]),
    ));
    match subtask["unit"].as_str() {
        Some("Load") => lines.extend(load_lines(&subtask["load"])),
        Some("Sync") => {
            let sync = &subtask["sync"];
            lines.push(format!(
                "sync     {} s behind, {} transactions/s, at {}, synced: {}",
                text(&sync["secondsBehindMaster"]),
                text(&sync["recentTps"]),
                text(&sync["syncerBinlogGtid"]),
                sync["synced"]
            ));
        }
        _ => {}
    }
    if let Some(error) = subtask["result"]["errors"][0]["Message"].as_str() {
        lines.push(format!("error    {error}"));
    }
    lines
}

/// Whether this status shows a load that moves: with a rate and a time left.
pub fn load_moves(status: &Value) -> bool {
    let subtask = &status["sources"][0]["subTaskStatus"][0];
    subtask["unit"] == "Load" && number(&subtask["load"]["rowsPerSecond"]) > 0
}

fn members_line(members: &Value) -> String {
    let mut line = String::from("members ");
    for group in members["members"].as_array().into_iter().flatten() {
        if let Some(name) = group["leader"]["name"].as_str() {
            let _ = write!(line, " leader {name};");
        }
        for kind in ["master", "worker"] {
            for member in group[kind][format!("{kind}s")].as_array().into_iter().flatten() {
                let name = member["name"].as_str().unwrap_or("?");
                let state = match kind {
                    "master" if member["alive"] == Value::Bool(true) => "up",
                    "master" => "down",
                    _ => member["stage"].as_str().unwrap_or("?"),
                };
                let _ = write!(line, " {name} {state},");
            }
        }
    }
    line.trim_end_matches([',', ';']).to_owned()
}

/// The load unit reports DM's fields and, beside them, rows, rates and times left, in total and per table.
fn load_lines(load: &Value) -> Vec<String> {
    let tables = load["tables"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sum = |field: &str| tables.iter().map(|t| number(&t[field])).sum::<u64>();
    let mut lines = vec![format!(
        "load     {}, {}/{} rows, {}",
        text(&load["progress"]),
        sum("rowsDone"),
        sum("rowsTotal"),
        pace(load)
    )];
    if let Some(snapshot) = load["metaBinlog"].as_str().filter(|text| !text.is_empty()) {
        lines.push(format!("snapshot {snapshot}"));
    }
    for table in tables {
        let (done, total) = (number(&table["rowsDone"]), number(&table["rowsTotal"]).max(1));
        let part = usize::try_from(done.saturating_mul(BAR as u64) / total).map_or(BAR, |n| n.min(BAR));
        // Also a table that was empty is done.
        let (filled, pace) = match table["finished"] == Value::Bool(true) {
            true => (BAR, format!("{} rows/s, done", number(&table["rowsPerSecond"]))),
            false => (part, pace(table)),
        };
        lines.push(format!(
            "  {:<24} [{}{}] {done}/{} rows, {pace}",
            table["table"].as_str().unwrap_or("?").replace('`', ""),
            "#".repeat(filled),
            ".".repeat(BAR - filled),
            number(&table["rowsTotal"]),
        ));
    }
    lines
}

/// Rate and time left. A table that waits for others has no rate of its own yet, but a time.
fn pace(of: &Value) -> String {
    let (rate, left) = (number(&of["rowsPerSecond"]), number(&of["etaSeconds"]));
    let rate = if rate > 0 { rate.to_string() } else { "-".to_owned() };
    let left = if rate == "-" && left == 0 { "-".to_owned() } else { format!("{left} s") };
    format!("{rate} rows/s, ETA {left}")
}

fn text(v: &Value) -> String {
    v.as_str().unwrap_or("-").to_owned()
}

/// protobuf's JSON has 64-bit numbers as strings.
fn number(v: &Value) -> u64 {
    v.as_str().and_then(|s| s.parse().ok()).or_else(|| v.as_u64()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn loading() -> Value {
        json!({"result": true, "sources": [{
        "sourceStatus": {"source": "mysql-replica-01", "worker": "w2"},
        "subTaskStatus": [{"name": "migration", "stage": "Running", "unit": "Load", "result": null, "load": {
            "finishedBytes": "900", "totalBytes": "3000", "progress": "30.00 %", "metaBinlog": "lock: (b.1, 4)",
            "rowsPerSecond": "125000", "etaSeconds": "2",
            "tables": [
                {"table": "`audit`.`entry`", "rowsDone": "20000", "rowsTotal": "20000", "finished": true,
                 "rowsPerSecond": "99000", "etaSeconds": "0"},
                {"table": "`shop`.`click`", "rowsDone": "10000", "rowsTotal": "30000", "finished": false,
                 "rowsPerSecond": "130000", "etaSeconds": "1"},
                {"table": "`shop`.`customer`", "rowsDone": "0", "rowsTotal": "50000", "finished": false,
                 "rowsPerSecond": "0", "etaSeconds": "2"},
            ]}}]}]})
    }

    #[test]
    fn a_load_shows_rate_and_eta_in_total_and_per_table() {
        let lines = compose(&json!({}), &loading(), 7);
        assert_eq!(
            lines[1],
            "task     migration on w2: Load Running   (7 transactions written at the source)"
        );
        assert_eq!(lines[2], "load     30.00 %, 30000/100000 rows, 125000 rows/s, ETA 2 s");
        assert_eq!(lines[3], "snapshot lock: (b.1, 4)");
        assert!(
            lines[4].starts_with("  audit.entry  ")
                && lines[4].ends_with("20000/20000 rows, 99000 rows/s, done")
        );
        assert!(
            lines[5].contains("[##########....................] 10000/30000 rows, 130000 rows/s, ETA 1 s")
        );
        assert!(lines[6].ends_with("0/50000 rows, - rows/s, ETA 2 s"), "{}", lines[6]);
        assert!(load_moves(&loading()));
    }

    #[test]
    fn a_load_that_has_not_begun_promises_nothing() {
        let mut status = loading();
        status["sources"][0]["subTaskStatus"][0]["load"] = json!({"progress": "0.00 %"});
        let lines = compose(&json!({}), &status, 0);
        assert_eq!(lines[2], "load     0.00 %, 0/0 rows, - rows/s, ETA -");
        assert!(!load_moves(&status));
    }

    #[test]
    fn members_and_lag() {
        let members = json!({"members": [
            {"leader": {"name": "m1"}},
            {"master": {"masters": [{"name": "m1", "alive": true}, {"name": "m2", "alive": false}]}},
            {"worker": {"workers": [{"name": "w1", "stage": "bound"}, {"name": "w2", "stage": "offline"}]}},
        ]});
        let status = json!({"sources": [{"subTaskStatus": [{"unit": "Sync", "stage": "Paused",
            "sync": {"secondsBehindMaster": "3", "recentTps": "200", "syncerBinlogGtid": "0-1-9", "synced": false},
            "result": {"errors": [{"Message": "no"}]}}]}]});
        let lines = compose(&members, &status, 0);
        assert_eq!(lines[0], "members  leader m1; m1 up, m2 down, w1 bound, w2 offline");
        assert_eq!(lines[2], "sync     3 s behind, 200 transactions/s, at 0-1-9, synced: false");
        assert_eq!(lines[3], "error    no");
    }
}

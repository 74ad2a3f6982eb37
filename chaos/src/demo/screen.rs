//! The one-screen progress of the demo.
use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
    time::{Duration, Instant},
};

use serde_json::Value;

/// How often a screen that is not a terminal gets a line.
const LINE_EVERY: Duration = Duration::from_secs(2);
const BAR: usize = 30;

/// Draws over itself on a terminal; elsewhere prints a line now and then.
pub struct Screen {
    terminal: bool,
    drawn: usize,
    last_line: Option<Instant>,
}

impl Screen {
    pub fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), drawn: 0, last_line: None }
    }

    /// Shows members, the subtask's unit, and load per table or sync lag, from dmctl's own answers.
    pub fn show(&mut self, members: &Value, status: &Value, written: u64) {
        let lines = compose(members, status, written);
        if self.terminal {
            let mut text = String::new();
            if self.drawn > 0 {
                let _ = write!(text, "\x1b[{}A", self.drawn);
            }
            for line in &lines {
                let _ = writeln!(text, "\x1b[2K{line}");
            }
            // Lines of a longer screen before this one.
            for _ in lines.len()..self.drawn {
                let _ = writeln!(text, "\x1b[2K");
            }
            self.drawn = self.drawn.max(lines.len());
            print!("{text}");
            // A closed terminal is no reason to end the demo.
            let _ = std::io::stdout().flush();
        } else if self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            println!("{}", lines.join(" | "));
        }
    }

    /// Goes on below what is shown.
    pub fn leave(&mut self) {
        self.drawn = 0;
        self.last_line = None;
    }
}

fn compose(members: &Value, status: &Value, written: u64) -> Vec<String> {
    let mut lines = vec![members_line(members)];
    let source = &status["sources"][0];
    let subtask = &source["subTaskStatus"][0];
    let text = |v: &Value| v.as_str().unwrap_or("-").to_owned();
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

/// The load unit reports DM's fields and, beside them, rows per table.
fn load_lines(load: &Value) -> Vec<String> {
    let number =
        |v: &Value| v.as_str().and_then(|s| s.parse::<u64>().ok()).or_else(|| v.as_u64()).unwrap_or(0);
    let mut lines = vec![format!(
        "load     {} {}",
        load["progress"].as_str().unwrap_or("-"),
        load["metaBinlog"].as_str().unwrap_or("")
    )];
    for table in load["tables"].as_array().into_iter().flatten() {
        let (done, total) = (number(&table["rowsDone"]), number(&table["rowsTotal"]).max(1));
        let filled = (done as usize * BAR / total as usize).min(BAR);
        lines.push(format!(
            "  {:<20} [{}{}] {done}/{total} rows",
            table["table"].as_str().unwrap_or("?"),
            "#".repeat(filled),
            ".".repeat(BAR - filled)
        ));
    }
    lines
}

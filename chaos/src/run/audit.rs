//! What the target's own binlog says of the lanes: the order in which they were written is the order of its commits.
use std::{
    collections::{HashMap, HashSet},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use dm_tests::{Database, within};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::house::TASK;

/// Bound on reading all of it.
const READ: Duration = Duration::from_secs(600);
/// Columns of the lane table, from 1, as its definition has them.
const SOURCE: usize = 1;
const STREAM: usize = 2;
const LANE: usize = 3;
const EPOCH: usize = 5;
const ATTEMPT: usize = 6;
const SEQ: usize = 7;

/// What was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Swaps and take-overs of lanes.
    pub writes: u64,
    pub findings: Vec<String>,
}

/// Reads every binlog file of a MariaDB target with `mariadb-binlog`, which shares no code with us.
pub async fn read(target: &Database) -> Result<Audit> {
    let data = target.dir().join("data");
    let mut files: Vec<_> = std::fs::read_dir(&data)?.collect::<std::io::Result<Vec<_>>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let files = files.into_iter().map(|f| f.path());
    let numbered = |path: &std::path::PathBuf| {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        name.strip_prefix("binlog.").is_some_and(|n| n.parse::<u64>().is_ok())
    };
    let files: Vec<_> = files.filter(numbered).collect();
    ensure!(!files.is_empty(), "no binlog files in {}", data.display());
    let mut command = tokio::process::Command::new("mariadb-binlog");
    command.args(["--base64-output=DECODE-ROWS", "--verbose"]).args(files);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run mariadb-binlog")?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).split(b'\n');
    let mut lanes = Lanes::default();
    let reading = async {
        while let Some(line) = lines.next_segment().await? {
            lanes.line(&String::from_utf8_lossy(&line));
        }
        lanes.end_row();
        let status = child.wait().await?;
        ensure!(status.success(), "mariadb-binlog: {status}");
        anyhow::Ok(())
    };
    within(READ, "read the target's binlog", reading).await?;
    Ok(lanes.audit)
}

/// Source, stream and lane.
type Key = (String, u64, i64);
/// (epoch, attempt, seq) of a row.
type Owner = (u64, u64, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Other,
    Where,
    Set,
}

/// Follows the lane rows through the text.
#[derive(Debug)]
struct Lanes {
    audit: Audit,
    known: HashMap<Key, Owner>,
    /// Attempts that have owned a lane.
    former: HashSet<(Key, u64)>,
    table: String,
    verb: String,
    part: Part,
    before: HashMap<usize, String>,
    after: HashMap<usize, String>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            audit: Audit::default(),
            known: HashMap::new(),
            former: HashSet::new(),
            table: format!("`dm_meta`.`{TASK}_lane`"),
            verb: String::new(),
            part: Part::Other,
            before: HashMap::new(),
            after: HashMap::new(),
        }
    }
}

impl Lanes {
    fn line(&mut self, line: &str) {
        let Some(text) = line.strip_prefix("### ") else {
            self.end_row();
            return;
        };
        if let Some((verb, table)) = ["INSERT INTO ", "UPDATE ", "DELETE FROM "]
            .iter()
            .find_map(|verb| Some((verb.trim(), text.strip_prefix(verb)?)))
        {
            self.end_row();
            if table.trim() == self.table {
                verb.clone_into(&mut self.verb);
            }
            return;
        }
        if self.verb.is_empty() {
            return;
        }
        match text.trim() {
            "WHERE" => self.part = Part::Where,
            "SET" => self.part = Part::Set,
            column => {
                let Some((n, value)) = column.strip_prefix('@').and_then(|c| c.split_once('=')) else {
                    return;
                };
                let Ok(n) = n.parse::<usize>() else { return };
                // Behind a number there may be its unsigned reading in brackets, for negative ones.
                let value = value.trim_matches('\'');
                let image = if self.part == Part::Where { &mut self.before } else { &mut self.after };
                image.insert(n, value.to_owned());
            }
        }
    }

    /// One row's change is complete.
    fn end_row(&mut self) {
        let verb = std::mem::take(&mut self.verb);
        let (before, after) = (std::mem::take(&mut self.before), std::mem::take(&mut self.after));
        self.part = Part::Other;
        if verb.is_empty() {
            return;
        }
        self.audit.writes += 1;
        let image = if after.is_empty() { &before } else { &after };
        let (Some(key), old, new) = (key(image), owner(&before), owner(&after)) else {
            self.audit.findings.push(format!("a lane row that can't be read: {verb} {before:?} {after:?}"));
            return;
        };
        let known = self.known.get(&key).copied();
        let name = format!("lane {} of {} (stream {})", key.2, key.0, key.1);
        let findings = &mut self.audit.findings;
        let mut wrong = |what: String| findings.push(format!("{name}: {what}"));
        if known.is_some() && old.is_some() && known != old {
            wrong(format!("was {known:?} as it was written last, and {old:?} when it was changed"));
        }
        match (known.or(old), new) {
            (Some(old), Some(new)) => {
                if new.0 < old.0 {
                    wrong(format!("epoch went back from {} to {}", old.0, new.0));
                }
                // Attempts are drawn by chance, and each take-over has its own.
                if new.1 != old.1 && !self.former.insert((key.clone(), new.1)) {
                    wrong(format!("attempt {} of epoch {} is back", new.1, new.0));
                }
                // A take-over moves epoch and attempt only; whoever clears low and done moves nothing.
                let steps = if (new.0, new.1) == (old.0, old.1) { old.2..=old.2 + 1 } else { old.2..=old.2 };
                if verb == "UPDATE" && !steps.contains(&new.2) {
                    wrong(format!("seq went from {} to {}", old.2, new.2));
                }
                self.known.insert(key, new);
            }
            (_, Some(new)) => drop(self.known.insert(key, new)),
            (_, None) => drop(self.known.remove(&key)),
        }
    }
}

fn key(image: &HashMap<usize, String>) -> Option<Key> {
    let lane = image.get(&LANE)?.split(' ').next()?.parse().ok()?;
    Some((image.get(&SOURCE)?.clone(), image.get(&STREAM)?.parse().ok()?, lane))
}

fn owner(image: &HashMap<usize, String>) -> Option<Owner> {
    let number = |n| image.get(&n)?.split(' ').next()?.parse().ok();
    Some((number(EPOCH)?, number(ATTEMPT)?, number(SEQ)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(lane: i32, owner: Owner) -> String {
        let (epoch, attempt, seq) = owner;
        let lane = if lane < 0 { format!("{lane} (4294967295)") } else { lane.to_string() };
        format!(
            "###   @1='source-1'\n###   @2=0\n###   @3={lane}\n###   @4='c'\n###   @5={epoch}\n###   @6={attempt}\n\
             ###   @7={seq}\n###   @8=1\n###   @9='low'\n###   @10='do\\'ne'\n"
        )
    }

    fn update(lane: i32, old: Owner, new: Owner) -> String {
        format!(
            "### UPDATE `dm_meta`.`{TASK}_lane`\n### WHERE\n{}### SET\n{}# at 4\n",
            row(lane, old),
            row(lane, new)
        )
    }

    fn audit(text: &str) -> Audit {
        let mut lanes = Lanes::default();
        text.lines().for_each(|line| lanes.line(line));
        lanes.end_row();
        lanes.audit
    }

    #[test]
    fn what_a_healthy_target_logs_is_fine() {
        let text = format!(
            "### INSERT INTO `dm_meta`.`{TASK}_lane`\n### SET\n{}# at 1\n{}{}{}### UPDATE `work1`.`ledger`\n### WHERE\n###   @1=1\n",
            row(-1, (0, 0, 0)),
            update(-1, (0, 0, 0), (1, 1, 0)),
            update(-1, (1, 1, 0), (1, 1, 1)),
            update(-1, (1, 1, 1), (2, 7, 1)),
        );
        assert_eq!(audit(&text), Audit { writes: 4, findings: Vec::new() });
    }

    #[test]
    fn each_broken_promise_is_found() {
        let found = |text: String| audit(&text).findings.join("\n");
        let first = update(0, (1, 1, 4), (1, 1, 5));
        assert!(found(first.clone() + &update(0, (1, 1, 5), (1, 1, 7))).contains("seq went from 5 to 7"));
        assert!(found(first.clone() + &update(0, (1, 1, 4), (1, 1, 5))).contains("as it was written last"));
        assert!(
            found(first.clone() + &update(0, (1, 1, 5), (0, 9, 5))).contains("epoch went back from 1 to 0")
        );
        let back = update(0, (1, 1, 5), (1, 2, 5))
            + &update(0, (1, 2, 5), (1, 3, 5))
            + &update(0, (1, 3, 5), (1, 2, 5));
        assert!(found(first.clone() + &back).contains("attempt 2 of epoch 1 is back"));
        assert!(found(first.clone() + &update(0, (1, 1, 5), (1, 2, 6))).contains("seq went from 5 to 6"));
        assert!(
            found(first + "### UPDATE `dm_meta`.`migration_lane`\n### WHERE\n###   @1='x'\n")
                .contains("can't be read")
        );
    }
}

//! The table of negative controls in README.md is whole.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// What stands between back quotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// What stands between double quotes in one part of a file.
fn names(file: &str, from: &str, to: &str) -> Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(Path::new(HERE).join(file)).context(file.to_owned())?;
    let part = text.split_once(from).with_context(|| format!("no `{from}` in {file}"))?.1;
    let part = part.split_once(to).with_context(|| format!("no `{to}` in {file}"))?.0;
    Ok(part.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

/// The text of all tests below a folder.
fn sources(folder: &Path, out: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, out)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[test]
fn every_switch_is_in_the_table_with_a_test_that_exists() -> Result<()> {
    let readme = std::fs::read_to_string(Path::new(HERE).join("README.md"))?;
    let table = readme.split_once("| promise that is broken |").context("no table")?.1;
    let rows = table.lines().skip(2).take_while(|l| l.starts_with('|'));
    let mut tests = String::new();
    for folder in ["tests", "sim/tests", "../worker/tests", "../worker/target/tests"] {
        sources(&Path::new(HERE).join(folder), &mut tests)?;
    }
    let mut told = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        ensure!(cells.len() == 5, "{row}");
        told.extend(quoted(cells[2]).flat_map(|s| s.split(',')).map(str::to_owned));
        let mut names = quoted(cells[3]).filter(|n| *n != "sim" && !n.ends_with(".rs")).peekable();
        ensure!(names.peek().is_some(), "no test: {row}");
        for name in names {
            ensure!(tests.contains(&format!("fn {name}(")), "there is no test {name}");
        }
    }
    // As a worker and as the simulation read them.
    let mut known = names("../worker/src/test_switches.rs", "let switch = match name {", "other => bail!")?;
    known.extend(names("sim/tests/sim/switch.rs", "pub const ALL", "];")?);
    known.remove("none");
    ensure!(known.len() > 15, "{known:?}");
    ensure!(told == known, "in the table {told:?}, in the code {known:?}");
    Ok(())
}

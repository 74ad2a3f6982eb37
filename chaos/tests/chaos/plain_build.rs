//! What is shipped has no test switches.

use std::process::Command;

use anyhow::{Result, ensure};

/// The features of a plain build of a program, as cargo resolves them.
fn has_no_switches(program: &str, room: &str) -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", program, "--edges", "normal,features"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()?;
    let tree = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in [room, "dm-failpoints"] {
        ensure!(tree.contains(&format!("{part} v")), "no {part} in the tree:\n{tree}");
    }
    let switches = [
        "feature \"broken\"",
        "feature \"failpoints\"",
        "feature \"test-switches\"",
        "feature \"simulation\"",
    ];
    for switch in switches {
        ensure!(!tree.contains(switch), "a plain {program} has {switch}");
    }
    Ok(())
}

#[test]
fn a_plain_worker_has_no_switches() -> Result<()> {
    has_no_switches("dm-worker", "dm-target")
}

#[test]
fn a_plain_master_has_no_switches() -> Result<()> {
    has_no_switches("dm-master", "dm-consensus")
}

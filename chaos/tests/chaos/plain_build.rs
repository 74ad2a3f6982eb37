//! What is shipped has no test switches.

use std::process::Command;

use anyhow::{Result, ensure};

/// The features of a plain build of the programs, as cargo resolves them.
#[test]
fn plain_programs_have_no_switches() -> Result<()> {
    let programs = ["dm-master", "dm-worker", "dmctl"].map(|program| ["--package", program]);
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,features"])
        .args(programs.iter().flatten())
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()?;
    let tree = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for room in ["dm-target v", "dm-consensus v", "dm-failpoints v"] {
        ensure!(tree.contains(room), "no {room} in the tree:\n{tree}");
    }
    let switches = [
        "feature \"broken\"",
        "feature \"failpoints\"",
        "feature \"test-switches\"",
        "feature \"simulation\"",
    ];
    for switch in switches {
        ensure!(!tree.contains(switch), "a plain program has {switch}");
    }
    Ok(())
}

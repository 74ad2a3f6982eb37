//! What is shipped has no test switches.

use std::process::Command;

use anyhow::{Result, ensure};

/// The features of a plain build of the worker, as cargo resolves them.
#[test]
fn a_plain_worker_has_no_switches() -> Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "dm-worker", "--edges", "normal,features"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()?;
    let tree = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(tree.contains("dm-target v"), "no dm-target in the tree:\n{tree}");
    let switches = [
        "feature \"broken\"",
        "feature \"failpoints\"",
        "feature \"test-switches\"",
        "feature \"simulation\"",
    ];
    for switch in switches {
        ensure!(!tree.contains(switch), "a plain build has {switch}");
    }
    Ok(())
}

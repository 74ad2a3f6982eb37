//! Bounds what the MySQL driver keeps.
use std::{env, io, os::unix::process::CommandExt, process::Command};

/// The driver puts the buffer of each packet back into a pool of 128, each with as much memory as its largest packet took:
/// up to 4 MiB unless this says otherwise (bytes). It reads it once, and has no other switch.
const CAPACITY: &str = "MYSQL_ASYNC_BUFFER_SIZE_CAP";
/// Enough for rows and answers; a large packet costs an allocation.
const BYTES: &str = "65536";

/// Begins this program again with the bound in its environment, unless that has one: a running process can't change its
/// environment safely. The process id stays, and so does everything else.
///
/// # Errors
/// It returns only where that is not possible; then the driver keeps what it likes.
pub fn bound_driver_memory() -> io::Result<()> {
    if env::var_os(CAPACITY).is_some() {
        return Ok(());
    }
    let mut arguments = env::args_os();
    let mut again = Command::new(env::current_exe()?);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    Err(again.args(arguments).env(CAPACITY, BYTES).exec())
}

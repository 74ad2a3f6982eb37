//! Free ports.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex, PoisonError};

use rand::Rng as _;

/// Ports below the kernel's ephemeral range (32768 and up): a server that is killed and started again on the same port
/// must not find that some outgoing connection has been given its port meanwhile.
const FIRST: u16 = 12_000;
/// Ports that one test process chooses from.
const SLICE: u16 = 500;
/// Test processes whose ports do not meet.
const SLICES: u16 = 40;

/// A port of 127.0.0.1 that nothing listens on now, and that this process has not been given before: who asks for it
/// listens only some time later.
pub fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let slice = u16::try_from(std::process::id() % u32::from(SLICES)).unwrap_or(0);
    let first = FIRST + slice * SLICE;
    let mut random = rand::rng();
    for _ in 0..5000 {
        let port = random.random_range(first..first + SLICE);
        if !given.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            given.insert(port);
            return port;
        }
    }
    // Its slice is used up: let the kernel choose; a bind that fails there too gives 0, which no server accepts.
    TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).map_or(0, |a| a.port())
}

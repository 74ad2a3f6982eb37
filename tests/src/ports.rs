//! Free ports.

use std::net::TcpListener;

use rand::Rng as _;

/// A port of 127.0.0.1 that nothing listens on now.
///
/// Taken below the kernel's ephemeral range (32768 and up): a server that is killed and started again on the same
/// port must not find that some outgoing connection has been given its port meanwhile.
pub fn free_port() -> u16 {
    let mut random = rand::rng();
    for _ in 0..1000 {
        let port = random.random_range(12_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    // A thousand busy ports: let the kernel choose; a bind that fails there too gives 0, which no server accepts.
    TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).map_or(0, |a| a.port())
}

//! A TCP proxy that can fail like a network.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// What the proxy does to its connections.
#[derive(Debug, Clone, Default)]
struct Faults {
    /// Nothing travels to the server.
    hold_to_server: bool,
    /// Nothing travels to the client.
    hold_to_client: bool,
    /// One-way delay, in each direction.
    delay: Duration,
    /// New connections are reset too.
    refuse: bool,
    /// Counts the cuts: connections that are older than the last one are reset.
    cuts: u64,
    /// The last cut reset only the client's half; the server's half stays open, silent, until the proxy heals.
    spare_server: bool,
}

/// Listens on a free port and passes connections on; healthy at first. Ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    faults: watch::Sender<Faults>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// A proxy to a port of 127.0.0.1.
    pub async fn start(to_port: u16) -> Result<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST, to_port).await
    }

    /// A proxy to a port of an address of ours, on the same address.
    pub async fn start_on(ip: Ipv4Addr, to_port: u16) -> Result<Self> {
        let to = SocketAddr::new(IpAddr::V4(ip), to_port);
        let listener = TcpListener::bind((ip, 0)).await?;
        let addr = listener.local_addr()?;
        let (faults, watched) = watch::channel(Faults::default());
        let acceptor = tokio::spawn(async move {
            // Dropping the set with this task ends every connection.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((client, _)) => drop(connections.spawn(serve(client, to, watched.clone()))),
                        Err(e) => eprintln!("proxy cannot accept: {e}"),
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { addr, faults, acceptor })
    }

    /// The proxy's port.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Resets (RST) every connection on both sides and every new one, until [`Self::heal`].
    pub fn cut(&self) {
        self.faults.send_modify(|f| {
            f.cuts += 1;
            f.refuse = true;
            f.spare_server = false;
        });
    }

    /// Resets every connection on both sides once; new ones pass.
    pub fn reset_connections(&self) {
        self.faults.send_modify(|f| {
            f.cuts += 1;
            f.spare_server = false;
        });
    }

    /// Resets the clients' halves once; the server sees nothing: its half stays open and silent until
    /// [`Self::heal`]. New connections pass.
    pub fn abandon_server_side(&self) {
        self.faults.send_modify(|f| {
            f.cuts += 1;
            f.spare_server = true;
        });
    }

    /// Half-open connections: nothing travels, nothing is closed, until [`Self::heal`].
    pub fn black_hole(&self) {
        self.faults.send_modify(|f| (f.hold_to_server, f.hold_to_client) = (true, true));
    }

    /// Holds only what travels to the server.
    pub fn black_hole_to_server(&self) {
        self.faults.send_modify(|f| f.hold_to_server = true);
    }

    /// Holds only what travels to the client.
    pub fn black_hole_to_client(&self) {
        self.faults.send_modify(|f| f.hold_to_client = true);
    }

    /// Delays every byte by this time in each direction.
    pub fn delay(&self, delay: Duration) {
        self.faults.send_modify(|f| f.delay = delay);
    }

    /// Passes everything again; what was held goes on its way.
    pub fn heal(&self) {
        self.faults.send_modify(|f| *f = Faults { cuts: f.cuts, ..Faults::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// Serves one connection until an end closes it or it is cut.
async fn serve(mut client: TcpStream, to: SocketAddr, mut faults: watch::Receiver<Faults>) {
    let born = faults.borrow().cuts;
    let refused = faults.borrow().refuse;
    let connected = if refused { None } else { TcpStream::connect(to).await.ok() };
    let Some(mut server) = connected else {
        // A server that is not there looks like one that resets.
        drop(client.set_zero_linger());
        return;
    };
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    let cut = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let up = pump(client_read, server_write, faults.clone(), |f| f.hold_to_server);
        let down = pump(server_read, client_write, faults.clone(), |f| f.hold_to_client);
        tokio::select! {
            changed = faults.wait_for(|f| f.cuts > born) => changed.is_ok(),
            // A broken half breaks the other; an orderly close of one direction leaves the other open.
            ended = futures::future::try_join(up, down) => ended.is_err(),
        }
    };
    if cut {
        drop(client.set_zero_linger());
        drop(client);
        let spare = faults.borrow().spare_server;
        if spare {
            // Holds the server's half without reading it; ends too when the proxy is dropped.
            drop(faults.wait_for(|f| !f.spare_server).await);
        }
        drop(server.set_zero_linger());
    }
}

/// Copies one direction: reads, waits out the delay, waits while it is held, writes.
async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    faults: watch::Receiver<Faults>,
    held: fn(&Faults) -> bool,
) -> Result<()> {
    let (queue, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(64);
    let mut read_faults = faults.clone();
    let reader = async move {
        let mut buffer = vec![0; 16 << 10];
        loop {
            // While held nothing is read either: the sender's own buffers fill, as behind a dead link.
            read_faults.wait_for(|f| !held(f)).await.context("the proxy is gone")?;
            let n = from.read(&mut buffer).await?;
            let at = Instant::now() + read_faults.borrow().delay;
            if n == 0 {
                return Ok(());
            }
            queue.send((at, buffer[..n].to_vec())).await?;
        }
    };
    let mut write_faults = faults;
    let writer = async move {
        while let Some((at, bytes)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            write_faults.wait_for(|f| !held(f)).await.context("the proxy is gone")?;
            to.write_all(&bytes).await?;
        }
        write_faults.wait_for(|f| !held(f)).await.context("the proxy is gone")?;
        to.shutdown().await?;
        Ok(())
    };
    futures::future::try_join(reader, writer).await.map(drop)
}

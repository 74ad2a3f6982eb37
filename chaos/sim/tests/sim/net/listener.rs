//! Ports.
use std::{
    io,
    task::{Context, Poll},
};

use super::{Port, Segment, Stream, net};

/// A port of the host whose turn it is; dropped, it is closed.
pub struct Listener {
    address: String,
}

impl Listener {
    pub fn bind(address: &str) -> Self {
        let mut net = net();
        net.ports.insert(address.to_owned(), Port::default());
        Self { address: address.to_owned() }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Stream> {
        let mut net = net();
        let Some(port) = net.ports.get_mut(&self.address) else { return Poll::Pending };
        match port.waiting.pop_front() {
            Some(conn) => Poll::Ready(Stream { conn, side: 1 }),
            None => {
                port.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub async fn next(&self) -> Stream {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// As gRPC's server takes them.
    pub fn incoming(self) -> impl futures::Stream<Item = io::Result<Stream>> + Send + 'static {
        futures::stream::poll_fn(move |cx| self.poll_accept(cx).map(|stream| Some(Ok(stream))))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut net = net();
        let waiting = net.ports.remove(&self.address).map(|port| port.waiting).unwrap_or_default();
        for conn in waiting {
            net.send(conn, 1, Segment::End { reset: true });
            if let Some(ends) = net.conns.get_mut(&conn) {
                ends[1].open = false;
            }
        }
    }
}

impl axum::serve::Listener for Listener {
    type Io = Stream;
    type Addr = String;

    async fn accept(&mut self) -> (Stream, String) {
        (self.next().await, "simulated".to_owned())
    }

    fn local_addr(&self) -> io::Result<String> {
        Ok(self.address.clone())
    }
}

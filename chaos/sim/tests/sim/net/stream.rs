//! One end of a connection, as programs use it.
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Net, Segment, WINDOW, net};

/// One end of a connection.
pub struct Stream {
    pub(super) conn: u64,
    pub(super) side: usize,
}

impl Stream {
    fn poll(&self, poll: impl FnOnce(&mut Net, usize) -> Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let mut net = net();
        match net.conns.get(&self.conn) {
            Some(ends) if ends[self.side].reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(_) => poll(&mut net, self.side),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut net = net();
        let silent = net.silent;
        if !silent {
            net.send(self.conn, self.side, Segment::End { reset: false });
        }
        if let Some(ends) = net.conns.get_mut(&self.conn) {
            let end = &mut ends[self.side];
            end.open = false;
            end.reader = None;
            end.writer = None;
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let conn = self.conn;
        let read = self.poll(|net, side| {
            let Some(ends) = net.conns.get_mut(&conn) else { return Poll::Ready(Ok(0)) };
            let end = &mut ends[side];
            if end.received.is_empty() && !end.eof {
                end.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let n = buf.remaining().min(end.received.len());
            let bytes: Vec<u8> = end.received.drain(..n).collect();
            buf.put_slice(&bytes);
            let waker = ends[1 - side].writer.take();
            if let Some(waker) = waker {
                waker.wake();
            }
            Poll::Ready(Ok(n))
        });
        read.map(|read| read.map(drop))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let conn = self.conn;
        self.poll(|net, side| {
            let Some(ends) = net.conns.get_mut(&conn) else { return Poll::Ready(Ok(0)) };
            let other = &ends[1 - side];
            let room = WINDOW.saturating_sub(other.coming_bytes + other.received.len());
            if room == 0 {
                ends[side].writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let n = room.min(data.len());
            net.send(conn, side, Segment::Data(data[..n].to_vec()));
            Poll::Ready(Ok(n))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        net().send(self.conn, self.side, Segment::End { reset: false });
        Poll::Ready(Ok(()))
    }
}

impl tonic::transport::server::Connected for Stream {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

//! How a worker's target connections reach the simulated server.
use std::io;

use dm_target::simulation::{Connecting, Reply, Session};
use futures::{FutureExt, future::BoxFuture};
use mysql_async::Value as SqlValue;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sql::Value;
use crate::net::{self, Stream};

/// A reply on the wire.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    pub answers: Vec<(u64, u64)>,
    pub rows: Vec<Vec<Value>>,
    pub error: Option<(u16, String)>,
}

pub async fn send(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes();
    stream.write_all(&length).await?;
    stream.write_all(bytes).await
}

pub async fn receive(stream: &mut Stream) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

struct Client(Stream);

impl Session for Client {
    fn query<'a>(&'a mut self, sql: &'a [u8]) -> BoxFuture<'a, io::Result<Reply>> {
        async move {
            send(&mut self.0, sql).await?;
            let answer: Answer =
                serde_json::from_slice(&receive(&mut self.0).await?).map_err(io::Error::other)?;
            let rows = answer.rows.into_iter().map(|row| row.into_iter().map(value).collect()).collect();
            Ok(Reply { answers: answer.answers, rows, error: answer.error })
        }
        .boxed()
    }
}

fn value(value: Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::NULL,
        Value::Text(text) => SqlValue::Bytes(text),
        Value::Number(n) => match i64::try_from(n) {
            Ok(n) => SqlValue::Int(n),
            Err(_) => SqlValue::UInt(n as u64),
        },
    }
}

pub fn connect(address: String) -> Connecting {
    async move { Ok(Box::new(Client(net::connect(address).await?)) as Box<dyn Session>) }.boxed()
}

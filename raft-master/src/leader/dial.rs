//! The connection from the leader to a worker.
use std::{error::Error, io, time::Duration};

use tonic::transport::{Channel, Endpoint};

/// Why a worker could not be reached. The difference decides how fast its sources move.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host answers, and nobody listens there: the process is gone.
    #[error("connection refused by {0}")]
    Refused(String),
    /// No answer, or no route: could be the network.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// Address dialled.
        address: String,
        /// Text of the error.
        reason: String,
    },
}

/// Connects within the deadline.
pub async fn dial(address: &str, deadline: Duration) -> Result<Channel, DialError> {
    let unreachable = |reason: String| DialError::Unreachable { address: address.to_owned(), reason };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|e| unreachable(e.to_string()))?
        .connect_timeout(deadline)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true);
    match tokio::time::timeout(deadline, dm_proto::net::connect(endpoint)).await {
        Err(_) => Err(unreachable(format!("no answer within {} ms", deadline.as_millis()))),
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) if is_refused(&error) => Err(DialError::Refused(address.to_owned())),
        Ok(Err(error)) => Err(unreachable(chain(&error))),
    }
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) || error.source().is_some_and(is_refused)
}

/// The text of an error and of all beneath it.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_without_a_listener_is_told_from_a_host_without_an_answer() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let refused = dial(&address, Duration::from_secs(2)).await;
        assert!(matches!(refused, Err(DialError::Refused(_))), "{refused:?}");
        let unknown = dial("no-such-host.invalid:1", Duration::from_secs(2)).await;
        assert!(matches!(unknown, Err(DialError::Unreachable { .. })), "{unknown:?}");
    }
}

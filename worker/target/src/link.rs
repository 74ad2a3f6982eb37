//! One connection to the target.

use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, OptsBuilder};
use tokio::time::timeout;

use crate::error::TargetError;
use crate::session;
use crate::spec::TargetSpec;

/// What the server answered to one statement of a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) affected: u64,
    pub(crate) warnings: u64,
}

/// An error inside a packet: which statement, and what it was.
#[derive(Debug)]
pub(crate) struct PacketError {
    /// Number of the failing statement, from 0.
    pub(crate) statement: usize,
    pub(crate) error: TargetError,
}

/// One connection; after an error (other than deadlock and lock wait) or a wait that was given up it refuses any
/// further use, so that nothing half done is ever continued.
pub(crate) struct Link {
    conn: Option<Wire>,
    pub(crate) name: String,
}

/// What carries it.
enum Wire {
    Server(Conn),
    #[cfg(feature = "simulation")]
    Simulated(Box<dyn crate::simulation::Session>),
}

impl Link {
    /// Connects and sets up the session.
    pub(crate) async fn open(spec: &TargetSpec, name: &str) -> Result<Self, TargetError> {
        let opening = async {
            #[cfg(feature = "simulation")]
            if let Some(connecting) = crate::simulation::connect(spec) {
                let mut session = connecting.await.map_err(mysql_async::Error::from)?;
                for statement in session::session_statements(&spec.address, spec.foreign_key_checks) {
                    session.query(statement.as_bytes()).await?;
                }
                return Ok(Wire::Simulated(session));
            }
            let opts = OptsBuilder::default()
                .ip_or_hostname(spec.address.host.clone())
                .tcp_port(spec.address.port)
                .user(Some(spec.address.user.clone()))
                .pass(Some(spec.address.password.clone()))
                .prefer_socket(false)
                .tcp_nodelay(true)
                .tcp_keepalive(Some(Duration::from_secs(5)))
                .stmt_cache_size(0)
                // A change must match its row even where it changes nothing: count matched rows, not changed ones.
                .client_found_rows(true);
            let mut conn = Conn::new(opts).await?;
            for statement in session::session_statements(&spec.address, spec.foreign_key_checks) {
                conn.query_drop(statement).await?;
            }
            Ok::<_, mysql_async::Error>(Wire::Server(conn))
        };
        match timeout(spec.limits.connect, opening).await {
            Ok(Ok(conn)) => Ok(Self { conn: Some(conn), name: name.to_owned() }),
            Ok(Err(e)) => Err(TargetError::from_driver(&e, name, "connecting")),
            Err(_) => {
                Err(TargetError::Timeout { what: format!("connecting {name}"), after: spec.limits.connect })
            }
        }
    }

    fn take(&mut self) -> Result<Wire, TargetError> {
        self.conn.take().ok_or_else(|| TargetError::Lost {
            connection: self.name.clone(),
            message: "it had an error before".to_owned(),
        })
    }

    /// Sends a text of several statements in one packet and reads every answer; each may take as long as `deadline`.
    ///
    /// The connection is out of our hands while it waits: a caller who gives up closes it.
    pub(crate) async fn packet(
        &mut self,
        sql: &[u8],
        deadline: Duration,
    ) -> Result<Vec<Answer>, PacketError> {
        let mut conn = self.take().map_err(|error| PacketError { statement: 0, error })?;
        let mut answers = Vec::new();
        let outcome = read_answers(&mut conn, sql, deadline, &mut answers).await;
        let statement = answers.len();
        match outcome {
            Ok(()) => {
                self.conn = Some(conn);
                Ok(answers)
            }
            Err(Some(e)) => {
                if matches!(&e, mysql_async::Error::Server(s) if matches!(s.code, 1213 | 1205)) {
                    self.conn = Some(conn);
                } else {
                    shut(conn).await;
                }
                Err(PacketError {
                    statement,
                    error: TargetError::from_driver(&e, &self.name, "sending a packet"),
                })
            }
            Err(None) => {
                let connection = self.name.clone();
                Err(PacketError {
                    statement,
                    error: TargetError::Unanswered { connection, statement, after: deadline },
                })
            }
        }
    }

    /// Runs one statement without a result.
    pub(crate) async fn run(&mut self, sql: &[u8], deadline: Duration) -> Result<Answer, TargetError> {
        let answers = self.packet(sql, deadline).await.map_err(|e| e.error)?;
        answers
            .last()
            .copied()
            .ok_or_else(|| TargetError::Misuse { message: "a statement without answer".to_owned() })
    }

    /// Runs one query.
    pub(crate) async fn rows<T>(&mut self, sql: &str, deadline: Duration) -> Result<Vec<T>, TargetError>
    where
        T: FromRow + Send + 'static,
    {
        let mut conn = self.take()?;
        match timeout(deadline, try_rows(&mut conn, sql)).await {
            Ok(Ok(rows)) => {
                self.conn = Some(conn);
                Ok(rows)
            }
            Ok(Err(e)) => {
                if matches!(&e, mysql_async::Error::Server(s) if matches!(s.code, 1213 | 1205)) {
                    self.conn = Some(conn);
                } else {
                    shut(conn).await;
                }
                Err(TargetError::from_driver(&e, &self.name, "reading"))
            }
            Err(_) => {
                Err(TargetError::Timeout { what: format!("a query of {}", self.name), after: deadline })
            }
        }
    }

    /// Runs one query and gives its first row.
    pub(crate) async fn first<T>(&mut self, sql: &str, deadline: Duration) -> Result<Option<T>, TargetError>
    where
        T: FromRow + Send + 'static,
    {
        Ok(self.rows(sql, deadline).await?.into_iter().next())
    }

    /// COM_PING: keeps the session below its `wait_timeout` and notices a dead peer.
    pub(crate) async fn ping(&mut self, deadline: Duration) -> Result<(), TargetError> {
        let mut conn = self.take()?;
        match timeout(deadline, ping(&mut conn)).await {
            Ok(Ok(())) => {
                self.conn = Some(conn);
                Ok(())
            }
            Ok(Err(e)) => Err(TargetError::from_driver(&e, &self.name, "pinging")),
            Err(_) => Err(TargetError::Timeout { what: format!("a ping of {}", self.name), after: deadline }),
        }
    }

    /// Ends the session politely; its locks are released by the server.
    pub(crate) async fn close(mut self) {
        self.shut().await;
    }

    /// The same, leaving a link that refuses any use.
    pub(crate) async fn shut(&mut self) {
        if let Some(conn) = self.conn.take() {
            shut(conn).await;
        }
    }
}

async fn ping(wire: &mut Wire) -> mysql_async::Result<()> {
    match wire {
        Wire::Server(conn) => conn.ping().await,
        #[cfg(feature = "simulation")]
        Wire::Simulated(session) => session.query(b"PING").await.map(drop).map_err(Into::into),
    }
}

/// Ends a session within a second; past it the socket is simply closed.
async fn shut(wire: Wire) {
    #[allow(clippy::infallible_destructuring_match)] // in a build without simulations
    let conn = match wire {
        Wire::Server(conn) => conn,
        #[cfg(feature = "simulation")]
        Wire::Simulated(session) => return drop(session),
    };
    if let Ok(Err(e)) = timeout(Duration::from_secs(1), conn.disconnect()).await {
        tracing::debug!(error = %e, "closing a target connection");
    }
}

/// Reads the answers one by one. An error inside a packet of several statements arrives in the place of the failing
/// statement's answer, and only `next` tells it; `answers` then holds those before it. `None` is a statement without an
/// answer within the deadline: a packet of a thousand slow statements is as good as a fast one while it gets on.
async fn read_answers(
    wire: &mut Wire,
    sql: &[u8],
    deadline: Duration,
    answers: &mut Vec<Answer>,
) -> Result<(), Option<mysql_async::Error>> {
    #[allow(clippy::infallible_destructuring_match)] // in a build without simulations
    let conn = match wire {
        Wire::Server(conn) => conn,
        #[cfg(feature = "simulation")]
        Wire::Simulated(session) => {
            let reply = timeout(deadline, session.query(sql)).await.map_err(|_| None)?;
            let reply = reply.map_err(|e| Some(e.into()))?;
            answers.extend(reply.answers.iter().map(|&(affected, warnings)| Answer { affected, warnings }));
            return reply.outcome().map(drop).map_err(Some);
        }
    };
    let mut result = timeout(deadline, conn.query_iter(sql)).await.map_err(|_| None)?.map_err(Some)?;
    loop {
        let answer = Answer { affected: result.affected_rows(), warnings: u64::from(result.warnings()) };
        let more = !result.is_empty();
        while timeout(deadline, result.next()).await.map_err(|_| None)?.map_err(Some)?.is_some() {}
        answers.push(answer);
        if !more {
            return Ok(());
        }
    }
}

async fn try_rows<T>(wire: &mut Wire, sql: &str) -> mysql_async::Result<Vec<T>>
where
    T: FromRow + Send + 'static,
{
    let rows = match wire {
        Wire::Server(conn) => conn.query_iter(sql).await?.try_collect_and_drop::<T>().await?,
        #[cfg(feature = "simulation")]
        Wire::Simulated(session) => {
            let rows = session.query(sql.as_bytes()).await?.outcome()?;
            rows.into_iter().map(T::from_row_opt).collect()
        }
    };
    rows.into_iter().map(|row| row.map_err(|e| mysql_async::Error::Other(Box::new(e)))).collect()
}

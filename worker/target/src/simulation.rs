//! A simulated target's place: it gets the protocol's own text and answers as a server would.
use std::{io, sync::OnceLock};

use futures::future::BoxFuture;
use mysql_async::{Error, Row, ServerError, Value};

use crate::spec::TargetSpec;

/// What a server answers to one packet of text.
#[derive(Debug, Default)]
pub struct Reply {
    /// Of each statement that succeeded: (rows matched, warnings).
    pub answers: Vec<(u64, u64)>,
    /// Rows of the last statement.
    pub rows: Vec<Vec<Value>>,
    /// What ended it early: number and text.
    pub error: Option<(u16, String)>,
}

impl Reply {
    pub(crate) fn outcome(self) -> Result<Vec<Row>, Error> {
        match self.error {
            Some((code, message)) => Err(ServerError { code, message, state: "HY000".to_owned() }.into()),
            None => Ok(self.rows.into_iter().map(row).collect()),
        }
    }
}

fn row(values: Vec<Value>) -> Row {
    let column = driver_rows::packets::Column::new(mysql_async::consts::ColumnType::MYSQL_TYPE_VAR_STRING);
    let columns = vec![column; values.len()];
    driver_rows::row::new_row(values, columns.into())
}

/// One connection to a simulated target; dropping it closes it.
pub trait Session: Send + Sync {
    /// Sends a text of one or more statements and waits for the reply.
    fn query<'a>(&'a mut self, sql: &'a [u8]) -> BoxFuture<'a, io::Result<Reply>>;
}

/// A connection being made.
pub type Connecting = BoxFuture<'static, io::Result<Box<dyn Session>>>;

/// What a simulation provides.
#[derive(Clone, Copy)]
pub struct Target {
    /// Connects to `host:port`.
    pub connect: fn(String) -> Connecting,
    /// Changes a specification, for switches.
    pub adjust: fn(&mut TargetSpec),
}

static TARGET: OnceLock<Target> = OnceLock::new();

/// From now on the targets of this process are simulated.
pub fn install(target: Target) {
    // A process simulates one world: the first stays.
    let _ = TARGET.set(target);
}

/// Lets the simulation change what a caller has specified.
pub fn adjust(spec: &mut TargetSpec) {
    if let Some(target) = TARGET.get() {
        (target.adjust)(spec);
    }
}

pub(crate) fn connect(spec: &TargetSpec) -> Option<Connecting> {
    let target = TARGET.get()?;
    Some((target.connect)(format!("{}:{}", spec.address.host, spec.address.port)))
}

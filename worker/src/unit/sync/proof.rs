//! Proof that a source without GTIDs still has the binlog that was read before.
use std::time::Duration;

use dm_binlog::{Decoder, Event};
use dm_proto::error::Code;

use super::reader::{connect_binlog, position_start};
use crate::{
    failure::{Failure, Next},
    subtask::SubtaskContext,
};

const DEADLINE: Duration = Duration::from_secs(10);
/// The format description is the first real event that a dump sends.
const EVENTS: usize = 8;

/// When the server created a binlog file: a file of the same name after RESET MASTER has another time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionProof {
    pub file: String,
    pub created: u32,
}

impl PositionProof {
    /// Asks the source for the beginning of the file.
    pub async fn read(context: &SubtaskContext, file: &str) -> Result<Self, Failure> {
        match tokio::time::timeout(DEADLINE, Self::ask(context, file)).await {
            Ok(read) => read,
            Err(_) => {
                Err(Failure::new(Code::BinlogRead, format!("the beginning of {file} did not come in time"))
                    .next(Next::Unreachable))
            }
        }
    }

    async fn ask(context: &SubtaskContext, file: &str) -> Result<Self, Failure> {
        let mut client = connect_binlog(context, position_start(file, 4)).await?;
        let mut decoder = Decoder::new(context.identity.flavor);
        let mut created = None;
        for _ in 0..EVENTS {
            let bytes = super::reader::next_event(&mut client).await?;
            let (header, event) = decoder.decode(&bytes).map_err(super::reader::damaged)?;
            if matches!(event, Event::Format(_)) {
                created = Some(header.timestamp);
                break;
            }
        }
        client.close().await;
        created
            .map(|created| Self { file: file.to_owned(), created })
            .ok_or_else(|| Failure::new(Code::BinlogCorrupt, format!("{file} has no format description")))
    }

    pub fn to_text(&self) -> String {
        format!("{} {}", self.file, self.created)
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (file, created) = text.rsplit_once(' ')?;
        Some(Self { file: file.to_owned(), created: created.parse().ok()? })
    }
}

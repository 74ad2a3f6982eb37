//! The point from which the main stream starts.
use dm_binlog::GtidSet;
use dm_proto::error::Code;
use dm_schema::TableName;
use dm_target::{ExecutedSet, StartPoint};

use super::sync::{SourceProof, StoredTables};
use crate::{failure::Failure, subtask::SubtaskContext};

/// Everything up to this point of the source counts as applied; `tables` are `SHOW CREATE TABLE` texts as of it.
///
/// `gtid_set` is used where the source names transactions by GTID, `file` and `pos` elsewhere.
pub async fn start_point(
    context: &SubtaskContext,
    file: &str,
    pos: u64,
    gtid_set: &str,
    tables: impl IntoIterator<Item = (TableName, String)> + Send,
) -> Result<StartPoint, Failure> {
    // A GTID set given by a person needs no file.
    let proof = match file {
        "" => String::new(),
        file => SourceProof::read(context, file).await?.to_text(),
    };
    let executed = if context.gtid_mode() {
        let set = GtidSet::parse(context.identity.flavor, gtid_set).map_err(|e| {
            Failure::new(Code::GtidUnparseable, format!("the start {gtid_set:?} is not a GTID set")).cause(e)
        })?;
        ExecutedSet::from_gtid_set(set)
    } else {
        // The generation is given by the target when the stream begins; it numbers the set itself.
        ExecutedSet::up_to_position(0, file, pos)
    };
    let mut stored = StoredTables::default();
    for (name, create) in tables {
        stored.add_created(&name, create);
    }
    Ok(StartPoint {
        executed,
        source_identity: context.identity.text(),
        position_proof: proof,
        schemas: stored.encode(),
        windows: String::new(),
        beside: Vec::new(),
    })
}

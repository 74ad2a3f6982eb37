//! Asking for the binlog: session variables, registration, the dump commands.

use dm_binlog::{Flavor, GtidSet};

use crate::config::{ReplicationConfig, StartAt};
use crate::connection::Connection;
use crate::error::{ReplicationError, ReplicationErrorKind};

const COM_BINLOG_DUMP: u8 = 0x12;
const COM_REGISTER_SLAVE: u8 = 0x15;
const COM_BINLOG_DUMP_GTID: u8 = 0x1E;
/// MariaDB: send ANNOTATE_ROWS events too. Without them the stream has holes.
const SEND_ANNOTATE_ROWS: u16 = 0x2;
/// MySQL: a GTID set follows.
const THROUGH_GTID: u16 = 0x4;
/// Position of a file's first event.
const FIRST_EVENT: u32 = 4;

/// Sends everything up to and including the dump command; the stream of events follows.
pub(crate) async fn start(conn: &mut Connection, config: &ReplicationConfig) -> Result<(), ReplicationError> {
    let command = dump_command(config)?;
    for sql in settings(config) {
        conn.query(&sql).await?;
    }
    conn.simple_command(&register(config)).await?;
    conn.packets.command(&command, config.connect_timeout).await
}

/// Both spellings of a variable: servers read one of them, setting the other is harmless.
fn settings(config: &ReplicationConfig) -> Vec<String> {
    let period = config.heartbeat.as_nanos();
    // Stable for a server id, so that a new connection of ours replaces our old one on the server.
    let uuid = format!("72616674-646d-4000-8000-{:012x}", config.server_id);
    let mut sql = vec![
        "SET @master_binlog_checksum=@@global.binlog_checksum, @source_binlog_checksum=@@global.binlog_checksum"
            .to_owned(),
        format!("SET @master_heartbeat_period={period}, @source_heartbeat_period={period}"),
        format!("SET @slave_uuid='{uuid}', @replica_uuid='{uuid}'"),
    ];
    if config.flavor == Flavor::MariaDb {
        // 4: we know MariaDB's GTID events; otherwise the server rewrites them.
        sql.push("SET @mariadb_slave_capability=4".to_owned());
        if let StartAt::Gtid(set) = &config.start {
            sql.push(format!("SET @slave_connect_state='{set}'"));
            sql.push("SET @slave_gtid_strict_mode=1, @slave_gtid_ignore_duplicates=0".to_owned());
        }
    }
    sql
}

fn register(config: &ReplicationConfig) -> Vec<u8> {
    let mut out = vec![COM_REGISTER_SLAVE];
    out.extend_from_slice(&config.server_id.to_le_bytes());
    // Host, user and password that SHOW REPLICAS would print, each with its length: none.
    out.extend_from_slice(&[0, 0, 0]);
    // Port, rank, source id.
    out.extend_from_slice(&[0; 2 + 4 + 4]);
    out
}

fn dump_command(config: &ReplicationConfig) -> Result<Vec<u8>, ReplicationError> {
    let flags = if config.flavor == Flavor::MariaDb { SEND_ANNOTATE_ROWS } else { 0 };
    match &config.start {
        StartAt::Position { file, pos } => {
            let pos = u32::try_from(*pos).map_err(|_| {
                ReplicationError::new(
                    ReplicationErrorKind::Unsupported,
                    format!("position {pos} of {file} is beyond 4 GiB, which only GTID mode can reach"),
                )
            })?;
            Ok(plain_dump(config, flags, file, pos))
        }
        StartAt::Gtid(set) if set.flavor() != config.flavor => Err(ReplicationError::new(
            ReplicationErrorKind::WrongFlavor,
            format!("the start is a GTID set of {}, the source is {}", set.flavor(), config.flavor),
        )),
        // The set went before, as a variable.
        StartAt::Gtid(GtidSet::MariaDb(_)) => Ok(plain_dump(config, flags, "", FIRST_EVENT)),
        StartAt::Gtid(GtidSet::MySql(set)) => {
            let mut out = vec![COM_BINLOG_DUMP_GTID];
            out.extend_from_slice(&THROUGH_GTID.to_le_bytes());
            out.extend_from_slice(&config.server_id.to_le_bytes());
            out.extend_from_slice(&0u32.to_le_bytes());
            out.extend_from_slice(&u64::from(FIRST_EVENT).to_le_bytes());
            let mut encoded = Vec::new();
            set.encode(&mut encoded);
            out.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
            out.extend_from_slice(&encoded);
            Ok(out)
        }
    }
}

fn plain_dump(config: &ReplicationConfig, flags: u16, file: &str, pos: u32) -> Vec<u8> {
    let mut out = vec![COM_BINLOG_DUMP];
    out.extend_from_slice(&pos.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&config.server_id.to_le_bytes());
    out.extend_from_slice(file.as_bytes());
    out
}

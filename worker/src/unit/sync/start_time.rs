//! `start-task --start-time`: the first transaction at or after a moment.
use std::time::Duration;

use dm_binlog::{Decoder, Event};
use dm_proto::error::{Code, Scope};
use dm_schema::quote_string;
use mysql_async::{Row, prelude::Queryable};
use tracing::{info, warn};

use super::{
    proof::SourceProof,
    reader::{connect_binlog, damaged, next_event, position_start},
    stats::Place,
};
use crate::{
    failure::{Failure, Next, from_mysql},
    subtask::SubtaskContext,
    upstream,
};

const ANSWER: Duration = Duration::from_secs(30);

/// Where the stream has to begin. A moment before all binlogs gives the beginning of the first one, as in DM.
pub async fn find(context: &SubtaskContext, text: &str) -> Result<Place, Failure> {
    let (moment, files) = match tokio::time::timeout(ANSWER, ask(context, text)).await {
        Ok(answer) => answer?,
        Err(_) => {
            return Err(Failure::new(Code::DatabaseQuery, "ask the source for its binlogs")
                .scope(Scope::Upstream)
                .cause(format!("no answer within {ANSWER:?}"))
                .next(Next::Unreachable));
        }
    };
    let Some(first) = files.first() else {
        return Err(Failure::new(Code::StartTimeTooLate, "the source has no binlogs"));
    };
    // The last file that was made before the moment: `files[..low]` were, `files[high..]` were not.
    let (mut low, mut high) = (0, files.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match files.get(middle) {
            Some(file) if u64::from(SourceProof::read(context, file).await?.created) < moment => {
                low = middle + 1
            }
            _ => high = middle,
        }
    }
    let file = match low.checked_sub(1).and_then(|i| files.get(i)) {
        Some(file) => file,
        None => {
            warn!(task = %context.task, source = %context.source_id, start_time = text, file = %first, "the start time lies before all binlogs: the stream begins with the first of them");
            first
        }
    };
    let place = scan(context, file, moment, text).await?;
    info!(task = %context.task, source = %context.source_id, start_time = text, place = %place.text(), "the start time is found");
    Ok(place)
}

/// The moment in seconds since 1970, and the names of all binlog files.
async fn ask(context: &SubtaskContext, text: &str) -> Result<(u64, Vec<String>), Failure> {
    let bad = || Failure::new(Code::StartTimeInvalid, format!("`--start-time {text}` is not a time"));
    let (local, offset) = split(text).ok_or_else(bad)?;
    let mut conn = upstream::connect(&context.source).await?;
    let failed = |e: mysql_async::Error| from_mysql(&e, Scope::Upstream, "ask the source for its binlogs");
    if offset.is_none() {
        // Without a zone it is the source's own time, as in DM.
        conn.query_drop("SET time_zone = @@GLOBAL.time_zone").await.map_err(failed)?;
    }
    let seconds: Option<Option<f64>> = conn
        .query_first(format!("SELECT UNIX_TIMESTAMP({}) + 0e0", quote_string(&local)))
        .await
        .map_err(failed)?;
    let seconds = seconds.flatten().filter(|s| *s > 0.0).ok_or_else(bad)?;
    let rows: Vec<Row> = conn.query("SHOW BINARY LOGS").await.map_err(failed)?;
    // A reading connection: how it ends changes nothing.
    let _ = conn.disconnect().await;
    let files = rows.iter().filter_map(|r| r.get_opt::<String, _>(0)?.ok()).collect();
    let moment = seconds as i64 - offset.unwrap_or(0);
    Ok((u64::try_from(moment).map_err(|_| bad())?, files))
}

/// The first transaction at or after the moment, from the beginning of a file on.
async fn scan(context: &SubtaskContext, file: &str, moment: u64, text: &str) -> Result<Place, Failure> {
    let mut client = connect_binlog(context, position_start(file, 4)).await?;
    let mut decoder = Decoder::new(context.identity.flavor);
    let mut at = Place { file: file.to_owned(), pos: 4 };
    let found = loop {
        let bytes = next_event(&mut client).await?;
        let (header, event) = decoder.decode(&bytes).map_err(|e| damaged(at.text(), e))?;
        match &event {
            Event::Gtid(_) | Event::AnonymousGtid(_) | Event::MariaGtid(_)
                if u64::from(header.timestamp) >= moment =>
            {
                break Some(at);
            }
            Event::Rotate(rotate) => {
                at = Place { file: String::from_utf8_lossy(rotate.file).into_owned(), pos: rotate.position };
                continue;
            }
            // The server has nothing more to send.
            Event::Heartbeat(_) => break None,
            _ => {}
        }
        at.pos = header.next_position().map_or(at.pos, u64::from);
    };
    client.close().await;
    found.ok_or_else(|| {
        Failure::new(
            Code::StartTimeTooLate,
            format!("`--start-time {text}` is later than everything in the source's binlogs"),
        )
    })
}

/// `YYYY-MM-DD hh:mm:ss`, with a blank or `T`, and the offset of a zone in seconds: `Z`, `+hh:mm`, `+hhmm`.
fn split(text: &str) -> Option<(String, Option<i64>)> {
    let text = text.trim();
    let (local, zone) = (text.get(..19)?, text.get(19..)?);
    let form = "dddd-dd-dd?dd:dd:dd";
    let fits = local.chars().zip(form.chars()).all(|(c, f)| match f {
        'd' => c.is_ascii_digit(),
        '?' => c == ' ' || c == 'T',
        other => c == other,
    });
    if !fits {
        return None;
    }
    let offset = match zone {
        "" => None,
        "Z" => Some(0),
        zone => {
            let sign = match zone.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            let digits = zone.get(1..)?.replacen(':', "", 1);
            if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let (hours, minutes): (i64, i64) =
                (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
            Some(sign * (hours * 3600 + minutes * 60))
        }
    };
    Some((local.replace('T', " "), offset))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn forms_of_a_start_time() {
        let at = "2026-11-25 16:45:00";
        for (text, offset) in [
            ("2026-11-25 16:45:00", None),
            ("2026-11-25T16:45:00", None),
            ("2026-11-25T16:45:00Z", Some(0)),
            ("2026-11-25 16:45:00+01:30", Some(5400)),
            ("2026-11-25T16:45:00-0100", Some(-3600)),
        ] {
            assert_eq!(split(text), Some((at.to_owned(), offset)), "{text}");
        }
        for bad in [
            "",
            "2026-11-25",
            "2026-11-25 16:45",
            "2026-11-25x16:45:00",
            "2026-11-25 16:45:00+1",
            "2026-11-25 16:45:00 CET",
        ] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}

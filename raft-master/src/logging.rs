//! Log lines in DM's form: `[time] [LEVEL] [file:line] [message] [key=value]`, or JSON.
use std::{
    fmt::{self, Write as _},
    fs::OpenOptions,
    io,
    sync::Mutex,
};

use dm_proto::config::LogConfig;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]/[month]/[day] [hour]:[minute]:[second].[subsecond digits:3] +00:00");

/// Starts logging for the process. Libraries are heard from `warn` on, unless `debug` is asked for.
pub fn start(config: &LogConfig) -> io::Result<()> {
    let level = &config.level;
    let filter = match level.as_str() {
        "error" => "error".to_owned(),
        _ => format!("warn,dm_master={level},dm_consensus={level},dm_state={level}"),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .event_format(DmFormat { json: config.json });
    let started = match &config.file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            builder.with_writer(Mutex::new(file)).try_init()
        }
        None => builder.with_writer(io::stderr).try_init(),
    };
    started.map_err(|e| io::Error::other(e.to_string()))
}

/// One event, one line.
struct DmFormat {
    json: bool,
}

impl<S, N> FormatEvent<S, N> for DmFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let meta = event.metadata();
        let now = OffsetDateTime::now_utc().format(TIME).map_err(|_| fmt::Error)?;
        let file = meta.file().and_then(|f| f.rsplit('/').next()).unwrap_or("unknown");
        let caller = format!("{file}:{}", meta.line().unwrap_or(0));
        let mut fields = Fields::default();
        event.record(&mut fields);
        if self.json {
            return writeln!(out, "{}", fields.json(&now, meta.level().as_str(), &caller));
        }
        write!(out, "[{now}] [{}] [{caller}] [{}]", meta.level(), quoted(&fields.message))?;
        for (name, value) in &fields.others {
            write!(out, " [{name}={}]", quoted(value))?;
        }
        writeln!(out)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Fields {
    fn json(&self, time: &str, level: &str, caller: &str) -> String {
        let mut line = serde_json::Map::new();
        line.insert("level".into(), level.into());
        line.insert("time".into(), time.into());
        line.insert("caller".into(), caller.into());
        line.insert("message".into(), self.message.as_str().into());
        for (name, value) in &self.others {
            line.insert((*name).into(), value.as_str().into());
        }
        serde_json::Value::Object(line).to_string()
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = write!(text, "{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.others.push((name, text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.others.push((name, value.to_owned())),
        }
    }
}

/// In quotes where blanks, brackets, quotes or control characters would make a field ambiguous.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '[' | ']' | '"' | '='));
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stay_apart() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("two words"), "\"two words\"");
        assert_eq!(quoted("a]b"), "\"a]b\"");
        assert_eq!(quoted("line\nbreak"), "\"line\\nbreak\"");
        assert_eq!(quoted(""), "\"\"");
    }
}

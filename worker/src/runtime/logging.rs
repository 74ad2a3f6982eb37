//! Log lines in DM's text form: `[time] [LEVEL] [file:line] [message] [key=value]`, or JSON.
use std::{
    fmt::{self, Write as _},
    fs::{File, OpenOptions},
    io,
    sync::{Arc, Mutex, PoisonError},
};

use dm_proto::config::LogConfig;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer},
    registry::LookupSpan,
};

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]/[month]/[day] [hour]:[minute]:[second].[subsecond digits:3] +00:00");

/// Where log lines go: a file that is appended to, or standard error.
#[derive(Clone)]
enum Sink {
    File(Arc<Mutex<File>>),
    Stderr,
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write(bytes),
            Self::Stderr => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.lock().unwrap_or_else(PoisonError::into_inner).flush(),
            Self::Stderr => io::stderr().flush(),
        }
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Starts logging for the process, to standard error when no file is named.
///
/// The environment variable `RUST_LOG` overrides the level.
pub fn init(config: &LogConfig) -> anyhow::Result<()> {
    let sink = match &config.file {
        None => Sink::Stderr,
        Some(file) => {
            if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
                std::fs::create_dir_all(folder)?;
            }
            Sink::File(Arc::new(Mutex::new(OpenOptions::new().create(true).append(true).open(file)?)))
        }
    };
    let filter = match std::env::var("RUST_LOG") {
        Ok(given) if !given.is_empty() => EnvFilter::try_new(given)?,
        _ => EnvFilter::try_new(format!("{},h2=warn,hyper=warn,tower=warn,mysql_async=warn", config.level))?,
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(sink);
    let started = if config.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.event_format(DmText).try_init()
    };
    started.map_err(|e| anyhow::anyhow!("logging was already started: {e}"))
}

/// DM's text form of one line.
struct DmText;

impl<S, N> FormatEvent<S, N> for DmText
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = OffsetDateTime::now_utc().format(TIME).map_err(|_| fmt::Error)?;
        let meta = event.metadata();
        let file = meta.file().map_or("?", |f| f.rsplit('/').next().unwrap_or(f));
        let mut fields = Fields::default();
        event.record(&mut fields);
        writeln!(
            writer,
            "[{now}] [{}] [{file}:{}] [{}]{}",
            meta.level(),
            meta.line().unwrap_or(0),
            quoted(&fields.message),
            fields.rest
        )
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else {
            // Writing to a String never fails.
            let _ = write!(self.rest, " [{}={}]", field.name(), quoted(value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Quotes where a reader of the line could be misled: blanks, brackets, quotes, control characters.
fn quoted(text: &str) -> String {
    let plain = !text.is_empty()
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '"' | '='));
    if plain { text.to_owned() } else { format!("{text:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_blanks_or_brackets_are_quoted() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("two words"), "\"two words\"");
        assert_eq!(quoted("a[1]"), "\"a[1]\"");
        assert_eq!(quoted(""), "\"\"");
    }
}

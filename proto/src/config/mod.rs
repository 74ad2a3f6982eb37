//! The files people write, each in two forms: typed as written, and validated as meant.
//!
//! Every key that DM knows is accepted with its type; unknown keys are refused by name and line. A setting that
//! this version can't honour is refused when ignoring it would change what is replicated, else it is a warning.

mod endpoint;
mod filters;
pub mod master;
mod quantity;
mod rules;
mod secret;
pub mod source;
pub mod task;
mod toml_text;
mod units;
pub mod worker;
mod yaml;

pub use endpoint::Endpoint;
pub use filters::{ExpressionFilterConfig, FilterAction, FilterConfig};
pub use master::{MasterConfig, MasterFile};
pub use quantity::{parse_duration, parse_size};
pub use rules::{BlockAllowConfig, ExtractConfig, ExtractFrom, RouteConfig, TablePattern};
pub use secret::Secret;
pub use source::{CheckerConfig, Flavor, SourceConfig};
pub use task::{MODES_LEFT_OUT, OnlineDdlConfig, StartPosition, SubtaskConfig, TaskConfig, TaskMode};
pub use units::{LoaderConfig, MydumperConfig, OnDuplicate, SyncerConfig};
pub use worker::{WorkerConfig, WorkerFile};

use crate::error::{Code, Error};

/// How a process writes its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Least level that is written: `debug`, `info`, `warn`, `error` (DM's `fatal` counts as `error`).
    pub level: String,
    /// File to append to; `None` writes to standard error.
    pub file: Option<std::path::PathBuf>,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// What the file and the flags say about the log; flags and both programs share the keys.
pub(crate) fn log_config(
    level: Option<String>,
    file: Option<String>,
    format: Option<String>,
    code: Code,
) -> Result<LogConfig, Error> {
    let level = match level.as_deref().unwrap_or("info").to_ascii_lowercase().as_str() {
        level @ ("trace" | "debug" | "info" | "warn" | "error") => level.to_owned(),
        "warning" => "warn".to_owned(),
        "fatal" | "panic" | "dpanic" => "error".to_owned(),
        other => return Err(code.error(format!("log-level `{other}` is not known"))),
    };
    let json = match format.as_deref().unwrap_or("text") {
        "text" => false,
        "json" => true,
        other => return Err(code.error(format!("log-format `{other}` is not known"))),
    };
    Ok(LogConfig { level, file: file.filter(|f| !f.is_empty()).map(Into::into), json })
}

/// `None` for what Go would call empty.
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty())
}

/// Refuses what this version can't honour.
pub(crate) fn not_yet(what: impl std::fmt::Display) -> Error {
    Code::NotSupportedYet.error(format!("{what} is not supported by this version"))
}

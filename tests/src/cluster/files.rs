//! Source and task files as a DM user writes them.

use crate::{Database, Flavor};

/// A source's configuration file.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// `source-id`.
    pub id: String,
    /// `enable-gtid`.
    pub gtid: bool,
    /// `flavor`.
    pub flavor: Flavor,
    /// Port on 127.0.0.1.
    pub port: u16,
    /// User and password.
    pub user: (String, String),
    /// More lines, as they stand.
    pub extra: Vec<String>,
}

impl SourceFile {
    /// A source of root with GTIDs.
    pub fn new(id: &str, database: &Database) -> Self {
        Self {
            id: id.to_owned(),
            gtid: true,
            flavor: database.flavor(),
            port: database.port(),
            user: ("root".to_owned(), database.root_password().to_owned()),
            extra: Vec::new(),
        }
    }

    /// The file's text.
    pub fn yaml(&self) -> String {
        let (user, password) = &self.user;
        format!(
            "source-id: \"{}\"\nenable-gtid: {}\nflavor: \"{}\"\nfrom:\n  host: \"127.0.0.1\"\n  port: {}\n  \
             user: \"{user}\"\n  password: \"{password}\"\n{}",
            self.id,
            self.gtid,
            self.flavor.name(),
            self.port,
            self.extra.iter().map(|l| format!("{l}\n")).collect::<String>()
        )
    }
}

/// A task's configuration file.
#[derive(Debug, Clone)]
pub struct TaskFile {
    /// `name`.
    pub name: String,
    /// `task-mode`: `all`, `full`, `incremental`.
    pub mode: String,
    /// Port of the target on 127.0.0.1.
    pub target_port: u16,
    /// User and password at the target.
    pub target_user: (String, String),
    /// Ids of the sources.
    pub sources: Vec<String>,
    /// Schemas that are migrated (`do-dbs`).
    pub schemas: Vec<String>,
    /// More top-level lines, as they stand.
    pub extra: Vec<String>,
}

impl TaskFile {
    /// A `task-mode: all` task from one source as root of the target.
    pub fn new(name: &str, source: &str, target: &Database, schemas: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            mode: "all".to_owned(),
            target_port: target.port(),
            target_user: ("root".to_owned(), target.root_password().to_owned()),
            sources: vec![source.to_owned()],
            schemas: schemas.iter().map(|s| (*s).to_owned()).collect(),
            extra: Vec::new(),
        }
    }

    /// The file's text.
    pub fn yaml(&self) -> String {
        let (user, password) = &self.target_user;
        let sources: String = self
            .sources
            .iter()
            .map(|id| format!("  - source-id: \"{id}\"\n    block-allow-list: \"ours\"\n"))
            .collect();
        let quoted: Vec<String> = self.schemas.iter().map(|s| format!("\"{s}\"")).collect();
        format!(
            "name: \"{}\"\ntask-mode: \"{}\"\ntarget-database:\n  host: \"127.0.0.1\"\n  port: {}\n  \
             user: \"{user}\"\n  password: \"{password}\"\nmysql-instances:\n{sources}block-allow-list:\n  ours:\n    \
             do-dbs: [{}]\n{}",
            self.name,
            self.mode,
            self.target_port,
            quoted.join(", "),
            self.extra.iter().map(|l| format!("{l}\n")).collect::<String>()
        )
    }
}

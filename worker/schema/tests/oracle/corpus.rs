//! The files of the corpus, read.
use dm_schema::SqlMode;

const FILES: [(&str, &str); 6] = [
    ("basics", include_str!("../../corpus/basics.txt")),
    ("create", include_str!("../../corpus/create.txt")),
    ("alter", include_str!("../../corpus/alter.txt")),
    ("keys", include_str!("../../corpus/keys.txt")),
    ("partitions", include_str!("../../corpus/partitions.txt")),
    ("objects", include_str!("../../corpus/objects.txt")),
];

/// One statement and what is expected of it. Both sides that read it have no use for a part of it.
#[allow(dead_code)]
pub struct Case {
    /// File and line.
    pub place: String,
    /// Statements that must have run before.
    pub setup: Vec<String>,
    /// One of the servers must accept it.
    pub demanded: bool,
    pub mode: SqlMode,
    /// Kinds and classes, one for each statement after splitting.
    pub kinds: Vec<String>,
    /// The names in each of them.
    pub names: Vec<Vec<String>>,
    pub sql: String,
}

/// All of them, in order.
pub fn corpus() -> Vec<Case> {
    FILES.iter().flat_map(|(file, text)| read(file, text)).collect()
}

fn read(file: &str, text: &str) -> Vec<Case> {
    let (mut setup, mut servers) = (Vec::new(), false);
    let mut cases = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        if let Some(head) = line.strip_prefix('@') {
            servers = head != "?";
            setup =
                if servers { head.split(";;").map(|s| s.trim().to_owned()).collect() } else { Vec::new() };
            setup.retain(|s| !s.is_empty());
            continue;
        }
        let parts: Vec<&str> = line.splitn(4, '|').map(str::trim).collect();
        let flag = |c| parts[0].contains(c);
        let bit = |c, bit| if flag(c) { bit } else { 0 };
        let bits = bit('A', SqlMode::ANSI_QUOTES) | bit('N', SqlMode::NO_BACKSLASH_ESCAPES);
        // A statement with a line comment in its middle goes on in the next line.
        let mut sql = parts[3].to_owned();
        if sql.ends_with("-- c2") {
            sql.push_str("\n t (a INT)");
        }
        let names = |one: &str| one.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
        cases.push(Case {
            place: format!("{file}.txt:{}", number + 1),
            setup: setup.clone(),
            demanded: servers && !flag('!'),
            mode: SqlMode::from_bits(bits),
            kinds: parts[1].split(';').map(str::to_owned).collect(),
            names: parts[2].split(';').map(names).collect(),
            sql,
        });
    }
    cases
}

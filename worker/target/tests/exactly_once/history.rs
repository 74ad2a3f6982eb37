//! A deterministic history of source transactions, and what the target must hold after it.

use std::collections::BTreeMap;

use dm_target::{Batch, DdlClass, DdlObject, DdlStep, Mode, TxnId};

/// Accounts whose value depends on the order of their updates.
pub const ACCOUNTS: u64 = 12;

/// Value of `ddl_every` for a history in which nothing but the protocol prevents a second copy.
pub const NO_KEYS: u64 = u64::MAX;

/// One row change.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    /// `acc`: n = (n * 31 + d) % 1000003: twice or in another order gives another value.
    Account { id: u64, d: u64 },
    /// `log`: a new row.
    Log { id: u64 },
    /// `bag` (no key): one more of this value.
    BagAdd { v: u64 },
    /// `bag`: one less of this value.
    BagRemove { v: u64 },
    /// `tmp` (no key, truncated now and then).
    TmpAdd { v: u64 },
}

/// One source transaction.
#[derive(Debug, Clone)]
pub enum Change {
    /// Rows.
    Rows(Vec<Op>),
    /// A new column of `log`.
    AddColumn(u64),
    /// A new table.
    Create(u64),
    /// `tmp` is emptied.
    Truncate,
}

/// What the tables hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables {
    pub accounts: BTreeMap<u64, u64>,
    pub log: Vec<u64>,
    pub bag: BTreeMap<u64, u64>,
    pub tmp: BTreeMap<u64, u64>,
    /// Extra columns of `log`.
    pub columns: Vec<String>,
    /// Created tables.
    pub created: Vec<String>,
}

/// The history: transaction `i` is `changes[i - 1]`.
#[derive(Debug)]
pub struct History {
    pub changes: Vec<Change>,
    pub expected: Tables,
}

/// Small deterministic generator (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

impl History {
    /// `count` transactions; every `ddl_every`th is a DDL (0 = none). [`NO_KEYS`]: none, and no row whose key would
    /// make the target itself refuse a second copy.
    pub fn new(seed: u64, count: u64, ddl_every: u64) -> Self {
        let mut random = Random(seed);
        let mut tables = Tables::default();
        for id in 0..ACCOUNTS {
            tables.accounts.insert(id, id);
        }
        let mut changes = Vec::new();
        for i in 1..=count {
            let change = if ddl_every > 0 && i % ddl_every == 0 {
                match (i / ddl_every) % 3 {
                    0 => Change::AddColumn(i),
                    1 => Change::Truncate,
                    _ => Change::Create(i),
                }
            } else {
                Change::Rows(
                    (0..1 + random.below(4))
                        .map(|_| Self::op(&mut random, &tables, i, ddl_every != NO_KEYS))
                        .collect(),
                )
            };
            let change = match change {
                // One log row per transaction at most, and no removal of what the same transaction removed already.
                Change::Rows(mut ops) => {
                    let mut logged = false;
                    let mut bag = tables.bag.clone();
                    ops.retain(|op| match op {
                        Op::Log { .. } => !std::mem::replace(&mut logged, true),
                        Op::BagAdd { v } => {
                            *bag.entry(*v).or_default() += 1;
                            true
                        }
                        Op::BagRemove { v } => {
                            let n = bag.entry(*v).or_default();
                            let there = *n > 0;
                            *n = n.saturating_sub(1);
                            there
                        }
                        _ => true,
                    });
                    Change::Rows(ops)
                }
                other => other,
            };
            tables.apply(&change);
            changes.push(change);
        }
        Self { changes, expected: tables }
    }

    fn op(random: &mut Random, tables: &Tables, i: u64, keys: bool) -> Op {
        match random.below(10) {
            0..=3 => Op::Account { id: random.below(ACCOUNTS), d: random.below(1000) },
            4 | 5 if keys => Op::Log { id: i },
            4 | 5 => Op::BagAdd { v: i % 6 },
            6 => Op::TmpAdd { v: random.below(5) },
            7 | 8 => Op::BagAdd { v: random.below(6) },
            _ => {
                let v = random.below(6);
                if tables.bag.get(&v).copied().unwrap_or(0) > 0 {
                    Op::BagRemove { v }
                } else {
                    Op::BagAdd { v }
                }
            }
        }
    }

    /// Name of transaction `i`, from 1.
    pub fn txn(mode: Mode, generation: u64, i: u64) -> TxnId {
        match mode {
            Mode::MySqlGtid => {
                TxnId::parse(mode, &format!("3e11fa47-71ca-11e1-9e33-c80aa9429562:{i}")).unwrap()
            }
            Mode::MariaDbGtid => TxnId::parse(mode, &format!("{}-1-{}", i % 2, i.div_ceil(2))).unwrap(),
            Mode::Position => TxnId::Position {
                generation,
                file: format!("bin.{:06}", 999_990 + i / 100),
                pos: 4 + (i % 100) * 300,
            },
        }
    }

    /// Where a transaction begins: where the one before it may have ended.
    pub fn start(txn: &TxnId) -> (String, u64) {
        match txn {
            TxnId::Gtid(_) => (String::new(), 0),
            TxnId::Position { file, pos, .. } => (file.clone(), pos.saturating_sub(299)),
        }
    }

    /// Appends the row changes of a transaction to a batch.
    pub fn add_rows(batch: &mut Batch, schema: &str, ops: &[Op], strict: bool) {
        for op in ops {
            let (sql, token) = match op {
                Op::Account { id, d } => (
                    format!("UPDATE {schema}.acc SET n = (n * 31 + {d}) % 1000003 WHERE id = {id}"),
                    100 + id,
                ),
                Op::Log { id } => (format!("INSERT INTO {schema}.log (id) VALUES ({id})"), 10_000 + id),
                Op::BagAdd { v } => (format!("INSERT INTO {schema}.bag VALUES ({v}, 'same; text')"), 1),
                Op::BagRemove { v } => (format!("DELETE FROM {schema}.bag WHERE v = {v} LIMIT 1"), 1),
                Op::TmpAdd { v } => (format!("INSERT INTO {schema}.tmp VALUES ({v})"), 2),
            };
            batch.push_statement(sql.as_bytes(), Some(1), strict);
            batch.tokens.push(token);
            batch.tables.push(op.table());
            batch.rows += 1;
        }
    }

    /// The DDL of a transaction, for the target.
    pub fn ddl(change: &Change, schema: &str, txn: TxnId) -> Option<DdlStep> {
        let object = |table: &str| DdlObject { schema: schema.to_owned(), table: Some(table.to_owned()) };
        let (sql, class, objects) = match change {
            Change::Rows(_) => return None,
            Change::AddColumn(i) => (
                format!("ALTER TABLE {schema}.log ADD COLUMN c{i} INT NOT NULL DEFAULT 7"),
                DdlClass::Decidable,
                vec![object("log")],
            ),
            Change::Create(i) => (
                format!("CREATE TABLE {schema}.made{i} (id INT PRIMARY KEY)"),
                DdlClass::Decidable,
                vec![object(&format!("made{i}"))],
            ),
            Change::Truncate => (format!("TRUNCATE TABLE {schema}.tmp"), DdlClass::Repeatable, Vec::new()),
        };
        Some(DdlStep {
            txn: Some(txn),
            ordinal: 0,
            last: true,
            sql: sql.into_bytes(),
            class,
            objects,
            session: vec!["SET SESSION sql_mode = ''".to_owned()],
            beside: !matches!(change, Change::Create(_)),
        })
    }

    /// The table of a DDL that may be executed beside rows.
    pub fn ddl_table(change: &Change) -> Option<u64> {
        match change {
            Change::AddColumn(_) => Some(LOG),
            Change::Truncate => Some(TMP),
            Change::Rows(_) | Change::Create(_) => None,
        }
    }
}

/// Numbers of the tables `log` and `tmp`.
pub const LOG: u64 = 2;
pub const TMP: u64 = 4;

impl Op {
    /// The number of its table.
    pub fn table(&self) -> u64 {
        match self {
            Self::Account { .. } => 1,
            Self::Log { .. } => LOG,
            Self::BagAdd { .. } | Self::BagRemove { .. } => 3,
            Self::TmpAdd { .. } => TMP,
        }
    }
}

impl Tables {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Rows(ops) => {
                for op in ops {
                    match op {
                        Op::Account { id, d } => {
                            let n = self.accounts.entry(*id).or_default();
                            *n = (*n * 31 + d) % 1_000_003;
                        }
                        Op::Log { id } => self.log.push(*id),
                        Op::BagAdd { v } => *self.bag.entry(*v).or_default() += 1,
                        Op::BagRemove { v } => {
                            let n = self.bag.entry(*v).or_default();
                            *n -= 1;
                            if *n == 0 {
                                self.bag.remove(v);
                            }
                        }
                        Op::TmpAdd { v } => *self.tmp.entry(*v).or_default() += 1,
                    }
                }
            }
            Change::AddColumn(i) => self.columns.push(format!("c{i}")),
            Change::Create(i) => self.created.push(format!("made{i}")),
            Change::Truncate => self.tmp.clear(),
        }
    }
}

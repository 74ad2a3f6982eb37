//! The table of error codes: DM's numbers where DM has the case, 51000 and up for what is ours alone.

use super::table::{Entry, Level::*, Scope::*};
use super::{Error, Verdict::*};

macro_rules! codes {
    ($($name:ident $number:literal $class:literal $scope:ident $level:ident $verdict:ident,
       $meaning:literal, $workaround:literal;)*) => {
        /// A case of error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $name = $number,)*
        }

        /// The whole table, ordered by number.
        const TABLE: &[Entry] = &[$(Entry {
            code: Code::$name, number: $number, class: $class, scope: $scope, level: $level,
            verdict: $verdict, meaning: $meaning, workaround: $workaround,
        },)*];
    };
}

impl Code {
    /// The whole table, ordered by number.
    pub const fn all() -> &'static [Entry] {
        TABLE
    }

    /// The number that is printed.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// The case that has this number.
    pub fn from_number(number: i32) -> Option<Self> {
        TABLE.binary_search_by_key(&number, |e| e.number).ok().map(|i| TABLE[i].code)
    }

    /// What the table says about this case.
    pub fn entry(self) -> &'static Entry {
        // Variants are declared in the order of the table, which a test checks.
        let index = TABLE.partition_point(|e| e.number < self.number());
        &TABLE[index]
    }

    /// An error of this case.
    pub fn error(self, message: impl Into<String>) -> Error {
        Error::new(self, message)
    }
}

codes! {
    DatabaseOpen 10001 "database" NotSet High Retryable,
        "A database connection could not be opened.",
        "Please check the address, the account and the network.";
    DatabaseBadConnection 10002 "database" NotSet High Retryable,
        "A connection was dead before it was used.",
        "Please check the network; the task tries again by itself.";
    DatabaseInvalidConnection 10003 "database" NotSet High Retryable,
        "A connection broke while a statement ran, so its effect is unknown.",
        "Please check the network; the task tries again by itself and reads at the target what was done.";
    DatabaseQuery 10005 "database" NotSet High Retryable,
        "A query failed.",
        "";
    DatabaseExecute 10006 "database" NotSet High NeedsPerson,
        "A statement failed at the target.",
        "Please repair the data or the schema as the cause says, then resume the task.";
    SqlUnparseable 11006 "functional" Internal High NeedsPerson,
        "An SQL text could not be parsed.",
        "";
    GtidUnparseable 11009 "functional" Internal High NeedsPerson,
        "A GTID text could not be parsed.",
        "Please check `binlog-gtid`.";
    FlavorInvalid 11010 "functional" Internal Medium NeedsPerson,
        "The flavor is neither mysql nor mariadb.",
        "Please set `flavor` to `mysql` or `mariadb`.";
    ServerIdTaken 11015 "functional" Internal High NeedsPerson,
        "No free replica server id was found.",
        "Please set `server-id` in the source's file.";
    PositionBeyondEnd 11106 "functional" Internal High NeedsPerson,
        "The position lies beyond the end of the binlog file.",
        "Please check `binlog-pos`.";
    TlsInvalid 11112 "functional" Internal Medium NeedsPerson,
        "TLS certificates or keys are not usable.",
        "Please check the CA, the certificate and the key.";
    MasterStatusEmpty 11125 "functional" Upstream Medium NeedsPerson,
        "The source reports no binlog position.",
        "Please switch the binlog on and grant REPLICATION CLIENT (MariaDB: BINLOG MONITOR).";
    RowImageIncomplete 11126 "binlog-op" Upstream High NeedsPerson,
        "A row event lacks columns.",
        "Please set `binlog_row_image=FULL` at the source.";
    IgnoreItemUnknown 20001 "config" Internal Medium NeedsPerson,
        "`ignore-checking-items` names an unknown check.",
        "Please use only the names of DM's checks, such as `version` or `dump_privilege`, or `all`.";
    ConfigYaml 20003 "config" Internal Medium NeedsPerson,
        "A YAML file has an unknown key, a wrong type or wrong syntax.",
        "Please check that the file is correct YAML and uses only known keys.";
    SourceIdMissing 20005 "config" Internal Medium NeedsPerson,
        "An entry of `mysql-instances` has no `source-id`.",
        "Please set `source-id`.";
    SourceIdTooLong 20006 "config" Internal Medium NeedsPerson,
        "A `source-id` is longer than 32 characters.",
        "Please shorten `source-id`.";
    OnlineSchemeUnknown 20007 "config" Internal Medium NeedsPerson,
        "`online-ddl-scheme` is unknown.",
        "Please remove `online-ddl-scheme` and set `online-ddl` instead.";
    TimezoneInvalid 20008 "config" Internal Medium NeedsPerson,
        "`timezone` is not valid.",
        "Please give a name such as `Asia/Shanghai` or an offset such as `+08:00`.";
    MetaIncomplete 20011 "config" Internal Medium NeedsPerson,
        "`meta` has neither a binlog name nor a GTID set.",
        "Please set `binlog-name` or `binlog-gtid`.";
    InstancesMissing 20013 "config" Internal Medium NeedsPerson,
        "A task has no `mysql-instances`.",
        "Please name at least one source in `mysql-instances`.";
    InstanceRepeated 20014 "config" Internal Medium NeedsPerson,
        "Two entries of `mysql-instances` have the same `source-id`.",
        "Please name every source once.";
    MydumperTwice 20015 "config" Internal Medium NeedsPerson,
        "`mydumper-config-name` and `mydumper` are both set.",
        "Please keep one of the two.";
    LoaderTwice 20016 "config" Internal Medium NeedsPerson,
        "`loader-config-name` and `loader` are both set.",
        "Please keep one of the two.";
    SyncerTwice 20017 "config" Internal Medium NeedsPerson,
        "`syncer-config-name` and `syncer` are both set.",
        "Please keep one of the two.";
    TaskNameMissing 20019 "config" Internal Medium NeedsPerson,
        "A task has no name.",
        "Please set `name`.";
    TaskModeInvalid 20020 "config" Internal Medium NeedsPerson,
        "`task-mode` is unknown.",
        "Please set `task-mode` to `full`, `incremental` or `all`.";
    TargetMissing 20021 "config" Internal Medium NeedsPerson,
        "A task has no `target-database`.",
        "Please set `target-database`.";
    MetaMissing 20022 "config" Internal Medium NeedsPerson,
        "An incremental task has no start point.",
        "Please set `meta` of the instance, or give `--start-time`.";
    RouteUnknown 20023 "config" Internal Medium NeedsPerson,
        "`route-rules` names a route that is not defined.",
        "Please define it in `routes`, or correct the name.";
    FilterUnknown 20024 "config" Internal Medium NeedsPerson,
        "`filter-rules` names a filter that is not defined.",
        "Please define it in `filters`, or correct the name.";
    AllowListUnknown 20026 "config" Internal Medium NeedsPerson,
        "`block-allow-list` names a list that is not defined.",
        "Please define it in `block-allow-list`, or correct the name.";
    MydumperUnknown 20027 "config" Internal Medium NeedsPerson,
        "`mydumper-config-name` names a block that is not defined.",
        "Please define it in `mydumpers`, or correct the name.";
    LoaderUnknown 20029 "config" Internal Medium NeedsPerson,
        "`loader-config-name` names a block that is not defined.",
        "Please define it in `loaders`, or correct the name.";
    SyncerUnknown 20030 "config" Internal Medium NeedsPerson,
        "`syncer-config-name` names a block that is not defined.",
        "Please define it in `syncers`, or correct the name.";
    TaskSourceUnknown 20031 "config" Internal Medium NeedsPerson,
        "A task names a source that the cluster does not have.",
        "Please use `operate-source create` first.";
    RuleRepeated 20032 "config" Internal Medium NeedsPerson,
        "An instance names a rule twice.",
        "Please name every rule once.";
    ShardModeInvalid 20033 "config" Internal Medium NeedsPerson,
        "`shard-mode` is unknown.",
        "Please set `shard-mode` to `pessimistic` or `optimistic`, or leave it empty.";
    FilterInvalid 20037 "config" Internal Medium NeedsPerson,
        "A binlog event filter is not valid.",
        "Please correct the patterns, `events`, `sql-pattern` and `action` of the filter.";
    RuleUnused 20038 "config" Internal High NeedsPerson,
        "A rule is defined and no instance uses it.",
        "Please reference the rule from an instance, or remove it.";
    ExpressionFilterKinds 20039 "config" Internal High NeedsPerson,
        "An expression filter is not about exactly one of insert, update and delete.",
        "Please write one filter for each kind of change.";
    ExpressionFilterUnknown 20040 "config" Internal High NeedsPerson,
        "`expression-filters` names a filter that is not defined.",
        "Please define it in `expression-filter`, or correct the name.";
    ExpressionFilterGrammar 20041 "config" Internal High NeedsPerson,
        "An expression of an expression filter can't be evaluated.",
        "Please use only columns of the table, literals and the operators and functions that the message names.";
    ExpressionFilterPlace 20042 "config" Internal High NeedsPerson,
        "An expression filter does not name its schema and table.",
        "Please set `schema` and `table` to exact names at the source.";
    BackoffInvalid 20043 "config" Internal Medium NeedsPerson,
        "A backoff of `checker` is not valid.",
        "Please set `backoff-max` to at least one second.";
    AllowListInvalid 20044 "config" Internal Medium NeedsPerson,
        "A block-allow-list has a pattern that is not valid.",
        "Please use `*` only at the end of a pattern, or write a regular expression that begins with `~`.";
    RouteInvalid 20045 "config" Internal High NeedsPerson,
        "A route is not valid.",
        "Please check the patterns and names of the route.";
    ChunkSizeInvalid 20047 "config" Internal Medium NeedsPerson,
        "`chunk-filesize` is not a size.",
        "Please give a number of MiB or a size such as `64MiB`.";
    OnlineDdlRegexInvalid 20048 "config" Internal Medium NeedsPerson,
        "A rule for online-DDL tables is not valid.",
        "Please give a regular expression with exactly one group.";
    CollationModeInvalid 20052 "config" Internal Medium NeedsPerson,
        "`collation_compatible` is unknown.",
        "Please use `loose` or `strict`.";
    ImportModeInvalid 20053 "config" Internal Medium NeedsPerson,
        "`import-mode` is unknown, or differs between the instances.",
        "Please use `logical` for every instance.";
    OnDuplicateInvalid 20054 "config" Internal Medium NeedsPerson,
        "`on-duplicate-logical` is unknown.",
        "Please use `replace`, `error` or `ignore`.";
    ValidatorModeInvalid 20055 "config" Internal Medium NeedsPerson,
        "The mode of a validator is unknown.",
        "Please use `none`, `fast` or `full`.";
    ValidatorUnknown 20056 "config" Internal Medium NeedsPerson,
        "`validator-config-name` names a block that is not defined.",
        "Please define it in `validators`, or correct the name.";
    StartTimeTooLate 20057 "config" Internal High NeedsPerson,
        "`--start-time` is later than all binlogs.",
        "Please give an earlier time.";
    SafeModeDurationInvalid 20060 "config" Internal Medium NeedsPerson,
        "`safe-mode-duration` is not a duration.",
        "Please give a duration such as `60s`.";
    SafeModeContradiction 20061 "config" Internal Medium NeedsPerson,
        "`safe-mode` is on and `safe-mode-duration` is zero.",
        "Please remove one of the two.";
    OnDuplicatePhysicalInvalid 20062 "config" Internal Medium NeedsPerson,
        "`on-duplicate-physical` is unknown.",
        "Please use `none` or `manual`.";
    ChecksumPhysicalInvalid 20063 "config" Internal Medium NeedsPerson,
        "`checksum-physical` is unknown.",
        "Please use `required`, `optional` or `off`.";
    ColumnMappingRemoved 20064 "config" Internal Medium NeedsPerson,
        "Column mappings are no longer supported.",
        "Please use `extract-table`, `extract-schema` and `extract-source` of a route.";
    AnalyzeInvalid 20065 "config" Internal Medium NeedsPerson,
        "`analyze` is unknown.",
        "Please use `required`, `optional` or `off`.";
    StrictOptimisticInvalid 20066 "config" Internal Medium NeedsPerson,
        "`strict-optimistic-shard-mode` is set without the optimistic mode.",
        "Please set `shard-mode: optimistic`.";
    ForeignKeyChecksConflict 20070 "config" Internal Medium NeedsPerson,
        "`foreign_key_checks=1` does not go with `compact` or `multiple-rows`.",
        "Please switch `compact` and `multiple-rows` off.";
    SessionVariable 20071 "config" Internal Medium NeedsPerson,
        "A `session` variable of the target can't be set.",
        "Please remove the variable from `session` of the task file's `target-database`, or correct its value.";
    PositionTextInvalid 22003 "binlog-op" Internal High NeedsPerson,
        "A binlog position could not be read.",
        "The form is `(mysql-bin.000001, 4)`.";
    CheckpointBroken 24002 "checkpoint" Internal High NeedsPerson,
        "A checkpoint does not fit what is known.",
        "";
    TargetsDifferByCase 26001 "task-check" Internal Medium NeedsPerson,
        "Two target tables differ only in letter case.",
        "Please change the routes.";
    CheckOpenDatabase 26002 "task-check" Internal High NeedsPerson,
        "The pre-check could not open a database.",
        "Please check the address, the account and the network.";
    CheckFailed 26005 "task-check" Internal Medium NeedsPerson,
        "The pre-check found something that would stop the task.",
        "Please repair what the list says, or name the check in `ignore-checking-items`.";
    CheckGtidMode 26007 "task-check" Internal Medium NeedsPerson,
        "`enable-gtid` is set and the source does not use GTIDs.",
        "Please set GTID_MODE=ON at the source, or `enable-gtid: false`.";
    DumpFailed 32001 "dump-unit" Internal High Retryable,
        "Reading the source's tables failed.",
        "";
    DumpLockRefused 32004 "dump-unit" Internal High NeedsPerson,
        "The global read lock could not be had.",
        "Please grant RELOAD to the source's account.";
    LoadFailed 34019 "load-unit" Internal High NeedsPerson,
        "Writing the loaded rows failed.",
        "";
    DmlStatement 36014 "sync-unit" Internal High NeedsPerson,
        "A change was logged as a statement and not as rows.",
        "Please set `binlog_format=ROW` at the source, for running sessions too.";
    ColumnCountMismatch 36027 "sync-unit" Internal High NeedsPerson,
        "The row has another number of columns than the table is known to have.",
        "";
    DdlUnparseable 36067 "sync-unit" Internal High NeedsPerson,
        "A DDL could not be parsed.",
        "Please exclude the table, or change the statement.";
    BinlogRead 36069 "sync-unit" Upstream High Retryable,
        "The next binlog event could not be read.",
        "Please check the source's binlogs with mysqlbinlog.";
    TargetTableMissing 36070 "sync-unit" Downstream High NeedsPerson,
        "A table does not exist at the target.",
        "Please create the table at the target, then resume the task.";
    MasterConfigToml 38011 "dm-master" Internal Medium NeedsPerson,
        "The configuration file of dm-master is not valid.",
        "Please correct the named keys.";
    MasterDurationInvalid 38014 "dm-master" Internal Medium NeedsPerson,
        "A duration in dm-master's configuration is not valid.",
        "Please give a duration such as `30s`.";
    WorkerAnsweredError 38032 "dm-master" Internal High NeedsPerson,
        "A worker answered with an error.",
        "Please execute `query-status` to check status.";
    WorkerTimeout 38033 "dm-master" Internal High Retryable,
        "A worker did not answer in time; what was asked may have been done.",
        "Please execute `query-status` to check status.";
    MasterAddrInvalid 38035 "dm-master" Internal High NeedsPerson,
        "An address in dm-master's configuration is not valid.",
        "Please give `host:port`.";
    InvalidOperation 38041 "dm-master" Internal Medium NeedsPerson,
        "The operation is not known.",
        "";
    AdvertiseAddrInvalid 38042 "dm-master" Internal High NeedsPerson,
        "The advertised address of dm-master can't be used by others.",
        "Please give `host:port` with a host that the other members can reach.";
    NotLeader 38043 "dm-master" Internal High Retryable,
        "This master is not the leader and knows no leader.",
        "";
    StageNotReached 38045 "dm-master" Internal Medium Retryable,
        "The expected stage was not reached in time.",
        "Please execute `query-status` to check status.";
    WorkerConfigToml 40004 "dm-worker" Internal Medium NeedsPerson,
        "The configuration file of dm-worker is not valid.",
        "Please correct the named keys.";
    SourceConfigIdMissing 40005 "dm-worker" Internal Medium NeedsPerson,
        "A source has no `source-id`.",
        "Please set `source-id`.";
    SourceConfigIdTooLong 40006 "dm-worker" Internal Medium NeedsPerson,
        "A `source-id` is longer than 32 characters.",
        "Please shorten `source-id`.";
    RelayNameInvalid 40007 "dm-worker" Internal Medium NeedsPerson,
        "`relay-binlog-name` is not the name of a binlog file.",
        "Please give a name such as `mysql-bin.000001`.";
    WorkerStage 40050 "dm-worker" Internal High NeedsPerson,
        "The subtask's stage does not allow this.",
        "";
    SubtaskNotFound 40054 "dm-worker" Internal High NeedsPerson,
        "The worker has no such subtask.",
        "Please check the names of the task and the source.";
    WorkerAddrInvalid 40069 "dm-worker" Internal High NeedsPerson,
        "The address of dm-worker can't be used by others.",
        "Please give `host:port` with a host that the masters can reach.";
    WorkerNoSource 40070 "dm-worker" Internal High Retryable,
        "The worker handles no source.",
        "";
    WorkerJoin 40077 "dm-worker" Internal High Retryable,
        "The worker could not register with a master.",
        "Please check `join`, and that no other worker has this name.";
    RouteAmbiguous 40080 "dm-worker" Internal High NeedsPerson,
        "A table matches several routes.",
        "Please make the patterns of the routes narrower.";
    WorkerNameTaken 46003 "scheduler" Internal Medium NeedsPerson,
        "Another worker has this name.",
        "Please choose another name.";
    WorkerUnknown 46004 "scheduler" Internal Medium NeedsPerson,
        "There is no such worker.",
        "Please check the name with `list-member`.";
    WorkerOnline 46005 "scheduler" Internal Medium NeedsPerson,
        "The worker is still online.",
        "Please stop the worker first.";
    SourceExists 46007 "scheduler" Internal Medium NeedsPerson,
        "A source with this id exists.",
        "Please use `operate-source stop` first, or choose another id.";
    SourceNotFound 46008 "scheduler" Internal Medium NeedsPerson,
        "There is no such source.",
        "Please use `operate-source create` first.";
    SourcesUnbound 46009 "dm-master" Internal Medium Retryable,
        "Some sources have no worker.",
        "Please start more workers, or bring back those that are offline.";
    SourceHasTasks 46010 "dm-master" Internal Medium NeedsPerson,
        "Tasks still use the source.",
        "Please stop these tasks first.";
    SubtaskExists 46014 "scheduler" Internal Medium NeedsPerson,
        "The task exists for these sources.",
        "Please use `stop-task` first, or choose another name.";
    SubtasksNotFound 46016 "dm-master" Internal Medium NeedsPerson,
        "The task does not exist for these sources.",
        "Please check the names with `query-status`.";
    TaskNotFound 46018 "scheduler" Internal Medium NeedsPerson,
        "There is no such task.",
        "Please check the name with `query-status`.";
    CtlConnect 48001 "dmctl" Internal High Retryable,
        "dmctl could not reach any master.",
        "Please check your network connection.";
    CtlTls 48002 "dmctl" Internal Medium NeedsPerson,
        "dmctl's TLS files are not usable.",
        "Please check the CA, the certificate and the key.";
    NotSet 50000 "not-set" NotSet High NeedsPerson,
        "An error that has no code of its own.",
        "";
    Fenced 51001 "fence" Downstream High Fatal,
        "Another owner has taken this source over at the target.",
        "Nothing needs to be done: the new owner goes on. If no other worker runs the source, execute `list-member`.";
    ForeignCluster 51002 "fence" Downstream High NeedsPerson,
        "The target's progress tables belong to another cluster.",
        "Please stop that cluster's task, then use `start-task --adopt-meta`; or choose another `meta-schema`.";
    MetaMissingAtTarget 51003 "fence" Downstream High NeedsPerson,
        "The progress tables or a row of them vanished from the target.",
        "Please restore them from a backup that is as old as the target's tables, or load anew with `start-task --remove-meta`.";
    PacketRefused 51004 "fence" Downstream Medium Retryable,
        "The target refused a packet because its fence did not hold.",
        "";
    FenceUnsupported 51005 "fence" Downstream High NeedsPerson,
        "The target does not stop a refused packet, so two owners could write.",
        "Please connect to the server directly and not through a proxy that splits statements.";
    RowMissed 51006 "sync-unit" Downstream High NeedsPerson,
        "A change did not match exactly one row at the target.",
        "Please compare the table at source and target, repair it, then resume the task.";
    LoadNotRestartable 51007 "load-unit" Downstream High NeedsPerson,
        "A load that was cut can't start over safely.",
        "Please empty the named tables at the target if they hold nothing of value, then start with `--remove-meta`.";
    SourceIdentityChanged 51008 "sync-unit" Upstream High NeedsPerson,
        "The server behind the source's address is another one, or its binlogs were reset.",
        "Please check the source's address; give a new start position if the change is wanted.";
    SourceLacksTransactions 51009 "sync-unit" Upstream High NeedsPerson,
        "The source lacks transactions that were already applied, or has purged some that were not.",
        "Please point the source to a server that has them, or load anew with `start-task --remove-meta`.";
    NotSupportedYet 51010 "config" Internal Medium NeedsPerson,
        "This version does not support it yet, and ignoring it would change what is replicated.",
        "Please remove the setting.";
    DdlUndecided 51011 "sync-unit" Downstream High NeedsPerson,
        "It can't be known whether a DDL was executed before a crash.",
        "Please look at the target's table, then execute or undo the statement by hand as the message says.";
    TargetNotTransactional 51012 "task-check" Downstream High NeedsPerson,
        "A target table's engine has no transactions.",
        "Please convert the table to InnoDB.";
    ValueTruncated 51013 "sync-unit" Downstream High NeedsPerson,
        "The target cut or changed a value.",
        "Please make the target's column as wide as the source's.";
    BinlogCorrupt 51014 "sync-unit" Upstream High NeedsPerson,
        "A binlog event is damaged or has a form that is not known.",
        "Please check the source's binlogs with mysqlbinlog; resume to read it again.";
    OutcomeUnknown 51015 "dm-master" Internal High Retryable,
        "It is not known whether a change was accepted.",
        "Please repeat the command; it does no harm if it was accepted.";
    Storage 51016 "dm-master" Internal High Fatal,
        "The data directory can't be read or written.",
        "Please check the disk, then start the process again.";
    MasterLost 51017 "dm-worker" Internal High Retryable,
        "No master was heard of for so long that the worker stopped its tasks.",
        "Please bring back a majority of the masters.";
    GtidStrictModeOff 51018 "task-check" Upstream High NeedsPerson,
        "MariaDB's gtid_strict_mode is off.",
        "Please set `gtid_strict_mode=ON` at the source, or `enable-gtid: false`.";
    EventUnsupported 51019 "sync-unit" Upstream High NeedsPerson,
        "The binlog has an event that this version can't replicate.",
        "";
    Internal 51020 "functional" Internal High Fatal,
        "Something that must never be was found; going on could damage data.",
        "Please report it with the log.";
    WorkerNameInDoubt 51021 "dm-master" Internal Medium Retryable,
        "A new leader does not know yet whether the worker that has this name still runs.",
        "Nothing: the worker registers again by itself.";
    AssignmentTooLarge 51022 "dm-master" Internal High NeedsPerson,
        "What one worker has to do is larger than a message may be.",
        "Please start more workers, or stop some tasks; rules of a task count once for each of its sources.";
    ReplayNotPossible 51023 "sync-unit" Downstream High NeedsPerson,
        "A change may have been applied before, and applying it again would make a difference.",
        "Please execute `stop-task` here, let DM go on and stop it there with `stop-task` while it runs, so that its checkpoint is exact, then execute `start-task` again; or exclude the table with block-allow-list, or load it anew.";
    DmCheckpointUnusable 51024 "checkpoint" Downstream High NeedsPerson,
        "A checkpoint that DM wrote is there and does not say where to begin.",
        "Please give the source the name that it has there, or let DM finish its load; or start with `--remove-meta` to begin without it.";
    StartTimeInvalid 51025 "config" Internal Medium NeedsPerson,
        "`--start-time` is not a time.",
        "Please give a time such as `2026-11-25 16:45:00`, with `Z` or an offset such as `+02:00` if it is not the source's own.";
    SpoolFull 51030 "sync-unit" Internal High NeedsPerson,
        "The worker's disk can't hold a large transaction until its commit is read.",
        "Please free disk space under the worker's `data-dir`, or raise its `spool-limit-mb`, then execute `resume-task`.";
    XaUndecided 51031 "sync-unit" Upstream High NeedsPerson,
        "An XA transaction can't be held until it is decided, or its rows were prepared before the task began.",
        "Please commit or roll back prepared XA transactions at the source (`XA RECOVER` lists them), then execute `resume-task`.";
    FilterStops 51033 "sync-unit" Upstream High NeedsPerson,
        "A filter forbids an event, or decides differently about parts of it.",
        "Please change the filter in the task file and start the task again, or use `binlog skip`.";
    ExpressionUndecided 51034 "sync-unit" Upstream High NeedsPerson,
        "An expression filter can't be decided for a row exactly as the source would.",
        "Please change the expression in the task file so that it compares numbers or binary strings.";
    ExtractColumn 51038 "sync-unit" Downstream High NeedsPerson,
        "A column that a route fills (`extract-..`) does not stand at the target alone, or can't hold its value.",
        "Please give the table at the target the column, and not the one at the source; then execute `resume-task`.";
    ExtractTarget 51039 "sync-unit" Downstream High NeedsPerson,
        "A table to which a route adds columns (`extract-..`) is not there at the target: only a person knows its keys.",
        "Please create the table at the target with these columns, usually in its primary key, then execute `resume-task`.";
    ExtractRename 51040 "sync-unit" Upstream High NeedsPerson,
        "A table gets a name from which a route extracts other values than from the one before.",
        "Please update the column in the rows that the table has at the target, and skip the statement with `binlog skip`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_ordered_and_every_code_finds_its_entry() {
        assert!(TABLE.windows(2).all(|pair| pair[0].number < pair[1].number));
        for entry in TABLE {
            assert_eq!(entry.code.entry().number, entry.number);
            assert_eq!(Code::from_number(entry.number), Some(entry.code));
            assert!(entry.meaning.ends_with('.'), "{}", entry.number);
        }
        assert_eq!(Code::from_number(1), None);
    }
}

//! The loop: event by event from the reader to the attachment.
use std::sync::Arc;

use bytes::Bytes;
use dm_binlog::{Decoder, Event, Flavor, Gtid, GtidSet, MariaDbGtidPos};
use dm_proto::error::Code;
use dm_schema::Dialect;
use dm_target::{Attachment, DdlRecord, ExecutedSet, Resume, TxnId};

use super::{
    assembler::{Assembler, Transaction},
    batcher::Batcher,
    excluded::Excluded,
    far::REACH,
    operators::{Operators, Recent, is_of_one_event, replaces_event, stopped},
    proof::fingerprint,
    reader::{Reader, damaged},
    safe_mode::SafeMode,
    schema_keeper::SchemaKeeper,
    spool_room::SpoolRoom,
    start::Start,
    stats::Place,
    stored_tables::StoredTable,
    tables::Tables,
    undecided::Undecided,
    witness::Candidate,
    xid::Xa,
};
use crate::{
    failure::{Failure, Next},
    metrics::SubtaskSyncMetrics,
    subtask::SubtaskContext,
    unit::{rules::Rules, target_failure},
};

/// Heartbeats come once a second while there is nothing else: how many until the end of the binlog is asked for.
const HEARTBEATS_PER_LOOK: u32 = 10;

/// Everything of one attempt that follows the source.
pub struct Pipeline<'a> {
    pub(super) context: &'a SubtaskContext,
    pub(super) attachment: &'a Attachment,
    pub(super) keeper: &'a SchemaKeeper,
    pub(super) metrics: &'a SubtaskSyncMetrics,
    decoder: Decoder,
    /// Row events are decoded again in order once their transaction is whole.
    pub(super) row_decoder: Decoder,
    assembler: Assembler,
    pub(super) tables: Tables,
    pub(super) batcher: Batcher,
    pub(super) undecided: Undecided,
    pub(super) room: Arc<SpoolRoom>,
    executed: ExecutedSet,
    pub(super) done_ddl: Vec<DdlRecord>,
    /// Of the file that is being read: when it was created.
    created: u32,
    /// When the transaction that is being read was committed on its first server.
    committed: u64,
    /// MariaDB: the last transaction of each domain.
    last: MariaDbGtidPos,
    generation: u64,
    heartbeats: u32,
    /// A file in which places are not certain.
    huge: String,
    /// Of the source's server.
    identity: String,
    /// Set for GTID streams: MySQL's DDL session settings travel only within one family.
    pub(super) dialect: Dialect,
    by_position: bool,
    pub(super) operators: Operators,
    pub(super) recent: &'a Recent,
    pub(super) safe_mode: SafeMode,
}

impl<'a> Pipeline<'a> {
    pub fn new(
        context: &'a SubtaskContext,
        attachment: &'a Attachment,
        keeper: &'a SchemaKeeper,
        metrics: &'a SubtaskSyncMetrics,
        recent: &'a Recent,
        start: Start,
        resume: &Resume,
    ) -> Result<Self, Failure> {
        let (file, pos) = match &start.at {
            dm_replication::StartAt::Position { file, pos } => (file.clone(), *pos),
            dm_replication::StartAt::Gtid(_) => (String::new(), 4),
        };
        let flavor = context.identity.flavor;
        let operators = Operators::new(context.wish.clone());
        let room = context.spool_room();
        let mut assembler = Assembler::new(&file, pos, Arc::clone(&room));
        assembler.set_operators(operators.list().clone());
        assembler.set_flavor(flavor);
        assembler.exclude(Excluded::new(Rules::new(&context.subtask)?));
        Ok(Self {
            context,
            attachment,
            keeper,
            metrics,
            decoder: Decoder::new(flavor),
            row_decoder: Decoder::new(flavor),
            assembler,
            undecided: Undecided::default(),
            room,
            operators,
            recent,
            tables: start.tables,
            batcher: Batcher::new(
                resume.max_allowed_packet,
                &context.subtask.syncer,
                resume.parts.clone(),
                context.status.sync.take_careful(),
            ),
            by_position: matches!(start.executed, ExecutedSet::Position(_)),
            last: match &start.executed {
                ExecutedSet::MariaDb(set) => set.low().clone(),
                ExecutedSet::MySql(_) | ExecutedSet::Position(_) => MariaDbGtidPos::default(),
            },
            executed: start.executed,
            done_ddl: start.done_ddl,
            created: 0,
            committed: 0,
            heartbeats: 0,
            huge: String::new(),
            generation: start.generation,
            identity: context.identity.text(),
            dialect: Dialect::between(flavor, resume.target_flavor),
            safe_mode: start.safe_mode,
        })
    }

    /// Follows the source until it fails or `context.drain` is cancelled; then everything read whole is handed over.
    pub async fn run(&mut self, reader: &mut Reader) -> Result<(), Failure> {
        self.forget_executed();
        let mut result = self.follow(reader).await;
        if let Err(failure) = &mut result
            && failure.error.is(Code::SourceLacksTransactions)
        {
            let place =
                format!("after {}, read up to {}", self.attachment.low(), self.assembler.place().text());
            *failure = failure.clone().context(place);
        }
        if let Err(failure) = &result
            && let Err(error) = self.flush().await
        {
            // Whole transactions from before the failure; where the target itself is the reason, they are read again.
            tracing::debug!(%failure, %error, "what was read before the failure is not handed over");
        }
        result
    }

    async fn follow(&mut self, reader: &mut Reader) -> Result<(), Failure> {
        loop {
            let event = match reader.try_next() {
                Some(event) => event?,
                None if self.batcher.is_empty() => {
                    self.context.status.sync.set_drained(true);
                    tokio::select! {
                        event = reader.next() => event?,
                        ended = self.attachment.ddl_ended(), if self.tables.running.is_some() => {
                            ended.map_err(|e| self.target(&e))?;
                            self.look_at_ddl().await;
                            continue;
                        }
                        () = self.context.drain.cancelled() => return Ok(()),
                    }
                }
                None => tokio::select! {
                    biased;
                    // Caught up: nothing waits for company. While every lane is busy it costs no time to wait for more.
                    () = self.attachment.idle_lane() => {
                        self.flush().await?;
                        continue;
                    }
                    event = reader.next() => event?,
                    () = self.context.drain.cancelled() => return self.flush().await,
                },
            };
            if self.context.drain.is_cancelled() {
                return self.flush().await;
            }
            self.event(&event).await?;
        }
    }

    async fn event(&mut self, raw: &Bytes) -> Result<(), Failure> {
        let begin = self.assembler.place().pos;
        let decoded = self.decoder.decode(raw);
        let (header, event) =
            decoded.map_err(|e| self.assembler.located(damaged(self.assembler.place().text(), e)))?;
        self.metrics.event_size.observe(raw.len() as f64);
        match &event {
            Event::Format(_) => {
                // The second decoder needs the checksum algorithm too.
                self.row_decoder.decode(raw).map_err(|e| damaged(self.assembler.place().text(), e))?;
                self.created = header.timestamp;
            }
            Event::Heartbeat(file) => {
                let here = self.assembler.place();
                let pos = u64::from(header.log_pos);
                if *file == here.file.as_bytes() && pos >= here.pos && self.assembler.open.is_none() {
                    self.keeper.dm.passed(&Place { file: here.file.clone(), pos }, !self.by_position);
                }
                self.context.status.sync.event(0, self.assembler.place());
                return self.heartbeat().await;
            }
            Event::Gtid(gtid) => self.committed = gtid.original_commit_us,
            Event::MariaGtid(_) => self.committed = u64::from(header.timestamp),
            _ => {}
        }
        if let Some(list) = self.operators.refresh() {
            self.assembler.set_operators(list.clone());
            self.forget_executed();
        }
        let finished = match self.assembler.step(&header, &event, raw) {
            Ok(finished) => finished,
            Err(failure) if is_of_one_event(&failure) && self.reads_applied() => {
                self.assembler.pass_over(&header, &event)?
            }
            Err(failure) => {
                let (at, gtid) = self.assembler.start();
                return Err(stopped(failure, self.context, at, gtid));
            }
        };
        self.context.status.sync.event(header.timestamp, self.assembler.place());
        match finished {
            Some(transaction) => {
                self.context.status.sync.set_drained(false);
                self.context.status.sync.opened(transaction.timestamp);
                let witness = self
                    .witness(&transaction, begin, fingerprint(&header, raw, self.decoder.checksum()))
                    .await?;
                self.transaction(transaction).await?;
                // Offered only when it is handed over: it becomes the proof once it is applied.
                witness.into_iter().for_each(|w| self.keeper.witness.offer(w));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The source is idle, or its dump thread reads a file that was reset under it and is shorter now than what was read.
    async fn heartbeat(&mut self) -> Result<(), Failure> {
        self.heartbeats += 1;
        if self.heartbeats < HEARTBEATS_PER_LOOK {
            return Ok(());
        }
        self.heartbeats = 0;
        let (_, file, pos) = self.tables.source().end().await?;
        let end = Place { file, pos };
        let here = self.assembler.place();
        if (end.file_number(), end.pos) >= (here.file_number(), here.pos) {
            return Ok(());
        }
        // The next connect finds out what became of the transactions that are applied.
        Err(Failure::new(
            Code::BinlogRead,
            format!("the source's binlog ends at {}, before {}, which was read", end.text(), here.text()),
        )
        .next(Next::Retry))
    }

    /// What proves later that the source still has this transaction; `begin` and `hash` are its last event's.
    async fn witness(
        &mut self,
        transaction: &Transaction,
        begin: u64,
        hash: u64,
    ) -> Result<Option<Candidate>, Failure> {
        let (gtid, end) = (transaction.gtid.clone(), &transaction.end);
        let mut before = None;
        if let Some(Gtid::MariaDb { domain, server, seq }) = gtid {
            before = self.last.last_of(domain).filter(|last| Some(last) != gtid.as_ref());
            self.last.add(domain, server, seq);
        }
        let committed = std::mem::take(&mut self.committed);
        if matches!(transaction.xa, Some(Xa::Prepare(_))) {
            return Ok(None);
        }
        // What can't be asked for by its place is no proof: an older transaction stays it.
        let whole = transaction.start.file == end.file && transaction.start.pos <= begin && begin < end.pos;
        if !whole || end.pos > REACH || end.file.is_empty() || self.created == 0 || !self.is_sure(end).await?
        {
            return Ok(None);
        }
        Ok(Some(Candidate {
            txn: self.name(transaction)?,
            gtid,
            before,
            server: self.identity.clone(),
            file: end.file.clone(),
            created: self.created,
            begin,
            end: end.pos,
            hash,
            committed,
        }))
    }

    /// Whether the place is where it seems to be. Events tell the lower bits only: where the source has left out what we have,
    /// only the size of its file says whether that was 4 GiB; asked once for a file.
    async fn is_sure(&mut self, end: &Place) -> Result<bool, Failure> {
        if self.by_position || !self.assembler.is_vague() {
            return Ok(true);
        }
        if self.huge == end.file {
            return Ok(false);
        }
        match self.tables.source().file_bytes(&end.file).await? {
            Some(size) if size <= REACH => {
                self.assembler.set_sure();
                Ok(true)
            }
            _ => {
                self.huge.clone_from(&end.file);
                Ok(false)
            }
        }
    }

    /// Whether the transaction that is being read is in the executed set. Positions name it by its end, which is not read yet:
    /// there the error stands, and a person has to skip it again.
    fn reads_applied(&self) -> bool {
        let gtid = self.assembler.open.as_ref().and_then(|open| open.gtid.as_ref());
        !self.by_position && gtid.is_some_and(|g| self.executed.contains(&TxnId::Gtid(g.clone())))
    }

    fn name(&self, transaction: &Transaction) -> Result<TxnId, Failure> {
        match (&transaction.gtid, self.by_position) {
            (_, true) => Ok(TxnId::Position {
                generation: self.generation,
                file: transaction.end.file.clone(),
                pos: transaction.end.pos,
            }),
            (Some(gtid), false) => Ok(TxnId::Gtid(gtid.clone())),
            (None, false) => Err(Failure::new(
                Code::EventUnsupported,
                format!(
                    "the transaction at {} has no GTID: gtid_mode of the source was switched off",
                    transaction.start.text()
                ),
            )),
        }
    }

    async fn transaction(&mut self, mut transaction: Transaction) -> Result<(), Failure> {
        let txn = self.name(&transaction)?;
        let operator = transaction.operator.take();
        self.keeper.dm.ended(&txn, &transaction.end);
        if self.executed.contains(&txn) {
            if let Some(operator) = operator {
                self.consumed(&operator, "its event is in the executed set");
            }
            self.context.status.sync.submitted(0);
            return Ok(());
        }
        self.look_at_ddl().await;
        let place = location(&transaction);
        let (start, gtid) = (transaction.start.clone(), transaction.gtid.clone());
        let stop = |failure: Failure| stopped(failure.context(place), self.context, &start, gtid.as_ref());
        let joins = match transaction.xa.take() {
            // An operator that replaces it has it join as it is.
            Some(Xa::Prepare(xid)) if !operator.as_ref().is_some_and(replaces_event) => {
                return match operator {
                    None => self.prepared(xid, txn, transaction).map_err(stop),
                    Some(_) => Err(stop(cannot_inject())),
                };
            }
            Some(Xa::Prepare(_)) | None => None,
            Some(xa) => {
                let decided = self.decide(&xa, &mut transaction, operator.as_ref());
                decided.map_err(stop.clone())?
            }
        };
        self.recent.note(&txn, &transaction.start);
        if let Some(joins) = joins {
            if operator.as_ref().is_some_and(replaces_event) {
                // Should the worker die in between, the operator is still there.
                self.ddl_ended().await?;
                self.flush().await?;
                self.attachment.skip(&joins).await.map_err(|e| self.target(&e))?;
            } else {
                self.batcher.join(joins);
            }
        }
        let result = match (&operator, &transaction.ddl) {
            (Some(operator), _) => self.operated(operator, &txn, &transaction).await,
            (None, Some(statement)) => self.definition(&txn, statement, &transaction, Vec::new()).await,
            (None, None) => self.rows(&txn, &transaction).await,
        };
        if !self.operators.list().is_empty() {
            self.forget_passed(operator.as_ref(), &transaction.end);
        }
        result.map_err(stop)
    }

    /// Nothing of a transaction is applied now.
    pub(super) fn pass_by(&self) {
        if self.batcher.is_empty() {
            self.context.status.sync.submitted(0);
        }
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        if self.batcher.is_empty() {
            return Ok(());
        }
        self.batcher.flush(self.attachment).await.map_err(|e| self.target(&e))?;
        self.context.status.sync.submitted(0);
        Ok(())
    }

    pub(super) fn target(&self, error: &dm_target::TargetError) -> Failure {
        target_failure(&self.context.process, &self.context.task, &self.context.source_id, error)
    }
}

fn cannot_inject() -> Failure {
    Failure::new(
        Code::InvalidOperation,
        "statements can't be injected before an XA transaction that is only prepared",
    )
    .workaround("Please inject them before its XA COMMIT.")
}

/// The definition was read at the source after this transaction was in its binlog.
pub(super) fn already_in(table: &StoredTable, transaction: &Transaction) -> bool {
    match &transaction.gtid {
        Some(gtid) => {
            let flavor = match gtid {
                Gtid::MySql { .. } => Flavor::MySql,
                Gtid::MariaDb { .. } => Flavor::MariaDb,
            };
            !table.known_gtids.is_empty()
                && GtidSet::parse(flavor, &table.known_gtids).is_ok_and(|set| set.contains(gtid))
        }
        None => {
            let end = &transaction.end;
            !table.known_file.is_empty()
                && (file_number(&table.known_file), table.known_pos) >= (file_number(&end.file), end.pos)
        }
    }
}

fn file_number(file: &str) -> u64 {
    file.rsplit('.').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// DM's form, from which operators cut positions.
pub(super) fn location(transaction: &Transaction) -> String {
    let gtid = transaction.gtid.as_ref().map(ToString::to_string).unwrap_or_default();
    format!(
        "startLocation: [position: {}, gtid-set: {gtid}], endLocation: [position: {}, gtid-set: {gtid}]",
        transaction.start.text(),
        transaction.end.text()
    )
}

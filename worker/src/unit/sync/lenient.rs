//! Transactions that an operator skips or replaces, or that are applied already: only their ends are looked for.
use dm_binlog::{Event, EventHeader};

use super::{
    assembler::{Assembler, Transaction, statement},
    operators::replaces_event,
    text,
    xid::decision,
};
use crate::failure::Failure;

impl Assembler {
    /// True inside a transaction whose contents do not matter.
    pub(super) fn lenient(&self) -> bool {
        self.open.as_ref().is_some_and(|t| t.applied || t.operator.as_ref().is_some_and(replaces_event))
    }

    /// The open transaction is applied: this event, which was not understood, and the rest of it need not be. A person may
    /// have skipped it, and nobody knows of that any more than the executed set.
    pub(super) fn pass_over(
        &mut self,
        header: &EventHeader,
        event: &Event<'_>,
    ) -> Result<Option<Transaction>, Failure> {
        if let Some(open) = &mut self.open {
            open.applied = true;
        }
        self.pass(header, event).map_err(|failure| self.located(failure))
    }

    /// Takes one event of such a transaction; gives it at its end.
    pub(super) fn pass(
        &mut self,
        header: &EventHeader,
        event: &Event<'_>,
    ) -> Result<Option<Transaction>, Failure> {
        let mariadb = self.mariadb;
        let Some(open) = &mut self.open else { return Ok(None) };
        // What was held before the operator met it.
        open.events.clear();
        let ends = match event {
            Event::Xid(_) | Event::XaPrepare(_) | Event::Payload(_) => true,
            Event::Rows(rows) => open.standalone && !open.begun && rows.ends_statement(),
            Event::Query(query) => {
                let (text, garbled) = text::of_query(query);
                let upper = text.trim().to_ascii_uppercase();
                let starts = |words: &[&str]| words.iter().any(|w| upper.starts_with(w));
                if upper == "BEGIN" || starts(&["XA START", "XA BEGIN"]) {
                    open.begun = true;
                    false
                } else if upper == "COMMIT" || upper == "ROLLBACK" || starts(&["XA COMMIT", "XA ROLLBACK"]) {
                    // A prepared transaction that it decides goes with it.
                    open.xa = decision(&text);
                    true
                } else {
                    if open.ddl.is_none() {
                        open.passed = text.clone().into_owned();
                        open.ddl = statement(query, &text, garbled, mariadb, header).ok();
                    }
                    !open.begun
                }
            }
            // Another transaction begins inside this one.
            Event::Gtid(_) | Event::AnonymousGtid(_) | Event::MariaGtid(_) => {
                return Err(self.no_end());
            }
            _ => false,
        };
        if ends { self.finish().map(Some) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use bytes::Bytes;
    use dm_binlog::{Flavor, Gtid, QueryEvent, StatusVars};
    use dm_proto::worker::{ErrorOperator, OperatorKind};

    use super::*;

    fn header(log_pos: u32) -> EventHeader {
        EventHeader { timestamp: 1, type_code: 2, server_id: 1, event_size: 50, log_pos, flags: 0 }
    }

    fn query(sql: &str) -> Event<'_> {
        Event::Query(QueryEvent {
            thread_id: 1,
            exec_secs: 0,
            error_code: 0,
            schema: b"d",
            query: Cow::Borrowed(sql.as_bytes()),
            vars: StatusVars::default(),
        })
    }

    fn with(operators: &[ErrorOperator]) -> Assembler {
        let mut assembler = Assembler::new("b.000001", 100, std::sync::Arc::default());
        assembler.set_operators(operators.into());
        assembler
    }

    fn skip(pos: u64, gtid: &str) -> ErrorOperator {
        ErrorOperator {
            id: 1,
            kind: OperatorKind::OperatorSkip.into(),
            file: "b.000001".to_owned(),
            pos,
            gtid: gtid.to_owned(),
            sqls: Vec::new(),
        }
    }

    fn feed(
        assembler: &mut Assembler,
        log_pos: u32,
        event: &Event<'_>,
    ) -> Result<Option<Transaction>, Failure> {
        assembler.step(&header(log_pos), event, &Bytes::new())
    }

    const BROKEN: &str = "RENAME TABLE d.t";

    #[test]
    fn a_statement_that_can_t_be_parsed_stops_where_its_transaction_begins_or_is_passed() {
        let mut assembler = with(&[]);
        assert!(feed(&mut assembler, 150, &query(BROKEN)).is_err());
        assert_eq!(assembler.start().0.pos, 100);
        for (pos, met) in [(100, true), (99, false), (120, false)] {
            let mut assembler = with(&[skip(pos, "")]);
            let passed = feed(&mut assembler, 150, &query(BROKEN));
            assert_eq!(passed.is_ok(), met, "{pos}");
            if let Ok(Some(transaction)) = passed {
                assert_eq!(transaction.passed, BROKEN);
                assert!(transaction.ddl.is_none() && transaction.operator.is_some());
                assert_eq!((transaction.start.pos, transaction.end.pos), (100, 150));
            }
        }
    }

    #[test]
    fn a_whole_group_is_passed_to_its_end_and_no_further() {
        // Met at its second event, as DM's users give it.
        let mut assembler = with(&[skip(150, "")]);
        assert!(feed(&mut assembler, 150, &query("BEGIN")).unwrap().is_none());
        assert!(feed(&mut assembler, 200, &query("INSERT INTO d.t VALUES (1)")).unwrap().is_none());
        let transaction = feed(&mut assembler, 250, &Event::Xid(7)).unwrap().unwrap();
        assert!(transaction.operator.is_some() && transaction.events.is_empty());
        let next = feed(&mut assembler, 300, &query("DROP TABLE d.t")).unwrap().unwrap();
        assert!(next.operator.is_none() && next.ddl.is_some());
    }

    #[test]
    fn what_is_applied_is_passed_to_its_end_though_it_is_not_understood() {
        let mut assembler = with(&[]);
        assert!(feed(&mut assembler, 150, &query("BEGIN")).unwrap().is_none());
        let change = query("INSERT INTO d.t VALUES (1)");
        assert!(feed(&mut assembler, 200, &change).is_err());
        assert!(assembler.pass_over(&header(200), &change).unwrap().is_none());
        assert!(feed(&mut assembler, 250, &change).unwrap().is_none());
        let transaction = feed(&mut assembler, 300, &Event::Xid(7)).unwrap().unwrap();
        assert_eq!((transaction.start.pos, transaction.end.pos), (100, 300));
        assert!(feed(&mut assembler, 350, &query("BEGIN")).unwrap().is_none());
        assert!(feed(&mut assembler, 400, &change).is_err(), "the next one counts");
    }

    #[test]
    fn an_operator_with_a_name_meets_that_transaction_only() {
        let name = "3e11fa47-71ca-11e1-9e33-c80aa9429562:7";
        let gtid = Gtid::parse(Flavor::MySql, name).unwrap();
        let assembler = with(&[skip(100, name)]);
        let place = assembler.start().0.clone();
        assert!(super::super::operators::find(&[skip(100, name)], &place, None).is_none());
        assert!(super::super::operators::find(&[skip(900, name)], &place, Some(&gtid)).is_some());
    }
}

//! XA transactions, event by event.
use dm_binlog::{EventHeader, XaPrepare};
use dm_schema::ddl::XaVerb;

use super::{
    assembler::{Assembler, Transaction, short},
    xid::{Xa, decision},
};
use crate::failure::Failure;

impl Assembler {
    /// A statement about one, inside the transaction that is open.
    pub(super) fn xa_statement(
        &mut self,
        header: &EventHeader,
        verb: XaVerb,
        text: &str,
    ) -> Result<Option<Transaction>, Failure> {
        let begun = self.open.as_ref().is_some_and(|open| open.begun);
        let open = self.open.as_mut().filter(|open| open.ddl.is_none() && open.events.is_empty());
        match (verb, open) {
            (XaVerb::Start, Some(open)) => {
                open.begun = true;
                return Ok(None);
            }
            // Its end follows.
            (XaVerb::End, _) if begun => return Ok(None),
            (XaVerb::Commit | XaVerb::Rollback, Some(open)) => {
                if let Some(xa) = decision(text) {
                    open.xa = Some(xa);
                    return self.finish().map(Some);
                }
            }
            _ => {}
        }
        Err(self
            .unsupported(header, &format!("an XA statement that is not understood there: {}", short(text))))
    }

    /// The end of its rows.
    pub(super) fn xa_prepare(&mut self, event: &XaPrepare<'_>) -> Result<Option<Transaction>, Failure> {
        let mut transaction = self.finish()?;
        if !event.one_phase {
            transaction.xa = Some(Xa::Prepare(event.into()));
        }
        Ok(Some(transaction))
    }
}

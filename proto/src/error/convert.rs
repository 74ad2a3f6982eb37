//! Errors on the wire: to and from the worker session's form and DM's `ProcessError`.

use super::{Code, Details, Error, Verdict};
use crate::{pb, worker};

impl From<&Error> for worker::ProcessError {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code,
            class: error.class.to_string(),
            scope: error.scope.to_string(),
            level: error.level.to_string(),
            message: error.message.clone(),
            raw_cause: error.raw_cause.clone(),
            workaround: error.workaround.to_string(),
            verdict: error.verdict.into(),
        }
    }
}

impl From<Error> for worker::ProcessError {
    fn from(error: Error) -> Self {
        (&error).into()
    }
}

impl From<worker::ProcessError> for Error {
    fn from(wire: worker::ProcessError) -> Self {
        let verdict = wire.verdict();
        Self::from(Details {
            code: wire.code,
            class: wire.class.into(),
            scope: wire.scope.into(),
            level: wire.level.into(),
            message: wire.message,
            raw_cause: wire.raw_cause,
            workaround: wire.workaround.into(),
            verdict,
        })
    }
}

impl From<&Error> for pb::ProcessError {
    fn from(error: &Error) -> Self {
        Self {
            err_code: error.code,
            err_class: error.class.to_string(),
            err_scope: error.scope.to_string(),
            err_level: error.level.to_string(),
            message: error.message.clone(),
            raw_cause: error.raw_cause.clone(),
            workaround: error.workaround.to_string(),
        }
    }
}

impl From<Error> for pb::ProcessError {
    fn from(error: Error) -> Self {
        (&error).into()
    }
}

impl From<worker::ProcessError> for pb::ProcessError {
    fn from(wire: worker::ProcessError) -> Self {
        Error::from(wire).into()
    }
}

/// DM's form has no verdict: the table gives it, and an unknown code waits for a person.
impl From<pb::ProcessError> for Error {
    fn from(wire: pb::ProcessError) -> Self {
        let verdict = Code::from_number(wire.err_code).map_or(Verdict::NeedsPerson, |c| c.entry().verdict);
        Self::from(Details {
            code: wire.err_code,
            class: wire.err_class.into(),
            scope: wire.err_scope.into(),
            level: wire.err_level.into(),
            message: wire.message,
            raw_cause: wire.raw_cause,
            workaround: wire.workaround.into(),
            verdict,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Scope;

    #[test]
    fn both_wire_forms_bring_the_error_back() {
        let error = Error::new(Code::DatabaseQuery, "m").with_cause("r").with_scope(Scope::Upstream);
        let session: worker::ProcessError = (&error).into();
        assert_eq!(Error::from(session), error);
        let dm: pb::ProcessError = (&error).into();
        assert_eq!(Error::from(dm), error);
    }
}

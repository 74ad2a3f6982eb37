//! Rows of answers: one per source.
use dm_proto::{
    error::{Code, Error},
    pb::{self, CommonWorkerResponse},
    worker::ProcessError,
};

/// Everything went as asked.
pub fn good(source: &str, worker: &str) -> CommonWorkerResponse {
    row(true, String::new(), source, worker)
}

/// This source did not do as asked.
pub fn bad(message: impl Into<String>, source: &str, worker: &str) -> CommonWorkerResponse {
    row(false, message.into(), source, worker)
}

/// Any row.
pub fn row(result: bool, msg: String, source: &str, worker: &str) -> CommonWorkerResponse {
    CommonWorkerResponse { result, msg, source: source.to_owned(), worker: worker.to_owned() }
}

/// What a worker reported, as DM words it: the errors in Go's text form under 38032.
pub fn worker_errors(errors: &[ProcessError]) -> Error {
    let texts: Vec<String> = errors.iter().map(go_text).collect();
    let message = format!("some error occurs in dm-worker: {}", texts.join(", "));
    Error::new(Code::WorkerAnsweredError, message)
        .with_workaround("Please execute `query-status` to check status.")
}

/// protobuf's Go text format of one error: fields that are set, each followed by a blank.
fn go_text(error: &ProcessError) -> String {
    let mut text = String::new();
    if error.code != 0 {
        text.push_str(&format!("ErrCode:{} ", error.code));
    }
    let fields = [
        ("ErrClass", &error.class),
        ("ErrScope", &error.scope),
        ("ErrLevel", &error.level),
        ("Message", &error.message),
        ("RawCause", &error.raw_cause),
        ("Workaround", &error.workaround),
    ];
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("{name}:{value:?} "));
    }
    text
}

/// DM's form of an error of a worker.
pub fn process_error(error: &ProcessError) -> pb::ProcessError {
    pb::ProcessError::from(&Error::from(error.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_workers_are_worded_as_dm_words_them() {
        let error = ProcessError {
            code: 10006,
            class: "database".into(),
            scope: "downstream".into(),
            level: "high".into(),
            message: "execute \"x\"".into(),
            ..Default::default()
        };
        assert_eq!(
            worker_errors(&[error]).to_string(),
            "[code=38032:class=dm-master:scope=internal:level=high], Message: some error occurs in dm-worker: \
             ErrCode:10006 ErrClass:\"database\" ErrScope:\"downstream\" ErrLevel:\"high\" Message:\"execute \\\"x\\\"\" \
             , Workaround: Please execute `query-status` to check status."
        );
    }
}

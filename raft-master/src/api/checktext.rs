//! Pre-check results as DM's text, which dmctl prints raw.
use dm_proto::{
    error::{Code, Error},
    worker::CheckItem,
};
use serde_json::{Map, Value, json};

use super::check::is_failure;

/// The answer when nothing was found. The blank at the end belongs to it.
pub const PASSED: &str = "pre-check is passed. ";
const HEADER: &str = "fail to check synchronization configuration with type";

/// Most results that are shown; negative: all of them.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    /// Failures.
    pub errors: i64,
    /// Warnings.
    pub warnings: i64,
}

impl Default for Most {
    /// As dmctl asks for.
    fn default() -> Self {
        Self { errors: 10, warnings: 10 }
    }
}

/// What a pre-check came to.
pub struct Verdict {
    /// Nothing failed.
    pub passed: bool,
    /// For `checkResult`.
    pub text: String,
    /// Failures and warnings that are not shown; they are counted in the text's summary.
    pub left_out: (usize, usize),
}

/// Folds the items of all sources.
pub fn verdict(items: &[CheckItem], most: Most) -> Verdict {
    let failed = items.iter().filter(|i| is_failure(i)).count();
    let warnings = items.iter().filter(|i| i.state == "warning").count();
    if failed + warnings == 0 {
        return Verdict { passed: true, text: PASSED.into(), left_out: (0, 0) };
    }
    let limit = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
    let (mut errors_left, mut warnings_left) = (limit(most.errors), limit(most.warnings));
    let left_out = (failed.saturating_sub(errors_left), warnings.saturating_sub(warnings_left));
    let mut shown = |item: &CheckItem| {
        let left = match item.state.as_str() {
            "success" => return false,
            "warning" => &mut warnings_left,
            _ => &mut errors_left,
        };
        let shown = *left > 0;
        *left = left.saturating_sub(1);
        shown
    };
    let results: Vec<Value> =
        items.iter().enumerate().filter(|(_, item)| shown(item)).map(|(id, item)| result(id, item)).collect();
    let detail = json!({
        "results": results,
        "summary": {
            "passed": failed == 0,
            "total": items.len(),
            "successful": items.len() - failed - warnings,
            "failed": failed,
            "warning": warnings,
        },
    });
    let detail = indented(&detail);
    let text = match failed {
        0 => format!("{HEADER}: no errors but some warnings\n detail: {detail}"),
        _ => {
            let message = format!("{HEADER}: check was failed, please see detail\n detail: {detail}");
            let mut error = Error::new(Code::CheckFailed, message).with_workaround("");
            error.class = "dm-master".into();
            error.to_string()
        }
    };
    Verdict { passed: failed == 0, text, left_out }
}

fn result(id: usize, item: &CheckItem) -> Value {
    let state = if is_failure(item) { "fail" } else { "warn" };
    let short = match &item.error {
        Some(error) => Error::from(error.clone()).to_string(),
        None => item.message.clone(),
    };
    let mut result = Map::new();
    result.insert("id".into(), json!(id));
    result.insert("name".into(), json!(item.name));
    result.insert("desc".into(), json!(item.message));
    result.insert("state".into(), json!(state));
    result.insert("errors".into(), json!([{ "severity": state, "short_error": short }]));
    if !item.instruction.is_empty() {
        result.insert("instruction".into(), json!(item.instruction));
    }
    Value::Object(result)
}

/// Tabs for indentation, and one tab more before every line but the first.
fn indented(value: &Value) -> String {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    match serde::Serialize::serialize(value, &mut serializer) {
        Ok(()) => String::from_utf8_lossy(&bytes).replace('\n', "\n\t"),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, state: &str) -> CheckItem {
        CheckItem { name: name.into(), state: state.into(), message: "m".into(), ..Default::default() }
    }

    #[test]
    fn as_many_results_are_shown_as_were_asked_for() {
        let items = [
            item("a", "failure"),
            item("b", "warning"),
            item("c", "success"),
            item("d", "failure"),
            item("e", "warning"),
            item("f", "failure"),
        ];
        let seen = |errors, warnings| {
            let verdict = verdict(&items, Most { errors, warnings });
            assert!(!verdict.passed && verdict.text.contains("\"failed\": 3,"), "{}", verdict.text);
            let names = ["a", "b", "c", "d", "e", "f"].into_iter();
            let names: String =
                names.filter(|n| verdict.text.contains(&format!("\"name\": \"{n}\""))).collect();
            (names, verdict.left_out)
        };
        assert_eq!(seen(10, 10), ("abdef".to_owned(), (0, 0)));
        assert_eq!(seen(2, 1), ("abd".to_owned(), (1, 1)));
        assert_eq!(seen(0, -1), ("be".to_owned(), (3, 0)));
        assert_eq!(seen(-1, 0), ("adf".to_owned(), (0, 2)));
        assert_eq!(seen(0, 0), (String::new(), (3, 2)));
    }

    #[test]
    fn text_is_what_dmctl_looks_for() {
        assert_eq!(verdict(&[item("a", "success")], Most::default()).text, "pre-check is passed. ");
        let warned = verdict(&[item("a", "success"), item("b", "warning")], Most::default());
        assert!(warned.passed);
        assert!(warned.text.starts_with(
            "fail to check synchronization configuration with type: no errors but some warnings\n detail: {\n\t\t\"results\": [\n\t\t\t{\n\t\t\t\t\"id\": 1,"
        ), "{}", warned.text);
        let failed = verdict(&[item("b", "failure")], Most::default());
        assert!(!failed.passed);
        assert!(failed.text.starts_with("[code=26005:class=dm-master:scope=internal:level=medium], Message: fail to check synchronization configuration with type: check was failed, please see detail\n detail: {"));
        assert!(failed.text.ends_with("\"warning\": 0\n\t\t}\n\t}"));
    }
}

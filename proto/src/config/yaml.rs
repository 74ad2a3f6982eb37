//! Strict YAML decoding whose errors name the key and the line, and never show a value.

use crate::error::{Code, Error};
use serde::de::DeserializeOwned;
use serde_saphyr::Error as Yaml;

/// Named blocks, each of which may be left empty.
pub(crate) type Section<T> = Option<std::collections::BTreeMap<String, Option<T>>>;

/// Decodes `text` as a `T` that denies unknown fields.
pub(crate) fn decode<T: DeserializeOwned + Default>(text: &str, what: &str) -> Result<T, Error> {
    let options = serde_saphyr::options! { with_snippet: false };
    let decoded: Result<Option<T>, Yaml> = serde_saphyr::from_str_with_options(text, options);
    decoded.map(Option::unwrap_or_default).map_err(|e| explain(text, what, &e))
}

fn explain(text: &str, what: &str, error: &Yaml) -> Error {
    let error = match error.without_snippet() {
        Yaml::AliasError { error, .. } => error.without_snippet(),
        other => other,
    };
    let line = error.location().map(|l| l.line()).filter(|line| *line > 0 && *line < u64::from(u32::MAX));
    let key = line.and_then(|line| key_on_line(text, line));
    let at = line.map_or(String::new(), |line| format!("line {line}: "));
    let of = |message: String| match &key {
        Some(key) => format!("{what}: {at}key `{key}`: {message}"),
        None => format!("{what}: {at}{message}"),
    };
    // A value is never repeated: it could be a password in the wrong place.
    Code::ConfigYaml.error(match error {
        Yaml::SerdeUnknownField { field, .. } => format!("{what}: {at}unknown key `{field}`"),
        Yaml::DuplicateMappingKey { key: Some(key), .. } => format!("{what}: {at}key `{key}` is given twice"),
        Yaml::InvalidScalar { ty, .. } => of(format!("the value is not of type {ty}")),
        Yaml::SerdeInvalidType { expected, .. } | Yaml::SerdeInvalidValue { expected, .. } => {
            of(format!("the value should be {expected}"))
        }
        Yaml::MultipleDocuments { .. } => format!("{what}: {at}more than one YAML document"),
        Yaml::Unexpected { expected, .. } => of(format!("the value should be {expected}")),
        other => format!("{what}: {}", other.to_string().lines().next().unwrap_or_default()),
    })
}

/// The key that the value on this line belongs to: on the line itself, or the nearest one above that is less indented.
fn key_on_line(text: &str, line: u64) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let indent = |l: &str| l.len() - l.trim_start_matches([' ', '-']).len();
    let here = lines.get(index)?;
    let key = |l: &str| {
        let body = l.trim_start_matches([' ', '-']);
        let (key, _) = body.split_once(':')?;
        let key = key.trim().trim_matches(['"', '\'']);
        let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        plain.then(|| key.to_owned())
    };
    key(here).or_else(|| {
        lines[..index].iter().rev().filter(|l| indent(l) < indent(here).max(1)).find_map(|l| key(l))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
    struct Sample {
        the_name: Option<String>,
        the_port: Option<u16>,
        on: Option<bool>,
        list: Option<Vec<String>>,
        map: Section<Inner>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        password: Option<String>,
        n: Option<i64>,
    }

    fn message(text: &str) -> String {
        let error = decode::<Sample>(text, "file").unwrap_err();
        assert!(error.is(Code::ConfigYaml));
        error.message.clone()
    }

    #[test]
    fn numbers_are_texts_where_texts_are_wanted_and_nothing_is_nothing() {
        let got: Sample =
            decode("the-name: 123456\nthe-port:\nlist:\nmap:\n  a:\n  b: {password: 00x}", "f").unwrap();
        assert_eq!(got.the_name.as_deref(), Some("123456"));
        assert!(got.the_port.is_none() && got.list.is_none() && got.on.is_none());
        let map = got.map.unwrap();
        assert!(map["a"].is_none());
        let b = map["b"].as_ref().unwrap();
        assert_eq!((b.password.as_deref(), b.n), (Some("00x"), None));
        assert!(decode::<Sample>("", "empty").is_ok());
        assert!(decode::<Sample>("# only a comment\n", "empty").is_ok());
    }

    #[test]
    fn errors_name_key_and_line() {
        assert_eq!(message("the-name: a\nthe-prot: 1\n"), "file: line 2: unknown key `the-prot`");
        assert_eq!(message("map:\n  a:\n    pass: x\n"), "file: line 3: unknown key `pass`");
        assert_eq!(message("on: true\non: true\n"), "file: line 2: key `on` is given twice");
        assert_eq!(
            message("the-port: hunter2\n"),
            "file: line 1: key `the-port`: the value is not of type u16"
        );
        for text in ["on: hunter2", "list: hunter2", "map: hunter2", "map:\n  a: hunter2", "the-port: 70000"]
        {
            let message = message(text);
            assert!(message.contains("key `") && !message.contains("hunter2"), "{message}");
        }
        for text in ["a: [", "- x", "{", "\t: x", "the-name: a\n---\nthe-name: b\n"] {
            assert!(message(text).starts_with("file: "), "{text}: {}", message(text));
        }
    }
}

//! Splitting a line into words as a POSIX shell does: quotes, backslashes, `#` comments; nothing is expanded.

/// The words of `line`, or why they can't be told.
pub fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '#' if word.is_none() => break,
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("EOF found when expecting closing quote")? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("EOF found when expecting closing quote")? {
                        '"' => break,
                        '\\' => word.push(chars.next().ok_or("EOF found after escape character")?),
                        c => word.push(c),
                    }
                }
            }
            '\\' => {
                let next = chars.next().ok_or("EOF found after escape character")?;
                word.get_or_insert_default().push(next);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_backslashes_and_comments() {
        let cases: [(&str, &[&str]); 5] = [
            ("  query-status  task1 # all of it", &["query-status", "task1"]),
            ("a 'b c' \"d \\\" e\" f\\ g", &["a", "b c", "d \" e", "f g"]),
            ("a'b'\"c\"d ''", &["abcd", ""]),
            ("a#b", &["a#b"]),
            ("# nothing", &[]),
        ];
        for (line, want) in cases {
            assert_eq!(split(line).unwrap(), want, "{line}");
        }
        assert!(split("a 'b").is_err() && split("\"b").is_err() && split("b\\").is_err());
    }
}

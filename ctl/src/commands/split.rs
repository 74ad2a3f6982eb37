//! Cutting words into SQL statements: at semicolons outside quotes and comments.

/// The statements of the words that followed a command, joined by blanks; one pair of double quotes around all of them is
/// taken off. Every statement stays as it was typed.
pub fn statements(words: &[String]) -> Result<Vec<String>, &'static str> {
    let text = words.join(" ");
    let text = text.trim();
    let bare = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    let mut all = Vec::new();
    let mut start = 0;
    let mut rest = bare.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let next = rest.peek().map(|(_, c)| *c);
        match c {
            ';' => {
                all.push(bare[start..at].trim());
                start = at + 1;
            }
            '\'' | '"' | '`' => loop {
                match rest.next() {
                    Some((_, '\\')) if c != '`' => drop(rest.next()),
                    Some((_, other)) if other == c => break,
                    Some(_) => {}
                    None => return Err("a quote is not closed"),
                }
            },
            '/' if next == Some('*') => {
                let mut last = ' ';
                rest.next();
                loop {
                    match rest.next() {
                        Some((_, '/')) if last == '*' => break,
                        Some((_, other)) => last = other,
                        None => return Err("a comment is not closed"),
                    }
                }
            }
            '#' => while rest.next_if(|(_, c)| *c != '\n').is_some() {},
            '-' if next == Some('-') => {
                rest.next();
                // A comment only with a blank after it: `1--1` is arithmetic.
                if rest.peek().is_none_or(|(_, c)| c.is_whitespace()) {
                    while rest.next_if(|(_, c)| *c != '\n').is_some() {}
                }
            }
            _ => {}
        }
    }
    all.push(bare[start..].trim());
    let all: Vec<String> = all.into_iter().filter(|s| !s.is_empty()).map(str::to_owned).collect();
    if all.is_empty() { Err("no statement is given") } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::statements;

    fn of(text: &str) -> Vec<String> {
        statements(&[text.to_owned()]).unwrap()
    }

    #[test]
    fn semicolons_in_quotes_and_comments_do_not_cut() {
        assert_eq!(of("\"drop table a.b; drop table a.c;\""), ["drop table a.b", "drop table a.c"]);
        assert_eq!(of("alter table a.b comment 'x;''y\\';'"), ["alter table a.b comment 'x;''y\\';'"]);
        assert_eq!(of("drop /* a; b */ table `a;b`.c -- ; d"), ["drop /* a; b */ table `a;b`.c -- ; d"]);
        assert_eq!(of("alter table a.b default 1--1; x # ;"), ["alter table a.b default 1--1", "x # ;"]);
        let words: Vec<String> = ["alter", "table", "a.b", "add", "c", "int;"].map(str::to_owned).to_vec();
        assert_eq!(statements(&words).unwrap(), ["alter table a.b add c int"]);
        for bad in ["", ";", "\"\"", "select 'a", "drop /* x"] {
            assert!(statements(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}

//! Commands line by line, from a terminal or a pipe, until the input ends.

use crate::args::Line;
use crate::commands::Context;
use crate::failure::Failure;
use crate::{say, words};
use clap::{CommandFactory, Parser};
use std::io::IsTerminal;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Longest line that is read.
const LINE_MAX_BYTES: u64 = 16 << 20;

/// Reads, runs, prints; a command that fails does not end it.
pub async fn run(context: &mut Context) -> Result<(), Failure> {
    let terminal = std::io::stdin().is_terminal();
    let mut input = BufReader::new(tokio::io::stdin());
    loop {
        if terminal {
            say("\u{1b}[31m»\u{1b}[0m ");
        }
        let mut bytes = Vec::new();
        let mut bounded = tokio::io::AsyncReadExt::take(&mut input, LINE_MAX_BYTES);
        if bounded.read_until(b'\n', &mut bytes).await.map_err(Failure::message)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&bytes);
        let words = match words::split(&line) {
            Ok(words) => words,
            Err(why) => {
                say(&format!("fail to split: {why}\n"));
                continue;
            }
        };
        match words.first().map(String::as_str) {
            None => continue,
            Some("exit") => return Ok(()),
            Some(_) => {}
        }
        match execute(context, &words).await {
            Ok(text) => say(&text),
            Err(failure) => {
                let (out, error) = failure.texts();
                say(&out);
                if !error.is_empty() {
                    say(&format!("fail to run: [{}]\n{error}", words.join(" ")));
                }
            }
        }
    }
}

async fn execute(context: &mut Context, words: &[String]) -> Result<String, Failure> {
    let line = Line::try_parse_from(words).map_err(|e| Failure::from_clap(&e, Line::command(), words))?;
    context.execute(line.command, line.source).await
}

//! The one-screen progress of the demo.
use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::compose::{compose, load_moves};

/// How often a screen that is not a terminal gets a line, and how often while a load moves.
const LINE_EVERY: Duration = Duration::from_secs(2);
const LOAD_LINE_EVERY: Duration = Duration::from_millis(500);

/// Draws over itself on a terminal; elsewhere prints a line now and then.
pub struct Screen {
    terminal: bool,
    drawn: usize,
    last_line: Option<Instant>,
    /// A line with a load's rate was printed.
    load_seen: bool,
}

impl Screen {
    pub fn new() -> Self {
        Self { terminal: std::io::stdout().is_terminal(), drawn: 0, last_line: None, load_seen: false }
    }

    /// Shows what dmctl's answers say.
    pub fn show(&mut self, members: &Value, status: &Value, written: u64) {
        let lines = compose(members, status, written);
        if self.terminal {
            // Without wrapping: a line that is too long would be two lines to go up over.
            let mut text = String::from("\x1b[?7l");
            if self.drawn > 0 {
                let _ = write!(text, "\x1b[{}A", self.drawn);
            }
            for line in &lines {
                let _ = writeln!(text, "\x1b[2K{line}");
            }
            // Lines of a longer screen before this one.
            for _ in lines.len()..self.drawn {
                let _ = writeln!(text, "\x1b[2K");
            }
            text += "\x1b[?7h";
            self.drawn = self.drawn.max(lines.len());
            print!("{text}");
            // A closed terminal is no reason to end the demo.
            let _ = std::io::stdout().flush();
        } else if self.line_is_due(load_moves(status)) {
            self.last_line = Some(Instant::now());
            println!("{}", lines.join(" | "));
        }
    }

    /// A short load must not pass between two lines: its first rate is due at once.
    fn line_is_due(&mut self, load_moves: bool) -> bool {
        let first_rate = load_moves && !self.load_seen;
        self.load_seen |= load_moves;
        let every = if load_moves { LOAD_LINE_EVERY } else { LINE_EVERY };
        first_rate || self.last_line.is_none_or(|at| at.elapsed() >= every)
    }

    /// Goes on below what is shown.
    pub fn leave(&mut self) {
        self.drawn = 0;
        self.last_line = None;
    }
}

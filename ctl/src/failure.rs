//! Why a command failed, and how dmctl says it.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use dm_proto::error::Error;
use tonic::{Code, Status};

/// A command that did not deliver an answer.
#[derive(Debug)]
pub enum Failure {
    /// Printed after `Error: `.
    Message(String),
    /// The command was used wrongly: its help goes to standard output.
    Usage(String),
    /// A command that does not exist.
    UnknownCommand(String),
    /// Not a failure: help was asked for.
    Help(String),
}

/// What is printed when help was printed already.
const SEE_OUTPUT: &str = "please check output to see error";

impl Failure {
    /// For an error of any kind.
    pub fn message(text: impl ToString) -> Self {
        Self::Message(text.to_string())
    }

    /// What goes to standard output, and what goes to where errors go.
    pub fn texts(&self) -> (String, String) {
        match self {
            Self::Message(text) => (String::new(), format!("Error: {text}\n")),
            Self::Usage(help) => (help.clone(), format!("Error: {SEE_OUTPUT}\n")),
            Self::UnknownCommand(text) => {
                (String::new(), format!("Error: {text}\nRun 'dmctl --help' for usage.\n"))
            }
            Self::Help(text) => (text.clone(), String::new()),
        }
    }

    /// Exit code of a one-shot command.
    pub fn exit_code(&self) -> u8 {
        u8::from(!matches!(self, Self::Help(_)))
    }

    /// What clap refused, in cobra's words; `root` gives the help texts.
    pub fn from_clap(error: &clap::Error, mut root: clap::Command, words: &[String]) -> Self {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            _ => String::new(),
        };
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Self::Help(error.render().to_string())
            }
            ErrorKind::InvalidSubcommand => {
                let name = context(ContextKind::InvalidSubcommand);
                let mut text = format!("unknown command \"{name}\" for \"dmctl\"");
                if let Some(ContextValue::Strings(near)) = error.get(ContextKind::SuggestedSubcommand) {
                    let near: String = near.iter().rev().map(|n| format!("\t{n}\n")).collect();
                    text.push_str(&format!("\n\nDid you mean this?\n{near}"));
                }
                Self::UnknownCommand(text)
            }
            ErrorKind::UnknownArgument if context(ContextKind::InvalidArg).starts_with('-') => {
                let flag = context(ContextKind::InvalidArg);
                let kind = if flag.starts_with("--") { "flag" } else { "shorthand flag" };
                Self::Message(format!("unknown {kind}: {flag}"))
            }
            ErrorKind::MissingRequiredArgument | ErrorKind::UnknownArgument | ErrorKind::TooManyValues => {
                let name = words.iter().find(|w| root.find_subcommand(w).is_some()).cloned();
                root.build();
                let command = name.and_then(|n| root.find_subcommand_mut(n).cloned());
                Self::Usage(command.unwrap_or(root).render_help().to_string())
            }
            _ => {
                let text = error.render().to_string();
                let first = text.lines().next().unwrap_or_default();
                Self::Message(first.trim_start_matches("error: ").to_owned())
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::message(error)
    }
}

/// A gRPC error as grpc-go prints it.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let code = match status.code() {
            Code::Cancelled => "Canceled".to_owned(),
            code => format!("{code:?}"),
        };
        Self::Message(format!("rpc error: code = {code} desc = {}", status.message()))
    }
}

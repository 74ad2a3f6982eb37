//! The operator's tool: one command, or commands line by line, against whichever master answers.

pub mod args;
pub mod client;
pub mod commands;
pub mod failure;
mod interactive;
pub mod jsonpb;
mod words;

use args::{Connection, Root, two_dashes};
use clap::{CommandFactory, Parser};
use client::Masters;
use commands::Context;
use dm_proto::config::parse_duration;
use dm_proto::error::Code;
use failure::Failure;
use std::io::Write;
use tokio::signal::unix::{SignalKind, signal};

/// Runs dmctl with the words after the program's name; gives the exit code.
pub async fn run(words: Vec<String>) -> u8 {
    let words = two_dashes(words);
    let root = std::iter::once("dmctl".to_owned()).chain(words.iter().cloned());
    let root = match Root::try_parse_from(root) {
        Ok(root) => root,
        Err(error) => return finish(Err(Failure::from_clap(&error, Root::command(), &words))),
    };
    if root.version {
        eprintln!("Release Version: v{}", env!("CARGO_PKG_VERSION"));
        return 0;
    }
    let interactive = root.command.is_none();
    tokio::select! {
        result = work(root) => finish(result),
        code = ended_by_signal(interactive) => code,
    }
}

async fn work(root: Root) -> Result<String, Failure> {
    let mut context = connect(&root.connection).await?;
    match root.command {
        Some(command) => context.execute(command, root.source).await,
        None => interactive::run(&mut context).await.map(|()| String::new()),
    }
}

async fn connect(flags: &Connection) -> Result<Context, Failure> {
    if let Some(path) = &flags.config {
        // As in DM the file's addresses never count; only a file that can't be read is an error.
        std::fs::read_to_string(path).map_err(|e| Failure::message(format!("open {path}: {e}")))?;
    }
    if flags.ssl_ca.is_some() || flags.ssl_cert.is_some() || flags.ssl_key.is_some() {
        return Err(Code::CtlTls.error("TLS is not supported by this version").into());
    }
    let given = flags.master_addr.clone().filter(|a| !a.is_empty());
    let addresses = given.or_else(|| std::env::var("DM_MASTER_ADDR").ok()).unwrap_or_default();
    let addresses = client::addresses(&addresses)?;
    let rpc_timeout = parse_duration(&flags.rpc_timeout).filter(|d| !d.is_zero()).ok_or_else(|| {
        Failure::message(format!("--rpc-timeout `{}` is not a duration above zero", flags.rpc_timeout))
    })?;
    Ok(Context { masters: Masters::connect(addresses).await?, rpc_timeout })
}

/// Prints what came out of it.
fn finish(result: Result<String, Failure>) -> u8 {
    let (out, error, code) = match result {
        Ok(out) => (out, String::new(), 0),
        Err(failure) => {
            let (out, error) = failure.texts();
            (out, error, failure.exit_code())
        }
    };
    say(&out);
    // Where nobody reads errors there is nobody to tell.
    let _ = std::io::stderr().write_all(error.as_bytes());
    code
}

/// Prints at once. A reader that went away (`| head -1`) is no failure of the command.
fn say(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Exit code of the signal that came: TERM is a wish, and so is Ctrl-C at the prompt; the others are failures.
async fn ended_by_signal(interactive: bool) -> u8 {
    let one = async |kind: SignalKind| match signal(kind) {
        Ok(mut stream) => {
            stream.recv().await;
        }
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = one(SignalKind::terminate()) => 0,
        () = one(SignalKind::interrupt()) => u8::from(!interactive),
        () = one(SignalKind::hangup()) => 1,
        () = one(SignalKind::quit()) => 1,
    }
}

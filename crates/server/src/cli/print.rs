//! What a command prints, and where.

use crate::config::Config;
use chrono::{DateTime, Utc};
use comfy_table::{Table, presets::NOTHING};
use serde_json::Value;
use std::io::{self, IsTerminal as _, Write as _};

/// What a command says that only wrote a job down.
pub(super) const BY_SERVER: &str = "a running server carries it out";

/// A command's result, for people and for programs.
pub(super) struct Printed {
    /// For people; nothing when empty.
    pub(super) text: String,
    /// For programs; nothing when null.
    pub(super) document: Value,
    /// Whether what was asked for was so.
    pub(super) good: bool,
}

impl Printed {
    /// A success.
    pub(super) fn good(text: impl Into<String>, document: Value) -> Self {
        Self { text: text.into(), document, good: true }
    }
}

/// Prints a result on standard output.
pub(super) fn result(printed: &Printed, json: bool) {
    let text = match (json, &printed.document) {
        (true, Value::Null) => String::new(),
        (true, document) => format!("{document:#}"),
        (false, _) => printed.text.clone(),
    };
    if !text.is_empty() {
        out(&text);
    }
}

/// One line on standard output. Whoever closed the pipe does not want it.
pub(super) fn out(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints why there is no result: for people on standard error; programs get a document all the same.
pub(super) fn problem(words: &str, document: &Value, json: bool) {
    if json {
        out(&format!("{document:#}"));
    }
    let _ = writeln!(io::stderr().lock(), "muster: {words}");
}

/// A line on standard error about work under way.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A time, UTC, in a table for people.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%F %T").to_string()
}

/// Asks on standard error and waits for a line, when somebody sits there.
pub(super) fn ask(question: &str) {
    if io::stdin().is_terminal() {
        let _ = write!(io::stderr().lock(), "{question}");
    }
}

/// A table for people.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    if !head.is_empty() {
        table.set_header(head);
    }
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Starts the log on standard error: as settings say for the server, else only what went wrong.
pub(super) fn start_logs(config: &Config, server: bool) {
    let level = if server { config.log.level.as_str() } else { "warn" };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // Fails only when a log was started before, which then serves as well.
    let _ = if config.log.json { builder.json().try_init() } else { builder.try_init() };
}

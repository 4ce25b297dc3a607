//! `muster config`.

use super::print::Printed;
use crate::config;
use clap::Subcommand;
use serde_json::json;
use std::path::Path;

#[derive(Debug, Subcommand)]
pub(super) enum Settings {
    /// Read file and environment, and report every mistake with its place.
    Check,
    /// Print a settings file with every setting, its default and what it is for.
    Sample,
}

/// Reached only when settings could be read without a mistake.
pub(super) fn checked(file: Option<&Path>) -> Printed {
    let what = file
        .map_or("the environment (no file was named)".to_owned(), |f| format!("{} and the environment", f.display()));
    Printed::good(format!("{what}: no mistakes"), json!({"mistakes": []}))
}

pub(super) fn sample() -> Printed {
    let text = config::sample();
    Printed::good(text.trim_end(), json!({"sample": text}))
}

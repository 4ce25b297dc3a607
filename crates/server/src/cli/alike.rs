//! How other commands find the same database: what the first start tells its reader to type.

use super::Cli;
use std::path::Path;

/// What the program was started with, in words for somebody who types the next command.
#[derive(Default)]
pub(super) struct Alike {
    /// To be put after `muster`, with a space before it; empty when the defaults do.
    pub(super) arguments: String,
    /// Where the command has to be typed.
    pub(super) terminal: String,
}

impl Alike {
    pub(super) fn of(cli: &Cli, environment: &[(String, String)]) -> Self {
        let mut arguments = String::new();
        let mut paths = vec![cli.data.as_path()];
        if let Some(config) = &cli.config {
            arguments = format!(" --config {}", quoted(config));
            paths.push(config);
        }
        if cli.data != Path::new("muster-data") {
            arguments = format!("{arguments} --data {}", quoted(&cli.data));
        }
        let mut terminal = "in another terminal".to_owned();
        if paths.iter().any(|path| path.is_relative()) {
            terminal.push_str(", in this folder");
        }
        if environment.iter().any(|(name, _)| name.starts_with("MUSTER_") && name.contains("__")) {
            terminal.push_str(", with the same MUSTER_… variables");
        }
        Self { arguments, terminal }
    }
}

/// As a shell reads it back.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_alphanumeric() || "/._-+@:,".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_when_a_shell_would_take_it_apart() {
        for (path, typed) in [
            ("/srv/muster-data", "/srv/muster-data"),
            ("my data", "'my data'"),
            ("it's", r"'it'\''s'"),
            ("a;b", "'a;b'"),
            ("данные", "данные"),
        ] {
            assert_eq!(quoted(Path::new(path)), typed);
        }
    }
}

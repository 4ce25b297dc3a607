//! Reading file and environment, and gathering every mistake on the way.

use super::{
    Config,
    file::{self, Entry},
    settings::{SETTINGS, Setting, contradictions},
};
use std::{collections::BTreeMap, fmt, path::Path};

const PREFIX: &str = "MUSTER_";
/// Variables of the command line, not settings.
const NOT_SETTINGS: [&str; 2] = ["MUSTER_CONFIG", "MUSTER_DATA"];

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// `file:line`, or the variable.
    pub place: String,
    /// The setting, or as much of it as was named.
    pub key: String,
    /// What to do about it.
    pub message: String,
}

/// All that is wrong with file and environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Mistake>);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            write!(f, "{}: {}", self.place, self.message)
        } else {
            write!(f, "{}: {}: {}", self.place, self.key, self.message)
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

pub(super) fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigErrors> {
    let mut loading = Loading { config: Config::default(), places: BTreeMap::new(), mistakes: Vec::new() };
    if let Some(file) = file {
        loading.file(file);
    }
    let mut variables: Vec<(String, String)> = environment.into_iter().collect();
    variables.sort();
    for (name, value) in variables {
        loading.variable(&name, &value);
    }
    if loading.mistakes.is_empty() {
        for (section, key, message) in contradictions(&loading.config) {
            let place = loading.places.get(&(section, key)).cloned().unwrap_or_else(|| "by default".to_owned());
            loading.mistakes.push(Mistake { place, key: format!("{section}.{key}"), message });
        }
    }
    if loading.mistakes.is_empty() { Ok(loading.config) } else { Err(ConfigErrors(loading.mistakes)) }
}

struct Loading {
    config: Config,
    places: BTreeMap<(&'static str, &'static str), String>,
    mistakes: Vec<Mistake>,
}

impl Loading {
    fn file(&mut self, file: &Path) {
        let name = file.display().to_string();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => return self.mistake(name, String::new(), format!("cannot be read: {error}")),
        };
        let entries = match file::read(&text) {
            Ok(entries) => entries,
            Err((line, message)) => {
                let place = line.map_or(name.clone(), |line| format!("{name}:{line}"));
                return self.mistake(place, String::new(), message);
            }
        };
        for Entry { line, section, key, value } in entries {
            let place = format!("{name}:{line}");
            match value {
                // A section that holds nothing, as in the sample.
                Ok(_) if key.is_empty() && is_section(&section) => {}
                Ok(text) => self.set(place, &section, &key, &text),
                Err(why) => self.mistake(place, named(&section, &key), why.to_owned()),
            }
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        let Some(path) = name.strip_prefix(PREFIX) else { return };
        if NOT_SETTINGS.contains(&name) || path.starts_with("TEST_") || path == "REQUIRE_POSTGRES" {
            return;
        }
        let path = path.to_ascii_lowercase();
        let (section, key) = path.split_once("__").unwrap_or((path.as_str(), ""));
        self.set(name.to_owned(), section, key, value);
    }

    fn set(&mut self, place: String, section: &str, key: &str, value: &str) {
        match find(section, key) {
            Ok(setting) => match (setting.set)(&mut self.config, value) {
                Ok(()) => {
                    self.places.insert((setting.section, setting.key), place);
                }
                Err(should_be) => self.mistake(place, named(section, key), format!("must be {should_be}")),
            },
            Err(message) => self.mistake(place, named(section, key), message),
        }
    }

    fn mistake(&mut self, place: String, key: String, message: String) {
        self.mistakes.push(Mistake { place, key, message });
    }
}

fn named(section: &str, key: &str) -> String {
    if key.is_empty() { section.to_owned() } else { format!("{section}.{key}") }
}

fn is_section(name: &str) -> bool {
    SETTINGS.iter().any(|s| s.section == name)
}

fn find(section: &str, key: &str) -> Result<&'static Setting, String> {
    let known = |names: Vec<&str>| names.join(", ");
    if let Some(setting) = SETTINGS.iter().find(|s| s.section == section && s.key == key) {
        return Ok(setting);
    }
    let here: Vec<&str> = SETTINGS.iter().filter(|s| s.section == section).map(|s| s.key).collect();
    if here.is_empty() {
        let mut sections: Vec<&str> = SETTINGS.iter().map(|s| s.section).collect();
        sections.dedup();
        return Err(format!("there is no such section; there are: {}", known(sections)));
    }
    Err(format!("there is no such setting; in {section} there are: {}", known(here)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write as _, time::Duration};

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn defaults_give_way_to_the_file_and_the_file_to_the_environment() {
        let file = file("server:\n  listen: 0.0.0.0:9000\nusers:\n  trial_days: 3\nsecrets:\n");
        let environment = [("MUSTER_USERS__TRIAL_DAYS", "5"), ("PATH", "/bin"), ("MUSTER_DATA", "x")];
        let config = Config::load(Some(file.path()), environment.map(|(k, v)| (k.to_owned(), v.to_owned()))).unwrap();
        assert_eq!(config.server.listen.port(), 9000);
        assert_eq!(config.users.trial_days, 5);
        assert_eq!(config.sync.poll, Duration::from_millis(300));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_line_and_key() {
        let file = file(
            "server:\n  listen: nowhere\n  lissten: 1\nsync:\n  poll: 5 parsecs\nnonsense:\n  a: 1\nusers:\n  trial_days: 0\n",
        );
        let environment = [("MUSTER_LOG__FORMAT".to_owned(), "xml".to_owned())];
        let mistakes = Config::load(Some(file.path()), environment).unwrap_err().0;
        let name = file.path().display().to_string();
        let told: Vec<String> =
            mistakes.iter().map(|m| format!("{} {}", m.place.replace(&name, "file"), m.key)).collect();
        assert_eq!(
            told,
            [
                "file:2 server.listen",
                "file:3 server.lissten",
                "file:5 sync.poll",
                "file:7 nonsense.a",
                "file:9 users.trial_days",
                "MUSTER_LOG__FORMAT log.format",
            ]
        );
    }

    #[test]
    fn a_password_in_a_wrong_database_url_is_not_repeated() {
        let environment = [("MUSTER_DATABASE__URL".to_owned(), "mysql://u:hunter2@h/d".to_owned())];
        let error = Config::load(None, environment).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let environment = [("MUSTER_PANELS__READ_TIMEOUT".to_owned(), "10m".to_owned())];
        let error = Config::load(None, environment).unwrap_err();
        assert!(error.to_string().contains("MUSTER_PANELS__READ_TIMEOUT"), "{error}");
    }

    #[test]
    fn the_sample_file_is_up_to_date_and_says_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config.example.yaml");
        if std::env::var_os("UPDATE_SAMPLE").is_some() {
            std::fs::write(&path, crate::config::sample()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, crate::config::sample(), "write it anew: UPDATE_SAMPLE=1 cargo test -p muster sample_file");
        let from_sample = Config::load(Some(&path), []).unwrap();
        assert_eq!(format!("{from_sample:?}"), format!("{:?}", Config::default()));
    }
}

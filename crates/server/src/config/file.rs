//! The settings file as YAML: sections with settings, each with the line where it stands.
//!
//! It may hold a password, so what is wrong with it is told without an excerpt.

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{DuplicateKeyPolicy, Spanned, UserMessageFormatter};
use std::{collections::BTreeSet, fmt};

/// One setting; an empty `key` means the section itself.
pub(super) struct Entry {
    /// The line of its name.
    pub(super) line: u64,
    pub(super) section: String,
    pub(super) key: String,
    /// What it is set to (a list: its values, separated by commas), or what is wrong with what stands there.
    pub(super) value: Result<String, &'static str>,
}

const TWICE: &str = "stands in the file already";

/// All settings in the order of the file, and sections that hold none. Fails with the line, if known, when it is
/// not a file of sections.
pub(super) fn read(text: &str) -> Result<Vec<Entry>, (Option<u64>, String)> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough, with_snippet: false };
    let node = serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| {
        let line = error.location().map(|location| location.line());
        (line, format!("is not YAML: {}", error.render_with_formatter(&UserMessageFormatter)))
    })?;
    let Node::Map(sections) = node else {
        return Err((Some(1), "is not a file of sections with settings; `muster config sample` prints one".to_owned()));
    };
    let mut entries = Vec::new();
    let mut names = BTreeSet::new();
    for (name, node) in sections {
        let line = name.referenced.line();
        let whole = |value| Entry { line, section: name.value.clone(), key: String::new(), value };
        match node {
            _ if !names.insert(name.value.clone()) => entries.push(whole(Err(TWICE))),
            Node::Nothing => entries.push(whole(Ok(String::new()))),
            Node::Text(_) | Node::List(_) => entries.push(whole(Err("is a section: its settings stand below it"))),
            Node::Map(settings) => entries.extend(section(&name.value, settings)),
        }
    }
    Ok(entries)
}

fn section(name: &str, settings: Vec<(Spanned<String>, Node)>) -> Vec<Entry> {
    let mut names = BTreeSet::new();
    let entry = |(key, node): (Spanned<String>, Node)| {
        let value = if names.insert(key.value.clone()) { node.into_setting() } else { Err(TWICE) };
        Entry { line: key.referenced.line(), section: name.to_owned(), key: key.value, value }
    };
    settings.into_iter().map(entry).collect()
}

/// Any YAML.
enum Node {
    Nothing,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
}

impl Node {
    fn into_setting(self) -> Result<String, &'static str> {
        match self {
            Self::Text(text) => Ok(text),
            Self::List(items) => {
                let items: Result<Vec<String>, _> = items.into_iter().map(Self::into_setting).collect();
                Ok(items.map_err(|_| "must be a list of plain values")?.join(","))
            }
            Self::Nothing => Err("has no value"),
            Self::Map(_) => Err("must be a value, and there is a section"),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a section")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

//! The client array inside an inbound's settings.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A client as an array holds it, with whatever else was put there.
pub(super) type Entry = Map<String, Value>;

/// A text of an entry; empty where there is none.
pub(super) fn text<'a>(entry: &'a Entry, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A number of an entry; 0 where there is none.
pub(super) fn number(entry: &Entry, key: &str) -> i64 {
    entry.get(key).and_then(Value::as_i64).unwrap_or_default()
}

/// A flag of an entry; false where there is none.
pub(super) fn flag(entry: &Entry, key: &str) -> bool {
    entry.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// Whether two entries differ in more than when they were written.
pub(super) fn differ(old: &Entry, new: &Entry) -> bool {
    let timeless = |entry: &Entry| {
        let mut entry = entry.clone();
        entry.remove("updated_at");
        entry
    };
    timeless(old) != timeless(new)
}

/// Marks when an entry came about, where it does not say so itself.
pub(super) fn stamp(entry: &mut Entry, now_ms: i64) {
    for key in ["created_at", "updated_at"] {
        if number(entry, key) == 0 {
            entry.insert(key.to_owned(), json!(now_ms));
        }
    }
}

/// A client array in its order, found by email without a search.
#[derive(Debug, Clone, Default)]
pub(super) struct Roll {
    entries: BTreeMap<u64, Entry>,
    places: BTreeMap<String, u64>,
    next: u64,
}

impl Roll {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let mut roll = Self::default();
        for entry in entries {
            roll.push(entry);
        }
        roll
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The emails in it, in its order.
    pub(super) fn emails(&self) -> Vec<String> {
        self.iter().map(|entry| text(entry, "email").to_owned()).filter(|email| !email.is_empty()).collect()
    }

    pub(super) fn has(&self, email: &str) -> bool {
        self.places.contains_key(email)
    }

    pub(super) fn get(&self, email: &str) -> Option<&Entry> {
        self.entries.get(self.places.get(email)?)
    }

    pub(super) fn get_mut(&mut self, email: &str) -> Option<&mut Entry> {
        self.entries.get_mut(self.places.get(email)?)
    }

    /// Appends; who has no email is in it and is not found.
    pub(super) fn push(&mut self, entry: Entry) {
        let email = text(&entry, "email");
        if !email.is_empty() {
            self.places.insert(email.to_owned(), self.next);
        }
        self.entries.insert(self.next, entry);
        self.next += 1;
    }

    pub(super) fn remove(&mut self, email: &str) -> Option<Entry> {
        self.entries.remove(&self.places.remove(email)?)
    }

    /// Gives a client another email; its place stays.
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        if let Some(place) = self.places.remove(old) {
            self.places.insert(new.to_owned(), place);
            if let Some(entry) = self.entries.get_mut(&place) {
                entry.insert("email".into(), json!(new));
            }
        }
    }
}

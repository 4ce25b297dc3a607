//! The client array of one inbound, in its order, with what is needed to find a client among tens of thousands.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A client as it was sent, with the fields that the panel does not know.
pub(super) type Client = Map<String, Value>;

/// Where a client stands in its array: places keep their order and are never used twice.
pub(super) type Place = u64;

/// The array `clients` in an inbound's settings.
#[derive(Debug, Clone)]
pub(super) struct Array {
    key_field: &'static str,
    next: Place,
    clients: BTreeMap<Place, Client>,
    by_email: BTreeMap<String, BTreeSet<Place>>,
    by_key: BTreeMap<String, BTreeSet<Place>>,
}

impl Array {
    /// An array whose clients are addressed by `key_field`.
    pub(super) fn new(key_field: &'static str, clients: Vec<Client>) -> Self {
        let (by_email, by_key) = Default::default();
        let mut array = Self { key_field, next: 0, clients: BTreeMap::new(), by_email, by_key };
        for client in clients {
            array.push(client);
        }
        array
    }

    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Client> {
        self.clients.values()
    }

    pub(super) fn push(&mut self, client: Client) {
        self.put(self.next, client);
        self.next += 1;
    }

    /// Takes out the client at this place.
    pub(super) fn remove(&mut self, place: Place) -> Option<Client> {
        let client = self.clients.remove(&place)?;
        forget(&mut self.by_email, &email_of(&client).to_lowercase(), place);
        forget(&mut self.by_key, text(&client, self.key_field), place);
        Some(client)
    }

    /// Puts another client where one stood.
    pub(super) fn replace(&mut self, place: Place, client: Client) {
        self.remove(place);
        self.put(place, client);
    }

    /// Sets fields of the client of this name; not for its name or its key.
    pub(super) fn set(&mut self, email: &str, fields: Vec<(&str, Value)>) {
        if let Some(client) = self.place_of(email).and_then(|place| self.clients.get_mut(&place)) {
            client.extend(fields.into_iter().map(|(field, value)| (field.to_owned(), value)));
        }
    }

    pub(super) fn at(&self, place: Place) -> Option<&Client> {
        self.clients.get(&place)
    }

    /// The first client of exactly this name.
    pub(super) fn get(&self, email: &str) -> Option<&Client> {
        self.at(self.place_of(email)?)
    }

    /// Where the first client of exactly this name stands.
    pub(super) fn place_of(&self, email: &str) -> Option<Place> {
        let places = self.by_email.get(&email.to_lowercase())?;
        places.iter().copied().find(|place| self.at(*place).is_some_and(|client| email_of(client) == email))
    }

    /// Whether somebody has this name, given in lower case, in whatever case.
    pub(super) fn has_name(&self, lower_case: &str) -> bool {
        self.by_email.contains_key(lower_case)
    }

    /// Where the clients with this key stand.
    pub(super) fn places_of_key(&self, key: &str) -> Vec<Place> {
        self.by_key.get(key).map(|places| places.iter().copied().collect()).unwrap_or_default()
    }

    /// Whether some client has no key at all, at which deletions stumble.
    pub(super) fn has_keyless(&self) -> bool {
        let suspects = self.places_of_key("");
        suspects.into_iter().filter_map(|place| self.at(place)).any(|client| !client.contains_key(self.key_field))
    }

    fn put(&mut self, place: Place, client: Client) {
        self.by_email.entry(email_of(&client).to_lowercase()).or_default().insert(place);
        self.by_key.entry(text(&client, self.key_field).to_owned()).or_default().insert(place);
        self.clients.insert(place, client);
    }
}

fn forget(index: &mut BTreeMap<String, BTreeSet<Place>>, word: &str, place: Place) {
    if let Some(places) = index.get_mut(word) {
        places.remove(&place);
        if places.is_empty() {
            index.remove(word);
        }
    }
}

pub(super) fn email_of(client: &Client) -> &str {
    text(client, "email")
}

/// A field as the panel reads it: what is no text counts as empty.
pub(super) fn text<'a>(client: &'a Client, field: &str) -> &'a str {
    client.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A field as the panel reads it: what is no whole number counts as zero.
pub(super) fn int(client: &Client, field: &str) -> i64 {
    client.get(field).and_then(Value::as_i64).unwrap_or_default()
}

/// A field as the panel reads it: what is not `true` counts as false.
pub(super) fn flag(client: &Client, field: &str) -> bool {
    client.get(field).and_then(Value::as_bool).unwrap_or_default()
}

//! The panel's database: inbounds with their arrays, and beside them the tables that are kept in step with the arrays.
//!
//! Every write changes arrays first and then takes over into the records what those arrays say. A client on two
//! inbounds may be described differently by their arrays; its record follows the one written last.

use crate::three::{
    client::{Client, Record},
    entry::{Roll, text},
    inbound::Inbound,
    traffic::Row,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What the database says when there is no such row.
pub(super) const NOT_FOUND: &str = "record not found";

/// All tables, and what finds their rows without a search.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    pub(super) inbounds: BTreeMap<i64, Inbound>,
    pub(super) rows: BTreeMap<String, Row>,
    records: BTreeMap<String, Record>,
    /// Records by id.
    names: BTreeMap<i64, String>,
    /// Emails by their lower case.
    spellings: BTreeMap<String, BTreeSet<String>>,
    /// Emails by subscription id.
    subscribers: BTreeMap<String, BTreeSet<String>>,
    pub(super) last_inbound: i64,
    last_record: i64,
    last_row: i64,
    writes: u64,
}

impl Store {
    pub(super) fn record(&self, email: &str) -> Option<&Record> {
        self.records.get(email)
    }

    /// All records, by id.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.names.values().filter_map(|email| self.records.get(email))
    }

    /// The inbounds a client is on, by id.
    pub(super) fn links(&self, email: &str) -> Vec<i64> {
        self.inbounds.values().filter(|inbound| inbound.clients.has(email)).map(|inbound| inbound.id).collect()
    }

    /// The inbounds a client is on, in the order in which the links were written; null for none.
    pub(super) fn links_as_listed(&self, email: &str) -> Value {
        let mut links: Vec<&Inbound> = self.inbounds.values().filter(|inbound| inbound.clients.has(email)).collect();
        links.sort_by_key(|inbound| inbound.written);
        if links.is_empty() { Value::Null } else { links.into_iter().map(|inbound| inbound.id).collect() }
    }

    /// Whether somebody else has this subscription id.
    pub(super) fn is_sub_id_of_another(&self, sub_id: &str, email: &str) -> bool {
        self.subscribers.get(sub_id).is_some_and(|emails| emails.iter().any(|other| other != email))
    }

    /// Whether another record has this email, whatever the case of its letters.
    pub(super) fn is_email_of_another(&self, email: &str, own: &str) -> bool {
        self.spellings.get(&email.to_lowercase()).is_some_and(|emails| emails.iter().any(|other| other != own))
    }

    /// Whether an array holds this email, in whatever case, with another subscription id.
    pub(super) fn is_taken(&self, email: &str, sub_id: &str) -> bool {
        let spellings = self.spellings.get(&email.to_lowercase()).into_iter().flatten();
        spellings.into_iter().any(|spelling| {
            let entries = self.inbounds.values().filter_map(|inbound| inbound.clients.get(spelling));
            entries.into_iter().any(|entry| text(entry, "subId") != sub_id)
        })
    }

    /// Changes a record and nothing else.
    pub(super) fn alter(&mut self, email: &str, change: impl FnOnce(&mut Client)) {
        let Some(record) = self.records.get_mut(email) else { return };
        let old = record.client.sub_id.clone();
        change(&mut record.client);
        let new = record.client.sub_id.clone();
        if old != new {
            release(&mut self.subscribers, &old, email);
            self.subscribers.entry(new).or_default().insert(email.to_owned());
        }
    }

    fn create(&mut self, client: Client) {
        let email = client.email.clone();
        self.last_record += 1;
        self.names.insert(self.last_record, email.clone());
        self.spellings.entry(email.to_lowercase()).or_default().insert(email.clone());
        self.subscribers.entry(client.sub_id.clone()).or_default().insert(email.clone());
        self.records.insert(email, Record { id: self.last_record, client });
    }

    /// Deletes a record; arrays and counters stay.
    pub(super) fn delete(&mut self, email: &str) {
        let Some(record) = self.records.remove(email) else { return };
        self.names.remove(&record.id);
        release(&mut self.spellings, &email.to_lowercase(), email);
        release(&mut self.subscribers, &record.client.sub_id, email);
    }

    /// Gives a client another email in every table and array.
    pub(super) fn rename(&mut self, old: &str, new: &str) {
        let Some(mut record) = self.records.remove(old) else { return };
        release(&mut self.spellings, &old.to_lowercase(), old);
        release(&mut self.subscribers, &record.client.sub_id, old);
        new.clone_into(&mut record.client.email);
        self.names.insert(record.id, new.to_owned());
        self.spellings.entry(new.to_lowercase()).or_default().insert(new.to_owned());
        self.subscribers.entry(record.client.sub_id.clone()).or_default().insert(new.to_owned());
        self.records.insert(new.to_owned(), record);
        for inbound in self.inbounds.values_mut() {
            inbound.clients.rename(old, new);
            if inbound.drift.remove(old) {
                inbound.drift.insert(new.to_owned());
            }
        }
        if let Some(mut row) = self.rows.remove(old) {
            new.clone_into(&mut row.email);
            self.rows.insert(new.to_owned(), row);
        }
    }

    /// Writes a client's limits into its row of traffic, counters kept, and makes the row where there is none.
    pub(super) fn limit(&mut self, inbound: i64, client: &Client) {
        if !self.rows.contains_key(&client.email) {
            self.last_row += 1;
            let email = client.email.clone();
            let row = Row {
                id: self.last_row,
                inbound,
                enable: true,
                email: email.clone(),
                up: 0,
                down: 0,
                expiry: 0,
                total: 0,
                reset: 0,
                last_online: 0,
            };
            self.rows.insert(email, row);
        }
        if let Some(row) = self.rows.get_mut(&client.email) {
            row.inbound = inbound;
            row.limit(client);
        }
    }

    /// Brings the tables in step with an inbound's array after these clients in it were written: their records take
    /// over what it says, and so do those of the clients that another inbound has described differently since.
    pub(super) fn sync(&mut self, id: i64, touched: &[String]) {
        self.writes += 1;
        let Some(inbound) = self.inbounds.get_mut(&id) else { return };
        inbound.written = self.writes;
        let drifted = std::mem::take(&mut inbound.drift);
        for email in touched.iter().chain(&drifted) {
            self.take_over(id, email);
        }
    }

    fn take_over(&mut self, id: i64, email: &str) {
        let entry = self.inbounds.get(&id).and_then(|inbound| inbound.clients.get(email));
        let Some(said) = entry.map(Client::from_entry) else { return };
        if self.records.contains_key(email) {
            self.alter(email, |client| client.merge(&said));
        } else {
            self.create(said);
        }
        self.settle(email);
    }

    /// Notes which arrays say something else than the record, and takes the flow from the first array that has one.
    pub(super) fn settle(&mut self, email: &str) {
        let Some(known) = self.records.get(email).map(|record| record.client.clone()) else { return };
        let mut flow = String::new();
        for inbound in self.inbounds.values_mut() {
            let Some(said) = inbound.clients.get(email).map(Client::from_entry) else { continue };
            let mut merged = known.clone();
            merged.merge(&said);
            merged.updated_at = known.updated_at;
            if merged == known {
                inbound.drift.remove(email);
            } else {
                inbound.drift.insert(email.to_owned());
            }
            if flow.is_empty() {
                flow = said.flow;
            }
        }
        self.alter(email, |client| client.flow = flow);
    }

    /// Takes clients off an inbound in one write; those who are not on it are passed over.
    pub(super) fn take_off(&mut self, id: i64, emails: &[String]) {
        let Some(inbound) = self.inbounds.get_mut(&id) else { return };
        let on_it: Vec<&String> = emails.iter().filter(|email| inbound.clients.remove(email).is_some()).collect();
        for email in &on_it {
            inbound.drift.remove(*email);
        }
        if !on_it.is_empty() {
            self.sync(id, &[]);
        }
        for email in on_it {
            self.settle(email);
        }
    }

    /// The rows of each inbound, by id: what the database finds by the inbound a row names.
    pub(super) fn rows_by_inbound(&self) -> BTreeMap<i64, Vec<&Row>> {
        let mut found: BTreeMap<i64, Vec<&Row>> = BTreeMap::new();
        for row in self.rows.values() {
            found.entry(row.inbound).or_default().push(row);
        }
        for rows in found.values_mut() {
            rows.sort_by_key(|row| row.id);
        }
        found
    }

    /// The statistics in an inbound's object: first the rows that name it, then those of its other clients.
    pub(super) fn stats(&self, inbound: &Inbound, own: &[&Row]) -> Value {
        let others = inbound.clients.iter().filter_map(|entry| self.rows.get(text(entry, "email")));
        let mut others: Vec<&Row> = others.filter(|row| row.inbound != inbound.id).collect();
        others.sort_by_key(|row| row.id);
        let rows = own.iter().copied().chain(others);
        let shown = rows.map(|row| match inbound.clients.get(&row.email) {
            Some(entry) => row.json(text(entry, "id"), text(entry, "subId")),
            None => row.json("", ""),
        });
        shown.collect()
    }

    /// Takes every client out of every table and array.
    pub(super) fn forget_clients(&mut self) {
        self.records.clear();
        self.names.clear();
        self.spellings.clear();
        self.subscribers.clear();
        self.rows.clear();
        for inbound in self.inbounds.values_mut() {
            inbound.clients = Roll::default();
            inbound.drift.clear();
        }
    }
}

/// Takes an email out of an index.
fn release(index: &mut BTreeMap<String, BTreeSet<String>>, key: &str, email: &str) {
    if let Some(emails) = index.get_mut(key) {
        emails.remove(email);
        if emails.is_empty() {
            index.remove(key);
        }
    }
}

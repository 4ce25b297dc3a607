//! Putting inbounds into the database: ports, tags, and whole client arrays.

use crate::three::{
    Panel, draft,
    entry::{Entry, Roll, stamp, text},
    inbound::Inbound,
    store::NOT_FOUND,
};
use std::collections::BTreeSet;

/// The port of xray's own API.
const API_PORT: i64 = 62_789;

impl Panel {
    /// Adds an inbound with the clients it brings. Gives its id.
    pub(super) fn put_inbound(&mut self, fields: &Entry, now_ms: i64) -> Result<i64, String> {
        let (mut inbound, clients) = draft::inbound(fields);
        self.check_port(&inbound)?;
        self.check_emails(&clients)?;
        inbound.tag = self.free_tag(&inbound);
        if inbound.traffic_reset.is_empty() {
            "never".clone_into(&mut inbound.traffic_reset);
        }
        self.store.last_inbound += 1;
        inbound.id = self.store.last_inbound;
        let id = inbound.id;
        self.store.inbounds.insert(id, inbound);
        self.replace_array(id, clients, now_ms);
        Ok(id)
    }

    /// Replaces an inbound, its whole client array included: who is not in the new one is not on it any more.
    pub(super) fn replace_inbound(&mut self, id: i64, fields: &Entry, now_ms: i64) -> Result<(), String> {
        let old = self.store.inbounds.get(&id).cloned().ok_or(NOT_FOUND)?;
        let (mut inbound, clients) = draft::inbound(fields);
        inbound.id = id;
        self.check_port(&inbound)?;
        let newcomers: Vec<Entry> =
            clients.iter().filter(|entry| !old.clients.has(text(entry, "email"))).cloned().collect();
        self.check_emails(&newcomers)?;
        if inbound.tag.is_empty() && old.default_tag() == inbound.default_tag() {
            inbound.tag.clone_from(&old.tag);
        }
        inbound.tag = self.free_tag(&inbound);
        (inbound.up, inbound.down, inbound.last_reset) = (old.up, old.down, old.last_reset);
        inbound.written = old.written;
        inbound.clients = old.clients;
        self.store.inbounds.insert(id, inbound);
        self.replace_array(id, clients, now_ms);
        Ok(())
    }

    /// Puts an array in the place of an inbound's; counters of those who are nowhere any more go.
    pub(super) fn replace_array(&mut self, id: i64, mut clients: Vec<Entry>, now_ms: i64) {
        for entry in &mut clients {
            stamp(entry, now_ms);
        }
        let roll = Roll::new(clients);
        let emails = roll.emails();
        let Some(inbound) = self.store.inbounds.get_mut(&id) else { return };
        let old = std::mem::replace(&mut inbound.clients, roll);
        self.store.sync(id, &emails);
        for email in emails.iter().filter(|email| !old.has(email)) {
            if let Some(client) = self.store.record(email).map(|record| record.client.clone()) {
                self.store.limit(id, &client);
            }
        }
        for email in old.emails() {
            self.store.settle(&email);
            if self.store.links(&email).is_empty() {
                self.store.rows.remove(&email);
            }
        }
    }

    /// Deletes an inbound; records and counters of its clients stay.
    pub(super) fn drop_inbound(&mut self, id: i64) {
        if let Some(inbound) = self.store.inbounds.remove(&id) {
            for email in inbound.clients.emails() {
                self.store.settle(&email);
            }
        }
    }

    fn check_port(&self, inbound: &Inbound) -> Result<(), String> {
        let others = self.store.inbounds.values().filter(|other| other.id != inbound.id);
        for other in others {
            if let Some(transport) = inbound.collides_on(other) {
                let (port, remark, id, place) = (inbound.port, &other.remark, other.id, other.place());
                return Err(format!(
                    "port {port} ({transport}) already used by inbound '{remark}' (#{id}) on {place}\n"
                ));
            }
        }
        if inbound.port == API_PORT && inbound.transports().0 {
            return Err(format!("port {API_PORT} (tcp) is reserved for the xray API\n"));
        }
        Ok(())
    }

    /// Refuses emails that somebody else has, in whatever case.
    fn check_emails(&self, clients: &[Entry]) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for entry in clients {
            let email = text(entry, "email");
            let again = !email.is_empty() && !seen.insert(email.to_lowercase());
            if again || self.store.is_taken(email, text(entry, "subId")) {
                return Err(format!("Duplicate email: {email}\n"));
            }
        }
        Ok(())
    }

    /// The tag an inbound brings, if no other has it; else one of its port, with a number if need be.
    fn free_tag(&self, inbound: &Inbound) -> String {
        let taken = |tag: &str| self.store.inbounds.values().any(|other| other.id != inbound.id && other.tag == tag);
        if !inbound.tag.is_empty() && !taken(&inbound.tag) {
            return inbound.tag.clone();
        }
        let plain = inbound.default_tag();
        let numbered = (2..100).map(|number| format!("{plain}-{number}"));
        let free = std::iter::once(plain.clone()).chain(numbered).find(|tag| !taken(tag));
        free.unwrap_or(plain)
    }
}

//! How clients come to an inbound and change.

use super::{
    Panel,
    array::{Client, email_of, flag, text},
    body::{Body, parse},
    inbound::Inbound,
    refusal::{Refusal, not_found, unread, wrong},
};
use crate::call::{Call, Reply, kind};
use serde_json::{Value, json};
use std::collections::BTreeSet;

impl Panel {
    /// `addClient`: all checks come before any write, so what is refused changes nothing.
    pub(super) fn add_clients(&mut self, call: &Call, now_ms: i64) -> Result<Reply, Refusal> {
        let (id, clients) = requested(call)?;
        if let Some(email) = self.taken_name(&clients) {
            return Err(wrong(format!("Duplicate email: {email}\n")));
        }
        let inbound = self.inbounds.get(&id).ok_or_else(not_found)?;
        refuse_keyless(inbound, &clients)?;
        // The transaction is committed even when its last save fails: what comes before that save stays.
        self.account(id, &clients);
        self.commit()?;
        self.append(id, clients, now_ms);
        Ok(Reply::ok("Inbound client(s) have been added.", Value::Null))
    }

    /// `updateClient`: the first client of the body takes the whole place of the one with this key.
    pub(super) fn update_client(&mut self, key: &str, call: &Call, now_ms: i64) -> Result<Reply, Refusal> {
        let (id, clients) = requested(call)?;
        let inbound = self.inbounds.get(&id).ok_or_else(not_found)?;
        let array = &inbound.settings.clients;
        let place = array.places_of_key(key).first().copied();
        let Some((place, old)) = place.and_then(|place| Some((place, array.at(place)?.clone()))) else {
            return Err(wrong("empty client ID\n"));
        };
        let Some(mut client) = clients.into_iter().next() else {
            return Err(Refusal::Panic);
        };
        if text(&client, inbound.key_field()).is_empty() {
            return Err(wrong("empty client ID\n"));
        }
        let is_renamed = email_of(&client) != email_of(&old);
        if is_renamed && let Some(email) = self.taken_name(std::slice::from_ref(&client)) {
            return Err(wrong(format!("Duplicate email: {email}\n")));
        }
        self.commit()?;
        self.follow(id, email_of(&old), &client).map_err(wrong)?;
        let created = old.get("created_at").cloned().unwrap_or_else(|| json!(now_ms));
        client.insert("created_at".into(), created);
        client.insert("updated_at".into(), json!(now_ms));
        self.note_hot_change(&client);
        if let Some(inbound) = self.inbounds.get_mut(&id) {
            inbound.settings.clients.replace(place, client);
        }
        Ok(Reply::ok("Inbound client has been updated.", Value::Null))
    }

    /// The first of these names that somebody has already, on any inbound or earlier among them, in whatever case.
    pub(super) fn taken_name(&self, clients: &[Client]) -> Option<String> {
        let mut seen = BTreeSet::new();
        let named = clients.iter().map(email_of).filter(|email| !email.is_empty());
        named.map(|email| (email, email.to_lowercase())).find_map(|(email, lower_case)| {
            let is_held = self.inbounds.values().any(|inbound| inbound.settings.clients.has_name(&lower_case));
            (is_held || !seen.insert(lower_case)).then(|| email.to_owned())
        })
    }

    /// The first half of a write: the rows, and the users of the running xray.
    fn account(&mut self, inbound: i64, clients: &[Client]) {
        for client in clients {
            self.rows.add(inbound, client);
            self.note_hot_change(client);
        }
    }

    /// The second half: the array itself.
    fn append(&mut self, inbound: i64, clients: Vec<Client>, now_ms: i64) {
        if let Some(inbound) = self.inbounds.get_mut(&inbound) {
            for mut client in clients {
                client.entry("created_at").or_insert_with(|| json!(now_ms));
                client.insert("updated_at".into(), json!(now_ms));
                inbound.settings.clients.push(client);
            }
        }
    }

    /// Both halves without any check.
    pub(super) fn store(&mut self, inbound: i64, clients: Vec<Client>, now_ms: i64) {
        self.account(inbound, &clients);
        self.append(inbound, clients, now_ms);
    }

    /// Lets the accounting follow a change of the client that had this name.
    fn follow(&mut self, inbound: i64, old_name: &str, client: &Client) -> Result<(), String> {
        if email_of(client).is_empty() {
            self.rows.remove(old_name);
            return Ok(());
        }
        if old_name.is_empty() {
            self.rows.add(inbound, client);
            return Ok(());
        }
        self.rows.update(old_name, client)
    }

    /// A changed client is told to the running xray at once; where that fails, a restart is asked for.
    fn note_hot_change(&mut self, client: &Client) {
        if !self.machine.xray_is_running() {
            self.timers.restart_asked |= flag(client, "enable");
        }
        if email_of(client).is_empty() {
            self.timers.restart_asked = true;
            self.timers.config_drifted = true;
        }
    }
}

/// The inbound and the clients of a request's body. Without an array of clients the panel breaks down.
fn requested(call: &Call) -> Result<(i64, Vec<Client>), Refusal> {
    let body = Body::of(call).map_err(unread)?;
    let id = body.int("id").map_err(unread)?;
    let settings = body.text("settings").map_err(unread)?;
    let settings = parse(&settings).map_err(wrong)?;
    let Value::Object(settings) = &settings else {
        let kind = kind(&settings);
        return Err(wrong(format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}")));
    };
    let Some(Value::Array(clients)) = settings.get("clients") else {
        return Err(Refusal::Panic);
    };
    let clients: Option<Vec<_>> = clients.iter().map(|client| client.as_object().cloned()).collect();
    Ok((id, clients.ok_or(Refusal::Panic)?))
}

/// Refuses clients without what their protocol addresses them by.
pub(super) fn refuse_keyless(inbound: &Inbound, clients: &[Client]) -> Result<(), Refusal> {
    if !inbound.settings.has_clients() {
        return Err(Refusal::Panic);
    }
    if clients.iter().any(|client| text(client, inbound.key_field()).is_empty()) {
        return Err(wrong("empty client ID\n"));
    }
    Ok(())
}

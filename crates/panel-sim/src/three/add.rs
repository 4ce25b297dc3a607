//! Creating clients and putting them on inbounds: what is checked, what is generated, what is written.

use crate::{
    call::Reply,
    machine::random_uuid,
    three::{
        Asked, FAILED, Panel, body,
        client::Client,
        entry::Entry,
        inbound::Inbound,
        store::{NOT_FOUND, Store},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand::{RngCore, rngs::StdRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What `add` and `attach` answer.
pub(super) const ADDED: &str = "Inbound client(s) have been added.";
/// What the refusal of a client without an email says.
pub(super) const NO_EMAIL: &str = "client email is required";
/// What the refusal of a client without inbounds says.
pub(super) const NO_INBOUND: &str = "at least one inbound is required";

/// A client and the inbounds it is wanted on.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) client: Client,
    pub(super) inbounds: Vec<i64>,
}

impl Wanted {
    pub(super) fn read(object: &Entry) -> Result<Self, String> {
        let client = body::client(object.get("client"), "Client.client")?;
        Ok(Self { client, inbounds: body::ids(object, "inboundIds", "ClientCreatePayload")? })
    }
}

pub(super) fn add(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let wanted = body::object(asked.call, "service.ClientCreatePayload").and_then(|object| Wanted::read(&object));
    match wanted.and_then(|wanted| panel.create(wanted, asked.now_ms)) {
        Ok(()) => Reply::ok(ADDED, Value::Null),
        Err(error) => Reply::failed(FAILED, &error),
    }
}

pub(super) fn attach(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let ids = body::object(asked.call, "controller.attachForm")
        .and_then(|object| body::ids(&object, "inboundIds", "attachForm"));
    match ids.and_then(|ids| panel.attach(asked.name, &ids, asked.now_ms)) {
        Ok(()) => Reply::ok(ADDED, Value::Null),
        Err(error) => Reply::failed(FAILED, &error),
    }
}

impl Panel {
    /// Creates a client, or puts one that is there on further inbounds. Not atomic: what was written before an error
    /// stays.
    pub(super) fn create(&mut self, wanted: Wanted, now_ms: i64) -> Result<(), String> {
        let Wanted { mut client, inbounds } = wanted;
        trim(&mut client.email);
        if client.email.is_empty() {
            return Err(format!("{NO_EMAIL}\n"));
        }
        check_characters(&client)?;
        if inbounds.is_empty() {
            return Err(format!("{NO_INBOUND}\n"));
        }
        self.prepare(&mut client, now_ms);
        self.check_free(&client).map_err(|reason| format!("{reason}\n"))?;
        self.complete(&mut client);
        for id in inbounds {
            let inbound = self.store.inbounds.get(&id).ok_or(NOT_FOUND)?;
            fill(&mut client, inbound, &mut self.rng);
            self.store.insert(id, std::slice::from_ref(&client))?;
        }
        Ok(())
    }

    /// What the panel makes of every client that is to be created: enabled, with a subscription id.
    pub(super) fn prepare(&mut self, client: &mut Client, now_ms: i64) {
        client.enable = true;
        (client.created_at, client.updated_at) = (now_ms, now_ms);
        if client.sub_id.is_empty() {
            client.sub_id = random_uuid(&mut self.rng).to_string();
        }
    }

    /// Refuses an email or a subscription id that is somebody else's. The same email with the same id is the same client.
    pub(super) fn check_free(&self, client: &Client) -> Result<(), String> {
        let known = self.store.record(&client.email);
        if known.is_some_and(|record| record.client.sub_id != client.sub_id) {
            return Err(format!("email already in use: {}", client.email));
        }
        if self.store.is_sub_id_of_another(&client.sub_id, &client.email) {
            return Err(format!("subId already in use: {}", client.sub_id));
        }
        Ok(())
    }

    /// Gives a client that is there already the credentials it has.
    pub(super) fn complete(&self, client: &mut Client) {
        if let Some(record) = self.store.record(&client.email) {
            client.complete_from(&record.client);
        }
    }

    /// Puts a client on further inbounds, up to the first that there is not.
    fn attach(&mut self, email: &str, ids: &[i64], now_ms: i64) -> Result<(), String> {
        self.store.record(email).ok_or(NOT_FOUND)?;
        for id in ids {
            let inbound = self.store.inbounds.get(id).ok_or(NOT_FOUND)?;
            let Some(record) = self.store.record(email) else { continue };
            let mut client = record.client.clone();
            client.updated_at = now_ms;
            fill(&mut client, inbound, &mut self.rng);
            self.store.insert(*id, &[client])?;
        }
        Ok(())
    }
}

/// Takes blanks away at both ends.
pub(super) fn trim(text: &mut String) {
    *text = text.trim().to_owned();
}

/// Refuses what cannot be a segment of a path.
pub(super) fn check_characters(client: &Client) -> Result<(), String> {
    let bad = |text: &str| text.chars().any(|c| matches!(c, '/' | '\\' | ' ') || c.is_control());
    for (what, text) in [("email", &client.email), ("subId", &client.sub_id)] {
        if bad(text) {
            return Err(format!("client {what} contains an invalid character: {text}\n"));
        }
    }
    Ok(())
}

/// Generates what a client needs on this inbound and has not.
pub(super) fn fill(client: &mut Client, inbound: &Inbound, rng: &mut StdRng) {
    match inbound.protocol.as_str() {
        "vless" | "vmess" if client.id.is_empty() => client.id = random_uuid(rng).to_string(),
        "trojan" if client.password.is_empty() => client.password = random_hex(rng),
        "shadowsocks" => match inbound.key_length() {
            Some(length) if STANDARD.decode(&client.password).map_or(0, |key| key.len()) != length => {
                client.password = random_key(rng, length);
            }
            None if client.password.is_empty() => client.password = random_hex(rng),
            Some(_) | None => {}
        },
        "hysteria" if client.auth.is_empty() => client.auth = random_hex(rng),
        "mtproto" if client.secret.is_empty() => client.secret = random_hex(rng),
        "wireguard" if client.private_key.is_empty() => {
            client.private_key = random_key(rng, 32);
            client.public_key = random_key(rng, 32);
        }
        _ => {}
    }
}

/// 32 hex digits.
fn random_hex(rng: &mut StdRng) -> String {
    random_uuid(rng).simple().to_string()
}

fn random_key(rng: &mut StdRng, length: usize) -> String {
    let mut key = vec![0; length];
    rng.fill_bytes(&mut key);
    STANDARD.encode(key)
}

/// The entry of a client in this inbound's array.
pub(super) fn entry(client: &Client, inbound: &Inbound) -> Entry {
    let mut entry = client.entry();
    if !inbound.takes_flow() {
        entry.remove("flow");
    }
    let cipher = inbound.setting("method");
    if inbound.protocol == "shadowsocks" && !cipher.is_empty() && inbound.key_length().is_none() {
        entry.insert("method".into(), json!(cipher));
    }
    entry
}

impl Store {
    /// Puts clients on an inbound in one write: all of them, or none. Who is on it already stays as he is there. Gives
    /// the emails of those who were put on it.
    pub(super) fn insert(&mut self, id: i64, clients: &[Client]) -> Result<Vec<String>, String> {
        let inbound = self.inbounds.get(&id).ok_or(NOT_FOUND)?;
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for client in clients {
            let twin = seen.insert(client.email.to_lowercase(), &client.sub_id);
            let clashes = twin.is_some_and(|sub_id| sub_id != client.sub_id);
            if clashes || self.is_taken(&client.email, &client.sub_id) {
                return Err(format!("Duplicate email: {}\n", client.email));
            }
            if key(client, inbound).is_empty() {
                return Err("empty client ID\n".into());
            }
        }
        let new: Vec<&Client> = clients.iter().filter(|client| !inbound.clients.has(&client.email)).collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let entries: Vec<Entry> = new.iter().map(|client| entry(client, inbound)).collect();
        let emails: Vec<String> = new.iter().map(|client| client.email.clone()).collect();
        if let Some(inbound) = self.inbounds.get_mut(&id) {
            inbound.has_clients = true;
            if !inbound.settings.is_object() {
                inbound.settings = json!({});
            }
            for entry in entries {
                inbound.clients.push(entry);
            }
        }
        for client in new {
            self.limit(id, client);
        }
        self.sync(id, &emails);
        Ok(emails)
    }
}

/// What a client is known by to this inbound's protocol.
pub(super) fn key<'a>(client: &'a Client, inbound: &Inbound) -> &'a str {
    match inbound.protocol.as_str() {
        "vless" | "vmess" => &client.id,
        "trojan" => &client.password,
        "hysteria" => &client.auth,
        _ => &client.email,
    }
}

//! Copying clients from one inbound to another, and clients written out with every field the panel knows.

use super::{
    Panel,
    array::{Client, email_of, flag, int, text},
    body::Body,
    refusal::{Refusal, UPDATED, not_found, path_id, unread, wrong},
};
use crate::{
    call::{Call, Reply},
    machine::random_uuid,
};
use serde_json::{Map, Value, json};

impl Panel {
    /// `copyClients`: the named clients of another inbound, or all of them, under new names and with new keys.
    pub(super) fn copy_clients(&mut self, id: &str, call: &Call, now_ms: i64) -> Result<Reply, Refusal> {
        let target = path_id(id, UPDATED)?;
        let body = Body::of(call).map_err(unread)?;
        let source = body.int("sourceInboundId").map_err(unread)?;
        let (wanted, flow) = (body.texts("clientEmails"), body.text("flow").map_err(unread)?);
        if source == target {
            return Err(wrong("source and target inbounds must be different\n"));
        }
        let key_field = self.inbounds.get(&target).ok_or_else(not_found)?.key_field();
        let source = self.inbounds.get(&source).ok_or_else(not_found)?;
        let is_wanted = |client: &&Client| wanted.is_empty() || wanted.iter().any(|email| email == email_of(client));
        let chosen: Vec<Client> = source.settings.clients.iter().filter(is_wanted).cloned().collect();
        let (mut copies, mut added, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for client in chosen {
            let copy = self.copy_for(target, key_field, &flow, &client);
            if email_of(&client).is_empty() || self.taken_name(std::slice::from_ref(&copy)).is_some() {
                skipped.push(email_of(&client).to_owned());
            } else {
                added.push(email_of(&copy).to_owned());
                copies.push(copy);
            }
        }
        self.commit()?;
        self.store(target, copies, now_ms);
        Ok(Reply::ok("", json!({"added": added, "skipped": skipped, "errors": []})))
    }

    /// The same person on another inbound: another name and key, the same subscription and limits.
    fn copy_for(&mut self, target: i64, key_field: &str, flow: &str, client: &Client) -> Client {
        let mut copy = written_out(client);
        for key in ["id", "password", "auth", "flow"] {
            copy.remove(key);
        }
        copy.insert("email".into(), json!(format!("{}_{target}", email_of(client))));
        let key_field = if key_field == "email" { "password" } else { key_field };
        copy.insert(key_field.into(), json!(random_uuid(&mut self.rng)));
        if !flow.is_empty() {
            copy.insert("flow".into(), json!(flow));
        }
        copy
    }
}

/// A client with exactly the fields the panel knows: those of every client, and the keys that it has.
pub(super) fn written_out(client: &Client) -> Client {
    let mut whole = Map::new();
    for field in ["id", "flow", "password", "auth"] {
        let value = text(client, field);
        if !value.is_empty() {
            whole.insert(field.into(), json!(value));
        }
    }
    for field in ["security", "email", "subId", "comment"] {
        whole.insert(field.into(), json!(text(client, field)));
    }
    for field in ["limitIp", "totalGB", "expiryTime", "tgId", "reset"] {
        whole.insert(field.into(), json!(int(client, field)));
    }
    whole.insert("enable".into(), Value::Bool(flag(client, "enable")));
    whole
}

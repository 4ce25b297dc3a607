//! A client, as requests and arrays write it, and the record that is made of it.

use crate::three::entry::{Entry, flag, number, text};
use serde::Serialize;
use serde_json::{Value, json};

/// A client's fields; serialized, it is what the panel writes into an inbound's array.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Client {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) id: String,
    pub(super) security: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) password: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) auth: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) flow: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(super) reverse: Value,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) private_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) public_key: String,
    #[serde(rename = "allowedIPs", skip_serializing_if = "Vec::is_empty")]
    pub(super) allowed_ips: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) pre_shared_key: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) keep_alive: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) secret: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) ad_tag: String,
    pub(super) email: String,
    pub(super) limit_ip: i64,
    /// Bytes, whatever its name says.
    #[serde(rename = "totalGB")]
    pub(super) total: i64,
    #[serde(rename = "expiryTime")]
    pub(super) expiry: i64,
    pub(super) enable: bool,
    pub(super) tg_id: i64,
    pub(super) sub_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    pub(super) comment: String,
    pub(super) reset: i64,
    #[serde(rename = "created_at", skip_serializing_if = "is_zero")]
    pub(super) created_at: i64,
    #[serde(rename = "updated_at", skip_serializing_if = "is_zero")]
    pub(super) updated_at: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Client {
    /// Reads an entry of an array; what is missing or of the wrong type counts as empty.
    pub(super) fn from_entry(entry: &Entry) -> Self {
        let word = |key: &str| text(entry, key).to_owned();
        let ips = entry.get("allowedIPs").and_then(Value::as_array).into_iter().flatten();
        Self {
            id: word("id"),
            security: word("security"),
            password: word("password"),
            auth: word("auth"),
            flow: word("flow"),
            reverse: entry.get("reverse").cloned().unwrap_or_default(),
            private_key: word("privateKey"),
            public_key: word("publicKey"),
            allowed_ips: ips.filter_map(Value::as_str).map(str::to_owned).collect(),
            pre_shared_key: word("preSharedKey"),
            keep_alive: number(entry, "keepAlive"),
            secret: word("secret"),
            ad_tag: word("adTag"),
            email: word("email"),
            limit_ip: number(entry, "limitIp"),
            total: number(entry, "totalGB"),
            expiry: number(entry, "expiryTime"),
            enable: flag(entry, "enable"),
            tg_id: number(entry, "tgId"),
            sub_id: word("subId"),
            group: word("group"),
            comment: word("comment"),
            reset: number(entry, "reset"),
            created_at: number(entry, "created_at"),
            updated_at: number(entry, "updated_at"),
        }
    }

    /// The entry of an array.
    pub(super) fn entry(&self) -> Entry {
        match serde_json::to_value(self) {
            Ok(Value::Object(entry)) => entry,
            Ok(_) | Err(_) => Entry::new(),
        }
    }

    /// Takes over what an array says: all but what is what it is once it was set.
    pub(super) fn merge(&mut self, said: &Self) {
        self.keep_unless_given(said);
        self.limit_ip = said.limit_ip;
        self.total = said.total;
        self.expiry = said.expiry;
        self.enable = said.enable;
        self.tg_id = said.tg_id;
        self.group.clone_from(&said.group);
        self.comment.clone_from(&said.comment);
        self.reset = said.reset;
        self.updated_at = self.updated_at.max(said.updated_at);
    }

    /// Credentials and the like, where the other has some.
    fn keep_unless_given(&mut self, said: &Self) {
        let pairs = [
            (&mut self.id, &said.id),
            (&mut self.security, &said.security),
            (&mut self.password, &said.password),
            (&mut self.auth, &said.auth),
            (&mut self.private_key, &said.private_key),
            (&mut self.public_key, &said.public_key),
            (&mut self.pre_shared_key, &said.pre_shared_key),
            (&mut self.secret, &said.secret),
            (&mut self.sub_id, &said.sub_id),
        ];
        for (mine, given) in pairs {
            if !given.is_empty() {
                mine.clone_from(given);
            }
        }
        if !said.allowed_ips.is_empty() {
            self.allowed_ips.clone_from(&said.allowed_ips);
        }
        if !said.reverse.is_null() {
            self.reverse.clone_from(&said.reverse);
        }
    }

    /// Fills from what is known what this one leaves out of what identifies a client.
    pub(super) fn complete_from(&mut self, known: &Self) {
        let pairs = [
            (&mut self.id, &known.id),
            (&mut self.password, &known.password),
            (&mut self.auth, &known.auth),
            (&mut self.private_key, &known.private_key),
            (&mut self.public_key, &known.public_key),
            (&mut self.pre_shared_key, &known.pre_shared_key),
            (&mut self.secret, &known.secret),
            (&mut self.sub_id, &known.sub_id),
        ];
        for (mine, known) in pairs {
            if mine.is_empty() {
                mine.clone_from(known);
            }
        }
        if self.allowed_ips.is_empty() {
            self.allowed_ips.clone_from(&known.allowed_ips);
        }
        self.created_at = known.created_at;
    }
}

/// One row of the table of clients.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) id: i64,
    pub(super) client: Client,
}

impl Record {
    pub(super) fn json(&self) -> Value {
        let client = &self.client;
        json!({
            "id": self.id, "email": client.email, "subId": client.sub_id, "uuid": client.id,
            "password": client.password, "auth": client.auth, "flow": client.flow, "security": client.security,
            "reverse": client.reverse, "privateKey": client.private_key, "publicKey": client.public_key,
            "allowedIPs": client.allowed_ips.join(","), "preSharedKey": client.pre_shared_key,
            "keepAlive": client.keep_alive, "secret": client.secret, "adTag": client.ad_tag,
            "limitIp": client.limit_ip, "totalGB": client.total, "expiryTime": client.expiry,
            "enable": client.enable, "tgId": client.tg_id, "group": client.group, "comment": client.comment,
            "reset": client.reset, "createdAt": client.created_at, "updatedAt": client.updated_at,
        })
    }
}

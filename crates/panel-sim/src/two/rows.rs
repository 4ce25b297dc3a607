//! The accounting: one row of counters and limits for each name, apart from the client arrays and sometimes out of
//! step with them.

use super::array::{Client, email_of, flag, int, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The counters and limits of one name.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) inbound: i64,
    pub(super) enable: bool,
    pub(super) email: String,
    pub(super) up: i64,
    pub(super) down: i64,
    pub(super) all_time: i64,
    pub(super) expiry_time: i64,
    pub(super) total: i64,
    pub(super) reset: i64,
    pub(super) last_online: i64,
}

impl Row {
    /// Whether the limits forbid its client to go on.
    pub(super) fn is_depleted(&self, now_ms: i64) -> bool {
        let used_up = self.total > 0 && self.up + self.down >= self.total;
        used_up || self.is_expired(now_ms)
    }

    pub(super) fn is_expired(&self, now_ms: i64) -> bool {
        self.expiry_time > 0 && self.expiry_time <= now_ms
    }

    /// The counters at zero and the client let in again. What was used ever stays.
    pub(super) fn reset_counters(&mut self) {
        (self.up, self.down, self.enable) = (0, 0, true);
    }

    /// Takes over what a client says of itself.
    fn follow(&mut self, client: &Client) {
        email_of(client).clone_into(&mut self.email);
        self.enable = flag(client, "enable");
        self.total = int(client, "totalGB");
        self.expiry_time = int(client, "expiryTime");
        self.reset = int(client, "reset");
    }

    /// The row as the panel shows it, with what it looks up in the client array.
    pub(super) fn json(&self, client: Option<&Client>) -> Value {
        json!({
            "id": self.id,
            "inboundId": self.inbound,
            "enable": self.enable,
            "email": self.email,
            "uuid": client.map_or("", |client| text(client, "id")),
            "subId": client.map_or("", |client| text(client, "subId")),
            "up": self.up,
            "down": self.down,
            "allTime": self.all_time,
            "expiryTime": self.expiry_time,
            "total": self.total,
            "reset": self.reset,
            "lastOnline": self.last_online,
        })
    }
}

/// All rows of the panel.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    last_id: i64,
    by_id: BTreeMap<i64, Row>,
    ids: BTreeMap<String, i64>,
}

impl Rows {
    /// A row for a client. One that is there already under this name stays as it is, counters and all; a client
    /// without a name gets none.
    pub(super) fn add(&mut self, inbound: i64, client: &Client) {
        let email = email_of(client);
        if email.is_empty() || self.ids.contains_key(email) {
            return;
        }
        self.last_id += 1;
        let (id, email) = (self.last_id, email.to_owned());
        self.ids.insert(email.clone(), id);
        let (up, down, all_time, last_online) = (0, 0, 0, 0);
        let (enable, expiry_time, total, reset) = (false, 0, 0, 0);
        let mut row = Row { id, inbound, enable, email, up, down, all_time, expiry_time, total, reset, last_online };
        row.follow(client);
        self.by_id.insert(id, row);
    }

    pub(super) fn get(&self, email: &str) -> Option<&Row> {
        self.by_id.get(self.ids.get(email)?)
    }

    pub(super) fn get_mut(&mut self, email: &str) -> Option<&mut Row> {
        self.by_id.get_mut(self.ids.get(email)?)
    }

    /// In the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Row> {
        self.by_id.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.by_id.values_mut()
    }

    pub(super) fn remove(&mut self, email: &str) {
        if let Some(id) = self.ids.remove(email) {
            self.by_id.remove(&id);
        }
    }

    pub(super) fn remove_of_inbound(&mut self, inbound: i64) {
        self.by_id.retain(|_, row| row.inbound != inbound);
        self.ids.retain(|_, id| self.by_id.contains_key(id));
    }

    /// Lets the row of a name follow a changed client, its name included. `Err` when another row has the new name.
    pub(super) fn update(&mut self, email: &str, client: &Client) -> Result<(), String> {
        let renamed = email_of(client) != email;
        if renamed && self.ids.contains_key(email_of(client)) {
            return Err("UNIQUE constraint failed: client_traffics.email".into());
        }
        let Some(row) = self.get_mut(email) else {
            return Ok(());
        };
        row.follow(client);
        let id = row.id;
        self.ids.remove(email);
        self.ids.insert(email_of(client).to_owned(), id);
        Ok(())
    }
}

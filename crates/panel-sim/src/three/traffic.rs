//! What a client used, and what the accounting makes of it.

use crate::three::client::Client;
use serde_json::{Value, json};

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// One row of the table of traffic: one for each email, shared by all its inbounds.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: i64,
    /// The inbound that wrote it last.
    pub(super) inbound: i64,
    /// False once the client is depleted, expired or switched off.
    pub(super) enable: bool,
    pub(super) email: String,
    pub(super) up: i64,
    pub(super) down: i64,
    pub(super) expiry: i64,
    pub(super) total: i64,
    pub(super) reset: i64,
    pub(super) last_online: i64,
}

impl Row {
    /// Takes over a client's limits; the counters stay.
    pub(super) fn limit(&mut self, client: &Client) {
        self.enable = client.enable;
        self.expiry = client.expiry;
        self.total = client.total;
        self.reset = client.reset;
    }

    pub(super) fn used(&self) -> i64 {
        self.up.saturating_add(self.down)
    }

    /// Whether the quota or the time is over.
    pub(super) fn is_over(&self, now_ms: i64) -> bool {
        let depleted = self.total > 0 && self.used() >= self.total;
        depleted || (self.expiry > 0 && self.expiry <= now_ms)
    }

    /// Counters at zero, and the client is let in again.
    pub(super) fn clear(&mut self) {
        self.up = 0;
        self.down = 0;
        self.enable = true;
    }

    /// The row with a UUID and a subscription id, which it does not hold itself.
    pub(super) fn json(&self, uuid: &str, sub_id: &str) -> Value {
        json!({
            "id": self.id, "inboundId": self.inbound, "enable": self.enable, "email": self.email,
            "uuid": uuid, "subId": sub_id, "up": self.up, "down": self.down, "expiryTime": self.expiry,
            "total": self.total, "reset": self.reset, "lastOnline": self.last_online,
        })
    }
}

//! What a test may do to a panel past its API, and see of it.

use crate::{
    machine::Machine,
    setup::{Held, Setup},
    three::{
        Panel,
        add::Wanted,
        entry::{Entry, number, text},
        login::Operator,
    },
};
use serde_json::{Value, json};

impl Panel {
    /// The clients of an inbound, in the order of its array: credentials as the array has them, limits and counters as
    /// the accounting has them.
    pub(crate) fn clients(&self, inbound: i64) -> Vec<Held> {
        let Some(inbound) = self.store.inbounds.get(&inbound) else { return Vec::new() };
        inbound.clients.iter().map(|entry| self.held(&inbound.protocol, entry)).collect()
    }

    fn held(&self, protocol: &str, entry: &Entry) -> Held {
        let email = text(entry, "email");
        let row = self.store.rows.get(email);
        let is_on = self.store.record(email).is_some_and(|record| record.client.enable);
        let credential = match protocol {
            "trojan" | "shadowsocks" => "password",
            "hysteria" => "auth",
            "mtproto" => "secret",
            "wireguard" => "privateKey",
            _ => "id",
        };
        Held {
            email: email.to_owned(),
            credential: text(entry, credential).to_owned(),
            sub_id: text(entry, "subId").to_owned(),
            enabled: is_on && row.is_none_or(|row| row.enable),
            total: row.map_or_else(|| number(entry, "totalGB"), |row| row.total),
            expires_at_ms: row.map_or_else(|| number(entry, "expiryTime"), |row| row.expiry),
            up: row.map_or(0, |row| row.up),
            down: row.map_or(0, |row| row.down),
            comment: text(entry, "comment").to_owned(),
        }
    }

    /// How many clients an inbound has.
    pub(crate) fn count(&self, inbound: i64) -> usize {
        self.store.inbounds.get(&inbound).map_or(0, |inbound| inbound.clients.len())
    }

    pub(crate) fn inbound_ids(&self) -> Vec<i64> {
        self.store.inbounds.keys().copied().collect()
    }

    /// Adds an inbound by the body of `inbounds/add` and gives its id; 0 if the panel refuses it.
    pub(crate) fn add_inbound(&mut self, body: &Value, now_ms: i64) -> i64 {
        body.as_object().and_then(|fields| self.put_inbound(fields, now_ms).ok()).unwrap_or_default()
    }

    /// Adds a client as somebody in the panel's own pages does; nothing happens where the panel refuses that.
    pub(crate) fn add_client(&mut self, inbound: i64, client: Value, now_ms: i64) {
        let object = Entry::from_iter([("client".into(), client), ("inboundIds".into(), json!([inbound]))]);
        // Refused or not: whoever clicks sees it, and so does a test that looks.
        drop(Wanted::read(&object).and_then(|wanted| self.create(wanted, now_ms)));
    }

    /// Takes a client off an inbound as somebody in the panel's own pages does; if it is on no other, it is deleted.
    pub(crate) fn remove_client(&mut self, inbound: i64, email: &str) {
        self.store.take_off(inbound, &[email.to_owned()]);
        if self.store.links(email).is_empty() {
            self.wipe(&[email.to_owned()], false);
        }
    }

    /// Makes it a panel without clients.
    pub(crate) fn forget_clients(&mut self) {
        self.store.forget_clients();
        self.online.clear();
        self.pending.clear();
    }

    /// A user's bytes through xray; the next poll counts them. False when he is not let in.
    pub(crate) fn use_traffic(&mut self, email: &str, up: i64, down: i64) -> bool {
        let is_on = self.store.record(email).is_some_and(|record| record.client.enable);
        let is_admitted = self.store.rows.get(email).is_none_or(|row| row.enable);
        let is_served = self.store.inbounds.values().any(|inbound| inbound.enable && inbound.clients.has(email));
        if !(is_on && is_admitted && is_served && self.machine.xray_is_running()) {
            return false;
        }
        let used = self.pending.entry(email.to_owned()).or_default();
        used.0 = used.0.saturating_add(up);
        used.1 = used.1.saturating_add(down);
        true
    }

    pub(crate) fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Ends every session; tokens go on.
    pub(crate) fn end_sessions(&mut self) {
        self.epoch += 1;
    }

    /// Deletes every API token.
    pub(crate) fn revoke_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Makes an API token and gives its text.
    pub(crate) fn create_token(&mut self, name: &str, now_ms: i64) -> String {
        self.make_token(name, now_ms)
    }

    /// Starts the panel's process anew: what is in memory only is gone.
    pub(crate) fn restart(&mut self, now_ms: i64) {
        self.limiter = super::limiter::Limiter::default();
        self.online.clear();
        self.pending.clear();
        self.next_poll_ms = now_ms + super::POLL_AFTER_START_MS;
        self.machine.start(now_ms);
    }

    /// The panel that an upgrade in place makes of a 2.9 one: `inbounds` is what its `inbounds/list` answers. Every
    /// client becomes a record with its counters; sessions are gone, and the second factor is what it was.
    pub(crate) fn upgraded_from(setup: &Setup, inbounds: &Value, credentials: (String, String), now_ms: i64) -> Self {
        let mut panel = Self::new(setup, now_ms);
        let (username, password) = credentials;
        panel.operator = Operator { username, password, totp_secret: setup.totp_secret.clone() };
        for fields in inbounds.as_array().into_iter().flatten().filter_map(Value::as_object) {
            panel.take_inbound(fields, now_ms);
        }
        panel
    }

    fn take_inbound(&mut self, fields: &Entry, now_ms: i64) {
        let (mut inbound, clients) = super::draft::inbound(fields);
        let id = number(fields, "id");
        inbound.id = id;
        if inbound.protocol == "hysteria2" {
            // There it was a protocol, here it is a version of one.
            "hysteria".clone_into(&mut inbound.protocol);
            if let Some(settings) = inbound.settings.as_object_mut() {
                settings.insert("version".into(), json!(2));
            }
        }
        self.store.last_inbound = self.store.last_inbound.max(id);
        self.store.inbounds.insert(id, inbound);
        self.replace_array(id, clients, now_ms);
        for stats in fields.get("clientStats").and_then(Value::as_array).into_iter().flatten() {
            let Some(stats) = stats.as_object() else { continue };
            if let Some(row) = self.store.rows.get_mut(text(stats, "email")) {
                row.up = number(stats, "up");
                row.down = number(stats, "down");
                row.enable = super::entry::flag(stats, "enable");
                row.last_online = number(stats, "lastOnline");
            }
        }
    }
}

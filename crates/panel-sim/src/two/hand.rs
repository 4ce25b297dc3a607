//! How a test looks into the panel and lends a hand: what users, strangers and the machine do to it.

use super::{
    Panel,
    array::{Array, Client, email_of, int, text},
    body::Body,
    inbound::Inbound,
    poll::Timers,
};
use crate::{machine::Machine, setup::Held};
use serde_json::Value;

impl Panel {
    /// The clients of an inbound, in their order.
    pub(crate) fn clients(&self, inbound: i64) -> Vec<Held> {
        let Some(inbound) = self.inbounds.get(&inbound) else {
            return Vec::new();
        };
        let key_field = match inbound.key_field() {
            "email" => "password",
            other => other,
        };
        let held = inbound.settings.clients.iter().map(|client| {
            let row = self.rows.get(email_of(client));
            Held {
                email: email_of(client).to_owned(),
                credential: text(client, key_field).to_owned(),
                sub_id: text(client, "subId").to_owned(),
                enabled: self.may_connect(client),
                total: int(client, "totalGB"),
                expires_at_ms: int(client, "expiryTime"),
                up: row.map_or(0, |row| row.up),
                down: row.map_or(0, |row| row.down),
                comment: text(client, "comment").to_owned(),
            }
        });
        held.collect()
    }

    /// How many clients an inbound has.
    pub(crate) fn count(&self, inbound: i64) -> usize {
        self.inbounds.get(&inbound).map_or(0, |inbound| inbound.settings.clients.len())
    }

    pub(crate) fn inbound_ids(&self) -> Vec<i64> {
        self.inbounds.keys().copied().collect()
    }

    /// Adds an inbound by the body of `inbounds/add` and gives its id; 0 when the panel refuses it.
    pub(crate) fn add_inbound(&mut self, body: &Value, now_ms: i64) -> i64 {
        let read = Body::of_value(body.clone()).and_then(|body| Inbound::read(&body));
        read.ok().and_then(|inbound| self.add(inbound, now_ms).ok()).unwrap_or_default()
    }

    /// A stranger adds a client in the panel's own pages; nothing is checked.
    pub(crate) fn add_client(&mut self, inbound: i64, client: Value, now_ms: i64) {
        if let Value::Object(client) = client {
            self.store(inbound, vec![client], now_ms);
        }
    }

    /// A stranger deletes a client, be it the last one.
    pub(crate) fn remove_client(&mut self, inbound: i64, email: &str) {
        let array = self.inbounds.get(&inbound).map(|inbound| &inbound.settings.clients);
        if let Some(place) = array.and_then(|array| array.place_of(email)) {
            self.take_out(inbound, &[place], email);
        }
    }

    /// A user's bytes through xray, counted at the next poll. False when he was not let in.
    pub(crate) fn use_traffic(&mut self, email: &str, up: i64, down: i64) -> bool {
        let mut live = self.inbounds.values().filter(|inbound| inbound.enable);
        let client = live.find_map(|inbound| inbound.settings.clients.get(email));
        let is_let_in = self.machine.xray_is_running() && client.is_some_and(|client| self.may_connect(client));
        if is_let_in {
            let (sent, received) = self.uncounted.entry(email.to_owned()).or_default();
            *sent += up;
            *received += down;
        }
        is_let_in
    }

    pub(crate) fn machine_mut(&mut self) -> &mut Machine {
        &mut self.machine
    }

    pub(crate) fn end_sessions(&mut self) {
        self.auth.end_sessions();
    }

    /// The panel's process starts anew, and xray with it: what was not in the database is lost.
    pub(crate) fn restart(&mut self, now_ms: i64) {
        self.machine.start(now_ms);
        self.timers = Timers::started_at(now_ms);
        self.uncounted.clear();
        self.online.clear();
    }

    /// The stored client array of an inbound.
    pub(crate) fn array(&self, inbound: i64) -> Vec<Client> {
        let array = self.inbounds.get(&inbound).map(|inbound| &inbound.settings.clients);
        array.map(|array| array.iter().cloned().collect()).unwrap_or_default()
    }

    /// Puts another client array in its place; the rows stay what they are. Two calls that overlap do that to each
    /// other: each writes back the array it read.
    pub(crate) fn set_array(&mut self, inbound: i64, clients: Vec<Client>) {
        if let Some(inbound) = self.inbounds.get_mut(&inbound) {
            inbound.settings.clients = Array::new(inbound.key_field(), clients);
        }
    }

    /// What `inbounds/list` gives now.
    pub(crate) fn inbounds_json(&mut self, now_ms: i64) -> Value {
        self.pass_time(now_ms);
        self.list()
    }

    /// The operator's name and password.
    pub(crate) fn credentials(&self) -> (String, String) {
        (self.auth.username.clone(), self.auth.password.clone())
    }
}

//! What the calls on whole inbounds do.

use super::{
    Panel,
    array::{Array, Client, email_of, flag},
    body::Body,
    clients::refuse_keyless,
    copy::written_out,
    inbound::Inbound,
    refusal::{Refusal, UPDATED, WRONG, not_found, path_id, unread, wrong},
};
use crate::call::{Call, Reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CREATED: &str = "Inbound has been successfully created.";
const DELETED: &str = "Inbound has been successfully deleted.";

impl Panel {
    /// All inbounds with their rows.
    pub(super) fn list(&self) -> Value {
        let mut rows: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
        for row in self.rows.iter() {
            rows.entry(row.inbound).or_default().push(self.describe(row));
        }
        let shown = |inbound: &Inbound| inbound.json(&json!(rows.remove(&inbound.id).unwrap_or_default()));
        self.inbounds.values().map(shown).collect()
    }

    pub(super) fn get(&self, id: &str) -> Result<Reply, Refusal> {
        let id = path_id(id, "")?;
        let inbound = self.inbounds.get(&id).ok_or_else(|| not_found().under("Obtain"))?;
        Ok(Reply::ok("", inbound.json(&Value::Null)))
    }

    /// `add`.
    pub(super) fn add_by_call(&mut self, call: &Call, now_ms: i64) -> Result<Reply, Refusal> {
        let body = Body::of(call).map_err(|words| Refusal::Says(CREATED, words))?;
        let inbound = Inbound::read(&body).map_err(|words| Refusal::Says(CREATED, words))?;
        let id = self.add(inbound, now_ms)?;
        Ok(self.created(id, &Value::Null))
    }

    /// `import`: the same from one form field, whose words about JSON have another prefix.
    pub(super) fn import(&mut self, call: &Call, now_ms: i64) -> Result<Reply, Refusal> {
        let form = call.form();
        let data = form.iter().find(|(name, _)| name == "data").map_or("", |(_, data)| data);
        let body = Body::of_text(data).map_err(wrong)?;
        let inbound = Inbound::read(&body).map_err(wrong)?;
        let id = self.add(inbound, now_ms)?;
        let client_stats = if body.has("clientStats") { json!([]) } else { Value::Null };
        Ok(self.created(id, &client_stats))
    }

    fn created(&self, id: i64, client_stats: &Value) -> Reply {
        Reply::ok(CREATED, self.inbounds.get(&id).map_or(Value::Null, |inbound| inbound.json(client_stats)))
    }

    /// Stores a new inbound with its clients and gives its id.
    pub(super) fn add(&mut self, mut inbound: Inbound, now_ms: i64) -> Result<i64, Refusal> {
        self.refuse_taken_port(&inbound)?;
        let clients: Vec<Client> = inbound.settings.clients.iter().map(written_out).collect();
        if let Some(email) = self.taken_name(&clients) {
            return Err(wrong(format!("Duplicate email: {email}\n")));
        }
        if !clients.is_empty() {
            refuse_keyless(&inbound, &clients)?;
        }
        self.commit()?;
        self.last_inbound += 1;
        inbound.id = self.last_inbound;
        if inbound.traffic_reset.is_empty() {
            inbound.traffic_reset = "never".into();
        }
        inbound.settings.clients = Array::new(inbound.key_field(), Vec::new());
        self.inbounds.insert(self.last_inbound, inbound);
        self.store(self.last_inbound, clients, now_ms);
        Ok(self.last_inbound)
    }

    /// `update`: everything is what the body says, clients and counters included.
    pub(super) fn update_inbound(&mut self, id: &str, call: &Call, now_ms: i64) -> Result<Reply, Refusal> {
        let id = path_id(id, UPDATED)?;
        let body = Body::of(call).map_err(unread)?;
        let mut inbound = Inbound::read(&body).map_err(unread)?;
        inbound.id = id;
        self.refuse_taken_port(&inbound)?;
        let old = self.inbounds.get(&id).ok_or_else(not_found)?.clone();
        self.commit()?;
        date_clients(&mut inbound, &old, now_ms);
        self.account_for_change(&old, &inbound);
        let mut answer = inbound.json(&Value::Null);
        answer["tag"] = json!(body.text("tag").map_err(unread)?);
        inbound.all_time = old.all_time;
        inbound.last_traffic_reset_time = old.last_traffic_reset_time;
        self.inbounds.insert(id, inbound);
        Ok(Reply::ok(UPDATED, answer))
    }

    /// Rows go and come with the clients that an `update` leaves out and brings.
    fn account_for_change(&mut self, old: &Inbound, new: &Inbound) {
        for email in old.settings.clients.iter().map(email_of) {
            if new.settings.clients.get(email).is_none() {
                self.rows.remove(email);
            }
        }
        for client in new.settings.clients.iter() {
            if old.settings.clients.get(email_of(client)).is_none() {
                self.rows.add(new.id, client);
            }
        }
    }

    pub(super) fn set_enable(&mut self, id: &str, call: &Call) -> Result<Reply, Refusal> {
        let id = path_id(id, UPDATED)?;
        let body = Body::of(call).map_err(unread)?;
        let enable = body.flag("enable").map_err(unread)?;
        let commit = self.commit();
        let inbound = self.inbounds.get_mut(&id).ok_or_else(not_found)?;
        commit?;
        inbound.enable = enable;
        Ok(Reply::ok(UPDATED, Value::Null))
    }

    /// `del`: the rows go first, even when there is no such inbound.
    pub(super) fn delete_inbound_by_call(&mut self, id: &str) -> Result<Reply, Refusal> {
        let id = path_id(id, DELETED)?;
        self.commit()?;
        self.rows.remove_of_inbound(id);
        if !self.inbounds.contains_key(&id) {
            return Err(not_found());
        }
        self.drop_inbound(id);
        Ok(Reply::ok(DELETED, json!(id)))
    }

    /// An inbound goes, with the rows of its clients.
    pub(super) fn drop_inbound(&mut self, id: i64) {
        self.rows.remove_of_inbound(id);
        if let Some(inbound) = self.inbounds.remove(&id) {
            for client in inbound.settings.clients.iter() {
                self.rows.remove(email_of(client));
            }
        }
    }

    /// `resetAllTraffics`: the counters of the inbounds, not those of clients.
    pub(super) fn reset_inbounds(&mut self) -> Result<Reply, Refusal> {
        self.commit()?;
        for inbound in self.inbounds.values_mut() {
            (inbound.up, inbound.down) = (0, 0);
        }
        self.timers.restart_asked = true;
        Ok(Reply::ok("All traffic has been reset.", Value::Null))
    }

    fn refuse_taken_port(&self, inbound: &Inbound) -> Result<(), Refusal> {
        let is_taken = self.inbounds.values().any(|other| other.id != inbound.id && other.collides_with(inbound));
        if is_taken {
            return Err(Refusal::Says(WRONG, format!("Port already exists: {}\n", inbound.port)));
        }
        Ok(())
    }

    /// The inbounds of xray's configuration.
    pub(super) fn running_inbounds(&self) -> Value {
        let live = self.inbounds.values().filter(|inbound| inbound.enable);
        live.map(|inbound| inbound.running_config(|client| self.may_connect(client))).collect()
    }

    /// Whether xray knows this client: switched on, and not switched off by the accounting.
    pub(super) fn may_connect(&self, client: &Client) -> bool {
        flag(client, "enable") && self.rows.get(email_of(client)).is_none_or(|row| row.enable)
    }
}

/// Gives the clients of a new body their dates: those known by name keep the first one.
fn date_clients(inbound: &mut Inbound, old: &Inbound, now_ms: i64) {
    let dated = inbound.settings.clients.iter().map(|client| {
        let mut client = client.clone();
        let known = old.settings.clients.get(email_of(&client));
        let created = known.and_then(|known| known.get("created_at")).cloned().unwrap_or_else(|| json!(now_ms));
        client.insert("created_at".into(), created);
        client.insert("updated_at".into(), json!(now_ms));
        client
    });
    inbound.settings.clients = Array::new(inbound.key_field(), dated.collect());
}

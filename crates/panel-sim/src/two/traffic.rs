//! The calls on counters.

use super::{
    Panel,
    array::{email_of, text},
    body::Body,
    refusal::{Refusal, UPDATED, not_found, path_id, unread, wrong},
    rows::Row,
};
use crate::call::{Call, Reply};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

impl Panel {
    /// A row as it is shown, with what its inbound's array says of the client.
    pub(super) fn describe(&self, row: &Row) -> Value {
        let inbound = self.inbounds.get(&row.inbound);
        row.json(inbound.and_then(|inbound| inbound.settings.clients.get(&row.email)))
    }

    /// `getClientTraffics`.
    pub(super) fn traffics_of(&self, email: &str) -> Result<Reply, Refusal> {
        let row = self.row_of(email).map_err(|refusal| refusal.under("Error getting traffics."))?;
        Ok(Reply::ok("", self.describe(row)))
    }

    /// The row of a client that is on its inbound.
    fn row_of(&self, email: &str) -> Result<&Row, Refusal> {
        let unknown = |what: &str| wrong(format!("{what} For Email: {email}\n"));
        let row = self.rows.get(email).ok_or_else(|| unknown("Inbound Not Found"))?;
        let inbound = self.inbounds.get(&row.inbound).ok_or_else(|| unknown("Inbound Not Found"))?;
        let client = inbound.settings.clients.get(email);
        client.map(|_| row).ok_or_else(|| unknown("Client Not Found In Inbound"))
    }

    /// `getClientTrafficsById`: the rows of all clients with this UUID.
    pub(super) fn traffics_by_id(&self, id: &str) -> Reply {
        let clients = self.inbounds.values().flat_map(|inbound| inbound.settings.clients.iter());
        let names: BTreeSet<&str> = clients.filter(|client| text(client, "id") == id).map(email_of).collect();
        let rows = self.rows.iter().filter(|row| names.contains(row.email.as_str()));
        Reply::ok("", rows.map(|row| self.describe(row)).collect())
    }

    /// `resetClientTraffic`: counters at zero, and the accounting lets the client in again.
    pub(super) fn reset_client(&mut self, id: &str, email: &str) -> Result<Reply, Refusal> {
        let id = path_id(id, UPDATED)?;
        let was_off = !self.row_of(email)?.enable;
        if was_off && !self.inbounds.contains_key(&id) {
            return Err(not_found());
        }
        self.commit()?;
        if let Some(row) = self.rows.get_mut(email) {
            row.reset_counters();
        }
        self.timers.restart_asked |= was_off && !self.machine.xray_is_running();
        Ok(Reply::ok("Traffic has been reset.", Value::Null))
    }

    /// `resetAllClientTraffics` of one inbound, or below zero of all.
    pub(super) fn reset_clients(&mut self, id: &str, now_ms: i64) -> Result<Reply, Refusal> {
        let id = path_id(id, UPDATED)?;
        self.commit()?;
        for row in self.rows.iter_mut().filter(|row| id < 0 || row.inbound == id) {
            // Whoever was switched off is in the next configuration again.
            self.timers.config_drifted |= !row.enable;
            row.reset_counters();
        }
        for inbound in self.inbounds.values_mut().filter(|inbound| id < 0 || inbound.id == id) {
            inbound.last_traffic_reset_time = now_ms;
        }
        self.timers.restart_asked = true;
        Ok(Reply::ok("All traffic from the client has been reset.", Value::Null))
    }

    /// `updateClientTraffic`: sets the counters; a name without a row is no error.
    pub(super) fn set_traffic(&mut self, email: &str, call: &Call) -> Result<Reply, Refusal> {
        let body = Body::of_json(call).map_err(unread)?;
        let (up, down) = (body.int("upload").map_err(unread)?, body.int("download").map_err(unread)?);
        self.commit()?;
        if let Some(row) = self.rows.get_mut(email) {
            (row.up, row.down) = (up, down);
            row.all_time = row.all_time.max(up + down);
        }
        Ok(Reply::ok("Inbound client has been updated.", Value::Null))
    }

    /// `onlines`: null rather than an empty list.
    pub(super) fn onlines(&self) -> Reply {
        Reply::ok("", if self.online.is_empty() { Value::Null } else { json!(self.online) })
    }

    /// `lastOnline`: only those who ever were.
    pub(super) fn last_online(&self) -> Reply {
        let seen = self.rows.iter().filter(|row| row.last_online > 0);
        let seen: Map<String, Value> = seen.map(|row| (row.email.clone(), json!(row.last_online))).collect();
        Reply::ok("", Value::Object(seen))
    }
}

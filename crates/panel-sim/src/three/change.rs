//! Changing a client, taking it off inbounds, deleting it.

use crate::{
    call::Reply,
    three::{
        Asked, FAILED, Panel,
        add::{self, NO_EMAIL},
        body,
        client::Client,
        entry::{differ, number},
        store::NOT_FOUND,
    },
};
use serde_json::{Value, json};

const UPDATED: &str = "Inbound client has been updated.";
const DELETED: &str = "Inbound client has been deleted.";

pub(super) fn update(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let wanted = body::object(asked.call, "model.Client")
        .and_then(|object| body::client(Some(&Value::Object(object)), "Client"));
    let only = asked.call.query("inboundIds").filter(|ids| !ids.is_empty());
    let only = only.map(|ids| ids.split(',').filter_map(|id| id.trim().parse().ok()).collect::<Vec<i64>>());
    match wanted.and_then(|wanted| panel.change(asked.name, wanted, only.as_deref(), asked.now_ms)) {
        Ok(()) => Reply::ok(UPDATED, Value::Null),
        Err(error) => Reply::failed(FAILED, &error),
    }
}

pub(super) fn delete(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let email = asked.name;
    if panel.store.record(email).is_none() && panel.store.links(email).is_empty() {
        let reason = format!("client \"{email}\" not found in any inbound or client record\n");
        return Reply::failed(FAILED, &reason);
    }
    let keep_traffic = matches!(asked.call.query("keepTraffic"), Some("1" | "true"));
    panel.wipe(&[email.to_owned()], keep_traffic);
    Reply::ok(DELETED, Value::Null)
}

/// Takes a client off inbounds; its record and counters stay, and inbounds it is not on are passed over.
pub(super) fn detach(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let ids = body::object(asked.call, "controller.detachForm")
        .and_then(|object| body::ids(&object, "inboundIds", "detachForm"));
    match ids {
        Err(error) => Reply::failed(FAILED, &error),
        Ok(_) if panel.store.record(asked.name).is_none() => Reply::failed(FAILED, NOT_FOUND),
        Ok(ids) => {
            for id in ids {
                panel.store.take_off(id, &[asked.name.to_owned()]);
            }
            Reply::ok(DELETED, Value::Null)
        }
    }
}

/// Counters at zero, and in again.
pub(super) fn reset_traffic(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let email = asked.name;
    if panel.store.record(email).is_none() {
        return Reply::failed(FAILED, NOT_FOUND);
    }
    panel.readmit(&[email.to_owned()], asked.now_ms);
    for id in panel.store.links(email) {
        if let Some(inbound) = panel.store.inbounds.get_mut(&id) {
            inbound.last_reset = asked.now_ms;
        }
    }
    Reply::ok("Traffic has been reset.", Value::Null)
}

pub(super) fn reset_all_traffics(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let emails: Vec<String> = panel.store.rows.keys().cloned().collect();
    panel.readmit(&emails, asked.now_ms);
    Reply::ok("Traffic for all clients has been reset.", Value::Null)
}

/// Sets the counters; of nobody as well.
pub(super) fn update_traffic(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let fields = match body::object(asked.call, "controller.TrafficUpdateRequest") {
        Ok(fields) => fields,
        Err(error) => return Reply::failed(FAILED, &error),
    };
    if let Some(row) = panel.store.rows.get_mut(asked.name) {
        row.up = number(&fields, "upload");
        row.down = number(&fields, "download");
    }
    Reply::ok(UPDATED, Value::Null)
}

/// Deletes whose quota or time is over and who are not renewed.
pub(super) fn delete_depleted(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let over = panel.store.rows.values().filter(|row| row.reset == 0 && row.is_over(asked.now_ms));
    let emails: Vec<String> = over.map(|row| row.email.clone()).collect();
    panel.wipe(&emails, false);
    Reply::ok("", json!({"deleted": emails.len()}))
}

/// Deletes who is on no inbound.
pub(super) fn delete_orphans(panel: &mut Panel, _: &Asked<'_>) -> Reply {
    let emails = panel.store.records().map(|record| record.client.email.clone());
    let orphans: Vec<String> = emails.filter(|email| panel.store.links(email).is_empty()).collect();
    panel.wipe(&orphans, false);
    Reply::ok("", json!({"deleted": orphans.len()}))
}

impl Panel {
    /// Replaces what is said of a client in the arrays (of these inbounds only, if given), its record and its row.
    fn change(&mut self, email: &str, mut wanted: Client, only: Option<&[i64]>, now_ms: i64) -> Result<(), String> {
        let known = self.store.record(email).map(|record| record.client.clone()).ok_or(NOT_FOUND)?;
        add::trim(&mut wanted.email);
        if wanted.email.is_empty() {
            return Err(format!("{NO_EMAIL}\n"));
        }
        add::check_characters(&wanted)?;
        if wanted.email != email && self.store.is_email_of_another(&wanted.email, email) {
            return Err(format!("Duplicate email: {}\n", wanted.email));
        }
        if self.store.is_sub_id_of_another(&wanted.sub_id, email) && !wanted.sub_id.is_empty() {
            return Err(format!("Duplicate subId: {}\n", wanted.sub_id));
        }
        wanted.complete_from(&known);
        wanted.updated_at = now_ms;
        if wanted.email != email {
            self.store.rename(email, &wanted.email);
        }
        let links = self.store.links(&wanted.email);
        for id in links.into_iter().filter(|id| only.is_none_or(|only| only.contains(id))) {
            self.rewrite(id, &mut wanted);
        }
        self.write_record(wanted);
        Ok(())
    }

    /// Replaces a client's entry in an array, if that changes anything.
    fn rewrite(&mut self, id: i64, wanted: &mut Client) {
        let Some(inbound) = self.store.inbounds.get_mut(&id) else { return };
        add::fill(wanted, inbound, &mut self.rng);
        let mut new = add::entry(wanted, inbound);
        let Some(entry) = inbound.clients.get_mut(&wanted.email) else { return };
        if let Some(created_at) = entry.get("created_at") {
            new.insert("created_at".into(), created_at.clone());
        }
        if differ(entry, &new) {
            *entry = new;
            self.store.sync(id, std::slice::from_ref(&wanted.email));
        }
    }

    /// Replaces a record and the limits of its row.
    fn write_record(&mut self, wanted: Client) {
        let email = wanted.email.clone();
        if let Some(row) = self.store.rows.get_mut(&email) {
            row.limit(&wanted);
        }
        self.store.alter(&email, |client| *client = wanted);
        self.store.settle(&email);
    }

    /// Deletes clients everywhere: one write for each inbound, then the records and, unless they are to be kept, the
    /// counters.
    pub(super) fn wipe(&mut self, emails: &[String], keep_traffic: bool) {
        let ids: Vec<i64> = self.store.inbounds.keys().copied().collect();
        for id in ids {
            self.store.take_off(id, emails);
        }
        for email in emails {
            self.store.delete(email);
            self.online.remove(email);
            self.pending.remove(email);
            if !keep_traffic {
                self.store.rows.remove(email);
            }
        }
    }

    /// Counters at zero, enabled in every table and array. Gives how many rows that were.
    pub(super) fn readmit(&mut self, emails: &[String], now_ms: i64) -> usize {
        let mut affected = 0;
        for email in emails {
            if let Some(row) = self.store.rows.get_mut(email) {
                row.clear();
                affected += 1;
            }
        }
        self.switch(emails, true, now_ms);
        affected
    }

    /// Switches clients on or off in arrays, records and rows: one write for each inbound in which anything changes.
    pub(super) fn switch(&mut self, emails: &[String], enable: bool, now_ms: i64) {
        let ids: Vec<i64> = self.store.inbounds.keys().copied().collect();
        for id in ids {
            let Some(inbound) = self.store.inbounds.get_mut(&id) else { continue };
            let mut touched = Vec::new();
            for email in emails {
                let Some(entry) = inbound.clients.get_mut(email) else { continue };
                if entry.get("enable") != Some(&json!(enable)) {
                    entry.insert("enable".into(), json!(enable));
                    entry.insert("updated_at".into(), json!(now_ms));
                    touched.push(email.clone());
                }
            }
            if !touched.is_empty() {
                self.store.sync(id, &touched);
            }
        }
        for email in emails {
            self.store.alter(email, |client| client.enable = enable);
            if let Some(row) = self.store.rows.get_mut(email) {
                row.enable = enable;
            }
            self.store.settle(email);
        }
    }
}

//! How clients go.

use super::{
    Panel,
    array::{Place, email_of},
    refusal::{Refusal, UPDATED, not_found, path_id, wrong},
};
use crate::call::Reply;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The prefix of one call that is not translated.
const BY_EMAIL: &str = "Failed to delete client by email";

impl Panel {
    /// `delClient`: every client with this key goes, but only the last one's row.
    pub(super) fn delete_by_key(&mut self, id: &str, key: &str) -> Result<Reply, Refusal> {
        let id = path_id(id, UPDATED)?;
        let array = &self.inbounds.get(&id).ok_or_else(not_found)?.settings.clients;
        if array.has_keyless() {
            return Err(Refusal::Panic);
        }
        let places = array.places_of_key(key);
        if places.is_empty() {
            return Err(wrong(format!("Client Not Found In Inbound For ID: {key}\n")));
        }
        if places.len() == array.len() {
            return Err(wrong("no client remained in Inbound\n"));
        }
        let last = places.last().and_then(|place| array.at(*place));
        let email = last.map(email_of).unwrap_or_default().to_owned();
        self.commit()?;
        if !email.is_empty() && self.rows.get(&email).is_none() {
            return Err(not_found());
        }
        self.take_out(id, &places, &email);
        Ok(Reply::ok("Inbound client has been deleted.", Value::Null))
    }

    /// `delClientByEmail`.
    pub(super) fn delete_by_email(&mut self, id: &str, email: &str) -> Result<Reply, Refusal> {
        let id = path_id(id, "Invalid inbound ID")?;
        let array = self.inbounds.get(&id).map(|inbound| &inbound.settings.clients);
        let array = array.ok_or_else(|| not_found().under(BY_EMAIL))?;
        let Some(place) = array.place_of(email) else {
            return Err(wrong(format!("client with email {email} not found\n")).under(BY_EMAIL));
        };
        if array.len() == 1 {
            return Err(wrong("no client remained in Inbound\n").under(BY_EMAIL));
        }
        self.commit().map_err(|refusal| refusal.under(BY_EMAIL))?;
        self.take_out(id, &[place], email);
        Ok(Reply::ok("Client deleted successfully", Value::Null))
    }

    /// Takes clients out of the array, and one row out of the accounting.
    pub(super) fn take_out(&mut self, inbound: i64, places: &[Place], row: &str) {
        self.rows.remove(row);
        if let Some(inbound) = self.inbounds.get_mut(&inbound) {
            for place in places {
                inbound.settings.clients.remove(*place);
            }
        }
        self.timers.restart_asked |= !self.machine.xray_is_running();
    }

    /// `delDepletedClients`: those over a limit go, unless they are renewed by themselves; below zero means on every
    /// inbound. An emptied inbound goes as well, unless the same call saved another one first: then its deletion
    /// runs into the call's own lock and is dropped in silence, and its clients stay without rows.
    pub(super) fn delete_depleted(&mut self, id: &str, now_ms: i64) -> Result<Reply, Refusal> {
        let id = path_id(id, UPDATED)?;
        let mut depleted: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        let concerned = self.rows.iter().filter(|row| id < 0 || row.inbound == id);
        for row in concerned.filter(|row| row.reset == 0 && row.is_depleted(now_ms)) {
            depleted.entry(row.inbound).or_default().insert(row.email.clone());
        }
        if !depleted.is_empty() {
            self.commit()?;
        }
        let mut has_saved = false;
        for (inbound, emails) in depleted {
            self.delete_depleted_of(inbound, &emails, &mut has_saved);
        }
        Ok(Reply::ok("All depleted clients are deleted.", Value::Null))
    }

    fn delete_depleted_of(&mut self, id: i64, emails: &BTreeSet<String>, has_saved: &mut bool) {
        if let Some(inbound) = self.inbounds.get_mut(&id) {
            let array = &mut inbound.settings.clients;
            let places: Vec<Place> = emails.iter().filter_map(|email| array.place_of(email)).collect();
            if places.len() < array.len() {
                *has_saved = true;
                for place in places {
                    array.remove(place);
                }
            } else if !*has_saved {
                self.drop_inbound(id);
            }
        }
        for email in emails {
            self.rows.remove(email);
        }
    }
}

//! `bulkCreate`: many new clients in one call.

use crate::{
    call::{Reply, kind},
    three::{
        Asked, FAILED, Panel,
        add::{self, NO_EMAIL, NO_INBOUND, Wanted},
        body,
        bulk::Skipped,
        client::Client,
        store::NOT_FOUND,
    },
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn create_many(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let items = body::json(asked.call).and_then(|value| body::array(value, "[]service.ClientCreatePayload"));
    let wanted = items.and_then(|items| items.iter().map(item).collect::<Result<Vec<Wanted>, String>>());
    match wanted {
        Ok(wanted) => panel.create_all(wanted, asked.now_ms),
        Err(error) => Reply::failed(FAILED, &error),
    }
}

fn item(value: &Value) -> Result<Wanted, String> {
    match value {
        Value::Object(object) => Wanted::read(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            let found = kind(value);
            Err(format!("json: cannot unmarshal {found} into Go value of type service.ClientCreatePayload"))
        }
    }
}

impl Panel {
    /// Creates many clients: first every item is checked, then each inbound is written once, for all or none of its
    /// items. An item counts as skipped when one of its inbounds failed, wherever else it is by then.
    fn create_all(&mut self, wanted: Vec<Wanted>, now_ms: i64) -> Reply {
        let mut skipped = Skipped::default();
        let items = self.acceptable(wanted, &mut skipped, now_ms);
        let mut ids: Vec<i64> = Vec::new();
        let mut by_inbound: BTreeMap<i64, Vec<Client>> = BTreeMap::new();
        for item in &items {
            for id in &item.inbounds {
                let clients = by_inbound.entry(*id).or_default();
                if clients.is_empty() {
                    ids.push(*id);
                }
                clients.push(item.client.clone());
            }
        }
        let mut errors: BTreeMap<i64, String> = BTreeMap::new();
        for id in ids {
            let clients = by_inbound.remove(&id).unwrap_or_default();
            if let Err(error) = self.store.insert(id, &clients) {
                errors.insert(id, error);
            }
        }
        let mut created = 0;
        for item in items {
            match item.inbounds.iter().find_map(|id| errors.get(id)) {
                Some(error) => skipped.push(&item.client.email, error),
                None => created += 1,
            }
        }
        skipped.answer("created", created)
    }

    /// The items that can be written, with what the panel generates for them.
    fn acceptable(&mut self, wanted: Vec<Wanted>, skipped: &mut Skipped, now_ms: i64) -> Vec<Wanted> {
        let well_formed: Vec<Wanted> = wanted.into_iter().filter_map(|item| well_formed(item, skipped)).collect();
        let (mut emails, mut sub_ids) = (BTreeSet::new(), BTreeSet::new());
        let mut items = Vec::new();
        for mut item in well_formed {
            self.prepare(&mut item.client, now_ms);
            let (email, sub_id) = (item.client.email.clone(), item.client.sub_id.clone());
            let free = match self.check_free(&item.client) {
                Ok(()) if emails.contains(&email) => Err(format!("email already in use: {email}")),
                Ok(()) if sub_ids.contains(&sub_id) => Err(format!("subId already in use: {sub_id}")),
                checked => checked,
            };
            if let Err(reason) = free.and_then(|()| self.fill_for_all(&mut item)) {
                skipped.push(&email, &reason);
                continue;
            }
            emails.insert(email);
            sub_ids.insert(sub_id);
            items.push(item);
        }
        items
    }

    /// Generates what a client needs on all of its inbounds. Fails if one of them is not there.
    fn fill_for_all(&mut self, item: &mut Wanted) -> Result<(), String> {
        self.complete(&mut item.client);
        for id in &item.inbounds {
            let inbound = self.store.inbounds.get(id).ok_or(NOT_FOUND)?;
            add::fill(&mut item.client, inbound, &mut self.rng);
        }
        Ok(())
    }
}

/// An item whose own fields are in order.
fn well_formed(mut item: Wanted, skipped: &mut Skipped) -> Option<Wanted> {
    add::trim(&mut item.client.email);
    let email = item.client.email.as_str();
    if email.is_empty() {
        skipped.push("(missing email)", NO_EMAIL);
        return None;
    }
    if let Err(reason) = add::check_characters(&item.client) {
        skipped.push(email, &reason);
        return None;
    }
    if item.inbounds.is_empty() {
        skipped.push(email, NO_INBOUND);
        return None;
    }
    let mut seen = BTreeSet::new();
    item.inbounds.retain(|id| seen.insert(*id));
    Some(item)
}

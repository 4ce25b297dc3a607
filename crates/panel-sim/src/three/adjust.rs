//! `bulkAdjust`: more or less time and volume for many, and the flow.

use crate::{
    call::Reply,
    three::{
        Asked, FAILED, Panel,
        body::{self, Type},
        client::Client,
        entry::{number, text},
        traffic::DAY_MS,
    },
};
use serde_json::json;

const FIELDS: [(&str, Type); 3] = [("addBytes", Type::Int64), ("addDays", Type::Int), ("flow", Type::Text)];

/// What is to be changed.
#[derive(Debug)]
struct Change {
    days: i64,
    bytes: i64,
    /// `Some("")` takes the flow away.
    flow: Option<String>,
}

pub(super) fn adjust(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let read = || {
        let object = body::object(asked.call, "controller.bulkAdjustForm")?;
        body::check(&object, &FIELDS, "bulkAdjustForm")?;
        let flow = match text(&object, "flow") {
            "none" => Some(String::new()),
            flow @ ("xtls-rprx-vision" | "xtls-rprx-vision-udp443") => Some(flow.to_owned()),
            _ => None,
        };
        let change = Change { days: number(&object, "addDays"), bytes: number(&object, "addBytes"), flow };
        if change.days == 0 && change.bytes == 0 && change.flow.is_none() {
            return Err("no adjustment specified\n".to_owned());
        }
        Ok((change, body::texts(&object, "emails", "bulkAdjustForm")?))
    };
    let (change, emails) = match read() {
        Ok(read) => read,
        Err(error) => return Reply::failed(FAILED, &error),
    };
    let (emails, mut skipped) = panel.known(&emails);
    let mut adjusted = 0;
    for email in emails {
        match panel.adjust(&email, &change, asked.now_ms) {
            Ok(()) => adjusted += 1,
            Err(reason) => skipped.push(&email, reason),
        }
    }
    skipped.answer("adjusted", adjusted)
}

impl Panel {
    fn adjust(&mut self, email: &str, change: &Change, now_ms: i64) -> Result<(), &'static str> {
        let Some(mut client) = self.store.record(email).map(|record| record.client.clone()) else { return Ok(()) };
        let used = self.store.rows.get(email).map_or(0, super::traffic::Row::used);
        let limits = limits(&client, change, used, now_ms);
        let takes_flow = self.store.links(email).iter().any(|id| self.takes_flow(*id));
        match (limits, change.flow.as_ref()) {
            (Err(reason), _) => return Err(reason),
            (Ok(None), Some(flow)) if !flow.is_empty() && !takes_flow => return Err("flow not supported on inbound"),
            (Ok(None), _) => {}
            (Ok(Some((expiry, total))), _) => (client.expiry, client.total) = (expiry, total),
        }
        if let Some(row) = self.store.rows.get_mut(email) {
            (row.expiry, row.total) = (client.expiry, client.total);
        }
        self.write_adjusted(&client, change.flow.as_deref(), now_ms);
        Ok(())
    }

    fn takes_flow(&self, id: i64) -> bool {
        self.store.inbounds.get(&id).is_some_and(super::inbound::Inbound::takes_flow)
    }

    /// Writes limits and flow into the arrays, and through them into the record.
    fn write_adjusted(&mut self, client: &Client, flow: Option<&str>, now_ms: i64) {
        for id in self.store.links(&client.email) {
            let Some(inbound) = self.store.inbounds.get_mut(&id) else { continue };
            let takes_flow = inbound.takes_flow();
            let Some(entry) = inbound.clients.get_mut(&client.email) else { continue };
            entry.insert("expiryTime".into(), json!(client.expiry));
            entry.insert("totalGB".into(), json!(client.total));
            entry.insert("updated_at".into(), json!(now_ms));
            match flow {
                Some("") => drop(entry.remove("flow")),
                Some(flow) if takes_flow => drop(entry.insert("flow".into(), json!(flow))),
                Some(_) | None => {}
            }
            self.store.sync(id, std::slice::from_ref(&client.email));
        }
        self.store.alter(&client.email, |known| (known.expiry, known.total) = (client.expiry, client.total));
        self.store.settle(&client.email);
    }
}

/// The new end and volume; `None` if neither is to change.
fn limits(client: &Client, change: &Change, used: i64, now_ms: i64) -> Result<Option<(i64, i64)>, &'static str> {
    let (mut expiry, mut total) = (client.expiry, client.total);
    let by_ms = change.days.saturating_mul(DAY_MS);
    if expiry > 0 {
        expiry = expiry.saturating_add(by_ms);
        if by_ms < 0 && expiry <= now_ms {
            return Err("reduction exceeds remaining time");
        }
    } else if expiry < 0 {
        expiry = expiry.saturating_sub(by_ms);
        if expiry >= 0 {
            return Err("reduction exceeds delay window");
        }
    }
    if total > 0 {
        total = total.saturating_add(change.bytes);
        if change.bytes < 0 && total <= used {
            return Err("reduction exceeds remaining quota");
        }
    }
    if (expiry, total) != (client.expiry, client.total) {
        return Ok(Some((expiry, total)));
    }
    match (change.days, change.bytes) {
        (0, 0) => Ok(None),
        (0, _) => Err("unlimited traffic"),
        _ => Err("unlimited expiry"),
    }
}

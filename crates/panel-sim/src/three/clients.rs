//! What is read below `panel/api/clients/`.

use crate::{
    call::Reply,
    three::{Asked, Panel, client::Record, store::NOT_FOUND},
};
use serde_json::{Value, json};

/// All records, with their inbounds and their traffic.
pub(super) fn list(panel: &mut Panel, _: &Asked<'_>) -> Reply {
    let store = &panel.store;
    let listed = store.records().map(|record| {
        let mut object = record.json();
        object["inboundIds"] = store.links_as_listed(&record.client.email);
        if let Some(row) = store.rows.get(&record.client.email) {
            object["traffic"] = row.json("", "");
        }
        object
    });
    Reply::ok("", listed.collect())
}

pub(super) fn get(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    match panel.store.record(asked.name) {
        Some(record) => Reply::ok("", panel.detailed(record)),
        None => Reply::failed("Obtain", NOT_FOUND),
    }
}

/// Those with this Telegram id.
pub(super) fn of_telegram(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let Ok(id) = asked.name.parse::<i64>() else {
        return Reply::failed("Obtain", &format!("strconv.ParseInt: parsing {:?}: invalid syntax", asked.name));
    };
    let records = panel.store.records().filter(|record| record.client.tg_id == id);
    Reply::ok("", records.map(|record| panel.detailed(record)).collect())
}

pub(super) fn traffic(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let Some(row) = panel.store.rows.get(asked.name) else { return Reply::ok("", Value::Null) };
    let shown = match panel.store.record(asked.name) {
        Some(record) => row.json(&record.client.id, &record.client.sub_id),
        None => row.json("", ""),
    };
    Reply::ok("", shown)
}

/// What `bulkCreate` takes.
pub(super) fn export(panel: &mut Panel, _: &Asked<'_>) -> Reply {
    let store = &panel.store;
    let items = store.records().map(|record| {
        let client = &record.client;
        json!({"client": client.entry(), "inboundIds": store.links(&client.email)})
    });
    Reply::ok("", items.collect())
}

pub(super) fn onlines(panel: &mut Panel, _: &Asked<'_>) -> Reply {
    Reply::ok("", panel.online.keys().cloned().collect())
}

/// When each was seen last; only those who ever were.
pub(super) fn last_online(panel: &mut Panel, _: &Asked<'_>) -> Reply {
    let seen = panel.store.rows.values().filter(|row| row.last_online > 0);
    Reply::ok("", Value::Object(seen.map(|row| (row.email.clone(), json!(row.last_online))).collect()))
}

impl Panel {
    fn detailed(&self, record: &Record) -> Value {
        let email = &record.client.email;
        let used = self.store.rows.get(email).map_or(0, super::traffic::Row::used);
        json!({
            "client": record.json(), "externalLinks": [], "inboundIds": self.store.links(email),
            "usedTraffic": used,
        })
    }
}

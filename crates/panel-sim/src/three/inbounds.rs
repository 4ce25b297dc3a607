//! What lies below `panel/api/inbounds/`.

use crate::{
    call::Reply,
    three::{Asked, FAILED, Panel, body, draft, entry::Entry, inbound::Inbound, store::NOT_FOUND},
};
use serde_json::{Map, Value, json};

const CREATED: &str = "Inbound has been successfully created.";
const UPDATED: &str = "Inbound has been successfully updated.";
const DELETED: &str = "Inbound has been successfully deleted.";

pub(super) fn list(panel: &mut Panel, _: &Asked<'_>) -> Reply {
    Reply::ok("", panel.listed(Inbound::json))
}

/// The list with clients cut to who they are.
pub(super) fn list_slim(panel: &mut Panel, _: &Asked<'_>) -> Reply {
    let listed = panel.listed(|inbound, stats| {
        let kept = |entry: &Entry| -> Entry {
            let keys = ["email", "enable", "comment"];
            keys.into_iter().filter_map(|key| Some((key.to_owned(), entry.get(key)?.clone()))).collect()
        };
        let mut object = inbound.json(stats);
        object.insert("settings".into(), inbound.settings_with(inbound.clients.iter().map(kept)));
        object
    });
    Reply::ok("", listed)
}

pub(super) fn options(panel: &mut Panel, _: &Asked<'_>) -> Reply {
    Reply::ok("", panel.store.inbounds.values().map(Inbound::option).collect())
}

pub(super) fn get(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    match asked.id().map(|id| panel.store.inbounds.get(&id)) {
        Err(error) => Reply::failed("Obtain", &error),
        Ok(None) => Reply::failed("Obtain", NOT_FOUND),
        Ok(Some(inbound)) => {
            let mut rows: Vec<_> = panel.store.rows.values().filter(|row| row.inbound == inbound.id).collect();
            rows.sort_by_key(|row| row.id);
            Reply::ok("", Value::Object(inbound.json(&panel.store.stats(inbound, &rows))))
        }
    }
}

pub(super) fn add(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let fields = match draft::read(asked.call) {
        Ok(fields) => fields,
        Err(reply) => return reply,
    };
    match panel.put_inbound(&fields, asked.now_ms) {
        Ok(id) => panel.shown(id, CREATED, &Map::new()),
        Err(error) => Reply::failed(FAILED, &error),
    }
}

/// Adds an inbound that comes as JSON in a form.
pub(super) fn import(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let data = asked.call.form().into_iter().find(|(name, _)| name == "data").map(|(_, data)| data);
    let fields: Entry = match serde_json::from_str(&data.unwrap_or_default()) {
        Ok(fields) => fields,
        Err(error) => return Reply::failed(FAILED, &error.to_string()),
    };
    match panel.put_inbound(&fields, asked.now_ms) {
        Ok(id) => panel.shown(id, CREATED, &Map::new()),
        Err(error) => Reply::failed(FAILED, &error),
    }
}

pub(super) fn update(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let fields = match draft::read(asked.call) {
        Ok(fields) => fields,
        Err(reply) => return reply,
    };
    let replaced = asked.id().and_then(|id| panel.replace_inbound(id, &fields, asked.now_ms).map(|()| id));
    match replaced {
        Ok(id) => panel.shown(id, UPDATED, &fields),
        Err(error) => Reply::failed(FAILED, &error),
    }
}

pub(super) fn set_enable(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let fields = match body::bind(asked.call, "controller.form") {
        Ok(fields) => fields,
        Err(error) => return Reply::failed(FAILED, &error),
    };
    let enable =
        matches!(fields.get("enable"), Some(Value::Bool(true))) || fields.get("enable") == Some(&json!("true"));
    match asked.id().map(|id| panel.store.inbounds.get_mut(&id)) {
        Err(error) => Reply::failed(FAILED, &error),
        Ok(None) => Reply::failed(FAILED, NOT_FOUND),
        Ok(Some(inbound)) => {
            inbound.enable = enable;
            Reply::ok(UPDATED, Value::Null)
        }
    }
}

/// Deletes an inbound; one that there is not is deleted as well.
pub(super) fn delete(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    match asked.id() {
        Ok(id) => {
            panel.drop_inbound(id);
            Reply::ok(DELETED, json!(id))
        }
        Err(error) => Reply::failed(FAILED, &error),
    }
}

pub(super) fn bulk_delete(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let ids =
        body::object(asked.call, "controller.bulkDelForm").and_then(|object| body::ids(&object, "ids", "bulkDelForm"));
    match ids {
        Ok(ids) => {
            let deleted = ids.len();
            for id in ids {
                panel.drop_inbound(id);
            }
            Reply::ok("", json!({"deleted": deleted}))
        }
        Err(error) => Reply::failed(FAILED, &error),
    }
}

/// Deletes every client of an inbound, from the other inbounds as well.
pub(super) fn delete_clients(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let emails = asked.id().map(|id| panel.store.inbounds.get(&id).map(|inbound| inbound.clients.emails()));
    match emails {
        Err(error) => Reply::failed(FAILED, &error),
        Ok(None) => Reply::failed(FAILED, NOT_FOUND),
        Ok(Some(emails)) => {
            panel.wipe(&emails, false);
            Reply::ok("", json!({"deleted": emails.len()}))
        }
    }
}

pub(super) fn reset_traffic(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    match asked.id().map(|id| panel.store.inbounds.get_mut(&id)) {
        Err(error) => Reply::failed(FAILED, &error),
        Ok(None) => Reply::failed(FAILED, NOT_FOUND),
        Ok(Some(inbound)) => {
            inbound.up = 0;
            inbound.down = 0;
            inbound.last_reset = asked.now_ms;
            Reply::ok("Traffic has been reset.", Value::Null)
        }
    }
}

pub(super) fn reset_all_traffics(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    for inbound in panel.store.inbounds.values_mut() {
        inbound.up = 0;
        inbound.down = 0;
        inbound.last_reset = asked.now_ms;
    }
    Reply::ok("All traffic has been reset.", Value::Null)
}

impl Panel {
    fn listed(&self, show: impl Fn(&Inbound, &Value) -> Map<String, Value>) -> Value {
        let rows = self.store.rows_by_inbound();
        let objects = self.store.inbounds.values().map(|inbound| {
            let own = rows.get(&inbound.id).map(Vec::as_slice).unwrap_or_default();
            let mut object = show(inbound, &self.store.stats(inbound, own));
            object.insert("originNodeGuid".into(), json!(self.guid));
            Value::Object(object)
        });
        objects.collect()
    }

    /// The answer to a write: the inbound without statistics, and with the counters of the request, which are not kept.
    fn shown(&self, id: i64, msg: &str, request: &Entry) -> Reply {
        let Some(inbound) = self.store.inbounds.get(&id) else { return Reply::failed(FAILED, NOT_FOUND) };
        let mut object = inbound.json(&Value::Null);
        for counter in ["up", "down"] {
            if let Some(value) = request.get(counter) {
                object.insert(counter.to_owned(), value.clone());
            }
        }
        Reply::ok(msg, Value::Object(object))
    }
}

//! `clients/list/paged`: some clients, few of their fields, and what all of them come to.

use crate::{
    call::{Call, Reply},
    three::{Asked, Panel, client::Record, traffic::Row},
};
use serde_json::{Value, json};
use std::{cmp::Ordering, collections::BTreeSet};

/// So many on a page by default, and at most.
const PAGE: usize = 25;
const LARGEST_PAGE: usize = 200;
/// The lists of emails in the summary end here.
const LISTED: usize = 200;

/// A client with all that a page looks at.
struct Seen<'a> {
    record: &'a Record,
    row: Option<&'a Row>,
    links: Value,
    protocols: Vec<&'a str>,
    state: State,
    online: bool,
}

/// What a client counts as. None counts as expiring soon: how soon is a setting, and by default that is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Active,
    Off,
    Depleted,
}

impl Seen<'_> {
    fn used(&self) -> i64 {
        self.row.map_or(0, Row::used)
    }

    fn remaining(&self) -> i64 {
        let total = self.record.client.total;
        if total > 0 { total.saturating_sub(self.used()) } else { i64::MAX }
    }

    fn last_online(&self) -> i64 {
        self.row.map_or(0, |row| row.last_online)
    }

    fn json(&self) -> Value {
        let client = &self.record.client;
        let mut object = json!({
            "email": client.email, "subId": client.sub_id, "enable": client.enable, "totalGB": client.total,
            "expiryTime": client.expiry, "limitIp": client.limit_ip, "reset": client.reset,
            "inboundIds": self.links, "createdAt": client.created_at, "updatedAt": client.updated_at,
        });
        for (key, text) in [("group", &client.group), ("comment", &client.comment)] {
            if !text.is_empty() {
                object[key] = json!(text);
            }
        }
        if let Some(row) = self.row {
            object["traffic"] = row.json("", "");
        }
        object
    }
}

pub(super) fn list(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let all: Vec<Seen<'_>> = panel.store.records().map(|record| panel.seen(record, asked.now_ms)).collect();
    let number = |name: &str| asked.call.query(name).and_then(|text| text.parse::<usize>().ok());
    let page = number("page").unwrap_or(1).max(1);
    let size = number("pageSize").filter(|size| *size > 0).unwrap_or(PAGE).min(LARGEST_PAGE);
    let mut found: Vec<&Seen<'_>> = all.iter().filter(|seen| is_wanted(seen, asked.call)).collect();
    sort(&mut found, asked.call);
    let items = found.iter().skip((page - 1).saturating_mul(size)).take(size).map(|seen| seen.json());
    let groups = all.iter().map(|seen| seen.record.client.group.as_str()).filter(|group| !group.is_empty());
    let obj = json!({
        "items": items.collect::<Vec<_>>(), "total": all.len(), "filtered": found.len(), "page": page,
        "pageSize": size, "summary": summary(&all), "groups": groups.collect::<BTreeSet<_>>(),
    });
    Reply::ok("", obj)
}

impl Panel {
    fn seen<'a>(&'a self, record: &'a Record, now_ms: i64) -> Seen<'a> {
        let email = &record.client.email;
        let row = self.store.rows.get(email);
        let inbounds = self.store.links(email).into_iter().filter_map(|id| self.store.inbounds.get(&id));
        let state = match (row.is_some_and(|row| row.is_over(now_ms)), record.client.enable) {
            (true, _) => State::Depleted,
            (false, true) => State::Active,
            (false, false) => State::Off,
        };
        let protocols = inbounds.map(|inbound| inbound.protocol.as_str()).collect();
        let links = self.store.links_as_listed(email);
        Seen { record, row, links, protocols, state, online: self.online.contains_key(email) }
    }
}

fn summary(all: &[Seen<'_>]) -> Value {
    let emails = |of: &dyn Fn(&Seen<'_>) -> bool| -> Vec<String> {
        all.iter().filter(|seen| of(seen)).map(|seen| seen.record.client.email.clone()).collect()
    };
    let online = emails(&|seen| seen.online);
    let depleted = emails(&|seen| seen.state == State::Depleted);
    let off = emails(&|seen| seen.state == State::Off);
    let first = |emails: &[String]| json!(emails.iter().take(LISTED).collect::<Vec<_>>());
    json!({
        "total": all.len(), "active": all.len() - depleted.len() - off.len(), "onlineCount": online.len(),
        "depletedCount": depleted.len(), "expiringCount": 0, "deactiveCount": off.len(),
        "online": first(&online), "depleted": first(&depleted), "expiring": [], "deactive": first(&off),
    })
}

/// Whether a client passes all filters of the query.
fn is_wanted(seen: &Seen<'_>, call: &Call) -> bool {
    let client = &seen.record.client;
    let csv = |name: &str| -> Vec<String> {
        let words = call.query(name).unwrap_or_default().split(',').map(|word| word.trim().to_owned());
        words.filter(|word| !word.is_empty()).collect()
    };
    let any = |name: &str, fits: &dyn Fn(&str) -> bool| {
        let words = csv(name);
        words.is_empty() || words.iter().any(|word| fits(word))
    };
    let number = |name: &str| call.query(name).and_then(|text| text.parse::<i64>().ok()).filter(|limit| *limit > 0);
    let yes = |name: &str, yes: &str, no: &str, is: bool| match call.query(name) {
        Some(word) if word == yes => is,
        Some(word) if word == no => !is,
        Some(_) | None => true,
    };
    let is_on = |id: &str| seen.links.as_array().into_iter().flatten().any(|link| link.as_i64() == id.parse().ok());
    is_found(seen, call.query("search").unwrap_or_default())
        && any("filter", &|word| is_of(seen, word))
        && any("protocol", &|word| seen.protocols.contains(&word))
        && any("inbound", &is_on)
        && any("group", &|word| client.group == word)
        && number("expiryFrom").is_none_or(|from| client.expiry >= from)
        && number("expiryTo").is_none_or(|to| client.expiry > 0 && client.expiry <= to)
        && number("usageFrom").is_none_or(|from| seen.used() >= from)
        && number("usageTo").is_none_or(|to| seen.used() <= to)
        && yes("autoRenew", "on", "off", client.reset > 0)
        && yes("hasTgId", "yes", "no", client.tg_id != 0)
        && yes("hasComment", "yes", "no", !client.comment.is_empty())
}

fn is_found(seen: &Seen<'_>, search: &str) -> bool {
    let client = &seen.record.client;
    let tg_id = client.tg_id.to_string();
    let texts = [&client.email, &client.sub_id, &client.comment, &client.id, &client.password, &client.auth, &tg_id];
    let search = search.trim().to_lowercase();
    search.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&search))
}

/// Whether a client is of a kind that `filter` names; every client is of a kind unheard of.
fn is_of(seen: &Seen<'_>, kind: &str) -> bool {
    match kind {
        "active" => seen.state == State::Active,
        "deactive" => seen.state == State::Off,
        "depleted" => seen.state == State::Depleted,
        "online" => seen.online,
        "expiring" => false,
        _ => true,
    }
}

fn sort(found: &mut [&Seen<'_>], call: &Call) {
    type Order = fn(&Seen<'_>, &Seen<'_>) -> Ordering;
    let order: Order = match call.query("sort").unwrap_or_default() {
        "enable" => |a, b| a.record.client.enable.cmp(&b.record.client.enable),
        "email" => |a, b| a.record.client.email.cmp(&b.record.client.email),
        "inboundIds" => |a, b| a.protocols.len().cmp(&b.protocols.len()),
        "traffic" => |a, b| a.used().cmp(&b.used()),
        "remaining" => |a, b| a.remaining().cmp(&b.remaining()),
        "expiryTime" => |a, b| a.record.client.expiry.cmp(&b.record.client.expiry),
        "createdAt" => |a, b| a.record.client.created_at.cmp(&b.record.client.created_at),
        "updatedAt" => |a, b| a.record.client.updated_at.cmp(&b.record.client.updated_at),
        "lastOnline" => |a, b| a.last_online().cmp(&b.last_online()),
        _ => |a, b| a.record.id.cmp(&b.record.id),
    };
    found.sort_by(|a, b| order(a, b));
    if call.query("order") == Some("descend") {
        found.reverse();
    }
}

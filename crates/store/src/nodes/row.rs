//! Between a row of `vpn_nodes` and what the program knows a node by.

use super::{NodeRecord, NodeSettings, TABLE, TEXT_CHARACTERS};
use crate::{StoreError, clamp32, entity::node, id32, text::fits};
use chrono::{DateTime, Utc};
use fleet::{
    id::{InboundId, NodeId},
    inbound::Inbound,
    node::{Health, Node, Policy},
};
use sea_orm::Set;
use std::time::Duration;

pub(super) fn fill(row: &mut node::ActiveModel, settings: &NodeSettings, now: DateTime<Utc>) -> Result<(), StoreError> {
    fits("the name", &settings.name, 255)?;
    fits("the location", settings.location.as_deref().unwrap_or_default(), 100)?;
    fits("the address", &settings.url, 255)?;
    fits("the host", settings.host.as_deref().unwrap_or_default(), 255)?;
    fits("the description", settings.description.as_deref().unwrap_or_default(), TEXT_CHARACTERS)?;
    fits("the TLS setting", &settings.tls, 80)?;
    row.name = Set(settings.name.clone());
    row.description = Set(settings.description.clone());
    row.location = Set(settings.location.clone());
    row.x3ui_url = Set(settings.url.clone());
    row.tls = Set(settings.tls.clone());
    row.allow_http = Set(settings.allow_http);
    row.host = Set(settings.host.clone());
    row.inbound_id = Set(settings.chosen_inbound.map(|i| id32(i.0)));
    row.connect_timeout_ms = Set(settings.connect_timeout.map(ms));
    row.check_timeout_ms = Set(settings.check_timeout.map(ms));
    row.status = Set(Some(settings.policy.as_str().to_owned()));
    row.max_users = Set(Some(clamp32(settings.max_users)));
    row.priority = Set(Some(clamp32(settings.priority)));
    // SQLite turns what is not a number into NULL, which would mean the column's default.
    row.weight = Set(Some(if settings.weight.is_nan() { 0.0 } else { settings.weight }));
    row.updated_at = Set(Some(now));
    Ok(())
}

/// A row as the rules see it. Missing values are the column's defaults; an unknown status is an error, for
/// guessing at what an operator wants could cut somebody off.
pub(super) fn record(row: node::Model) -> Result<NodeRecord, StoreError> {
    let unusable =
        |column, value: &str| StoreError::Row { table: TABLE, column, row: row.id.into(), value: value.to_owned() };
    let status = row.status.as_deref().unwrap_or("active");
    let policy = Policy::find(status).ok_or_else(|| unusable("status", status))?;
    // What an older Muster wrote in another shape is simply looked at again.
    let watch: Option<fleet::health::Health> = row.health.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let health = match (&watch, row.health_status.as_deref()) {
        (Some(watch), _) => Health::of(watch.state(), row.trouble.as_deref()),
        (None, Some("healthy")) => Health::Up,
        (None, Some("unhealthy")) => Health::Down { reason: row.health_reason.clone().unwrap_or_default() },
        (None, Some(_) | None) => Health::Unknown,
    };
    let inbound: Option<Inbound> = row.inbound_seen.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let node = Node {
        id: NodeId(row.id.into()),
        name: row.name,
        location: row.location,
        policy,
        health,
        inbound: inbound.as_ref().map(|i| i.id),
        max_users: row.max_users.unwrap_or(1000).into(),
        priority: row.priority.unwrap_or(100).into(),
        weight: row.weight.unwrap_or(1.0),
        current_users: row.current_users.unwrap_or(0).into(),
    };
    Ok(NodeRecord {
        node,
        description: row.description,
        url: row.x3ui_url,
        username: row.x3ui_username,
        tls: row.tls,
        allow_http: row.allow_http,
        host: row.host,
        chosen_inbound: row.inbound_id.map(|i| InboundId(i.into())),
        inbound,
        checked_at: row.last_health_check.map(|at| at.and_utc()),
        response_ms: row.response_time_ms.map(i64::from),
        panel_version: row.panel_version,
        watch: watch.unwrap_or_default(),
        reading: row.reading.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        trouble: row.trouble,
        connect_timeout: row.connect_timeout_ms.map(duration),
        check_timeout: row.check_timeout_ms.map(duration),
        xray_version: row.xray_version,
        cpu_percent: row.cpu,
        mem_percent: row.mem,
        online_users: row.online_users.map(i64::from),
        created_at: row.created_at,
        revision: row.revision,
    })
}

fn ms(duration: Duration) -> i32 {
    clamp32(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

fn duration(ms: i32) -> Duration {
    Duration::from_millis(ms.unsigned_abs().into())
}

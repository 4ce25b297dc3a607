//! Calls about how the fleet is, and what was decided.

use super::{
    Problem,
    extract::{Json, Query},
    node_shapes::HealthShape,
};
use crate::{app::App, ops::health};
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use fleet::health::reading::Reading;
use serde::{Deserialize, Serialize};
use store::{events::PastEvent, nodes::NodeRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(fleet_health)).routes(routes!(events))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(release))
}

/// How the fleet is.
#[derive(Debug, Serialize, ToSchema)]
pub struct FleetHealth {
    /// Why nobody is moved for now, if so.
    pub hold: Option<HoldShape>,
    /// Every node.
    pub nodes: Vec<NodeHealth>,
}

/// Moves are held: we suspect ourselves.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldShape {
    /// Why.
    pub why: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// How one node is, layer by layer.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodeHealth {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What we hold to be true of it.
    pub health: HealthShape,
    /// The last full check, every layer with its own result and time.
    #[schema(value_type = Option<Object>)]
    pub layers: Option<Reading>,
    /// How long its panel took, in milliseconds.
    pub response_ms: Option<i64>,
    /// Percent of all its cores.
    pub cpu_percent: Option<f64>,
    /// Percent of its memory.
    pub mem_percent: Option<f64>,
    /// The version of its xray.
    pub xray_version: Option<String>,
    /// Users with traffic at the last look.
    pub online_users: Option<i64>,
}

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// Newest first.
    pub events: Vec<EventShape>,
}

/// One decision.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventShape {
    /// When.
    pub at: DateTime<Utc>,
    /// A stable word: `issued`, `revoked`, `replaced`, `health`, `moving`, `moved`, `settled`, `returned`, `drift`.
    pub kind: String,
    /// For people, with the reason.
    pub message: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Most {
    /// At most so many.
    #[param(minimum = 1, maximum = 1000)]
    most: Option<u32>,
}

/// The fleet and every node, by layer.
#[utoipa::path(get, path = "/health", tag = "health", responses(
    (status = 200, body = FleetHealth),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
async fn fleet_health(State(app): State<App>) -> Result<Json<FleetHealth>, Problem> {
    Ok(Json(health::load(&app.store).await?.into()))
}

/// Says that failures all over the fleet are real: moves that are held begin.
#[utoipa::path(post, path = "/health/release", tag = "health", responses(
    (status = 200, body = FleetHealth),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
))]
async fn release(State(app): State<App>) -> Result<Json<FleetHealth>, Problem> {
    health::release(&app.store, (app.clock)()).await?;
    app.pokes.poke_place();
    Ok(Json(health::load(&app.store).await?.into()))
}

/// What was decided, and why; newest first.
#[utoipa::path(get, path = "/events", tag = "health", params(Most), responses(
    (status = 200, body = EventList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
async fn events(State(app): State<App>, Query(Most { most }): Query<Most>) -> Result<Json<EventList>, Problem> {
    let most = most.unwrap_or(100);
    if !(1..=1000).contains(&most) {
        let detail = "most: a number from 1 to 1000";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_request", "the request cannot be read", detail));
    }
    let events = app.store.read().events(most.into()).await?;
    Ok(Json(EventList { events: events.into_iter().map(EventShape::from).collect() }))
}

impl From<health::FleetHealth> for FleetHealth {
    fn from(found: health::FleetHealth) -> Self {
        Self {
            hold: found.hold.map(|hold| HoldShape { why: hold.why, since: hold.since }),
            nodes: found.nodes.into_iter().map(NodeHealth::from).collect(),
        }
    }
}

impl From<NodeRecord> for NodeHealth {
    fn from(record: NodeRecord) -> Self {
        Self {
            id: record.node.id.0,
            health: HealthShape::from(&record),
            name: record.node.name,
            layers: record.reading,
            response_ms: record.response_ms,
            cpu_percent: record.cpu_percent,
            mem_percent: record.mem_percent,
            xray_version: record.xray_version,
            online_users: record.online_users,
        }
    }
}

impl From<PastEvent> for EventShape {
    fn from(event: PastEvent) -> Self {
        Self { at: event.at, kind: event.kind, message: event.message }
    }
}

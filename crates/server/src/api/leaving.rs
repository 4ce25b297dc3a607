//! Calls about users who are still on a node that their keys left.

use super::{
    Problem,
    extract::{Json, Path},
};
use crate::{
    app::App,
    ops::leaving::{self, StillThere},
};
use axum::extract::State;
use chrono::{DateTime, Utc};
use fleet::id::NodeId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(end_grace))
}

/// Who is still on a node that his key left.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeavingList {
    /// How many there are.
    total: usize,
    /// The thousand of them that go first.
    leaving: Vec<LeavingShape>,
}

/// A user whose key lives elsewhere by now, and whose old client still works here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeavingShape {
    /// Which key.
    key_id: i64,
    /// His Telegram id, if he is known.
    telegram_id: Option<i64>,
    /// The node on which the key lives.
    home: i64,
    /// Since when.
    since: DateTime<Utc>,
    /// His last traffic on the old node.
    seen_at: Option<DateTime<Utc>>,
    /// When the old client goes if nothing more is seen of him; none if the key goes back there.
    until: Option<DateTime<Utc>>,
}

/// Whose wait was ended.
#[derive(Serialize, ToSchema)]
struct Ended {
    /// How many old clients go.
    ended: u64,
}

/// Users who are still on a node that their keys left: they were not seen elsewhere yet.
#[utoipa::path(get, path = "/nodes/{id}/leaving", tag = "jobs", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = LeavingList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
async fn list(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<LeavingList>, Problem> {
    let (total, found) = leaving::still_there(&app.store, &app.config, NodeId(id), (app.clock)()).await?;
    Ok(Json(LeavingList::new(total, &found)))
}

/// Lets everybody who is leaving a node go at once, whether he was seen elsewhere or not.
#[utoipa::path(post, path = "/nodes/{id}/end-grace", tag = "jobs", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = Ended),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
async fn end_grace(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<Ended>, Problem> {
    let ended = leaving::end_grace(&app.store, NodeId(id)).await?;
    app.pokes.poke_settle();
    Ok(Json(Ended { ended }))
}

impl LeavingList {
    /// These of so many.
    pub(crate) fn new(total: usize, found: &[StillThere]) -> Self {
        let shape = |one: &StillThere| LeavingShape {
            key_id: one.key.0,
            telegram_id: one.telegram_id,
            home: one.home.0,
            since: one.since,
            seen_at: one.seen_at,
            until: one.until,
        };
        Self { total, leaving: found.iter().map(shape).collect() }
    }
}

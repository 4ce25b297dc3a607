//! Why a key is, or would be, where it is.

use super::{
    Problem,
    extract::{Json, Query, TelegramId},
};
use crate::{app::App, ops::placement::placement};
use axum::extract::State;
use fleet::place::{Verdict, Wants};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(explain))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Who {
    /// Whose key; without it a newcomer's.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
    telegram_id: Option<TelegramId>,
}

/// Where a key is or would go.
#[derive(Serialize, ToSchema)]
struct PlacementShape {
    /// The node of the key the user has, if he has one.
    home: Option<i64>,
    /// The node that a new key would go to; absent if no node can take it.
    next: Option<i64>,
    /// Every node, best first.
    nodes: Vec<VerdictShape>,
}

/// What one node says to the key.
#[derive(Serialize, ToSchema)]
struct VerdictShape {
    /// Its id.
    node: i64,
    /// Its name.
    name: String,
    /// Its load after taking the key; absent if it does not.
    load_after: Option<f64>,
    /// All reasons against it.
    reasons: Vec<ReasonShape>,
}

/// A reason against a node.
#[derive(Serialize, ToSchema)]
struct ReasonShape {
    /// For people.
    text: String,
    /// For programs: its `code` and what belongs to it.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    reason: serde_json::Value,
}

/// Which node a key would go to and, for every other node, all the reasons why not.
#[utoipa::path(get, path = "/placement", tag = "placement", params(Who), responses(
    (status = 200, body = PlacementShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
async fn explain(State(app): State<App>, Query(who): Query<Who>) -> Result<Json<PlacementShape>, Problem> {
    let found = placement(&app.store, who.telegram_id.map(|id| id.0), &Wants::default()).await?;
    let next = found.verdicts.iter().find(|v| v.reasons.is_empty()).map(|v| v.node.0);
    let nodes = found.verdicts.into_iter().map(verdict).collect();
    Ok(Json(PlacementShape { home: found.home.map(|id| id.0), next, nodes }))
}

fn verdict(verdict: Verdict) -> VerdictShape {
    let reason = |reason: &fleet::place::Reason| ReasonShape {
        text: reason.to_string(),
        reason: serde_json::to_value(reason).unwrap_or_default(),
    };
    VerdictShape {
        node: verdict.node.0,
        name: verdict.name,
        load_after: verdict.load_after,
        reasons: verdict.reasons.iter().map(reason).collect(),
    }
}

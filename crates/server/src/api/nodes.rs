//! Calls about nodes.

use super::{
    Problem,
    extract::{Json, Path, Query},
    node_shapes::{InboundList, InboundShape, NewNodeShape, NodeChangeShape, NodeList, NodeShape},
};
use crate::{
    app::App,
    ops::nodes::{self, NodeError},
    panels,
};
use axum::{extract::State, http::StatusCode};
use fleet::id::NodeId;
use panel::Examination;
use serde::{Deserialize, Serialize};
use store::nodes::NodeRecord;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(add))
        .routes(routes!(edit, delete))
        .routes(routes!(test))
        .routes(routes!(inbounds))
}

/// What was seen of a panel, layer by layer.
#[derive(Serialize, ToSchema)]
struct TestResult {
    /// Whether it can serve keys.
    good: bool,
    /// The layers `name`, `tcp`, `tls`, `panel`, `authorised`, `xray`, `inbounds`, each with its result.
    #[schema(value_type = Object)]
    seen: Examination,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Deletion {
    /// Delete it although its panel still holds clients of ours; they stay there for ever.
    #[serde(default)]
    abandon: bool,
}

/// All nodes.
#[utoipa::path(get, path = "/nodes", tag = "nodes", responses(
    (status = 200, body = NodeList),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
async fn list(State(app): State<App>) -> Result<Json<NodeList>, Problem> {
    let read = app.store.read();
    let (nodes, leaving) = (read.nodes().await?, read.count_leaving().await?);
    Ok(Json(NodeList { nodes: nodes.into_iter().map(|node| NodeShape::new(node, &leaving)).collect() }))
}

/// One node.
#[utoipa::path(get, path = "/nodes/{id}", tag = "nodes", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = NodeShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
async fn one(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<NodeShape>, Problem> {
    Ok(Json(NodeShape::load(&app.store, load(&app, id).await?).await?))
}

/// Looks at a panel and adds it as a node. One that cannot serve keys is refused unless `force` says otherwise.
#[utoipa::path(post, path = "/nodes", tag = "nodes", request_body = NewNodeShape, responses(
    (status = 201, body = NodeShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
async fn add(State(app): State<App>, Json(new): Json<NewNodeShape>) -> Result<(StatusCode, Json<NodeShape>), Problem> {
    let force = new.force;
    let (settings, secrets) = new.into_parts();
    let added = panels::register(&app.store, &settings, &secrets, force, app.deadlines(), &app.clock).await?;
    app.pokes.poke_unsettled();
    Ok((StatusCode::CREATED, Json(NodeShape::load(&app.store, added.node).await?)))
}

/// Changes a node.
#[utoipa::path(patch, path = "/nodes/{id}", tag = "nodes", params(("id" = i64, Path, minimum = 1)),
    request_body = NodeChangeShape, responses(
    (status = 200, body = NodeShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
async fn edit(
    State(app): State<App>,
    Path(id): Path<i64>,
    Json(change): Json<NodeChangeShape>,
) -> Result<Json<NodeShape>, Problem> {
    let edited = nodes::edit(&app.store, NodeId(id), &change.into(), (app.clock)()).await?;
    app.pokes.poke_unsettled();
    Ok(Json(NodeShape::load(&app.store, edited).await?))
}

/// Deletes a node that serves nobody.
#[utoipa::path(delete, path = "/nodes/{id}", tag = "nodes", params(("id" = i64, Path, minimum = 1), Deletion), responses(
    (status = 204),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
async fn delete(
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(how): Query<Deletion>,
) -> Result<StatusCode, Problem> {
    nodes::delete(&app.store, NodeId(id), how.abandon, (app.clock)()).await?;
    app.pokes.poke_unsettled();
    Ok(StatusCode::NO_CONTENT)
}

/// Looks at a node's panel layer by layer. Changes nothing.
#[utoipa::path(post, path = "/nodes/{id}/test", tag = "nodes", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = TestResult),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
async fn test(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<TestResult>, Problem> {
    let node = load(&app, id).await?;
    let seen = panels::examine(&app.store, &node, app.deadlines(), &app.clock).await?;
    Ok(Json(TestResult { good: seen.is_good(), seen }))
}

/// The inbounds of a node's panel, and which of them keys could live on.
#[utoipa::path(get, path = "/nodes/{id}/inbounds", tag = "nodes", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = InboundList),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
    (status = 502, body = Problem, content_type = "application/problem+json"),
))]
async fn inbounds(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<InboundList>, Problem> {
    let node = load(&app, id).await?;
    let found = panels::inbounds(&app.store, &node, app.deadlines(), &app.clock).await?;
    Ok(Json(InboundList { inbounds: found.iter().map(InboundShape::from).collect() }))
}

async fn load(app: &App, id: i64) -> Result<NodeRecord, Problem> {
    let found = app.store.read().find_node(NodeId(id)).await?;
    Ok(found.ok_or_else(|| NodeError::Unknown(id.to_string()))?)
}

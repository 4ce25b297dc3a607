//! Calls about moves: emptying nodes, sending keys elsewhere, evening out the fleet, and the jobs that do it.

use super::{
    Problem,
    extract::{IfAny, Json, Path, TelegramId},
    job_shapes::{Begun, DrainShape, JobList, JobShape, RebalanceAnswer, RebalanceShape, SendShape, UndoShape},
    node_shapes::NodeShape,
};
use crate::{
    app::App,
    ops::{
        jobs,
        moves::{self, Drain},
        nodes::{self, NodeChange},
        rebalance,
    },
};
use axum::extract::State;
use fleet::{
    id::{JobId, NodeId},
    node::Policy,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Who asks, as far as a job's list is concerned.
const ASKED_BY: &str = "api";

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(undo))
        .routes(routes!(drain))
        .routes(routes!(delete))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(send))
        .routes(routes!(even_out))
}

/// The latest jobs, newest first.
#[utoipa::path(get, path = "/jobs", tag = "jobs", responses(
    (status = 200, body = JobList),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
async fn list(State(app): State<App>) -> Result<Json<JobList>, Problem> {
    let jobs = app.store.read().jobs(100).await?;
    Ok(Json(JobList { jobs: jobs.iter().map(JobShape::from).collect() }))
}

/// One job with the first thousand of its moves.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = JobShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
async fn one(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<JobShape>, Problem> {
    Ok(Json((&jobs::load(&app.store, JobId(id)).await?).into()))
}

/// Begins no more moves of a job until it is resumed. What is on its way arrives.
#[utoipa::path(post, path = "/jobs/{id}/pause", tag = "jobs", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = JobShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
async fn pause(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<JobShape>, Problem> {
    Ok(Json((&jobs::set_paused(&app.store, JobId(id), true, (app.clock)()).await?).into()))
}

/// Lets a paused job go on.
#[utoipa::path(post, path = "/jobs/{id}/resume", tag = "jobs", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = JobShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
))]
async fn resume(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<JobShape>, Problem> {
    let job = jobs::set_paused(&app.store, JobId(id), false, (app.clock)()).await?;
    app.pokes.poke_place();
    Ok(Json((&job).into()))
}

/// Takes a job back: what is on its way is called back, and a new job sends the keys that it moved to where they were.
#[utoipa::path(post, path = "/jobs/{id}/undo", tag = "jobs", params(("id" = i64, Path, minimum = 1)),
    request_body = Option<UndoShape>, responses(
    (status = 200, body = Begun),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
async fn undo(
    State(app): State<App>,
    Path(id): Path<i64>,
    IfAny(how): IfAny<UndoShape>,
) -> Result<Json<Begun>, Problem> {
    let now = (app.clock)();
    let (job, plan) = jobs::undo(&app.store, &app.config, JobId(id), ASKED_BY, how.dry_run, now).await?;
    app.pokes.poke_place();
    Ok(Json(Begun::new(job, &plan)))
}

/// Empties a node: it takes nobody from now on, and its keys move, each as soon as its new node confirmed it.
#[utoipa::path(post, path = "/nodes/{id}/drain", tag = "jobs", params(("id" = i64, Path, minimum = 1)),
    request_body = Option<DrainShape>, responses(
    (status = 200, body = Begun),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
async fn drain(
    State(app): State<App>,
    Path(id): Path<i64>,
    IfAny(how): IfAny<DrainShape>,
) -> Result<Json<Begun>, Problem> {
    empty(&app, NodeId(id), &how, false).await
}

/// Empties a node and deletes it once nothing of ours is left there.
#[utoipa::path(post, path = "/nodes/{id}/delete", tag = "jobs", params(("id" = i64, Path, minimum = 1)),
    request_body = DrainShape, responses(
    (status = 200, body = Begun),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
async fn delete(
    State(app): State<App>,
    Path(id): Path<i64>,
    Json(how): Json<DrainShape>,
) -> Result<Json<Begun>, Problem> {
    empty(&app, NodeId(id), &how, true).await
}

async fn empty(app: &App, node: NodeId, how: &DrainShape, delete: bool) -> Result<Json<Begun>, Problem> {
    if how.dry_run {
        return Ok(Json(Begun::new(None, &moves::preview(&app.store, &app.config, node).await?)));
    }
    let drain = Drain { deadline: how.deadline, delete, partly: how.partly, asked_by: ASKED_BY.to_owned() };
    let (job, plan) = moves::drain(&app.store, &app.config, node, &drain, (app.clock)()).await?;
    app.pokes.poke_place();
    app.pokes.poke_settle();
    Ok(Json(Begun::new(job, &plan)))
}

/// Lets a node take new keys again. What moved off it stays where it is.
#[utoipa::path(post, path = "/nodes/{id}/enable", tag = "jobs", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = NodeShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
async fn enable(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<NodeShape>, Problem> {
    set_policy(&app, id, Policy::Active).await
}

/// Takes a node out of service: it takes no new keys, and keeps those it has.
#[utoipa::path(post, path = "/nodes/{id}/disable", tag = "jobs", params(("id" = i64, Path, minimum = 1)), responses(
    (status = 200, body = NodeShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
async fn disable(State(app): State<App>, Path(id): Path<i64>) -> Result<Json<NodeShape>, Problem> {
    set_policy(&app, id, Policy::Inactive).await
}

async fn set_policy(app: &App, id: i64, policy: Policy) -> Result<Json<NodeShape>, Problem> {
    let change = NodeChange { policy: Some(policy), ..NodeChange::default() };
    let node = nodes::edit(&app.store, NodeId(id), &change, (app.clock)()).await?;
    app.pokes.poke_place();
    Ok(Json(NodeShape::load(&app.store, node).await?))
}

/// Sends a user's key to a node.
#[utoipa::path(post, path = "/users/{telegram_id}/key/move", tag = "jobs",
    params(("telegram_id" = i64, Path, minimum = 1, maximum = 9_007_199_254_740_991_i64)),
    request_body = SendShape, responses(
    (status = 200, body = Begun),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
async fn send(
    State(app): State<App>,
    Path(TelegramId(id)): Path<TelegramId>,
    Json(send): Json<SendShape>,
) -> Result<Json<Begun>, Problem> {
    let to = nodes::load_named(&app.store, &send.to).await?;
    let (job, plan) = moves::send(&app.store, id, &to, ASKED_BY, send.dry_run, (app.clock)()).await?;
    app.pokes.poke_place();
    Ok(Json(Begun::new(job, &plan)))
}

/// Brings the fleet to its weighted shares with the fewest moves; does nothing while loads differ little.
#[utoipa::path(post, path = "/rebalance", tag = "jobs", request_body = Option<RebalanceShape>, responses(
    (status = 200, body = RebalanceAnswer),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
async fn even_out(State(app): State<App>, IfAny(how): IfAny<RebalanceShape>) -> Result<Json<RebalanceAnswer>, Problem> {
    let evened = rebalance::rebalance(&app.store, &app.config, ASKED_BY, how.dry_run, (app.clock)()).await?;
    app.pokes.poke_place();
    Ok(Json((&evened).into()))
}

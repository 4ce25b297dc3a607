//! `/api/v1`: the same operations for programs, with bearer tokens and an OpenAPI 3.1 document.
//!
//! | question | where |
//! |---|---|
//! | who may call what | [`auth`] |
//! | what an error looks like, and the codes | [`problem`] |
//! | bodies, paths and queries that cannot be read | [`extract`] |
//! | nodes | `nodes` with the shapes in `node_shapes` |
//! | moves and jobs | `jobs` with the shapes in `job_shapes` |
//! | how the fleet is, what was decided | `health` |
//! | users, keys, placement | `users`, `placement` |

pub mod auth;
pub mod extract;
pub mod health;
pub mod job_shapes;
mod jobs;
pub(crate) mod leaving;
pub mod node_shapes;
mod nodes;
mod placement;
pub mod problem;
pub mod users;

pub use problem::{Problem, panicked, unknown_path, wrong_method};

use crate::app::App;
use auth::{Guard, authorise};
use axum::{Json, Router, middleware::from_fn_with_state, routing::get};
use store::tokens::Scope;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_axum::router::OpenApiRouter;

/// Where everything of this module is.
pub const BASE: &str = "/api/v1";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Muster",
        description = "One control plane for a fleet of 3x-ui panels. Every call needs a bearer token made with \
                       `muster tokens create`; scope `read` looks, `bot` acts for users, `admin` does everything."
    ),
    modifiers(&Bearer),
    security(("bearer" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// All calls, each behind the scope it needs, and the document that describes them.
pub fn router(app: &App) -> Router<App> {
    let (calls, document) = described(app);
    calls.route(&format!("{BASE}/openapi.json"), get(|| async move { Json(document) }))
}

fn described(app: &App) -> (Router<App>, utoipa::openapi::OpenApi) {
    let behind = |calls: OpenApiRouter<App>, scope| {
        calls.route_layer(from_fn_with_state(Guard { app: app.clone(), scope }, authorise))
    };
    let looking = nodes::looking()
        .merge(users::looking())
        .merge(placement::looking())
        .merge(jobs::looking())
        .merge(leaving::looking())
        .merge(health::looking());
    let calls = behind(looking, Scope::Read).merge(behind(users::acting(), Scope::Bot)).merge(behind(
        nodes::acting().merge(jobs::acting()).merge(leaving::acting()).merge(health::acting()),
        Scope::Admin,
    ));
    OpenApiRouter::with_openapi(Document::openapi()).nest(BASE, calls).split_for_parts()
}

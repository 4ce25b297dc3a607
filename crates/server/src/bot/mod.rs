//! The HTTP contract of the Telegram bot, which exists already and is not ours to change.
//!
//! The bot reads an answer only when its status is exactly 200 and takes every other status for an outage; so
//! whatever goes wrong with an account or a node is a 200 with `"success": false` and a text for people.
//!
//! | path | where |
//! |---|---|
//! | `full-cycle`, `update-vpn-key`, `vpn-key/{id}` | `keys` |
//! | `user-dashboard`, `create-user`, `update-user-data` | `users` |
//! | `app-settings`, `/health` | here |
//! | what people read | [`texts`] |
//! | who is answered | `door` |

mod door;
mod keys;
mod shapes;
pub mod texts;
mod users;

use crate::app::App;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde_json::json;

/// The bot's paths, and `/health`, which anybody may ask.
pub fn router(app: &App) -> Router<App> {
    let calls = Router::new()
        .route("/full-cycle", post(keys::full_cycle))
        .route("/update-vpn-key", post(keys::update))
        // Some copies of the bot send POST.
        .route("/vpn-key/{key_id}", delete(keys::revoke_one).post(keys::revoke_one))
        .route("/user-dashboard/{telegram_id}", get(users::dashboard))
        .route("/create-user", post(users::create))
        .route("/update-user-data", post(users::update))
        .route("/app-settings", get(settings))
        .route_layer(from_fn_with_state(app.clone(), door::answer_the_bot));
    Router::new().nest("/api/v1/integration", calls).route("/health", get(health))
}

async fn settings(State(app): State<App>) -> Response {
    let users = &app.config.users;
    Json(json!({
        "success": true,
        "settings": {
            "site_name": users.site_name,
            "trial_enabled": users.trial_enabled,
            "trial_days": users.trial_days,
        },
    }))
    .into_response()
}

/// Healthy while requests can be served, which takes a database.
async fn health(State(app): State<App>) -> Response {
    let version = env!("CARGO_PKG_VERSION");
    match app.store.read().revisions().await {
        Ok(nodes) => Json(json!({"status": "healthy", "version": version, "nodes": nodes.len()})).into_response(),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the database does not answer");
            let unhealthy = json!({"status": "unhealthy", "version": version, "error": "the database does not answer"});
            (StatusCode::SERVICE_UNAVAILABLE, Json(unhealthy)).into_response()
        }
    }
}

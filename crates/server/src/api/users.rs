//! Calls about users and their keys.

use super::{
    Problem,
    extract::{Json, Path, Query, TelegramId},
};
use crate::{
    app::App,
    intake::Obtained,
    ops::{
        keys::{Ask, revoke_all},
        users::Standing,
    },
};
use axum::extract::State;
use chrono::{DateTime, Utc};
use fleet::place::{Location, Wants};
use serde::{Deserialize, Deserializer, Serialize, de};
use store::{keys::KeyRecord, nodes::NodeLabel, users::Profile};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(one))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(issue, revoke)).routes(routes!(refresh))
}

/// A user and the keys he has.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserShape {
    /// Our id.
    pub id: i64,
    /// His Telegram id.
    pub telegram_id: i64,
    /// Telegram user name.
    pub username: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Such as `ru`.
    pub language_code: Option<String>,
    /// Whether he may have a working key now.
    pub entitled: bool,
    /// When access ends; absent: never.
    pub valid_until: Option<DateTime<Utc>>,
    /// Keys in force, newest first.
    pub keys: Vec<KeyShape>,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyShape {
    /// Its id.
    pub id: i64,
    /// Its name on panels.
    pub name: Option<String>,
    /// The link for the user's app.
    pub link: String,
    /// The node it lives on.
    pub node_id: Option<i64>,
    /// That node's name.
    pub node_name: Option<String>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
}

/// What became of a user's keys.
#[derive(Debug, Serialize, ToSchema)]
struct Revoked {
    /// How many were revoked.
    revoked: usize,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// Where the key's node should stand, if a node there can take it.
    #[param(value_type = Option<String>, max_length = 100)]
    location: Option<LocationName>,
}

/// A place as operators write it: as long as a node's may be.
struct LocationName(String);

impl<'de> Deserialize<'de> for LocationName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let fits = name.chars().count() <= 100;
        if fits { Ok(Self(name)) } else { Err(de::Error::custom("a location has at most 100 characters")) }
    }
}

impl Wish {
    fn wants(self) -> Wants {
        let location =
            self.location.filter(|l| !l.0.is_empty()).map(|LocationName(name)| Location { name, required: false });
        Wants { location, ..Wants::default() }
    }
}

/// A user.
#[utoipa::path(get, path = "/users/{telegram_id}", tag = "users",
    params(("telegram_id" = i64, Path, minimum = 1, maximum = 9_007_199_254_740_991_i64)), responses(
    (status = 200, body = UserShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
async fn one(State(app): State<App>, Path(TelegramId(id)): Path<TelegramId>) -> Result<Json<UserShape>, Problem> {
    Ok(Json(shape(load(&app, id).await?, (app.clock)())))
}

/// The user's key: the one he has, or a new one, confirmed by its panel. An unknown user is taken in.
#[utoipa::path(post, path = "/users/{telegram_id}/key", tag = "users",
    params(("telegram_id" = i64, Path, minimum = 1, maximum = 9_007_199_254_740_991_i64), Wish), responses(
    (status = 200, body = KeyShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
async fn issue(
    State(app): State<App>,
    Path(TelegramId(id)): Path<TelegramId>,
    Query(wish): Query<Wish>,
) -> Result<Json<KeyShape>, Problem> {
    let ask = Ask { telegram_id: id, newcomer: Some(Profile::default()), renew: false, wants: wish.wants() };
    obtain(&app, ask).await
}

/// A new key instead of the user's old one, which works until the new one does.
#[utoipa::path(post, path = "/users/{telegram_id}/key/refresh", tag = "users",
    params(("telegram_id" = i64, Path, minimum = 1, maximum = 9_007_199_254_740_991_i64), Wish), responses(
    (status = 200, body = KeyShape),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json"),
))]
async fn refresh(
    State(app): State<App>,
    Path(TelegramId(id)): Path<TelegramId>,
    Query(wish): Query<Wish>,
) -> Result<Json<KeyShape>, Problem> {
    obtain(&app, Ask { telegram_id: id, newcomer: None, renew: true, wants: wish.wants() }).await
}

/// Revokes all keys of the user. Their clients are removed as soon as their panels can be reached.
#[utoipa::path(delete, path = "/users/{telegram_id}/key", tag = "users",
    params(("telegram_id" = i64, Path, minimum = 1, maximum = 9_007_199_254_740_991_i64)), responses(
    (status = 200, body = Revoked),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
))]
async fn revoke(State(app): State<App>, Path(TelegramId(id)): Path<TelegramId>) -> Result<Json<Revoked>, Problem> {
    let revoked = revoke_all(&app.store, id, (app.clock)()).await?.ok_or_else(|| Problem::unknown_user(id))?;
    app.pokes.poke_unsettled();
    Ok(Json(Revoked { revoked }))
}

async fn obtain(app: &App, ask: Ask) -> Result<Json<KeyShape>, Problem> {
    let telegram_id = ask.telegram_id;
    let Obtained { key, standing } = app.intake.obtain(ask).await?;
    let id = key?;
    let standing = standing.ok_or_else(|| Problem::unknown_user(telegram_id))?;
    // Between confirmation and this look somebody may have revoked it: then there is none to show.
    let (key, node) = standing.find_key(id).ok_or(crate::ops::keys::IssueError::NotConfirmed)?;
    Ok(Json(key_shape(key, node)))
}

async fn load(app: &App, telegram_id: i64) -> Result<Standing, Problem> {
    app.intake.find_standing(telegram_id).await?.ok_or_else(|| Problem::unknown_user(telegram_id))
}

/// A user as programs see him.
pub fn shape(standing: Standing, now: DateTime<Utc>) -> UserShape {
    let entitled = standing.user.is_entitled(now);
    let user = standing.user;
    UserShape {
        id: user.id.0,
        telegram_id: user.telegram_id,
        username: user.username,
        first_name: user.first_name,
        last_name: user.last_name,
        language_code: user.language_code,
        entitled,
        valid_until: user.valid_until,
        keys: standing.keys.iter().map(|(key, node)| key_shape(key, node.as_ref())).collect(),
    }
}

fn key_shape(key: &KeyRecord, node: Option<&NodeLabel>) -> KeyShape {
    KeyShape {
        id: key.id.0,
        name: key.identity.as_ref().map(|i| i.name.to_string()).or_else(|| key.key_name.clone()),
        link: key.link.clone(),
        node_id: key.node.map(|id| id.0),
        node_name: node.map(|n| n.name.clone()),
        created_at: key.created_at,
    }
}

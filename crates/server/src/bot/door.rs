//! Who is answered: the bot sends no token, so it is known by where it calls from; others need a token.

use crate::{
    api::auth::{Guard, authorise},
    app::App,
};
use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequest, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::net::SocketAddr;
use store::tokens::Scope;

/// Headers that say a request was passed on by a proxy: then the sender's address is the proxy's and proves nothing.
const PASSED_ON: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Lets through what comes straight from one of `server.bot_networks`, or with a token of scope `bot`.
pub(super) async fn answer_the_bot(
    State(app): State<App>,
    ConnectInfo(from): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let direct = !PASSED_ON.iter().any(|name| request.headers().contains_key(*name));
    let address = from.ip().to_canonical();
    if direct && app.config.server.bot_networks.iter().any(|network| network.contains(&address)) {
        return next.run(request).await;
    }
    authorise(State(Guard { app, scope: Scope::Bot }), request, next).await
}

/// A body as the bot sends it: JSON whatever the content type says, unknown members ignored, an absent body empty.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let bytes = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(text).map(Self).map_err(|why| unreadable(&why.to_string()))
    }
}

/// The status and the shape that the bot's old backend gave to a request it could not read.
pub(super) fn unreadable(why: &str) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(json!({"detail": why}))).into_response()
}

//! Bearer tokens and what they allow.

use super::Problem;
use crate::app::App;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use store::tokens::Scope;

/// What a group of calls needs.
#[derive(Clone)]
pub struct Guard {
    /// Where tokens are.
    pub app: App,
    /// The least scope that may call.
    pub scope: Scope,
}

/// Lets a request through whose token allows it. Tokens are looked up each time: a revoked one is worthless at once.
pub async fn authorise(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION).and_then(bearer);
    let Some(token) = token else {
        return unauthorised("send a bearer token: Authorization: Bearer mst_…; `muster tokens create` makes one");
    };
    match guard.app.store.read().find_scope(token).await {
        Ok(Some(scope)) if scope >= guard.scope => next.run(request).await,
        Ok(Some(scope)) => {
            let detail = format!("this call needs scope {}, the token has {}", guard.scope.as_str(), scope.as_str());
            Problem::new(StatusCode::FORBIDDEN, "forbidden", "the token does not allow this", detail).into_response()
        }
        Ok(None) => unauthorised("the token is unknown or revoked"),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn unauthorised(detail: &str) -> Response {
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorised", "no valid token", detail);
    ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response()
}

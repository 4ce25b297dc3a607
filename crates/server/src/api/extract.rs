//! Bodies, paths and queries: what cannot be read is answered as a problem, never as plain text.

use super::Problem;
use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{fmt, marker::PhantomData};

/// A body that is a JSON object.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// Parts of the path.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// What follows the question mark.
#[derive(Debug, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let axum::Json(Object(body)) = axum::Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// A body that may be left out, or be `null`, and then says nothing.
#[derive(Debug)]
pub struct IfAny<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for IfAny<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), state).await?;
        if matches!(body.trim_ascii(), b"" | b"null") {
            return Ok(Self(T::default()));
        }
        let Json(given) = Json::from_request(Request::from_parts(parts, body.into()), state).await?;
        Ok(Self(given))
    }
}

/// Anything but an object is refused: serde would take a list as well, its items in the order of the fields.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        unreadable(rejection.status(), rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        unreadable(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        unreadable(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        unreadable(rejection.status(), rejection.body_text())
    }
}

fn unreadable(status: StatusCode, detail: String) -> Problem {
    let (code, title) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the request is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported_media_type", "the body must be JSON"),
        _ => ("bad_request", "the request cannot be read"),
    };
    Problem::new(status, code, title, detail)
}

/// A Telegram id: positive, and small enough for every JSON reader (below 2⁵³; Telegram promises 52 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelegramId(pub i64);

impl TelegramId {
    /// The largest one.
    pub const MAX: i64 = (1 << 53) - 1;
}

impl<'de> Deserialize<'de> for TelegramId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = i64::deserialize(deserializer)?;
        let fits = (1..=Self::MAX).contains(&id);
        if fits { Ok(Self(id)) } else { Err(de::Error::custom("a Telegram id is a number from 1 to 9007199254740991")) }
    }
}

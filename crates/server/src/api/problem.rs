//! Errors as `application/problem+json` (RFC 9457), each with a `code` that stays the same for ever.

use crate::{
    ops::{jobs::JobError, keys::IssueError, moves::MoveError, nodes::NodeError},
    panels::LookError,
};
use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use fleet::place::{NoRoom, NoRoomKind};
use serde::Serialize;
use std::{error::Error, sync::Arc};
use store::StoreError;
use utoipa::ToSchema;

/// An error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// The HTTP status again.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What kind of error, for programs. Stable.
    pub code: &'static str,
    /// The same, for people.
    pub title: &'static str,
    /// What happened here, and what to do.
    pub detail: String,
    /// Single mistakes, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What else is known: every node's reasons, or what was seen of a panel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<serde_json::Value>,
}

/// One mistake.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    /// The member it is about.
    pub field: &'static str,
    /// What to do about it.
    pub message: String,
}

impl Problem {
    /// A problem with nothing to add.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status: status.as_u16(), code, title, detail: detail.into(), errors: Vec::new(), seen: None }
    }

    /// Nobody has this Telegram id.
    pub fn unknown_user(telegram_id: i64) -> Self {
        let detail = format!("there is no user with Telegram id {telegram_id}");
        Self::new(StatusCode::NOT_FOUND, "user_not_found", "unknown user", detail)
    }

    /// A failure of ours. The cause goes to the log, not to the caller.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        let detail = "the request failed for a reason that is in the program's log; nothing was changed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error", detail)
    }

    fn with_seen(self, seen: &impl Serialize) -> Self {
        Self { seen: serde_json::to_value(seen).ok(), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self)).into_response()
    }
}

impl From<Arc<StoreError>> for Problem {
    fn from(error: Arc<StoreError>) -> Self {
        Self::internal(&*error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::TooLong { .. } | StoreError::Nul { .. } => {
                Self::new(StatusCode::BAD_REQUEST, "invalid", "unusable value", error.to_string())
            }
            StoreError::Exists { .. } => {
                Self::new(StatusCode::CONFLICT, "name_taken", "the name is taken", error.to_string())
            }
            StoreError::Database(_)
            | StoreError::Row { .. }
            | StoreError::Sealed { .. }
            | StoreError::Missing { .. } => Self::internal(&error),
        }
    }
}

impl From<NodeError> for Problem {
    fn from(error: NodeError) -> Self {
        let detail = error.to_string();
        match error {
            NodeError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, "node_not_found", "unknown node", detail),
            NodeError::Exists(_) => Self::new(StatusCode::CONFLICT, "name_taken", "the name is taken", detail),
            NodeError::Twin(_) => Self::new(StatusCode::CONFLICT, "panel_taken", "the panel is a node already", detail),
            NodeError::InUse { .. } => Self::new(StatusCode::CONFLICT, "node_in_use", "the node serves keys", detail),
            NodeError::Invalid(errors) => {
                let errors = errors.into_iter().map(|e| FieldError { field: e.field, message: e.message }).collect();
                let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "unusable value", detail);
                Self { errors, ..problem }
            }
            NodeError::Store(error) => error.into(),
        }
    }
}

impl From<LookError> for Problem {
    fn from(error: LookError) -> Self {
        let detail = error.to_string();
        match error {
            LookError::Node(error) => error.into(),
            LookError::Access { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "unusable value", detail)
            }
            LookError::Unusable { seen, .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "node_unusable", "the panel cannot serve keys", detail)
                    .with_seen(&seen)
            }
            LookError::Panel { .. } => Self::new(StatusCode::BAD_GATEWAY, "panel_failed", "the panel failed", detail),
        }
    }
}

impl From<MoveError> for Problem {
    fn from(error: MoveError) -> Self {
        let detail = error.to_string();
        match error {
            MoveError::UnknownNode(_) => Self::new(StatusCode::NOT_FOUND, "node_not_found", "unknown node", detail),
            MoveError::UnknownUser(id) => Self::unknown_user(id),
            MoveError::NoKey(_) => Self::new(StatusCode::NOT_FOUND, "key_not_found", "no key", detail),
            MoveError::AtHome(_) => Self::new(StatusCode::CONFLICT, "at_home", "it lives there already", detail),
            MoveError::Refused { reasons, .. } => {
                Self::new(StatusCode::CONFLICT, "node_refuses", "the node does not take the key", detail)
                    .with_seen(&reasons)
            }
            MoveError::NoRoom { keys, why, .. } => {
                let seen = serde_json::json!({"keys": keys, "refusals": why.refusals});
                Self::new(StatusCode::CONFLICT, "no_room_elsewhere", "some keys fit nowhere else", detail)
                    .with_seen(&seen)
            }
            MoveError::Store(error) => error.into(),
        }
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        let detail = error.to_string();
        match error {
            JobError::Unknown(_) => Self::new(StatusCode::NOT_FOUND, "job_not_found", "unknown job", detail),
            JobError::Over(_) => Self::new(StatusCode::CONFLICT, "job_over", "the job is over", detail),
            JobError::NothingLeft(_) => {
                Self::new(StatusCode::CONFLICT, "nothing_to_undo", "nothing is left to be undone", detail)
            }
            JobError::NoWayBack { why, .. } => {
                Self::new(StatusCode::CONFLICT, "no_way_back", "none of the keys can go back", detail)
                    .with_seen(&why.refusals)
            }
            JobError::Store(error) => error.into(),
        }
    }
}

impl From<IssueError> for Problem {
    fn from(error: IssueError) -> Self {
        let detail = error.to_string();
        match error {
            IssueError::UnknownUser(id) => Self::unknown_user(id),
            IssueError::Expired(_) => {
                Self::new(StatusCode::FORBIDDEN, "account_expired", "the account ran out", detail)
            }
            IssueError::Blocked => {
                Self::new(StatusCode::FORBIDDEN, "account_blocked", "the account is blocked", detail)
            }
            IssueError::NoRoom(why) => no_room(&why),
            IssueError::Inbound(..) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_healthy_node", "no node can serve", detail)
            }
            IssueError::NotConfirmed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_confirmed", "no panel confirmed in time", detail)
            }
            IssueError::Store(error) => Self::internal(&error),
        }
    }
}

fn no_room(why: &NoRoom) -> Problem {
    let (code, title) = match why.kind {
        NoRoomKind::NoHealthyNode => ("no_healthy_node", "no node can serve"),
        NoRoomKind::NoCapacity => ("no_capacity", "every node is full"),
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, title, why.to_string()).with_seen(&why.refusals)
}

/// For paths that are not there.
pub async fn unknown_path() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "nothing is here", "see /api/v1/openapi.json for what there is")
}

/// For paths that are there, asked in another way.
pub async fn wrong_method() -> Problem {
    let detail = "this path does not answer this method; see /api/v1/openapi.json";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "wrong method", detail)
}

/// For a request during which the program found itself wrong. The panic itself is in the log.
pub fn panicked() -> Response {
    let detail = "the program made a mistake while it answered; the log says where";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error", detail).into_response()
}

//! Why a call was not done.

use crate::call::{Call, Reply};

/// The prefix of most refusals.
pub(super) const WRONG: &str = "Something went wrong";

/// The misleading prefix of a request that cannot be read.
pub(super) const UPDATED: &str = "Inbound has been successfully updated.";

/// What the panel answers instead of doing what it was asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The handler broke down.
    Panic,
    /// A prefix, and what it says in parentheses.
    Says(&'static str, String),
}

impl Refusal {
    pub(super) fn reply(&self, call: &Call) -> Reply {
        match self {
            Self::Panic => Reply::broken_down(call),
            Self::Says(prefix, inner) => Reply::failed(prefix, inner),
        }
    }

    /// The same under another prefix.
    pub(super) fn under(self, prefix: &'static str) -> Self {
        match self {
            Self::Panic => Self::Panic,
            Self::Says(_, inner) => Self::Says(prefix, inner),
        }
    }
}

/// A refusal with the usual prefix.
pub(super) fn wrong(inner: impl Into<String>) -> Refusal {
    Refusal::Says(WRONG, inner.into())
}

/// A request that cannot be read.
pub(super) fn unread(inner: impl Into<String>) -> Refusal {
    Refusal::Says(UPDATED, inner.into())
}

pub(super) fn not_found() -> Refusal {
    wrong("record not found")
}

/// A number in the path.
pub(super) fn path_id(text: &str, prefix: &'static str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| Refusal::Says(prefix, format!("strconv.Atoi: parsing {text:?}: invalid syntax")))
}

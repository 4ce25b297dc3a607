//! A key: what a user holds, and what stays the same wherever it lives.

use crate::id::{KeyId, UserId};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The name by which a panel knows one of our clients (3x-ui calls the field `email`).
///
/// Made once per key by [`ClientName::of`], so a step against a panel can be repeated without any memory of
/// the first try. Unique over all panels and over re-installations of Muster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientName(String);

impl ClientName {
    /// The name of a key's client: `m<user>-<key>-<six hex digits of the UUID>`.
    ///
    /// The digits keep two installations of Muster, whose ids both start at 1, apart on a panel they meet on.
    /// Only lower-case letters, digits and `-`: valid on both generations, and safe in a URL's path, which is
    /// how panels address clients.
    pub fn of(user: UserId, key: KeyId, uuid: Uuid) -> Self {
        let digits = &uuid.simple().to_string()[..6];
        Self(format!("m{user}-{key}-{digits}"))
    }

    /// A name that is already written down, in a row of ours or in a panel's answer.
    pub fn from_stored(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key is to every node: the part that no move changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name on panels.
    pub name: ClientName,
    /// The secret from which the credential of every protocol is derived ([`crate::client::credential`]).
    pub uuid: Uuid,
    /// The subscription id; panels of generation 3 recognise a repeated creation by it.
    pub sub_id: String,
}

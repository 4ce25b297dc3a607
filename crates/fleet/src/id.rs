//! Ids that do not mix: handing a node's id to something that wants a key's id does not compile.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A node: one VPN server with its panel (`vpn_nodes.id`).
    NodeId
);
id!(
    /// A user: one Telegram account (`users.id`, not the Telegram id).
    UserId
);
id!(
    /// A key: what a user holds (`vpn_keys.id`). It stays the same when the key moves.
    KeyId
);
id!(
    /// An assignment: a key's home on a node (`user_node_assignments.id`).
    AssignmentId
);
id!(
    /// A job: moves that were asked for, or made necessary, together (`muster_jobs.id`).
    JobId
);
id!(
    /// An inbound of one panel, as that panel numbers it. Means nothing without its node.
    InboundId
);
